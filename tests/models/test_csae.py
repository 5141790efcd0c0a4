"""csae: patches in 2-D and 3-D, dense twin, errors, saving."""

import numpy as np
import pytest

from medseg_tf import load_model, recipe
from medseg_tf.errors import ConfigError
from medseg_tf.models import csae, dense_twin

SMALL = dict(maps=(3, 4), kernels=(3, 2), classes=2)  # a patch of 6


@pytest.mark.parametrize("shape", [(6, 6, 1), (6, 6, 3), (6, 6, 6, 1)])
def test_a_patch_becomes_the_probabilities_of_one_pixel(shape):
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    found = np.asarray(csae(shape, **SMALL)(x))
    assert found.shape == (2, *(1,) * (len(shape) - 1), 2)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_its_dense_twin_says_the_same_of_every_patch():
    model = csae((6, 6, 1), **SMALL)
    image = np.random.default_rng(0).normal(size=(1, 9, 10, 1)).astype("float32")
    dense = np.asarray(dense_twin(model)(image))[0]
    assert dense.shape == (4, 5, 2)
    patch = np.asarray(model(image[:, 2:8, 3:9]))[0, 0, 0]
    np.testing.assert_allclose(dense[2, 3], patch, atol=1e-5)


@pytest.mark.parametrize(
    "options", [dict(maps=(3,)), dict(kernels=(3, 3)), dict(maps=(), kernels=())]
)
def test_layers_that_do_not_use_the_patch_up_are_refused(options):
    with pytest.raises(ConfigError, match="csae: "):
        csae((6, 6, 1), **SMALL | options)


@pytest.mark.parametrize("shape", [(6, 7, 1), (None, None, 1), (6,)])
def test_a_patch_of_another_side_is_refused_and_the_right_one_named(shape):
    with pytest.raises(ConfigError, match="side 6"):
        csae(shape, **SMALL)


def test_it_is_loaded_as_it_was_saved(tmp_path):
    model = csae((6, 6, 1), **SMALL)
    recipe.save(model, tmp_path / "net")
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype("float32")
    np.testing.assert_array_equal(load_model(tmp_path / "net")(x), model(x))
