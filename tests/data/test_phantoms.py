import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu

from medseg_tf.data import phantoms, separate
from medseg_tf.data.phantoms.hippocampus import averaged
from medseg_tf.data.phantoms.membranes import processes
from medseg_tf.errors import ConfigError

NAMES = ["cells", "hippocampus", "membranes", "skin_lesions"]
CELLS = phantoms.cells(4)
HIPPOCAMPI = phantoms.hippocampus(8)
MEMBRANES = phantoms.membranes(4)
LESIONS = phantoms.skin_lesions(12)


def same(one, other):
    return np.array_equal(one.image.array, other.image.array) and np.array_equal(
        one.label.array, other.label.array
    )


@pytest.mark.parametrize("name", NAMES)
def test_case_i_of_a_seed_does_not_depend_on_how_many_are_asked_for(name):
    simulate = getattr(phantoms, name)
    few, many = simulate(1, seed=3, size=40), simulate(3, seed=3, size=40)
    assert same(few[0], many[0])
    assert not same(many[0], many[1])
    assert not same(simulate(1, seed=4, size=40)[0], few[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_generator_is_as_good_as_its_seed(name):
    simulate = getattr(phantoms, name)
    assert same(
        simulate(1, seed=5, size=32)[0], simulate(1, seed=np.random.default_rng(5), size=32)[0]
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [8, 33, 70])
def test_images_of_any_size_are_unsigned_with_channels_and_a_label_of_whole_numbers(name, size):
    (case,) = getattr(phantoms, name)(1, size=size)
    rank, dtype = (3, "uint16") if name == "hippocampus" else (2, "uint8")
    channels = 3 if name == "skin_lesions" else 1
    assert (case.image.array.shape, case.image.array.dtype) == ((*(size,) * rank, channels), dtype)
    assert case.label.array.shape == (size,) * rank
    assert case.label.array.dtype.kind in "iu"


@pytest.mark.parametrize("cases", [CELLS, HIPPOCAMPI, MEMBRANES, LESIONS], ids=NAMES)
def test_grey_values_are_spread_and_hardly_ever_cut_off(cases):
    for case in cases:
        image = case.image.array
        assert image.std() > 12
        assert np.isin(image, [0, np.iinfo(image.dtype).max]).mean() < 0.01


@pytest.mark.parametrize("cases", [CELLS, HIPPOCAMPI, MEMBRANES, LESIONS], ids=NAMES)
def test_every_image_is_a_subject_of_its_own(cases):
    assert len({case.subject for case in cases}) == len(cases)


def test_pixels_have_a_size_in_micrometres():
    assert CELLS[0].image.grid.units == MEMBRANES[0].image.grid.units == "um"
    assert CELLS[0].image.grid.spacing == pytest.approx([0.65, 0.65])
    assert MEMBRANES[0].image.grid.spacing == pytest.approx([0.004, 0.004])


def test_cells_are_numbered_from_one_without_gaps_and_each_is_in_one_piece():
    for case in CELLS:
        label = case.label.array
        assert case.instances and case.classes == 2
        assert np.unique(label).tolist() == list(range(label.max() + 1))
        assert all(ndimage.label(label == n)[1] == 1 for n in range(1, label.max() + 1))
        assert np.bincount(label.ravel()).min() >= 30


def test_about_half_of_an_image_is_some_twenty_to_forty_packed_cells():
    for case in CELLS:
        assert 20 <= case.label.array.max() <= 40
        assert 0.4 < (case.label.array > 0).mean() < 0.65


def test_some_neighbours_touch_and_most_are_at_most_two_pixels_apart():
    touching, close, total = 0, 0, 0
    for case in CELLS:
        label = case.label.array
        touching += (separate(label) != (label > 0)).sum()
        for number in range(1, label.max() + 1):
            distance = ndimage.distance_transform_edt(label != number)
            close += distance[(label > 0) & (label != number)].min() <= 3
            total += 1
    assert touching > 20
    assert close > 0.8 * total


def found(label, components):
    """Share of cells that some component covers with an intersection over union above 1/2."""
    hits = 0
    for number in range(1, label.max() + 1):
        cell = label == number
        component = components == np.bincount(components[cell]).argmax()
        hits += (cell & component).sum() > 0.5 * (cell | component).sum()
    return hits / label.max()


def test_a_threshold_finds_fewer_than_two_thirds_of_the_cells():
    shares = []
    for case in CELLS:
        image = case.image.array[..., 0]
        dark = ndimage.label(image < threshold_otsu(image))[0]
        shares.append(found(case.label.array, dark))
    assert np.mean(shares) < 2 / 3
    assert found(CELLS[0].label.array, CELLS[0].label.array) == 1


def test_membranes_take_a_bit_over_a_fifth_of_the_image():
    shares = [(case.label.array == 0).mean() for case in MEMBRANES]
    assert 0.17 < min(shares) and max(shares) < 0.28
    assert not MEMBRANES[0].instances and MEMBRANES[0].classes == 2


def test_membranes_are_darker_than_interiors_but_overlap_them_in_grey_values():
    for case in MEMBRANES:
        image, label = case.image.array[..., 0].astype(float), case.label.array
        apart = image[label == 1].mean() - image[label == 0].mean()
        spread = image[label == 1].std() + image[label == 0].std()
        assert 0.3 * spread < apart < 1.2 * spread


def test_no_two_processes_lie_side_by_side_without_a_membrane():
    owner, depth = processes(np.random.default_rng(0), (64, 64))
    components, count = ndimage.label(depth > 1.4)  # the thinnest membrane there is
    assert count > 3
    for component in range(1, count + 1):
        assert len(np.unique(owner[components == component])) == 1


def centre(mask):
    return np.argwhere(mask).mean(0)


def test_a_hippocampus_takes_three_to_five_percent_in_one_piece_that_lies_in_the_middle():
    shares = []
    for case in HIPPOCAMPI:
        hippocampus = case.label.array > 0
        shares.append(hippocampus.mean())
        pieces = np.bincount(ndimage.label(hippocampus)[0][hippocampus])
        assert pieces.max() > 0.99 * pieces.sum()
        assert np.abs(centre(hippocampus) - [19.5, 27.5, 19.5]).max() < 5
        assert not case.instances and case.classes == 3
    assert 0.02 < min(shares) and max(shares) < 0.06
    assert 0.03 < np.mean(shares) < 0.05


def test_the_anterior_part_is_thicker_and_lies_in_front_below_a_tail_that_rises_medially():
    for case in HIPPOCAMPI:
        anterior, posterior = (case.label.array == k for k in (1, 2))
        assert centre(anterior)[1] > centre(posterior)[1] + 12
        assert centre(anterior)[2] < centre(posterior)[2] - 3
        sections = [(part.sum() / part.any((0, 2)).sum()) for part in (anterior, posterior)]
        assert sections[0] > 1.2 * sections[1]
    tails, middles = [], []
    for case in HIPPOCAMPI:
        along = np.argwhere(case.label.array > 0)
        steps = along[:, 1] - along[:, 1].min()
        tails.append(along[steps < 5].mean(0))
        middles.append(along[(steps > 12) & (steps < 20)].mean(0))
    rise = np.mean(tails, 0) - np.mean(middles, 0)
    assert rise[0] > 2 and rise[2] > 5


def test_a_cut_across_parts_anterior_from_posterior_behind_the_front_third():
    for case in HIPPOCAMPI:
        anterior, posterior = (np.argwhere(case.label.array == k)[:, 1] for k in (1, 2))
        both = np.r_[anterior, posterior]
        overlap = (posterior > np.quantile(anterior, 0.05)).mean()
        assert overlap < 0.1
        cut = (both.max() - (anterior.min() + posterior.max()) / 2) / np.ptp(both)
        assert 0.25 < cut < 0.6


def best_interval(image, mask):
    """The best Dice that a lower and an upper threshold on grey values reach."""
    edges = np.quantile(image, np.linspace(0, 1, 80))
    found = np.r_[0, np.histogram(image[mask], edges)[0].cumsum()]
    called = np.r_[0, np.histogram(image, edges)[0].cumsum()]
    low, high = np.triu_indices(len(edges), 1)
    return (2 * (found[high] - found[low]) / (called[high] - called[low] + mask.sum())).max()


def test_no_pair_of_thresholds_finds_the_hippocampus():
    for case in HIPPOCAMPI:
        assert best_interval(case.image.array[..., 0], case.label.array > 0) < 0.4
    flat = np.where(HIPPOCAMPI[0].label.array > 0, 50.0, np.arange(40) + 0.5)
    assert best_interval(flat, HIPPOCAMPI[0].label.array > 0) > 0.6


def test_the_grey_scale_of_each_mr_image_is_its_own():
    medians = [np.median(case.image.array) for case in HIPPOCAMPI]
    assert max(medians) > 4 * min(medians)


def test_a_hippocampus_lies_left_of_the_middle_of_the_head_in_mm():
    for case in HIPPOCAMPI:
        grid = case.image.grid
        assert grid.units == "mm" and grid.spacing == pytest.approx([1, 1, 1])
        place = grid.affine @ [*centre(case.label.array > 0), 1]
        assert np.abs(place[:3] - [-27, -21, -13]).max() < 9


def test_spacing_changes_how_finely_the_same_brain_is_sampled():
    (fine,) = phantoms.hippocampus(1, seed=2, size=(40, 56, 40))
    (thick,) = phantoms.hippocampus(1, seed=2, size=(40, 56, 10), spacing=(1, 1, 4))
    assert thick.image.grid.spacing == pytest.approx([1, 1, 4])
    whole = averaged(fine.label.array > 0, (1, 1, 4))
    clear = whole != 0.5
    np.testing.assert_array_equal((thick.label.array > 0)[clear], (whole > 0.5)[clear])
    middles = [
        case.image.grid.affine @ [*(np.array(case.image.grid.shape) - 1) / 2, 1]
        for case in (fine, thick)
    ]
    np.testing.assert_allclose(*middles)


def test_a_lesion_is_one_piece_without_holes_of_a_fiftieth_to_half_of_the_picture():
    shares = []
    for case in LESIONS:
        lesion = case.label.array == 1
        shares.append(lesion.mean())
        assert ndimage.label(lesion)[1] == 1
        np.testing.assert_array_equal(ndimage.binary_fill_holes(lesion), lesion)
        assert not case.instances and case.classes == 2
    assert 0.02 < min(shares) < 0.1 and 0.2 < max(shares) < 0.5


def ring(mask, low, high):
    """Pixels so far (in pixels) outside a mask."""
    distance = ndimage.distance_transform_edt(~mask)
    return (low < distance) & (distance <= high)


def test_lesions_are_darker_than_the_skin_around_them_some_much_and_some_hardly():
    contrasts = []
    for case in LESIONS:
        lesion, grey = case.label.array == 1, case.image.array.mean(-1)
        contrasts.append(np.median(grey[ring(lesion, 3, 12)]) - np.median(grey[lesion]))
    assert 8 < min(contrasts) < 35 and max(contrasts) > 60


def test_lesions_absorb_blue_more_than_red_and_differ_in_colour_within_and_between():
    ratios = [
        case.image.array[case.label.array == 1].astype(float) @ [1, 0, 0]
        / (case.image.array[case.label.array == 1].astype(float) @ [0, 0, 1] + 1)
        for case in LESIONS
    ]  # fmt: skip
    middles = [np.median(ratio) for ratio in ratios]
    assert np.mean(middles) > 1.3 and max(middles) > 1.3 * min(middles)
    assert np.mean([np.std(ratio) / np.mean(ratio) for ratio in ratios]) > 0.1


def test_a_threshold_finds_most_of_the_lesions_but_takes_rims_and_hairs_for_lesion():
    scores = []
    for case in LESIONS:
        grey, lesion = case.image.array.mean(-1), case.label.array == 1
        dark = grey < threshold_otsu(grey)
        scores.append(2 * (dark & lesion).sum() / (dark.sum() + lesion.sum()))
    assert 0.5 < np.mean(scores) < 0.8
    assert min(scores) < 0.5 and max(scores) > 0.85


def test_a_longer_side_of_more_pixels_shows_the_same_lesion_more_finely():
    (coarse,), (fine,) = (phantoms.skin_lesions(1, seed=3, size=s) for s in [(72, 96), (144, 192)])
    assert fine.image.grid.units == "mm"
    assert coarse.image.grid.spacing == pytest.approx(2 * fine.image.grid.spacing)
    assert fine.image.grid.spacing * 192 == pytest.approx([15, 15])
    other = coarse.label.array.repeat(2, 0).repeat(2, 1)
    assert (other == fine.label.array).mean() > 0.97


@pytest.mark.parametrize("wrong", [0, (9, 9, 9), (3, -1)])
def test_a_size_that_no_picture_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"skin_lesions\(size="):
        phantoms.skin_lesions(1, size=wrong)


@pytest.mark.parametrize("wrong", [dict(size=0), dict(size=(9, 9)), dict(spacing=(1, 1, -1))])
def test_a_size_or_spacing_that_no_volume_has_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"hippocampus\\({next(iter(wrong))}="):
        phantoms.hippocampus(1, **wrong)
