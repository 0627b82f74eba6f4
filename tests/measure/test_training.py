import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tiny import ROOT
from transformers import GPTNeoXForCausalLM

from helpers import families
from helpers.measure import corpora, evaluate, training
from helpers.specs import CheckpointError, SpecError, digest

PLAN = """\
family: tiny
models:
  - {name: tiny-32x1, d_model: 32, n_layers: 1, n_heads: 2}
peak_learning_rate: 0.01
batch_sequences: 4
seq_len: 32
warmup_steps: 4
steps: [2, 4, 8, 16]
"""


@pytest.fixture
def text(tmp_path, monkeypatch) -> Path:
    """A cache with a short training text, so that no wheel is read."""
    monkeypatch.chdir(ROOT)
    lock = corpora.read_lock()
    tokenizer = corpora.Tokenizer.from_file("data/tadpole/tokenizer.json")
    cache = tmp_path / "corpus"
    cache.mkdir()
    tokens = np.arange(20_000, dtype=np.uint16) % 97 + 100
    np.save(cache / f"training-{digest([lock.training_sha256, tokenizer.to_str()])}.npy", tokens)
    monkeypatch.setattr("helpers.measure.training_text.training_tokens.__defaults__", (cache,))
    return cache


@pytest.fixture
def plan_path(tmp_path) -> Path:
    path = tmp_path / "plan.yml"
    path.write_text(PLAN)
    return path


def train(plan_path: Path, out: Path) -> None:
    training.train_family(plan_path, out, "cpu", Console(quiet=True))


def test_checkpoints_open_with_transformers_and_the_manifest_describes_them(text, plan_path, tmp_path):
    state = torch.get_rng_state()
    train(plan_path, tmp_path / "out")
    assert torch.equal(torch.get_rng_state(), state)
    specs = families.read_manifest(tmp_path / "out")
    assert [spec.step for spec in specs] == [2, 4, 8, 16]
    assert [spec.tokens_seen for spec in specs] == [256, 512, 1024, 2048]
    assert [spec.lr_phase for spec in specs] == ["warmup", "warmup", "stable", "stable"]
    assert specs[0].learning_rate == pytest.approx(0.005)
    for spec in specs:
        model, info = GPTNeoXForCausalLM.from_pretrained(spec.location, output_loading_info=True)
        assert not info["missing_keys"]
        assert model.dtype == torch.bfloat16
        assert sum(p.numel() for p in model.parameters()) == spec.n_params_total
    losses = [entry["loss_nats"] for entry in _entries(tmp_path / "out")]
    assert all(0 < loss < 20 for loss in losses)
    tokenizer = corpora.Tokenizer.from_file("data/tadpole/tokenizer.json")
    blocks = corpora.heldout_blocks(corpora.read_lock().evaluation, tokenizer, corpora.DOCUMENTS_PER_SPLIT, 32)
    last = GPTNeoXForCausalLM.from_pretrained(specs[-1].location, dtype=torch.float32).eval()
    # weights read from a file lie elsewhere in memory, and sums may run in another order
    assert losses[-1] == pytest.approx(evaluate.evaluate_model(last, blocks).loss_nats, rel=1e-6)


def _entries(out: Path) -> list[dict]:
    import json

    return json.loads((out / "manifest.json").read_text())["checkpoints"]


def test_training_learns_its_text(text, plan_path, tmp_path):
    """The text repeats 97 tokens in order: the training loss must fall far below chance."""
    train(plan_path, tmp_path / "out")
    plan = training.read_plan(plan_path)
    batch = training.Batches(np.arange(20_000, dtype=np.uint16) % 97 + 100, plan, "cpu").batch(20)
    first, last = (
        training._loss(GPTNeoXForCausalLM.from_pretrained(tmp_path / f"out/tiny-32x1/step-{step:06d}").float(), batch)
        for step in (2, 16)
    )
    assert last < first - 1


def test_a_killed_run_goes_on_to_the_same_weights(text, plan_path, tmp_path):
    """SIGKILL after the second checkpoint, train again: bit for bit what an unbroken run writes."""
    train(plan_path, tmp_path / "whole")
    cache = str(text)
    code = (
        "from pathlib import Path; from rich.console import Console; import torch; torch.set_num_threads(1)\n"
        "from helpers.measure import training, training_text\n"
        f"training_text.training_tokens.__defaults__ = (Path({cache!r}),)\n"
        "save = training._save_state\n"
        "def slow(path, model, optimizer, step):\n"
        "    save(path, model, optimizer, step)\n"
        "    import time; time.sleep(60 if step == 4 else 0)\n"
        "training._save_state = slow\n"
        f"training.train_family(Path({str(plan_path)!r}), Path({str(tmp_path / 'broken')!r}), 'cpu', Console(quiet=True))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"})
    state = tmp_path / "broken/tiny-32x1/state.safetensors"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        if (
            state.exists()
            and (tmp_path / "broken/tiny-32x1/step-000004").exists()
            and b'"4"' in state.read_bytes()[:9999]
        ):
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "broken/tiny-32x1/step-000008").exists()
    train(plan_path, tmp_path / "broken")
    for step in (2, 4, 8, 16):
        whole, broken = (
            load_file(tmp_path / which / f"tiny-32x1/step-{step:06d}/model.safetensors")
            for which in ("whole", "broken")
        )
        assert all(torch.equal(whole[name], broken[name]) for name in whole)
    assert _entries(tmp_path / "whole") == _entries(tmp_path / "broken")
    assert not state.exists()


def test_a_broken_state_is_named(text, plan_path, tmp_path):
    state = tmp_path / "out/tiny-32x1/state.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="can't be resumed from"):
        train(plan_path, tmp_path / "out")


def test_batches_cover_each_block_once_a_pass_and_depend_on_seed_and_step_alone():
    plan = training.TrainingPlan("f", (), steps=(1,), peak_learning_rate=0.1, batch_sequences=3, seq_len=10)
    tokens = np.arange(124, dtype=np.uint16)  # 12 blocks of 10, with one token after the last
    batches = training.Batches(tokens, plan, "cpu")
    assert batches.unique_tokens == 120
    first_pass = torch.cat([batches.batch(step) for step in (1, 2, 3, 4)])
    assert sorted(first_pass[:, 0].tolist()) == list(range(0, 120, 10))
    assert (first_pass[:, 1:] - first_pass[:, :-1] == 1).all()
    second_pass = torch.cat([batches.batch(step) for step in (5, 6, 7, 8)])
    assert sorted(second_pass[:, 0].tolist()) == sorted(first_pass[:, 0].tolist())
    assert not torch.equal(first_pass, second_pass)
    assert torch.equal(training.Batches(tokens, plan, "cpu").batch(6), batches.batch(6))


def test_a_batch_may_span_two_passes():
    plan = training.TrainingPlan("f", (), steps=(1,), peak_learning_rate=0.1, batch_sequences=5, seq_len=10)
    batches = training.Batches(np.arange(124, dtype=np.uint16), plan, "cpu")
    seen = torch.cat([batches.batch(step) for step in range(1, 13)])[:, 0]
    assert seen[:12].sort().values.tolist() == list(range(0, 120, 10))
    assert torch.bincount(seen // 10).tolist() == [5] * 12


def test_weight_decay_spares_biases_and_norms():
    plan = training.TrainingPlan("f", (training.ModelEntry("m", 32, 1, 2),), steps=(1,), peak_learning_rate=0.1)
    model = training.build(plan.models[0], plan, 1024)
    decayed, spared = training.optimizer_of(model, plan).param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in spared["params"]} == {1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("family:", "famly:", r"plan\.yml: unknown key 'famly'; accepted: family, models"),
        ("d_model: 32", "width: 32", r"plan\.yml: models: unknown key 'width'; accepted: name, d_model"),
        ("[2, 4, 8, 16]", "[4, 2]", "'steps' must rise"),
        (
            "steps: [2, 4, 8, 16]",
            "steps: [2, 4, 8, 16]\nschedule: triangle",
            "'schedule' is 'triangle'; accepted: constant",
        ),
        ("models:", "model:", "a mapping with a list 'models' is expected"),
    ],
)
def test_a_plan_that_is_off_is_named(tmp_path, old, new, message):
    (tmp_path / "plan.yml").write_text(PLAN.replace(old, new))
    with pytest.raises(SpecError, match=message):
        training.read_plan(tmp_path / "plan.yml")


def test_the_committed_plan_holds_what_the_manifest_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = training.read_plan(Path("sweeps/train-tadpole.yml"))
    assert len(plan.models) >= 6
    assert plan.steps[-1] * plan.tokens_per_step >= 250e6
    assert sum(step * plan.tokens_per_step > 60e6 for step in plan.steps) >= 5
    by_name = {entry.name: entry for entry in plan.models}
    for spec in families.read_manifest(Path("data/tadpole")):
        entry = by_name[spec.model]
        assert (spec.d_model, spec.n_layers) == (entry.d_model, entry.n_layers)
        assert spec.step in plan.steps
        assert spec.tokens_seen == spec.step * plan.tokens_per_step
        assert spec.learning_rate == plan.learning_rate(spec.step)


def test_selecting_a_pocket_family_keeps_weights_and_description(text, plan_path, tmp_path):
    train(plan_path, tmp_path / "out")
    (tmp_path / "pocket").mkdir()
    training.select(tmp_path / "out", ["tiny-32x1"], [4, 16], tmp_path / "pocket")
    pocket = families.read_manifest(tmp_path / "pocket")
    whole = {spec.step: spec.weights_sha256 for spec in families.read_manifest(tmp_path / "out")}
    assert {spec.step: spec.weights_sha256 for spec in pocket} == {step: whole[step] for step in (4, 16)}
