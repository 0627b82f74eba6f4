import json

import pytest

from helpers.show import benchmarks
from helpers.table.errors import ResultsError

MACHINE = {"processor": "P", "cores": 2, "versions": {"torch": "2"}, "date": "2026-01-01", "commit": "abcdef0123"}


def test_rows_and_who_measured_them(tmp_path):
    rows = [{"work": "a", "seconds": 1.5}, {"work": "b", "seconds": 2.0}]
    (tmp_path / "speed.json").write_text(json.dumps({"machine": MACHINE, "rows": rows}))
    found = benchmarks.read("speed", tmp_path)
    assert found.rows["seconds"].tolist() == [1.5, 2.0]
    assert found.measured == "P, 2 cores; torch 2; 2026-01-01, commit abcdef0"


def test_a_gpu_is_named_instead_of_the_processor(tmp_path):
    (tmp_path / "speed.json").write_text(json.dumps({"machine": MACHINE | {"gpu": "G"}, "rows": []}))
    assert benchmarks.read("speed", tmp_path).measured.startswith("G; torch 2")


def test_missing_and_other_files_are_one_line(tmp_path):
    with pytest.raises(ResultsError, match=r"speed\.json: missing; `python benchmarks/speed\.py` writes it"):
        benchmarks.read("speed", tmp_path)
    (tmp_path / "speed.json").write_text("{}")
    with pytest.raises(ResultsError, match="not what a benchmark writes"):
        benchmarks.read("speed", tmp_path)


def test_a_command_that_was_never_run_has_no_rows(tmp_path):
    assert benchmarks.read_if_run("speed", tmp_path) is None
    (tmp_path / "speed.json").write_text(json.dumps({"machine": MACHINE, "rows": []}))
    assert benchmarks.read_if_run("speed", tmp_path) is not None
    (tmp_path / "speed.json").write_text("{}")
    with pytest.raises(ResultsError, match="not what a benchmark writes"):
        benchmarks.read_if_run("speed", tmp_path)
