"""A pytest plugin for JAX and PyTorch: tests read tensors as usual, and some are skipped.

Tests hand tensors to np.asarray. PyTorch refuses that for a tensor with a gradient; for tests it
is allowed here, for the package it stays refused (there keras.ops.convert_to_numpy is the way).
"""

import sys

import keras
import pytest

WORDS = "is written in TensorFlow's or NumPy's words for a tensor"
CLIP = "asks for what Keras does with probabilities of 0 on TensorFlow"
DIGITS = "asks for more digits than two orders of summation share"
LUCK = "needs the first weights that TensorFlow draws"
DROPOUT = "PyTorch draws dropout from one generator, which no checkpoint holds"
DOUBLE = "JAX computes in float64 only where told at its start"
BOTH = {  # part of a test's name: what keeps it from running here
    "test_a_surely_wrong_pixel": CLIP,
    "test_scale_and_shift_of_the_normalisation_add_4672": WORDS,
    "test_weights_without_biases_and_without_the_last_layer": WORDS,
    "test_the_dense_network_says_at_every_fourth_position": DIGITS,
    "test_tiles_of_the_dense_twin_agree_with_a_single_pass": DIGITS,
    "test_a_tile_at_a_multiple_of_2_to_the_depth": DIGITS,
    "test_stitched_tiles_are_one_pass_over_the_mirrored_image[3-shape1-tile1]": DIGITS,
}
JAX = {
    "test_silent_units_and_samples_cost_nothing": DIGITS,
    "test_five_outputs_that_say_nothing": DIGITS,
    "test_what_the_kernel_cannot_do_is_left_to_keras[arguments1]": DOUBLE,
}
TORCH = {
    "test_a_block_whose_kernels_are_zero": WORDS,
    "test_probabilities_add_up_to_one_and_logits_do_not": WORDS,
    "test_a_stage_without_its_addition_is_silent": WORDS,
    "test_the_supervised_twin_shares_its_weights": WORDS,
    "test_in_bfloat16_the_statistics_stay_float32": WORDS,
    "test_adam_divides_the_size_of_gradients_out": WORDS,
    "test_a_mean_teacher_has_gone_half_of_the_way": WORDS,
    "test_without_a_tile_an_image_over_the_limit_is_cut": DIGITS,
    "test_a_patch_becomes_a_vector_of_length_one[shape0-dense1]": LUCK,
    "test_a_patch_becomes_a_vector_of_length_one[shape1-dense1]": LUCK,
    "test_minutes_become_steps": DROPOUT,
    "test_a_run_killed_three_times": DROPOUT,
}
SKIPPED = BOTH | {"jax": JAX, "torch": TORCH}[keras.backend.backend()]


def pytest_configure(config):
    for line in "Converting a tensor with requires_grad", "__array_wrap__ must accept":
        config.addinivalue_line("filterwarnings", f"ignore:{line}")


def pytest_collection_modifyitems(items):
    for item in items:
        for part, why in SKIPPED.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=why))


def let_tests_read_tensors():
    import torch

    refusing = torch.Tensor.__array__

    def array(self, *args, **kwargs):
        caller = sys._getframe(1)
        while caller and "/numpy/" in caller.f_code.co_filename:
            caller = caller.f_back
        package = caller and "/medseg_tf/" in caller.f_code.co_filename
        return refusing(self if package else self.detach(), *args, **kwargs)

    torch.Tensor.__array__ = array


if keras.backend.backend() == "torch":
    let_tests_read_tensors()
