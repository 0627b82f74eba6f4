"""A figure in a page: names of its own, colours as variables with a value in the dark, files to take away."""

import re
from types import SimpleNamespace

import figures
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from docutils import nodes
from docutils.utils import new_document

from helpers.show.drawing.colours import on_dark
from helpers.show.drawing.whole import whole
from helpers.show.style import use_house_style

mpl.use("Agg")


@pytest.fixture
def picture():
    with plt.rc_context():
        use_house_style()
        figure, axes = plt.subplots()
        axes.plot([1, 2], [3, 4], "o-", color="#0072b2")
        yield whole(figure)
        plt.close("all")


@pytest.fixture
def page(tmp_path, picture):
    """A page of one glued figure with a caption, after the extension has been there; and the site's folder."""
    (tmp_path / "drawn.svg").write_text(picture)
    document = new_document("page")
    document += nodes.figure("", nodes.image(uri="drawn.svg", alt='says "more"'), names=["fig-a"])
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), srcdir=str(tmp_path), outdir=str(tmp_path / "site"))
    figures.put_in_page(app, document, "executed/04-a")
    return next(iter(document.findall(nodes.raw))).astext(), tmp_path / "site"


def test_a_figure_is_in_its_page_with_its_text_alternative(page):
    html, _ = page
    assert html.startswith('<div class="drawing"><svg')
    assert 'role="img"' in html
    assert 'aria-label="says &quot;more&quot;"' in html
    assert "ns0:" not in html


def test_colours_are_variables_with_a_value_in_the_dark(page):
    html, _ = page
    assert "stroke: var(--on-0072b2, #0072b2)" in html
    assert f"--on-0072b2: {on_dark('#0072b2')};" in html
    assert not re.search(r"(?:fill|stroke): #", html)


def test_what_keeps_its_colours_has_no_variables(picture):
    root, _ = figures.apart(picture.replace("<g>", '<g class="kept">', 1))
    assert "var(" not in figures.in_page(root, "fig-a", "wide", "alt")


def test_names_and_references_are_the_figures_own(page):
    html, _ = page
    names = set(re.findall(r' id="([^"]+)"', html))
    assert names
    assert all(name.startswith(("fig-a-wide-", "fig-a-narrow-")) for name in names)
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', html)) == names


def test_the_narrow_picture_is_there_too_and_the_data_can_be_taken_away(page):
    html, site = page
    assert html.count("<svg") == 2
    assert 'class="wide"' in html
    assert 'class="narrow"' in html
    assert 'href="../_figures/04-a/fig-a.csv" download="fig-a.csv">CSV</a>' in html
    assert (site / "_figures/04-a/fig-a.csv").read_text() == "x,y\n1.0,3.0\n2.0,4.0\n"


def test_the_picture_can_be_taken_away_as_it_was_drawn(page, picture):
    html, site = page
    address = re.search(r'href="([^"]+\.svg)" download', html)[1]
    assert address == "../_figures/04-a/fig-a.svg"
    text = (site / "_figures/04-a/fig-a.svg").read_text()
    assert "#0072b2" in text
    assert "var(" not in text
