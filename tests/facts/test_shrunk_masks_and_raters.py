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


def shares(mask, factor):
    """Share of the mask in each pixel of a grid `factor` times as coarse."""
    return mask.reshape(SIDE // factor, factor, SIDE // factor, factor).mean(axis=(1, 3))


def by_shares(mask, factor):
    return resize(shares(mask, factor)[..., None], mask.shape)[..., 0] >= 0.5


def by_nearest(mask, factor):
    return resize((shares(mask, factor) >= 0.5).astype(int), mask.shape, is_label=True) > 0


def dice(one, other):
    return float(metrics.dice(one, other)[1])


def off(one, other):
    """Mean distance of two borders in pixels."""
    return float(metrics.assd(one, other)[1])


@pytest.mark.parametrize(
    "radius, factor, nearest, linear, pixels",
    [
        (8, 2, 0.945, 0.992, 0.07),
        (8, 4, 0.886, 0.968, 0.27),
        (8, 8, 0.746, 0.834, 1.2),
        (20, 2, 0.977, 0.998, 0.05),
        (20, 4, 0.953, 0.992, 0.19),
        (20, 8, 0.904, 0.974, 0.56),
        (60, 2, 0.993, 0.999, 0.05),
        (60, 4, 0.984, 0.997, 0.18),
        (60, 8, 0.968, 0.994, 0.43),
    ],
)
def test_a_disc_hardly_suffers_unless_it_is_small(radius, factor, nearest, linear, pixels):
    rng = np.random.default_rng(0)
    discs = [disc(radius, 127.5 + rng.uniform(-4, 4, 2)) for _ in range(20)]
    tolerance = 0.005 if radius > factor else 0.04  # a disc of two pixels: it depends where it is
    for shrink, expected in ((by_nearest, nearest), (by_shares, linear)):
        found = np.mean([dice(one, shrink(one, factor)) for one in discs])
        assert found == pytest.approx(expected, abs=tolerance)
    found = np.mean([off(one, by_shares(one, factor)) for one in discs])
    assert found == pytest.approx(pixels, abs=0.04)


@pytest.mark.parametrize("factor, pixels", [(2, 0.39), (4, 0.82), (8, 1.7)])
@pytest.mark.parametrize("radius", [20, 60])
def test_the_nearest_pixels_border_is_off_by_a_fifth_of_the_factor(factor, pixels, radius):
    rng = np.random.default_rng(0)
    discs = [disc(radius, 127.5 + rng.uniform(-4, 4, 2)) for _ in range(20)]
    found = np.mean([off(one, by_nearest(one, factor)) for one in discs])
    assert found == pytest.approx(pixels, abs=0.05) and 0.19 < found / factor < 0.22


@pytest.mark.parametrize("factor, nearest, linear", [(2, 0.79, 0.84), (4, 0.52, 0), (8, 0, 0)])
def test_a_line_two_pixels_wide_vanishes(factor, nearest, linear):
    found = [dice(line(), shrink(line(), factor)) for shrink in (by_nearest, by_shares)]
    assert found == pytest.approx([nearest, linear], abs=0.02)


def read(rng, radius, sd):
    """A disc as a rater draws it: smooth errors of the radius."""
    errors = gaussian_filter1d(rng.normal(size=360), 8, mode="wrap")
    rows, columns = grid((127.5, 127.5))
    angle = (np.degrees(np.arctan2(rows, columns)).astype(int)) % 360
    return np.hypot(rows, columns) <= radius + (sd * errors / errors.std())[angle]


@pytest.mark.parametrize("radius, sd", [(20, 1), (20, 2), (10, 2), (40, 1)])
def test_two_raters_agree_by_their_errors_over_the_radius(radius, sd):
    rng, truth = np.random.default_rng(0), disc(radius)
    pairs = [(read(rng, radius, sd), read(rng, radius, sd)) for _ in range(20)]
    between = np.mean([dice(*pair) for pair in pairs])
    assert between == pytest.approx(1 - 2 / np.sqrt(np.pi) * sd / radius, abs=0.006)
    # Independent errors add up: to the truth a rater is nearer, by a root of two.
    alone = np.mean([dice(one, truth) for one, _ in pairs])
    assert (1 - between) / (1 - alone) == pytest.approx(np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("radius, expected", [(20, 0.9500), (10, 0.9002)])
def test_a_habit_of_one_pixel_of_radius_costs_a_small_disc_more(radius, expected):
    less, more = radius - 0.5, radius + 0.5
    assert 2 * less**2 / (less**2 + more**2) == pytest.approx(expected, abs=5e-5)
    assert dice(disc(less), disc(more)) == pytest.approx(expected, abs=0.01)


def noisy(share, rng, count=100_000):
    """Foreground 1, then background 0, in noise of .1: (count, 1)."""
    values = (np.arange(count) < share * count) + rng.normal(0, 0.1, count)
    return values[:, None].astype("float32")


def test_histogram_matching_imposes_the_references_share_of_foreground():
    rng = np.random.default_rng(0)
    match = data.match_histogram([noisy(0.307, rng)])
    matched, _ = match(noisy(0.077, rng), None, rng)
    assert np.mean(matched > 0.5) == pytest.approx(0.307, abs=1e-3)
    assert matched[7_700:].mean() == pytest.approx(0.238, abs=2e-3)  # of true background


@pytest.mark.parametrize("share, bright, dark", [(0.307, 1.47, -0.65), (0.077, 3.24, -0.27)])
def test_a_z_score_depends_on_how_much_foreground_there_is(share, bright, dark):
    scored = data.z_score(noisy(share, np.random.default_rng(0)))
    cut = round(100_000 * share)
    assert (scored[:cut].mean(), scored[cut:].mean()) == pytest.approx((bright, dark), abs=0.01)
    share_of_variance = share * (1 - share) / (share * (1 - share) + 0.1**2)
    without_noise = np.sqrt((1 - share) / share)
    assert bright == pytest.approx(without_noise * np.sqrt(share_of_variance), abs=0.01)


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
