"""Trains a family of GPT-NeoX models from scratch: one schedule, one order of data, log-spaced checkpoints.

The order of the data depends on the seed alone, so models of one family see the same batches; a killed run goes on
from its last checkpoint to the same weights on the same machine.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import yaml
from rich.console import Console
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers import families
from helpers.measure import corpora, evaluate, training_text
from helpers.results import write_atomically
from helpers.specs import CheckpointError, CheckpointSpec, SpecError, from_mapping

STATE = "state.safetensors"


@dataclass(frozen=True)
class ModelEntry:
    """One model of a family."""

    name: str
    d_model: int
    n_layers: int
    n_heads: int


@dataclass(frozen=True)
class TrainingPlan:
    """How a family is trained: AdamW, linear warm-up, constant learning rate; a checkpoint at each of `steps`."""

    family: str
    models: tuple[ModelEntry, ...]
    steps: tuple[int, ...]
    peak_learning_rate: float
    batch_sequences: int = 256
    seq_len: int = 512
    warmup_steps: int = 200
    weight_decay: float = 0.1
    betas: tuple[float, ...] = (0.9, 0.95)
    clip_norm: float = 1.0
    seed: int = 0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        if self.schedule != "constant":
            raise SpecError(f"'schedule' is '{self.schedule}'; accepted: constant")
        if list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1:
            raise SpecError("'steps' must rise and begin at 1 or later")

    @property
    def tokens_per_step(self) -> int:
        """Return the tokens one update sees."""
        return self.batch_sequences * self.seq_len

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of the update that makes `step`, the first being step 1."""
        return self.peak_learning_rate * min(1.0, step / self.warmup_steps)


def read_plan(path: Path) -> TrainingPlan:
    """Read a family's YAML. Raises SpecError with the file's name for anything that is off."""
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(f"{path}:{error.problem_mark.line + 1}: not YAML ({error.problem})") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("models"), list):
        raise SpecError(f"{path}: a mapping with a list 'models' is expected")
    models = tuple(from_mapping(ModelEntry, entry, f"{path}: models") for entry in raw["models"])
    return from_mapping(TrainingPlan, raw | {"models": models, "steps": tuple(raw.get("steps", ()))}, str(path))


def build(entry: ModelEntry, plan: TrainingPlan, vocabulary_size: int) -> GPTNeoXForCausalLM:
    """Return a freshly initialised model; its random start depends on the plan's seed, the global state is kept."""
    config = GPTNeoXConfig(
        vocab_size=vocabulary_size,
        hidden_size=entry.d_model,
        num_hidden_layers=entry.n_layers,
        num_attention_heads=entry.n_heads,
        intermediate_size=4 * entry.d_model,
        max_position_embeddings=plan.seq_len,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        return GPTNeoXForCausalLM(config)


class Batches:
    """The training text in shuffled blocks: batch `step` is a function of the seed and the step alone."""

    def __init__(self, tokens: np.ndarray, plan: TrainingPlan, device: str) -> None:
        self.tokens = torch.from_numpy(tokens.view(np.int16)).to(device)
        self.plan = plan
        self.n_blocks = (len(tokens) - 1) // plan.seq_len
        self._orders: dict[int, Tensor] = {}

    @property
    def unique_tokens(self) -> int:
        """Return how many different tokens can be predicted."""
        return self.n_blocks * self.plan.seq_len

    def _block(self, position: Tensor) -> Tensor:
        passes = position // self.n_blocks
        picked = torch.empty_like(position)
        for number in passes.unique().tolist():
            if number not in self._orders:
                generator = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + number)
                self._orders = {number: torch.randperm(self.n_blocks, generator=generator)} | self._orders
            picked[passes == number] = self._orders[number][position[passes == number] % self.n_blocks]
        return picked

    def batch(self, step: int) -> Tensor:
        """Return the blocks of update `step` (from 1): int64 (batch_sequences, seq_len + 1)."""
        size, width = self.plan.batch_sequences, self.plan.seq_len
        blocks = self._block(torch.arange((step - 1) * size, step * size)).to(self.tokens.device)
        index = blocks[:, None] * width + torch.arange(width + 1, device=self.tokens.device)
        return self.tokens[index].long()


def _loss(model: GPTNeoXForCausalLM, batch: Tensor) -> Tensor:
    logits = model(batch[:, :-1], use_cache=False).logits.float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def optimizer_of(model: GPTNeoXForCausalLM, plan: TrainingPlan) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices and embeddings, none on biases and layer norms."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.peak_learning_rate, betas=tuple(plan.betas), fused=True)


def train_family(plan_path: Path, out: Path, device: str, console: Console) -> Path:
    """Train every model of a plan into `out/<model>/step-<n>/` and write the family's manifest; return its path.

    A checkpoint folder opens with `GPTNeoXForCausalLM.from_pretrained`. Raises SpecError and CorpusError.
    """
    plan = read_plan(plan_path)
    lock = corpora.read_lock()
    tokenizer_path = out / "tokenizer.json"
    if not tokenizer_path.exists():
        write_atomically(tokenizer_path, corpora.TADPOLE_TOKENIZER.read_bytes())
    tokenizer = corpora.Tokenizer.from_file(str(tokenizer_path))
    batches = Batches(training_text.training_tokens(lock, tokenizer), plan, device)
    blocks = corpora.heldout_blocks(lock.evaluation, tokenizer, corpora.DOCUMENTS_PER_SPLIT, plan.seq_len)
    for entry in plan.models:
        _train_model(entry, plan, batches, blocks, out, device, tokenizer.get_vocab_size(), console)
        write_manifest(out)
    return out / families.MANIFEST


def _train_model(entry, plan, batches, blocks, out, device, vocabulary_size, console) -> None:
    folder = out / entry.name
    model = build(entry, plan, vocabulary_size).to(device)
    optimizer = optimizer_of(model, plan)
    step = _resume(folder / STATE, model, optimizer)
    compiled = torch.compile(_loss) if device == "cuda" else _loss
    started, first = time.perf_counter(), step
    while step < plan.steps[-1]:
        step += 1
        _update(compiled, model, optimizer, plan, batches.batch(step), step)
        if step in plan.steps:
            loss = _save(entry, plan, model, batches, blocks, folder, step)
            _save_state(folder / STATE, model, optimizer, step)
            seconds = time.perf_counter() - started
            speed = (step - first) * plan.tokens_per_step / seconds / 1e6
            console.print(f"{entry.name} step {step}: loss {loss:.4f} nats, {speed:.2f}M tokens/s, {seconds:.0f} s")
    (folder / STATE).unlink(missing_ok=True)


def _update(compiled, model, optimizer, plan: TrainingPlan, batch: Tensor, step: int) -> None:
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate(step)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=batch.is_cuda):
        loss = compiled(model, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip_norm)
    optimizer.step()


def _save(entry, plan, model, batches, blocks, folder: Path, step: int) -> float:
    """Write a checkpoint folder under another name, then rename it; return its 16-bit loss in nats."""
    half = build(entry, plan, model.config.vocab_size).to(torch.bfloat16)
    half.load_state_dict({name: value.to("cpu", torch.bfloat16) for name, value in model.state_dict().items()})
    partial, final = folder / f".step-{step:06d}", folder / f"step-{step:06d}"
    shutil.rmtree(partial, ignore_errors=True)
    half.save_pretrained(partial)
    scored = half.float().to(model.device).eval()
    loss = evaluate.evaluate_model(scored, blocks).loss_nats
    weights = (partial / "model.safetensors").read_bytes()
    spec = CheckpointSpec(
        family=plan.family,
        model=entry.name,
        location=f"{entry.name}/{final.name}",
        step=step,
        tokens_seen=step * plan.tokens_per_step,
        tokens_planned=plan.steps[-1] * plan.tokens_per_step,
        learning_rate=plan.learning_rate(step),
        peak_learning_rate=plan.peak_learning_rate,
        lr_phase="warmup" if step <= plan.warmup_steps else "stable",
        schedule=plan.schedule,
        n_layers=entry.n_layers,
        d_model=entry.d_model,
        vocabulary_size=half.config.vocab_size,
        n_params_total=sum(p.numel() for p in half.parameters()),
        n_params_non_embedding=families.neox_n_params_non_embedding(entry.n_layers, entry.d_model),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        unique_tokens=batches.unique_tokens,
        weight_decay=plan.weight_decay,
        train_seed=plan.seed,
    )
    described = dataclasses.asdict(spec) | {"loss_nats": loss}
    (partial / "checkpoint.json").write_text(json.dumps(described, indent=1))
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)
    return loss


def _save_state(path: Path, model, optimizer, step: int) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    write_atomically(path, safetensors.torch.save(tensors, metadata={"step": str(step)}))


def _resume(path: Path, model, optimizer) -> int:
    """Load the state a killed run left, if any; return the step it had reached. Raises CheckpointError."""
    if not path.exists():
        return 0
    try:
        with safetensors.safe_open(path, "pt") as file:
            step = int(file.metadata()["step"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: can't be resumed from ({error}); delete it to start again") from None
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    described = optimizer.state_dict()
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, field = name.split(".")
            described["state"].setdefault(int(index), {})[field] = tensor
    optimizer.load_state_dict(described)
    return step


def write_manifest(folder: Path) -> None:
    """Write `manifest.json` of a family's folder from the description each checkpoint carries."""
    entries = [json.loads(path.read_text()) for path in folder.glob("*/step-*/checkpoint.json")]
    entries.sort(key=lambda entry: (entry["n_params_total"], entry["model"], entry["step"]))
    write_atomically(folder / families.MANIFEST, (json.dumps({"checkpoints": entries}, indent=1) + "\n").encode())


def select(source: Path, models: list[str], steps: list[int], out: Path) -> None:
    """Copy some checkpoints of a family, with its tokenizer, into a family folder of their own."""
    shutil.copyfile(source / "tokenizer.json", out / "tokenizer.json")
    for spec in families.checkpoints(str(source), models, steps, str(source)):
        destination = out / spec.model / Path(spec.location).name
        shutil.copytree(spec.location, destination, dirs_exist_ok=True)
    write_manifest(out)
