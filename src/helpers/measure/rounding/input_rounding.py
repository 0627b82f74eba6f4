"""Activation quantization: what the inputs of rounded matrices become on their way in, token by token.

Formats: `mxint` (blocks of neighbouring inputs share a power of two; OCP Microscaling Formats v1.0) and `int`
(symmetric integers under a scale from the token's and the channel's largest magnitudes; CrossQuant, arXiv 2410.07505;
with exponent 1 the usual scale per token). Everything is dynamic: scales come from the very inputs rounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measure.models.stacking import StackedLinear
from helpers.measure.rounding import microscaling
from helpers.table.records import given
from helpers.table.scheme import QuantScheme


@dataclass(frozen=True)
class InputRounding:
    """A way to round the inputs of a matrix; the fields are those of a scheme, without `activation_`."""

    format: str
    bits: int
    group_size: int | None
    exponent: float | None

    @classmethod
    def of(cls, scheme: QuantScheme) -> "InputRounding | None":
        """Return the rounding that `scheme` wants of activations, or None where they stay as they are."""
        if scheme.activation_format is None:
            return None
        bits, group_size = given(scheme.activation_bits), scheme.activation_group_size
        return cls(scheme.activation_format, bits, group_size, scheme.activation_exponent)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Round `inputs` (..., L, columns), L tokens of one sequence; the result has their dtype."""
        if self.format == "mxint":
            return microscaling.round_to_mxint(inputs, self.bits, self.group_size).to(inputs.dtype)
        scale = cross_scale(inputs, self.bits, given(self.exponent))
        return (torch.round(inputs / scale) * scale).to(inputs.dtype)


def cross_scale(inputs: Tensor, bits: int, exponent: float) -> Tensor:
    """Return the float32 scale of each of `inputs` (..., L, columns): t^exponent c^(1 - exponent) / (2^(bits - 1) - 1).

    t is the largest magnitude of the input's token, c that of its channel in the sequence; a scale that would be zero
    is one. Source: CrossQuant (arXiv 2410.07505); an input exceeds neither t nor c, so no code its range.
    """
    # in float64: the last bit of a CPU's float32 powers depends on where a value lies in its tensor
    magnitudes = inputs.abs()
    token, channel = magnitudes.amax(-1, keepdim=True).double(), magnitudes.amax(-2, keepdim=True).double()
    scale = token.pow(exponent).float() * channel.pow(1 - exponent).float() / (2 ** (bits - 1) - 1)
    return torch.where(scale > 0, scale, 1.0)


class RoundedInputsLinear(StackedLinear):
    """Stacked linear layers of which some variants round their inputs, sequence by sequence, before they multiply."""

    def __init__(self) -> None:
        super().__init__()
        self.roundings: Sequence[InputRounding | None] = ()  # one per variant
        self.seq_len = 0  # tokens of a sequence; some models' layers get all tokens in one dimension

    def forward(self, inputs: Tensor, shares: list[int] | None = None) -> Tensor:
        """Round each variant's inputs, (V x n, L, columns) or (V x n x L, columns), its own way, then multiply."""
        if not any(self.roundings):
            return super().forward(inputs, shares)
        rounded = inputs.clone().view(len(self.roundings), -1, self.seq_len, inputs.shape[-1])
        for rounding in {each for each in self.roundings if each}:
            members = [v for v, each in enumerate(self.roundings) if each == rounding]
            rounded[members] = rounding(rounded[members])
        return super().forward(rounded.view(inputs.shape))
