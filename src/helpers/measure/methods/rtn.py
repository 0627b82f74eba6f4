"""Round-to-nearest: each weight goes to the nearest point of its group's grid; no calibration."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure import grids
from helpers.measure.decoders import decoder_of
from helpers.measure.methods import Checkpoint, Rounded, alone
from helpers.specs import Diagnostics, QuantScheme


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why round-to-nearest can't do `scheme`, or None; any decoder will do."""
    if scheme.grid_search != "minmax" or scheme.order != "given":
        return "rtn has no grid search and no order of columns"
    return None


@alone
@torch.no_grad()
def quantize(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor | None
) -> list[Rounded]:
    """Round every linear layer of the decoder blocks for each scheme."""
    layers = decoder_of(checkpoint.model).linear_layers()
    answers = []
    for scheme in schemes:
        weights = {
            f"{name}.weight": grids.round_to_integer(layer.weight, scheme.bits, scheme.symmetric, scheme.group_size)
            for name, layer in layers.items()
        }
        n_quantized = sum(layer.weight.numel() for layer in layers.values())
        effective = grids.effective_bits(weights.values(), scheme.bits, scheme.symmetric)
        answers.append(Rounded(weights, Diagnostics(n_params_quantized=n_quantized, effective_bits=effective)))
    return answers
