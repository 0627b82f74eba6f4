"""`qid measure` from the command line: options with several values, the table, JSON, the report, one line for errors."""

import json
import subprocess
import sys

import pytest
from tests.measure.foreign import passages, texts, write_model, write_texts
from tests.measure.tiny import ROOT

from helpers.commands.one_model import spread


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["m", "--bits", "2", "3"], ["m", "--bits", "2", "--bits", "3"]),
        (["m", "--bits", "2", "--method", "rtn", "awq"], ["m", "--bits", "2", "--method", "rtn", "--method", "awq"]),
        (["m", "--tokens", "2T", "--quick"], ["m", "--tokens", "2T", "--quick"]),
        (["m", "--bits=2", "--seeds", "0", "1"], ["m", "--bits=2", "--seeds", "0", "--seeds", "1"]),
    ],
)
def test_options_take_several_values_one_after_the_other(given, found):
    assert spread(given) == found


def measure(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "helpers.cli", "measure", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_model_and_a_text_give_a_table_rows_a_page_and_a_card(tmp_path):
    model = write_model(tmp_path / "llama", "llama")
    scored = write_texts(tmp_path / "scored.jsonl", passages(24))
    calibrating = write_texts(tmp_path / "calibrating.jsonl", texts())
    report, table = tmp_path / "report", ("--table", f"{tmp_path}/t.parquet", "--records", f"{tmp_path}/records")
    asked = (str(model), "--bits", "2", "8", "--text", str(scored), "--calibration", str(calibrating), *table)
    asked += ("--seq-len", "32", "--tokens", "1M", "--quick")
    done = measure(*asked, "--report", str(report))
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split("  ")[0].strip() == "text"
    assert [line.split()[:4] for line in lines[:2]] == [["scored.jsonl", "gptq", str(bits), "bits"] for bits in (2, 8)]
    assert "llama: gptq 2 bits g64 asymmetric measured" in done.stderr
    assert "Loading weights" not in done.stderr
    assert "What rounding does to llama" in (report / "report.html").read_text()
    assert str(tmp_path) not in (report / "report.html").read_text() + (report / "quantization-card.md").read_text()
    again = measure(*asked, "--json")
    shown = json.loads(again.stdout)
    assert (shown["n_measured"], shown["n_present"], shown["failures"]) == (0, 3, [])
    assert [each["bits"] for each in shown["findings"]] == [2, 8]
    assert shown["tokens_seen"] == 10**6
    assert shown["findings"][0]["expected"]["law"] == "tokens-per-parameter"
    assert shown["findings"][0]["qid_nats"] == pytest.approx(float(lines[0].split("+")[1].split()[0]), abs=1e-4)


def test_what_can_not_be_measured_is_one_line_and_nothing_is_written(tmp_path):
    table = ("--table", f"{tmp_path}/t.parquet", "--records", f"{tmp_path}/records")
    for words, said in (
        (("none",), "none: no such folder; accepted: a folder, or a Hub repository such as owner/name"),
        (("none", "--bits", "1"), "--bits is 1; accepted: 2 to 8"),
        (("none", "--tokens", "two"), "--tokens is 'two'; accepted: a number from 1 to 1e15, such as 2T"),
    ):
        done = measure(*words, *table)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert said in done.stderr
    assert not list(tmp_path.iterdir())
