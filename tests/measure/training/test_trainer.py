import errno
import itertools
import os
import shutil
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
from tests.measure.tiny import ROOT
from transformers import GPTNeoXForCausalLM

from helpers.measure.models.checkpoints import architecture_of
from helpers.measure.scoring import evaluate
from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.training import folder
from helpers.measure.training import trainer as training
from helpers.measure.training.folder import build
from helpers.measure.training.plan import ModelEntry, Run
from helpers.measure.training.updates import loss_of, optimizer_of
from helpers.table.errors import CheckpointError, ResultsError, SpecError
from helpers.table.families import catalogue

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
    specs = catalogue.read_manifest(tmp_path / "out")
    assert [spec.step for spec in specs] == [2, 4, 8, 16]
    assert {spec.architecture for spec in specs} == {architecture_of(Path(specs[0].location))}
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
    tokenizer = token_blocks.Tokenizer.from_file("data/tadpole/tokenizer.json")
    blocks = token_blocks.heldout_blocks(
        corpus_lock.read_lock().evaluation, tokenizer, corpus_lock.DOCUMENTS_PER_SPLIT, 32
    )
    last = GPTNeoXForCausalLM.from_pretrained(specs[-1].location, dtype=torch.float32).eval()
    # weights read from a file lie elsewhere in memory, and sums may run in another order
    assert losses[-1] == pytest.approx(evaluate.evaluate_model(last, blocks).loss_nats, rel=1e-6)


def batches_of(
    tokens: np.ndarray, batch_sequences: int, seq_len: int, unique_tokens: int | None = None
) -> training.Batches:
    as_stored = torch.from_numpy(tokens.astype(np.int16))
    return training.Batches(as_stored, batch_sequences, seq_len, seed=0, unique_tokens=unique_tokens)


def _entries(out: Path) -> list[dict]:
    import json

    return json.loads((out / "manifest.json").read_text())["checkpoints"]


def test_training_learns_its_text(text, plan_path, tmp_path):
    """The text repeats 97 tokens in order: the training loss must fall far below chance."""
    train(plan_path, tmp_path / "out")
    plan = training.read_plan(plan_path)
    batch = batches_of(np.arange(20_000) % 97 + 100, plan.batch_sequences, plan.seq_len).batch(20)
    first, last = (
        loss_of(GPTNeoXForCausalLM.from_pretrained(tmp_path / f"out/tiny-32x1/step-{step:06d}").float(), batch)
        for step in (2, 16)
    )
    assert last < first - 1


def kill_after_second_checkpoint(plan_path: Path, out: Path, run: str, cache: Path) -> None:
    """Train in a process of its own, and end it by SIGKILL once the checkpoint of step 4 and its state are there."""
    code = (
        "from pathlib import Path; from rich.console import Console; import torch; torch.set_num_threads(1)\n"
        "from helpers.measure.training import corpus, trainer\n"
        f"corpus.training_tokens.__defaults__ = (Path({str(cache)!r}),)\n"
        "save = trainer.Trainer.save\n"
        "def slow(self, path):\n"
        "    save(self, path)\n"
        "    import time; time.sleep(60 if self.step == 4 else 0)\n"
        "trainer.Trainer.save = slow\n"
        f"trainer.train_family(Path({str(plan_path)!r}), Path({str(out)!r}), 'cpu', Console(quiet=True))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"})
    state = out / run / "state.safetensors"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and child.poll() is None:
        if state.exists() and (out / run / "step-000004").exists() and b'"4"' in state.read_bytes()[:9999]:
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (out / run / "step-000008").exists()


def test_a_killed_run_goes_on_to_the_same_weights(text, plan_path, tmp_path):
    """SIGKILL after the second checkpoint, train again: bit for bit what an unbroken run writes."""
    train(plan_path, tmp_path / "whole")
    kill_after_second_checkpoint(plan_path, tmp_path / "broken", "tiny-32x1", text)
    train(plan_path, tmp_path / "broken")
    for step in (2, 4, 8, 16):
        whole, broken = (
            load_file(tmp_path / which / f"tiny-32x1/step-{step:06d}/model.safetensors")
            for which in ("whole", "broken")
        )
        assert all(torch.equal(whole[name], broken[name]) for name in whole)
    assert _entries(tmp_path / "whole") == _entries(tmp_path / "broken")
    assert not (tmp_path / "broken/tiny-32x1/state.safetensors").exists()


def test_a_broken_state_is_named(text, plan_path, tmp_path):
    state = tmp_path / "out/tiny-32x1/state.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="can't be resumed from"):
        train(plan_path, tmp_path / "out")


def test_batches_cover_each_block_once_a_pass_and_depend_on_seed_and_step_alone():
    tokens = np.arange(124)  # 12 blocks of 10, with one token after the last
    batches = batches_of(tokens, 3, 10)
    assert batches.unique_tokens == 120
    first_pass = torch.cat([batches.batch(step) for step in (1, 2, 3, 4)])
    assert sorted(first_pass[:, 0].tolist()) == list(range(0, 120, 10))
    assert (first_pass[:, 1:] - first_pass[:, :-1] == 1).all()
    second_pass = torch.cat([batches.batch(step) for step in (5, 6, 7, 8)])
    assert sorted(second_pass[:, 0].tolist()) == sorted(first_pass[:, 0].tolist())
    assert not torch.equal(first_pass, second_pass)
    assert torch.equal(batches_of(tokens, 3, 10).batch(6), batches.batch(6))


def test_a_batch_may_span_two_passes():
    batches = batches_of(np.arange(124), 5, 10)
    seen = torch.cat([batches.batch(step) for step in range(1, 13)])[:, 0]
    assert seen[:12].sort().values.tolist() == list(range(0, 120, 10))
    assert torch.bincount(seen // 10).tolist() == [5] * 12


def test_weight_decay_spares_biases_and_norms():
    model = build(ModelEntry("m", 32, 1, 2), 16, 0, 1024)
    decayed, spared = optimizer_of(model, 0.1, (0.9, 0.95)).param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in spared["params"]} == {1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


# ---- cooldowns and averages ------------------------------------------------------------------------------------------

BRANCHED = PLAN + "cooldowns: {at: [8], share: 0.2}\naverages: {n: 3, share: 0.4, from_step: 8}\n"


@pytest.fixture
def branched(text, plan_path, tmp_path) -> dict[tuple[str, int], catalogue.CheckpointSpec]:
    """Every checkpoint of a family with a cooldown and averages, by run and step."""
    plan_path.write_text(BRANCHED)
    train(plan_path, tmp_path / "out")
    return {(spec.run, spec.step): spec for spec in catalogue.read_manifest(tmp_path / "out")}


def test_branches_are_runs_of_their_own_that_say_where_they_come_from(branched):
    assert set(branched) == {
        *(("tiny-32x1", step) for step in (2, 4, 8, 16)),
        *(("tiny-32x1-cooldown8", step) for step in (9, 10)),
        *(("tiny-32x1-average3", step) for step in (8, 16)),
    }
    last = branched["tiny-32x1-cooldown8", 10]
    assert (last.schedule, last.lr_phase, last.learning_rate, last.tokens_planned) == ("cooldown", "decay", 0.0, 1280)
    assert (last.branched_from, last.branched_at_step, last.n_averaged) == ("tiny-32x1", 8, 1)
    average = branched["tiny-32x1-average3", 16]
    assert (average.schedule, average.branched_from, average.n_averaged) == ("constant", "tiny-32x1", 3)
    assert {spec.model for spec in branched.values()} == {"tiny-32x1"}


def test_a_cooldown_sees_the_batches_that_the_trunk_goes_on_with(branched, text, plan_path, tmp_path):
    """Trained again by hand from the trunk's updates: eight at the peak, then two that fall to zero."""
    plan = training.read_plan(plan_path)
    (trunk,) = plan.runs()
    (cooldown,) = plan.branches(trunk)
    trainer = training.Trainer(plan, cooldown, "cpu", 1024, "text")
    batches = batches_of(np.arange(20_000) % 97 + 100, plan.batch_sequences, plan.seq_len)
    for step in range(1, 11):
        trainer.advance(batches.batch(step))
    written = load_file(Path(branched[cooldown.name, 10].location) / "model.safetensors")
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(written[name.replace("lm_head", "embed_out")], value.to(torch.bfloat16)), name


def test_an_average_is_the_mean_of_its_moments(branched, plan_path):
    plan = training.read_plan(plan_path)
    (run,) = plan.runs()
    assert plan.averages.moments(16) == (10, 13, 16)
    trainer = training.Trainer(plan, run, "cpu", 1024, "text")
    batches = batches_of(np.arange(20_000) % 97 + 100, plan.batch_sequences, plan.seq_len)
    moments = []
    for step in range(1, 17):
        trainer.advance(batches.batch(step))
        if step in (10, 13, 16):
            moments.append({name: value.clone() for name, value in trainer.model.state_dict().items()})
    written = load_file(Path(branched["tiny-32x1-average3", 16].location) / "model.safetensors")
    for name in moments[0]:
        mean = torch.stack([moment[name] for moment in moments]).mean(0)
        assert torch.equal(written[name.replace("lm_head", "embed_out")], mean.to(torch.bfloat16)), name


def test_a_cooldown_without_its_start_is_named(branched, plan_path, tmp_path):
    shutil.rmtree(tmp_path / "out/tiny-32x1-cooldown8")
    with pytest.raises(CheckpointError, match=r"tiny-32x1-cooldown8/state\.safetensors: missing; delete .*tiny-32x1 "):
        train(plan_path, tmp_path / "out")


def test_a_finished_family_is_left_as_it_is(branched, plan_path, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    train(plan_path, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")} == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("family:", "famly:", r"plan\.yml: unknown key 'famly'; accepted: family, models"),
        ("d_model: 32", "width: 32", r"plan\.yml: models: unknown key 'width'; accepted: name, d_model"),
        ("[2, 4, 8, 16]", "[4, 2]", "'steps' must rise"),
        (
            "steps: [2, 4, 8, 16]",
            "steps: [2, 4, 8, 16]\nschedule: triangle",
            "'schedule' is 'triangle'; accepted: constant, cosine",
        ),
        ("family:", "schedule: cosine\nfamily:", "'horizons' are the last steps of cosine runs"),
        ("family:", "schedule: cosine\nhorizons: [7]\nfamily:", "'horizons' has 7, which isn't one of 'steps'"),
        ("family:", "cooldowns: {at: [3]}\nfamily:", "'cooldowns' has 3, which isn't one of 'steps'"),
        ("family:", "averages: {share: 0.6}\nfamily:", "'averages': the one at step 4 begins at 2, not after"),
        (
            "family:",
            "cooldowns: {at: [4], models: [big]}\nfamily:",
            "'cooldowns' names model 'big', which isn't one of",
        ),
        ("models:", "model:", "a mapping with a list 'models' is expected"),
        ("name: tiny-32x1", "name: ../../x", "models: 'name' is '../../x'; accepted: a name without /"),
        ("family: tiny", 'family: "a\\u001b"', r"'family' is 'a\\x1b'; accepted: a name"),
        ("0.01", "0", "'peak_learning_rate' is 0; accepted: more than 0, up to 100"),
        ("0.01", ".nan", "'peak_learning_rate' is nan; accepted: more than 0, up to 100"),
        ("0.01", "[]", "0 runs; accepted: 1 to 1,000"),
        ("0.01", "[0.01, 0.01]", "two runs are called 'tiny-32x1-lr0.01'"),
        (
            "[2, 4, 8, 16]",
            "[1000000000]\nbatch_sequences: 1000000",
            "plan.yml:9: not YAML .key 'batch_sequences' is there twice",
        ),
        (
            "batch_sequences: 4\nseq_len: 32\nwarmup_steps: 4\nsteps: [2, 4, 8, 16]",
            "batch_sequences: 1000000\nseq_len: 1000000\nsteps: [1000000000]",
            "tokens a run; accepted: up to",
        ),
        ("batch_sequences: 4", "batch_sequences: 100000000000000000000", "beyond an integer of 64 bits"),
        ("d_model: 32", "d_model: 0", "'d_model' is 0; accepted: 1 to 65536"),
        ("n_heads: 2", "n_heads: 3", "'n_heads' is 3; accepted: what divides 'd_model', 32"),
        ("d_model: 32, n_layers: 1", "d_model: 65536, n_layers: 1000", "parameters; accepted:"),
        ("family:", "averages: {n: 1}\nfamily:", "averages: 'n' is 1; accepted: 2 to 100"),
        (
            "family:",
            "cooldowns: {at: [4], share: 1}\nfamily:",
            "cooldowns: 'share' is 1; accepted: more than 0, up to 0.99",
        ),
        ("family:", "cooldowns: {at: [2], share: 0.01}\nfamily:", "the one at 2 has no two updates"),
        ("family:", "betas: [0.9]\nfamily:", "'betas' is .0.9.; accepted: two"),
        ("family:", "clip_norm: 0\nfamily:", "'clip_norm' is 0; accepted: more than 0"),
        ("seq_len: 32", "seq_len: -1", "'seq_len' is -1; accepted: 1 to 1e.06"),
        ("family:", "seed: -1\nfamily:", "'seed' is -1; accepted: 0 to"),
        (
            "family:",
            "unique_tokens: 96\nfamily:",
            r"'unique_tokens' is 96; accepted: multiples of 'seq_len' \(32\), at",
        ),
        ("family:", "unique_tokens: [256, 150]\nfamily:", r"'unique_tokens' is 150; .* at least one update's \(128\)"),
        ("family:", "unique_tokens: [256, 256]\nfamily:", "two runs are called 'tiny-32x1-unique0.000256M'"),
        ("family:", "unique_tokens: all\nfamily:", "'unique_tokens' is 'all'; accepted: "),
        ("family:", "null: 3\nfamily:", "plan.yml:1: not YAML .'null' as a key isn't a text"),
    ],
)
def test_a_plan_that_is_off_is_named(tmp_path, old, new, message):
    (tmp_path / "plan.yml").write_text(PLAN.replace(old, new))
    with pytest.raises(SpecError, match=message):
        training.read_plan(tmp_path / "plan.yml")


def test_rates_and_steps_as_people_write_them(tmp_path):
    (tmp_path / "plan.yml").write_text(PLAN.replace("0.01", "1e-2").replace("[2, 4,", "[02, 010,").replace(" 8,", ""))
    plan = training.read_plan(tmp_path / "plan.yml")
    assert (plan.peak_learning_rate, plan.steps) == (0.01, (2, 10, 16))


def test_runs_are_every_combination_with_names_of_their_own(tmp_path):
    (tmp_path / "plan.yml").write_text(
        PLAN.replace("0.01", "[0.01, 0.02]") + "weight_decay: [0.0, 0.1]\nseed: [0, 1]\n"
    )
    runs = training.read_plan(tmp_path / "plan.yml").runs()
    assert len({run.name for run in runs}) == 8
    assert {(run.peak_learning_rate, run.weight_decay, run.seed) for run in runs} == set(
        itertools.product((0.01, 0.02), (0.0, 0.1), (0, 1))
    )
    assert "tiny-32x1-lr0.02-wd0-seed1" in {run.name for run in runs}


def test_learning_rates_of_the_schedules():
    shape = {"model": ModelEntry("m", 32, 1, 2), "warmup_steps": 10, "weight_decay": 0.1, "seed": 0}
    cosine = Run("c", steps=(110,), peak_learning_rate=1.0, schedule="cosine", **shape)
    assert [cosine.learning_rate(step) for step in (5, 10, 60, 110)] == pytest.approx([0.5, 1.0, 0.55, 0.1])
    assert [cosine.phase(step) for step in (10, 11)] == ["warmup", "decay"]
    cooldown = Run("d", steps=(90, 100), peak_learning_rate=2.0, schedule="cooldown", branched_at_step=80, **shape)
    assert [cooldown.learning_rate(step) for step in (5, 80, 90, 100)] == pytest.approx([1.0, 2.0, 1.0, 0.0])
    assert [cooldown.phase(step) for step in (80, 81)] == ["stable", "decay"]


def test_the_committed_plans_hold_what_the_manifest_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    plans = [training.read_plan(path) for path in sorted(Path("sweeps").glob("train-*.yml"))]
    runs = {
        (plan.family, run.name): (plan, run) for plan in plans for t in plan.runs() for run in (t, *plan.branches(t))
    }
    assert len(runs) == sum(1 + len(plan.branches(t)) for plan in plans for t in plan.runs()), "names are unique"
    for spec in catalogue.read_manifest(Path("data/tadpole")):
        plan, run = runs[spec.family, spec.run]
        assert (spec.d_model, spec.n_layers) == (run.model.d_model, run.model.n_layers)
        assert spec.step in run.steps
        assert spec.tokens_seen == spec.step * plan.tokens_per_step
        assert spec.learning_rate == run.learning_rate(spec.step)


def test_the_trunk_is_what_the_study_needs(monkeypatch):
    """At least seven sizes, 18 checkpoints from 4M tokens, 12 of them beyond 60M; tokens a parameter by size."""
    monkeypatch.chdir(ROOT)
    plan = training.read_plan(Path("sweeps/train-tadpole-trunk.yml"))
    tokens = [step * plan.tokens_per_step for step in plan.steps]
    assert len(plan.models) >= 7
    assert len(tokens) >= 18
    assert tokens[0] < 4.5e6
    assert sum(n > 60e6 for n in tokens) >= 12
    for model in plan.models:
        n = model.n_params_non_embedding
        least = next(ratio for limit, ratio in ((4e5, 2000), (4e6, 250), (1.5e7, 55), (1e12, 25)) if n < limit)
        assert tokens[-1] / n >= least, model.name
    (trunk, *_) = plan.runs()
    ends = [branch.steps[-1] for branch in plan.branches(trunk)]
    assert set(ends) <= set(plan.steps), "a cooldown ends where the trunk has a checkpoint"


def test_selecting_a_pocket_family_keeps_weights_and_description(text, plan_path, tmp_path):
    train(plan_path, tmp_path / "out")
    (tmp_path / "pocket").mkdir()
    folder.select(tmp_path / "out", ["tiny-32x1"], [4, 16], tmp_path / "pocket")
    pocket = catalogue.read_manifest(tmp_path / "pocket")
    whole = {spec.step: spec.weights_sha256 for spec in catalogue.read_manifest(tmp_path / "out")}
    assert {spec.step: spec.weights_sha256 for spec in pocket} == {step: whole[step] for step in (4, 16)}


def test_a_device_that_is_not_there_is_refused_before_any_work(text, plan_path, tmp_path):
    with pytest.raises(SpecError, match="device 'gpu'; accepted: cpu"):
        training.train_family(plan_path, tmp_path / "out", "gpu", Console(quiet=True))
    assert not (tmp_path / "out").exists()


# ---- kills, full disks, two at once, another plan --------------------------------------------------------------------

TWO = PLAN.replace("peak", "  - {name: tiny-32x2, d_model: 32, n_layers: 2, n_heads: 2}\npeak", 1).replace(
    "[2, 4, 8, 16]", "[2, 4]"
)


def broken_off_at(monkeypatch, owner, name: str, number: int, error: BaseException) -> None:
    """Let the call of that number (from 1) of a function end in `error`."""
    real, calls = getattr(owner, name), itertools.count(1)

    def maybe(*arguments, **options):
        if next(calls) == number:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, maybe)


def test_a_kill_between_a_runs_end_and_the_manifest_loses_no_checkpoint_from_it(text, plan_path, tmp_path, monkeypatch):
    """Of the second run nothing is left to train; its checkpoints are there, and the manifest didn't know."""
    plan_path.write_text(TWO)
    train(plan_path, tmp_path / "whole")
    with monkeypatch.context() as patched:
        broken_off_at(patched, training, "write_manifest", 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(plan_path, tmp_path / "broken")
    assert len(_entries(tmp_path / "broken")) == 2
    train(plan_path, tmp_path / "broken")
    assert (tmp_path / "broken/manifest.json").read_bytes() == (tmp_path / "whole/manifest.json").read_bytes()


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (os, "replace"), (Path, "rename"), (shutil, "copyfile")])
def test_one_write_that_fails_is_one_line_and_a_rerun_ends_with_the_same_family(
    text, plan_path, tmp_path, monkeypatch, owner, name
):
    """The first such call fails, then one in the middle, then the last."""
    plan_path.write_text(BRANCHED.replace("[2, 4, 8, 16]", "[4, 8]"))
    counted, real = itertools.count(), getattr(owner, name)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, lambda *given, **options: (next(counted), real(*given, **options))[1])
        train(plan_path, tmp_path / "whole")
    expected, n_calls = tree_of(tmp_path / "whole"), next(counted)
    assert n_calls > 0
    for number in sorted({1, (n_calls + 1) // 2, n_calls}):
        out = tmp_path / f"broken-{number}"
        with monkeypatch.context() as patched:
            broken_off_at(patched, owner, name, number, FULL)
            with pytest.raises(ResultsError, match="^[^\n]*can't be written .No space left on device.[^\n]*$"):
                train(plan_path, out)
        train(plan_path, out)
        assert tree_of(out) == expected


def tree_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and that nothing lies beside it."""
    assert not list(folder.parent.glob(f"*{folder.name}*.lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_killed_training_left_is_cleared(text, plan_path, tmp_path):
    leftovers = (".manifest.json.0123abcd.unfinished", "tiny-32x1/.step-000002.0123abcd.unfinished/model.safetensors")
    for name in leftovers:
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(b"half of it")
    train(plan_path, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.unfinished"))


def test_a_second_training_of_a_family_is_refused_in_one_line(text, plan_path, tmp_path):
    (tmp_path / "link").symlink_to("out")
    for path in ("out", "link"):
        with folder.family_held(tmp_path / "out"), pytest.raises(ResultsError) as caught:
            train(plan_path, tmp_path / path)
        assert str(caught.value) == (f"{tmp_path / path}: another process is training into it; wait for it or end it")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.01", "0.02"),
        ("warmup_steps: 4", "warmup_steps: 2"),
        ("batch_sequences: 4", "batch_sequences: 8"),
        ("family: tiny", "family: tinier"),
        ("[2, 4, 8, 16]", "[2, 4, 8, 32]"),
        ("clip", "clip"),
    ],
)
def test_a_training_is_not_resumed_as_something_else(text, plan_path, tmp_path, monkeypatch, old, new):
    with monkeypatch.context() as patched:
        broken_off_at(patched, training.Trainer, "advance", 6, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(plan_path, tmp_path / "out")
    plan_path.write_text(PLAN.replace(old, new) + ("clip_norm: 0.5\n" if old == "clip" else ""))
    with pytest.raises(
        CheckpointError, match=r"state\.safetensors: begun under another plan; accepted: the plan it was"
    ):
        train(plan_path, tmp_path / "out")
    plan_path.write_text(PLAN.replace("models:", "models:\n  - {name: more, d_model: 32, n_layers: 1, n_heads: 1}"))
    train(plan_path, tmp_path / "out")  # another model in the plan is no other plan for this one
    assert len(_entries(tmp_path / "out")) == 8


@pytest.mark.parametrize("old", [None, b'"step":"4"', b'"checksum"'])
def test_a_training_is_not_resumed_from_a_damaged_state(text, plan_path, tmp_path, monkeypatch, old):
    """A bit of the last tensor, of the number of updates, of the checksum's name."""
    with monkeypatch.context() as patched:
        broken_off_at(patched, training.Trainer, "advance", 6, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(plan_path, tmp_path / "out")
    state = tmp_path / "out/tiny-32x1/state.safetensors"
    damaged = bytearray(state.read_bytes())
    at = len(damaged) - 1 if old is None else damaged.index(old) + len(old) - 2
    damaged[at] ^= 1
    state.write_bytes(damaged)
    message = "unknown key 'checksul'" if old == b'"checksum"' else "damaged, not what its 'checksum'"
    with pytest.raises(CheckpointError, match=rf"state\.safetensors: can't be resumed from \({message}.* delete it to"):
        train(plan_path, tmp_path / "out")


def test_a_family_that_cannot_be_written_is_refused_before_any_update(text, plan_path, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(training.Trainer, "advance", lambda *_: pytest.fail("an update was made"))
    with pytest.raises(ResultsError, match=r"manifest\.json: can't be written \(Not a directory\)"):
        train(plan_path, tmp_path / "file/out")


def test_a_pocket_family_is_made_where_there_was_no_folder(text, plan_path, tmp_path):
    train(plan_path, tmp_path / "out")
    folder.select(tmp_path / "out", ["tiny-32x1"], [4, 16], tmp_path / "deep/pocket")
    assert [spec.step for spec in catalogue.read_manifest(tmp_path / "deep/pocket")] == [4, 16]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["pocket"]
