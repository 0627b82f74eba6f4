"""What is known about checkpoint families: where their weights are, and what each step had seen.

A family on the Hub is described here; a family this project trained is described by the `manifest.json` that
training wrote beside its checkpoints. Either way the answer is a list of `CheckpointSpec`.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from helpers.table.rows import CheckpointSpec, SpecError, from_mapping

MANIFEST = "manifest.json"


def neox_n_params_non_embedding(n_layers: int, d_model: int) -> int:
    """Return GPT-NeoX's parameters without token embeddings and output head: N as the QiD law counts it.

    Per layer 12 d^2 weights and 13 d biases and layer norms, and 2 d for the last norm; for Pythia-1.4B it gives
    the 1,208,602,624 of the suite's own table (Biderman et al. 2023, arXiv 2304.01373).
    """
    return n_layers * (12 * d_model**2 + 13 * d_model) + 2 * d_model


def neox_n_params_total(n_layers: int, d_model: int, vocabulary_size: int) -> int:
    """Return all GPT-NeoX parameters, with untied embedding and output head."""
    return neox_n_params_non_embedding(n_layers, d_model) + 2 * vocabulary_size * d_model


def neox_linear_shapes(d_model: int) -> dict[str, tuple[int, int]]:
    """Return (rows, columns) of the linear layers in one GPT-NeoX block, by name."""
    return {
        "attention.query_key_value": (3 * d_model, d_model),
        "attention.dense": (d_model, d_model),
        "mlp.dense_h_to_4h": (4 * d_model, d_model),
        "mlp.dense_4h_to_h": (d_model, 4 * d_model),
    }


@dataclass(frozen=True)
class HubModel:
    """One model of a family on the Hub."""

    name: str
    repository: str
    n_layers: int
    d_model: int
    vocabulary_size: int
    peak_learning_rate: float


@dataclass(frozen=True)
class HubFamily:
    """A family on the Hub with one revision a step: cosine decay to a tenth of the peak after a linear warm-up."""

    name: str
    models: tuple[HubModel, ...]
    steps: tuple[int, ...]
    tokens_per_step: int
    warmup_steps: int
    total_steps: int
    weight_decay: float

    def learning_rate(self, model: HubModel, step: int) -> float:
        """Return the learning rate of the update that made `step`."""
        if step <= self.warmup_steps:
            return model.peak_learning_rate * step / self.warmup_steps
        progress = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return model.peak_learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress)))

    def checkpoint(self, model: HubModel, step: int) -> CheckpointSpec:
        """Describe one step of one model."""
        return CheckpointSpec(
            family=self.name,
            model=model.name,
            run=model.name,
            location=model.repository,
            revision=f"step{step}",
            step=step,
            tokens_seen=step * self.tokens_per_step,
            tokens_planned=self.total_steps * self.tokens_per_step,
            learning_rate=self.learning_rate(model, step),
            peak_learning_rate=model.peak_learning_rate,
            lr_phase="warmup" if step <= self.warmup_steps else "decay",
            schedule="cosine",
            weight_decay=self.weight_decay,
            n_layers=model.n_layers,
            d_model=model.d_model,
            vocabulary_size=model.vocabulary_size,
            n_params_total=neox_n_params_total(model.n_layers, model.d_model, model.vocabulary_size),
            n_params_non_embedding=neox_n_params_non_embedding(model.n_layers, model.d_model),
        )


PYTHIA_STEPS = (0, *(2**k for k in range(10)), *range(1000, 144000, 1000))
# Name, layers, width, vocabulary after padding, peak learning rate. Rates: the table in the suite's README, and for
# sizes below 160M the training configurations in EleutherAI/pythia. For 1B the table has 3e-4, the configuration
# 2.5e-4. Layers and widths give the sizes of the public evaluations (a test). The vocabularies are from memory: they
# only enter `n_params_total`.
PYTHIA_SHAPES = (
    ("14m", 6, 128, 50304, 1e-3),
    ("31m", 6, 256, 50304, 1e-3),
    ("70m", 6, 512, 50304, 1e-3),
    ("160m", 12, 768, 50304, 6e-4),
    ("410m", 24, 1024, 50304, 3e-4),
    ("1b", 16, 2048, 50304, 3e-4),
    ("1.4b", 24, 2048, 50304, 2e-4),
    ("2.8b", 32, 2560, 50304, 1.6e-4),
    ("6.9b", 32, 4096, 50432, 1.2e-4),
    ("12b", 36, 5120, 50688, 1.2e-4),
)


def _pythia(name: str, suffix: str, shapes: tuple) -> HubFamily:
    models = tuple(
        HubModel(f"pythia-{size}{suffix}", f"EleutherAI/pythia-{size}{suffix}", *rest) for size, *rest in shapes
    )
    return HubFamily(
        name, models, PYTHIA_STEPS, tokens_per_step=2_097_152, warmup_steps=1430, total_steps=143_000, weight_decay=0.1
    )


HUB_FAMILIES = {
    family.name: family
    for family in (
        _pythia("pythia", "", PYTHIA_SHAPES),
        _pythia("pythia-deduped", "-deduped", PYTHIA_SHAPES[2:]),
    )
}


def checkpoints(
    family: str,
    models: list[str] | None,
    steps: list[int] | None,
    where: str,
    runs: list[str] | None = None,
) -> list[CheckpointSpec]:
    """Return the checkpoints of a Hub family's name or a trained family's folder, optionally some of them.

    Raises SpecError, beginning with `where`, that names an unknown family, model, step or run and what is accepted.
    """
    if family in HUB_FAMILIES:
        known = HUB_FAMILIES[family]
        specs = [known.checkpoint(model, step) for model in known.models for step in known.steps]
    elif (Path(family) / MANIFEST).exists():
        specs = read_manifest(Path(family))
    else:
        names = ", ".join(HUB_FAMILIES)
        raise SpecError(f"{where}: unknown family '{family}'; accepted: {names}, or a folder with a {MANIFEST}")
    for name, wanted in (("model", models), ("step", steps), ("run", runs)):
        _refuse_unknown(name, wanted, {getattr(spec, name) for spec in specs}, where)
        specs = [spec for spec in specs if wanted is None or getattr(spec, name) in wanted]
    return specs


def _refuse_unknown(what: str, wanted: list | None, known: set, where: str) -> None:
    for value in wanted or []:
        if value not in known:
            accepted = ", ".join(str(k) for k in sorted(known))
            raise SpecError(f"{where}: unknown {what} '{value}'; accepted: {accepted}")


def read_manifest(folder: Path) -> list[CheckpointSpec]:
    """Return the checkpoints a trained family's manifest lists, located relative to its folder.

    Raises SpecError when the manifest is missing or isn't JSON, or an entry has an unknown or missing field.
    """
    path = folder / MANIFEST
    specs = []
    for index, entry in enumerate(_entries(path)):
        known = {name: value for name, value in entry.items() if name != "loss_nats"}
        spec = from_mapping(CheckpointSpec, known | {"location": str(folder / entry["location"])}, f"{path}: {index}")
        specs.append(spec)
    return specs


def read_losses(folder: Path) -> dict[str, float]:
    """Return the 16-bit losses on held-out text that a trained family's manifest has, in nats a token, by location.

    Locations are as `read_manifest` gives them. Raises SpecError when the manifest is missing or isn't JSON.
    """
    entries = _entries(folder / MANIFEST)
    return {str(folder / entry["location"]): entry["loss_nats"] for entry in entries if "loss_nats" in entry}


def _entries(path: Path) -> list[dict]:
    try:
        return json.loads(path.read_text())["checkpoints"]
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SpecError(f"{path}: not a family manifest ({error})") from None
