"""A sweep and the engine under it: memory, lost devices, dtypes, checkpoints measured together, loading meanwhile."""

import dataclasses
import io
import json
import re
import shutil
import threading
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.measure.sweep.test_run import QUIET, SCHEMES, rows, run
from tests.measure.tiny import ROOT, out_of_memory_at, write_family, write_sweep

from helpers.measure.models import checkpoints, memory
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding.methods import gptq as gptq_method
from helpers.measure.rounding.methods import rtn
from helpers.measure.scoring import evaluate
from helpers.measure.sweep import engine
from helpers.measure.sweep import jobs as jobs_module
from helpers.measure.sweep import run as sweep
from helpers.measure.sweep.declaration import Part
from helpers.measure.sweep.places import Places
from helpers.measure.training.folder import write_manifest
from helpers.table.errors import DeviceError
from helpers.table.scheme import QuantScheme

AS_DECLARED = 10  # rows: two checkpoints, each a baseline and four schemes


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def declared(tmp_path, family) -> Path:
    return write_sweep(tmp_path / "sweep.yml", family, SCHEMES)


def test_the_memory_expected_is_said_once_a_model_and_before_any_work(declared, tmp_path, monkeypatch):
    said = io.StringIO()
    seen_at_first_work = []
    quantize = rtn.quantize
    monkeypatch.setattr(rtn, "quantize", lambda *args: seen_at_first_work.append(said.getvalue()) or quantize(*args))
    run(declared, tmp_path, console=Console(file=said, width=300))
    (line,) = said.getvalue().splitlines()
    number = r"[\d.e-]+"
    assert re.fullmatch(
        rf"tiny: 1 at once, expected scoring {number} GiB \(5 x 4 sequences at once\),"
        rf" rounding {number} GiB \(4 x 4 sequences at once\) of 1 GiB",
        line,
    )
    assert seen_at_first_work[0] == said.getvalue()


def test_a_budget_below_one_block_is_a_failure_that_says_so(declared, tmp_path):
    report = run(declared, tmp_path, memory_bytes=10_000)
    assert report.n_measured == 0
    assert len(report.failures) == 2
    for step, failure in enumerate(report.failures, start=1):
        assert failure.startswith(f"tiny@{step}: a memory budget of 9.31e-06 GiB is less than one block needs (")
    assert run(declared, tmp_path).n_measured == AS_DECLARED


def test_the_least_budget_that_is_named_is_enough_and_a_byte_less_is_not(declared, tmp_path):
    """It holds four schemes' rounded weights, the head in float32, and one sequence of one variant."""
    spec = jobs_module.plan(sweep.read_sweep(declared))[0].checkpoint
    decoder = decoder_of(checkpoints.load(checkpoints.fetch(spec), "cpu"))
    works = memory.evaluation_work(decoder, 128, 16, 4), memory.calibration_work(decoder, 4, 32, 4)
    least = max(work.n_bytes(1, 1) for work in works) + memory.bytes_beside([decoder], 4)
    short = run(declared, tmp_path, memory_bytes=least - 1)
    assert short.n_measured == 0
    assert all(f"than one block needs ({least / 2**30:.3g} GiB for one seq" in failure for failure in short.failures)
    assert run(declared, tmp_path, memory_bytes=least).n_measured == AS_DECLARED


def test_a_small_budget_gives_smaller_micro_batches_which_the_rows_record(declared, tmp_path, family):
    spec = jobs_module.plan(sweep.read_sweep(declared))[0].checkpoint
    decoder = decoder_of(checkpoints.load(checkpoints.fetch(spec), "cpu"))
    share = memory.evaluation_work(decoder, 128, 16, 4).n_bytes(1, 2)
    assert memory.calibration_work(decoder, 4, 32, 4).n_bytes(1, 4) < share
    budget = share + memory.bytes_beside([decoder], 4)
    assert run(declared, tmp_path, memory_bytes=budget).failures == ()
    for row in rows(tmp_path / "table.parquet").values():
        assert row["micro_batch"] == 2
        assert row["calib_micro_batch"] in (None, 4)


@pytest.mark.parametrize("error", [RuntimeError, torch.AcceleratorError])
@pytest.mark.parametrize("place", ["rounding", "scoring"])
def test_a_device_that_vanishes_keeps_what_was_done_and_a_rerun_goes_on(declared, tmp_path, monkeypatch, error, place):
    """At the second checkpoint: its first rounding, or its scoring."""
    owner, name = (gptq_method, "quantize") if place == "rounding" else (evaluate, "evaluate")
    real, calls = getattr(owner, name), []

    def vanishes(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise error("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA")
        return real(*arguments)

    monkeypatch.setattr(owner, name, vanishes)
    with pytest.raises(DeviceError) as caught:
        run(declared, tmp_path)
    assert str(caught.value) == (
        "tiny@2: cpu failed (CUDA error: unspecified launch failure); all finished rows are kept, rerun to go on"
    )
    assert {row["step"] for row in rows(tmp_path / "table.parquet").values()} == {1}
    monkeypatch.setattr(owner, name, real)
    report = run(declared, tmp_path)
    assert (report.n_measured, report.n_present, report.failures) == (AS_DECLARED // 2, AS_DECLARED // 2, ())


def test_memory_that_runs_out_elsewhere_leaves_that_checkpoint_out(declared, tmp_path, monkeypatch):
    monkeypatch.setattr(rtn, "quantize", out_of_memory_at(1, rtn.quantize))
    report = run(declared, tmp_path)
    assert report.failures == ("tiny@1: out of memory (CUDA out of memory. Tried to allocate 2 GiB)",)
    assert report.n_measured == AS_DECLARED // 2


def test_dtypes_of_the_sweep_reach_rows_and_ids(declared, tmp_path, family):
    run(declared, tmp_path)
    wide = rows(tmp_path / "table.parquet")
    text = declared.read_text().replace("seq_len: 16}", "seq_len: 16, dtype: bfloat16}")
    declared.write_text(text.replace("seq_len: 32}", "seq_len: 32, dtype: bfloat16}"))
    narrow = tmp_path / "narrow"
    run(declared, narrow)
    found = rows(narrow / "table.parquet")
    assert len(found) == AS_DECLARED
    assert not wide.keys() & found.keys()
    key = lambda row: (row["step"], row["method"], row["bits"])  # noqa: E731
    by_scheme = {key(row): row for row in wide.values()}
    for row in found.values():
        other = by_scheme[key(row)]
        assert (row["eval_dtype"], other["eval_dtype"]) == ("bfloat16", "float32")
        assert (row["eval_id"] == other["eval_id"]) is False
        # a method without calibration makes no use of the Hessian's dtype
        assert row["hessian_dtype"] == ("bfloat16" if row["method"] == "gptq" else "float32")
        assert (row["scheme_id"] == other["scheme_id"]) == (row["method"] != "gptq")
        assert row["loss_nats"] != other["loss_nats"]
        assert row["loss_nats"] == pytest.approx(other["loss_nats"], rel=0.05)  # bfloat16, through random weights


def test_checkpoints_measured_together_have_the_rows_of_each_alone(tmp_path, monkeypatch):
    """As on a GPU: three in one lot, then one row that is missing again; equal to the last bit on a CPU."""
    family = write_family(tmp_path / "three", steps=(1, 2, 3))
    declared = write_sweep(tmp_path / "sweep.yml", family, SCHEMES)
    alone, together = tmp_path / "alone", tmp_path / "together"
    run(declared, alone)
    with monkeypatch.context() as patched:
        patched.setattr(jobs_module, "PARAMS_AT_ONCE", {"cpu": 2**28})
        sizes, real = [], evaluate.evaluate
        patched.setattr(evaluate, "evaluate", lambda models, *rest: sizes.append(len(models)) or real(models, *rest))
        run(declared, together)
        assert sizes == [3]
        removed = sorted((together / "records").glob("*.json"))[0]
        removed.unlink()
        (together / "table.parquet").unlink()
        assert run(declared, together).n_measured == 1
    assert rows(together / "table.parquet") == rows(alone / "table.parquet")


def test_lots_are_of_one_model_and_equal_schemes(declared):
    jobs = jobs_module.plan(sweep.read_sweep(declared))
    assert [len(lot) for lot in jobs_module.batches(jobs, "cpu")] == [1, 1]
    assert [len(lot) for lot in jobs_module.batches(jobs, "cuda")] == [2]
    fewer = jobs_module.Job(jobs[1].checkpoint, jobs[1].schemes[:-1])
    assert [len(lot) for lot in jobs_module.batches([jobs[0], fewer], "cuda")] == [1, 1]


def test_the_next_checkpoint_is_loaded_in_a_thread_while_this_one_is_measured(tmp_path, monkeypatch):
    """Each lot's measuring waits for the next to be loaded: it would wait for ever if nothing loaded meanwhile."""
    family = write_family(tmp_path / "three", steps=(1, 2, 3))
    declared = write_sweep(tmp_path / "sweep.yml", family, SCHEMES)
    loaded = {step: threading.Event() for step in (1, 2, 3, 4)}
    loaded[4].set()
    order, prepare, measure = [], engine.Engine._prepare, engine.Engine.measure

    def noted_prepare(self, job):
        prepared = prepare(self, job)
        order.append(("prepared", job.checkpoint.step, threading.current_thread() is threading.main_thread()))
        loaded[job.checkpoint.step].set()
        return prepared

    def noted_measure(self, lot, advance):
        step = lot[0].subjects[0].spec.step
        assert loaded[step + 1].wait(timeout=600), f"checkpoint {step + 1} isn't loaded while {step} is measured"
        assert not loaded[min(step + 2, 3)].is_set() or step > 1, "and no more than one is loaded ahead"
        measure(self, lot, advance)
        order.append(("measured", step, threading.current_thread() is threading.main_thread()))

    monkeypatch.setattr(engine.Engine, "_prepare", noted_prepare)
    monkeypatch.setattr(engine.Engine, "measure", noted_measure)
    sweep.run_sweep(declared, "cpu", Places(tmp_path / "table.parquet", tmp_path / "records"), QUIET)
    assert order == [
        ("prepared", 1, False),
        ("prepared", 2, False),
        ("measured", 1, True),
        ("prepared", 3, False),
        ("measured", 2, True),
        ("measured", 3, True),
    ]


def test_equal_weights_of_two_steps_are_measured_once(declared, tmp_path, family):
    """The second step's row is the first's: the same key, and so nothing to measure."""
    first, second = (family / f"tiny/step-00000{step}" for step in (1, 2))
    shutil.copyfile(first / "model.safetensors", second / "model.safetensors")
    entry = json.loads((second / "checkpoint.json").read_text())
    entry["weights_sha256"] = checkpoints.weights_sha256(second)
    (second / "checkpoint.json").write_text(json.dumps(entry))
    write_manifest(family)
    report = run(declared, tmp_path)
    assert report.n_measured == report.n_present == len(list((tmp_path / "records").glob("*.json")))


def test_a_run_and_its_branches_are_measured_in_few_lots(tmp_path, family):
    """A trunk with schemes of its own and runs beside it at the same steps: two lots, not one a step."""
    specs = jobs_module.plan(sweep.read_sweep(write_sweep(tmp_path / "s.yml", family, SCHEMES)))
    (first, *_) = specs
    more = QuantScheme("rtn", bits=8, group_size=16, symmetric=False)
    parts = []
    for name, schemes in (("trunk", (*first.schemes, more)), ("beside-a", first.schemes), ("beside-b", first.schemes)):
        checkpoints_of_run = tuple(dataclasses.replace(first.checkpoint, run=name, step=step) for step in (4, 8, 12))
        parts.append(Part(checkpoints_of_run, schemes))
    declared = dataclasses.replace(sweep.read_sweep(tmp_path / "s.yml"), parts=tuple(parts))
    assert [len(lot) for lot in jobs_module.batches(jobs_module.plan(declared), "cuda")] == [6, 3]
