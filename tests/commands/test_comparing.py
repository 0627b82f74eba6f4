"""`qid compare` as it is typed: a table with the original first, one JSON object, refusals in one line, exit codes."""

import json
import shutil
from pathlib import Path

import pytest
from tests.measure.packed_models import llama, rounded_by, scheme, written
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
