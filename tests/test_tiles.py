"""How tiles cover an axis, by numbers small enough to check by hand."""

import numpy as np
import pytest

from medseg_tf.inference import tiles


def show(spans):
    return [tuple(span[:3]) for span in spans]  # start, first, stop


def test_an_axis_that_one_tile_covers_has_one_tile():
    assert show(tiles.lay(10, output=12, step=12, stride=4)) == [(0, 0, 10)]


def test_the_last_tile_ends_where_a_single_pass_would():
    # 21 voxels are passed as 24; tiles of 12 start at 0, 8 and 24 - 12.
    assert show(tiles.lay(21, output=12, step=8, stride=4)) == [
        (0, 0, 12),
        (8, 8, 20),
        (12, 12, 21),
    ]


def test_a_margin_is_given_up_inside_the_image_and_kept_at_its_borders():
    found = tiles.lay(24, output=12, step=4, stride=4, margin=4)
    assert show(found) == [(0, 0, 8), (4, 8, 12), (8, 12, 16), (12, 16, 24)]


def test_edge_to_edge_each_voxel_belongs_to_one_tile():
    spans = tiles.edge_to_edge(tiles.lay(21, output=12, step=8, stride=4))
    assert show(spans) == [(0, 0, 12), (8, 12, 20), (12, 20, 21)]


CASES = [
    dict(size=size, output=output, step=step, stride=stride, margin=margin)
    for size in (1, 15, 64, 101)
    for output, step, stride, margin in [(16, 8, 8, 0), (16, 4, 4, 0), (32, 8, 8, 8), (20, 3, 1, 2)]
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tiles_leave_no_gap_start_at_the_stride_and_share_each_voxel_fully(case):
    spans = tiles.lay(**case)
    assert all(span.start % case["stride"] == 0 for span in spans)
    owners, weights = np.zeros(case["size"], int), np.zeros(case["size"])
    for span in tiles.edge_to_edge(spans):
        owners[span.first : span.stop] += 1
    for span in tiles.blend(spans):
        assert (span.weights > 0).all()
        weights[span.first : span.stop] += span.weights
    assert (owners == 1).all()
    np.testing.assert_allclose(weights, 1, atol=1e-6)


def test_half_overlapping_tiles_fade_as_sine_squared_and_cosine_squared():
    first, second = tiles.blend(tiles.lay(12, output=8, step=4, stride=4))
    place = np.pi * (np.arange(4) + 0.5) / 8
    np.testing.assert_allclose(first.weights[4:], np.cos(place) ** 2, rtol=1e-6)
    np.testing.assert_allclose(second.weights[:4], np.sin(place) ** 2, rtol=1e-6)


def test_batches_are_as_equal_as_they_can_be():
    axis = tiles.lay(24, output=8, step=8, stride=8)
    assert [len(batch) for batch in tiles.combine([axis, axis], most=8)] == [5, 4]


@pytest.mark.parametrize("join", [tiles.edge_to_edge, tiles.blend])
def test_tiles_cut_from_an_image_and_placed_again_are_the_image(join):
    image = np.random.default_rng(0).normal(size=(19, 30, 2)).astype("float32")
    axes = [join(tiles.lay(size, output=12, step=4, stride=4)) for size in (19, 30)]
    padded, total = np.pad(image, [(0, 4), (0, 4), (0, 0)]), np.zeros_like(image)
    for tile in tiles.combine(axes, most=100)[0]:
        rows, columns = (slice(span.start, span.start + 12) for span in tile)
        tiles.place(total, padded[rows, columns], tile)
    np.testing.assert_allclose(total, image, atol=1e-6)
