"""JULE, Yang 2016; Moriya 2018; Otsu 1979, Lloyd 1982; matching clusters to classes."""

import numpy as np
import pytest
from counting import build

from medseg_tf.data import phantoms
from medseg_tf.methods import (
    affinity,
    cluster_affinity,
    k_means,
    merge_loss,
    merge_schedule,
    multi_otsu,
    triplet_loss,
)
from medseg_tf.methods.jule import triplet
from medseg_tf.metrics import match_clusters, nmi
from medseg_tf.models import patch_encoder

FIVE = np.array([[0.0], [1], [2], [10], [11]])
TRUTH = np.repeat([0, 1, 2], 4)
FOUND = np.array([2, 2, 2, 1, 0, 0, 0, 0, 1, 1, 1, 0])


def test_edges_of_five_points_on_a_line():
    weights = affinity(FIVE, 2).toarray()
    assert -1 / np.log(weights[0, 1]) == pytest.approx(15.9)
    edges = {(0, 1): 0.9390, (0, 2): 0.7776, (3, 4): 0.9390, (3, 2): 0.0179, (4, 2): 0.0061}
    for (i, j), weight in edges.items():
        assert weights[i, j] == pytest.approx(weight, abs=5e-5)
    assert weights[2, 3] == 0


def test_affinities_of_five_points_and_a_one_way_edge_that_counts_nothing():
    weights = affinity(FIVE, 2)
    single = cluster_affinity(weights, np.arange(5))
    for i, j in ((0, 1), (1, 2), (3, 4)):
        assert single[i, j] == single[j, i] == pytest.approx(1.763607, abs=1e-6)
    pairs = cluster_affinity(weights, np.array([0, 0, 1, 2, 2]))
    assert pairs[0, 1] == pytest.approx(2.223127, abs=1e-6)
    assert cluster_affinity(weights, np.array([0, 0, 0, 1, 1])).max() == 0


def test_the_pair_that_stands_apart_merges_first_though_its_affinity_is_lower():
    rivals = [(0.5, 0.1, 0.1, 0.1, 0.1), (0.6, 0.58, 0.58, 0.58, 0.58)]
    assert merge_loss(rivals).tolist() == pytest.approx([-0.9, -0.62])


@pytest.mark.parametrize("pull, loss", [(1, 0), (2, 0.2)])
def test_a_triplet_by_hand(pull, loss):
    a, p, n = np.array([(1, 0), (0.8, 0.6), (0.6, 0.8)], "float32")
    near, far = ((a - p) ** 2).sum(), ((a - n) ** 2).sum()
    assert (near, far) == pytest.approx((0.4, 0.8))
    assert float(triplet(near, far, pull=pull)) == pytest.approx(loss, abs=1e-6)
    # In a batch p is an anchor too, and lies 0.08 from n.
    other = pull * 0.4 - 0.08 + 0.2
    batch = triplet_loss(np.array([0, 0, 1]), np.stack([a, p, n]), pull=pull)
    assert float(batch) == pytest.approx((loss + other) / 2, abs=1e-6)


def test_schedules():
    assert merge_schedule(250, 3, 0.9) == [250, 25, 3]
    assert merge_schedule(500, 10, 0.9) == [500, 50, 10]
    slow = [250, 200, 160, 128, 102, 81, 64, 51, 40, 32, 25, 20, 16, 12, 9, 7, 5, 4, 3]
    assert merge_schedule(250, 3, 0.2) == slow
    assert len(merge_schedule(500, 10, 0.2)) == 17 + 1
    assert merge_schedule(100, 40, 0.55) == [100, 45, 40]  # 0.55 * 100 is 55.00000000000001
    assert merge_schedule(3, 3) == [3]


def test_moriya_s_network_leaves_1350_numbers_and_has_848160_weights():
    model = build(patch_encoder)
    assert [model.get_layer(f"conv{n}").output.shape[1] for n in (1, 2, 3)] == [23, 7, 3]
    assert model.get_layer("flatten").output.shape[1] == 50 * 3**3 == 1350
    assert model.count_params() == 848_160
    counts = [model.get_layer(f"conv{n}").count_params() for n in (1, 2, 3)]
    assert counts == [6_300, 312_550, 312_550]
    trainable = sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)
    assert trainable == 847_860


@pytest.mark.parametrize(
    "options, flat, weights",
    [
        (dict(dense=(1350,)), 1350, 2_672_010),
        (dict(dense=(1350,), pool_after=3), 17_150, 24_002_010),
        (dict(input_shape=(28, 28, 1), maps=(50, 50)), 3_200, 576_410),
        (dict(input_shape=(15, 15, 15, 1), maps=(16,) * 3, kernel=3, dense=(64,), features=32),
         128, 24_832),
    ],
)  # fmt: skip
def test_other_readings_and_other_networks(options, flat, weights):
    model = build(patch_encoder, **options)
    assert model.get_layer("flatten").output.shape[1] == flat
    assert model.count_params() == weights


def between(values, threshold):
    """Otsu's variance between two classes."""
    low, high = values[values <= threshold], values[values > threshold]
    share = len(low) / len(values)
    return share * (1 - share) * (low.mean() - high.mean()) ** 2


def test_otsu_by_hand():
    from skimage.filters import threshold_otsu

    values = np.repeat([0, 1, 2, 5, 6, 7], [4, 3, 1, 1, 2, 1])
    assert values.var() == pytest.approx(6.90972, abs=1e-5)
    found = [between(values, t) for t in (0, 1, 2, 3, 4, 5, 6)]
    expected = [2.9201, 5.5335, 6.4201, 6.4201, 6.4201, 5.1134, 1.9097]
    assert found == pytest.approx(expected, abs=1e-4)
    assert values.var() - max(found) == pytest.approx(0.4896, abs=1e-4)
    assert threshold_otsu(values) == 2


def test_the_thresholds_of_scikit_image_are_the_highest_values_below():
    from skimage.filters import threshold_multiotsu

    values = np.repeat(np.array([0, 1, 4, 5, 8, 9], "uint8"), [5, 3, 4, 4, 3, 5])
    thresholds = threshold_multiotsu(values, 3)
    assert thresholds.tolist() == [1, 5]
    assert np.bincount(np.digitize(values, thresholds)).tolist() == [5, 7, 12]
    assert np.bincount(np.digitize(values, thresholds, right=True)).tolist() == [8, 8, 8]
    as_floats = threshold_multiotsu(values.astype(float), 3)
    assert as_floats.tolist() == pytest.approx([1.00195, 5.00977], abs=1e-5)
    assert np.bincount(multi_otsu(values[None, :, None], 3)[0]).tolist() == [8, 8, 8]


def test_lloyd_s_steps_end_where_another_start_would_do_better():
    from sklearn.cluster import KMeans

    values = np.array([1.0, 2, 4, 7, 8])[:, None]
    found = KMeans(2, init=np.array([[1.0], [2]]), n_init=1).fit(values)
    assert sorted(found.cluster_centers_[:, 0]) == pytest.approx([1.5, 19 / 3])
    assert found.inertia_ == pytest.approx(9.16667, abs=1e-5)
    best = k_means(values[None], 2)[0]
    assert best.tolist() == [0, 0, 0, 1, 1]
    inertia = sum(((values[best == k] - values[best == k].mean()) ** 2).sum() for k in (0, 1))
    assert inertia == pytest.approx(5.16667, abs=1e-5)


def test_lloyd_s_first_step_leaves_one_value_alone():
    from sklearn.cluster import KMeans

    values, start = np.array([1.0, 2, 4, 7, 8])[:, None], np.array([[1.0], [2]])
    centres = KMeans(2, init=start, n_init=1, max_iter=1).fit(values).cluster_centers_
    assert centres[:, 0].tolist() == [1, 5.25]
    nearest = np.abs(values - start.T).argmin(1)
    assert ((values - centres[nearest]) ** 2).sum() == 22.75


def test_on_voxels_k_means_and_multi_otsu_score_alike():
    case = phantoms.lung_specimen(1, seed=0, size=(24, 48, 48))[0]
    scores = [nmi(case.label.array, one(case.image.array, 3)) for one in (k_means, multi_otsu)]
    assert scores[0] == pytest.approx(scores[1], abs=0.003)


def test_twelve_pixels_matched_by_hand():
    from sklearn.metrics import adjusted_rand_score

    matched = match_clusters(TRUTH, FOUND)
    assert {int(c): int(matched[FOUND == c][0]) for c in (0, 1, 2)} == {2: 0, 0: 1, 1: 2}
    assert (matched == TRUTH).sum() == 10
    scores = {mean: nmi(TRUTH, FOUND, mean) for mean in ("arithmetic", "geometric", "max", "min")}
    assert scores == pytest.approx(
        {"arithmetic": 0.645783, "geometric": 0.645813, "max": 0.639594, "min": 0.652092}, abs=1e-6
    )
    assert adjusted_rand_score(TRUTH, FOUND) == pytest.approx(0.511945, abs=1e-6)
    assert scores["max"] * np.log(3) == pytest.approx(0.702666, abs=1e-6)


def test_the_best_matching_is_neither_the_greedy_one_nor_each_cluster_s_majority():
    table = np.array([[5, 4, 0], [4, 0, 0], [0, 2, 3]])
    truth, found = (np.repeat(index.ravel(), table.ravel()) for index in np.indices((3, 3)))
    assert (match_clusters(truth, found) == truth).sum() == 11
    left, right = table.copy(), 0
    while left.max() >= 0:  # the largest first, then what is left
        row, column = np.unravel_index(left.argmax(), left.shape)
        right += left[row, column]
        left[row], left[:, column] = -1, -1
    assert right == 8
    assert table.max(0).sum() == 12  # two clusters would share a class
