import logging
import warnings
from functools import partial

import numpy as np
import pytest

from medseg_tf.data import Case, Grid, Patches, Scan, window, z_score, z_score_inside
from medseg_tf.data.patches import cut
from medseg_tf.errors import ConfigError, LabelError


def case(label, channels=1, classes=2, instances=False, subject="a", image=None):
    label = np.asarray(label)
    grid = Grid(label.shape, units="pixel")
    image = np.repeat(label[..., None], channels, -1) if image is None else image
    return Case(subject, Scan(image, grid), Scan(label, grid), classes, instances)


def ramp(*shape):
    """A label with every voxel's flat index as its object number, from 1."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape)


def same(image):
    return image


def square(shape=(12, 12)):
    label = np.zeros(shape, "uint8")
    label[tuple(slice(2, 5) for _ in shape)] = 1
    return label


@pytest.mark.parametrize("shape", [(12, 12), (12, 10, 9)])
def test_a_batch_has_the_shapes_and_types_of_the_contract_in_2d_and_3d(shape):
    patches = Patches([case(square(shape), channels=3)], 8, 4, output=6, weights=np.ones_like)
    x, y, w = patches[0]
    rank = len(shape)
    assert (x.shape, x.dtype) == ((4, *(8,) * rank, 3), "float32")
    assert (y.shape, y.dtype) == ((4, *(6,) * rank), "int32")
    assert (w.shape, w.dtype) == ((4, *(6,) * rank), "float32")


def test_without_weights_a_batch_is_a_pair():
    assert len(Patches([case(square())], 4, 2)[0]) == 2


def test_image_and_label_are_cut_at_the_same_place():
    patches = Patches([case(square())], 5, 16, normalize=same, balance=0)
    x, y = patches[0]
    np.testing.assert_array_equal(x[..., 0], y)


def test_the_label_crop_is_the_middle_of_the_image_crop():
    patches = Patches([case(square())], 8, 4, output=4, normalize=same)
    x, y = patches[0]
    np.testing.assert_array_equal(x[:, 2:6, 2:6, 0], y)


@pytest.mark.parametrize("start, size", [(-3, 5), (4, 9), (-9, 25), (1, 3)])
def test_a_window_that_leaves_the_array_is_mirrored_as_numpy_pads(start, size):
    array = np.arange(12).reshape(6, 2)
    padded = np.pad(array, ((30, 30), (30, 30)), mode="reflect")
    expected = padded[30 + start : 30 + start + size, 30 - 1 : 30 + 3]
    np.testing.assert_array_equal(cut(array, (start, -1), (size, 4)), expected)


def test_an_axis_of_one_voxel_is_repeated():
    np.testing.assert_array_equal(cut(np.array([[7], [8]]), (0, -1), (2, 3)), [[7] * 3, [8] * 3])


def test_the_label_window_stays_inside_an_image_that_is_large_enough():
    patches = Patches([case(ramp(9, 9), instances=True)], 8, 64, output=4, normalize=same)
    x, _ = patches[0]
    first = x[:, 2, 2, 0] - 1  # flat index of the label window's first voxel
    assert first.min() == 0 and (first % 9).max() == 5 and (first // 9).max() == 5


def test_an_image_smaller_than_the_patch_lies_in_its_middle_and_is_mirrored():
    patches = Patches([case([[1, 0], [0, 0]])], 4, 1, normalize=same)
    expected = np.pad([[1, 0], [0, 0]], 1, mode="reflect")
    np.testing.assert_array_equal(patches[0][1][0], expected)


def test_images_smaller_than_the_patch_are_logged_once(caplog):
    with caplog.at_level(logging.INFO, "medseg_tf"):
        patches = Patches([case(square((3, 9))), case(square((3, 9)))], 6, 1)
        patches[0], patches[1]
    assert [r.getMessage()[:30] for r in caplog.records] == ["2 of 2 images are smaller than"]


def test_balance_1_centres_every_patch_on_foreground():
    label = np.zeros((41, 41), "uint8")
    label[20, 20] = 1
    _, y = Patches([case(label)], 5, 32, balance=1)[0]
    assert (y[:, 2, 2] == 1).all()


def test_balance_draws_classes_and_not_voxels_equally():
    label = np.zeros((60, 60), "uint8")
    label[5:55, 5:30] = 1
    label[30, 45] = 2
    other = np.where(label == 2, 0, label)
    cases = [case(label, classes=3)] + [case(other, classes=3)] * 5
    _, y = Patches(cases, 3, 400, balance=1)[0]
    assert 150 < (y[:, 1, 1] == 2).sum() < 250


def test_balance_0_centres_patches_anywhere():
    label = np.zeros((40, 40), "uint8")
    label[20, 20] = 1
    _, y = Patches([case(label)], 3, 64, balance=0)[0]
    assert (y == 1).any(axis=(1, 2)).sum() <= 8


def test_a_patch_of_objects_is_parted_after_it_was_augmented():
    label = np.array([[1, 1, 2, 2]] * 4)

    def turn(image, label, rng):
        return np.rot90(image), np.rot90(label)

    _, y = Patches([case(label, instances=True)], 4, 1, augment=turn)[0]
    # Turned, object 2 lies on top; the row of it that touches object 1 becomes background.
    np.testing.assert_array_equal(y[0][:, 0], [1, 0, 1, 1])


def test_the_weight_map_sees_the_whole_augmented_patch_and_the_object_numbers():
    seen = []

    def weigh(label):
        seen.append(label)
        return label.astype("float32")

    def add_one(image, label, rng):
        return image, label + 1

    args = {"augment": add_one, "weights": weigh, "normalize": same}
    x, _, w = Patches([case(ramp(6, 6), instances=True)], 6, 1, output=4, **args)[0]
    np.testing.assert_array_equal(seen[0], x[0, ..., 0] + 1)
    np.testing.assert_array_equal(w[0], seen[0][1:5, 1:5])


def test_an_augmentation_in_place_leaves_the_case_alone():
    def wipe(image, label, rng):
        image[:], label[:] = 0, 0
        return image, label

    patches = Patches([case(square())], 12, 1, augment=wipe, normalize=same)
    patches[0]
    assert patches.images[0].sum() == patches.labels[0].sum() == 9


def test_images_are_normalised_once_and_whole():
    calls = []

    def normalize(image):
        calls.append(image.shape)
        return image / 2

    patches = Patches([case(square())], 4, 2, normalize=normalize)
    patches[0], patches[1]
    assert calls == [(12, 12, 1)] and patches.images[0].max() == 0.5


def noise(image, label, rng):
    return image + rng.normal(size=image.shape), label


def test_a_batch_depends_on_seed_epoch_and_index_alone():
    def batch(seed, epoch, index, warm=()):
        patches = Patches([case(square())], 4, 2, augment=noise, seed=seed)
        for other in warm:
            patches[other]
        patches.epoch = epoch
        return patches[index][0]

    np.testing.assert_array_equal(batch(1, 2, 3), batch(1, 2, 3, warm=(7, 3)))
    for other in [(0, 2, 3), (1, 0, 3), (1, 2, 0)]:
        assert not np.array_equal(batch(1, 2, 3), batch(*other))


def test_the_end_of_an_epoch_changes_the_draw():
    patches = Patches([case(square())], 4, 2, augment=noise)
    first = patches[0][0]
    patches.on_epoch_end()
    assert not np.array_equal(first, patches[0][0])


def test_an_epoch_covers_all_voxels_once_unless_steps_says_otherwise():
    cases = [case(square((12, 12))), case(square((12, 12)))]
    assert len(Patches(cases, 6, 3)) == 3  # 288 voxels in batches of 3 * 36 = 108
    assert len(Patches(cases, 64, 8)) == 1
    assert len(Patches(cases, 6, 3, steps=7)) == 7


def test_a_class_that_no_label_holds_is_warned_of_by_name():
    with pytest.warns(UserWarning, match="class 2 is in none of the 1 labels"):
        Patches([case(square(), classes=3)], 4, 1)


def test_cells_without_a_warning_are_one_foreground_class():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Patches([case(ramp(6, 6), instances=True)], 4, 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"cases": []}, "no cases"),
        ({"size": (4, 4, 4)}, r"size=\(4, 4, 4\), but the cases have 2 spatial axes"),
        ({"output": (2, 2, 2)}, "output="),
        ({"size": 0}, "size=0"),
        ({"output": 6}, "larger than size"),
        ({"output": 3}, "odd number. Use 4 or 2"),
        ({"batch": 0}, "batch=0"),
        ({"steps": 0}, "steps=0"),
        ({"balance": 1.5}, "balance=1.5"),
        ({"cases": [case(square()), case(square(), channels=2)]}, "2 channels"),
        ({"cases": [case(square()), case(square(), classes=3)]}, "3 classes"),
        ({"cases": [case(square()), case(square((4, 4, 4)))]}, "rank 3"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Patches(**{"cases": [case(square())], "size": 4, "batch": 1} | arguments)


def test_a_case_without_a_label_is_refused_by_name():
    unlabelled = Case("b17", Scan(np.zeros((4, 4, 1)), Grid((4, 4))))
    with pytest.raises(LabelError, match="case b17 has no label"):
        Patches([case(square()), unlabelled], 4, 1)


@pytest.mark.parametrize(
    "normalize, name",
    [
        (z_score, "z_score"),
        (z_score_inside, "z_score_inside"),
        (partial(window, high=240, low=-160), "window(high=240, low=-160)"),
        (partial(window, low=0, high=1), "window(high=1, low=0)"),
        (partial(pow, 2), "pow(2)"),
    ],
)
def test_the_config_names_the_normalisation_and_its_arguments(normalize, name):
    label = square()
    image = (100 * label[..., None] + 1).astype("float32")
    assert (
        Patches([case(label, image=image)], 8, 2, normalize=normalize).config["normalize"] == name
    )


def test_the_config_names_weights_made_with_partial_alike_in_every_run():
    def weigh(label, strength):
        return strength * (label > 0)

    configs = [
        Patches([case(square())], 8, 2, weights=partial(weigh, strength=3)).config for _ in range(2)
    ]
    assert configs[0] == configs[1] and configs[0]["weights"].endswith("weigh(strength=3)")
