import json
import shutil
from pathlib import Path

import pytest

import pair

CHAPTERS = Path(__file__).parents[2] / "chapters"
SCRIPTS = sorted(CHAPTERS.glob("[0-9]*.py"))


def test_every_chapter_and_its_notebook_agree():
    assert SCRIPTS
    assert pair.differing() == [], "run: make pair"


def test_there_is_no_notebook_without_a_script():
    assert sorted(n.stem for n in CHAPTERS.glob("*.ipynb")) == [s.stem for s in SCRIPTS]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_notebooks_hold_no_outputs_and_say_how_they_are_paired(script):
    notebook = json.loads(script.with_suffix(".ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert notebook["metadata"]["jupytext"]["formats"] == "ipynb,py:percent"


def test_writing_twice_gives_the_same_bytes():
    assert pair.paired_text(SCRIPTS[0]) == pair.paired_text(SCRIPTS[0])


def test_a_changed_script_is_noticed(tmp_path):
    for path in (SCRIPTS[0], SCRIPTS[0].with_suffix(".ipynb")):
        shutil.copy(path, tmp_path)
    assert pair.differing(tmp_path) == []
    script = tmp_path / SCRIPTS[0].name
    script.write_text(script.read_text() + "\n# %%\n1 + 1\n")
    assert pair.differing(tmp_path) == [script]
