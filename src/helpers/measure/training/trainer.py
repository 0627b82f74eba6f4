"""The training of GPT-NeoX families from scratch, run after run: log-spaced checkpoints, cooldowns, averages.

The order of the data depends on the seed alone, so runs of one seed see the same batches, and one that reads a part of
the text sees them until it reads that part again; a killed run goes on from its last checkpoint to the same weights on
the same machine.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from rich.console import Console
from torch import Tensor

from helpers.measure.models.checkpoints import read_tokenizer
from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.training import corpus
from helpers.measure.training.folder import (
    DivergedError,
    Writer,
    build,
    family_held,
    refuse_divergence,
    write_manifest,
)
from helpers.measure.training.plan import Run, TrainingPlan, read_plan
from helpers.measure.training.plan_table import plan_table
from helpers.measure.training.rounded_layers import round_in_training
from helpers.measure.training.updates import loss_of, optimizer_of, uphill
from helpers.table import disk
from helpers.table.errors import CheckpointError, SpecError
from helpers.table.families import catalogue
from helpers.table.records import CHECKSUM, DamagedError, digest, refuse_unknown

STATE = "state.safetensors"
SHAPES_AT_MOST = 256
WARMUPS = 3  # updates before a GPU's graph is captured; they are undone
CHECKED_EVERY = 50  # updates after which the training loss is looked at, which waits for a GPU


class Batches:
    """The training text in shuffled blocks: batch `step` is a function of the seed and the step alone.

    With `unique_tokens` a run reads only the blocks that its first pass over the whole text would begin with: up to
    there it sees what a run on the whole text sees, then the same blocks again. They are a random sample, so every kind
    of document is among them. A later pass is the whole text's order of that pass without the other blocks. Raises
    SpecError when the text has fewer tokens.
    """

    def __init__(
        self, tokens: Tensor, batch_sequences: int, seq_len: int, seed: int, unique_tokens: int | None = None
    ) -> None:
        self.tokens, self.size, self.width, self.seed = tokens, batch_sequences, seq_len, seed
        self._n_in_text = (len(tokens) - 1) // seq_len
        self.n_blocks = self._n_in_text if unique_tokens is None else unique_tokens // seq_len
        if self.n_blocks > self._n_in_text:
            most = self._n_in_text * seq_len
            raise SpecError(f"'unique_tokens' is {unique_tokens:,}; accepted: up to {most:,}, as many as the text has")
        self._is_read = torch.zeros(self._n_in_text, dtype=torch.bool)
        self._is_read[self._whole_order(0)[: self.n_blocks]] = True
        self._orders: dict[int, Tensor] = {}

    @property
    def unique_tokens(self) -> int:
        """Return how many different tokens can be predicted."""
        return self.n_blocks * self.width

    def _whole_order(self, number: int) -> Tensor:
        """Return the order in which pass `number` (from 0) over the whole text visits its blocks."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        return torch.randperm(self._n_in_text, generator=generator)

    def _block(self, position: Tensor) -> Tensor:
        passes = position // self.n_blocks
        picked = torch.empty_like(position)
        for number in passes.unique().tolist():
            if number not in self._orders:
                order = self._whole_order(number)
                self._orders = {number: order[self._is_read[order]]} | self._orders
            picked[passes == number] = self._orders[number][position[passes == number] % self.n_blocks]
        return picked

    def batch(self, step: int) -> Tensor:
        """Return the blocks of update `step` (from 1): int64 (batch_sequences, seq_len + 1)."""
        blocks = self._block(torch.arange((step - 1) * self.size, step * self.size))
        blocks = blocks.to(self.tokens.device, non_blocking=True)
        index = blocks[:, None] * self.width + torch.arange(self.width + 1, device=self.tokens.device)
        return self.tokens[index].long()


class Trainer:
    """A model, its optimizer and its state on disk; on a GPU one update is one captured graph."""

    def __init__(self, plan: TrainingPlan, run: Run, device: str, vocabulary_size: int, text_sha256: str) -> None:
        self.plan, self.run, self.text_sha256 = plan, run, text_sha256
        self.model = build(run.model, plan.seq_len, run.seed, vocabulary_size).to(device)
        if run.low_bits is not None:
            round_in_training(self.model, run.low_bits)
        self.optimizer = optimizer_of(self.model, run.weight_decay, plan.betas)
        self.step = 0
        self.loss = torch.zeros(())  # of the last update's batch, before it
        self._update: Callable[[Tensor], None] | None = None

    def advance(self, batch: Tensor) -> None:
        """Make one update with the blocks of its step."""
        if self._update is None:
            self._update = self._captured(batch) if batch.is_cuda else self._plain
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"].fill_(self.run.learning_rate(self.step))
        self._update(batch)

    def _gradient(self, batch: Tensor, loss_function: Callable[..., Tensor]) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=batch.is_cuda, cache_enabled=False):
            loss = loss_function(self.model, batch)
        self.loss = loss.detach()
        loss.backward()

    def _plain(self, batch: Tensor, loss_function: Callable[..., Tensor] = loss_of) -> None:
        self._gradient(batch, loss_function)
        if self.run.sharpness_radius is not None:
            with uphill(self.model.parameters(), self.run.sharpness_radius):
                self._gradient(batch, loss_function)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip_norm)
        self.optimizer.step()

    def _captured(self, batch: Tensor) -> Callable[[Tensor], None]:
        """Return an update that replays a CUDA graph; what warming up changed is put back."""
        loss_function, static, before = torch.compile(loss_of), batch.clone(), _copied(self._tensors())
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        # every size compiles anew; beyond the default of 8 PyTorch would go on uncompiled without a word
        with torch.cuda.stream(stream), torch._dynamo.config.patch(recompile_limit=SHAPES_AT_MOST):
            for _ in range(WARMUPS):
                self._plain(static, loss_function)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self._plain(static, loss_function)
        self._put_back(before)

        def replay(batch: Tensor) -> None:
            static.copy_(batch)
            graph.replay()

        return replay

    def _tensors(self) -> dict[str, Tensor]:
        """Return weights and the optimizer's state by name."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        return tensors

    @torch.no_grad()
    def _put_back(self, before: dict[str, Tensor]) -> None:
        """Copy earlier values into the tensors that are there; an optimizer that had no state yet starts at zero."""
        for name, value in self._tensors().items():
            value.copy_(before[name]) if name in before else value.zero_()

    def save(self, path: Path) -> None:
        """Write weights, optimizer, step, what the run was to be and on which text, atomically. Raises ResultsError."""
        metadata = {"step": str(self.step), "plan": self.plan.digest_of(self.run), "text": self.text_sha256}
        tensors = self._tensors()
        metadata[CHECKSUM] = digest([metadata, _hashes(tensors)])
        disk.write_atomically(path, safetensors.torch.save(tensors, metadata=metadata))

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote.

        Raises CheckpointError when it can't be read, is damaged or was begun as something else. What an older version
        wrote has no checksum.
        """
        try:
            with safetensors.safe_open(path, "pt") as file:
                metadata = dict(file.metadata())
                self.step = int(metadata["step"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            refuse_unknown(metadata, ("step", "plan", "text", CHECKSUM))
            said = metadata.pop(CHECKSUM, None)
            if said not in (None, digest([metadata, _hashes(tensors)])):
                raise DamagedError(f"damaged, not what its '{CHECKSUM}' was made of")
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: can't be resumed from ({error}); delete it to start again") from None
        if metadata.get("plan") != self.plan.digest_of(self.run):
            raise CheckpointError(
                f"{path}: begun under another plan; accepted: the plan it was begun under, or delete {path.parent}"
            )
        if metadata.get("text") != self.text_sha256:
            raise CheckpointError(
                f"{path}: begun on another training text, or by a version that didn't note it;"
                f" accepted: the text it was begun on, or delete {path.parent}"
            )
        self.model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
        described = self.optimizer.state_dict()
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, field = name.split(".")
                described["state"].setdefault(int(index), {})[field] = tensor
        self.optimizer.load_state_dict(described)


def _hashes(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Return the SHA-256 of each tensor's dtype, shape and bytes, by name in order."""
    hashes = {}
    for name, tensor in sorted(tensors.items()):
        found = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        hashes[name] = found.hexdigest()
    return hashes


def train_family(plan_path: Path, out: Path, device: str, console: Console, models: list[str] | None = None) -> Path:
    """Train the runs of a plan into `out/<run>/step-<n>/` and write the family's manifest; return its path.

    `models` picks some of the plan's models. What is finished stays as it is. A checkpoint folder opens with
    `GPTNeoXForCausalLM.from_pretrained`. Raises SpecError, CorpusError, CheckpointError for a run that can't be
    resumed, DivergedError for one whose loss isn't finite, and ResultsError when another process trains into `out` or
    the disk refuses.
    """
    refuse_missing_device(device)
    plan = read_plan(plan_path)
    runs = [run for run in plan.runs() if models is None or run.model.name in models]
    unknown = sorted(set(models or ()) - {model.name for model in plan.models})
    if unknown:
        raise SpecError(
            f"{plan_path}: unknown model '{unknown[0]}'; accepted: {', '.join(m.name for m in plan.models)}"
        )
    with family_held(out):
        _train_runs(plan, runs, out, device, console)
    return out / catalogue.MANIFEST


def _train_runs(plan: TrainingPlan, runs: list[Run], out: Path, device: str, console: Console) -> None:
    tokenizer_path = out / "tokenizer.json"
    if not tokenizer_path.exists():
        disk.write_atomically(tokenizer_path, corpus_lock.TADPOLE_TOKENIZER.read_bytes())
    tokenizer = read_tokenizer(tokenizer_path)
    console.print(plan_table(plan, runs, tokenizer.get_vocab_size()))
    lock = corpus_lock.read_lock()
    tokens = corpus.training_tokens(lock, tokenizer)
    on_device = torch.from_numpy(tokens.view(np.int16)).to(device)
    text_sha256 = hashlib.sha256(tokens.data).hexdigest()
    blocks = token_blocks.heldout_blocks(lock.evaluation, tokenizer, corpus_lock.DOCUMENTS_PER_SPLIT, plan.seq_len)
    text = on_device, plan.batch_sequences, plan.seq_len
    for run in runs:
        Batches(*text, run.seed, run.unique_tokens)  # refuses before the first update what the text hasn't enough for
    for run in (run for trunk in runs for run in (trunk, *plan.branches(trunk))):
        if not (out / run.name / f"step-{run.steps[-1]:06d}").exists() or (out / run.name / STATE).exists():
            batches = Batches(*text, run.seed, run.unique_tokens)
            trainer = Trainer(plan, run, device, tokenizer.get_vocab_size(), text_sha256)
            writer = Writer(plan, run, out, batches.unique_tokens, blocks, tokenizer.get_vocab_size(), device)
            try:
                _train_run(trainer, batches, writer, out, console)
            except DivergedError:
                write_manifest(out)  # what the run had written before stays, and is found
                raise
            write_manifest(out)
    write_manifest(out)  # a kill may have come between the last run's end and its entries


def _train_run(trainer: Trainer, batches: Batches, writer: Writer, out: Path, console: Console) -> None:
    """Train one run to its end, from its state on disk if there is one. Raises CheckpointError for a lost state."""
    plan, run, state = trainer.plan, trainer.run, out / trainer.run.name / STATE
    if state.exists():
        trainer.load(state)
        _leave_for_branches(plan, run, trainer.step, out)
    elif run.branched_from is not None:
        raise CheckpointError(f"{state}: missing; delete {out / run.branched_from} to train that run again")
    else:
        trainer.save(state)  # a run with a state isn't finished, however few of its checkpoints there are
    moments = plan.moments(run)
    kept: list[dict[str, Tensor]] = []  # weights of the moments that the next average needs
    started, first = time.perf_counter(), trainer.step
    while trainer.step < run.steps[-1]:
        trainer.advance(batches.batch(trainer.step + 1))
        if trainer.step % CHECKED_EVERY == 0 or trainer.step in run.steps:
            refuse_divergence(run, trainer.step, trainer.loss.item())
        if trainer.step in moments:
            kept.append(_copied(trainer.model.state_dict()))
        if trainer.step not in run.steps:
            continue
        if kept:
            writer.save(_mean(kept), trainer.step, n_averaged=len(kept))
            kept.clear()
        loss = writer.save(trainer.model.state_dict(), trainer.step)
        trainer.save(state)
        _leave_for_branches(plan, run, trainer.step, out)
        seconds = time.perf_counter() - started
        speed = (trainer.step - first) * plan.tokens_per_step / seconds / 1e6
        console.print(f"{run.name} step {trainer.step}: loss {loss:.4f} nats, {speed:.2f}M tokens/s, {seconds:.0f} s")
    with disk.refusals_named(state):
        state.unlink(missing_ok=True)


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tensors.items()}


def _mean(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def _leave_for_branches(plan: TrainingPlan, run: Run, step: int, out: Path) -> None:
    """Leave a copy of a run's state where each cooldown that branches off at this step will look for its own."""
    for branch in plan.branches(run) if run.branched_from is None else []:
        start = out / branch.name / STATE
        if branch.branched_at_step == step and not start.exists():
            with disk.replacing(start) as partial:
                shutil.copyfile(out / run.name / STATE, partial)
