"""prior_shift: the meaning of a probability where classes are rarer than in training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg_tf.errors import ConfigError
from medseg_tf.methods import prior_shift

SHARES = st.floats(0.01, 0.99)


@given(SHARES, SHARES)
def test_what_said_no_more_than_the_learned_share_says_no_more_than_the_true_one(share, learned):
    assert prior_shift(learned, share, learned) == pytest.approx(share)


@given(SHARES, SHARES)
def test_order_and_certainty_stay_and_the_way_back_is_the_same_rule(share, learned):
    p = np.linspace(0, 1, 11)
    q = prior_shift(p, share, learned)
    assert (np.diff(q) > 0).all() and (q[0], q[-1]) == (0, 1)
    np.testing.assert_allclose(prior_shift(q, learned, share), p, atol=1e-9)


def test_it_is_bayes_rule_on_counted_pixels():
    """Of 1000 pixels 100 are membrane; a cue is seen in 80 % of these and 10 % of the others."""
    balanced, real = 0.8 / (0.8 + 0.1), 80 / (80 + 90)
    assert prior_shift(balanced, share=0.1) == pytest.approx(real)


@pytest.mark.parametrize("p, share", [(0.5, 0), (0.5, 1), (1.2, 0.5), (-0.1, 0.5), ([np.nan], 0.5)])
def test_what_is_no_share_or_probability_is_refused(p, share):
    with pytest.raises(ConfigError, match="prior_shift"):
        prior_shift(p, share)
