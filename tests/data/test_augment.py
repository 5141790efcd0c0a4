import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medseg_tf.data import augment
from medseg_tf.errors import ConfigError, GeometryError

OFF = dict(gain=0, shift=0, gamma=0, noise=0, blur=0, shading=0)


def case(shape, channels=1, seed=0):
    """An image whose first channel holds its label's numbers, each of them once."""
    label = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype("int32")
    return np.stack([label] * channels, -1).astype("float32"), label


GEOMETRIC = {
    "flip": augment.flip(),
    "quarter_turns": augment.quarter_turns(),
    "rotate": augment.rotate(),
    "scale": augment.scale(),
    "elastic": augment.elastic(2),
    "bspline": augment.bspline(2),
    "all at once": augment.warp(180, 0.5, 2, 2),
    "composed": augment.compose(augment.flip(), augment.elastic(1), augment.intensity()),
    "match_histogram": augment.match_histogram([np.arange(12.0).reshape(3, 2, 2)]),
}


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (6, 6, 4), (1, 7, 3)])
def test_shapes_and_dtypes_stay_in_2d_and_3d_with_and_without_a_label(name, shape):
    image, label = case(shape, channels=2)
    moved, moved_label = GEOMETRIC[name](image, label, np.random.default_rng(0))
    assert (moved.shape, moved.dtype) == (image.shape, "float32")
    assert (moved_label.shape, moved_label.dtype) == (label.shape, "int32")
    alone, nothing = GEOMETRIC[name](image, None, np.random.default_rng(0))
    assert nothing is None
    np.testing.assert_array_equal(alone, moved)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_the_same_generator_gives_the_same_and_the_arguments_stay_untouched(name):
    image, label = case((8, 9), channels=2)
    before = image.copy(), label.copy()
    first = GEOMETRIC[name](image, label, np.random.default_rng(3))
    again = GEOMETRIC[name](image, label, np.random.default_rng(3))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(label, before[1])


@pytest.mark.parametrize("name", ["flip", "quarter_turns"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (4, 4, 2)])
def test_exact_moves_keep_every_voxel_and_move_image_and_label_alike(name, shape):
    image, label = case(shape)
    for seed in range(8):
        moved, moved_label = GEOMETRIC[name](image, label, np.random.default_rng(seed))
        np.testing.assert_array_equal(moved[..., 0], moved_label)
        np.testing.assert_array_equal(np.sort(moved_label, None), np.sort(label, None))


def test_quarter_turns_draw_all_four_turns_of_a_square_and_two_of_an_oblong():
    def turns(shape):
        image, label = case(shape)
        seen = [
            augment.quarter_turns()(image, label, np.random.default_rng(s))[1] for s in range(40)
        ]
        return len({turned.tobytes() for turned in seen})

    assert (turns((3, 3)), turns((3, 4))) == (4, 2)


def test_flip_mirrors_only_the_axes_it_is_told_to():
    image, label = case((2, 3))
    seen = [augment.flip(axes=(1,))(image, label, np.random.default_rng(s))[1] for s in range(20)]
    assert {m.tobytes() for m in seen} == {label.tobytes(), label[:, ::-1].tobytes()}


def quarter_turn(image, label):
    """What `rotate` makes of an angle of exactly 90 degrees."""
    return augment.resample(
        image, label, augment.affine_coordinates(label.shape, np.float32(np.pi / 2), 1)
    )


def test_turning_by_90_degrees_is_a_quarter_turn():
    image, label = case((5, 5))
    moved, moved_label = quarter_turn(image, label)
    np.testing.assert_array_equal(moved_label, np.rot90(label))
    np.testing.assert_allclose(moved[..., 0], np.rot90(label), atol=1e-4)


@pytest.mark.parametrize("axis, plane", [(0, (1, 2)), (1, (2, 0)), (2, (0, 1))])
def test_in_3d_each_of_three_angles_turns_about_its_own_axis(axis, plane):
    image, label = case((5, 5, 5))
    angles = np.pi / 2 * np.eye(3)[axis]
    moved, moved_label = augment.resample(
        image, label, augment.affine_coordinates(label.shape, angles, 1)
    )
    np.testing.assert_array_equal(moved_label, np.rot90(label, axes=plane))
    np.testing.assert_allclose(moved[..., 0], np.rot90(label, axes=plane), atol=1e-3)


def test_three_angles_make_one_rotation_about_the_centre():
    coordinates = augment.affine_coordinates((3, 3, 3), (0.3, -0.5, 0.7), 1)
    places = np.stack(np.broadcast_arrays(*coordinates)) - 1
    steps = np.stack([places[:, 2, 1, 1], places[:, 1, 2, 1], places[:, 1, 1, 2]])
    np.testing.assert_allclose(places[:, 1, 1, 1], 0, atol=1e-6)
    np.testing.assert_allclose(steps @ steps.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(steps) == pytest.approx(1)


def test_one_number_in_3d_turns_in_the_plane_of_the_first_two_axes():
    image, label = case((5, 6, 4))
    moved = augment.rotate(40)(image, label, np.random.default_rng(1))[0]
    for depth in range(4):
        flat = augment.rotate(40)(image[:, :, depth], None, np.random.default_rng(1))[0]
        np.testing.assert_allclose(moved[:, :, depth], flat, atol=1e-4)


def test_three_turns_of_a_volume_move_along_every_axis_up_to_their_angles():
    still = augment.rotate((0, 0, 0))(*case((5, 5, 5)), np.random.default_rng(0))[1]
    np.testing.assert_array_equal(still, case((5, 5, 5))[1])
    ramp = np.broadcast_to(np.arange(9.0)[:, None, None, None], (9, 9, 9, 1))
    for degrees, moves in {(50, 0, 0): False, (0, 50, 0): True, (0, 0, 50): True}.items():
        moved = augment.rotate(degrees)(ramp, None, np.random.default_rng(0))[0]
        assert (np.abs(moved - ramp).max() > 0.1) == moves


def test_enlarging_by_two_keeps_the_centre_and_halves_the_steps():
    ramp = np.tile(np.arange(5, dtype="float32"), (5, 1))
    moved, _ = augment.warp(low=2, high=2)(ramp[..., None], None, np.random.default_rng(0))
    np.testing.assert_allclose(moved[2, :, 0], [1, 1.5, 2, 2.5, 3], atol=1e-6)


def test_shrinking_by_two_goes_on_as_a_mirror_beyond_the_border():
    ramp = np.tile(np.arange(5, dtype="float32"), (5, 1))
    moved, _ = augment.warp(low=0.5, high=0.5)(ramp[..., None], None, np.random.default_rng(0))
    np.testing.assert_allclose(moved[2, :, 0], [2, 0, 2, 4, 2], atol=1e-6)


def test_nothing_to_do_gives_the_very_image():
    image, label = case((6, 7))
    moved, moved_label = augment.warp()(image, label, np.random.default_rng(0))
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(moved_label, label)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=3),
    st.floats(0, 20),
    st.integers(0, 10**6),
)
def test_resampling_equals_scipy_with_mirrored_border(shape, sd, seed):
    rng = np.random.default_rng(seed)
    shape = tuple(shape)
    image = rng.normal(size=(*shape, 2)).astype("float32")
    label = rng.integers(0, 9, shape)
    grid = np.indices(shape)
    coordinates = (grid + rng.normal(0, sd, grid.shape)).astype("float32")
    moved, moved_label = augment.resample(image, label, list(coordinates))
    for channel in range(2):
        expected = ndimage.map_coordinates(image[..., channel], coordinates, order=1, mode="mirror")
        np.testing.assert_allclose(moved[..., channel], expected, atol=1e-4)
    expected = ndimage.map_coordinates(label, coordinates, order=0, mode="mirror")
    np.testing.assert_array_equal(moved_label, expected)


def test_a_label_of_another_shape_is_refused_by_name():
    image, label = case((8, 8))
    with pytest.raises(GeometryError, match=r"\(6, 6\).*\(8, 8\)"):
        augment.rotate()(image, label[1:-1, 1:-1], np.random.default_rng(0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: augment.elastic(-1),
        lambda: augment.elastic(4, points=1),
        lambda: augment.scale(1.2, 0.8),
        lambda: augment.scale(0, 1),
        lambda: augment.rotate(-5),
        lambda: augment.rotate((10, 10)),
        lambda: augment.rotate((10, 10, -1)),
        lambda: augment.bspline(-1),
        lambda: augment.bspline(5, mesh=0),
        lambda: augment.match_histogram([]),
        lambda: augment.intensity(noise=-1),
    ],
)
def test_arguments_out_of_range_are_refused_when_the_transform_is_made(make):
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize(
    "transform, message",
    [
        (augment.rotate((5, 5, 5)), "2 spatial axes"),
        (augment.elastic((1, 1, 1)), "2 spatial axes"),
        (augment.bspline((1, 1, 1)), "2 spatial axes"),
        (augment.bspline(1, still=(2,)), "0 to 1"),
        (augment.match_histogram([np.zeros((4, 4, 3))]), "1 channels.*3"),
    ],
)
def test_an_image_that_the_transform_is_not_for_is_refused(transform, message):
    with pytest.raises(GeometryError, match=message):
        transform(*case((8, 8)), np.random.default_rng(0))


def apply(image, seed=0, **strengths):
    return augment.intensity(**{**OFF, **strengths})(image, None, np.random.default_rng(seed))[0]


IMAGE = np.random.default_rng(0).normal(size=(12, 12, 2)).astype("float32")


def test_all_strengths_zero_change_nothing():
    np.testing.assert_array_equal(apply(IMAGE), IMAGE)


def test_gain_stretches_each_channel_about_its_mean_by_its_own_factor():
    changed = apply(IMAGE, gain=1)
    np.testing.assert_allclose(changed.mean((0, 1)), IMAGE.mean((0, 1)), atol=1e-6)
    factors = changed.std((0, 1)) / IMAGE.std((0, 1))
    assert factors[0] != pytest.approx(factors[1], abs=0.01)
    drawn = [apply(IMAGE, seed, gain=1).std() / IMAGE.std() for seed in range(50)]
    assert 0.5 <= min(drawn) < 0.8 and 1.25 < max(drawn) <= 2


def test_shift_adds_one_number_to_each_channel():
    difference = apply(IMAGE, shift=1) - IMAGE
    np.testing.assert_allclose(np.ptp(difference, axis=(0, 1)), 0, atol=1e-6)
    assert difference[0, 0, 0] != difference[0, 0, 1]


def test_gamma_keeps_the_order_and_the_range_of_grey_values():
    changed = apply(IMAGE, gamma=1)[..., 0].ravel()
    order = np.argsort(IMAGE[..., 0].ravel())
    assert (np.diff(changed[order]) >= 0).all()
    assert changed.min() == pytest.approx(IMAGE[..., 0].min(), abs=1e-5)
    assert changed.max() == pytest.approx(IMAGE[..., 0].max(), abs=1e-5)
    assert not np.allclose(changed, IMAGE[..., 0].ravel(), atol=0.01)


def test_gamma_leaves_a_constant_channel_as_it_is():
    np.testing.assert_array_equal(apply(np.zeros((4, 4, 1), "float32"), gamma=1), 0)


def test_noise_has_at_most_the_sd_it_is_given():
    flat = np.zeros((64, 64, 1), "float32")
    drawn = [apply(flat, seed, noise=0.5).std() for seed in range(30)]
    assert 0.3 < max(drawn) < 0.52 and min(drawn) < 0.2


def test_focus_blurs_and_sharpens_by_the_same_difference_and_keeps_the_channels_apart():
    image = np.stack([IMAGE[..., 0], np.zeros((12, 12), "float32")], -1)
    blurred = augment.focus(image, 1, sharpen=False)
    np.testing.assert_allclose(
        blurred + augment.focus(image, 1, sharpen=True), 2 * image, atol=1e-6
    )
    assert blurred[..., 0].std() < 0.5 * image[..., 0].std()
    np.testing.assert_array_equal(blurred[..., 1], 0)


def test_shading_of_a_flat_image_is_smooth_and_the_same_in_every_channel():
    field = apply(np.zeros((32, 32, 2), "float32"), shading=1)
    np.testing.assert_array_equal(field[..., 0], field[..., 1])
    assert np.abs(np.diff(field[..., 0], axis=0)).max() < 0.2 * np.ptp(field)
    assert np.ptp(field) > 0.5


def test_intensity_changes_no_label():
    image, label = case((6, 6))
    assert augment.intensity()(image, label, np.random.default_rng(0))[1] is label


def test_each_channel_gets_the_histogram_of_the_same_channel_of_one_reference():
    image, label = case((4, 5), channels=2)
    references = [np.stack([image[..., 0] + 100 * k, -image[..., 0] - 100 * k], -1) for k in (1, 2)]
    transform, seen = augment.match_histogram(references), set()
    for seed in range(10):
        matched, same_label = transform(image, label, np.random.default_rng(seed))
        offset = matched[0, 0, 0] - image[0, 0, 0]
        np.testing.assert_allclose(matched[..., 0], image[..., 0] + offset, atol=1e-4)
        np.testing.assert_allclose(matched[..., 1], image[..., 1] - 19 - offset, atol=1e-4)
        assert same_label is label
        seen.add(round(float(offset)))
    assert seen == {100, 200}
