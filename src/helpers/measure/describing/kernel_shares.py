"""Inputs that become zero when they are rounded: CrossQuant's kernel (arXiv 2410.07505)."""

from typing import Any

import torch
from torch import Tensor, nn

from helpers.measure.models.activations import watch
from helpers.measure.models.decoders import Decoder
from helpers.measure.rounding.input_rounding import InputRounding


@torch.no_grad()
def kernel_shares(decoder: Decoder, tokens: Tensor, rounding: InputRounding) -> list[float]:
    """Return the share of a linear layer's inputs for `tokens` (n, L) that `rounding` makes zero, one per layer.

    The layers are unrounded, and so are the inputs of the layers before. Inputs that were zero count too.
    Source: the quantization kernel of CrossQuant (arXiv 2410.07505).
    """
    kernels = [_Kernel(rounding) for _ in decoder.linear_layers()]
    watch(decoder, tokens, kernels)
    return [float(each.n_zeros) / each.n_inputs for each in kernels]


class _Kernel:
    """A count of a layer's inputs, and of those that become zero."""

    def __init__(self, rounding: InputRounding) -> None:
        self.rounding = rounding
        self.n_inputs = 0
        self.n_zeros: Tensor | int = 0

    def see(self, _layer: nn.Module, args: tuple[Any, ...]) -> None:
        self.n_inputs += args[0].numel()
        self.n_zeros = self.n_zeros + (self.rounding(args[0]) == 0).sum()
