"""Linear layers that train their weights through a rounding, and the weights that are deployed of them.

What is multiplied is exactly what is deployed, and the gradient is that of the rounded weight, handed on to the trained
one (Bengio et al. 2013, arXiv 1308.3432). Every step is an elementwise operation or a reduction on the tensor's own
device, so that a captured or compiled update has them too.
"""

import torch
from torch import Tensor, nn
from transformers import GPTNeoXForCausalLM

from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import grids
from helpers.measure.training.low_bits import LowBits
from helpers.table.records import given

LEAST_SCALE = 1e-5  # of a ternary matrix: the epsilon of arXiv 2402.17764


def to_ternary(weight: Tensor) -> Tensor:
    """Round a matrix (rows, columns) to s times -1, 0 or 1, s being its mean magnitude: arXiv 2402.17764, section 2."""
    scale = weight.abs().mean().clamp(min=LEAST_SCALE)
    return torch.round(weight / scale).clamp(-1, 1) * scale


def rounded_weight(weight: Tensor, low_bits: LowBits) -> Tensor:
    """Return what a matrix (rows, columns) is at low bits, in its dtype."""
    if low_bits.method == "ternary":
        return to_ternary(weight)
    return grids.round_to_grid(weight, given(low_bits.bits), given(low_bits.symmetric), low_bits.group_size)


def rounded_inputs(inputs: Tensor, bits: int) -> Tensor:
    """Round inputs (..., columns) to integers under a scale of each token; `input_rounding` with exponent 1."""
    wide = inputs.float()
    scale = wide.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = torch.where(scale > 0, scale, 1.0)
    return (torch.round(wide / scale) * scale).to(inputs.dtype)


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """Return `rounded`, bit for bit, with the gradient of `value`."""
    return rounded.detach() + (value - value.detach())


class RoundedLinear(nn.Module):
    """A linear layer that multiplies with rounded weights; its parameters are those of the layer it stands for."""

    def __init__(self, layer: nn.Linear, low_bits: LowBits) -> None:
        super().__init__()
        self.weight, self.bias, self.low_bits = layer.weight, layer.bias, low_bits

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply inputs (..., columns) with the rounded weights, rounded themselves where the plan says so."""
        weight = straight_through(self.weight, rounded_weight(self.weight.detach(), self.low_bits))
        if self.low_bits.input_bits is not None:
            inputs = straight_through(inputs, rounded_inputs(inputs.detach(), self.low_bits.input_bits))
        return nn.functional.linear(inputs, weight, self.bias)


def round_in_training(model: GPTNeoXForCausalLM, low_bits: LowBits) -> None:
    """Put a `RoundedLinear` in the place of every linear layer of a model's blocks; names and order stay."""
    for name, layer in decoder_of(model).linear_layers().items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, RoundedLinear(layer, low_bits))


@torch.no_grad()
def deployed(state: dict[str, Tensor], matrices: set[str], low_bits: LowBits) -> dict[str, Tensor]:
    """Return the float32 weights that a run's checkpoint has: `matrices` on their grid, the rest in 16 bits.

    A code times its scale has no bfloat16, so that the file is as large as a 32-bit one.
    """
    return {
        name: rounded_weight(value, low_bits) if name in matrices else value.to(torch.bfloat16).float()
        for name, value in state.items()
    }
