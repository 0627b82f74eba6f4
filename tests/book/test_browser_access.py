"""Definitions and wide tables by keyboard, by touch and for a screen reader: the scripts of `_static` on a small page."""

import shutil
from pathlib import Path

import pytest
from tests.book.browsing import NEEDS_CHROMIUM

STATIC = Path(__file__).parents[2] / "book" / "_static"
CELLS = "".join(f"<td>a wide cell {number}</td>" for number in range(12))
PAGE = f"""<!DOCTYPE html><html lang="en"><head><title>p</title><script src="terms.js"></script><script src="scrolling.js"></script>
<link rel="stylesheet" href="access.css"></head><body><article class="bd-article"><p><a href="#start" id="start">start</a>
<a class="reference" id="qid" href="glossary.html#term-QiD" title="What rounding costs."><span class="std-term">QiD</span></a>
and <a class="reference" id="again" href="glossary.html#term-QiD" title="What rounding costs."><span class="std-term">it</span></a>
and <a class="reference" id="paper" href="glossary.html" title="A paper.">a citation</a></p>
<div class="pst-scrollable-table-container" style="overflow-x: auto"><table style="white-space: nowrap"><tr>{CELLS}</tr></table></div>
<div class="pst-scrollable-table-container" id="small" style="overflow-x: auto"><table><tr><td>1</td></tr></table></div>
</article></body></html>"""

pytestmark = [
    pytest.mark.browser,
    NEEDS_CHROMIUM,
]


@pytest.fixture
def page(browser, tmp_path, request):
    for name in ("terms.js", "scrolling.js", "access.css"):
        shutil.copy(STATIC / name, tmp_path)
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "glossary.html").write_text("<title>glossary</title>")
    width, touch = getattr(request, "param", (1280, False))
    context = browser.new_context(viewport={"width": width, "height": 700}, has_touch=touch)
    opened = context.new_page()
    opened.goto((tmp_path / "page.html").as_uri())
    yield opened
    context.close()


def tip(page) -> str | None:
    """Return the definition that is shown, None if none is."""
    shown = page.locator(".term-tip")
    return shown.text_content() if shown.is_visible() else None


def test_a_term_reached_by_keyboard_shows_its_definition_and_escape_closes_it(page):
    page.locator("#start").focus()
    assert tip(page) is None
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "qid"
    assert tip(page) == "What rounding costs."
    page.keyboard.press("Escape")
    assert tip(page) is None
    page.keyboard.press("Tab")
    assert tip(page) == "What rounding costs."
    page.keyboard.press("Tab")
    assert (page.evaluate("document.activeElement.id"), tip(page)) == ("paper", None)


def test_a_mouse_shows_it_while_it_rests_there_and_a_click_follows_the_link(page):
    page.locator("#qid").hover()
    assert tip(page) == "What rounding costs."
    page.locator("#small").hover()
    assert tip(page) is None
    page.locator("#qid").click()
    page.wait_for_url("**/glossary.html*")


def test_a_mouse_may_move_from_the_link_onto_its_definition_and_rest_there(page):
    link, shown = page.locator("#qid"), page.locator(".term-tip")
    link.hover()
    at, over = link.bounding_box(), shown.bounding_box()
    x = max(at["x"], over["x"]) + 2
    page.mouse.move(x, at["y"] + at["height"] / 2)
    page.mouse.move(x, over["y"] + over["height"] / 2, steps=40)
    assert tip(page) == "What rounding costs."
    page.mouse.move(x, over["y"] + over["height"] + 60, steps=20)
    assert tip(page) is None


def test_a_screen_reader_reads_the_definition_with_the_link_and_there_is_no_second_one(page):
    for name in ("qid", "again"):
        link = page.locator(f"#{name}")
        assert link.get_attribute("title") is None
        described = link.get_attribute("aria-describedby")
        assert page.locator(f"#{described}").text_content() == "What rounding costs."
    assert page.locator("[id^=definition-]").count() == 1
    assert page.locator("#paper").get_attribute("title") == "A paper.", "a citation is no term"


@pytest.mark.parametrize("page", [(390, True)], indirect=True)
def test_on_a_phone_the_first_tap_shows_and_the_second_follows(page):
    page.locator("#qid").tap()
    assert tip(page) == "What rounding costs."
    box = page.locator(".term-tip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.locator("#small").tap()
    assert tip(page) is None
    page.locator("#qid").tap()
    assert page.url.endswith("page.html"), "closed in between: it shows again first"
    page.locator("#qid").tap()
    page.wait_for_url("**/glossary.html*")


def test_what_scrolls_sideways_is_reached_by_keyboard_named_and_says_so_and_what_fits_isn_t(page):
    wide, small = page.locator(".pst-scrollable-table-container").all()
    page.set_viewport_size({"width": 390, "height": 700})
    page.wait_for_selector(".scrolls")
    assert [wide.get_attribute(name) for name in ("tabindex", "role", "aria-label")] == [
        "0",
        "group",
        "Table, scrolls sideways",
    ]
    assert wide.evaluate("box => getComputedStyle(box, '::before').content") == '"scrolls sideways →"'
    assert [small.get_attribute(name) for name in ("tabindex", "role", "aria-label")] == [None, None, None]
    wide.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.scrolls').scrollLeft > 0")
    page.set_viewport_size({"width": 2400, "height": 700})
    page.wait_for_function("!document.querySelector('.scrolls')")
    assert wide.get_attribute("tabindex") is None
