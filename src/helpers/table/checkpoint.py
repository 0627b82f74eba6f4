"""A checkpoint: which weights, after how many tokens of which run."""

from dataclasses import dataclass
from typing import Annotated

from helpers.table.ranges import AMOUNT, MOST_TOKENS, Range
from helpers.table.roles import covariate, key, provenance


@dataclass(frozen=True)
class Beside:
    """Files beside weights that decide what is computed with them, by hash; None where a manifest pins them already."""

    architecture_hash: Annotated[
        str | None, key("what config.json decides: hash of all but names and versions; null where a manifest pins it")
    ] = None
    tokenizer_sha256: Annotated[
        str | None, key("SHA-256 of tokenizer.json; null where a manifest pins the architecture")
    ] = None


NOTHING_BESIDE = Beside()


@dataclass(frozen=True)
class CheckpointSpec:
    """The weights of one step of one training run, with everything a law may need to know about them.

    A field is None where no source says.
    """

    family: Annotated[str, covariate("models made in the same way in several sizes")]
    model: Annotated[str, covariate("name of the size within the family")]
    run: Annotated[str, covariate("the training run, by a name of its own within the family")]
    location: str  # a folder in Hugging Face layout, or a Hub repository
    step: Annotated[int | None, covariate("updates made"), Range(0, 10**12)]
    tokens_seen: Annotated[
        int | None, covariate("training tokens seen, repetitions counted (D)"), Range(0, MOST_TOKENS)
    ]
    tokens_planned: Annotated[
        int | None, covariate("training tokens of the whole run as its schedule plans it"), Range(0, MOST_TOKENS)
    ]
    learning_rate: Annotated[float | None, covariate("learning rate of the update that made `step`"), Range(0, 1000)]
    peak_learning_rate: Annotated[float | None, covariate("the run's largest learning rate"), Range(0, 1000, open=True)]
    lr_phase: Annotated[str | None, covariate("warmup, stable or decay")]
    schedule: Annotated[
        str | None, covariate("of the learning rate: constant, cosine, cooldown or warmup_stable_decay")
    ]
    n_layers: Annotated[int, covariate("decoder blocks"), Range(1, 10**5)]
    d_model: Annotated[int, covariate("width of the residual stream"), Range(1, 10**6)]
    vocabulary_size: Annotated[int, covariate("rows of the token embedding, padding counted"), Range(1, 10**8)]
    n_params_total: Annotated[int, covariate("parameters with token embedding and output head"), Range(1, 10**15)]
    n_params_non_embedding: Annotated[
        int, covariate("parameters without token embedding and output head (N)"), Range(1, 10**15)
    ]
    revision: Annotated[str | None, provenance("of the Hub repository, as asked for")] = None
    # in a spec the expected hash; None where only the download tells
    weights_sha256: Annotated[
        str | None, key("which weights: SHA-256 of the safetensors file, or a hash of those of its shards")
    ] = None
    # not a column: the hash of what config.json must decide (heads, rotation, activation), so that a row's id, which
    # has the weights alone, stands for one model; None where no source tells
    architecture: str | None = None
    unique_tokens: Annotated[
        int | None, covariate("tokens of the training text without repetition"), Range(1, MOST_TOKENS)
    ] = None
    weight_decay: Annotated[
        float | None,
        covariate("AdamW's: an update takes this times the learning rate off each weight of a matrix"),
        AMOUNT,
    ] = None
    train_seed: Annotated[int | None, covariate("seed of the run's initial weights and order of text"), AMOUNT] = 0
    branched_from: Annotated[
        str | None, covariate("the run that this one goes on from, or whose moments were averaged")
    ] = None
    branched_at_step: Annotated[int | None, covariate("where it leaves that run, in updates"), Range(0, 10**12)] = None
    n_averaged: Annotated[
        int,
        covariate("weights are the mean of so many moments of the run, the last at `step`; 1: no mean"),
        Range(1, 10**6),
    ] = 1

    @property
    def epochs(self) -> float | None:
        """Return how many passes over the training text had been made; None where that or its length isn't known."""
        if self.unique_tokens is None or self.tokens_seen is None:
            return None
        return self.tokens_seen / self.unique_tokens

    @property
    def lr_fraction(self) -> float | None:
        """Return the learning rate at this step as a share of its peak; None where either isn't known."""
        if self.learning_rate is None or self.peak_learning_rate is None:
            return None
        return self.learning_rate / self.peak_learning_rate

    @property
    def label(self) -> str:
        """Return a short name for messages: run and, if it is known, step."""
        return self.run if self.step is None else f"{self.run}@{self.step}"
