"""Figures of the built book in Chromium: letters, themes, the dialog and the data. Run by `make check`."""

import io
import re

import pandas as pd
import pytest
from tests.book.test_browser import PAGES, SITE, pytestmark  # noqa: F401 (the marks)

DRAWN = [path for path in PAGES if 'class="drawing"' in path.read_text(encoding="utf-8")]
SMALLEST = 11  # pixels of a letter on a phone
# Of each figure, from its picture that is shown: the smallest letter in pixels of the screen, and how far it stands out.
LETTERS = """() => [...document.querySelectorAll('.drawing')].map(drawing => {
  const svg = [...drawing.querySelectorAll('svg')].find(one => one.getBoundingClientRect().width > 0);
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const sizes = [...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize) * scale);
  return {name: svg.getAttribute('aria-label').slice(0, 60), layout: svg.classList[0], letters: Math.min(...sizes),
          shown: [...drawing.querySelectorAll('svg')].filter(one => one.getBoundingClientRect().width > 0).length};
})"""
INK = "() => getComputedStyle(document.querySelector('.drawing svg text')).fill"
CARD = "() => getComputedStyle(document.querySelector('.drawing svg path')).fill"


@pytest.fixture
def opened(browser):
    """A page of the book by path, width and theme; it is closed after the test."""
    pages = []

    def opened(path, width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.goto(path.as_uri())
        return page

    yield opened
    for page in pages:
        page.close()


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_on_a_phone_one_picture_is_shown_and_its_letters_are_readable(opened, path):
    figures = opened(path, 390).evaluate(LETTERS)
    assert figures
    assert [figure for figure in figures if figure["shown"] != 1] == []
    assert [figure for figure in figures if round(figure["letters"], 1) < SMALLEST] == []


@pytest.mark.parametrize("path", DRAWN[:1], ids=lambda path: path.stem)
def test_colours_follow_the_theme_and_print_is_light(opened, path):
    light, dark = opened(path), opened(path, scheme="dark")
    colours = [page.evaluate(INK) for page in (light, dark)], [page.evaluate(CARD) for page in (light, dark)]
    assert colours == (["rgb(35, 39, 46)", "rgb(232, 230, 225)"], ["rgb(250, 250, 247)", "rgb(27, 31, 36)"])
    dark.evaluate("document.documentElement.dataset.theme = 'light'")
    assert dark.evaluate(INK) == colours[0][0]
    dark.evaluate("document.documentElement.dataset.theme = 'dark'")
    dark.emulate_media(media="print")
    assert dark.evaluate(INK) == colours[0][0]
    assert dark.locator(".drawing-files").first.is_hidden()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", DRAWN[:1], ids=lambda path: path.stem)
def test_the_keyboard_enlarges_a_figure_and_escape_puts_it_back(opened, path, width):
    page = opened(path, width)
    drawing = page.locator(".drawing").first
    before = drawing.inner_html()
    button = drawing.get_by_role("button", name="Enlarge")
    button.focus()
    page.keyboard.press("Enter")
    shown = page.locator("dialog[open] svg")
    assert shown.count() == 1
    assert shown.bounding_box()["width"] > 0.9 * width
    assert page.locator("dialog").get_attribute("aria-label") == shown.get_attribute("aria-label")
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('dialog')")
    assert re.sub(r' style="[^"]*"', "", drawing.inner_html()) == re.sub(r' style="[^"]*"', "", before)
    assert page.evaluate("document.activeElement.textContent") == "Enlarge"


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_pictures_and_data_can_be_taken_away_and_the_data_parse(opened, path):
    addresses = opened(path).evaluate(
        "[...document.querySelectorAll('.drawing-files a')].map(a => a.getAttribute('href'))"
    )
    files = [(path.parent / address).resolve() for address in addresses]
    assert files
    assert all(file.is_file() and file.is_relative_to(SITE.resolve()) for file in files)
    for file in [file for file in files if file.suffix == ".csv"]:
        table = pd.read_csv(io.StringIO(file.read_text(encoding="utf-8")))
        assert len(table) > 0, file
        if "_tables" not in file.parts:  # a table's cells are as on its page: intervals, units, words
            assert table.select_dtypes("number").notna().any(axis=None), file
    for file in [file for file in files if file.suffix == ".svg"]:
        assert "var(" not in file.read_text(encoding="utf-8"), file
