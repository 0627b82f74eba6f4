"""Training on a GPU: run by hand where there is one (`python -m pytest tests/measure/test_training_cuda.py`)."""

import dataclasses

import pytest
import torch

from helpers.measure.training.low_bits import LowBits
from helpers.measure.training.plan import ModelEntry, TrainingPlan
from helpers.measure.training.rounded_layers import rounded_inputs, rounded_weight
from helpers.measure.training.trainer import Batches, Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

PLAN = TrainingPlan(
    "tiny", (ModelEntry("tiny", 64, 2, 2),), steps=(8, 16), peak_learning_rate=0.01, batch_sequences=16, seq_len=64
)


def trained(n_updates: int, trainer: Trainer | None = None) -> Trainer:
    tokens = torch.arange(20_000, dtype=torch.int16).remainder(97).cuda()
    batches = Batches(tokens, PLAN.batch_sequences, PLAN.seq_len, seed=0)
    trainer = trainer or Trainer(PLAN, PLAN.runs()[0], "cuda", 1024, "text")
    while trainer.step < n_updates:
        trainer.advance(batches.batch(trainer.step + 1))
    return trainer


def moved(one: Trainer, other: Trainer) -> float:
    """Return how far two trained models are apart, as a share of how far the first has come from its start."""
    start = Trainer(PLAN, PLAN.runs()[0], "cuda", 1024, "text")
    apart, way = (
        torch.cat([(a - b).flatten() for a, b in zip(x.model.parameters(), y.model.parameters(), strict=True)]).norm()
        for x, y in ((one, other), (one, start))
    )
    return (apart / way).item()


def test_captured_updates_are_the_plain_ones_but_for_the_order_of_sums(monkeypatch):
    """Sums of gradients are made by atomic additions on a GPU, so no two runs have the same bits."""
    captured, again = trained(16), trained(16)
    monkeypatch.setattr(Trainer, "_captured", lambda self, batch: self._plain)
    plain, other = trained(16), trained(16)
    print("same path", moved(captured, again), moved(plain, other), "other path", moved(captured, plain))
    assert moved(captured, plain) < 0.1
    assert captured.step == plain.step == 16


def test_a_resumed_run_goes_on_where_it_was(tmp_path):
    whole = trained(16)
    trained(8).save(tmp_path / "state.safetensors")
    resumed = Trainer(PLAN, PLAN.runs()[0], "cuda", 1024, "text")
    resumed.load(tmp_path / "state.safetensors")
    trained(16, resumed)
    print("resumed", moved(whole, resumed), "without the second half", moved(whole, trained(8)))
    assert moved(whole, resumed) < 0.1


LOW = (LowBits("ternary", input_bits=8), LowBits("rtn", 2, 32, False), LowBits("rtn", 4, 32, True, input_bits=4))


@pytest.mark.parametrize("low_bits", LOW)
def test_captured_updates_at_low_bits_are_the_plain_ones_and_differ_from_16_bits(low_bits, monkeypatch):
    """As in 16 bits, but a sum in another order can move a weight over the edge between two codes."""
    run = dataclasses.replace(PLAN.runs()[0], low_bits=low_bits)
    captured = trained(16, Trainer(PLAN, run, "cuda", 1024, "text"))
    assert captured.loss.isfinite()
    monkeypatch.setattr(Trainer, "_captured", lambda self, batch: self._plain)
    plain, in_16_bits = trained(16, Trainer(PLAN, run, "cuda", 1024, "text")), trained(16)
    print(low_bits.suffix, "other path", moved(captured, plain), "16 bits", moved(captured, in_16_bits))
    assert moved(captured, plain) < 0.2
    assert moved(captured, plain) < moved(captured, in_16_bits)


@pytest.mark.parametrize("low_bits", LOW)
def test_weights_and_inputs_round_on_the_gpu_as_on_the_cpu(low_bits):
    """But for values halfway between two codes, which the last bit of a scale decides: one in ten thousand."""
    generator = torch.Generator().manual_seed(0)
    weight, inputs = torch.randn(256, 128, generator=generator), torch.randn(64, 128, generator=generator)
    pairs = [(rounded_weight(weight, low_bits), torch.compile(rounded_weight)(weight.cuda(), low_bits).cpu())]
    if low_bits.input_bits is not None:
        compiled = torch.compile(rounded_inputs)(inputs.cuda(), low_bits.input_bits).cpu()
        pairs.append((rounded_inputs(inputs, low_bits.input_bits), compiled))
    for ours, theirs in pairs:
        assert ((ours - theirs).abs() < 1e-5).float().mean() > 0.9999
