"""Tests of what benchmarks/peers_cuda.py keeps and compares, without any peer."""

import importlib
import json
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """Return a benchmark's module by name, its results kept in a folder of the test's own."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(importlib.import_module("report"), "RESULTS", tmp_path)
    return importlib.import_module


def engine_row(**values):
    return {"work": "w", "gpu": "G", "whole_work": True, "seconds_per_quantized_checkpoint": 2.0} | values


def peer_row(program, seconds, **values):
    return {"work": "w", "device": "G", "program": program, "seconds_per_quantized_checkpoint": seconds} | values


def test_a_program_that_is_not_there_is_a_row_with_its_reason(benchmark, monkeypatch):
    peers_cuda, works = benchmark("peers_cuda"), benchmark("works")
    monkeypatch.setattr(peers_cuda, "interpreter", lambda package: None)
    answer = peers_cuda.timed("GPTQModel tuned", {"device": "cpu"}, {})
    row = peers_cuda.row("tiny-neox", works.WORKS["tiny-neox"], "GPTQModel tuned", "cpu", answer)
    assert row["seconds_per_quantized_checkpoint"] is None
    assert row["reason"] == "gptqmodel: not installed; `make peers` installs it into .venv-peers"


def test_a_program_that_ends_early_says_its_last_words_and_keeps_its_rows(benchmark, tmp_path):
    reason = benchmark("peers_cuda").ended(["sh", "-c", "echo one; echo two >&2; exit 3"], str(tmp_path), {})
    assert reason == "ended with 3: one | two"
    stages = {f"seconds_{stage}": 1.0 for stage in ("load", "quantize", "save", "reload", "score")}
    done = {"bits": 2, "reason": None, "loss_nats": 6.0, "peak_memory_gib": 1.0} | stages
    failed = {"bits": 3, "reason": "save: ValueError: no", "peak_memory_gib": 1.0}
    work = benchmark("works").WORKS["tiny-neox"]
    answer = {"rows": [done, failed], "reason": reason}
    row = benchmark("peers_cuda").row("tiny-neox", work, "GPTQModel tuned", "cpu", answer)
    assert row["seconds_per_quantized_checkpoint"] == 4.0, "what comes after loading"
    assert row["reason"] == "3 bits: save: ValueError: no; ended with 3: one | two"


def test_rows_of_the_same_key_are_replaced_and_others_stay(benchmark, tmp_path):
    report = benchmark("report")
    report.merge("speed", [{"work": "a", "seconds": 1}, {"work": "b", "seconds": 2}], ("work",))
    report.merge("speed", [{"work": "a", "seconds": 3}], ("work",))
    rows = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert [(row["work"], row["seconds"]) for row in rows] == [("b", 2), ("a", 3)]
    assert all(row["date"] for row in rows)


def test_ratios_come_from_the_peers_file_alone(benchmark, tmp_path):
    report = benchmark("report")
    rows = [engine_row(), engine_row(gpu="H"), engine_row(work="v"), engine_row(whole_work=False)]
    (tmp_path / "engine.json").write_text(json.dumps({"rows": rows}))
    report.fill_ratios()
    assert [row["ratio_to_best_peer"] for row in json.loads((tmp_path / "engine.json").read_text())["rows"]] == [
        None
    ] * 4
    peers = [
        peer_row("ours", 0.5),
        peer_row("a", 9.0),
        peer_row("b", 8.0),
        peer_row("c", None),
        peer_row("d", 1.0, work="u"),
    ]
    (tmp_path / "peers_cuda.json").write_text(json.dumps({"rows": peers}))
    report.fill_ratios()
    ratios = [row["ratio_to_best_peer"] for row in json.loads((tmp_path / "engine.json").read_text())["rows"]]
    assert ratios == [4.0, None, None, None], "8 s of the best peer to our 2 s, on the same device, for the whole work"


def timed_row(**values):
    row = {"work": "tiny-neox", "bits": [2, 4], "calibration": [16, 64], "evaluation": [16, 64]}
    row |= {"hessian_dtype": "bfloat16", "eval_dtype": "bfloat16", "seconds_per_quantized_checkpoint": 2.0}
    return row | {"peak_tflops_rounding": 1e-6, "peak_tflops_scoring": 2e-6} | values


def test_a_share_is_what_products_take_at_the_peaks_over_the_time_taken(benchmark):
    """Two blocks of width 64 and a head of 512: 12 d² numbers in layers, 3 d² + (4d)² in Hessians; causal attention."""
    blocks = 2 * (2 * 12 * 64**2 + 2 * 64 * 64)
    rounding = 1024 * (blocks + 2 * 2 * (3 * 64**2 + 256**2))
    scoring = 1024 * (blocks + 2 * 64 * 512) * 3 / 2  # three models for two that are rounded
    share = benchmark("engine").share_of_peak(timed_row())
    assert share == pytest.approx((rounding / 1e6 + scoring / 2e6) / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ({"hessian_dtype": "float32"}, False),
        ({"hessian_dtype": "float32", "peaks_of": ["3 x float16", "bfloat16"]}, True),
        ({"eval_dtype": "tfloat32"}, False),
        ({"eval_dtype": "tfloat32", "work": "tiny-llama"}, True),
        ({"peak_tflops_rounding": None}, False),
    ],
)
def test_a_share_of_a_peak_in_another_arithmetic_is_none(benchmark, values, known):
    """GPT-NeoX's block multiplies in float16 under TF32, a Llama's in TF32; float32's products are three of float16."""
    assert (benchmark("engine").share_of_peak(timed_row(**values)) is not None) == known


def test_shares_and_ratios_are_computed_again_without_a_gpu(benchmark, tmp_path):
    rows = [timed_row(share_of_matmul_peak=1.33, hessian_dtype="float32"), timed_row(share_of_matmul_peak=0.0)]
    rows = [row | {"gpu": "G", "whole_work": True} for row in rows]
    (tmp_path / "engine.json").write_text(json.dumps({"machine": {"gpu": "G"}, "rows": rows}))
    (tmp_path / "peers_cuda.json").write_text(json.dumps({"rows": [peer_row("a", 9.0, work="tiny-neox")]}))
    engine = benchmark("engine")
    engine.again()
    kept = json.loads((tmp_path / "engine.json").read_text())
    assert [row["share_of_matmul_peak"] for row in kept["rows"]] == [None, engine.share_of_peak(rows[1])]
    assert [row["ratio_to_best_peer"] for row in kept["rows"]] == [4.5, 4.5]
    assert kept["machine"] == {"gpu": "G"}


@pytest.mark.parametrize("name", ["tiny-neox", "tiny-llama"])
def test_shapes_are_those_of_the_model(benchmark, name):
    works = benchmark("works")
    config = works.WORKS[name].config
    block = works.random_model(config, torch.float32, "cpu").base_model.layers[0]
    layers = [layer for layer in block.modules() if isinstance(layer, torch.nn.Linear)]
    assert sorted(works.linear_shapes(config)) == sorted(tuple(layer.weight.shape) for layer in layers)
    assert set(works.hessian_widths(config)) == {layer.in_features for layer in layers}


def test_a_work_that_is_none_is_refused_by_its_name(benchmark):
    with pytest.raises(SystemExit, match="work 'big'; accepted: tadpole-14m"):
        benchmark("works").named(["big"])
