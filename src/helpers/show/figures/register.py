"""Figures of the register of predictions: what laws said, beside what was measured. Style is in `style`."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from helpers.analyse.questions.register import BAND
from helpers.show.style import INK, METHOD_COLOURS, PALE, QID_LABEL

TEXT_LINES = ("-", "--", ":")


def forest(entries: pd.DataFrame, texts: dict[str, str], first: pd.DataFrame | None = None) -> Figure:
    """Draw a panel per bit width: each law's QiD with its interval, the band shaded, what was measured as lines.

    `entries` are those of `register.outcomes_of` about one scheme and quantity; laws say the same of each text. `texts`
    gives the words for each evaluation text. `first` are these entries with the outcomes that came first.
    """
    widths = sorted(entries["bits"].unique())
    order = entries[entries["law"] != BAND].groupby("law")["predicted"].mean().sort_values().index
    n_rows = -(-len(widths) // 2)
    figure, panels = plt.subplots(n_rows, 2, figsize=(7.0, 4.2 * n_rows), sharey=True, squeeze=False)
    for axes, bits in zip(panels.flat, widths, strict=False):
        _panel(axes, entries[entries["bits"] == bits], list(order))
        _measured(axes, entries[entries["bits"] == bits], texts, METHOD_COLOURS["rtn"])
        if first is not None:
            words = {text: f"{word}, windows of 64" for text, word in texts.items()}
            _measured(axes, first[first["bits"] == bits], words, METHOD_COLOURS["autogptq"])
        _log_scale(axes)
        axes.set_title(f"{bits:g} bits")
        axes.tick_params(labelsize=8)
    for axes in panels.flat[len(widths) :]:
        axes.remove()
    panels[0][0].set_yticks(range(len(order)), order)
    figure.supxlabel(QID_LABEL, fontsize=10)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _log_scale(axes: Axes) -> None:
    """Make the axis of QiD logarithmic, with few ticks that read 0.1, 0.3, 1: call it after drawing."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 100 else (1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _panel(axes: Axes, entries: pd.DataFrame, order: list[str]) -> None:
    """Draw what was said of one bit width."""
    one_text = entries[entries["text"] == entries["text"].iloc[0]].set_index("law")
    axes.axvspan(*one_text.loc[BAND, ["low", "high"]].astype(float), color=PALE, alpha=0.2, linewidth=0)
    for place, law in enumerate(order):
        if law not in one_text.index:
            continue
        said = one_text.loc[law]
        if pd.notna(said["low"]) and pd.notna(said["high"]):
            axes.plot([said["low"], said["high"]], [place, place], color=INK, linewidth=1.2)
        axes.plot(said["predicted"], place, "o", color=INK, markersize=3.5)


def _measured(axes: Axes, entries: pd.DataFrame, texts: dict[str, str], colour: str) -> None:
    """Draw what was measured at one bit width, a line a text."""
    for (text, words), style in zip(texts.items(), TEXT_LINES, strict=False):
        measured = entries.loc[entries["text"] == text, "outcome"].iloc[0]
        if measured > 0:
            axes.axvline(measured, color=colour, linestyle=style, linewidth=1.5, label=words)
