"""Training on a part of the text, read again and again."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tests.measure.tiny import ROOT
from tests.measure.training.test_trainer import PLAN, batches_of

from helpers.measure.training import trainer as training
from helpers.measure.training.plan import read_plan
from helpers.table.errors import SpecError
from helpers.table.families import catalogue

TOKENS = np.arange(20_000) % 97 + 100  # as the fixture `text` has them
WHOLE = 19_968  # of which whole blocks of 32 can be predicted
PART = 4 * 32 * 3 + 64  # three updates and a half


def plan_at(tmp_path: Path, unique_tokens: str) -> Path:
    path = tmp_path / f"plan-{len(list(tmp_path.iterdir()))}.yml"
    path.write_text(PLAN + f"unique_tokens: {unique_tokens}\n")
    return path


def train(plan_path: Path, out: Path) -> Path:
    training.train_family(plan_path, out, "cpu", Console(quiet=True))
    return out


def starts(batches: training.Batches, steps: range) -> torch.Tensor:
    """Return where in the text each block of some updates begins, on a text that counts."""
    return torch.cat([batches.batch(step)[:, 0] for step in steps])


def test_a_part_is_what_the_first_pass_over_the_whole_text_begins_with():
    """12 blocks of 10 tokens, 6 of them read, 3 an update: two updates a pass."""
    whole, part = batches_of(np.arange(124), 3, 10), batches_of(np.arange(124), 3, 10, unique_tokens=60)
    assert (whole.unique_tokens, part.unique_tokens) == (120, 60)
    first = starts(whole, range(1, 3))
    assert torch.equal(starts(part, range(1, 3)), first)
    later = [starts(part, range(step, step + 2)) for step in (3, 5, 7)]
    assert all(sorted(each.tolist()) == sorted(first.tolist()) for each in later), "the same blocks, once a pass"
    orders = [tuple(each.tolist()) for each in (first, *later)]
    assert len(set(orders)) == len(orders), "each pass has an order of its own"
    second = starts(whole, range(5, 9))
    assert torch.equal(later[0], second[torch.isin(second, first)]), "the whole text's, without the other blocks"


def test_a_pass_may_end_inside_a_batch():
    part = batches_of(np.arange(124), 4, 10, unique_tokens=60)
    assert torch.bincount(starts(part, range(1, 4)) // 10).unique().tolist() == [0, 2]


def test_the_whole_text_as_an_amount_is_the_whole_text():
    whole, amount = batches_of(np.arange(124), 5, 10), batches_of(np.arange(124), 5, 10, unique_tokens=120)
    assert torch.equal(starts(whole, range(1, 9)), starts(amount, range(1, 9)))


def test_a_part_is_a_sample_of_the_whole_text():
    """400 of 4,000 blocks: from every tenth of the text, as many as chance gives (40 with an error of 6)."""
    part = batches_of(np.arange(8_001), 10, 2, unique_tokens=800)
    counts = torch.bincount(starts(part, range(1, 41)) // 800, minlength=10)
    assert counts.sum() == 400
    assert (counts > 15).all()


def test_runs_on_a_part_say_so_and_count_their_own_passes(text, tmp_path):
    out = train(plan_at(tmp_path, f"[{PART}, {2 * PART}]"), tmp_path / "out")
    specs = catalogue.read_manifest(out)
    assert {(spec.run, spec.unique_tokens) for spec in specs} == {
        ("tiny-32x1-unique0.000448M", PART),
        ("tiny-32x1-unique0.000896M", 2 * PART),
    }
    assert all(
        spec.epochs == spec.tokens_seen / spec.unique_tokens == spec.step * 128 / spec.unique_tokens for spec in specs
    )
    assert max(spec.epochs for spec in specs) == 16 * 128 / PART


def test_a_run_on_a_part_is_the_whole_texts_until_it_reads_again(text, tmp_path):
    """Bit for bit at step 2 of 3 and a half, and not at step 4; with all the text as the amount, to the end."""
    plain = tmp_path / "plain.yml"
    plain.write_text(PLAN)
    whole = train(plain, tmp_path / "whole") / "tiny-32x1"
    part = train(plan_at(tmp_path, str(PART)), tmp_path / "part") / "tiny-32x1-unique0.000448M"
    as_amount = train(plan_at(tmp_path, str(WHOLE)), tmp_path / "all") / "tiny-32x1-unique0.02M"

    def same(other: Path, step: int) -> bool:
        one, two = (load_file(run / f"step-{step:06d}/model.safetensors") for run in (whole, other))
        return all(torch.equal(one[name], two[name]) for name in one)

    assert [same(part, step) for step in (2, 4, 16)] == [True, False, False]
    assert [same(as_amount, step) for step in (2, 4, 16)] == [True, True, True]


def test_a_run_on_a_part_that_broke_off_goes_on_to_the_same_weights(text, tmp_path, monkeypatch):
    """Broken off in its third pass."""
    plan, name = plan_at(tmp_path, str(PART)), "tiny-32x1-unique0.000448M/step-000016/model.safetensors"
    whole = load_file(train(plan, tmp_path / "whole") / name)
    advance = training.Trainer.advance

    def breaks_off(trainer, batch):
        if trainer.step == 9:
            raise KeyboardInterrupt
        advance(trainer, batch)

    with monkeypatch.context() as patched:
        patched.setattr(training.Trainer, "advance", breaks_off)
        with pytest.raises(KeyboardInterrupt):
            train(plan, tmp_path / "broken")
    broken = load_file(train(plan, tmp_path / "broken") / name)
    assert all(torch.equal(whole[tensor], broken[tensor]) for tensor in whole)


def test_more_than_the_text_has_is_refused_before_any_update(text, tmp_path):
    plan = plan_at(tmp_path, f"[{PART}, {WHOLE + 32}]")
    with pytest.raises(SpecError, match=r"'unique_tokens' is 20,000; accepted: up to 19,968, as many as the text has$"):
        train(plan, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*/*"))


def test_plans_without_the_option_are_named_as_before(monkeypatch):
    """Digests that states on disk carry, as they were before the option came."""
    monkeypatch.chdir(ROOT)
    trunk, ninth = (read_plan(Path(f"sweeps/train-tadpole-{name}.yml")) for name in ("trunk", "ninth"))
    assert [trunk.digest_of(run) for run in trunk.runs()[:3]] == [
        "7b3eb8b049d72e6f",
        "7717a3dcf31db9c6",
        "96dafdb1493d492a",
    ]
    assert [ninth.digest_of(run) for run in ninth.runs()] == ["e58390ca3dcbf2ee"]


def test_runs_on_other_amounts_have_other_digests(tmp_path):
    plan = read_plan(plan_at(tmp_path, "[128, 256]"))
    digests = [plan.digest_of(run) for run in plan.runs()]
    plain = tmp_path / "plain.yml"
    plain.write_text(PLAN)
    whole = read_plan(plain)
    assert len({*digests, whole.digest_of(whole.runs()[0])}) == 3


def test_the_committed_plans_read_an_eighth_a_quarter_and_a_half_as_the_trunk_reads_all(monkeypatch):
    monkeypatch.chdir(ROOT)
    trunk = read_plan(Path("sweeps/train-tadpole-trunk.yml"))
    plans = [read_plan(Path(f"sweeps/train-tadpole-unique{amount}.yml")) for amount in (34, 68, 135)]
    for plan, passes in zip(plans, (8, 4, 2), strict=True):
        (amount,) = plan.unique_tokens
        assert plan.steps[-1] * plan.tokens_per_step == passes * amount
        assert {*plan.steps[:-1]} <= {*trunk.steps}
        assert plan.steps[0] * plan.tokens_per_step < amount, "a checkpoint before anything is read again"
        assert {*plan.models} <= {*trunk.models}
        same = ("peak_learning_rate", "weight_decay", "seed", "batch_sequences", "seq_len", "warmup_steps", "betas")
        assert all(getattr(plan, name) == getattr(trunk, name) for name in same)
    assert all(one.models == two.models for one, two in itertools.pairwise(plans))
