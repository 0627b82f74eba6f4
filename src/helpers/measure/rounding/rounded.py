"""The records that a method takes and gives: checkpoints in, rounded weights with diagnostics out."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.models.decoders import Decoder, decoder_of
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.table.errors import QuantizationError
from helpers.table.rows import Diagnostics


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model and the folder its verified weights came from."""

    model: PreTrainedModel
    folder: Path

    @functools.cached_property
    def decoder(self) -> Decoder:
        """Return the model's parts, found once."""
        return decoder_of(self.model)


@dataclass(frozen=True)
class Rounded:
    """Rounded weights by parameter name, where the model's own are kept, and what happened on the way.

    A weight is an integer one (codes with their grid) or, in other formats, float32 values. Matrices without one stay
    as they are; those with one round their inputs as `inputs` says.
    """

    weights: dict[str, IntegerWeight | Tensor]
    diagnostics: Diagnostics
    inputs: InputRounding | None = None

    def decoded(self, name: str, device: torch.device | None = None) -> Tensor:
        """Return one rounded weight in float32: where it is kept, or on a device."""
        weight = self.weights[name] if device is None else self.weights[name].to(device)
        return weight.decode() if isinstance(weight, IntegerWeight) else weight


def number_or_none(value: float) -> float | None:
    """Return a figure as a row stores it: None where it isn't a number, as the relative error of a zero matrix."""
    return value if math.isfinite(value) else None


Answers = list[list[Rounded | QuantizationError]]
