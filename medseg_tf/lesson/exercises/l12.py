"""Lesson 12: areas of a beat, Adam with slow layers, batch normalisation that still moves."""

import numpy as np

from . import TO_DO, Exercise


def beats():
    """Return [(name, masks (frames, rows, columns), spacing)]."""
    rng = np.random.default_rng(0)
    sides = [6, 5, 3, 4]
    square = np.zeros((4, 12, 12), int)
    for frame, side in enumerate(sides):
        square[frame, 2 : 2 + side, 3 : 3 + side] = 1
    return [
        ("four squares", square, (2.0, 2.0)),
        ("flat pixels", square, (0.5, 3.0)),
        ("any masks", (rng.random((5, 9, 7)) < [[[0.3]], [[0.6]], [[0.2]], [[0.5]], [[0.4]]]) * 1,
         (1.0, 1.5)),
    ]  # fmt: skip


def check_ejection(ejection):
    """Check ejection(masks, spacing) -> (areas in cm², share given up)."""
    for name, masks, spacing in beats():
        got = ejection(masks.copy(), spacing)
        if got is None:
            return TO_DO.format("ejection")
        if not isinstance(got, tuple) or len(got) != 2:
            return "Not yet: return two things, the areas and the share: `return areas, share`."
        areas, share = np.asarray(got[0], float), float(np.asarray(got[1]).mean())
        right, its_share = solve_ejection(masks, spacing)
        if areas.shape != right.shape:
            return f"Not yet ({name}): areas of shape {areas.shape}. Hint: one number a frame."
        if not np.allclose(areas, right):
            hint = area_hint(areas, right, masks, spacing)
            numbers = f"the first area is {areas[0]:.4g} cm², right is {right[0]:.4g}"
            return f"Not yet ({name}): {numbers}. Hint: {hint}."
        if not np.isclose(share, its_share):
            hint = share_hint(share, right)
            return (
                f"Not yet ({name}): the share is {share:.4f}, right {its_share:.4f}. Hint: {hint}."
            )
    return "Yes: counted pixels, times their size, and what is gone at the smallest."


def solve_ejection(masks, spacing):
    areas = masks.sum(axis=(1, 2)) * spacing[0] * spacing[1] / 100
    return areas, 1 - areas.min() / areas.max()


def area_hint(areas, right, masks, spacing):
    if np.allclose(areas, 100 * right):
        return "a cm² has 100 mm²"
    if np.allclose(areas, 10 * right):
        return "a cm² has 100 mm², not 10"
    counts = masks.sum(axis=(1, 2))
    if np.allclose(areas, counts) or np.allclose(areas, counts / 100):
        return "a pixel is no mm²: multiply by its two sides"
    if np.allclose(areas, counts * spacing[0] ** 2 / 100):
        return "rows and columns may lie differently far apart: one factor each"
    return "sum over rows and columns, times both sides of a pixel"


def share_hint(share, areas):
    smallest, largest = areas.min(), areas.max()
    if np.isclose(share, smallest / largest):
        return "that is what stays; asked is what is given up"
    if np.isclose(share, 1 - areas[-1] / areas[0]):
        return "largest and smallest area, wherever they are in the beat"
    if np.isclose(share, largest / smallest - 1):
        return "divide by the largest area"
    if np.isclose(share, largest - smallest):
        return "a share of the largest area, no difference in cm²"
    return "1 - smallest / largest"


def check_adam_step(adam_step):
    """Check adam_step(weights, gradients, moments, step, rate, factors), three steps in a row."""
    for name, factors in [
        ("no factors", {}),
        ("body at a tenth", {"body": 0.1}),
        ("body frozen", {"body": 0}),
    ]:
        rng = np.random.default_rng(0)
        weights = {"body": rng.normal(size=3), "head": rng.normal(size=(2, 2))}
        moments = {key: (0 * value, 0 * value) for key, value in weights.items()}
        for step in (1, 2, 3):
            gradients = {key: rng.normal(size=value.shape) for key, value in weights.items()}
            given = [dict(weights), gradients, dict(moments), step, 0.01, dict(factors)]
            got = adam_step(*given)
            if got is None:
                return TO_DO.format("adam_step")
            if not isinstance(got, tuple) or len(got) != 2:
                return "Not yet: return new weights and new moments: `return moved, kept`."
            right = solve_adam_step(weights, gradients, moments, step, 0.01, factors)
            if problem := step_problem(got, right, given):
                return f"Not yet ({name}, step {step}): {problem}."
            weights, moments = right
    return "Yes: Adam takes its step, and the factor shortens it; 0 is frozen."


def step_problem(got, right, given):
    """Say what is wrong with a step, with a hint; None if nothing is."""
    for key in right[0]:
        if key not in got[0] or key not in got[1]:
            return f"{key} is missing. Hint: return every layer, with a factor or without"
        if not np.allclose(got[0][key], right[0][key], rtol=1e-6, atol=1e-9):
            moved, wanted = (np.ravel(w[key] - given[0][key])[0] for w in (got[0], right[0]))
            slips = {hint: solve_adam_step(*given, slip=s) for hint, s in STEP_SLIPS.items()}
            # At the first step a scaled gradient moves as far as a whole one: moments tell.
            hints = [
                hint
                for hint, slip in slips.items()
                if all(np.allclose(a[key], b[key]) for a, b in zip(got, slip, strict=True))
            ]
            hint = hints[0] if hints else "minus rate times factor times m̂ / (sqrt(v̂) + 1e-7)"
            return f"{key} moved by {moved:.6f}, right is {wanted:.6f}. Hint: {hint}"
        if not np.allclose(got[1][key], right[1][key]):
            return f"the moments of {key} differ. Hint: keep m and v themselves, not divided ones"
    return None


def solve_adam_step(weights, gradients, moments, step, rate, factors, slip=None):
    """Right by default; `slip` names what is wrong."""
    moved, kept = {}, {}
    for name, g in gradients.items():
        factor = factors.get(name, 1)
        if slip == "gradient":
            g, factor = factor * g, 1
        m, v = moments[name]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        kept[name] = m, v
        if slip == "raw":
            direction = m / (np.sqrt(v) + 1e-7)
        else:
            direction = m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-7)
        if slip == "sgd":
            direction = g
        if slip == "all":
            factor = min(factors.values(), default=1)
        sign = 1 if slip == "up" else -1
        moved[name] = weights[name] + sign * rate * (1 if slip == "none" else factor) * direction
    return moved, kept


STEP_SLIPS = {
    "Adam divides the gradient's size out: shorten the step, not the gradient": "gradient",
    "downhill: minus the rate": "up",
    "divide m by 1 - 0.9^step and v by 1 - 0.999^step first": "raw",
    "that is plain gradient descent; Adam goes by its moments": "sgd",
    "the factor of this layer is not used": "none",
    "a layer without a factor takes its whole step": "all",
}


def nested():
    """Return [(name, model, right answer's names)]: what moves, and what was frozen."""
    import keras

    def norm(name):
        return keras.layers.BatchNormalization(name=name)

    inner = keras.Input((4, 4, 2))
    trunk = keras.Model(inner, norm("deep")(norm("edge")(inner)), name="trunk")
    outer = keras.Input((4, 4, 2))
    called = keras.Model(outer, norm("head")(trunk(outer, training=False)))
    inner = keras.Input((4, 4, 2))
    half = keras.Model(inner, norm("deep")(norm("edge")(inner)), name="half")
    outer = keras.Input((4, 4, 2))
    frozen = keras.Model(outer, norm("head")(half(outer)))
    half.get_layer("edge").trainable = False
    return [
        ("a trunk called with training=False", called, {"edge", "deep", "head"}),
        ("one layer of the trunk frozen", frozen, {"deep", "head"}),
    ]


def every_norm(model):
    import keras

    found = []
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found += every_norm(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            found.append(layer)
    return found


def mean_of(layer):
    """A copy of a layer's moving mean: it follows scale and offset."""
    return layer.get_weights()[2]


def check_moving(moving):
    """Check moving(model, x) -> {name: largest change of the moving mean}."""
    x = np.random.default_rng(0).normal(3, 1, (8, 4, 4, 2)).astype("float32")
    for name, model, names in nested():
        before = model.get_weights()
        got = moving(model, x)
        if got is None:
            return TO_DO.format("moving")
        if not isinstance(got, dict):
            return f"Not yet: moving returned a {type(got).__name__}; right is a dictionary."
        if set(got) != names:
            return f"Not yet ({name}): {moving_hint(set(got), names)}."
        after = model.get_weights()
        if not all(np.allclose(a, b) for a, b in zip(before, after, strict=True)):
            hint = "get_weights() before, set_weights() afterwards"
            return f"Not yet ({name}): the averages are not as they were. Hint: {hint}."
        right = solve_moving(model, x)
        if any(abs(got[key] - right[key]) > 1e-4 for key in right):
            key = next(key for key in right if abs(got[key] - right[key]) > 1e-4)
            hint = "the largest difference of any channel, as a positive number"
            numbers = f"{key} moved by {got[key]:.4f}, right is {right[key]:.4f}"
            return f"Not yet ({name}): {numbers}. Hint: {hint}."
    return "Yes: calling with training=False held nothing; freezing did."


def moving_hint(got, names):
    shown = ", ".join(sorted(got)) or "nothing"
    if not got & {"edge", "deep"} and names & {"edge", "deep"}:
        hint = (
            "call the model with training=True, as fit does"
            if not got
            else "a layer may be a model with layers of its own: look into it"
        )
    elif got - names:
        hint = "leave out what did not move at all"
    else:
        hint = "layers within the trunk count as well as those after it"
    return f"it says {shown} moved; {', '.join(sorted(names))} did. Hint: {hint}"


def solve_moving(model, x, flag=True, look_inside=True, keep_still=False, restore=True):
    """Right with its defaults; the other values are typical slips."""
    import keras

    norms = every_norm(model)
    if not look_inside:
        norms = [one for one in model.layers if isinstance(one, keras.layers.BatchNormalization)]
    weights = model.get_weights()
    before = [mean_of(layer) for layer in norms]
    model(x, training=flag)
    pairs = zip(norms, before, strict=True)
    change = {layer.name: float(np.abs(mean_of(layer) - old).max()) for layer, old in pairs}
    if restore:
        model.set_weights(weights)
    return {name: most for name, most in change.items() if most > 0 or keep_still}


EXERCISES = [
    Exercise(
        check_ejection,
        solve_ejection,
        [
            (lambda m, s: m.sum((1, 2)) * s[0] * s[1] / 100, "two things"),
            (lambda m, s: (solve_ejection(m, s)[0].sum(), 0.5), "one number a frame"),
            (lambda m, s: (m.sum((1, 2)) * s[0] * s[1], 0.5), "has 100 mm²"),
            (lambda m, s: (m.sum((1, 2)) * s[0] * s[1] / 10, 0.5), "not 10"),
            (lambda m, s: (m.sum((1, 2)) / 100, 0.5), "no mm²"),
            (
                lambda m, s: (
                    m.sum((1, 2)) * s[0] ** 2 / 100,
                    solve_ejection(m, s)[1],
                ),
                "one factor each",
            ),
            (
                lambda m, s: (solve_ejection(m, s)[0], 1 - solve_ejection(m, s)[1]),
                "what is given up",
            ),
            (
                lambda m, s: (
                    solve_ejection(m, s)[0],
                    1 - m[-1].sum() / m[0].sum(),
                ),
                "wherever they are",
            ),
            (
                lambda m, s: (solve_ejection(m, s)[0], np.ptp(solve_ejection(m, s)[0])),
                "no difference in cm²",
            ),
            (
                lambda m, s: (
                    solve_ejection(m, s)[0],
                    solve_ejection(m, s)[0].max() / solve_ejection(m, s)[0].min() - 1,
                ),
                "divide by the largest",
            ),
        ],
    ),
    Exercise(
        check_adam_step,
        solve_adam_step,
        [
            (lambda *given, slip=slip: solve_adam_step(*given, slip=slip), hint)
            for hint, slip in STEP_SLIPS.items()
        ]
        + [
            (lambda *given: solve_adam_step(*given)[0], "new weights and new moments"),
            (
                lambda weights, gradients, moments, *rest: solve_adam_step(
                    weights, {"body": gradients["body"]}, moments, *rest
                ),
                "return every layer",
            ),
            (
                lambda weights, gradients, moments, *rest: (
                    solve_adam_step(weights, gradients, moments, *rest)[0],
                    moments,
                ),
                "keep m and v",
            ),
        ],
    ),
    Exercise(
        check_moving,
        solve_moving,
        [
            (lambda model, x: solve_moving(model, x, flag=False), "training=True, as fit does"),
            (lambda model, x: solve_moving(model, x, look_inside=False), "look into it"),
            (lambda model, x: solve_moving(model, x, keep_still=True), "did not move at all"),
            (lambda model, x: solve_moving(model, x, restore=False), "set_weights() afterwards"),
            (lambda model, x: sorted(solve_moving(model, x)), "a dictionary"),
            (
                lambda model, x: {k: -v for k, v in solve_moving(model, x).items()},
                "positive number",
            ),
        ],
    ),
]
