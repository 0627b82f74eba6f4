"""The data in a figure as a table, read from what was drawn: one row a point, interval, bar, band's place or cell.

Columns are named by the axes' labels; `low` and `high` after a name are the ends of an interval or a band. Names of
rows and columns stand in place of their numbers. Lines across the whole panel, which mark a value, are no data. What
has no name of its own has that of the legend's entry of its colour, and of its marker where entries in ink have names.
"""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection, LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from helpers.analyse.arrays import FloatArray
from helpers.show.drawing.colours import INK
from helpers.show.drawing.layouts import colour_bars, entries, has_names, labels, panels

Row = dict[str, Any]
Legend = dict[str, tuple[str, str]]  # colour and marker of each entry


def _label(artist: Any) -> str:
    """Return an artist's label, empty where matplotlib made it up."""
    label = str(artist.get_label())
    return "" if label.startswith("_") else label


def _look(artist: Any) -> tuple[str, str]:
    """Return the colour and the marker of a line, of points or of a series with bars."""
    line = artist.lines[0] if isinstance(artist, ErrorbarContainer) else artist
    if isinstance(line, Line2D):
        return to_hex(cast("str", line.get_color())), str(line.get_marker())
    colours: Any = line.get_edgecolor() if isinstance(line, Collection) else []
    return (to_hex(colours[0]) if len(colours) else ""), ""


def _named(artist: Any, legend: Legend) -> str:
    """Return the name of a series: its label, or what the legend says of its colour and marker."""
    colour, marker = _look(artist)
    by_colour = [name for name, look in legend.items() if look[0] == colour]
    by_marker = [name for name, look in legend.items() if look == (INK, marker)]
    return _label(artist) or ", ".join(dict.fromkeys([*by_colour[:1], *by_marker[:1]]))


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)]


def _ends(segments: list[Any], along: int) -> dict[float, tuple[float, float]]:
    """Return the ends of strokes along x (0) or y (1), by their place on the other axis."""
    at = [(np.asarray(segment)[:, 1 - along], np.asarray(segment)[:, along]) for segment in segments if len(segment)]
    return {float(place[0]): (float(reach.min()), float(reach.max())) for place, reach in at}


def _error_bars(bars: ErrorbarContainer, name: str) -> Iterator[Row]:
    """Yield the points of a series with the ends of their bars."""
    line, _, strokes = bars.lines
    if line is None:
        return
    reach = dict(zip([axis for axis, has in (("x", bars.has_xerr), ("y", bars.has_yerr)) if has], strokes, strict=True))
    ends = {axis: _ends(stroke.get_segments(), "xy".index(axis)) for axis, stroke in reach.items()}
    for x, y in zip(_numbers(line.get_xdata()), _numbers(line.get_ydata()), strict=True):
        row: Row = {"series": name, "x": x, "y": y}
        for axis, by_place in ends.items():
            row[f"{axis} low"], row[f"{axis} high"] = by_place.get(y if axis == "x" else x, (np.nan, np.nan))
        yield row


def _line(line: Line2D, name: str) -> Iterator[Row]:
    """Yield the points of a line."""
    for x, y in zip(_numbers(line.get_xdata()), _numbers(line.get_ydata()), strict=True):
        yield {"series": name, "x": x, "y": y}


def _strokes(strokes: LineCollection, series: str) -> Iterator[Row]:
    """Yield each level or upright stroke as an interval."""
    for segment in map(np.asarray, strokes.get_segments()):
        for along, name in enumerate("xy"):
            other = "yx"[along]
            if len(segment) and np.ptp(segment[:, 1 - along]) == 0:
                ends = {f"{name} low": segment[:, along].min(), f"{name} high": segment[:, along].max()}
                yield {"series": series, other: segment[0, 1 - along]} | ends
                break


def _band(band: PolyCollection, name: str) -> Iterator[Row]:
    """Yield the lower and upper end of a filled band at each x."""
    for path in band.get_paths():
        corners = pd.DataFrame(path.vertices, columns=["x", "y"])
        for x, heights in corners.groupby("x")["y"]:
            yield {"series": name, "x": x, "y low": heights.min(), "y high": heights.max()}


def _bars(bars: BarContainer) -> Iterator[Row]:
    """Yield the place and length of each bar."""
    for bar in bars.patches:
        upright = bars.orientation == "vertical"
        (x, y), width, height = bar.get_xy(), bar.get_width(), bar.get_height()
        place = {"x": x + width / 2, "y": y + height} if upright else {"x": x + width, "y": y + height / 2}
        yield {"series": _label(bars)} | place


def _cells(values: Any, start: FloatArray, step: FloatArray, label: str) -> Iterator[Row]:
    """Yield the value of each cell (rows, columns) of a heat map at the cell's middle."""
    grid: FloatArray = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    for (row, column), value in np.ndenumerate(grid):
        x, y = start + (np.array([column, row]) + 0.5) * step
        yield {"x": x, "y": y, label: value}


def _collection(part: Collection, name: str, label: str) -> Iterator[Row]:
    """Yield what a collection shows; nothing of a kind that isn't data."""
    if isinstance(part, QuadMesh):
        corners = np.asarray(part.get_coordinates())
        values: Any = np.ma.asarray(part.get_array()).reshape(len(corners) - 1, -1)
        yield from _cells(values, corners[0, 0], corners[1, 1] - corners[0, 0], label)
    elif isinstance(part, PathCollection):
        for x, y in np.ma.asarray(part.get_offsets()):
            yield {"series": name, "x": float(x), "y": float(y)}
    elif isinstance(part, LineCollection):
        yield from _strokes(part, name)
    elif isinstance(part, PolyCollection):
        yield from _band(part, name)


def _image(image: AxesImage, label: str) -> Iterator[Row]:
    """Yield the cells of an image."""
    left, right, bottom, top = image.get_extent()
    values: Any = np.ma.asarray(image.get_array())
    first, last = (top, bottom) if image.origin == "upper" else (bottom, top)
    size = np.array([right - left, last - first]) / values.shape[::-1]
    yield from _cells(values, np.array([left, first]), size, label)


def _drawn(axes: Axes, legend: Legend, label: str) -> Iterator[Row]:
    """Yield what a panel shows, part by part; `label` names the values of colours."""
    inside: set[Any] = set()
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer):
            line, caps, strokes = container.lines
            inside |= {line, *caps, *strokes}
            yield from _error_bars(container, _named(container, legend) if line is not None else "")
        elif isinstance(container, BarContainer):
            yield from _bars(container)
    for line in axes.lines:
        if line not in inside and line.get_transform() == axes.transData:
            yield from _line(line, _named(line, legend))
    for part in axes.collections:
        if part not in inside:
            yield from _collection(part, _named(part, legend), label)
    for image in axes.images:
        yield from _image(image, label)


def _names(ruler: Axis) -> dict[float, str]:
    """Return the names of places on an axis; none on an axis of numbers."""
    names = [" ".join(label.get_text().split()) for label in ruler.get_majorticklabels()]
    return dict(zip(map(float, ruler.get_majorticklocs()), names, strict=True)) if has_names(ruler) else {}


def _nearest(names: dict[float, str], place: float) -> float | str:
    """Return the name of the place next to `place`: series stand beside each other at one name."""
    return names[min(names, key=lambda at: abs(at - place))] if names and np.isfinite(place) else place


def _in_words(row: Row, axes: Axes, columns: dict[str, str]) -> Row:
    """Return a row under the columns' names, with names of places in place of their numbers."""
    words = {"x": _names(axes.xaxis), "y": _names(axes.yaxis)}
    found: Row = {}
    for key, value in row.items():
        axis, _, end = key.partition(" ")
        if axis in words and end in ("", "low", "high"):
            found[f"{columns[axis]} {end}".strip()] = _nearest(words[axis], value)
        else:
            found[key] = value
    return found


def table_of(figure: Figure) -> pd.DataFrame:
    """Return the data in a figure that has been drawn; empty where it shows none."""
    stack, bars = panels(figure), colour_bars(figure)
    label = " ".join((bars[0].ax.get_ylabel() or bars[0].ax.get_xlabel()).split()) if bars else ""
    legend = {name.replace("\n", " "): _look(handle) for name, handle in entries(figure).items()}
    rows = []
    for number, (together, (below, beside)) in enumerate(zip(stack, labels(figure, stack), strict=True), 1):
        panel: Row = {"panel": together[0].get_title() or number} if len(stack) > 1 else {}
        for axes in together:
            own = (below, axes.get_ylabel() or beside)
            columns = {axis: " ".join(name.split()) or axis for axis, name in zip("xy", own, strict=True)}
            rows += [panel | _in_words(row, axes, columns) for row in _drawn(axes, legend, label or "value")]
    table = pd.DataFrame(rows)
    if "series" in table and (table["series"].fillna("") == "").all():
        table = table.drop(columns="series")
    return table
