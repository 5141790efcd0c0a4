"""Pictures of numbers: training curves and scores."""

import numpy as np

from medseg_tf.errors import ConfigError
from medseg_tf.plots.figures import CLASS_COLOURS, FAINT, INK, on


def show_curves(histories, xlabel="epoch", ylabel="loss", title="", axes=None):
    """Draw one line per name, which stands at the line's end.

    Args:
        histories: dict from a name to a list of numbers, or to a training history, of which
            `ylabel` is drawn and its validation dashed; or a single history.

    Raises: ConfigError if a history holds no `ylabel`, or there is nothing to draw.
    """
    if hasattr(histories, "history"):
        histories = {ylabel: histories}
    figure, axes = on(axes, panel=(6.4, 3.2))
    ends = []
    for place, (name, history) in enumerate(histories.items()):
        color = CLASS_COLOURS[place % len(CLASS_COLOURS)]
        for text, values, style in _lines(name, history, ylabel):
            steps = np.arange(1, len(values) + 1)
            axes.plot(steps, values, style, color=color, linewidth=1.8)
            axes.plot(steps[-1:], values[-1:], "o", color=color, markersize=4)
            ends.append((values[-1], steps[-1], text, color))
    if not ends:
        raise ConfigError("show_curves: nothing to draw; give at least one name with its numbers.")
    _plain(axes, title)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    _name_ends(axes, ends)
    return figure


def _lines(name, history, quantity):
    """Return (text, numbers, line style) of each line that a history gives."""
    values = getattr(history, "history", history)
    if not isinstance(values, dict):
        return [(name, list(values), "-")] if len(values) else []
    if quantity not in values:
        raise ConfigError(
            f"show_curves: the history of {name} holds {', '.join(values)}, not {quantity}; "
            "choose one of them as ylabel."
        )
    lines = [(name, values[quantity], "-")]
    if f"val_{quantity}" in values:
        lines.append((f"{name}, validation", values[f"val_{quantity}"], "--"))
    return lines


def _name_ends(axes, ends):
    """Write each line's name at its end, one above the other where lines end close together."""
    low, high = axes.get_ylim()
    gap, lowest = 0.075 * (high - low), -np.inf
    right = axes.get_xlim()[1]
    for y, _, text, color in sorted(ends, key=lambda end: end[0]):
        lowest = max(y, lowest + gap)
        axes.text(right, lowest, f" {text}", color=color, va="center", fontsize=10)


def show_scores(table, score="dice", by="arm", title="", axes=None):
    """Draw a dot per row and a line at the mean, side by side for each value of a column.

    NaN and infinite scores are left out, and counted below the name.

    Args:
        table: Table (list of dictionaries) with the columns `score` and `by`.

    Raises: ConfigError if a column is missing.
    """
    for column in (score, by):
        if not table or column not in table[0]:
            columns = ", ".join(table[0]) if table else "no rows"
            raise ConfigError(f"show_scores: no column {column!r}; the table has {columns}.")
    figure, axes = on(axes, panel=(5.2, 3.2))
    names, rng = list(dict.fromkeys(row[by] for row in table)), np.random.default_rng(0)
    ticks = []
    for place, name in enumerate(names):
        every = np.array([row[score] for row in table if row[by] == name], float)
        values = every[np.isfinite(every)]
        left_out = len(every) - len(values)
        ticks.append(f"{name}\n({left_out} left out)" if left_out else f"{name}")
        color = CLASS_COLOURS[place % len(CLASS_COLOURS)]
        across = place + rng.uniform(-0.12, 0.12, len(values))
        axes.plot(across, values, "o", color=color, markersize=6, alpha=0.65, markeredgewidth=0)
        if len(values):
            mean = values.mean()
            axes.plot([place - 0.22, place + 0.22], [mean, mean], color=INK, linewidth=2)
            axes.text(place + 0.26, mean, f"{mean:.3f}", color=INK, va="center", fontsize=10)
    _plain(axes, title)
    axes.set(xlim=(-0.5, len(names) - 0.3), ylabel=score, xticks=range(len(names)))
    axes.set_xticklabels(ticks)
    axes.tick_params(axis="x", length=0)
    return figure


def _plain(axes, title):
    """Leave two spines, faint, and a faint grid across."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9, color=FAINT)
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.8)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
