"""A checkpoint: which weights, after how many tokens of which run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckpointSpec:
    """Which weights: one step of one training run, with everything a law may need to know about it.

    None stands for what no source says.
    """

    family: str
    model: str
    run: str  # the training run, by a name of its own within the family
    location: str  # a folder in Hugging Face layout, or a Hub repository
    step: int
    tokens_seen: int
    tokens_planned: int
    learning_rate: float | None
    peak_learning_rate: float | None
    lr_phase: str | None  # warmup, stable or decay
    schedule: str  # constant, cosine, cooldown or warmup_stable_decay
    n_layers: int
    d_model: int
    vocabulary_size: int
    n_params_total: int
    n_params_non_embedding: int
    revision: str | None = None  # of a Hub repository
    weights_sha256: str | None = None  # expected; None where only the download tells
    unique_tokens: int | None = None
    weight_decay: float | None = None
    train_seed: int = 0
    branched_from: str | None = None  # the run a cooldown goes on from
    branched_at_step: int | None = None
    n_averaged: int = 1  # weights are the mean of so many moments of the run, the last at `step`

    @property
    def epochs(self) -> float | None:
        """How often the training text had been seen, in passes."""
        return None if self.unique_tokens is None else self.tokens_seen / self.unique_tokens

    @property
    def lr_fraction(self) -> float | None:
        """Learning rate at this step, as a share of its peak."""
        if self.learning_rate is None or self.peak_learning_rate is None:
            return None
        return self.learning_rate / self.peak_learning_rate

    @property
    def label(self) -> str:
        """Return a short name for messages: run and step."""
        return f"{self.run}@{self.step}"
