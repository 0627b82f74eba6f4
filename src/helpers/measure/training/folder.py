"""Files that training leaves on disk: checkpoint folders in Hugging Face layout, their descriptions, a manifest."""

import contextlib
import dataclasses
import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.measure.models.checkpoints import architecture_of
from helpers.measure.models.decoders import decoder_of
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.measure.training.plan import ModelEntry, Run, TrainingPlan
from helpers.measure.training.rounded_layers import deployed
from helpers.table import disk
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CheckpointError
from helpers.table.families import catalogue
from helpers.table.names import below
from helpers.table.readers import read_json_mapping
from helpers.table.records import refuse_unknown, summed, verified

DESCRIBED = (*(field.name for field in dataclasses.fields(CheckpointSpec)), catalogue.LOSS)


def build(entry: ModelEntry, seq_len: int, seed: int, vocabulary_size: int) -> GPTNeoXForCausalLM:
    """Return a freshly initialised model; its random start depends on the seed alone, the global state is kept."""
    config = GPTNeoXConfig(
        vocab_size=vocabulary_size,
        hidden_size=entry.d_model,
        num_hidden_layers=entry.n_layers,
        num_attention_heads=entry.n_heads,
        intermediate_size=4 * entry.d_model,
        max_position_embeddings=seq_len,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GPTNeoXForCausalLM(config)


class DivergedError(CheckpointError):
    """The loss of a run isn't a number any more."""


def refuse_divergence(run: Run, step: int, loss: float) -> None:
    """Raise DivergedError, naming step and rate, where the loss of a run isn't finite."""
    if not math.isfinite(loss):
        raise DivergedError(
            f"{run.name}: the loss is {loss} at step {step}, learning rate {run.learning_rate(step):g}; its checkpoints"
            " before that stay; accepted: a lower 'peak_learning_rate'"
        )


class Writer:
    """A writer of one run's checkpoints that also scores them on held-out text.

    They are in bfloat16, or, of a run at low bits, what is deployed: the matrices' rounded weights, in float32.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        run: Run,
        out: Path,
        unique_tokens: int,
        blocks: Blocks,
        vocabulary_size: int,
        device: str,
    ) -> None:
        self.plan, self.run, self.out, self.unique_tokens, self.blocks = plan, run, out, unique_tokens, blocks
        shape = run.model, plan.seq_len, run.seed, vocabulary_size
        self._written = build(*shape).to(torch.bfloat16 if run.low_bits is None else torch.float32)
        self._matrices = {f"{name}.weight" for name in decoder_of(self._written).linear_layers()}
        self._scored = build(*shape).to(device).eval().requires_grad_(False)

    def save(self, state: dict[str, Tensor], step: int, n_averaged: int = 1) -> float:
        """Write the weights `state` of `step`; return the loss, in nats per token, of the checkpoint as it opens.

        The folder is written under another name, then renamed. An average of moments is a run beside this one. Raises
        DivergedError for a loss that isn't finite, ResultsError when the disk refuses.
        """
        name = self.run.name if n_averaged == 1 else f"{self.run.name}-average{n_averaged}"
        final = self.out / name / f"step-{step:06d}"
        low_bits = self.run.low_bits
        self._written.load_state_dict(state if low_bits is None else deployed(state, self._matrices, low_bits))
        self._scored.load_state_dict(self._written.state_dict())
        loss = evaluate.evaluate_model(self._scored, self.blocks).loss_nats
        refuse_divergence(self.run, step, loss)
        with disk.whole_folder(final) as partial, disk.refusals_named(final):
            self._written.save_pretrained(partial)
            weights_sha256 = hashlib.sha256((partial / "model.safetensors").read_bytes()).hexdigest()
            spec = self._describe(f"{name}/{final.name}", name, step, n_averaged, weights_sha256)
            described = dataclasses.asdict(spec) | {"architecture": architecture_of(partial), "loss_nats": loss}
            (partial / "checkpoint.json").write_text(json.dumps(summed(described), indent=1))
            shutil.rmtree(final, ignore_errors=True)
        return loss

    def _describe(self, location: str, name: str, step: int, n_averaged: int, weights_sha256: str) -> CheckpointSpec:
        run, model, per_step = self.run, self.run.model, self.plan.tokens_per_step
        averaged = n_averaged > 1
        return CheckpointSpec(
            family=self.plan.family,
            model=model.name,
            run=name,
            location=location,
            step=step,
            tokens_seen=step * per_step,
            tokens_planned=run.steps[-1] * per_step,
            learning_rate=run.learning_rate(step),
            peak_learning_rate=run.peak_learning_rate,
            lr_phase=run.phase(step),
            schedule=run.schedule,
            n_layers=model.n_layers,
            d_model=model.d_model,
            vocabulary_size=self._written.config.vocab_size,
            n_params_total=sum(p.numel() for p in self._written.parameters()),
            n_params_non_embedding=model.n_params_non_embedding,
            weights_sha256=weights_sha256,
            unique_tokens=self.unique_tokens,
            weight_decay=run.weight_decay,
            train_seed=run.seed,
            branched_from=run.name if averaged else run.branched_from,
            branched_at_step=step if averaged else run.branched_at_step,
            n_averaged=n_averaged,
        )


def write_manifest(folder: Path) -> None:
    """Write `manifest.json` of a family's folder from the description each checkpoint carries, if it says anything new.

    Raises CheckpointError for a description that can't be read, ResultsError when the disk refuses.
    """
    entries = [_description(path) for path in folder.glob("*/step-*/checkpoint.json")]
    entries.sort(key=lambda entry: (entry["n_params_total"], entry["run"], entry["step"]))
    content = (json.dumps(summed({catalogue.ENTRIES: entries}), indent=1) + "\n").encode()
    path = folder / catalogue.MANIFEST
    if not path.exists() or path.read_bytes() != content:
        disk.write_atomically(path, content)


def _description(path: Path) -> dict[str, Any]:
    try:
        entry = verified(read_json_mapping(path))
        refuse_unknown(entry, DESCRIBED)
        return entry
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a checkpoint's description ({error}); train that run again") from None


@contextlib.contextmanager
def family_held(folder: Path) -> Iterator[None]:
    """Hold a family's folder against a second process, and clear what killed ones left in it.

    Raises ResultsError when another process holds it or it can't be written.
    """
    disk.refuse_unwritable(folder / catalogue.MANIFEST)
    with disk.exclusive(folder, doing="training into"):
        for place in (folder, *filter(Path.is_dir, folder.glob("*"))):
            disk.clear_unfinished(place, "*")
        yield


def select(source: Path, runs: list[str], steps: list[int], out: Path) -> None:
    """Copy some checkpoints of a family, with its tokenizer, into a family folder of their own.

    Raises SpecError for a run or step that isn't there, ResultsError as `family_held` does.
    """
    specs = catalogue.checkpoints(str(source), None, steps, str(source), runs)
    with family_held(out), disk.refusals_named(out):
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / "tokenizer.json", out / "tokenizer.json")
        for spec in specs:
            target = below(out, out / spec.run / Path(spec.location).name)
            shutil.copytree(spec.location, target, dirs_exist_ok=True)
        write_manifest(out)
