"""A figure as SVG: text stays text, colours can be seen, heat maps are marked as keeping theirs, and few bytes.

The picture is drawn for a light card and stands by itself in any viewer. A page that shows it in the dark exchanges its
colours (`colours.on_dark`), but for what lies in a group of the class `kept`: a heat map means the same in both.
"""

import io
import re
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from helpers.show.drawing.colours import on_light

SVG = "http://www.w3.org/2000/svg"
KEPT = "kept"
FONTS = "'DejaVu Sans', Verdana, Arial, sans-serif"
MANY_POINTS = 3000  # of one artist: as pixels it is smaller than as marks
PIXELS_PER_INCH = 200  # of what is drawn in pixels
DIGITS = 2  # of a coordinate in points
COLOUR = re.compile(r"#[0-9a-f]{6}\b")
NUMBER = re.compile(r"-?\d+\.\d{3,}")
FONT_FAMILY = re.compile(r"font-family: [^;]*;?\s*")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def has_colour_map(axes: Axes) -> bool:
    """Tell whether colours in these axes stand for values: those of a heat map or of its bar."""
    return any(isinstance(part, ScalarMappable) and part.get_array() is not None for part in axes.get_children())


def mark_kept(figure: Figure) -> None:
    """Mark what keeps its colours in the dark: marks coloured by value, and the words on top of them."""
    for axes in filter(has_colour_map, figure.axes):
        for part in [*axes.images, *axes.collections, *axes.texts]:
            part.set_gid(KEPT)


def mark_many(figure: Figure) -> None:
    """Have an artist of thousands of points drawn in pixels inside the picture."""
    for axes in figure.axes:
        for line in axes.lines:
            line.set_rasterized(np.size(line.get_xdata()) > MANY_POINTS and line.get_marker() not in ("None", "", None))


def _rounded(text: str) -> str:
    return NUMBER.sub(lambda number: f"{float(number[0]):.{DIGITS}f}".rstrip("0").rstrip("."), text)


def _named(root: ElementTree.Element) -> set[str]:
    """Return the ids that some part of the picture refers to."""
    values = [value for part in root.iter() for value in part.attrib.values()]
    return {value[1:] for value in values if value.startswith("#")} | {
        name for value in values for name in REFERENCE.findall(value)
    }


def _tidy(part: ElementTree.Element, kept: bool, named: set[str]) -> None:
    """Round a part's numbers, make its colours seen, drop names that nothing refers to; then its parts."""
    kept = kept or part.get("id") == KEPT
    if part.get("id") == KEPT:
        part.set("class", KEPT)
    if part.get("id") not in named:
        part.attrib.pop("id", None)
    if part.get("transform", "").startswith("rotate(-0 "):
        del part.attrib["transform"]
    for name in {"d", "x", "y", "transform"} & set(part.attrib):
        part.set(name, " ".join(_rounded(part.attrib[name]).split()))
    if "style" in part.attrib:
        style = FONT_FAMILY.sub("", part.attrib["style"])
        part.set("style", style if kept else COLOUR.sub(lambda colour: on_light(colour[0]), style))
    if not (part.text or "").strip():
        part.text = None
    part.tail = None
    for inner in part:
        _tidy(inner, kept, named)


def _without_empty(part: ElementTree.Element) -> None:
    """Drop groups that hold nothing."""
    for inner in list(part):
        _without_empty(inner)
        if inner.tag in (f"{{{SVG}}}g", f"{{{SVG}}}defs") and not len(inner):
            part.remove(inner)


def _differ_in_path(group: ElementTree.Element) -> bool:
    """Tell whether the parts of a group are alike but for their paths."""
    return len({tuple((name, value) for name, value in part.items() if name != "d") for part in group}) == 1


def _merge(part: ElementTree.Element) -> None:
    """Say once what the marks of a group share: strokes become one path, markers leave their style to the group."""
    for inner in part:
        _merge(inner)
    styles = {inner.get("style") for inner in part}
    tags = {inner.tag for inner in part}
    if len(part) < 2 or len(styles) > 1 or part.get("style") or styles == {None}:
        return
    if tags == {f"{{{SVG}}}use"}:
        part.set("style", part[0].attrib["style"])
        for inner in part:
            del inner.attrib["style"]
    elif tags == {f"{{{SVG}}}path"} and "fill: none" in part[0].attrib["style"] and _differ_in_path(part):
        part[0].set("d", " ".join(inner.attrib["d"] for inner in part if "d" in inner.attrib))
        for inner in part[1:]:
            part.remove(inner)


def as_svg(figure: Figure) -> ElementTree.Element:
    """Return a figure's picture as a tree; the same figure gives the same one."""
    mark_kept(figure)
    mark_many(figure)
    written = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "figure"}):
        # Nothing may be cut off: what stands out beside the axes widens the picture.
        figure.savefig(written, format="svg", metadata={"Date": None}, dpi=PIXELS_PER_INCH, bbox_inches="tight")
    root = ElementTree.fromstring(written.getvalue())
    root.remove(root[0])  # metadata, and the style that the attributes below replace
    for defs in [part for part in root if part.tag == f"{{{SVG}}}defs" and part[0].tag == f"{{{SVG}}}style"]:
        root.remove(defs)
    _tidy(root, False, _named(root))
    _without_empty(root)
    _merge(root)
    root.attrib.update({"font-family": FONTS, "stroke-linejoin": "round"})
    return root


def text_of(root: ElementTree.Element) -> str:
    """Return a picture as the text of a file."""
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False)
