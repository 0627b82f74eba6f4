"""House style of the figures: colours, labels with units, and axes that can show QiD at or below zero.

Figures are drawn for a light card and written as SVG (`drawing.whole`), whose colours a page exchanges in the dark.
Colours are Okabe and Ito's for kinds, and viridis without its pale end for sizes; size also changes the marker.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from helpers.show.drawing import colours
from helpers.show.drawing.whole import show_as_svg
from helpers.table.ranges import amount_words

Style = dict[str, Any]  # keywords of an artist, each of a kind of its own

CARD, INK, PALE = colours.CARD, colours.INK, colours.PALE
BITS_COLOURS = {2: "#d55e00", 3: "#0072b2", 4: "#009e73", 5: "#cc79a7", 6: "#e69f00", 7: "#56b4e9", 8: "#000000"}
METHOD_COLOURS = {"gptq": "#23272e", "rtn": "#b85c93", "autogptq": "#8c6d00"}  # none of the bits' colours
MARKERS = "osD^vP*X<>"

TOKENS_LABEL = "training tokens D (tokens)"
SIZE_LABEL = "size N (non-embedding parameters)"
BITS_LABEL = "bit width P (bits per weight)"
QID_LABEL = "QiD (nats per token)"
LOSS_LABEL = "16-bit loss (nats per token)"


def use_house_style() -> None:
    """Set matplotlib's, seaborn's, pandas' and the notebook's defaults for the book, once, at the top of a chapter."""
    show_as_svg()
    pd.set_option("display.max_colwidth", None)  # no cell of a table is cut short
    roles = {
        "figure.facecolor": CARD,
        "axes.facecolor": CARD,
        "savefig.facecolor": CARD,
        "legend.facecolor": CARD,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": colours.GRID,
    }
    layout = {"figure.figsize": (7.0, 4.3), "figure.dpi": 120, "figure.constrained_layout.use": True}
    details = {"legend.frameon": False, "errorbar.capsize": 2.0, "lines.markersize": 5.0, "font.size": 10.5}
    letters = {"font.sans-serif": ["DejaVu Sans"]}  # comes with matplotlib, so that a drawing is the same everywhere
    sns.set_theme(style="whitegrid", palette=list(BITS_COLOURS.values()), rc=roles | layout | details | letters)


def axes_or_new(axes: Axes | None) -> Axes:
    """Return `axes`, or those of a new figure."""
    return plt.subplots()[1] if axes is None else axes


def count_label(count: float) -> str:
    """Return a count of parameters or tokens for people, small ones in millions too: 0.15M, 14.2M, 1.4B, 300B, 1.5T."""
    return amount_words(count) if count >= 1e6 else f"{count / 1e6:.3g}M"


def size_styles(sizes: ArrayLike) -> dict[float, Style]:
    """Return colour, marker and label of each distinct size N, the larger the darker."""
    distinct = np.unique(np.asarray(sizes))
    shades = plt.get_cmap("viridis")(np.linspace(0.8, 0.0, distinct.size))
    return {
        size: {"color": shade, "marker": MARKERS[index % len(MARKERS)], "label": count_label(size)}
        for index, (size, shade) in enumerate(zip(distinct, shades, strict=True))
    }


def count_scale(axes: Axes, axis: str, label: str) -> None:
    """Make the `axis` (x or y) of a count logarithmic, with ticks that read 50M, 100M: call it after drawing."""
    low, high = getattr(axes, f"get_{axis}lim")()
    getattr(axes, f"set_{axis}scale")("log")
    wide = low <= 0 or high / low > 100
    ticks = getattr(axes, f"{axis}axis")
    ticks.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    ticks.set_major_formatter(FuncFormatter(lambda count, _: count_label(count)))
    ticks.set_minor_formatter(NullFormatter())
    getattr(axes, f"set_{axis}label")(label)


def qid_scale(axes: Axes, axis: str, qid_nats: ArrayLike, label: str = QID_LABEL) -> None:
    """Make the `axis` (x or y) logarithmic; linear in a shaded zone around zero where some QiD isn't positive."""
    values = np.asarray(qid_nats, dtype=float)
    positive = values[values > 0]
    set_scale = getattr(axes, f"set_{axis}scale")
    if positive.size == values.size:
        set_scale("log", nonpositive="clip")
    elif positive.size:
        threshold = 10.0 ** np.ceil(np.log10(max(positive.min(), -values.min())))
        set_scale("symlog", linthresh=threshold, linscale=0.6)
        span, line = (axes.axhspan, axes.axhline) if axis == "y" else (axes.axvspan, axes.axvline)
        span(-threshold, threshold, color=PALE, alpha=0.2, linewidth=0)
        line(0.0, color=PALE, linewidth=1.0)
    getattr(axes, f"set_{axis}label")(label)


def legend_beside(axes: Axes, title: str | None = None) -> None:
    """Put the legend to the right of the axes, where it covers no point."""
    axes.legend(title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0))
