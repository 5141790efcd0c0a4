"""Autoencoders, 1986 to 2010; sparse matching, Guo 2014; shapes, Cootes 1995."""

import keras
import numpy as np
import pytest
from counting import build

from medseg_tf.layers import MaxPoolingWithIndices, MaxUnpooling
from medseg_tf.methods import ShapeModel, plausible, sparse_code
from medseg_tf.models import autoencoder, encoder_of

BLOCK = np.array([[1, 2, 5, 3], [4, 0, 1, 6], [7, 8, 2, 2], [3, 1, 0, 9]], "float32")
SQUARE = BLOCK[None, ..., None]
ATOMS, LABELS = np.array([[1, 0], [0.8, 0.6], [0, 1]]), np.array([1, 1, 0])


@pytest.mark.parametrize(
    "shape, widths, up, whole, encoder",
    [
        ((784,), (32,), "unpool", 50_992, 784 * 32 + 32),
        ((784,), (1000, 500, 250, 30), "unpool", 2_837_314, 1_418_280),
        ((162,), (100, 50, 25), "unpool", 45_387, 22_625),
        ((81,), (50, 25, 10), "unpool", 11_341, 5_635),
        ((6750,), (800, 400, 200, 100), "unpool", 11_649_650, 5_821_500),
        ((32, 32, 1), (8, 4), "unpool", 741, 372),
        ((32, 32, 1), (8, 4), "nearest", 741, 372),
        ((32, 32, 1), (8, 4), "transposed", 1_073, 372),
    ],
)
def test_counts_of_weights(shape, widths, up, whole, encoder):
    model = build(autoencoder, shape, widths, up=up)
    assert model.count_params() == whole
    assert encoder_of(model).count_params() == encoder


def test_the_encoder_81_50_25_has_5375_weights():
    assert encoder_of(build(autoencoder, (81,), (50, 25))).count_params() == 5_375


def test_a_linear_autoencoder_without_bias_20_3_20_has_120_weights():
    model = autoencoder((20,), (3,), hidden=None, bias=False)
    assert model.count_params() == 120


def test_the_code_of_32_x_32_after_two_poolings_is_8_x_8_x_4():
    assert encoder_of(autoencoder((32, 32, 1), (8, 4))).output_shape == (None, 8, 8, 4)


def linear(principal):
    """A linear autoencoder of two values and one, set to project on a unit vector."""
    model = autoencoder((2,), (1,), hidden=None, bias=False)
    model.get_layer("encode1").set_weights([principal[:, None]])
    model.get_layer("decode1").set_weights([principal[None]])
    return model


def test_four_points_by_hand_lose_the_variance_that_is_dropped():
    points = np.array([(2, 1), (-2, -1), (1, 2), (-1, -2)], "float32")
    covariance = points.T @ points / 4
    np.testing.assert_allclose(covariance, [[2.5, 2], [2, 2.5]])
    values, vectors = np.linalg.eigh(covariance)
    assert values.tolist() == pytest.approx([0.5, 4.5])
    restored = np.asarray(linear(vectors[:, 1].astype("float32"))(points))
    np.testing.assert_allclose(np.abs(restored), 1.5, atol=1e-5)
    assert np.mean((restored - points) ** 2) == pytest.approx(0.5 / 2, abs=1e-6)
    # Every direction but the principal one loses more.
    for angle in np.linspace(0, np.pi, 13):
        other = np.array([np.cos(angle), np.sin(angle)], "float32")
        assert np.mean((np.asarray(linear(other)(points)) - points) ** 2) >= 0.25 - 1e-6


def test_the_optimum_of_a_linear_autoencoder_is_a_plane_and_not_its_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6)) * [5, 4, 3, 1, 1, 1]
    x = (x - x.mean(0)).astype("float32")
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    top = vectors[:, -2:]
    mix = np.array([[2.0, 1], [-1, 0.5]])  # any matrix that can be inverted
    model = autoencoder((6,), (2,), hidden=None, bias=False)
    model.get_layer("encode1").set_weights([top @ mix])
    model.get_layer("decode1").set_weights([np.linalg.inv(mix) @ top.T])
    loss = np.mean((np.asarray(model(x)) - x) ** 2)
    assert loss == pytest.approx(values[:-2].sum() / 6, rel=1e-5)


def test_least_squares_in_turns_end_in_the_plane_of_pca_with_columns_of_their_own():
    from scipy.linalg import subspace_angles

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 20)) * ([5, 4, 3] + [1] * 17)
    x -= x.mean(0)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    decoder = rng.normal(size=(3, 20))
    for _ in range(15):  # the best codes for a decoder, then the best decoder for these codes
        decoder = np.linalg.lstsq(x @ np.linalg.pinv(decoder), x, rcond=None)[0]
    encoder = np.linalg.pinv(decoder)
    assert np.rad2deg(subspace_angles(decoder.T, vectors[:, -3:])).max() < 0.01
    np.testing.assert_allclose(decoder @ encoder, np.eye(3), atol=1e-9)
    gram = decoder @ decoder.T
    lengths = np.sqrt(np.diag(gram))
    assert lengths.max() > 1.1 * lengths.min()  # neither of one length
    assert np.abs(gram / np.outer(lengths, lengths) - np.eye(3)).max() > 0.1  # nor at right angles
    model = autoencoder((20,), (3,), hidden=None, bias=False)
    model.get_layer("encode1").set_weights([encoder])
    model.get_layer("decode1").set_weights([decoder])
    loss = np.mean((np.asarray(model(x.astype("float32"))) - x) ** 2)
    assert loss == pytest.approx(values[:-3].sum() / 20, rel=1e-5)
    assert loss == pytest.approx(17 / 20, rel=0.01)  # what the seventeen ones hold


def test_pooling_by_hand_its_switches_and_what_unpooling_and_repeating_lose():
    values, switches = MaxPoolingWithIndices(2)(SQUARE)
    assert np.asarray(values)[0, ..., 0].tolist() == [[4, 6], [8, 9]]
    assert np.asarray(switches).ravel().tolist() == [4, 7, 9, 15]
    back = np.asarray(MaxUnpooling(2)(values, switches, SQUARE))[0, ..., 0]
    assert back.tolist() == [[0, 0, 0, 0], [4, 0, 0, 6], [0, 8, 0, 0], [0, 0, 0, 9]]
    assert np.mean((back - BLOCK) ** 2) == 6.6875
    repeated = np.asarray(keras.layers.UpSampling2D(2)(values))[0, ..., 0]
    assert np.mean((repeated - BLOCK) ** 2) == 19.875


def test_switches_count_with_the_width_of_an_odd_picture():
    image = np.zeros((1, 5, 5, 1), "float32")
    switches = MaxPoolingWithIndices(2)(image)[1]
    assert np.asarray(switches).ravel().tolist() == [0, 2, 10, 12]


def test_it_pools_as_tensorflow_does_and_as_a_mask_where_no_values_are_equal():
    tf = pytest.importorskip("tensorflow")
    image = np.random.default_rng(0).normal(size=(2, 6, 8, 1)).astype("float32")
    values, switches = MaxPoolingWithIndices(2)(image)
    theirs, places = tf.nn.max_pool_with_argmax(image, 2, 2, "VALID")
    np.testing.assert_array_equal(values, theirs)
    np.testing.assert_array_equal(switches, places)
    back = np.asarray(MaxUnpooling(2)(values, switches, image))
    flat = places + tf.reshape(tf.range(2, dtype="int64") * 48, (2, 1, 1, 1))
    scattered = tf.scatter_nd(tf.reshape(flat, (-1, 1)), tf.reshape(theirs, (-1,)), (96,))
    np.testing.assert_array_equal(back.ravel(), scattered)
    repeated = np.repeat(np.repeat(np.asarray(values), 2, 1), 2, 2)
    np.testing.assert_array_equal(back, repeated * (repeated == image))


def test_of_equal_values_one_is_kept_the_first():
    ones = np.ones((1, 2, 2, 1), "float32")
    values, switches = MaxPoolingWithIndices(2)(ones)
    back = np.asarray(MaxUnpooling(2)(values, switches, ones)).ravel()
    assert back.tolist() == [1, 0, 0, 0]
    repeated = np.repeat(np.repeat(np.asarray(values), 2, 1), 2, 2)
    assert (repeated * (repeated == ones)).sum() == 4  # a mask would keep all


def test_tensorflow_too_keeps_the_first_of_equal_values():
    tf = pytest.importorskip("tensorflow")
    _, places = tf.nn.max_pool_with_argmax(np.ones((1, 4, 4, 1), "float32"), 2, 2, "VALID")
    assert np.asarray(places).ravel().tolist() == [0, 2, 8, 10]


@pytest.mark.parametrize(
    "target, sparsity, code, share",
    [
        ((0.6, 0.8), 0.05, (0, 0.71875, 0.31875), 0.69277),
        ((0.6, 0.8), 0.3, (0, 0.5625, 0.1625), 0.77586),
        ((0.2, 0.98), 0.05, (0, 0.21875, 0.79875), 0.21499),
        ((1, 0), 0.05, (0.95, 0, 0), 1),
    ],
)
def test_sparse_codes_by_hand(target, sparsity, code, share):
    found = sparse_code(target, ATOMS, sparsity)
    np.testing.assert_allclose(found, code, atol=1e-4)
    assert found @ LABELS / found.sum() == pytest.approx(share, abs=1e-4)


def test_a_sparse_code_is_that_of_a_positive_lasso_with_its_weight_divided_by_the_length():
    from sklearn.linear_model import Lasso

    rng = np.random.default_rng(0)
    atoms, target = np.abs(rng.normal(size=(8, 12))), np.abs(rng.normal(size=12))
    theirs = Lasso(0.2 / 12, positive=True, fit_intercept=False, tol=1e-10, max_iter=100_000)
    expected = theirs.fit(atoms.T, target).coef_
    np.testing.assert_allclose(sparse_code(target, atoms, 0.2, steps=3000), expected, atol=1e-4)


def test_a_shape_beyond_three_deviations_is_brought_back():
    mode = np.full((2, 1), 2**-0.5)
    model = ShapeModel(np.zeros((1, 2)), mode, np.array([0.5**0.5]))
    assert float(np.array([3, 1]) @ mode[:, 0]) == pytest.approx(2.8284, abs=1e-4)
    assert 3 * model.deviations[0] == pytest.approx(2.1213, abs=1e-4)
    np.testing.assert_allclose(plausible(model, [[3, 1]]), [[1.5, 1.5]], atol=1e-9)
