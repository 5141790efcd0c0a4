"""Lesson 14: the memory of a U-Net's maps, tiles with a margin, a model among raters."""

import numpy as np

from . import TO_DO, Exercise

# rows, columns, width, depth, batch
NETWORKS = [(256, 256, 64, 4, 1), (512, 384, 64, 4, 1), (512, 512, 8, 3, 1), (256, 256, 8, 3, 3)]


def check_map_bytes(map_bytes):
    """Check map_bytes(rows, columns, width, depth, batch) -> bytes of what convolutions give."""
    for arguments in NETWORKS:
        got = map_bytes(*arguments)
        if got is None:
            return TO_DO.format("map_bytes")
        right = solve_map_bytes(*arguments)
        if not np.isclose(got, right, rtol=1e-9):
            slips = {hint: slip(*arguments) for hint, slip in BYTES_SLIPS.items()}
            hints = [hint for hint, wrong in slips.items() if np.isclose(got, wrong, rtol=1e-9)]
            hint = hints[0] if hints else "two convolutions a stage, down, at the bottom and up"
            return f"Not yet {arguments}: {got:,.0f} bytes, right is {right:,.0f}. Hint: {hint}."
    return "Yes: doubling both sides makes it four times as much, and so does a batch of four."


def solve_map_bytes(rows, columns, width, depth, batch):
    return 4 * batch * rows * columns * width * (8 - 6 / 2**depth)


BYTES_SLIPS = {
    "each number takes 4 bytes": lambda r, c, w, d, n: solve_map_bytes(r, c, w, d, n) / 4,
    "every image of a batch has maps of its own": lambda r, c, w, d, n: solve_map_bytes(
        r, c, w, d, 1
    ),
    "the way up has maps, too": lambda r, c, w, d, n: 4 * n * r * c * w * (4 - 2 / 2**d),
    "channels double where a side is halved": lambda r, c, w, d, n: (
        4 * n * r * c * w * (4 * sum(0.25**k for k in range(d)) + 2 * 0.25**d)
    ),
    "halving both sides leaves a quarter of the positions": lambda r, c, w, d, n: (
        4 * n * r * c * w * (4 * d + 2)
    ),
    "each stage has two convolutions": lambda r, c, w, d, n: solve_map_bytes(r, c, w, d, n) / 2,
    "the bottom stage is passed once": lambda r, c, w, d, n: 4 * n * r * c * w * (8 - 4 / 2**d),
}


def network(image):
    """A stand-in for a network: halves twice, looks 12 pixels far, and adds the input itself.

    Like one with "same" padding it sees zeros beyond the ends, and takes multiples of 4.
    """
    from scipy.ndimage import uniform_filter

    rows, columns = image.shape
    if rows % 4 or columns % 4:
        raise ValueError(f"the network takes multiples of 4, not {rows} x {columns}")
    coarse = image.reshape(rows // 4, 4, columns // 4, 4).max(axis=(1, 3))
    seen = uniform_filter(coarse, 7, mode="constant")
    return seen.repeat(4, axis=0).repeat(4, axis=1) + image


TILE, MARGIN = 48, 12


def check_tiles(tile_predict):
    """Check tile_predict(predict, image, tile, margin) against the whole image at once."""
    rng = np.random.default_rng(0)
    for shape in [(48, 48), (96, 72), (64, 88)]:
        image, sizes = rng.normal(size=shape), []

        def predict(part, sizes=sizes):
            sizes.append(max(part.shape))
            return network(part)

        got = tile_predict(predict, image.copy(), TILE, MARGIN)
        if got is None:
            return TO_DO.format("tile_predict")
        where, got = f"image {shape[0]} x {shape[1]}", np.asarray(got)
        if got.shape != shape:
            return (
                f"Not yet ({where}): the answer is {got.shape}. Hint: it is as large as the image."
            )
        if max(sizes, default=0) > TILE:
            return (
                f"Not yet ({where}): the network was given {max(sizes)} pixels at once. Hint: a "
                f"tile has {TILE}, its margins included."
            )
        if not np.allclose(got, network(image)):
            hint = tile_hint(got, image)
            largest = abs(got - network(image)).max()
            return f"Not yet ({where}): off by up to {largest:.2f}. Hint: {hint}."
    return "Yes: every pixel that is kept saw what it sees in the whole image."


def tile_hint(got, image):
    slips = {hint: slip(network, image, TILE, MARGIN) for hint, slip in TILE_SLIPS.items()}
    hints = [hint for hint, wrong in slips.items() if np.allclose(got, wrong)]
    if hints:
        return hints[0]
    off = np.argwhere(~np.isclose(got, network(image)))
    row, column = off[0]
    return f"the first pixel that differs is {row}, {column}: which tile is it kept from"


def solve_tiles(predict, image, tile, margin):
    answer, step = np.zeros(image.shape), tile - 2 * margin
    for row in range(0, image.shape[0], step):
        for column in range(0, image.shape[1], step):
            top, left = max(row - margin, 0), max(column - margin, 0)
            part = predict(image[top : row + step + margin, left : column + step + margin])
            core = part[row - top :, column - left :][:step, :step]
            answer[row : row + step, column : column + step] = core
    return answer


def wrong_tiles(mistake):
    """Return a tile_predict with one mistake."""

    def tile_predict(predict, image, tile, margin):
        rim = 0 if mistake == "no margin" else margin
        step = tile - 2 * rim
        answer, far = np.zeros(image.shape), 0
        if mistake == "mirror":
            far, image = rim, np.pad(image, rim, mode="reflect")
        for row in range(0, answer.shape[0], step):
            for column in range(0, answer.shape[1], step):
                top, left = max(row + far - rim, 0), max(column + far - rim, 0)
                part = predict(
                    image[top : row + far + step + rim, left : column + far + step + rim]
                )
                drop = (rim, rim) if mistake == "shift" else (row + far - top, column + far - left)
                place = answer[row : row + step, column : column + step]
                place[...] = part[drop[0] :, drop[1] :][: place.shape[0], : place.shape[1]]
        return answer

    return tile_predict


TILE_SLIPS = {
    "give each tile the pixels of its neighbours, and drop what is near its ends": wrong_tiles(
        "no margin"
    ),
    "at the image's own border there is nothing to add: the network sees zeros there": wrong_tiles(
        "mirror"
    ),
    "a tile at the image's own border has no margin on that side to drop": wrong_tiles("shift"),
}


def rater_cases():
    """Return [(name, model's mask, raters' masks)]."""
    rng = np.random.default_rng(0)
    line = np.arange(60)

    def reading(shift):
        start, stop = np.array([15, 45]) + rng.integers(-shift, shift + 1, 2)
        return (line >= start) & (line < stop)

    return [
        ("two raters", reading(1), [reading(4) for _ in range(2)]),
        ("three raters", reading(2), [reading(5) for _ in range(3)]),
        ("a model worse than four raters", reading(9), [reading(2) for _ in range(4)]),
    ]


def check_williams(williams):
    """Check williams(model, raters) -> Williams' index of a mask among raters' masks."""
    for name, model, raters in rater_cases():
        got = williams(model.copy(), [one.copy() for one in raters])
        if got is None:
            return TO_DO.format("williams")
        right = solve_williams(model, raters)
        if np.shape(got) != () or not np.isclose(float(got), right):
            slips = {hint: slip(model, raters) for hint, slip in WILLIAMS_SLIPS.items()}
            hints = [hint for hint, wrong in slips.items() if np.allclose(got, wrong)]
            hint = hints[0] if hints else "a mean of Dice with the raters over one among them"
            shown = f"{float(got):.4f}" if np.shape(got) == () else f"of shape {np.shape(got)}"
            return f"Not yet ({name}): the index is {shown}, right is {right:.4f}. Hint: {hint}."
    return "Yes: above 1 the model agrees with the raters more than they do with each other."


def dice(one, other):
    return 2 * np.sum(one & other) / (np.sum(one) + np.sum(other))


def with_model(model, raters):
    return [dice(model, one) for one in raters]


def among(raters):
    return [dice(one, other) for k, one in enumerate(raters) for other in raters[:k]]


def solve_williams(model, raters):
    return np.mean(with_model(model, raters)) / np.mean(among(raters))


def every_pair(raters):
    return [dice(one, other) for one in raters for other in raters]


def majority(raters):
    return np.mean(raters, axis=0) > 0.5


WILLIAMS_SLIPS = {
    "a rater is not compared with himself": lambda m, r: (
        np.mean(with_model(m, r)) / np.mean(every_pair(r))
    ),
    "the model's agreement stands above the line": lambda m, r: 1 / solve_williams(m, r),
    "means, for there are more or fewer pairs than raters": lambda m, r: (
        np.sum(with_model(m, r)) / np.sum(among(r))
    ),
    "the model is compared with each rater, not with what most of them say": lambda m, r: (
        dice(m, majority(r)) / np.mean(among(r))
    ),
    "divide by the agreement among the raters": lambda m, r: np.mean(with_model(m, r)),
}


EXERCISES = [
    Exercise(
        check_map_bytes,
        solve_map_bytes,
        [(slip, hint) for hint, slip in BYTES_SLIPS.items()] + [(lambda *_: 1.0, "up")],
    ),
    Exercise(
        check_tiles,
        solve_tiles,
        [(slip, hint) for hint, slip in TILE_SLIPS.items()]
        + [
            (lambda predict, image, tile, margin: 0 * image, "which tile is it kept from"),
            (lambda predict, image, tile, margin: predict(image), "its margins included"),
            (lambda predict, image, tile, margin: predict(image[:48, :40]), "as large as"),
        ],
    ),
    Exercise(
        check_williams,
        solve_williams,
        [(slip, hint) for hint, slip in WILLIAMS_SLIPS.items()]
        + [(lambda m, r: with_model(m, r), "a mean of Dice")],
    ),
]
