"""The command `qid plan`, on a family on this disk: its table, its JSON, and what it says of time."""

import json
import re

import pytest
from tests.measure.tiny import ROOT, write_family, write_sweep
from typer.testing import CliRunner

from helpers import cli

SCHEMES = "[{method: [rtn, gptq], bits: [2, 4], group_size: 16, symmetric: false}]"
PAGE = ROOT / "book/commands.md"


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return a function that plans a sweep of two tiny checkpoints and gives what it prints."""
    monkeypatch.chdir(ROOT)
    sweep = write_sweep(tmp_path / "sweep.yml", write_family(tmp_path / "family"), SCHEMES)
    places = ["--table", str(tmp_path / "table.parquet"), "--records", str(tmp_path / "records")]

    def of(*more: str):
        return CliRunner().invoke(cli.app, ["plan", str(sweep), *places, *more])

    return of


def test_a_plan_is_a_table_by_model_and_lines_on_disk_and_time(planned):
    done = planned()
    assert done.exit_code == 0
    assert "2 here" in done.output
    assert re.search(r"in all +2 +2 here +0.00 MiB +0.00 MiB +10 +0 ", done.output)
    assert "hours on one NVIDIA H200" in done.output
    assert "extrapolated for tiny" in done.output
    assert "time: unknown" in planned("--device", "cpu").output


def test_the_json_has_the_keys_that_the_page_names(planned):
    found = json.loads(planned("--json").stdout)
    assert found["rows"] == {"n_rows": 10, "n_present": 0, "n_to_measure": 10}
    section = PAGE.read_text().partition("### JSON of `plan`")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    parts = [found, found["disk"], found["rows"], found["time"], found["checkpoints"][0]]
    assert named - {"null"} == {name for part in parts for name in part}


def test_a_budget_that_is_no_amount_is_refused(planned):
    assert "--disk-budget is 0; accepted: more than 0" in str(planned("--disk-budget", "0").exception)
