"""Lesson 07: unpooling, a stack trained layer by layer, a sparse code that votes."""

import numpy as np

from . import TO_DO, Exercise


def pool(image):
    """Maxima of the blocks of 2 x 2 and their switches; the first of equal values counts."""
    rows, columns = (side // 2 for side in image.shape)
    values, switches = np.zeros((rows, columns)), np.zeros((rows, columns), int)
    for i, j in np.ndindex(rows, columns):
        block = image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        down, across = np.unravel_index(block.argmax(), (2, 2))
        values[i, j] = block.max()
        switches[i, j] = (2 * i + down) * image.shape[1] + 2 * j + across
    return values, switches


def unpool_cases():
    """Return [(name, image)]."""
    rng = np.random.default_rng(0)
    block = np.array([[1, 2, 5, 3], [4, 0, 1, 6], [7, 8, 2, 2], [3, 1, 0, 9]], float)
    return [
        ("the block of the lesson", block),
        ("4 x 6", rng.permutation(24).reshape(4, 6) + 1.0),
        ("5 x 5, its last row and column in no block", rng.permutation(25).reshape(5, 5) + 1.0),
        ("all values alike", np.ones((4, 4))),
    ]


def check_max_unpool(max_unpool):
    """Check max_unpool(values, switches, shape) on numpy arrays."""
    for name, image in unpool_cases():
        values, switches = pool(image)
        got = max_unpool(values.copy(), switches.copy(), image.shape)
        if got is None:
            return TO_DO.format("max_unpool")
        got, right = np.asarray(got), solve_max_unpool(values, switches, image.shape)
        if got.shape != right.shape:
            hint = "the unpooled map has the given shape, which need not be twice the pooled one"
            return f"Not yet ({name}): shape {got.shape}, right is {right.shape}. Hint: {hint}."
        if not np.array_equal(got, right):
            hints = [
                hint
                for hint, slip in UNPOOL_SLIPS.items()
                if np.array_equal(got, solve_max_unpool(values, switches, image.shape, slip))
            ]
            hint = hints[0] if hints else "each value goes where its switch says, the rest is 0"
            place = tuple(int(i) for i in np.argwhere(got != right)[0])
            found = f"{got[place]:g} at {place}, right is {right[place]:g}"
            return f"Not yet ({name}): {found}. Hint: {hint}."
    return "Yes: maxima where they lay, zeros elsewhere; pooled again it is the same map."


def solve_max_unpool(values, switches, shape, slip=None):
    """Right by default; `slip` names what is wrong."""
    result = np.zeros(shape)
    width = 2 * values.shape[1] if slip == "width" else shape[1]
    if slip == "repeat":
        twice = np.repeat(np.repeat(values, 2, 0), 2, 1)
        result[: twice.shape[0], : twice.shape[1]] = twice
        return result
    for (i, j), switch in np.ndenumerate(switches):
        row, column = divmod(int(switch), width)
        if slip == "corner":
            row, column = 2 * i, 2 * j
        if slip == "columns":
            column, row = divmod(int(switch), shape[0])
        row, column = row % shape[0], column % shape[1]
        result[row, column] += values[i, j]
    return result


UNPOOL_SLIPS = {
    "a value is put back once, not repeated over its block": "repeat",
    "the place within the block is the switch's, not always the first": "corner",
    "a switch counts row by row, not down the columns": "columns",
    "a row of the unpooled map is shape[1] wide, which may be more than its blocks": "width",
}


def stack_cases():
    """Return [(name, x, widths)]."""
    x = np.random.default_rng(0).normal(size=(20, 9))
    return [("9 to 6, 4, 2", x, (6, 4, 2)), ("a single layer", x, (3,))]


def spy(log):
    """A `fit` that trains nothing: the layer of `units` has weights of its own."""

    def fit(rows, units):
        rows = np.asarray(rows)
        number = len(log)
        log.append((rows, units))
        forth = np.random.default_rng(number).normal(size=(rows.shape[-1], units))
        back = np.linalg.pinv(forth)

        def encode(values):
            return np.tanh(np.asarray(values) @ forth)

        def decode(codes):
            return np.asarray(codes) @ back + number

        return encode, decode

    return fit


def check_greedy_stack(greedy_stack):
    """Check greedy_stack(x, widths, fit) -> (encode, decode), by a fit that spies."""
    for name, x, widths in stack_cases():
        log, right_log = [], []
        got = greedy_stack(x.copy(), widths, spy(log))
        if got is None:
            return TO_DO.format("greedy_stack")
        if not isinstance(got, tuple) or len(got) != 2 or not all(map(callable, got)):
            return f"Not yet ({name}): return two functions, encode and decode."
        right = solve_greedy_stack(x, widths, spy(right_log))
        if [units for _, units in log] != list(widths):
            found = f"layers of {[units for _, units in log]}, right is {list(widths)}"
            return f"Not yet ({name}): {found}. Hint: one call of fit a width, in their order."
        for number, ((rows, _), (wanted, _)) in enumerate(zip(log, right_log, strict=True), 1):
            if rows.shape != wanted.shape or not np.allclose(rows, wanted):
                found = f"layer {number} learned from rows of {rows.shape}"
                hint = stack_hint(number, rows, x)
                return f"Not yet ({name}): {found}, right is {wanted.shape}. Hint: {hint}."
        new = np.random.default_rng(1).normal(size=(5, 9))
        codes = right[0](new)
        if not agree(got[0], new, codes):
            hint = "encode takes new rows through all layers, the first one first"
            return f"Not yet ({name}): the codes of new rows are others. Hint: {hint}."
        if not agree(got[1], codes, right[1](codes)):
            hint = "the way back goes through all decoders, the last layer's first"
            return f"Not yet ({name}): codes are decoded to something else. Hint: {hint}."
    return "Yes: each layer restores the codes of the one below, and the way back is reversed."


def agree(function, given, right):
    """Whether a function gives what is right; layers in a wrong order do not even fit."""
    try:
        got = np.asarray(function(given))
    except ValueError:
        return False
    return got.shape == right.shape and np.allclose(got, right)


def stack_hint(number, rows, x):
    if number > 1 and rows.shape == x.shape and np.array_equal(rows, x):
        return "a layer learns from the codes of the layer below, not from x again"
    if number > 1 and rows.shape == x.shape:
        return "the codes of the layer below, not what its decoder restores"
    return "the first layer learns from x, each other one from the codes of the one below"


def solve_greedy_stack(x, widths, fit, slip=None):
    """Right by default; `slip` names what is wrong."""
    layers, rows = [], x
    for units in reversed(widths) if slip == "widths" else widths:
        encode, decode = fit(rows, units)
        layers.append((encode, decode))
        rows = {"x": lambda e, d, r: x, "restored": lambda e, d, r: d(e(r))}.get(
            slip, lambda e, d, r: e(r)
        )(encode, decode, rows)

    def encode_all(rows):
        for forth, _ in layers[-1:] if slip == "last" else layers:
            rows = forth(rows)
        return rows

    def decode_all(codes):
        for _, back in layers if slip == "order" else reversed(layers):
            codes = back(codes)
        return codes

    if slip == "codes":
        return encode_all(x), decode_all
    return encode_all, decode_all


ATOMS, LABELS = np.array([[1, 0], [0.8, 0.6], [0, 1]]), np.array([1, 1, 0])


def match_cases():
    """Return [(name, f, atoms, labels, sparsity)]."""
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(12, 8))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return [
        ("f = (0.6, 0.8), sparsity 0.05", np.array([0.6, 0.8]), ATOMS, LABELS, 0.05),
        ("f = (0.6, 0.8), sparsity 0.3", np.array([0.6, 0.8]), ATOMS, LABELS, 0.3),
        ("f = (0.2, 0.98), sparsity 0.05", np.array([0.2, 0.98]), ATOMS, LABELS, 0.05),
        ("twelve atoms", rng.normal(size=8), atoms, rng.integers(0, 2, 12), 0.1),
        ("sparsity 2, no atom left", np.array([0.2, 0.98]), ATOMS, LABELS, 2.0),
        ("sparsity 2, the nearest has label 1", np.array([0.98, 0.2]), ATOMS, LABELS, 2.0),
    ]


def check_sparse_match(sparse_match):
    """Check sparse_match(f, atoms, labels, sparsity) -> the share of label 1."""
    for name, *case in match_cases():
        got = sparse_match(*case)
        if got is None:
            return TO_DO.format("sparse_match")
        right = solve_sparse_match(*case)
        if not np.isclose(got, right, atol=1e-4):
            hints = [
                hint
                for hint, slip in MATCH_SLIPS.items()
                if np.isclose(got, solve_sparse_match(*case, slip), atol=1e-4, equal_nan=True)
            ]
            hint = hints[0] if hints else "let the descent run on until c no longer changes"
            return f"Not yet ({name}): {float(got):.5f}, right is {right:.5f}. Hint: {hint}."
    return "Yes: few atoms, none negative, and where none is left the nearest speaks."


def solve_sparse_match(f, atoms, labels, sparsity, slip=None):
    """Right by default; `slip` names what is wrong."""
    sparsity = {"dense": 0, "twice": sparsity / 2}.get(slip, sparsity)
    code, rate = np.zeros(len(atoms)), 1 / np.linalg.eigvalsh(atoms @ atoms.T)[-1]
    for _ in range(3000):
        code = code - rate * (atoms @ (atoms.T @ code - f) + sparsity)
        code = code if slip == "negative" else np.maximum(code, 0)
        if slip == "negative":  # the descent without bound would run on where atoms depend
            code = np.sign(code) * np.minimum(abs(code), 1e3)
    if slip == "nearest":
        code = np.zeros(len(atoms))
    if not code.any() and slip != "nan":
        return float(labels[np.argmin(((atoms - f) ** 2).sum(1))])
    with np.errstate(invalid="ignore"):
        return float(code @ labels / (1 if slip == "sum" else code.sum()))


MATCH_SLIPS = {
    "divide by the sum of c": "sum",
    "no number of c is negative": "negative",
    "the sum of c costs sparsity times itself": "dense",
    "one half of the squared distance, but the whole of sparsity times the sum": "twice",
    "all c are 0: take the label of the nearest atom": "nan",
    "the nearest atom counts only where all c are 0": "nearest",
}


EXERCISES = [
    Exercise(
        check_max_unpool,
        solve_max_unpool,
        [
            (lambda *case, slip=slip: solve_max_unpool(*case, slip), hint)
            for hint, slip in UNPOOL_SLIPS.items()
        ]
        + [
            (lambda values, *_: np.repeat(np.repeat(values, 2, 0), 2, 1)[:3], "the given shape"),
        ],
    ),
    Exercise(
        check_greedy_stack,
        solve_greedy_stack,
        [
            (lambda *case, slip=slip: solve_greedy_stack(*case, slip), hint)
            for slip, hint in [
                ("widths", "in their order"),
                ("x", "not from x again"),
                ("restored", "not what its decoder restores"),
                ("last", "through all layers"),
                ("order", "the last layer's first"),
                ("codes", "two functions"),
            ]
        ],
    ),
    Exercise(
        check_sparse_match,
        solve_sparse_match,
        [
            (lambda *case, slip=slip: solve_sparse_match(*case, slip), hint)
            for hint, slip in MATCH_SLIPS.items()
        ],
    ),
]
