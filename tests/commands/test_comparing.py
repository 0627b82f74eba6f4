"""`qid compare` as it is typed: a table with the original first, one JSON object, refusals in one line, exit codes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.measure.packed_models import llama, rounded_by, scheme, written
from tests.measure.tiny import ROOT
from typer.testing import CliRunner

from helpers.cli import app
from helpers.measure.packing import export
from helpers.measure.text.extent import QUICK


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Return a folder with an original, a packed copy of it, one of another architecture, and a text."""
    place = tmp_path_factory.mktemp("compared")
    model = written(llama(), place / "original")
    export.export(place / "original", rounded_by(model, scheme(4)), scheme(4), place / "packed")
    shutil.copytree(place / "packed", place / "other")
    settings = json.loads((place / "other/config.json").read_text())
    (place / "other/config.json").write_text(json.dumps(settings | {"hidden_act": "gelu"}))
    lines = [json.dumps({"text": f"number {i} and " * 40}) for i in range(20)]
    (place / "text.jsonl").write_text("\n".join(lines))
    return place


def compared(place, *more):
    options = ["--text", str(place / "text.jsonl"), "--seq-len", "16", "--quick"]
    return CliRunner().invoke(app, ["compare", *(str(place / each) for each in more), *options])


def test_a_table_with_the_original_first(place):
    done = compared(place, "original", "packed")
    assert done.exit_code == 0
    head, original, packed, units = done.stdout.splitlines()
    assert head.split() == [
        "text",
        "checkpoint",
        "format",
        "bits",
        "stored",
        "loss",
        "QiD",
        "±",
        "error",
        "perplexity",
        "×",
        "KL",
        "top-1",
        "same",
    ]
    assert original.split()[:5] == ["text.jsonl", "16-bit", "original", "16.00", original.split()[4]]
    assert packed.split()[:8] == ["text.jsonl", str(place / "packed"), "gptq", "4", "bits,", "groups", "of", "32"]
    assert "±" in packed
    assert "nats a token" in units


def test_json_says_the_same(place):
    options = ["--text", str(place / "text.jsonl"), "--seq-len", "16", "--quick", "--json"]
    done = CliRunner().invoke(app, ["compare", str(place / "original"), str(place / "packed"), *options])
    found = json.loads(done.stdout)
    (line,) = found["lines"]
    assert (found["base"], found["failures"], line["checkpoint"]) == (
        str(place / "original"),
        [],
        str(place / "packed"),
    )
    assert line["qid_nats"] == pytest.approx(line["loss_nats"] - line["original_loss_nats"])
    assert line["n_tokens"] == 16 * QUICK.sequences


def test_who_is_refused_is_told_after_the_others(place):
    done = compared(place, "original", "other", "packed")
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 4
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("not compared: ")]
    assert told.endswith("other/config.json: another architecture: 'hidden_act' is 'gelu', the original's is 'silu'")


def test_several_texts_are_compared_each_by_itself(place):
    shutil.copy(place / "text.jsonl", place / "again.jsonl")
    again = ["--text", str(place / "again.jsonl"), str(place / "text.jsonl"), "--seq-len", "16", "--quick"]
    done = CliRunner().invoke(app, ["compare", str(place / "original"), str(place / "packed"), *again])
    assert [line.split()[0] for line in done.stdout.splitlines()[1:-1]] == ["again.jsonl"] * 2 + ["text.jsonl"] * 2


def test_a_name_moves_no_cursor_and_breaks_no_line(place):
    shutil.copytree(place / "packed", place / "pa\x1b[31m\ncked")
    done = compared(place, "original", "pa\x1b[31m\ncked")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 4
    assert "pa\\x1b[31m\\ncked" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_files_of_another_model_are_one_line_and_no_report_of_a_library(place, tmp_path):
    shutil.copytree(place / "packed", tmp_path / "more")
    tensors = load_file(tmp_path / "more/model.safetensors") | {"left.over": torch.ones(1)}
    save_file(tensors, tmp_path / "more/model.safetensors", metadata={"format": "pt"})
    words = [
        "compare",
        place / "original",
        tmp_path / "more",
        "--text",
        place / "text.jsonl",
        "--seq-len",
        "16",
        "--quick",
    ]
    command = [sys.executable, "-W", "ignore", "-m", "helpers.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    planned, told = done.stderr.splitlines()
    assert planned.endswith("documents or passages)")
    assert told.endswith("parameters missing, unknown or of another shape: left.over")
