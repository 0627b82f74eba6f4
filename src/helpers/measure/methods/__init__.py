"""Ways to round a model, one small file each, all with one signature.

    quantize(checkpoints, schemes, calibration, memory_bytes) -> [[Rounded | QuantizationError, ...], ...]

`checkpoints` are models of one shape with their folders, in float32 on one device (left as they were found),
`schemes` are of this method, `calibration` is int64 tokens (n_sequences, seq_len) or None, `memory_bytes` is what the
work may take beyond what is already loaded. The answer has one list a checkpoint with one entry a scheme: a scheme
that fails doesn't take the others with it.

    refusal(config, scheme) -> str | None

says at plan time, from a checkpoint's `config.json` alone, why a scheme can't be done on such a model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from transformers import PreTrainedModel

from helpers.measure.grids import IntegerWeight
from helpers.specs import Diagnostics, QuantizationError, SpecError


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model and the folder its verified weights came from."""

    model: PreTrainedModel
    folder: Path


@dataclass(frozen=True)
class Rounded:
    """Rounded weights by parameter name, on the model's device, and what happened on the way.

    A weight is an integer one (codes with their grid) or, in other formats, float32 values.
    """

    weights: dict[str, IntegerWeight | torch.Tensor]
    diagnostics: Diagnostics

    def decoded(self, name: str) -> torch.Tensor:
        """Return one rounded weight in float32."""
        weight = self.weights[name]
        return weight.decode() if isinstance(weight, IntegerWeight) else weight


Answers = list[list[Rounded | QuantizationError]]


@dataclass(frozen=True)
class Method:
    """A way to round: `version` is part of every row's key and rises when what is computed changes."""

    name: str
    version: int
    calibrated: bool

    @property
    def module(self) -> ModuleType:
        """Return the method's file; imported here so that its own needs are met only when it is used."""
        return import_module(f"helpers.measure.methods.{self.name}")

    @property
    def quantize(self) -> Callable[..., Answers]:
        """Return the function that rounds."""
        return self.module.quantize

    @property
    def refusal(self) -> Callable[..., str | None]:
        """Return the function that says why a scheme can't be done on a model of some configuration."""
        return self.module.refusal


METHODS = {
    method.name: method
    for method in (
        Method("rtn", version=1, calibrated=False),
        Method("gptq", version=1, calibrated=True),
        Method("autogptq", version=1, calibrated=True),
    )
}


def get(name: str) -> Method:
    """Return the method called `name`; raises SpecError that lists those known."""
    if name not in METHODS:
        raise SpecError(f"unknown method '{name}'; accepted: {', '.join(METHODS)}")
    return METHODS[name]


def alone(quantize_one: Callable[..., list[Rounded | QuantizationError]]) -> Callable[..., Answers]:
    """Make a `quantize` of a function that treats one checkpoint: (checkpoint, schemes, calibration)."""

    def quantize(
        checkpoints: Sequence[Checkpoint], schemes: Sequence, calibration: torch.Tensor | None, memory_bytes: int
    ) -> Answers:
        return [quantize_one(checkpoint, schemes, calibration) for checkpoint in checkpoints]

    quantize.__doc__ = quantize_one.__doc__
    return quantize


__all__ = ["METHODS", "Answers", "Checkpoint", "Method", "Rounded", "alone", "get"]
