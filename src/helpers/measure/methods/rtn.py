"""Round-to-nearest: each weight goes to the nearest point of its group's grid; no calibration."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure import grids, layerwise
from helpers.measure.methods import Rounded
from helpers.specs import Diagnostics, QuantScheme


@torch.no_grad()
def quantize(
    model: PreTrainedModel, schemes: Sequence[QuantScheme], calibration: Tensor | None, folder: Path
) -> list[Rounded]:
    """Round every linear layer of the decoder blocks for each scheme."""
    answers = []
    for scheme in schemes:
        weights = {
            f"{name}.weight": grids.round_to_grid(layer.weight, scheme.bits, scheme.symmetric, scheme.group_size)
            for name, layer in layerwise.linear_layers(model).items()
        }
        n_quantized = sum(weight.numel() for weight in weights.values())
        answers.append(Rounded(weights, Diagnostics(n_params_quantized=n_quantized)))
    return answers
