"""Each chapter has four exercises or more; its checks run as a reader meets them: blank first, then with the solution."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from helpers.teach.checking import EVERY

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted([*ROOT.glob("chapters/[0-8]*.py"), *ROOT.glob("chapters/90-*.py")])
FEWEST = 4
CHECK = re.compile(r'^check\("([\d.]+)", (.+)\)', re.M)


def cells(path: Path) -> list[str]:
    """Return the cells of a chapter from its exercises on, each with its header line."""
    text = path.read_text(encoding="utf-8")
    start = text.index("# ## Exercises\n")
    return re.split(r"^(?=# %%)", text[start:], flags=re.M)


def code(path: Path) -> list[str]:
    """Return the cells that call `check`."""
    return [cell for cell in cells(path) if CHECK.search(cell)]


def last_value(cell: str, names: dict[str, object]) -> object:
    """Run a cell and return what its last line displays."""
    *before, last = ast.parse(cell).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(before, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def by_stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", CHAPTERS, ids=by_stem)
def test_a_chapter_has_four_numbered_exercises_or_more(path):
    numbers = [int(number) for number in re.findall(r"^# \*\*(\d+)\.\*\*", "".join(cells(path)), re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= FEWEST


@pytest.mark.parametrize("path", CHAPTERS, ids=by_stem)
def test_a_check_is_met_blank_and_then_with_its_solution_folded(path):
    found = [(CHECK.search(cell)[1], CHECK.search(cell)[2] == "answer", '"hide-cell"' in cell) for cell in code(path)]
    assert found
    for blank, solution in zip(found[::2], found[1::2], strict=True):
        assert (blank[1:], solution[1:]) == ((True, False), (False, True))
        assert blank[0] == solution[0]
        assert int(blank[0].split(".")[0]) == int(path.stem[:2])


@pytest.mark.parametrize("path", CHAPTERS, ids=by_stem)
def test_checks_run_from_the_repository_and_solutions_are_right(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"np": np}
    assert [last_value(cell, names).right for cell in code(path)] == [None, True] * (len(code(path)) // 2)


def test_every_check_is_an_exercise_of_a_chapter():
    assert {number for path in CHAPTERS for cell in code(path) for number, _ in CHECK.findall(cell)} == set(EVERY)
