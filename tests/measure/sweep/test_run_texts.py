"""A sweep that scores on several texts: each checkpoint is rounded once, each text has rows of its own."""

import dataclasses
from pathlib import Path

import pytest
from rich.progress import Progress
from tests.measure.sweep.test_run import SCHEMES, rewrite, rows, run
from tests.measure.tiny import ROOT, out_of_memory_at, write_family, write_sweep

from helpers.measure.rounding.methods import gptq, rtn
from helpers.measure.scoring import evaluate
from helpers.measure.sweep import engine, jobs
from helpers.measure.text import corpus_lock
from helpers.table import files

OF_A_TEXT = 10  # rows: two checkpoints, each a baseline and four schemes
OTHER = "wheels-other"


@pytest.fixture(autouse=True)
def _another_text(monkeypatch):
    """A second text from files that are installed: those of calibration."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(corpus_lock.TEXTS, "other", corpus_lock.Text(OTHER, "calibration"))


@pytest.fixture
def one(tmp_path, family) -> Path:
    return write_sweep(tmp_path / "one.yml", family, SCHEMES)


@pytest.fixture
def two(tmp_path, family) -> Path:
    return declared_on(tmp_path / "two.yml", family)


def declared_on(path: Path, family: Path, texts: str = "heldout, other") -> Path:
    return write_sweep(path, family, SCHEMES, f"{{sequences: 128, seq_len: 16, texts: [{texts}]}}")


def record_calls(monkeypatch) -> dict[str, list]:
    """Note what is rounded by which method, and the text of each scoring by its hash."""
    calls: dict[str, list] = {"rtn": [], "gptq": [], "scored": []}
    for module in (rtn, gptq):
        note, real = calls[module.__name__.rpartition(".")[2]], module.quantize
        monkeypatch.setattr(module, "quantize", lambda *a, note=note, real=real: note.append(a[1]) or real(*a))
    score = evaluate.evaluate
    monkeypatch.setattr(evaluate, "evaluate", lambda *a: calls["scored"].append(a[2].sha256) or score(*a))
    return calls


def hashes(found: dict[str, dict]) -> dict[str, str]:
    """Return the hash of each dataset's tokens; a dataset with two hashes fails here."""
    pairs = {(row["eval_dataset"], row["eval_sha256"]) for row in found.values()}
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def test_two_texts_have_rows_and_baselines_of_their_own_after_one_rounding(one, two, tmp_path, monkeypatch):
    alone, both = tmp_path / "alone", tmp_path / "both"
    calls = record_calls(monkeypatch)
    run(one, alone)
    of_one = {name: list(noted) for name, noted in calls.items()}
    for noted in calls.values():
        noted.clear()
    report = run(two, both)
    assert (report.n_measured, report.n_present, report.failures) == (2 * OF_A_TEXT, 0, ())
    assert (calls["rtn"], calls["gptq"]) == (of_one["rtn"], of_one["gptq"])
    assert len(calls["rtn"]) == len(calls["gptq"]) == 2
    assert len(calls["scored"]) == 2 * len(of_one["scored"])
    found = rows(both / "table.parquet")
    assert hashes(found).keys() == {"wheels-heldout", OTHER}
    baselines = [row for row in found.values() if row["method"] == "none"]
    assert len({(row["step"], row["eval_id"]) for row in baselines}) == len(baselines) == 4
    assert len({row["loss_nats"] for row in baselines}) == 4
    heldout = {key: row for key, row in found.items() if row["eval_dataset"] == "wheels-heldout"}
    assert heldout == rows(alone / "table.parquet")  # to the last bit, ids too
    report = run(two, both)
    assert (report.n_measured, report.n_present) == (0, 2 * OF_A_TEXT)


def test_a_text_added_later_is_all_that_is_scored(one, two, tmp_path, monkeypatch):
    run(one, tmp_path)
    calls = record_calls(monkeypatch)
    report = run(two, tmp_path)
    assert (report.n_measured, report.n_present) == (OF_A_TEXT, OF_A_TEXT)
    found = rows(tmp_path / "table.parquet")
    assert calls["scored"] == [hashes(found)[OTHER]] * 2
    run(two, tmp_path / "fresh")
    assert found == rows(tmp_path / "fresh/table.parquet")


@pytest.mark.parametrize("removed", [("none", None), ("gptq", 2)])
def test_a_row_that_one_text_lacks_is_all_that_is_written(two, tmp_path, monkeypatch, removed):
    run(two, tmp_path)
    before = rows(tmp_path / "table.parquet")
    (lost,) = [
        key
        for key, row in before.items()
        if (row["method"], row["bits"]) == removed and (row["step"], row["eval_dataset"]) == (1, OTHER)
    ]
    (tmp_path / "table.parquet").unlink()
    (tmp_path / "records" / f"{lost}.json").unlink()
    calls = record_calls(monkeypatch)
    report = run(two, tmp_path)
    assert (report.n_measured, report.n_present) == (1, 2 * OF_A_TEXT - 1)
    assert rows(tmp_path / "table.parquet") == before
    assert calls["scored"] == [hashes(before)[OTHER]]
    assert (len(calls["rtn"]), len(calls["gptq"])) == (0, removed[0] == "gptq")


def test_checkpoints_that_lack_different_rows_are_measured_together_and_get_theirs(tmp_path, monkeypatch):
    """Of three in one lot the first lacks a scheme on one text, the second on the other, the third on both."""
    family = write_family(tmp_path / "three", steps=(1, 2, 3))
    declared = declared_on(tmp_path / "sweep.yml", family)
    monkeypatch.setattr(jobs, "PARAMS_AT_ONCE", {"cpu": 2**28})
    run(declared, tmp_path)
    before = rows(tmp_path / "table.parquet")
    lacking = {1: {OTHER}, 2: {"wheels-heldout"}, 3: {OTHER, "wheels-heldout"}}
    lost = [
        key
        for key, row in before.items()
        if (row["method"], row["bits"]) == ("rtn", 4) and row["eval_dataset"] in lacking[row["step"]]
    ]
    (tmp_path / "table.parquet").unlink()
    for key in lost:
        (tmp_path / "records" / f"{key}.json").unlink()
    calls = record_calls(monkeypatch)
    assert run(declared, tmp_path).n_measured == len(lost) == 4
    assert (len(calls["rtn"]), len(calls["gptq"]), len(calls["scored"])) == (1, 0, 2)
    assert rows(tmp_path / "table.parquet") == before


def test_rows_of_the_first_text_are_kept_when_the_second_cannot_be_scored(two, tmp_path, monkeypatch):
    """The first checkpoint's second scoring runs out of memory; the second checkpoint isn't touched by that."""
    monkeypatch.setattr(evaluate, "evaluate", out_of_memory_at(2, evaluate.evaluate))
    report = run(two, tmp_path)
    assert report.failures == ("tiny@1: out of memory (CUDA out of memory. Tried to allocate 2 GiB)",)
    assert report.n_measured == 3 * OF_A_TEXT // 2
    missing = [row["eval_dataset"] for row in rows(tmp_path / "table.parquet").values() if row["step"] == 1]
    assert missing == ["wheels-heldout"] * (OF_A_TEXT // 2)
    assert run(two, tmp_path).n_measured == OF_A_TEXT // 2


def test_weights_that_are_not_finite_have_rows_on_every_text(two, tmp_path, family):
    rewrite(family, lambda w: w["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"].__setitem__((0, 0), float("nan")))
    run(two, tmp_path)
    found = [row for row in rows(tmp_path / "table.parquet").values() if row["step"] == 1]
    assert len(found) == OF_A_TEXT
    assert {row["reason"] for row in found} == {"nonfinite weights"}
    assert {row["eval_dataset"] for row in found} == {"wheels-heldout", OTHER}


def test_progress_counts_the_rows_of_every_text(one, two, tmp_path, monkeypatch):
    """What is there already counts too: a sweep on two texts that begins with one of them done."""
    totals, advanced = [], []
    add_task = Progress.add_task
    monkeypatch.setattr(Progress, "add_task", lambda *a, total: totals.append(total) or add_task(*a, total=total))
    monkeypatch.setattr(Progress, "advance", lambda self, task, n: advanced.append(n))
    run(one, tmp_path)
    assert (totals, sum(advanced)) == ([OF_A_TEXT], OF_A_TEXT)
    run(two, tmp_path)
    assert (totals[1:], sum(advanced)) == ([2 * OF_A_TEXT], 3 * OF_A_TEXT)


def test_the_time_of_rounding_is_shared_by_the_texts(one, two, tmp_path, monkeypatch):
    """With a clock that only rounding moves, a sweep on two texts takes as long as one on one, in all its rows."""
    now = [0.0]
    monkeypatch.setattr(engine, "time", dataclasses.make_dataclass("Clock", ())())
    monkeypatch.setattr(engine.time, "perf_counter", lambda: now[0], raising=False)
    real = rtn.quantize

    def slow(*arguments):
        now[0] += 6.0
        return real(*arguments)

    monkeypatch.setattr(rtn, "quantize", slow)
    for declared in (one, two):
        folder = tmp_path / declared.stem
        run(declared, folder)
        seconds = files.read_table(folder / "table.parquet").column("wall_seconds").to_pylist()
        assert sum(seconds) == pytest.approx(2 * 6.0)
