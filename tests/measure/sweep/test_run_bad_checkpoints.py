"""A sweep over twenty checkpoints of which twelve are bad in twelve ways: eight are measured, twelve named."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.measure.sweep.test_run import QUIET, places_in, rows
from tests.measure.tiny import ROOT, write_checkpoint, write_sweep

from helpers.commands import measuring as commands
from helpers.measure.models import checkpoints
from helpers.measure.rounding import layerwise
from helpers.measure.rounding.methods import rtn
from helpers.measure.scoring import evaluate
from helpers.measure.sweep import engine, jobs, subjects
from helpers.measure.sweep import run as sweep
from helpers.measure.training.folder import write_manifest
from helpers.table import files
from helpers.table.errors import ResultsError

TOKENIZER = ROOT / "data/tadpole/tokenizer.json"
GOOD = 8
RTN = "[{method: rtn, bits: 4, group_size: 16, symmetric: false}]"
BOTH = "[{method: [rtn, gptq], bits: 4, group_size: 16, symmetric: false}]"


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rewrite_weights(folder: Path, change: Callable[[dict], None]) -> None:
    """Alter the weights and say so in the description."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    describe_anew(folder)


def describe_anew(folder: Path) -> None:
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    edit(folder / "checkpoint.json", weights_sha256=sha256)


def rename_a_parameter(folder: Path) -> None:
    rewrite_weights(folder, lambda w: w.update({"embed_in": w.pop("gpt_neox.embed_in.weight")}))


def overwrite_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>log in, please</html>")
    describe_anew(folder)


def add_a_token(folder: Path) -> None:
    """The held-out text is full of it, and the model has no embedding for it."""
    described = json.loads(TOKENIZER.read_text())
    token = {"id": 1024, "content": "import ", "single_word": False, "lstrip": False, "rstrip": False}
    token |= {"normalized": False, "special": False}
    (folder / "tokenizer.json").write_text(
        json.dumps(described | {"added_tokens": [*described["added_tokens"], token]})
    )


WAYS: dict[str, Callable[[Path], object]] = {
    "no configuration": lambda folder: (folder / "config.json").unlink(),
    "a configuration cut off": lambda folder: (folder / "config.json").write_text('{"model_type": "gpt_n'),
    "code of its own": lambda folder: edit(folder / "config.json", auto_map={"AutoModel": "x.Y"}),
    "an unknown architecture": lambda folder: edit(folder / "config.json", model_type="quux"),
    "heads that don't divide": lambda folder: edit(folder / "config.json", num_attention_heads=3),
    "attention that isn't installed": lambda folder: edit(
        folder / "config.json", attn_implementation="flash_attention_2"
    ),
    "an unknown rope type": lambda folder: edit(
        folder / "config.json", rope_parameters={"rope_type": "spiral", "rope_theta": 1e4}
    ),
    "an index cut off": lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a'),
    "weights cut off": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:-4]
    ),
    "a log-in page as weights": overwrite_weights,
    "a broken tokenizer": lambda folder: (folder / "tokenizer.json").write_text('{"model": 3}'),
    "a token without embedding": add_a_token,
    "a parameter by another name": rename_a_parameter,
}


@pytest.fixture(params=["one by one", "many at once"])
def at_once(request, monkeypatch) -> None:
    """As on a CPU, and as on a GPU, where lots are of several checkpoints."""
    if request.param == "many at once":
        monkeypatch.setattr(jobs, "PARAMS_AT_ONCE", {"cpu": 2**28})


def family_of(folder: Path, ways: list[str | None]) -> Path:
    """Write a family with a checkpoint for each way of being bad; None: good."""
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
    for step, way in enumerate(ways, start=1):
        write_checkpoint(folder, "tiny", step, seed=step)
        if way is not None:
            WAYS[way](folder / f"tiny/step-{step:06d}")
    write_manifest(folder)
    return folder


def test_eight_of_twenty_are_measured_and_twelve_named(tmp_path, at_once, capfd):
    bad = list(WAYS)[:12]
    ways = [*bad[:6], *[None] * 4, *bad[6:], *[None] * 4]
    declared = write_sweep(tmp_path / "s.yml", family_of(tmp_path / "family", ways), RTN)
    report = sweep.run_sweep(declared, "cpu", places_in(tmp_path), QUIET)
    found = rows(tmp_path / "table.parquet")
    assert {row["step"] for row in found.values()} == {s for s, way in enumerate(ways, start=1) if way is None}
    assert report.n_measured == len(found) == 2 * GOOD
    named = {int(re.match(r"tiny@(\d+): ", failure)[1]) for failure in report.failures}
    assert named == {step for step, way in enumerate(ways, start=1) if way is not None}
    assert len(report.failures) == 12
    assert not any("\n" in failure for failure in report.failures)
    again = sweep.run_sweep(declared, "cpu", places_in(tmp_path), QUIET)
    assert (again.n_measured, again.n_present, len(again.failures)) == (0, 2 * GOOD, 12)
    with pytest.raises(commands.typer.Exit) as ended:
        commands.sweep(declared, "cpu", tmp_path / "table.parquet", tmp_path / "records")
    assert ended.value.exit_code == 1
    said = capfd.readouterr().err
    assert said.count("not measured: tiny@") == 12
    assert "Traceback" not in said


@pytest.mark.parametrize("way", WAYS)
def test_each_way_alone_leaves_the_other_checkpoint_measured(tmp_path, way):
    declared = write_sweep(tmp_path / "s.yml", family_of(tmp_path / "family", [way, None]), RTN)
    report = sweep.run_sweep(declared, "cpu", places_in(tmp_path), QUIET)
    (failure,) = report.failures
    assert failure.startswith("tiny@1: ")
    assert report.n_measured == 2


def test_a_zero_matrix_is_measured_and_what_is_no_number_is_null(tmp_path):
    family = family_of(tmp_path / "family", [None])
    folder = family / "tiny/step-000001"
    rewrite_weights(folder, lambda weights: weights["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"].zero_())
    write_manifest(family)
    report = sweep.run_sweep(write_sweep(tmp_path / "s.yml", family, BOTH), "cpu", places_in(tmp_path), QUIET)
    assert (report.n_measured, report.failures) == (3, ())
    found = rows(tmp_path / "table.parquet").values()
    assert {row["status"] for row in found} == {"ok"}
    (gptq,) = [row for row in found if row["method"] == "gptq"]
    assert gptq["mean_layer_error"] is None
    assert gptq["loss_nats"] > 0


def to_float16(weights: dict[str, torch.Tensor]) -> None:
    """Store in float16, one matrix with a number that it can't hold: an infinity, as a careless conversion leaves."""
    weights["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"][0, 0] = 1e5
    weights |= {name: tensor.half() for name, tensor in weights.items()}


def with_nan(weights: dict[str, torch.Tensor]) -> None:
    weights["gpt_neox.layers.1.attention.dense.weight"][3, 2] = float("nan")


@pytest.mark.parametrize("change", [to_float16, with_nan])
def test_weights_that_are_no_numbers_are_rows_with_a_reason_and_stop_no_other(tmp_path, change):
    family = family_of(tmp_path / "family", [None, None, None])
    rewrite_weights(family / "tiny/step-000002", change)
    write_manifest(family)
    report = sweep.run_sweep(write_sweep(tmp_path / "s.yml", family, BOTH), "cpu", places_in(tmp_path), QUIET)
    assert (report.n_measured, report.failures) == (9, ())
    said = {(row["step"], row["status"], row["reason"]) for row in rows(tmp_path / "table.parquet").values()}
    assert said == {(1, "ok", None), (2, "nonfinite", "nonfinite weights"), (3, "ok", None)}


@pytest.mark.parametrize("way", ["gone", "truncated"])
def test_weights_that_change_while_they_are_measured_are_one_line_and_finished_rows_are_kept(
    tmp_path, monkeypatch, way
):
    """The second of three, once its last block but one is rounded."""
    family = family_of(tmp_path / "family", [None, None, None])
    path = family / "tiny/step-000002/model.safetensors"
    rounds, n_rounded = layerwise._Walk._round_block, itertools.count(1)

    def then_change(walk, *others):
        rounds(walk, *others)
        if next(n_rounded) == 3:  # two blocks each
            path.unlink() if way == "gone" else os.truncate(path, 1000)

    monkeypatch.setattr(layerwise._Walk, "_round_block", then_change)
    report = sweep.run_sweep(write_sweep(tmp_path / "s.yml", family, BOTH), "cpu", places_in(tmp_path), QUIET)
    (failure,) = report.failures
    found = {"gone": "gone while it was measured", "truncated": r"changed while it was measured \(1,000 bytes, not"}
    assert re.match(rf"tiny@2: .*model\.safetensors: {found[way]}", failure)
    assert "\n" not in failure
    assert {row["step"] for row in rows(tmp_path / "table.parquet").values()} == {1, 3}


@pytest.mark.parametrize("place", ["rounding", "scoring"])
def test_of_checkpoints_measured_together_only_the_bad_one_is_left_out(tmp_path, monkeypatch, place):
    """The third of five fails wherever it is; the others have the rows that they have alone."""
    family = family_of(tmp_path / "family", [None] * 5)
    declared = write_sweep(tmp_path / "s.yml", family, BOTH, "{sequences: 128, seq_len: 16}")
    monkeypatch.setattr(jobs, "PARAMS_AT_ONCE", {"cpu": 2**28})
    owner, name = (rtn, "quantize") if place == "rounding" else (evaluate, "evaluate")
    real = getattr(owner, name)

    def fails_with_the_third(loaded, *rest):
        if any(checkpoint.folder.name == "step-000003" for checkpoint in loaded):
            raise IndexError("index 64 is out of bounds")
        return real(loaded, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, fails_with_the_third)
        report = sweep.run_sweep(declared, "cpu", places_in(tmp_path), QUIET)
    assert report.failures == ("tiny@3: can't be used (IndexError: index 64 is out of bounds)",)
    assert report.n_measured == 4 * 3
    sweep.run_sweep(declared, "cpu", places_in(tmp_path / "whole"), QUIET)
    whole = rows(tmp_path / "whole/table.parquet")
    assert rows(tmp_path / "table.parquet") == {key: row for key, row in whole.items() if row["step"] != 3}


def test_checkpoints_of_one_name_and_other_configurations_arent_measured_together(tmp_path, monkeypatch):
    """One that turns positions by another base would be scored with the first one's."""
    family = family_of(tmp_path / "family", [None, None])
    config = family / "tiny/step-000002/config.json"
    edit(config, rope_parameters=json.loads(config.read_text())["rope_parameters"] | {"rope_theta": 20.0})
    declared = write_sweep(tmp_path / "s.yml", family, RTN)
    sweep.run_sweep(declared, "cpu", places_in(tmp_path / "alone"), QUIET)
    monkeypatch.setattr(jobs, "PARAMS_AT_ONCE", {"cpu": 2**28})
    sweep.run_sweep(declared, "cpu", places_in(tmp_path / "together"), QUIET)
    assert rows(tmp_path / "together/table.parquet") == rows(tmp_path / "alone/table.parquet")


@pytest.mark.parametrize(
    "error",
    [
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
        httpx.ReadError("[Errno 104] Connection reset by peer"),
        json.JSONDecodeError("Expecting value", "<html>", 0),
    ],
)
def test_a_download_that_fails_stops_no_other(tmp_path, monkeypatch, error):
    declared = write_sweep(tmp_path / "s.yml", family_of(tmp_path / "family", [None, None]), RTN)
    real = checkpoints.fetch

    def fetch(spec):
        if spec.step == 1:
            raise error
        return real(spec)

    monkeypatch.setattr(engine.checkpoints, "fetch", fetch)
    report = sweep.run_sweep(declared, "cpu", places_in(tmp_path), QUIET)
    assert report.failures == (f"tiny@1: can't be used ({type(error).__name__}: {error})",)
    assert report.n_measured == 2


def test_a_disk_that_is_full_ends_the_sweep_and_is_no_checkpoints_failure(tmp_path, monkeypatch):
    declared = write_sweep(tmp_path / "s.yml", family_of(tmp_path / "family", [None, None]), RTN)

    def full(*_):
        raise ResultsError("somewhere: can't be written (No space left on device)")

    monkeypatch.setattr(subjects, "evaluation_blocks", full)
    with pytest.raises(ResultsError, match="No space left"):
        sweep.run_sweep(declared, "cpu", places_in(tmp_path), QUIET)
    assert files.read_table(tmp_path / "table.parquet").num_rows == 0
