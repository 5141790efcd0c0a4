"""Where a voxel lies, what a resized label holds, and how scores lie: numbers to check by hand."""

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from sklearn.neighbors import KNeighborsClassifier

from medseg_tf import data, metrics
from medseg_tf.data.resample import canonical_scan, resize

# Turned by 30 degrees about z, voxels of 1.5 x 2 x 3 mm, x mirrored.
TURNED = np.array(
    [[-1.2990, -1, 0, 10], [-0.75, 1.7321, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]]
)  # fmt: skip


def grid(shape=(2, 3, 4)):
    affine = np.eye(4)
    turn = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([-1.5, 2, 3])
    affine[:3, 3] = 10, -20, 5
    return data.Grid(shape, affine)


def test_spacing_and_axes_are_the_lengths_and_directions_of_the_affines_columns():
    np.testing.assert_allclose(grid().affine, TURNED, atol=1e-4)
    assert grid().spacing == pytest.approx([1.5, 2, 3])
    assert np.linalg.det(grid().affine) == pytest.approx(-9)  # mirrored: left-handed, and legal
    assert grid().axes == "LAS"


def test_a_voxel_lies_at_its_affine_times_its_index():
    place = grid().to_world((4, 3, 2))
    assert place == pytest.approx([1.8038, -17.8038, 11], abs=1e-4)
    assert grid().to_voxel(place) == pytest.approx([4, 3, 2])


def test_a_distance_counted_in_voxels_is_half_of_the_one_in_millimetres():
    voxels = np.array([(4, 3, 2), (10, 3, 6)])
    assert np.linalg.norm(np.diff(grid().to_world(voxels), axis=0)) == pytest.approx(15)
    assert np.linalg.norm(np.diff(voxels, axis=0)) == pytest.approx(7.2111, abs=1e-4)


def test_canonical_axes_point_right_front_and_up_and_a_tilted_scan_stays_tilted():
    array = np.arange(24).reshape(2, 3, 4, 1)
    scan = canonical_scan(data.Scan(array, grid()))
    expected = [[1.299, -1, 0, 8.701], [0.75, 1.732, 0, -20.75], [0, 0, 3, 5], [0, 0, 0, 1]]
    np.testing.assert_allclose(scan.grid.affine, expected, atol=1e-3)
    assert scan.grid.axes == "RAS" and scan.grid.shape == (2, 3, 4)
    np.testing.assert_array_equal(scan.array, array[::-1])


def test_a_voxel_keeps_its_place_when_the_axes_are_put_in_order():
    array = np.arange(24).reshape(2, 3, 4, 1)
    before = data.Scan(array, grid())
    after = canonical_scan(before)
    for number in (0, 7, 23):
        places = [
            scan.grid.to_world(np.argwhere(scan.array[..., 0] == number)[0])
            for scan in (before, after)
        ]
        np.testing.assert_allclose(*places)


def test_a_file_without_an_affine_is_given_an_invented_one_with_x_mirrored(tmp_path, caplog):
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), "uint8"), None), tmp_path / "a.nii")
    header = nib.load(tmp_path / "a.nii").header
    assert (header["qform_code"], header["sform_code"]) == (0, 0)
    scan = data.Scan.read(tmp_path / "a.nii")
    np.testing.assert_allclose(np.diag(scan.grid.affine), [-1, 1, 1, 1])
    assert scan.grid.to_world((0, 0, 0)) == pytest.approx([1.5, -2, -2.5])
    assert scan.grid.axes == "LAS"
    assert "orientation unknown" in caplog.text


def test_linear_interpolation_of_a_label_invents_a_class_and_nearest_neighbour_does_not():
    label = np.pad(np.full((4, 4), 2), 2)
    linear = np.rint(resize(label[..., None], (6, 6))[..., 0]).astype(int)
    assert np.bincount(linear.ravel()).tolist() == [24, 8, 4]
    assert np.unique(resize(label, (6, 6), is_label=True)).tolist() == [0, 2]


@pytest.mark.parametrize(
    "radius, dice, iou",
    [
        (2, 0.6154, 0.4444),
        (4, 0.8163, 0.6897),
        (8, 0.9137, 0.8411),
        (16, 0.9586, 0.9205),
        (30, 0.9784, 0.9577),
    ],
)
def test_a_shift_by_one_pixel_costs_a_small_disc_more_than_a_large_one(radius, dice, iou):
    rows, columns = np.indices((80, 80)) - 40
    disc = rows**2 + columns**2 <= radius**2
    shifted = np.roll(disc, 1, axis=1)
    assert metrics.dice(disc, shifted)[1] == pytest.approx(dice, abs=5e-5)
    assert metrics.iou(disc, shifted)[1] == pytest.approx(iou, abs=5e-5)
    assert metrics.hausdorff(disc, shifted)[1] == 1


def masks(sizes):
    """Truth and prediction of so many pixels each, sharing some."""
    truth, prediction, shared = sizes
    line = np.arange(300)
    return line < truth, (line >= truth - shared) & (line < truth - shared + prediction)


def test_a_mean_over_cases_and_a_pool_of_their_voxels_answer_different_questions():
    pairs = [masks((100, 100, 95)), masks((4, 4, 1))]
    each = [metrics.dice(*pair)[1] for pair in pairs]
    assert each == pytest.approx([0.95, 0.25]) and np.mean(each) == pytest.approx(0.6)
    pooled = metrics.dice(*(np.concatenate(side) for side in zip(*pairs, strict=True)))[1]
    assert pooled == pytest.approx(2 * 96 / 208) == pytest.approx(0.9231, abs=5e-5)


def test_dice_is_twice_the_iou_over_one_more_than_the_iou():
    for sizes in [(100, 100, 95), (4, 4, 1), (9, 30, 5)]:
        dice, iou = (score(*masks(sizes))[1] for score in (metrics.dice, metrics.iou))
        assert dice == pytest.approx(2 * iou / (1 + iou))


def test_predicting_nothing_has_99_percent_accuracy_where_the_object_is_one_percent():
    truth = np.arange(1000) < 10
    nothing = np.zeros(1000, bool)
    assert metrics.pixel_accuracy(truth, nothing) == pytest.approx(0.99)
    assert metrics.dice(truth, nothing)[1] == 0


def test_a_window_of_centre_40_and_width_400_cuts_off_at_its_ends():
    hounsfield = np.array([-1000, -160, 40, 240, 1000])
    share = (data.window(hounsfield, low=-160, high=240) + 1) / 2
    assert share == pytest.approx([0, 0, 0.5, 1, 1])


def subject(rng, slices=6, side=28):
    """Features (slices, pixels, 5) and labels of a subject whose slices share their background."""

    def field(width):
        noise = gaussian_filter(rng.normal(size=(side, side)), width)
        return noise / noise.std()

    background = 0.8 * field(6) + 0.5 * field(1.5)
    centre, radius = rng.uniform(0.3, 0.7, 2) * side, rng.uniform(6, 11) * side / 48
    place = np.indices((side, side))
    label = np.hypot(*(place - centre[:, None, None])) < radius
    features = []
    for _ in range(slices):
        grey = background + 0.35 * label + 0.15 * rng.normal(size=label.shape)
        maps = [grey, gaussian_filter(grey, 1), gaussian_filter(grey, 3), *(place / side)]
        features.append(np.stack(maps, -1).reshape(-1, 5))
    return np.array(features), np.array([label.ravel()] * slices)


def test_a_model_that_remembers_scores_far_better_on_slices_of_subjects_it_has_seen():
    subjects = [subject(rng) for rng in np.random.default_rng(0).spawn(8)]
    x, y = (np.concatenate(side) for side in zip(*subjects, strict=True))
    owner = np.repeat(np.arange(8), 6)
    scores = []
    for known in (np.arange(48) % 2 == 0, owner % 2 == 0):  # every other slice, every other subject
        pixels, classes = np.concatenate(x[known])[::3], np.concatenate(y[known])[::3]
        model = KNeighborsClassifier(5).fit(pixels, classes)
        found = [model.predict(one) for one in x[~known]]
        each = [metrics.dice(t, f)[1] for t, f in zip(y[~known], found, strict=True)]
        scores.append(np.mean(each))
    by_slice, by_subject = scores
    assert by_slice > 0.65 and by_subject < 0.5
