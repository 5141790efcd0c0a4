import itertools

import keras
import numpy as np
import pytest

from medseg_tf import models
from medseg_tf.data import Case, Grid, Scan
from medseg_tf.errors import ConfigError, ModelError
from medseg_tf.inference import plan, probabilities, segment, size_multiple


def scan(*shape, channels=1):
    array = np.random.default_rng(0).normal(size=(*shape, channels))
    return Scan(array.astype("float32"), Grid(shape))


def net(rank=2, padding="same", depth=2, sizes=None, **more):
    keras.utils.set_random_seed(0)
    shape = (*(sizes or (None,) * rank), 1)
    return models.unet(shape, 3, width=4, depth=depth, padding=padding, dropout=0, **more)


def pointwise(rank=2, classes=3):
    """A network without neighbours: whatever the cut, its answer is that of the voxel."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None,) * rank + (1,))
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(image))


SAME, VALID = net(), net(padding="valid")


@pytest.mark.parametrize("shape", [(32, 40), (33, 47), (5, 3), (1, 1), (1, 30)])
@pytest.mark.parametrize("model", [SAME, VALID], ids=["same", "valid"])
def test_any_image_comes_back_on_its_own_grid_with_a_probability_for_each_class(model, shape):
    found = probabilities(model, scan(*shape))
    assert found.shape == (*shape, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_an_image_that_fits_is_passed_as_it_is():
    image = scan(32, 40)
    found = probabilities(SAME, image, normalize=lambda array: array)
    np.testing.assert_array_equal(found, SAME.predict_on_batch(image.array[None])[0])


def test_an_image_that_does_not_fit_is_continued_by_its_mirror():
    image = scan(30, 37)
    mirrored = np.pad(image.array, [(0, 2), (0, 3), (0, 0)], mode="reflect")
    found = probabilities(SAME, image, normalize=lambda array: array)
    np.testing.assert_array_equal(found, SAME.predict_on_batch(mirrored[None])[0, :30, :37])


def test_a_valid_network_sees_the_mirror_around_the_whole_image():
    image = scan(24, 28)
    mirrored = np.pad(image.array, [(20, 20), (20, 20), (0, 0)], mode="reflect")
    found = probabilities(VALID, image, normalize=lambda array: array)
    np.testing.assert_array_equal(found, VALID.predict_on_batch(mirrored[None])[0])


def test_the_whole_image_is_normalised_before_it_is_cut():
    image = scan(32, 32)
    bright = Scan(image.array * 50 + 1000, image.grid)
    found, expected = (probabilities(SAME, s, tile=16) for s in (bright, image))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("rank, shape, tile", [(2, (60, 75), 56), (3, (30, 9, 34), 24)])
def test_same_tiles_with_half_the_receptive_field_as_margin_agree_with_one_pass(rank, shape, tile):
    model, image = net(rank, depth=4 - rank), scan(*shape)
    margin = models.receptive_field(model)[0] // 2
    one = probabilities(model, image)
    for overlap in (0, 0.5):
        cut = probabilities(model, image, tile=tile, margin=margin, overlap=overlap)
        np.testing.assert_allclose(cut, one, atol=1e-5)
    short = probabilities(model, image, tile=tile, margin=margin // 4, overlap=0)
    assert np.abs(short - one).max() > 1e-4


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.8])
def test_a_network_without_neighbours_does_not_notice_tiles(rank, overlap):
    model, image = pointwise(rank), scan(*(23, 9, 14)[:rank])
    cut = probabilities(model, image, tile=8, overlap=overlap)
    np.testing.assert_allclose(cut, probabilities(model, image), atol=1e-6)


def test_blending_smooths_the_seam_that_edge_to_edge_leaves():
    image = scan(32, 64)
    seam = {}
    for overlap in (0, 0.5):
        error = probabilities(SAME, image, tile=32, overlap=overlap) - probabilities(SAME, image)
        seam[overlap] = np.abs(np.diff(error[:, 31:33], axis=1)).mean()
    assert seam[0.5] < 0.5 * seam[0]


def test_without_a_tile_an_image_over_the_limit_is_cut(monkeypatch):
    image = scan(60, 200)
    one = probabilities(VALID, image)
    monkeypatch.setattr(plan, "VOXELS", 64 * 64)
    sides, _, batches = plan.plan(VALID, (60, 200), None, 0.5, 0)
    assert sides == [64, 64] and sum(map(len, batches)) == 3 * 9
    np.testing.assert_allclose(probabilities(VALID, image), one, atol=1e-6)


def test_a_network_built_for_one_size_is_cut_to_it():
    model = net(padding="valid", sizes=(52, 60))
    model.set_weights(VALID.get_weights())
    image = scan(30, 41)
    np.testing.assert_allclose(probabilities(model, image), probabilities(VALID, image), atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's traces")
def test_one_graph_serves_all_batches_a_short_last_one_and_the_next_case(monkeypatch):
    monkeypatch.setattr(plan, "BATCH_VOXELS", 16 * 16 * 10)
    model = net()
    batches = plan.plan(model, (50, 70), [16, 16], 0.5, 0)[2]
    assert [len(batch) for batch in batches] == [10, 10, 10, 10, 8]
    for _ in range(2):
        probabilities(model, scan(50, 70), tile=16)
    assert model.predict_function.experimental_get_tracing_count() == 1


def test_turns_average_over_all_flips_and_quarter_turns():
    image = scan(20, 24)
    copies = []
    for quarter, flip in itertools.product(range(4), (False, True)):
        turned = np.rot90(image.array[:, ::-1] if flip else image.array, quarter)
        found = probabilities(SAME, Scan(turned, Grid(turned.shape[:2])))
        back = np.rot90(found, -quarter)
        copies.append(back[:, ::-1] if flip else back)
    found = probabilities(SAME, image, turns=True)
    np.testing.assert_allclose(found, np.mean(copies, axis=0), atol=1e-5)


def test_turns_in_a_volume_are_its_eight_flips():
    model, image = net(3, depth=1), scan(8, 6, 4)
    copies = []
    for flips in itertools.product((1, -1), repeat=3):
        step = tuple(slice(None, None, way) for way in flips)
        copies.append(probabilities(model, Scan(image.array[step], image.grid))[step])
    found = probabilities(model, image, turns=True)
    np.testing.assert_allclose(found, np.mean(copies, axis=0), atol=1e-5)


def test_turns_leave_out_quarter_turns_that_a_fixed_size_or_spacing_forbids():
    fixed = net(sizes=(16, 24))
    assert probabilities(fixed, scan(20, 30), turns=True).shape == (20, 30, 3)
    image = scan(16, 16)
    long = Scan(image.array, Grid.from_spacing((16, 16), (1, 2)))
    turned, flipped = (probabilities(SAME, s, turns=True) for s in (image, long))
    assert np.abs(turned - flipped).max() > 1e-4


def test_segment_gives_class_numbers_on_the_cases_grid_with_its_header():
    image = scan(21, 18)
    grid = Grid.from_spacing((21, 18), (0.5, 0.7))
    case = Case("a", Scan(image.array, grid, header="kept"), classes=3)
    found = segment(SAME, case)
    assert found.is_label and found.array.dtype == np.uint8
    assert found.grid is grid and found.header == "kept"
    np.testing.assert_array_equal(found.array, probabilities(SAME, case).argmax(-1))


def test_more_than_256_classes_need_more_than_a_byte():
    assert segment(pointwise(classes=257), scan(4, 4)).array.dtype == np.uint16


def test_the_size_multiple_is_the_product_of_the_poolings():
    assert size_multiple(SAME) == (4, 4)
    assert size_multiple(net(3, "valid", depth=3)) == (8, 8, 8)
    assert size_multiple(net(2, "valid", sizes=(92, 100), depth=3)) == (8, 8)
    assert size_multiple(pointwise()) == (1, 1)


def test_poolings_may_differ_between_axes():
    volume = keras.Input((None, None, None, 1))
    x = keras.layers.MaxPooling3D((1, 2, 2))(volume)
    x = keras.layers.MaxPooling3D((2, 1, 3))(x)
    model = keras.Model(volume, keras.layers.UpSampling3D((2, 2, 6))(x))
    assert size_multiple(model) == (2, 2, 6)
    assert probabilities(model, scan(3, 5, 7)).shape == (3, 5, 7, 1)


@pytest.mark.parametrize(
    "padding, wrong, nearest, right", [("valid", 16, "15 or 17", 17), ("same", 15, "14 or 16", 16)]
)
def test_a_strided_convolution_takes_sizes_at_which_its_last_step_ends(
    padding, wrong, nearest, right
):
    image = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(2, 3, strides=2, padding=padding)(image)
    model = keras.Model(image, keras.layers.Conv2DTranspose(2, 2, strides=2)(x))
    with pytest.raises(ConfigError, match=nearest):
        probabilities(model, scan(40, 40), tile=wrong)
    one = probabilities(model, scan(21, 40))
    tiled = probabilities(model, scan(21, 40), tile=right, margin=2 * (padding == "same"))
    np.testing.assert_allclose(tiled, one, atol=1e-6)


@pytest.mark.parametrize("overlap", [1.0, -0.1, float("nan")])
def test_an_overlap_outside_0_to_1_is_refused(overlap):
    with pytest.raises(ConfigError, match="need 0 <= overlap < 1"):
        probabilities(SAME, scan(16, 16), overlap=overlap)


@pytest.mark.parametrize(
    "model, tile, nearest",
    [
        (SAME, 30, "28 or 32"),
        (VALID, 46, "44 or 48"),
        (VALID, 20, "are 44"),
        (SAME, (16, 3), "are 4"),
    ],
)
def test_a_tile_that_does_not_fit_is_refused_with_the_nearest_that_do(model, tile, nearest):
    with pytest.raises(ConfigError, match=nearest):
        probabilities(model, scan(60, 60), tile=tile)


@pytest.mark.parametrize("tile", [0, -8, 16.0, (16, 16, 16), "16"])
def test_a_tile_that_is_no_size_is_refused(tile):
    with pytest.raises(ConfigError, match="tile"):
        probabilities(SAME, scan(16, 16), tile=tile)


def test_a_tile_other_than_the_size_a_network_was_built_for_is_refused():
    with pytest.raises(ConfigError, match="built for 16"):
        probabilities(net(sizes=(16, 16)), scan(40, 40), tile=32)


def test_margins_that_leave_nothing_or_that_a_valid_network_has_itself_are_refused():
    with pytest.raises(ConfigError, match="at least 28"):
        probabilities(SAME, scan(60, 60), tile=24, margin=10)
    with pytest.raises(ConfigError, match="drops"):
        probabilities(VALID, scan(60, 60), tile=48, margin=8)
    with pytest.raises(ConfigError, match="margin -1"):
        probabilities(SAME, scan(60, 60), margin=-1)


def test_an_image_of_other_channels_or_rank_is_refused():
    with pytest.raises(ModelError, match="takes 1 channels, the image has 3"):
        probabilities(SAME, scan(16, 16, channels=3))
    with pytest.raises(ModelError, match="rank 2, this one has rank 3"):
        probabilities(SAME, scan(16, 16, 16))
    with pytest.raises(ModelError, match="channel axis"):
        probabilities(SAME, Scan(np.zeros((16, 16), int), Grid((16, 16))))


def test_networks_that_give_no_map_in_the_images_voxels_are_refused():
    image = keras.Input((None, None, 1))
    coarse = keras.Model(image, keras.layers.MaxPooling2D(4)(image))
    with pytest.raises(ModelError, match="4 times coarser"):
        probabilities(coarse, scan(16, 16))
    one = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(ModelError, match="no map"):
        probabilities(one, scan(16, 16))
    two = keras.Model(image, [image * 1, image * 2])
    with pytest.raises(ModelError, match="one output"):
        probabilities(two, scan(16, 16))


def prepared(model, **scans):
    """The model with a recipe that says how the scans it learned from were prepared."""
    known = {"spacing": None, "normalize": {"name": "z_score"}, "turns": []}
    model.recipe = {"scans": known | scans}
    return model


def test_turns_along_named_axes_average_over_their_flips_alone():
    image = scan(8, 12, 16)
    model = net(rank=3)
    flipped = Scan(np.flip(image.array, 1), image.grid)
    mean = (probabilities(model, image) + np.flip(probabilities(model, flipped), 1)) / 2
    np.testing.assert_allclose(probabilities(model, image, turns=(1,)), mean, atol=1e-6)


def test_a_recipe_says_how_scans_are_prepared_and_arguments_replace_it():
    image = scan(8, 12, 16)
    known = prepared(net(rank=3), turns=[0], normalize={"name": "window", "low": -1, "high": 1})
    plain = net(rank=3)

    def window(array):
        return np.clip(array, -1, 1)

    asked = probabilities(plain, image, turns=(0,), normalize=window)
    np.testing.assert_allclose(probabilities(known, image), asked, atol=1e-6)
    alone = probabilities(known, image, turns=False, normalize=window)
    np.testing.assert_allclose(alone, probabilities(plain, image, normalize=window), atol=1e-6)


def test_a_recipe_s_spacing_is_worked_at_and_the_answer_is_on_the_scan_s_grid():
    image = scan(8, 12, 16)
    found = probabilities(prepared(pointwise(rank=3), spacing=[2.0, 2.0, 2.0]), image)
    assert found.shape == (8, 12, 16, 3)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    assert found.std() < 0.7 * probabilities(pointwise(rank=3), image).std()  # noise is averaged


def test_a_recipe_names_only_known_normalisations():
    with pytest.raises(ModelError, match="load"):
        probabilities(prepared(net(rank=3), normalize={"name": "load"}), scan(8, 8, 8))
