"""What a mask loses when it is shrunk, how well raters agree, what normalisation takes out."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from medseg_tf import data, metrics
from medseg_tf.data.resample import resize

SIDE = 256


def grid(centre):
    return np.indices((SIDE, SIDE)) - np.reshape(centre, (2, 1, 1))


def disc(radius, centre=(127.5, 127.5)):
    rows, columns = grid(centre)
    return rows**2 + columns**2 <= radius**2


def line(width=2, tilt=0.3):
    rows, columns = grid((127.5, 127.5))
    return abs(np.cos(tilt) * rows - np.sin(tilt) * columns) <= width / 2


def by_means(mask, factor):
    few = mask.reshape(SIDE // factor, factor, SIDE // factor, factor).mean(axis=(1, 3))
    return resize(few[..., None], mask.shape)[..., 0] > 0.5


def by_nearest(mask, factor):
    few = resize(mask.astype(int), (SIDE // factor,) * 2, is_label=True)
    return resize(few, mask.shape, is_label=True) > 0


def dice(one, other):
    return float(metrics.dice(one, other)[1])


@pytest.mark.parametrize(
    "radius, factor, nearest, means",
    [
        (8, 2, 0.945, 0.992),
        (8, 4, 0.886, 0.968),
        (20, 4, 0.953, 0.992),
        (20, 8, 0.904, 0.974),
        (60, 8, 0.968, 0.994),
    ],
)
def test_a_disc_hardly_suffers_where_means_are_taken(radius, factor, nearest, means):
    rng = np.random.default_rng(0)
    discs = [disc(radius, 127.5 + rng.uniform(-4, 4, 2)) for _ in range(20)]
    for shrink, expected in ((by_nearest, nearest), (by_means, means)):
        found = np.mean([dice(one, shrink(one, factor)) for one in discs])
        assert found == pytest.approx(expected, abs=0.02)


def test_a_line_two_pixels_wide_vanishes():
    thin = line()
    assert 0.7 < dice(thin, by_means(thin, 2)) < 0.95
    assert dice(thin, by_means(thin, 4)) < 0.05
    assert dice(thin, by_means(thin, 8)) == 0
    assert dice(thin, by_nearest(thin, 4)) == pytest.approx(0.5, abs=0.1)


def read(rng, radius, sd):
    """A disc as a rater draws it: smooth errors of the radius."""
    errors = gaussian_filter1d(rng.normal(size=360), 8, mode="wrap")
    rows, columns = grid((127.5, 127.5))
    angle = (np.degrees(np.arctan2(rows, columns)).astype(int)) % 360
    return np.hypot(rows, columns) <= radius + (sd * errors / errors.std())[angle]


@pytest.mark.parametrize("radius, sd", [(20, 1), (20, 2), (40, 1)])
def test_two_raters_agree_by_their_errors_over_the_radius(radius, sd):
    rng, truth = np.random.default_rng(0), disc(radius)
    pairs = [(read(rng, radius, sd), read(rng, radius, sd)) for _ in range(20)]
    between = np.mean([dice(*pair) for pair in pairs])
    assert between == pytest.approx(1 - 2 / np.sqrt(np.pi) * sd / radius, abs=0.02)
    # Independent errors add up: to the truth a rater is nearer, by a root of two.
    alone = np.mean([dice(one, truth) for one, _ in pairs])
    assert (1 - between) / (1 - alone) == pytest.approx(np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("radius, expected", [(20, 0.9500), (10, 0.9002)])
def test_a_habit_of_one_pixel_of_radius_costs_a_small_disc_more(radius, expected):
    less, more = radius - 0.5, radius + 0.5
    assert 2 * less**2 / (less**2 + more**2) == pytest.approx(expected, abs=5e-5)
    assert dice(disc(less), disc(more)) == pytest.approx(expected, abs=0.01)


def test_histogram_matching_imposes_the_references_share_of_foreground():
    rng = np.random.default_rng(0)

    def image(share):
        return (np.arange(10_000) < share * 10_000) + rng.normal(0, 0.05, 10_000)

    match = data.match_histogram([image(0.307)[:, None]])
    matched, _ = match(image(0.077)[:, None].astype("float32"), None, rng)
    assert np.mean(matched > 0.5) == pytest.approx(0.307, abs=1e-3)
    assert matched[770:, 0].mean() > 0.2  # of true background


def test_a_z_score_depends_on_how_much_foreground_there_is():
    for share, bright, dark in [(0.307, 1.502, -0.666), (0.077, 3.462, -0.289)]:
        image = (np.arange(1000) < 1000 * share).astype(float)
        scored = data.z_score(image[:, None])[:, 0]
        assert (scored[0], scored[-1]) == pytest.approx((bright, dark), abs=1e-3)


def test_gain_and_offset_of_a_scanner_leave_no_trace_in_a_z_score():
    image = np.random.default_rng(0).gamma(2, size=(20, 20, 1))
    np.testing.assert_allclose(data.z_score(2.5 * image + 0.6), data.z_score(image), atol=1e-5)


def test_four_grey_values_matched_by_hand():
    match = data.match_histogram([np.array([10.0, 20, 30, 40])[:, None]])
    for source, expected in [([1, 1, 2, 9], [20, 20, 30, 40]), ([1, 2, 3, 4], [10, 20, 30, 40])]:
        image = np.array(source, "float32")[:, None]
        assert match(image, None, np.random.default_rng(0))[0][:, 0].tolist() == expected


def test_a_thousand_voxels_in_millilitres():
    grid = data.Grid.from_spacing((10, 10, 10), (0.9, 0.9, 3))
    assert abs(np.linalg.det(grid.affine[:3, :3])) == pytest.approx(2.43)
    assert 1000 * np.prod(grid.spacing) / 1000 == pytest.approx(2.43)  # ml
