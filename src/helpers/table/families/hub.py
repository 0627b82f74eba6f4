"""What a family of models on the Hub is: its sizes, revisions and schedule."""

import math
from dataclasses import dataclass

from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families.neox import neox_n_params_non_embedding, neox_n_params_total


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
