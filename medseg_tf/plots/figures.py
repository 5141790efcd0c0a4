"""What all pictures share: colours, an empty figure, and how a figure reaches the page."""

import io
import sys

from matplotlib.figure import Figure

from medseg_tf.errors import ConfigError

# Okabe and Ito's colours, which the colour-blind tell apart; class 1 has the first.
CLASS_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
INVENTED, MISSED, MIXED_UP = "#E69F00", "#0072B2", "#CC79A7"
INK, FAINT = "#333333", "#999999"

DPI = 80
WIDEST = 9.6  # inches: 768 pixels, which a notebook's page holds
PNG_BYTES = 25_000  # eight figures, written as text, are 270 kB: what a notebook may hold


class Picture(Figure):
    """A matplotlib figure that notebooks show without pyplot."""

    def _repr_png_(self):
        return png(self)


def canvas(widths, heights, texts=0.3, right=0):
    """Return a Picture and its axes, a (rows, columns) array, no wider than the page.

    Args:
        widths, heights: inches of each column and row of plots; shrunk alike to fit the page.
        texts: inches more for each row's title and legend.
        right: inches more at the right, for a colour bar.
    """
    shrink = min(1, (WIDEST - right) / sum(widths))
    size = (shrink * sum(widths) + right, shrink * sum(heights) + len(heights) * texts)
    figure = Picture(figsize=size, dpi=DPI, layout="constrained")
    ratios = {"width_ratios": widths, "height_ratios": heights}
    return figure, figure.subplots(len(heights), len(widths), squeeze=False, **ratios)


def on(axes, panel):
    """Return the figure and the axes to draw on: those given, or new ones."""
    if axes is not None:
        return axes.figure, axes
    figure, axes = canvas([panel[0]], [panel[1]])
    return figure, axes[0, 0]


def show(figure, alt):
    """Put a figure on the notebook's page with its alternative text, then close it.

    In plain Python there is no page, and nothing is drawn.

    Args:
        figure: any matplotlib figure.
        alt: one sentence that says what is to be seen, for those who cannot see it.

    Raises: ConfigError if `alt` is empty.
    """
    if not alt or not alt.strip():
        raise ConfigError(
            "show: alt is empty; write one sentence that tells a reader who cannot see the "
            "picture what it shows, e.g. alt='The loss falls from 0.7 to 0.1 in 20 epochs.'"
        )
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from IPython.display import display

        data = {"image/png": png(figure), "text/plain": alt}
        display(data, metadata={"image/png": {"alt": alt}}, raw=True)


def png(figure):
    """Render a figure: bytes of a PNG of 256 colours, or 64 where it is larger than PNG_BYTES."""
    from PIL import Image

    page = io.BytesIO()
    figure.savefig(page, format="png", dpi=DPI)
    picture = Image.open(page).convert("RGB")
    for colours in (256, 64):
        page = io.BytesIO()
        # The octree keeps the few coloured pixels' hues; median cut would spend all on greys.
        method = Image.Quantize.FASTOCTREE
        small = picture.quantize(colours, method=method, dither=Image.Dither.NONE)
        small.save(page, format="png", optimize=True)
        if page.tell() <= PNG_BYTES:
            break
    return page.getvalue()
