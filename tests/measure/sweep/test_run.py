import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tests.measure.tiny import ROOT, write_sweep

from helpers.measure.models import checkpoints
from helpers.measure.rounding import gptq_solver
from helpers.measure.scoring import evaluate
from helpers.measure.sweep import jobs
from helpers.measure.sweep import rows as table_rows
from helpers.measure.sweep import run as sweep
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.engine import measuring
from helpers.measure.sweep.places import Places
from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.training.folder import write_manifest
from helpers.table import files
from helpers.table.errors import ResultsError, SpecError
from helpers.table.rows import EvalSpec, measurement_id
from helpers.table.scheme import QuantScheme

QUIET = Console(quiet=True)
SCHEMES = "[{method: [rtn, gptq], bits: [2, 4], group_size: 16, symmetric: false}]"
MEASURED_EACH_TIME_ANEW = ("measured_at", "wall_seconds", "peak_memory_gib", "git_commit")


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def declared(tmp_path, family) -> Path:
    return write_sweep(tmp_path / "sweep.yml", family, SCHEMES)


def places_in(folder: Path) -> Places:
    return Places(folder / "table.parquet", folder / "records")


def run(
    declared: Path, tmp_path: Path, device: str = "cpu", console: Console = QUIET, memory_bytes: int | None = None
) -> sweep.Report:
    return sweep.run_sweep(declared, device, places_in(tmp_path), console, memory_bytes)


def rows(path: Path) -> dict[str, dict]:
    """Rows by id, without what differs between any two runs."""
    table = files.read_table(path).drop_columns(list(MEASURED_EACH_TIME_ANEW)).to_pylist()
    return {row["measurement_id"]: row for row in table}


def test_a_sweep_measures_baseline_and_schemes_and_a_second_run_nothing(declared, tmp_path):
    report = run(declared, tmp_path)
    assert (report.n_measured, report.n_present, report.failures) == (2 * 5, 0, ())
    before = (tmp_path / "table.parquet").read_bytes()
    report = run(declared, tmp_path)
    assert (report.n_measured, report.n_present, report.failures) == (0, 10, ())
    assert (tmp_path / "table.parquet").read_bytes() == before


def test_rows_say_what_was_measured(declared, tmp_path, family):
    run(declared, tmp_path)
    found = list(rows(tmp_path / "table.parquet").values())
    for row in found:
        assert row["status"] == "ok"
        assert len(row["group_loss"]) == 128
        assert row["n_tokens"] == 128 * 16
        assert sum(row["group_loss"]) / 128 == pytest.approx(row["loss_nats"], rel=1e-6)
        assert row["device_type"] == "cpu"
    baselines = {row["checkpoint_id"]: row["loss_nats"] for row in found if row["method"] == "none"}
    assert len(baselines) == 2
    spec = jobs.plan(sweep.read_sweep(declared))[0].checkpoint
    model = checkpoints.load(checkpoints.fetch(spec), "cpu")
    tokenizer = token_blocks.Tokenizer.from_file(str(family / "tokenizer.json"))
    blocks = token_blocks.heldout_blocks(corpus_lock.read_lock().evaluation, tokenizer, 128, 16)
    expected = evaluate.evaluate_model(model, blocks).loss_nats
    assert baselines[spec.weights_sha256[:16]] == pytest.approx(expected, rel=1e-6)
    two_bits = next(row for row in found if row["method"] == "gptq" and row["bits"] == 2)
    assert 0 < two_bits["mean_layer_error"] <= two_bits["max_layer_error"] < 1
    assert two_bits["calib_sequences"] == two_bits["calib_micro_batch"] == 4
    assert two_bits["max_rel_damp_used"] == 0.01
    assert two_bits["n_layers_redamped"] == 0


def test_rows_say_how_far_from_the_original_how_many_bits_and_what_went_together(declared, tmp_path):
    run(declared, tmp_path)
    for row in rows(tmp_path / "table.parquet").values():
        assert row["micro_batch"] == evaluate.SEQUENCES_AT_ONCE["cpu"]
        assert row["calib_micro_batch"] == (4 if row["method"] == "gptq" else None)
        if row["method"] == "none":
            assert (row["kl_nats"], row["top1_agreement"], row["effective_bits"]) == (None, None, None)
            continue
        assert row["kl_nats"] > 0
        assert 0 < row["top1_agreement"] < 1
        assert row["effective_bits"] == row["bits"] + (16 + row["bits"]) / 16


def test_another_table_of_another_device_satisfies_nothing(declared, tmp_path):
    """Stored GPU rows never make the reader's own measuring a no-op: `device_type` is in the key."""
    run(declared, tmp_path)
    stored = files.read_records(tmp_path / "records")
    gpu = {measurement_id(r.weights_sha256, QuantScheme(), _evaluation(r), "cuda", 1) for r in stored}
    assert not gpu & {row.measurement_id for row in stored}


def _evaluation(row) -> EvalSpec:
    return EvalSpec(row.eval_dataset, row.eval_sha256, row.n_sequences, row.seq_len)


def test_two_runs_give_the_same_rows(declared, tmp_path):
    run(declared, tmp_path)
    shutil.move(tmp_path / "table.parquet", tmp_path / "first.parquet")
    shutil.rmtree(tmp_path / "records")
    run(declared, tmp_path)
    assert rows(tmp_path / "table.parquet") == rows(tmp_path / "first.parquet")


def test_the_table_alone_is_enough_to_resume(declared, tmp_path):
    run(declared, tmp_path)
    shutil.rmtree(tmp_path / "records")
    assert run(declared, tmp_path).n_measured == 0


@pytest.mark.parametrize("records_before_the_kill", [1, 4, 7])
def test_a_kill_at_any_moment_loses_nothing(declared, tmp_path, records_before_the_kill):
    """SIGKILL once so many records exist; the rerun measures the rest and ends with the table of an unbroken run."""
    records = tmp_path / "records"
    command = [sys.executable, "-m", "helpers.cli", "sweep", str(declared), "--records", str(records)]
    command += ["--table", str(tmp_path / "table.parquet")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 600
    while len(list(records.glob("*.json"))) < records_before_the_kill and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    survived = len(list(records.glob("*.json")))
    assert survived >= records_before_the_kill
    report = run(declared, tmp_path)
    assert report.n_measured == 10 - survived
    fresh = tmp_path / "fresh"
    run(declared, fresh)
    assert rows(tmp_path / "table.parquet") == rows(fresh / "table.parquet")


@pytest.mark.parametrize("moment", ["before the table", "in the middle of a job"])
def test_records_that_never_reached_the_table_reach_it_on_the_next_run(declared, tmp_path, family, monkeypatch, moment):
    """The table is there already, from a smaller sweep; the process dies before it is written again."""
    run(write_sweep(tmp_path / "small.yml", family, SCHEMES.replace("[2, 4]", "2")), tmp_path)

    def die(*_):
        raise SystemExit

    monkeypatch.setattr(files, "compact", die)
    if moment == "in the middle of a job":
        monkeypatch.setattr(
            table_rows, "_peak_memory_gib", lambda _: die() if len(files.done_ids(tmp_path / "records")) > 7 else 0.0
        )
    with pytest.raises(SystemExit):
        run(declared, tmp_path)
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)
    assert len(rows(tmp_path / "table.parquet")) == 6
    run(declared, tmp_path)
    assert len(rows(tmp_path / "table.parquet")) == 10


def test_a_second_process_is_refused(declared, tmp_path):
    with files.exclusive(tmp_path / "records"), pytest.raises(ResultsError, match="another process is measuring"):
        run(declared, tmp_path)


def test_a_full_disk_ends_the_sweep_with_one_line_and_keeps_what_was_done(declared, tmp_path, monkeypatch):
    calls = []
    real = files.write_atomically

    def fills_up(path, content):
        calls.append(path)
        if len(calls) == 4:
            raise ResultsError(f"{path}: can't be written (No space left on device); nothing was lost")
        real(path, content)

    monkeypatch.setattr(files, "write_atomically", fills_up)
    with pytest.raises(ResultsError, match="No space left"):
        run(declared, tmp_path)
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)
    assert run(declared, tmp_path).n_measured == 10 - 3


def test_an_altered_checkpoint_is_named_and_the_others_are_measured(declared, tmp_path, family):
    path = family / "tiny/step-000001/model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    report = run(declared, tmp_path)
    assert report.n_measured == 5
    (failure,) = report.failures
    assert failure.startswith("tiny@1: ")
    assert "altered or truncated" in failure


def rewrite(family: Path, change) -> None:
    """Alter the first checkpoint's weights on purpose, and say so in the manifest."""
    folder = family / "tiny/step-000001"
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    entry = json.loads((folder / "checkpoint.json").read_text())
    entry["weights_sha256"] = checkpoints.weights_sha256(folder)
    (folder / "checkpoint.json").write_text(json.dumps(entry))
    write_manifest(family)


def outcomes(tmp_path: Path) -> dict[tuple, tuple]:
    found = [row for row in rows(tmp_path / "table.parquet").values() if row["step"] == 1]
    return {(r["method"], r["bits"]): (r["status"], r["reason"], r["loss_nats"], r["group_loss"]) for r in found}


def test_nan_in_weights_is_a_row_and_never_a_number(declared, tmp_path, family):
    rewrite(family, lambda w: w["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"].__setitem__((0, 0), float("nan")))
    assert run(declared, tmp_path).failures == ()
    assert set(outcomes(tmp_path).values()) == {("nonfinite", "nonfinite weights", None, None)}
    assert run(declared, tmp_path).n_measured == 0


def test_a_loss_that_overflows_is_a_row_and_never_a_number(declared, tmp_path, family):
    rewrite(family, lambda w: w["embed_out.weight"].fill_(3e38))
    run(declared, tmp_path)
    assert set(outcomes(tmp_path).values()) == {("nonfinite", "nonfinite loss", None, None)}


def test_a_singular_hessian_is_a_failed_row_with_its_reason(declared, tmp_path, monkeypatch):
    monkeypatch.setattr(
        gptq_solver, "second_moments", lambda inputs: -torch.eye(inputs.shape[-1]).expand(len(inputs), -1, -1).clone()
    )
    run(declared, tmp_path)
    found = outcomes(tmp_path)
    assert found["gptq", 2][0] == found["gptq", 4][0] == "failed"
    assert "Hessian not positive definite with relative damping 0.01, 0.1, 1" in found["gptq", 2][1]
    assert found["gptq", 2][2] is None
    assert found["rtn", 2][0] == found["none", None][0] == "ok"


def test_a_device_that_is_not_there_is_refused_before_any_work(declared, tmp_path):
    with pytest.raises(SpecError, match="device 'tpu'; accepted: cpu"):
        run(declared, tmp_path, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(SpecError, match="no CUDA device here"):
            run(declared, tmp_path, device="cuda")
    assert not (tmp_path / "table.parquet").exists()


def test_a_checkpoint_whose_schedule_is_not_known_is_measured(tmp_path, family):
    unknown = dict.fromkeys(("learning_rate", "peak_learning_rate", "lr_phase", "weight_decay"))
    described = json.loads((family / "manifest.json").read_text())
    changed = [entry | unknown for entry in described["checkpoints"]]
    (family / "manifest.json").write_text(json.dumps({"checkpoints": changed}))
    scheme = "[{method: rtn, bits: 2, group_size: 16, symmetric: false}]"
    assert run(write_sweep(tmp_path / "s.yml", family, scheme), tmp_path).failures == ()
    found = list(rows(tmp_path / "table.parquet").values())
    assert len(found) == 4
    assert all({name: row[name] for name in unknown} == unknown for row in found)
    assert {row["lr_fraction"] for row in found} == {None}


def test_a_sweep_of_pythia_runs_from_a_hub_cache(tmp_path, monkeypatch):
    """The owner's path, `PROFILE=pythia`, on a cache folder with small random weights under Pythia's names."""
    from tests.measure.models.test_checkpoints import COMMIT, lay_out_hub, old_layout

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    weights, config = old_layout(torch.float16)
    lay_out_hub(tmp_path / "hub", "EleutherAI/pythia-14m-deduped", "step512", weights, config, shards=2)
    lay_out_hub(tmp_path / "hub", "EleutherAI/pythia-70m-deduped", "step512", weights, config, shards=2)
    declared = tmp_path / "pythia.yml"
    declared.write_text(
        "name: pythia\nevaluation: {sequences: 128, seq_len: 16}\ncalibration: {sequences: 4, seq_len: 32}\nparts:\n"
        "  - family: pythia-deduped\n    models: [pythia-70m-deduped]\n    steps: [512, 1000]\n"
        "    schemes: [{method: [rtn, gptq], bits: 3, group_size: 32, symmetric: true}]\n"
    )
    report = run(declared, tmp_path)
    assert report.n_measured == 3
    (failure,) = report.failures
    assert "pythia-70m-deduped at step1000: not in the local cache" in failure
    found = list(rows(tmp_path / "table.parquet").values())
    assert {row["commit"] for row in found} == {COMMIT}
    assert {row["revision"] for row in found} == {"step512"}
    assert {row["tokens_seen"] for row in found} == {512 * 2_097_152}
    assert {row["status"] for row in found} == {"ok"}


class OneByOne(Executor):
    """Does what is submitted at once, so that the order of submissions can be read off."""

    def submit(self, make, lot):
        done = Future()
        done.set_result(make(lot))
        return done


def test_one_lot_is_made_ahead_and_no_more():
    order = []

    def make(lot):
        order.append(f"make {lot}")
        return lot * 10

    for lot, made in sweep.prefetched(OneByOne(), make, [1, 2, 3]):
        order.append(f"use {lot}, {made}")
    assert order == ["make 1", "make 2", "use 1, 10", "make 3", "use 2, 20", "use 3, 30"]
    assert list(sweep.prefetched(OneByOne(), make, [])) == []


def test_what_was_measured_reaches_the_table_whatever_happens(declared, tmp_path):
    """Another process's record lies there too: a kill may have left it before it reached the table."""
    run(declared, tmp_path)
    places = places_in(tmp_path)
    lost = sorted(places.records.glob("*.json"))[0]
    places.measurements.unlink()
    seen = []

    def interrupted():
        with measuring(read_sweep(declared), "cpu", places, QUIET) as engine:
            seen.extend(engine.done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert lost.stem in seen
    assert lost.stem in rows(places.measurements)
    with files.exclusive(places.records):
        pass  # and the lock is free again


# ---- two writers, kills, full disks ----------------------------------------------------------------------------------


def test_two_sweeps_with_records_of_their_own_lose_no_rows_of_one_table(declared, tmp_path, family):
    """The second begins and ends while the first is at work."""
    table, other = tmp_path / "table.parquet", write_sweep(tmp_path / "o.yml", family, SCHEMES.replace("[2, 4]", "8"))
    first, second = Places(table, tmp_path / "a"), Places(table, tmp_path / "b")
    with measuring(read_sweep(declared), "cpu", first, QUIET) as engine:
        engine.measure(engine.prepare(jobs.plan(engine.sweep)[:1]), lambda _: None)
        sweep.run_sweep(other, "cpu", second, QUIET)
    expected = {path.stem for name in "ab" for path in (tmp_path / name).glob("*.json")}
    assert set(rows(table)) == expected
    assert len(expected) == 5 + 4 + 1  # the second checkpoint's baseline was the second sweep's


def test_a_folder_of_records_reached_by_a_link_is_not_measured_into_twice(declared, tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "link").symlink_to("records")
    places = Places(tmp_path / "table.parquet", tmp_path / "link")
    with files.exclusive(tmp_path / "records"), pytest.raises(ResultsError, match="link: another process is measuring"):
        sweep.run_sweep(declared, "cpu", places, QUIET)


def test_what_a_kill_left_is_cleared_by_the_next_sweep(declared, tmp_path):
    (tmp_path / "records").mkdir()
    for name in ("records/.ab.json.0123abcd.unfinished", ".table.parquet.0123abcd.unfinished"):
        (tmp_path / name).write_text("half of it")
    run(declared, tmp_path)
    assert not list(tmp_path.rglob("*.unfinished"))
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("place", ["table", "records"])
def test_a_place_that_cannot_be_written_is_named_before_any_work(declared, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("")
    good, bad = tmp_path / "good", tmp_path / "file/bad"
    places = Places(bad, good) if place == "table" else Places(good, bad)
    monkeypatch.setattr(checkpoints, "fetch", lambda _: pytest.fail("a checkpoint was fetched"))
    with pytest.raises(ResultsError, match=r"can't be written \(Not a directory\); nothing was lost, mend that"):
        sweep.run_sweep(declared, "cpu", places, QUIET)
