"""Slides are what the notebook marks, ask for no network, and refuse what they can't show."""

import base64
import html
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

import check
import slides

ROOT = Path(__file__).parents[2]
CLASS = ROOT / "chapters/91-ninety-minutes.py"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0 4 4"/>'
    '<metadata id="data">x,y</metadata></svg>'
)


def cell(source, kind="slide", outputs=None, **metadata):
    marks = {"slideshow": {"slide_type": kind}} if kind else {}
    if outputs is None:
        return nbformat.v4.new_markdown_cell(source, metadata=marks | metadata)
    return nbformat.v4.new_code_cell(source, metadata=marks | metadata, outputs=outputs)


def printed(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def drawn():
    return nbformat.v4.new_output("display_data", data={"image/svg+xml": SVG, "text/plain": "<Figure>"})


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def test_a_slide_begins_where_the_notebook_says_and_the_rest_is_left_out():
    found = slides.slides_of(
        notebook(cell("# A"), cell("more", "fragment"), cell("left out", None), cell("x = 1", None, []), cell("# B"))
    )
    assert [[one.source for one in cells] for cells in found] == [["# A", "more"], ["# B"]]


def test_what_a_cell_printed_is_one_box_and_code_and_warnings_are_not_shown():
    text = slides.page(
        notebook(cell("# A"), cell("f(1 < 2)", "fragment", [printed("a <\n"), printed("b\n"), printed("w", "stderr")]))
    )
    assert "<pre>a &lt;\nb</pre>" in text
    assert "f(1" not in text
    assert ">w<" not in text


def test_a_figure_is_inside_the_page_with_its_alternative():
    marks = {"mystnb": {"image": {"alt": 'a "line"'}}}
    text = slides.page(notebook(cell("# A"), cell("plot()", "fragment", [drawn()], **marks)))
    (picture,) = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="a &quot;line&quot;">', text)
    drawn_alone = base64.b64decode(picture).decode()
    assert "<path" in drawn_alone
    assert "metadata" not in drawn_alone  # the narrow picture and the data are for the page


def test_formulas_are_outlines_and_say_their_tex():
    text = slides.page(notebook(cell("# A\n\n$x_1$ and\n\n$$\n\\dfrac{a}{b}\n$$\n")))
    assert len(re.findall(r'<svg class="formula" role="img"', text)) == 2
    assert 'aria-label="\\dfrac{a}{b}"' in text
    assert "$" not in re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.S)


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ([], "no cell begins a slide"),
        ([cell("x", "fragment")], "a fragment comes before the first slide"),
        ([cell("see {doc}`a`")], "a role of MyST"),
        ([cell("# A"), cell("plot()", "fragment", [])], "no output"),
        ([cell("# A"), cell("plot()", "fragment", [drawn()])], "no mystnb.image.alt"),
    ],
)
def test_what_cannot_be_a_slide_is_refused(cells, fault):
    with pytest.raises(slides.SlidesError, match=fault):
        slides.page(notebook(*cells))


def test_a_page_asks_for_nothing_and_has_no_dead_link(tmp_path):
    path = tmp_path / "slides.html"
    path.write_text(slides.page(notebook(cell("# A"), cell("# B"))))
    assert list(check.site_faults(tmp_path)) == []
    assert "http" not in path.read_text()


def test_main_writes_the_page_or_says_in_one_line_why_not(tmp_path, capsys):
    source, target = tmp_path / "a.ipynb", tmp_path / "deep/slides.html"
    nbformat.write(notebook(cell("# A & B")), source)
    assert slides.main([str(source), str(target)]) == 0
    assert f"<title>{html.escape('A & B')}: slides</title>" in target.read_text()
    nbformat.write(notebook(), source)
    assert slides.main([str(source), str(target)]) == 1
    assert capsys.readouterr().err.startswith(f"{source}: no cell begins a slide")


def test_the_class_has_twelve_slides():
    assert len(slides.slides_of(jupytext.read(CLASS))) == 12
