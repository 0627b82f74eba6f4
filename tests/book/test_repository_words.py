"""What the pages' words must hold: what intervals run over, and references that can be told apart and are named."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(ROOT.glob("chapters/[0-9]*.py"))
ENTRY = re.compile(r"@\w+\{(\w+),.*?author\s*=\s*\{(\w+).*?year\s*=\s*\{(\d+[a-z]?)\}", re.S)
SPELT = r"\{term\}`[Ii]ntervals <interval>` run over"


def words(path: Path) -> str:
    """Return the Markdown of a chapter."""
    cells = re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.M)
    return "\n".join(cell for cell in cells if cell.startswith(" [markdown]"))


def entries() -> list[tuple[str, str, str]]:
    """Return key, first author and year of every reference."""
    return ENTRY.findall((ROOT / "book/references.bib").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem[:2])
def test_a_chapter_with_intervals_says_once_what_they_run_over(path):
    text = words(path)
    has_intervals = re.search(r"\d?95%|\[\{glue:text\}", text) is not None
    assert len(re.findall(SPELT, text)) == int(has_intervals)


def test_every_reference_is_read_here():
    assert len(entries()) == (ROOT / "book/references.bib").read_text(encoding="utf-8").count("\n}\n")


def test_no_two_references_have_the_same_label():
    """A label on the page is the first author and the year."""
    labels = Counter((author, year) for _, author, year in entries())
    assert [label for label, count in labels.items() if count > 1] == []


def test_instructors_find_a_goal_for_every_chapter_and_its_exercises():
    page = (ROOT / "book/instructors.md").read_text(encoding="utf-8")
    goals = page[page.index("## Goals and prerequisites") :]
    appendices = [
        path.stem for path in CHAPTERS if path.stem >= "92" or path.stem == "90-speed"
    ]  # nothing is taught there
    taught = [path.stem for path in CHAPTERS if path.stem not in appendices]
    assert re.findall(r"^\| \{doc\}`\w+ <executed/([\w-]+)>`", goals, re.M) == taught


def test_the_bibliography_names_every_reference_and_what_was_read_of_it():
    page = (ROOT / "book/bibliography.md").read_text(encoding="utf-8")
    assert [key for key, *_ in entries() if key not in page] == []
