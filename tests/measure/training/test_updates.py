"""Sharpness-aware minimisation: the step uphill, and runs that are trained with it."""

import copy
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from helpers.measure.training import trainer as training
from helpers.measure.training.plan import read_plan
from helpers.measure.training.updates import loss_of, uphill

PLAN = """\
family: tiny
models:
  - {name: tiny-32x1, d_model: 32, n_layers: 1, n_heads: 2}
peak_learning_rate: 0.01
batch_sequences: 4
seq_len: 32
warmup_steps: 4
steps: [2, 4]
"""


def plan_at(folder: Path, radius: str) -> Path:
    path = folder / "plan.yml"
    path.write_text(f"{PLAN}{radius and f'sharpness_radius: {radius}'}\n")
    return path


def test_the_step_uphill_is_as_long_as_asked_and_undone():
    """Of w1² + w2² at (3, 2) the gradient is (6, 4): a step of half its length is to (3 + 3, 2 + 2)."""
    weights = [torch.tensor([3.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)]
    (weights[0] ** 2 + weights[1] ** 2).sum().backward()
    with uphill(weights, radius=52**0.5 / 2):
        assert [each.item() for each in weights] == pytest.approx([6.0, 4.0])
        assert torch.is_grad_enabled()
    assert [each.item() for each in weights] == [3.0, 2.0]


def test_nothing_moves_without_a_slope():
    weight = torch.ones(3, requires_grad=True)
    (0.0 * weight).sum().backward()
    with uphill([weight, torch.ones(2)], radius=0.1):
        assert weight.tolist() == [1.0, 1.0, 1.0]


def test_an_updates_gradient_is_that_of_the_place_uphill(tmp_path):
    """Worked out on a copy: the weights plus 0.3 along the gradient, then the gradient there, clipped to a norm of 1."""
    plan = read_plan(plan_at(tmp_path, "0.3"))
    trainer = training.Trainer(plan, plan.runs()[0], "cpu", 64, "of no text")
    batch = torch.randint(64, (4, 33), generator=torch.Generator().manual_seed(0))
    model = copy.deepcopy(trainer.model)
    loss_of(model, batch).backward()
    length = torch.cat([each.grad.flatten() for each in model.parameters()]).norm()
    with torch.no_grad():
        for each in model.parameters():
            each += 0.3 * each.grad / length
    model.zero_grad()
    loss_of(model, batch).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    trainer.advance(batch)
    for one, other in zip(trainer.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)  # sums in another order


def test_runs_say_their_radius_and_a_vanishing_one_is_the_plain_run(text, tmp_path):
    out = {}
    for radius in ("", "[1e-30, 0.5]"):
        out[radius] = tmp_path / f"out{len(out)}"
        training.train_family(plan_at(tmp_path, radius), out[radius], "cpu", Console(quiet=True))
    last = "step-000004/model.safetensors"
    plain = load_file(out[""] / "tiny-32x1" / last)
    none, much = (load_file(out["[1e-30, 0.5]"] / f"tiny-32x1-sam{radius}" / last) for radius in ("1e-30", "0.5"))
    assert all(torch.equal(plain[name], none[name]) for name in plain)
    assert not all(torch.equal(plain[name], much[name]) for name in plain)


def test_plans_differ_by_their_radius_and_their_work_doubles(tmp_path):
    plain = read_plan(plan_at(tmp_path, ""))
    one, other = (read_plan(plan_at(tmp_path, radius)) for radius in ("0.1", "0.2"))
    assert len({each.digest_of(each.runs()[0]) for each in (plain, one, other)}) == 3
    assert one.flops(one.runs()[0], 64) == 2 * plain.flops(plain.runs()[0], 64)
