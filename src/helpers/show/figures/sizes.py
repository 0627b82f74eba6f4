"""Sizes in a figure: the smallest, the middle and the largest are named and stand out, the others run thin between.

Colours are those of `style.size_styles`, the larger the darker, so three names are a key to all. Every line keeps its
label, by which the figure's data name it.
"""

from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from helpers.analyse.arrays import FloatArray
from helpers.show.style import Style

NAMED = 3
STRONG, THIN = 1.8, 0.7  # points of a line
SMALL = 2.4  # points of a marker on a thin line
CLOSEST = 0.085  # of the axes' height: two names at lines' ends touch below that
CAP = "_"  # the marker of an error bar's ends, which aren't the line's


def named_sizes(sizes: Iterable[float]) -> list[float]:
    """Return the smallest, the middle and the largest of distinct sizes; all where they are no more than three."""
    distinct = sorted(set(sizes))
    return [distinct[place] for place in sorted({*np.linspace(0, len(distinct) - 1, NAMED).astype(int)})]


def _colour(line: Line2D) -> str:
    return to_hex(cast("str", line.get_color()))


def stand_out(panels: Iterable[Axes], styles: Mapping[float, Style]) -> None:
    """Draw the lines of named sizes strong and the others thin, with small markers."""
    strong = {to_hex(styles[size]["color"]) for size in named_sizes(styles)}
    thin = {to_hex(style["color"]) for style in styles.values()} - strong
    for axes in panels:
        for line in axes.lines:
            if line.get_marker() not in ("_", "|"):  # a bar's end
                _weigh(line, _colour(line), strong, thin)
        for bars in axes.collections:
            if (
                isinstance(bars, LineCollection)
                and {to_hex(colour) for colour in np.atleast_2d(bars.get_color())} & thin
            ):
                bars.set_linewidth(THIN)


def _weigh(line: Line2D, colour: str, strong: set[str], thin: set[str]) -> None:
    if colour in strong:
        line.set(linewidth=STRONG, zorder=line.get_zorder() + 0.1)
    elif colour in thin:
        line.set(linewidth=THIN, markersize=min(SMALL, line.get_markersize()))


def _ends(axes: Axes, styles: Mapping[float, Style]) -> dict[float, float]:
    """Return by size how high its line ends, as a share of the axes' height."""
    sizes = {to_hex(style["color"]): size for size, style in styles.items()}
    last: dict[float, tuple[float, float]] = {}
    for line in axes.lines:
        size, points = sizes.get(_colour(line)), np.asarray(line.get_xydata(), dtype=float)
        points = points[np.isfinite(points).all(axis=1)]
        if size is not None and len(points) and line.get_marker() != CAP:
            x, y = points[points[:, 0].argmax()]
            last[size] = max(last.get(size, (-np.inf, 0.0)), (float(x), float(y)))
    axes.autoscale_view()  # limits are set late, when something asks for them
    points = axes.transScale.transform(np.array(list(last.values())).reshape(-1, 2))
    heights = axes.transLimits.transform(points)[:, 1]
    return {size: float(height) for size, height in zip(last, heights, strict=True)}


def apart(heights: FloatArray) -> FloatArray:
    """Return heights in ascending order pushed apart until neighbours are `CLOSEST` or more from each other."""
    pushed = np.asarray(heights, dtype=float).copy()
    for _ in range(100):
        gaps = np.diff(pushed)
        if (gaps >= CLOSEST - 1e-6).all():
            break
        short = np.maximum(CLOSEST - gaps, 0) / 2
        pushed[:-1] -= short
        pushed[1:] += short
    return pushed


def name_at_ends(panels: Iterable[Axes], styles: Mapping[float, Style]) -> None:
    """Name three sizes where their lines end, to the right of the last panel; call it when limits are set."""
    panels = list(panels)
    stand_out(panels, styles)
    ends = _ends(panels[-1], styles)
    shown = sorted(set(named_sizes(styles)) & set(ends), key=lambda size: ends[size])
    for size, height in zip(shown, apart(np.array([ends[size] for size in shown])), strict=True):
        name, colour = f"N = {styles[size]['label']}", styles[size]["color"]
        panels[-1].text(1.02, height, name, color=colour, va="center", transform=panels[-1].transAxes)


def name_beside(panels: Iterable[Axes], styles: Mapping[float, Style], title: str = "size N") -> None:
    """Name three sizes in a legend right of the last panel: for points, and lines that don't end at its side."""
    panels = list(panels)
    stand_out(panels, styles)
    drawn = {style: panels[-1].plot([], [], **styles[style])[0] for style in named_sizes(styles)}
    panels[-1].legend(handles=[*drawn.values()], title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0))
