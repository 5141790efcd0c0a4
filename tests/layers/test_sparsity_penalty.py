"""SparsityPenalty by hand, and saved and rebuilt."""

import keras
import numpy as np
import pytest

from medseg_tf.layers import SparsityPenalty


@pytest.mark.parametrize("copies", [1, 3])
def test_a_code_costs_its_mean_activity_whatever_the_batch(copies):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, SparsityPenalty(0.5)(inputs))
    again = keras.Model.from_config(model.get_config())
    code = np.array([[1, -2], [0, 5]] * copies, "float32")
    for one in (model, again):
        np.testing.assert_array_equal(one(code), code)
        assert float(one.losses[0]) == pytest.approx(0.5 * (3 + 5) / 2)
