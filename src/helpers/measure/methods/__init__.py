"""Ways to round a model, one small file each, all with one signature.

    quantize(model, schemes, calibration, folder) -> [Rounded | QuantizationError, ...]

`model` is the checkpoint in float32 on its device (left as it was found), `schemes` are of this method,
`calibration` is int64 tokens of shape (n_sequences, seq_len) or None, `folder` holds the verified checkpoint.
The answer has one entry a scheme: a scheme that fails doesn't take the others with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import torch

from helpers.specs import Diagnostics, QuantizationError, SpecError


@dataclass(frozen=True)
class Rounded:
    """Rounded weights by parameter name, float32, on the model's device, and what happened on the way."""

    weights: dict[str, torch.Tensor]
    diagnostics: Diagnostics


@dataclass(frozen=True)
class Method:
    """A way to round: `version` is part of every row's key and rises when numbers change."""

    name: str
    module: str
    version: int
    calibrated: bool

    @property
    def quantize(self) -> Callable[..., Sequence[Rounded | QuantizationError]]:
        """Return the function; imported here so that a method's own needs are met only when it is used."""
        return import_module(self.module).quantize


METHODS = {
    method.name: method
    for method in (
        Method("rtn", "helpers.measure.methods.rtn", version=1, calibrated=False),
        Method("gptq", "helpers.measure.methods.gptq", version=1, calibrated=True),
        Method("autogptq", "helpers.measure.methods.autogptq", version=1, calibrated=True),
    )
}


def get(name: str) -> Method:
    """Return the method called `name`; raises SpecError that lists those known."""
    if name not in METHODS:
        raise SpecError(f"unknown method '{name}'; accepted: {', '.join(METHODS)}")
    return METHODS[name]


__all__ = ["METHODS", "Method", "Rounded", "get"]
