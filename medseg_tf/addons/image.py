"""TFA's image functions for segmentation: moves, warps, a filter, components, distances.

Images are (rows, columns), (rows, columns, channels) or (batch, rows, columns, channels) where
nothing else is said, and come back with the same axes. The moves, the dense warp and the filter
are keras.ops and run within a model; the others take and return NumPy arrays.
"""

import keras
import numpy as np
from keras import ops

from medseg_tf.errors import ConfigError, GeometryError, LabelError

from .today import pair, refuse

__all__ = [
    "connected_components",
    "dense_image_warp",
    "euclidean_dist_transform",
    "gaussian_filter2d",
    "rotate",
    "sparse_image_warp",
    "transform",
    "translate",
]
__getattr__ = refuse("image")

KERNELS = {1: "linear", 2: "thin_plate_spline", 3: "cubic"}
PADDINGS = {"REFLECT": "reflect", "SYMMETRIC": "symmetric", "CONSTANT": "constant"}


def transform(images, transforms, interpolation="nearest", fill_mode="constant", fill_value=0.0):
    """Return images whose pixel (x, y) is the input's pixel at the transformed (x, y).

    transforms: (a0, a1, a2, b0, b1, b2, c0, c1), one for all or (batch, 8); the output's (x, y),
    x counting columns, is read at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), where k = c0 x
    + c1 y + 1. What lies outside is `fill_value`, or, with `fill_mode` "reflect", "wrap" or
    "nearest", the image again.

    TFA: a kernel of its own, then TensorFlow's. Today: keras.ops.image.affine_transform, the same
    numbers in the same sense.
    What bites: TFA's default is "nearest", Keras' is "bilinear", which invents classes on a label.
    `output_shape` is gone: crop or pad. With JAX and PyTorch c0 and c1 must be 0, and "wrap" mixes
    the last pixels with the first ones in another way.
    """
    images, back = _as_batch("transform", images)
    transforms = ops.reshape(ops.convert_to_tensor(transforms, dtype="float32"), (-1, 8))
    transforms = ops.broadcast_to(transforms, (ops.shape(images)[0], 8))
    moved = ops.image.affine_transform(
        images, transforms, interpolation, fill_mode, fill_value, data_format="channels_last"
    )
    return back(moved)


def rotate(images, angles, interpolation="nearest", fill_mode="constant", fill_value=0.0):
    """Return images turned counter-clockwise about their centre, ((rows, columns) - 1) / 2.

    angles: in radians, one for all or (batch,). Other arguments: `transform`.

    TFA: this. Today: keras.ops.image.affine_transform; keras.layers.RandomRotation draws its angles
    and counts them in turns.
    What bites: radians, not degrees; "nearest" where Keras has "bilinear".
    """
    angles = ops.reshape(ops.convert_to_tensor(angles, dtype="float32"), (-1,))
    images, back = _as_batch("rotate", images)
    rows, columns = images.shape[1:3]
    x, y = (columns - 1) / 2, (rows - 1) / 2
    cosine, sine, zero = ops.cos(angles), ops.sin(angles), ops.zeros_like(angles)
    to_x = [cosine, -sine, x - cosine * x + sine * y]
    to_y = [sine, cosine, y - sine * x - cosine * y]
    turned = ops.stack([*to_x, *to_y, zero, zero], axis=-1)
    return back(transform(images, turned, interpolation, fill_mode, fill_value))


def translate(images, translations, interpolation="nearest", fill_mode="constant", fill_value=0.0):
    """Return images moved by (dx, dy) pixels: to the right, and down.

    translations: one pair for all or (batch, 2). Other arguments: `transform`.

    TFA: this. Today: keras.ops.image.affine_transform; keras.layers.RandomTranslation draws them as
    shares of the side.
    What bites: x comes first; "nearest" rounds a move of half a pixel.
    """
    dx, dy = ops.unstack(
        ops.reshape(ops.convert_to_tensor(translations, dtype="float32"), (-1, 2)), 2, axis=1
    )
    zero = ops.zeros_like(dx)
    one = zero + 1
    moved = ops.stack([one, zero, -dx, zero, one, -dy, zero, zero], axis=-1)
    return transform(images, moved, interpolation, fill_mode, fill_value)


def dense_image_warp(image, flow):
    """Return the image read, between pixels, at each pixel's place minus its flow.

    image: (batch, rows, columns, channels); flow: (batch, rows, columns, 2), pixels (dy, dx). What
    lies outside is the border's value. Differentiable in both.

    TFA: this. Today: keras.ops.image.map_coordinates(order=1, fill_mode="nearest"), channel by
    channel.
    What bites: the flow is *subtracted*: it says where a pixel went, not where it comes from. Most
    other libraries add; with the wrong sign the warp runs backwards and still looks plausible.

    Raises: GeometryError if the flow does not fit the image.
    """
    image, flow = ops.convert_to_tensor(image), ops.convert_to_tensor(flow)
    if len(image.shape) != 4 or tuple(flow.shape[1:]) != (*image.shape[1:3], 2):
        raise GeometryError(
            f"dense_image_warp: flow of shape {tuple(flow.shape)} for an image of shape "
            f"{tuple(image.shape)}; give (batch, rows, columns, channels) and (batch, rows, "
            "columns, 2)."
        )
    axes = [ops.arange(size, dtype=flow.dtype) for size in ops.shape(image)[:3]]
    number, y, x = ops.meshgrid(*axes, indexing="ij")
    places = ops.stack([number, y - flow[..., 0], x - flow[..., 1]])
    channels = [
        ops.image.map_coordinates(image[..., channel], places, order=1, fill_mode="nearest")
        for channel in range(image.shape[-1])
    ]
    return ops.stack(channels, axis=-1)


def sparse_image_warp(
    image,
    source_control_point_locations,
    dest_control_point_locations,
    interpolation_order=2,
    regularization_weight=0.0,
    num_boundary_points=0,
):
    """Move points of an image to given places, and all else smoothly; return (warped, flow).

    Control points: (batch, points, 2), pixels (y, x), before and after. `interpolation_order`: 1
    linear, 2 thin plate, 3 cubic. `num_boundary_points`: 1 holds the corners in place, n also n - 1
    points between them on each side. Returns arrays; the flow is (batch, rows, columns, 2).

    TFA: splines solved in float32, differentiable. Today: scipy.interpolate.RBFInterpolator of
    (after - before) at the places *after*, then `dense_image_warp`. No gradient in the points.
    What bites: without held corners the rest of the image slides along; two points at one place
    have no solution.

    Raises: ConfigError for another order.
    """
    from scipy.interpolate import RBFInterpolator

    if interpolation_order not in KERNELS:
        raise ConfigError(
            f"sparse_image_warp: interpolation_order is {interpolation_order}; give one of "
            f"{', '.join(map(str, KERNELS))}."
        )
    images, back = _as_batch("sparse_image_warp", image)
    rows, columns = images.shape[1:3]
    held = _border(rows, columns, num_boundary_points)
    pixels = np.indices((rows, columns)).reshape(2, -1).T
    # scipy's linear kernel is -r, TFA's r, to which the weight is added.
    smoothing = -regularization_weight if interpolation_order == 1 else regularization_weight
    flows = []
    for before, after in zip(
        np.asarray(source_control_point_locations, "float64"),
        np.asarray(dest_control_point_locations, "float64"),
        strict=True,
    ):
        spline = RBFInterpolator(
            np.concatenate([after, held]),
            np.concatenate([after - before, 0 * held]),
            kernel=KERNELS[interpolation_order],
            smoothing=smoothing,
            degree=1,
        )
        flows.append(spline(pixels).reshape(rows, columns, 2))
    flow = np.stack(flows).astype("float32")
    return ops.convert_to_numpy(back(dense_image_warp(images, flow))), flow


def _border(rows, columns, count):
    """Return the (y, x) of a grid of count + 1 by count + 1 points that lie on the border."""
    if not count:
        return np.zeros((0, 2))
    y, x = np.meshgrid(*(np.linspace(0, side - 1, count + 1) for side in (rows, columns)))
    inside = (y > 0) & (y < rows - 1) & (x > 0) & (x < columns - 1)
    return np.stack([y[~inside], x[~inside]], axis=-1)


def gaussian_filter2d(image, filter_shape=(3, 3), sigma=1.0, padding="REFLECT", constant_values=0):
    """Return the image smoothed by a Gaussian cut to `filter_shape` pixels.

    filter_shape and sigma (pixels): one for both axes, or (rows, columns). padding: "REFLECT"
    mirrors about the border pixel's centre, "SYMMETRIC" about its edge, "CONSTANT" adds
    `constant_values`. Integers are rounded towards 0.

    TFA: this. Today: scipy.ndimage.gaussian_filter(sigma, radius=1, mode="mirror") outside a model;
    keras.ops.image.gaussian_blur has the same kernel, but pads with zeros.
    What bites: 3 x 3 whatever sigma is, so a large sigma smooths hardly more than a mean of nine
    (scipy's own width is 4 sigma each way); and TFA's REFLECT is scipy's "mirror", its SYMMETRIC
    scipy's "reflect". With PyTorch Keras' SYMMETRIC repeats the border pixel (right up to 3 x 3).

    Raises: ConfigError for another padding.
    """
    if padding not in PADDINGS:
        raise ConfigError(
            f"gaussian_filter2d: padding is {padding!r}; give one of {', '.join(PADDINGS)}."
        )
    image, back = _as_batch("gaussian_filter2d", ops.convert_to_tensor(image))
    kind = keras.backend.standardize_dtype(image.dtype)
    x = image if "float" in kind else ops.cast(image, "float32")
    sides = pair(filter_shape)
    room = [(0, 0), *(((side - 1) // 2, side // 2) for side in sides), (0, 0)]
    constant = {"constant_values": constant_values} if padding == "CONSTANT" else {}
    x = ops.pad(x, room, mode=PADDINGS[padding], **constant)
    bells = []
    for side, width in zip(sides, pair(sigma), strict=True):
        bell = np.exp(-((np.arange(side) - (side - 1) // 2) ** 2) / (2 * width**2))
        bells.append(bell / bell.sum())
    kernel = np.outer(*bells)[..., None, None].repeat(x.shape[-1], axis=2)
    kernel = ops.convert_to_tensor(kernel, dtype=x.dtype)
    x = ops.depthwise_conv(x, kernel, padding="valid", data_format="channels_last")
    return back(ops.cast(x, kind))


def connected_components(images):
    """Return the number of each pixel's component, int32; 0 where the image is 0.

    images: (rows, columns) or (batch, rows, columns), integers, numbers or booleans. A component is
    one value, joined over four neighbours; components are counted row by row, through the batch.

    TFA: a kernel of its own. Today: skimage.measure.label(connectivity=1), image by image.
    What bites: touching pixels of *different* values are different components, which
    scipy.ndimage.label(image > 0) joins; no diagonal neighbours; three axes are a batch of planes,
    not a volume (scipy.ndimage and skimage take volumes).

    Raises: GeometryError for another number of axes.
    """
    from skimage.measure import label

    images = np.asarray(images)
    if images.ndim not in (2, 3):
        raise GeometryError(
            f"connected_components: shape {images.shape}; give (rows, columns) or (batch, rows, "
            "columns)."
        )
    values, kinds = np.unique(images, return_inverse=True)
    kinds = kinds.reshape(images.shape) + 1
    kinds[images == 0] = 0
    count, planes = 0, []
    for plane in kinds.reshape(-1, *images.shape[-2:]):
        numbers = label(plane, connectivity=1)
        planes.append(np.where(numbers > 0, numbers + count, 0))
        count += numbers.max()
    return np.stack(planes).reshape(images.shape).astype("int32")


def euclidean_dist_transform(images, dtype="float32"):
    """Return each pixel's distance to the nearest 0, in pixels; 0 on the zeros themselves.

    images: uint8 or bool; channels apart.

    TFA: a kernel of its own. Today: scipy.ndimage.distance_transform_edt, which also takes volumes
    and the spacing of voxels (`sampling`).
    What bites: an image without any 0 has no such distance. TFA returned 1.8e19, scipy returns
    distances to a place outside the image, this returns infinity.

    Raises: LabelError for other types.
    """
    from scipy.ndimage import distance_transform_edt

    images = np.asarray(images)
    if images.dtype not in ("uint8", "bool"):
        raise LabelError(
            f"euclidean_dist_transform: images of type {images.dtype}; give a mask, uint8 or bool, "
            "e.g. (label == 1)."
        )
    planes, back = _as_batch("euclidean_dist_transform", images)
    distance = np.full(planes.shape, np.inf, dtype)
    for number, channel in np.ndindex(planes.shape[0], planes.shape[3]):
        plane = np.asarray(planes)[number, ..., channel]
        if not plane.all():
            distance[number, ..., channel] = distance_transform_edt(plane)
    return back(distance)


def _as_batch(where, images):
    """Return images as (batch, rows, columns, channels), and a function that takes that back."""
    images = images if isinstance(images, np.ndarray) else ops.convert_to_tensor(images)
    rank = len(images.shape)
    if rank == 2:
        return images[None, ..., None], lambda batch: batch[0, ..., 0]
    if rank == 3:
        return images[None], lambda batch: batch[0]
    if rank == 4:
        return images, lambda batch: batch
    raise GeometryError(
        f"{where}: images of shape {tuple(images.shape)}; give (rows, columns), (rows, columns, "
        "channels) or (batch, rows, columns, channels)."
    )
