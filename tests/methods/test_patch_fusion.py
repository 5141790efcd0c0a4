import numpy as np
import pytest

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods import patch_fusion
from medseg_tf.metrics import dice


def by_loop(target, atlases, labels, classes, patch, search, threshold, eps):
    """The same, voxel by voxel and patch by patch."""
    rank, half, reach = target.ndim, patch // 2, search // 2

    def at(image, place):
        wide = np.pad(image, half, mode="reflect")
        return wide[tuple(slice(i, i + patch) for i in place)].ravel()

    result = np.zeros((*target.shape, classes))
    for place in np.ndindex(*target.shape):
        own, found = at(target, place), []
        for atlas, label in zip(atlases, labels, strict=True):
            for step in np.ndindex(*(search,) * rank):
                there = tuple(np.add(place, step) - reach)
                if min(there) < 0 or any(i >= n for i, n in zip(there, target.shape, strict=True)):
                    continue
                other = at(atlas, there)
                m, n, s, t = own.mean(), other.mean(), own.std(), other.std()
                alike = 2 * m * n / (m**2 + n**2) * 2 * s * t / (s**2 + t**2)
                found.append((((own - other) ** 2).sum(), alike > threshold, label[there]))
        votes = [(d, y) for d, passes, y in found if passes]
        if not votes:
            result[(*place, min(found)[2])] = 1
            continue
        h = min(votes)[0] + eps
        weights = np.exp([-d / h for d, _ in votes])
        for weight, (_, y) in zip(weights / weights.sum(), votes, strict=True):
            result[(*place, y)] += weight
    return result


@pytest.mark.parametrize("threshold", [0.0, 0.9, 1.01])
@pytest.mark.parametrize("shape", [(6, 7), (4, 4, 5)])
def test_it_is_the_vote_of_all_patches_taken_one_by_one(shape, threshold):
    rng = np.random.default_rng(0)
    images = rng.random((3, *shape))
    labels = rng.integers(0, 3, (2, *shape))
    options = dict(classes=3, patch=3, search=3, threshold=threshold, eps=1e-4)
    found = patch_fusion(images[0][..., None], list(images[1:, ..., None]), list(labels), **options)
    expected = by_loop(images[0], images[1:], labels, **options)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_target_that_is_an_atlas_moved_takes_over_its_label():
    rng = np.random.default_rng(0)
    image, label = rng.random((12, 12)), rng.integers(0, 2, (12, 12))
    moved = [np.roll(image, 1, 0)[..., None], rng.random((12, 12, 1))]
    labels = [np.roll(label, 1, 0), rng.integers(0, 2, (12, 12))]
    found = patch_fusion(image[..., None], moved, labels, patch=3, search=3)
    np.testing.assert_array_equal(found.argmax(-1)[1:-2], label[1:-2])


def test_without_eps_a_scale_of_all_grey_values_changes_nothing():
    rng = np.random.default_rng(0)
    images, labels = rng.random((3, 9, 9, 1)), list(rng.integers(0, 2, (2, 9, 9)))
    options = dict(patch=3, search=3, eps=0)
    once = patch_fusion(images[0], list(images[1:]), labels, **options)
    twice = patch_fusion(2 * images[0], list(2 * images[1:]), labels, **options)
    np.testing.assert_allclose(once, twice, atol=1e-6)


def test_only_the_nearest_atlases_are_looked_at():
    rng = np.random.default_rng(0)
    image = rng.random((9, 9, 1))
    atlases = [1 - image, image]
    labels = [np.ones((9, 9), int), np.zeros((9, 9), int)]
    found = patch_fusion(image, atlases, labels, patch=3, search=3, threshold=0, nearest=1)
    assert (found[..., 0] == 1).all()


def test_it_beats_the_majority_of_the_atlases_labels():
    cases = phantoms.brain_regions(6, seed=0, size=(48, 56), spacing=2)
    images = [np.clip(case.image.array, 0, None) for case in cases]
    labels = [case.label.array for case in cases]
    found = patch_fusion(images[0], images[1:], labels[1:], classes=6, patch=5, search=7)
    majority = np.mean([np.eye(6)[label] for label in labels[1:]], axis=0)
    scores = [dice(labels[0], one.argmax(-1), classes=6)[1:].mean() for one in (found, majority)]
    assert scores[0] > scores[1]


def test_grids_sizes_and_grey_values_that_do_not_fit_are_refused():
    image, label = np.ones((9, 9, 1)), np.ones((9, 9), int)
    with pytest.raises(GeometryError, match="1 atlases"):
        patch_fusion(image, [image[1:]], [label])
    with pytest.raises(GeometryError, match=r"images are \(\*spatial, 1\)"):
        patch_fusion(image[..., 0], [image[..., 0]], [label])
    with pytest.raises(ConfigError, match="patch=4"):
        patch_fusion(image, [image], [label], patch=4)
    with pytest.raises(ConfigError, match="too small"):
        patch_fusion(image, [image], [label], search=21)
    with pytest.raises(ConfigError, match="grey values from -1"):
        patch_fusion(image - 2, [image], [label], search=3)
