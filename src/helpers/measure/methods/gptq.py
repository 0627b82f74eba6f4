"""GPTQ: columns are rounded one after the other, the rest corrected by the Hessian (arXiv 2210.17323)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure import gptq, layerwise
from helpers.measure.methods import Rounded
from helpers.specs import QuantizationError, QuantScheme

MICRO_BATCH = {"cpu": 8, "cuda": 128}  # calibration sequences that pass a block together


def quantize(
    model: PreTrainedModel, schemes: Sequence[QuantScheme], calibration: Tensor, folder: Path
) -> list[Rounded | QuantizationError]:
    """Round for all schemes in one walk over the blocks, each with its own activations."""
    return layerwise.walk(model, schemes, calibration, MICRO_BATCH[model.device.type], solve)


def solve(weight: Tensor, hessian: Tensor, schemes: Sequence[QuantScheme]) -> gptq.Solution:
    """Solve one layer for schemes that share group size and damping: weight (schemes, rows, columns)."""
    bits = torch.tensor([scheme.bits for scheme in schemes], device=weight.device)[:, None, None]
    symmetric = torch.tensor([scheme.symmetric for scheme in schemes], device=weight.device)[:, None, None]
    return gptq.solve(weight, hessian, bits, schemes[0].group_size, symmetric, schemes[0].rel_damp)
