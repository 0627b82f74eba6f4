"""A figure as one file: its picture, and in that the narrow picture and the data, for a page to take apart.

A notebook carries one text a figure through papermill and MyST-NB to the page, so all that belongs to it is in there.
"""

from xml.etree import ElementTree

import matplotlib.pyplot as plt
from IPython import get_ipython
from matplotlib.figure import Figure

from helpers.show.drawing.data import table_of
from helpers.show.drawing.layouts import narrow, wide
from helpers.show.drawing.vector import SVG, as_svg, text_of

ENCLOSED = f"{{{SVG}}}metadata"
NARROW, DATA = "narrow", "data"


def _enclose(root: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(root, ENCLOSED, id=name).text = text


def whole(figure: Figure) -> str:
    """Return a figure's picture as SVG, with the narrow picture and its data (CSV) as metadata."""
    figure = wide(figure)
    root = as_svg(figure)
    slim = narrow(figure)
    if slim is not None:
        _enclose(root, NARROW, text_of(as_svg(slim)))
    table = table_of(figure)
    if len(table):
        _enclose(root, DATA, table.to_csv(index=False))
    return text_of(root)


def apart(text: str) -> tuple[ElementTree.Element, dict[str, str]]:
    """Return the picture alone and what `whole` enclosed in it, by name."""
    root = ElementTree.fromstring(text)
    enclosed = {}
    for part in root.findall(ENCLOSED):
        enclosed[part.attrib["id"]] = part.text or ""
        root.remove(part)
    return root, enclosed


def show_as_svg() -> None:
    """Have a notebook show and keep every figure as SVG and in no other form; elsewhere do nothing."""
    shell = get_ipython()
    if shell is not None:
        plt.switch_backend(plt.get_backend())  # loads the notebook's own, which chooses its form when it is loaded
        for formatter in shell.display_formatter.formatters.values():
            formatter.pop(Figure, None)
        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, whole)
