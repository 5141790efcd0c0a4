"""Lesson 04: the gradient of the Dice loss, a residual stage, distances in mm."""

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

from . import TO_DO, Exercise

FOUR = np.array([[0.9, 0.6, 0.2, 0.1]]), np.array([[1.0, 1, 0, 0]])


def dice_cases():
    """Return [(name, p, g)]: probabilities and truths of (volumes, voxels)."""
    rng = np.random.default_rng(0)
    p, g = rng.uniform(0.05, 0.95, (2, 30)), np.zeros((2, 30))
    g[0, :3], g[1, :20] = 1, 1
    return [
        ("the four voxels", *FOUR),
        ("two volumes, a small and a large object", p, g),
        ("a volume without the object", p[:1], 0 * g[:1]),
    ]


def check_dice_gradient(dice_gradient):
    """Check dice_gradient(p, g) -> (loss, gradient) for arrays (volumes, voxels)."""
    for name, p, g in dice_cases():
        got = dice_gradient(p.copy(), g.copy())
        if got is None:
            return TO_DO.format("dice_gradient")
        loss, gradient = float(got[0]), np.asarray(got[1], float)
        right_loss, right = solve_dice_gradient(p, g)
        mistakes = dice_mistakes(p, g).items()
        if not np.isclose(loss, right_loss, atol=1e-6):
            hints = [hint for hint, (wrong, _) in mistakes if np.isclose(loss, wrong, atol=1e-6)]
            hint = hints[0] if hints else "one Dice for each volume, then 1 - their mean"
            return f"Not yet ({name}): loss {loss:.6f}, right is {right_loss:.6f}. Hint: {hint}."
        if gradient.shape != right.shape:
            hint = "one number a voxel, as many as p has"
            found = f"gradient of shape {gradient.shape}, right is {right.shape}"
            return f"Not yet ({name}): {found}. Hint: {hint}."
        if not np.allclose(gradient, right, atol=1e-6):
            hints = [hint for hint, (_, wrong) in mistakes if np.allclose(gradient, wrong)]
            hint = hints[0] if hints else "quotient rule: (N / S)' = (N' S - N S') / S squared"
            where = tuple(int(i) for i in np.unravel_index(abs(gradient - right).argmax(), p.shape))
            numbers = f"gradient {gradient[where]:.6f} at {where}, right is {right[where]:.6f}"
            return f"Not yet ({name}): {numbers}. Hint: {hint}."
    return "Yes: the loss of each volume, and a gradient that no class weight has to balance."


def parts(p, g):
    """Return twice the overlap and the sum of squares, a number a volume: (volumes, 1) each."""
    return 2 * (p * g).sum(1, keepdims=True), (p**2 + g**2).sum(1, keepdims=True)


def dice_mistakes(p, g):
    """Return what typical mistakes give: {hint: (loss, gradient)}."""
    loss, gradient = solve_dice_gradient(p, g)
    over, total = parts(p, g)
    volumes = len(p)
    linear = (p + g).sum(1, keepdims=True)
    linear_gradient = -(2 * g * linear - over) / linear**2 / volumes
    pooled_over, pooled = over.sum(), total.sum()
    pooled_gradient = -(2 * g * pooled - 2 * p * pooled_over) / pooled**2
    return {
        "V-Net sums the squares below the line": (1 - np.mean(over / linear), linear_gradient),
        "a loss falls where Dice rises: 1 - Dice": (1 - loss, -gradient),
        "one Dice for each volume, not one of all voxels together": (
            1 - pooled_over / pooled,
            pooled_gradient,
        ),
        "the overlap counts twice": (1 - np.mean(over / 2 / total), gradient / 2),
        "the loss is a mean over the volumes, so its gradient is shared, too": (
            loss,
            gradient * volumes,
        ),
        "p stands below the line as well": (loss, -2 * g / total / volumes),
        "the derivative of p squared is 2 p": (
            loss,
            -(2 * g * total - p * over) / total**2 / volumes,
        ),
    }


def solve_dice_gradient(p, g):
    over, total = parts(p, g)
    gradient = -(2 * g * total - 2 * p * over) / total**2
    return 1 - np.mean(over / total), gradient / len(p)


def check_residual_stage(residual_stage):
    """Check residual_stage(x, channels, convolutions) on a Keras tensor, 2-D."""
    import keras

    for given, channels, count in [(1, 16, 1), (8, 8, 3)]:
        name = f"{count} convolution{'s' * (count > 1)}, {given} to {channels} channels"
        inputs = keras.Input((6, 5, given))
        x = residual_stage(inputs, channels, count)
        if x is None:
            return TO_DO.format("residual_stage")
        if tuple(x.shape[1:]) != (6, 5, channels):
            found = f"{tuple(x.shape[1:])}, right is {(6, 5, channels)}"
            return (
                f'Not yet ({name}): the stage gives {found}. Hint: padding="same" keeps the size.'
            )
        model = keras.Model(inputs, x)
        right = sum(25 * wide * channels for wide in [given] + [channels] * (count - 1))
        right += 2 * count * channels  # biases and slopes
        if model.count_params() != right:
            found = f"{model.count_params()} weights, right is {right}"
            hint = weight_hint(model.count_params() - right, count, channels)
            return f"Not yet ({name}): {found}. Hint: {hint}."
        picture = np.random.default_rng(0).normal(size=(1, 6, 5, given)).astype("float32")
        for layer in model.layers:
            if "Conv" in type(layer).__name__:
                layer.set_weights([0 * array for array in layer.get_weights()])
        got = keras.ops.convert_to_numpy(model(picture))
        wanted = np.where(picture > 0, picture, picture / 4) + np.zeros((1, 6, 5, channels))
        if not np.allclose(got, wanted, atol=1e-6):
            hint = identity_hint(got, picture)
            return f"Not yet ({name}): with kernels of 0 the image does not pass. Hint: {hint}."
    return "Yes: with kernels of 0 the stage hands its input on, and it can only learn what to add."


def weight_hint(excess, count, channels):
    places = 6 * 5
    if excess == count * channels * (places - 1):
        return "one slope a channel: PReLU(shared_axes=[1, 2]), or each pixel gets its own"
    if excess == -channels * (count - 1):
        return "a PReLU follows each convolution, not only the last"
    if excess < 0 and excess % 16 == 0:
        return "V-Net's kernels are 5 wide"
    return "a convolution has kernel * kernel * channels in * channels out weights and a bias"


def identity_hint(got, picture):
    if not got.any():
        return "add the stage's input to what the last convolution gives"
    if np.allclose(got, np.maximum(picture, 0)):
        return "slopes start at 0.25: alpha_initializer=keras.initializers.Constant(0.25)"
    if np.allclose(got, picture + 0 * got):
        return "the last PReLU comes after the addition"
    if np.allclose(got, np.where(picture > 0, picture, picture / 16)):
        return "no PReLU between the last convolution and the addition, one after it"
    return "it is the input of the whole stage that is added, once, after the last convolution"


def solve_residual_stage(x, channels, convolutions, kernel=5):
    from keras import initializers, layers

    start = x
    for number in range(convolutions):
        x = layers.Conv2D(channels, kernel, padding="same")(x)
        if number == convolutions - 1:
            x = layers.Add()([x, start])
        x = layers.PReLU(alpha_initializer=initializers.Constant(0.25), shared_axes=[1, 2])(x)
    return x


def wrong_stage(mistake):
    """Return a residual_stage with one mistake."""

    def stage(x, channels, convolutions):
        from keras import initializers, layers

        start = x
        for number in range(convolutions):
            last = number == convolutions - 1
            x = layers.Conv2D(channels, 3 if mistake == "kernel" else 5, padding="same")(x)
            slope = initializers.Constant(0 if mistake == "slope" else 0.25)
            axes = None if mistake == "axes" else [1, 2]
            if mistake == "early":
                x = layers.PReLU(alpha_initializer=slope, shared_axes=axes)(x)
            if last and mistake != "plain":
                x = layers.Add()([x, x if mistake == "itself" else start])
            if mistake != "early" and (last or mistake != "few"):
                x = layers.PReLU(alpha_initializer=slope, shared_axes=axes)(x)
        return x

    return stage


def distance_cases():
    """Return [(name, truth, prediction, spacing)]."""
    a, b = np.zeros((2, 6, 8), bool)
    a[1:5, 1:5], b[1:5, 2:7] = True, True
    cube, shifted = np.zeros((2, 5, 5, 5), bool)
    cube[1:4, 1:4, 1:4], shifted[2:5, 1:4, 1:4] = True, True
    square, stray = np.zeros((2, 20, 20), bool)
    square[5:15, 5:15] = stray[5:15, 5:15] = stray[0, 0] = True
    strays = stray.copy()
    strays[0, 2], strays[2, 0] = True, True
    return [
        ("a square and a wider one", a, b, (1, 1)),
        ("the same, pixels half as wide", a, b, (1, 0.5)),
        ("a cube that is one thick slice off", cube, shifted, (1.5, 1, 1)),
        ("a stray pixel far away", square, stray, (1, 1)),
        ("three stray pixels", square, strays, (1, 1)),
        ("the stray pixels in the truth", strays, square, (1, 1)),
    ]


def check_distances(distances):
    """Check distances(truth, prediction, spacing) -> (HD, HD95, ASSD) in mm."""
    names = "HD", "HD95", "ASSD"
    for case, truth, prediction, spacing in distance_cases():
        got = distances(truth.copy(), prediction.copy(), spacing)
        if got is None:
            return TO_DO.format("distances")
        got = [float(number) for number in got]
        right = solve_distances(truth, prediction, spacing)
        if np.allclose(got, right, atol=1e-6):
            continue
        place = next(k for k in range(3) if not np.isclose(got[k], right[k], atol=1e-6))
        mistakes = distance_mistakes(truth, prediction, spacing).items()
        hints = [hint for hint, wrong in mistakes if np.allclose(got, wrong)]
        hints += [hint for hint, wrong in mistakes if np.isclose(got[place], wrong[place])]
        hint = hints[0] if hints else "draw the two surfaces and measure with a ruler"
        found = f"{names[place]} {got[place]:.4f} mm, right is {right[place]:.4f}"
        return f"Not yet ({case}): {found}. Hint: {hint}."
    return "Yes: in mm, from both sides, and one stray pixel ruins HD alone."


def lists(truth, prediction, spacing, surface=None):
    """Return the distances from each surface to the other, as two arrays."""
    surface = surface or (lambda mask: mask & ~binary_erosion(mask))
    a, b = surface(truth), surface(prediction)
    return [
        distance_transform_edt(~there, sampling=spacing)[here] for here, there in [(a, b), (b, a)]
    ]


def summed(there, back):
    both = np.concatenate([there, back])
    return both.max(), max(np.percentile(there, 95), np.percentile(back, 95)), both.mean()


def distance_mistakes(truth, prediction, spacing):
    """Return what typical mistakes give: {hint: (HD, HD95, ASSD)}."""
    there, back = lists(truth, prediction, spacing)
    both = np.concatenate([there, back])
    hd, hd95, mean = summed(there, back)
    return {
        "distances are in mm: sampling=spacing": summed(*lists(truth, prediction, None)),
        "spacing in the axes' own order": summed(*lists(truth, prediction, spacing[::-1])),
        "measure from both sides: what one side does not see, the other does": (
            there.max(),
            np.percentile(there, 95),
            there.mean(),
        ),
        "only surface voxels count, those with a face neighbour outside": summed(
            *lists(truth, prediction, spacing, lambda mask: mask)
        ),
        "HD95 is the larger of the two sides' percentiles, not that of both lists together": (
            hd,
            np.percentile(both, 95),
            mean,
        ),
        "ASSD is the mean over all surface voxels, not the mean of two means": (
            hd,
            hd95,
            (there.mean() + back.mean()) / 2,
        ),
    }


def solve_distances(truth, prediction, spacing):
    return summed(*lists(truth, prediction, spacing))


EXERCISES = [
    Exercise(
        check_dice_gradient,
        solve_dice_gradient,
        [(lambda p, g, hint=hint: dice_mistakes(p, g)[hint], hint) for hint in dice_mistakes(*FOUR)]
        + [(lambda p, g: (solve_dice_gradient(p, g)[0], 0.1), "one number a voxel")],
    ),
    Exercise(
        check_residual_stage,
        solve_residual_stage,
        [
            (wrong_stage("plain"), "add the stage's input"),
            (wrong_stage("itself"), "add the stage's input"),
            (wrong_stage("early"), "after the addition"),
            (wrong_stage("axes"), "one slope a channel"),
            (wrong_stage("slope"), "start at 0.25"),
            (wrong_stage("few"), "follows each convolution"),
            (wrong_stage("kernel"), "5 wide"),
        ],
    ),
    Exercise(
        check_distances,
        solve_distances,
        [
            (lambda *masks, hint=hint: distance_mistakes(*masks)[hint], hint)
            for hint in distance_mistakes(*distance_cases()[0][1:])
        ],
    ),
]
