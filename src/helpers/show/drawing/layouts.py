"""A figure's two layouts, from the figure that was drawn, whatever drew it: both show the same data.

The wide one is as drawn, but no wider than a page shows in readable letters. The narrow one, for a phone, has its
panels in one column, its legends and colour bars below, and larger letters.
"""

import copy
import textwrap
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

from helpers.show.drawing.vector import has_colour_map
from helpers.table.records import given

WIDEST = 9.2  # inches: a page shows it in 672 px, and its letters of 11 points in 11 px
WIDTH = 3.7  # inches: 355 px, as wide as the text on a phone of 390
LETTERS = 10.0  # points: 13 px, and 11 where something stands out and the page shows the picture smaller
LETTER_WIDTH = 0.56 * LETTERS  # points, of DejaVu Sans on average
LOWEST, HIGHEST = {False: 1.7, True: 2.4}, {False: 2.2, True: 3.4}  # inches of a panel, by whether it is alone
ROW = 0.18  # inches that a named row needs
BESIDE_AXES = 0.95  # inches of the width that ticks and a label take
TITLE, TICKS, LABEL = 0.25, 0.25, 0.22  # inches
MOST_COLUMNS = 4  # of a legend


def _copied(figure: Figure) -> Figure:
    """Return a copy that pyplot doesn't know, which else would show it beside the figure."""
    copied = copy.deepcopy(figure)
    plt.close(copied)
    return copied


def colour_bars(figure: Figure) -> list[Colorbar]:
    """Return the colour bars of a figure."""
    parts = [part for axes in figure.axes for part in (*axes.images, *axes.collections)]
    return list({id(part.colorbar): part.colorbar for part in parts if part.colorbar is not None}.values())


def is_written_over(figure: Figure) -> bool:
    """Tell whether some heat map has words in its cells, which no narrow cell can hold."""
    return any(axes.texts and has_colour_map(axes) for axes in figure.axes)


def panels(figure: Figure) -> list[list[Axes]]:
    """Return the panels of a figure in reading order, each with what shares its place (a second vertical axis)."""
    bars = {bar.ax for bar in colour_bars(figure)}
    by_place: dict[tuple[int, int], list[Axes]] = {}
    for axes in [axes for axes in figure.axes if axes not in bars and axes.get_visible()]:
        place = axes.get_subplotspec()
        if place is not None:
            by_place.setdefault((place.rowspan.start, place.colspan.start), []).append(axes)
    return [by_place[place] for place in sorted(by_place)]


def has_names(ruler: Axis) -> bool:
    """Tell whether places on an axis have names, not numbers."""
    return any(label.get_text()[:1].isalpha() for label in ruler.get_majorticklabels())


def _height(axes: Axes, alone: bool) -> float:
    """Return the height in inches that a panel takes in a column: its own where rows have names, else by its shape."""
    shown, height = axes.get_position().size * given(axes.get_figure(root=True)).get_size_inches()
    if has_names(axes.yaxis) or has_colour_map(axes):
        return float(max(height, ROW * len(axes.get_yticks()), 0.9))
    return float(min(max(height / shown * (WIDTH - BESIDE_AXES), LOWEST[alone]), HIGHEST[alone]))


def _wrapped(text: str, points: float) -> str:
    """Return a text broken into lines that are at most `points` long."""
    return "\n".join(
        part for line in text.split("\n") for part in textwrap.wrap(line, max(int(points / LETTER_WIDTH), 8)) or [""]
    )


def labels(figure: Figure, stack: list[list[Axes]]) -> list[tuple[str, str]]:
    """Return the horizontal and vertical label of each panel: its own, the whole figure's, or its neighbour's."""
    first = [together[0] for together in stack]
    places = [given(axes.get_subplotspec()) for axes in first]
    rows = {place.rowspan.start: axes for axes, place in zip(reversed(first), reversed(places), strict=True)}
    columns = {place.colspan.start: axes for axes, place in zip(first, places, strict=True)}
    below, beside = figure.get_supxlabel(), figure.get_supylabel()
    return [
        (
            axes.get_xlabel() or below or columns[place.colspan.start].get_xlabel(),
            axes.get_ylabel() or beside or rows[place.rowspan.start].get_ylabel(),
        )
        for axes, place in zip(first, places, strict=True)
    ]


def _label_each(figure: Figure, stack: list[list[Axes]]) -> None:
    """Write labels and ticks at every panel that it shared with others; a label that all share below, at the last."""
    named = labels(figure, stack)
    leftmost = {given(axes.get_subplotspec()).rowspan.start: axes for axes, *_ in reversed(stack)}
    common = len({below for below, _ in named}) == 1
    for (axes, *_), (below, beside) in zip(stack, named, strict=True):
        axes.set_ylabel(beside)
        axes.set_xlabel("" if common and axes is not stack[-1][0] else below)
        if not len(axes.get_yticks()):
            first = leftmost[given(axes.get_subplotspec()).rowspan.start]
            axes.set_yticks(first.get_yticks(), [label.get_text() for label in first.get_yticklabels()])
        axes.tick_params(which="both", labelbottom=True)
        axes.tick_params(which="major", labelleft=True)
    figure.supxlabel("")
    figure.supylabel("")


def _stacked(figure: Figure, stack: list[list[Axes]], heights: list[float]) -> None:
    """Put the panels below each other."""
    grid = GridSpec(len(stack), 1, figure=figure, height_ratios=heights)
    for place, together in enumerate(stack):
        for axes in together:
            axes.set_subplotspec(grid[place])


def _larger(figure: Figure, stack: list[list[Axes]], heights: list[float]) -> None:
    """Set every letter in one size, and break labels that are longer than their side."""
    for text in figure.findobj(Text):
        text.set_fontsize(LETTERS)
    for axes in figure.axes:
        axes.tick_params(which="both", labelsize=LETTERS)
        axes.set_xlabel(_wrapped(axes.get_xlabel(), 72 * (WIDTH - 0.3)))
        axes.title.set_text(_wrapped(axes.get_title(), 72 * (WIDTH - BESIDE_AXES)))
    for together, height in zip(stack, heights, strict=True):
        for axes in together:
            axes.set_ylabel(_wrapped(axes.get_ylabel(), 72 * height * 1.1))


def legends(figure: Figure) -> list[Legend]:
    """Return the legends of a figure's panels and its own."""
    of_axes = [legend for axes in figure.axes if (legend := axes.get_legend()) is not None]
    return [*of_axes, *figure.legends]


def entries(figure: Figure) -> dict[str, Any]:
    """Return what legends name, by name; a handle as its axes have it, for a legend's own may be a part of it."""
    pairs = [pair for axes in figure.axes for pair in zip(*reversed(axes.get_legend_handles_labels()), strict=True)]
    drawn, found = dict(pairs), {}
    for legend in legends(figure):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            found[text.get_text()] = drawn.get(text.get_text(), handle)
    return found


def _legend_below(figure: Figure) -> float:
    """Replace all legends by one below the panels; return its height in inches."""
    named = entries(figure)
    titles = dict.fromkeys(legend.get_title().get_text().replace("\n", " ") for legend in legends(figure))
    for legend in legends(figure)[: -len(figure.legends) or None]:
        legend.remove()
    figure.legends.clear()  # a copied legend of a figure doesn't know where it stands
    if not named:
        return 0.0
    look = {"title": ", ".join(filter(None, titles)), "fontsize": LETTERS, "title_fontsize": LETTERS, "frameon": False}
    for columns in range(min(MOST_COLUMNS, len(named)), 0, -1):
        legend = figure.legend(
            list(named.values()),
            [_wrapped(name, 72 * (WIDTH - 0.6)) for name in named],
            loc="outside lower center",
            ncols=columns,
            columnspacing=1.0,
            handletextpad=0.5,
            **look,
        )
        box = legend.get_window_extent()
        if box.width <= WIDTH * figure.dpi or columns == 1:
            return float(box.height / figure.dpi)
        legend.remove()
    raise AssertionError("one column is always taken")


def _bars_below(figure: Figure, stack: list[list[Axes]], bars: list[Colorbar]) -> None:
    """Put colour bars below the panels, lying, with the ticks they had."""
    for bar in bars:
        ruler, label, extend = bar.long_axis, bar.ax.get_ylabel(), bar.extend
        locator, formatter, minor = ruler.get_major_locator(), ruler.get_major_formatter(), ruler.get_minor_locator()
        mappable = bar.mappable
        bar.remove()
        below = figure.colorbar(
            mappable, ax=[axes for together in stack for axes in together], location="bottom", extend=extend, aspect=30
        )
        below.set_label(label.replace("\n", " "))
        below.long_axis.set_major_locator(copy.copy(locator))
        below.long_axis.set_major_formatter(copy.copy(formatter))
        below.long_axis.set_minor_locator(copy.copy(minor))
        below.long_axis.set_minor_formatter(NullFormatter())


def _is_crowded(ruler: Axis) -> bool:
    """Tell whether labels of a horizontal axis touch."""
    low, high = sorted(ruler.get_view_interval())
    shown = [label for label in ruler.get_majorticklabels() if low <= label.get_position()[0] <= high]
    boxes = sorted((label.get_window_extent() for label in shown if label.get_text()), key=lambda box: box.x0)
    return any(after.x0 < before.x1 + 2 for before, after in pairwise(boxes))


def _thin(ruler: Axis) -> None:
    """Name every second place of a horizontal axis until no names touch; turn names that aren't numbers."""
    low, high = sorted(ruler.get_view_interval())
    while _is_crowded(ruler):
        places = [float(place) for place in ruler.get_majorticklocs() if low <= place <= high]
        names = ruler.get_major_formatter().format_ticks(places)
        if has_names(ruler):
            ruler.set_tick_params(rotation=40)
            for label in ruler.get_ticklabels():
                label.set(ha="right", rotation_mode="anchor")
            return
        ruler.set_major_locator(FixedLocator(places[::2]))
        ruler.set_major_formatter(FixedFormatter(names[::2]))
        if len(places) <= 2:
            return


def wide(figure: Figure) -> Figure:
    """Return a figure, or where it is wider than a page shows in readable letters, a copy of it that isn't."""
    width, height = figure.get_size_inches()
    if width <= WIDEST or is_written_over(figure):
        return figure
    figure = _copied(figure)
    figure.set_size_inches(WIDEST, height)
    figure.draw_without_rendering()
    for axes, *_ in panels(figure):
        _thin(axes.xaxis)
    return figure


def narrow(figure: Figure) -> Figure | None:
    """Return a copy of a figure, drawn before, in its narrow layout; None without panels, or words in a heat map."""
    if is_written_over(figure) or not panels(figure):
        return None
    figure = _copied(figure)
    stack, bars = panels(figure), colour_bars(figure)
    heights = [_height(together[0], len(stack) == 1) for together in stack]
    _label_each(figure, stack)
    _bars_below(figure, stack, bars)
    _stacked(figure, stack, heights)
    figure.set_size_inches(WIDTH, sum(heights) + TICKS)
    below = _legend_below(figure)
    titled = sum(bool(axes.get_title()) for axes, *_ in stack)
    labelled = sum(bool(axes.get_xlabel()) for axes, *_ in stack)
    extra = TITLE * titled + TICKS * len(stack) + LABEL * (labelled + 1) + below + 0.8 * len(bars)
    figure.set_size_inches(WIDTH, sum(heights) + extra)
    _larger(figure, stack, heights)
    figure.draw_without_rendering()
    # What stands around the panels was estimated; now it is known.
    given_to = sum(together[0].get_window_extent().height / figure.dpi for together in stack)
    figure.set_size_inches(WIDTH, sum(heights) + extra + sum(heights) - given_to)
    for axes in [*(together[0] for together in stack), *(bar.ax for bar in colour_bars(figure))]:
        _thin(axes.xaxis)
    return figure
