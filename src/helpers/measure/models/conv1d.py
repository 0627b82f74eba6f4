"""GPT-2's matrices as linear layers: transformers keeps them as Conv1D, whose weight is (columns, rows).

Everything that rounds, stacks or counts means a weight of shape (rows, columns), outputs by inputs.
"""

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from helpers.measure.models.stored import NARROW


def with_linear_layers(model: nn.Module) -> None:
    """Put a linear layer of the same numbers in place of each Conv1D in `model`, which keeps its parameters' names.

    Outputs stay as they are but for float32's rounding: the product finds its matrix laid out the other way.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                setattr(module, name, _linear(child))


def has_transposed(model: nn.Module) -> bool:
    """Tell whether a model as transformers makes it holds matrices as (columns, rows)."""
    return any(isinstance(module, Conv1D) for module in model.modules())


def _linear(conv: Conv1D) -> nn.Linear:
    columns, rows = conv.weight.shape
    with torch.device("meta"):
        linear = nn.Linear(columns, rows)
    weight = conv.weight.detach().T  # of 16 bits it stays where it is: what is widened is laid out anew
    weight = weight if weight.dtype in NARROW else weight.contiguous()
    linear.weight = nn.Parameter(weight, requires_grad=conv.weight.requires_grad)
    linear.bias = conv.bias
    return linear.train(conv.training)
