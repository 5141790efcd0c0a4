"""dense_crf: its limits, its symmetries, 2-D and 3-D, the fast filter beside the exact one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg_tf.data import phantoms
from medseg_tf.errors import ConfigError, GeometryError
from medseg_tf.methods import dense_crf, energy, pair_weights
from medseg_tf.methods.dense_crf import all_pairs, features, smoothing
from medseg_tf.methods.permutohedral import lattice_filter, simplices

MILD = {"w1": 0.5, "alpha": 3, "beta": 30, "w2": 0.3, "gamma": 1}
CONVENTIONS = pytest.mark.parametrize("normalize", [None, "rows", "symmetric"])


def drawn(shape=(5, 6), classes=3, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.random((*shape, classes)) + 0.05
    return rng.integers(0, 255, (*shape, channels)), found / found.sum(-1, keepdims=True)


@given(
    shape=st.sampled_from([(7,), (4, 5), (3, 3, 4)]),
    normalize=st.sampled_from([None, "rows", "symmetric"]),
    exact=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(max_examples=20)
def test_probabilities_sum_to_one_in_any_rank(shape, normalize, exact, seed):
    image, found = drawn(shape, channels=2, seed=seed)
    q = dense_crf(image, found, **MILD, normalize=normalize, exact=exact)
    assert q.shape == found.shape and (q >= 0).all()
    np.testing.assert_allclose(q.sum(-1), 1, atol=1e-6)


def test_without_pairs_or_updates_the_probabilities_come_back():
    image, found = drawn()
    np.testing.assert_allclose(dense_crf(image, found, w1=0, w2=0), found, atol=1e-9)
    np.testing.assert_allclose(dense_crf(image, found, iterations=0), found, atol=1e-9)


@CONVENTIONS
def test_other_names_for_the_classes_change_nothing(normalize):
    image, found = drawn()
    order = [2, 0, 1]
    q, renamed = (
        dense_crf(image, p, **MILD, normalize=normalize) for p in (found, found[..., order])
    )
    np.testing.assert_allclose(renamed, q[..., order], atol=1e-6)


@CONVENTIONS
def test_a_volume_of_one_slice_is_an_image(normalize):
    image, found = drawn()
    flat = dense_crf(image, found, **MILD, normalize=normalize)
    deep = dense_crf(image[None], found[None], **MILD, normalize=normalize)
    np.testing.assert_allclose(deep[0], flat, atol=1e-6)


def test_an_update_is_what_the_pairs_say():
    image, found = drawn()
    pairs = pair_weights(image, **MILD)
    asked = np.log(found.reshape(-1, 3)) + pairs @ found.reshape(-1, 3)
    wanted = np.exp(asked) / np.exp(asked).sum(-1, keepdims=True)
    q = dense_crf(image, found, **MILD, normalize=None, iterations=1)
    np.testing.assert_allclose(q.reshape(-1, 3), wanted, atol=1e-6)


def test_distances_and_greys_may_differ_by_axis_and_channel():
    image, found = drawn(channels=2)
    stretched = {**MILD, "alpha": (3, 1e-3), "beta": (30, 1e6)}
    q = dense_crf(image, found, **stretched)
    first = dense_crf(image[..., :1], found, **{**MILD, "alpha": (3, 1e-3)})
    np.testing.assert_allclose(q, first, atol=1e-6)
    columns = [dense_crf(image[:, [c], :1], found[:, [c]], **{**MILD, "w2": 0}) for c in range(6)]
    alone = dense_crf(image[..., :1], found, **{**MILD, "alpha": (3, 1e-3), "w2": 0})
    np.testing.assert_allclose(alone, np.concatenate(columns, axis=1), atol=1e-6)


def test_an_edge_of_the_image_is_kept_and_noise_on_either_side_is_not():
    truth = np.repeat([[0] * 6 + [1] * 6], 12, axis=0)
    rng = np.random.default_rng(0)
    image = (100 * truth + rng.normal(0, 5, truth.shape))[..., None]
    sure = np.where(rng.random(truth.shape) < 0.15, 0.4, 0.6)  # one pixel of seven is wrong
    p = np.where(truth == 1, sure, 1 - sure)
    q = dense_crf(image, np.stack([1 - p, p], -1), w1=3, alpha=5, beta=20, w2=1, gamma=1)
    assert ((p > 0.5) != truth).mean() > 0.1
    np.testing.assert_array_equal(q.argmax(-1), truth)


def test_the_smoothness_kernel_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    for shape, gamma in {(7,): 1.5, (4, 5): 2.0, (3, 4, 5): 0.7}.items():
        values = rng.normal(size=(np.prod(shape), 2))
        places = np.indices(shape).reshape(len(shape), -1).T / gamma
        np.testing.assert_allclose(
            smoothing(shape, gamma)(values), all_pairs(places)(values), atol=1e-4
        )


def test_a_place_is_the_mean_of_its_corners_by_its_shares():
    """Up to a linear map into the lattice's space, so sums of places are sums there."""
    one, other = np.random.default_rng(0).normal(size=(2, 100, 5)) * 3

    def middle(places):
        corners, shares = simplices(places)
        assert shares.min() > -1e-9 and (np.ptp(corners, axis=1) <= 6).all()
        np.testing.assert_allclose(shares.sum(1), 1)
        return (shares[..., None] * corners).sum(1)

    np.testing.assert_allclose(middle(one) + middle(other), middle(one + other), atol=1e-9)
    assert np.linalg.matrix_rank(middle(one)) == 5


@pytest.mark.parametrize("d, sum_off, mean_off", [(2, 0.05, 0.03), (3, 0.05, 0.03), (5, 0.2, 0.05)])
def test_the_lattice_sums_and_averages_nearly_as_all_pairs_do(d, sum_off, mean_off):
    places = np.random.default_rng(d).normal(size=(2000, d)) * 1.5
    values = np.stack([np.ones(len(places)), np.tanh(places[:, 0])], axis=1)
    fast, exact = lattice_filter(places)(values), all_pairs(places)(values)
    assert np.median(fast[:, 0] / exact[:, 0]) == pytest.approx(1, abs=sum_off)
    off = fast[:, 1] / fast[:, 0] - exact[:, 1] / exact[:, 0]
    assert abs(off).mean() < mean_off < abs(exact[:, 1] / exact[:, 0]).mean() / 5


@CONVENTIONS
def test_the_fast_field_decides_as_the_exact_one(normalize):
    case = phantoms.ringed_discs(1)[0]
    part = (slice(0, 60), slice(0, 60))
    image, truth = case.image.array[part], case.label.array[part]
    assert set(np.unique(truth)) > {0}
    rng = np.random.default_rng(0)
    found = 0.2 * np.eye(3)[truth] + 0.8 * rng.dirichlet([1, 1, 1], truth.shape)
    weights = {None: 0.05, "rows": 3, "symmetric": 3}[normalize]
    how = {"w1": weights, "alpha": 6, "beta": 24, "w2": weights / 3, "gamma": 1}
    exact, fast = (
        dense_crf(image, found, **how, normalize=normalize, exact=which) for which in (True, False)
    )
    assert abs(exact - fast).mean() < 0.01
    assert (exact.argmax(-1) != fast.argmax(-1)).mean() < 0.01
    assert (exact.argmax(-1) != found.argmax(-1)).mean() > 0.02


def test_many_pixels_are_filtered_by_the_lattice():
    image, found = drawn((80, 80), 2)
    quick = dense_crf(image, found, **MILD)
    np.testing.assert_array_equal(quick, dense_crf(image, found, **MILD, exact=False))


def test_a_probability_of_zero_can_still_be_outvoted():
    image = np.full((5, 5, 1), 100)
    found = np.full((5, 5, 2), [0.1, 0.9])
    found[2, 2] = 1, 0
    q = dense_crf(image, found, w1=20, alpha=5, beta=10, w2=1, gamma=1)
    assert (q.argmax(-1) == 1).all()


def test_energy_counts_each_pair_once():
    image, found = np.zeros((1, 2, 1)), np.full((1, 2, 2), 0.5)
    pairs = pair_weights(image, w1=1, alpha=1, beta=1, w2=0, gamma=1)
    assert np.diag(pairs).tolist() == [0, 0]
    together, apart = (energy(np.array([label]), found, pairs) for label in ([1, 1], [0, 1]))
    assert together == pytest.approx(2 * np.log(2))
    assert apart - together == pytest.approx(np.exp(-0.5))


def test_features_are_places_and_greys_in_standard_deviations():
    image = np.array([[[10.0], [20.0]]])
    assert features(image, 2, 5).tolist() == [[0, 0, 2], [0, 0.5, 4]]


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"image": np.zeros((4, 6, 1))}, GeometryError, r"image \(4, 6, 1\) .*\(5, 6, 3\)"),
        ({"probabilities": drawn()[1] * 2}, ConfigError, "do not sum to 1"),
        ({"probabilities": -np.log(drawn()[1])}, ConfigError, "after softmax"),
        ({"alpha": 0}, ConfigError, "distances are above 0"),
        ({"w2": -1}, ConfigError, "weights 0 or more"),
        ({"normalize": "columns"}, ConfigError, "normalize is 'columns'; choose one of"),
    ],
)
def test_what_makes_no_field_is_refused(change, error, message):
    image, found = drawn()
    with pytest.raises(error, match=message):
        dense_crf(**{"image": image, "probabilities": found} | change)
