"""The class of 90 minutes: five blanks that wait, each with a folded solution that is right; parts 1 to 3 are run here."""

import ast
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[2]
CLASS = ROOT / "chapters/91-ninety-minutes.py"
BLANKS = 5
BY_HAND = 3  # blanks before a model is loaded; the book's build runs the rest


def cells() -> list[str]:
    return re.split(r"^(?=# %%)", CLASS.read_text(encoding="utf-8"), flags=re.M)


def is_blank(cell: str) -> bool:
    return "return None  # your line" in cell


def is_solution(cell: str) -> bool:
    return "# @title A solution" in cell


def test_each_blank_is_announced_and_followed_by_its_folded_solution():
    text = CLASS.read_text(encoding="utf-8")
    assert re.findall(r"^# \*\*Blank (\d)\.\*\*", text, re.M) == [str(n + 1) for n in range(BLANKS)]
    asked = [cell for cell in cells() if is_blank(cell) or is_solution(cell)]
    assert [is_blank(cell) for cell in asked] == [True, False] * BLANKS
    for solution in asked[1::2]:
        header = solution.splitlines()[0]
        assert '"hide-cell"' in header
        assert '"source_hidden": true' in header
        assert 'cellView="form"' in header


@pytest.fixture
def namespace(monkeypatch):
    monkeypatch.chdir(ROOT / "chapters")  # where a reader's notebook runs
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    return {}


@pytest.mark.filterwarnings("ignore:IProgress not found")
def test_parts_by_hand_run_from_the_notebooks_own_folder(namespace):
    verdicts = []
    for cell in cells():
        if cell.startswith("# %% [markdown]") or not cell.startswith("# %%"):
            continue
        *before, last = ast.parse(cell).body
        value = None
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(before, []), "cell", "exec"), namespace)
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
        else:
            exec(compile(cell, "cell", "exec"), namespace)
        if is_blank(cell) or is_solution(cell):
            verdicts.append(value.right)
        if len(verdicts) == 2 * BY_HAND:
            break
    assert verdicts == [None, True] * BY_HAND
    assert Path.cwd() == ROOT


def test_a_folder_without_models_is_named(namespace, tmp_path):
    setup = next(cell for cell in cells() if "def book_folder" in cell)
    exec(setup.split("os.chdir(")[0], namespace)
    with pytest.raises(FileNotFoundError, match=r"here or above; set `source` to the book's folder"):
        namespace["book_folder"](str(tmp_path))
