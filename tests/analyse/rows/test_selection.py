"""Which rows of a reader's table a chapter takes: those that its sweep declares."""

from pathlib import Path

import pandas as pd
import pytest

from helpers.analyse.rows.selection import rows_of_sweep
from helpers.table.errors import AnalysisError, SpecError

ROOT = Path(__file__).parents[3]
SWEEP = """
name: mine
evaluation: {sequences: 128}
parts:
  - family: elsewhere/tadpole
    schemes: [{method: rtn, bits: 4}]
  - family: pythia-deduped
    schemes: [{method: rtn, bits: 4}]
"""


def test_a_folder_s_families_are_those_of_its_manifest(monkeypatch):
    monkeypatch.chdir(ROOT)
    table = pd.DataFrame(
        {"family": ["tadpole-trunk", "tadpole"], "n_sequences": [128, 128], "eval_dataset": "wheels-heldout"}
    )
    assert list(rows_of_sweep(table, Path("sweeps/pocket.yml"))["family"]) == ["tadpole-trunk"]


def test_rows_of_a_sweep_are_of_its_families_and_of_its_text(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text(SWEEP)
    cells = [
        ("tadpole", 128, "wheels-heldout"),
        ("tadpole", 32, "wheels-heldout"),
        ("my-model", 128, "wheels-heldout"),
        ("pythia-deduped", 124, "hf://datasets/somebody/words"),  # as many as its documents give
        ("pythia-deduped", 256, "hf://datasets/somebody/words"),
    ]
    table = pd.DataFrame(cells, columns=["family", "n_sequences", "eval_dataset"])
    found = rows_of_sweep(table, path)
    assert list(zip(found["family"], found["n_sequences"], strict=True)) == [("tadpole", 128), ("pythia-deduped", 124)]
    with pytest.raises(AnalysisError, match=r"no row of pythia-deduped, tadpole, as .*mine.yml declares"):
        rows_of_sweep(table[table["family"] == "my-model"], path)


@pytest.mark.parametrize("text", ["", "[1]", "parts: [tadpole]", "parts: [{family: tadpole}]"])
def test_a_file_that_is_no_sweep_is_refused(tmp_path, text):
    path = tmp_path / "mine.yml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"mine.yml: not a sweep; accepted: parts with a family each"):
        rows_of_sweep(pd.DataFrame(), path)
