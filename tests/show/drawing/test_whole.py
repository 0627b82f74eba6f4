"""One file a figure, and in a notebook no other form of it."""

from xml.etree import ElementTree

import matplotlib.pyplot as plt
import nbclient
import nbformat
import pytest

from helpers.show.drawing.vector import SVG, text_of
from helpers.show.drawing.whole import DATA, NARROW, apart, whole


@pytest.fixture
def figure(styled):
    drawn, axes = plt.subplots()
    axes.plot([1, 2], [3, 4], label="line")
    return drawn


def test_a_figure_comes_apart_into_its_two_pictures_and_its_data(figure):
    root, enclosed = apart(whole(figure))
    assert root.tag == f"{{{SVG}}}svg"
    assert "metadata" not in text_of(root)
    assert set(enclosed) == {NARROW, DATA}
    slim = ElementTree.fromstring(enclosed[NARROW])
    assert float(slim.attrib["width"].removesuffix("pt")) < 290 < float(root.attrib["width"].removesuffix("pt"))
    assert enclosed[DATA] == "series,x,y\nline,1.0,3.0\nline,2.0,4.0\n"
    assert figure.get_size_inches().tolist() == [7.0, 4.3]


def test_a_note_has_neither(styled):
    note = plt.figure(figsize=(7, 1.2))
    note.text(0.5, 0.5, "nothing to compare")
    assert apart(whole(note))[1] == {}


NOTEBOOK = """
from xml.etree import ElementTree

import matplotlib.pyplot as plt
from helpers.show.style import use_house_style
use_house_style()
"""
DRAW = "figure, axes = plt.subplots()\naxes.plot([1, 2]);"


def test_a_notebook_shows_and_glues_svg_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    glued = DRAW + "\nfrom helpers.show.glue import put\nput('fig', figure)\nplt.close('all')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (NOTEBOOK, DRAW, glued)])
    nbclient.NotebookClient(notebook).execute()
    shown = [{*output["data"]} for cell in notebook.cells for output in cell.outputs if "data" in output]
    assert shown == [
        {"image/svg+xml", "text/plain"},
        {"application/papermill.record/image/svg+xml", "application/papermill.record/text/plain"},
    ]
