"""Prose that one can read: at most four numbers a paragraph of a chapter; sets of them stand in tables and figures.

A value with its interval or its error is one number, and a glued name or count is one too. An item of a list is a
paragraph of its own. Rows of tables aren't prose, and appendices are where the rest of the numbers went.
"""

import re
from pathlib import Path

import jupytext
import pytest

MOST = 4
CHAPTERS = sorted((Path(__file__).parents[2] / "chapters").glob("[0-2]*.py"))
GLUED = r"\{glue:text\}`[^`]+`"
ENDS = rf"\[\s*{GLUED},\s*{GLUED}\s*\]"
WITH_ENDS = re.compile(rf"{GLUED}[^{{`\[]{{0,40}}?(?:{ENDS}|±\s*{GLUED})|{ENDS}")
BEGINS = re.compile(r"\s*$|\s*(?:[-*]|\d+\.)\s|```|:::|\|")  # an empty line, an item, a box, a table or its row


def paragraphs(markdown: str) -> list[str]:
    """Return the paragraphs and items of a cell of Markdown, without rows of tables."""
    found = [""]
    for line in markdown.splitlines():
        if BEGINS.match(line):
            found.append("")
        if not line.startswith("|"):
            found[-1] += line + "\n"
    return found


def count(paragraph: str) -> int:
    """Return how many numbers a paragraph glues, a value with its interval or its error as one."""
    return len(re.findall(GLUED, WITH_ENDS.sub("{glue:text}`x:d`", paragraph)))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_no_paragraph_of_a_chapter_has_more_than_four_numbers(path):
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown"]
    dense = [text for cell in cells for text in paragraphs(cell) if count(text) > MOST]
    assert dense == [], f"{len(dense)} paragraphs; a table, a figure or two paragraphs would be easier to read"


def test_a_value_with_its_interval_or_error_is_one_number_and_items_are_counted_apart():
    value, ends = "{glue:text}`a:.2f`", "[{glue:text}`a_low:.2f`,\n  {glue:text}`a_high:.2f`]"
    assert count(f"It is {value} {ends}, once {value} ± {value}, {value} times {ends} and in {ends}.") == 4
    assert [count(text) for text in paragraphs(f"{value}\n{value}\n\n- {value}\n- {value} and {value}")] == [2, 0, 1, 2]
    assert sum(map(count, paragraphs(f"| {value} | {value} |\n| --- | --- |"))) == 0
    assert count(" ".join([value] * 5)) == 5 > MOST
