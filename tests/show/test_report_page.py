"""The report's page: whole, without requests, readable aloud, and nothing from outside is obeyed."""

import html.parser
import re
from xml.etree import ElementTree

import pytest
from tests.book.browsing import CHROMIUM, FLAGS, NEEDS_CHROMIUM
from tests.show.findings import NAME, finding

from helpers.show.report_drawing import LEFT, drawing
from helpers.show.report_page import page
from helpers.show.report_subject import Subject

SUBJECT = Subject(NAME, (("Weights", "SHA-256 abc"), ("Read from", NAME)), ("a note & more",))
FOUND = [finding(0.2), finding(2.0, scheme="rtn 2 bits g64"), finding(-0.01, scheme="rtn 4 bits g64", expected=None)]


class Reader(html.parser.HTMLParser):
    """A reader that notes elements with their attributes and whether all are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_the_page_asks_for_nothing_and_runs_nothing():
    elements = read(page(FOUND, SUBJECT)).elements
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in elements}
    assert not [attributes for _, attributes in elements if {"src", "href"} & {*attributes}]
    assert not re.search(r"url\(|@import|https?:", page(FOUND, SUBJECT))


def test_tables_have_captions_and_headings_and_the_picture_has_words():
    elements = read(page(FOUND, SUBJECT)).elements
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption") == 2
    assert {attributes.get("scope") for tag, attributes in elements if tag == "th"} == {"col", "row"}
    (picture,) = [attributes for tag, attributes in elements if tag == "svg"]
    ids = {attributes.get("id") for _, attributes in elements}
    assert picture["role"] == "img"
    assert set(picture["aria-labelledby"].split()) <= ids
    assert ("html", {"lang": "en"}) in elements


def test_what_may_be_wider_than_a_phone_stands_in_a_region_that_scrolls_by_keyboard():
    regions = [attributes for tag, attributes in read(page(FOUND, SUBJECT)).elements if tag == "div"]
    assert [(each["role"], each["tabindex"]) for each in regions] == [("region", "0")] * 2
    assert regions[0]["aria-label"] == "Findings"
    assert regions[1]["aria-label"].startswith("Picture of ")


@NEEDS_CHROMIUM
@pytest.mark.parametrize("width", [1280, 390])
def test_no_number_is_broken_into_lines_and_the_caption_is_in_sight(tmp_path, width):
    playwright = pytest.importorskip("playwright.sync_api")
    (tmp_path / "report.html").write_text(page([*FOUND, finding(0.2, verdict="many words " * 30)], SUBJECT))
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        view = browser.new_page(viewport={"width": width, "height": 900})
        view.goto((tmp_path / "report.html").as_uri())
        lines = view.evaluate(
            """() => [...document.querySelectorAll('.wide td:not(:first-child):not(:last-child)')].map(cell => {
              const range = document.createRange(); range.selectNodeContents(cell);
              return range.getClientRects().length })"""
        )
        caption = view.evaluate("document.querySelector('caption').getBoundingClientRect().right")
        beyond = view.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        browser.close()
    assert set(lines) == {1}
    assert caption <= width
    assert beyond <= 0


def test_light_dark_and_paper_are_all_thought_of():
    text = page(FOUND, SUBJECT)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_marks_stand_in_order_and_what_is_not_clear_is_hollow_at_the_left_end():
    root = ElementTree.fromstring(drawing(FOUND, 0))
    marks = [(mark.get("class"), float(mark.get("cx"))) for mark in root.iter("circle")]
    assert [kind for kind, _ in marks] == ["mark", "mark", "hollow"]
    assert marks[2][1] == LEFT < marks[0][1] < marks[1][1]
    assert len([rect for rect in root.iter("rect") if rect.get("class") == "band"]) == 2


def test_without_anything_above_zero_there_is_no_picture():
    assert drawing([finding(-0.01), finding(None, qid_se_nats=None)], 0) == ""
    assert "<svg" not in page([finding(-0.01)], SUBJECT)
