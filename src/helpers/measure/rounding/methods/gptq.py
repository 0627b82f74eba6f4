"""GPTQ: columns are rounded one after the other, the rest corrected by the Hessian (arXiv 2210.17323)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.models.as_linear import has_experts
from helpers.measure.rounding import gptq_solver, layerwise
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.refusals import not_accepted
from helpers.measure.rounding.rounded import Answers, Checkpoint
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=True, damped=True, mixed=True, experts=True, options=("unreached_experts",))


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why GPTQ can't do `scheme`, or None; any decoder will do."""
    unreached = (None, "rtn") if has_experts(config) else (None,)
    propagate = ("quantized", "full_precision")
    return not_accepted(scheme, format=("int",), propagate=propagate, unreached_experts=unreached)


def quantize(
    checkpoints: Sequence[Checkpoint], schemes: Sequence[QuantScheme], calibration: Tensor, memory_bytes: int
) -> Answers:
    """Round all checkpoints by all schemes in one walk over the blocks, each with its own activations."""
    return layerwise.walk(checkpoints, schemes, calibration, memory_bytes, solve)


def solve(weight: Tensor, hessian: Tensor, schemes: Sequence[QuantScheme]) -> gptq_solver.Solution:
    """Solve one layer for schemes that may differ in bits and symmetry: weight (schemes, rows, columns)."""
    bits = torch.tensor([scheme.bits for scheme in schemes], device=weight.device)[:, None, None]
    symmetric = torch.tensor([scheme.symmetric for scheme in schemes], device=weight.device)[:, None, None]
    first, rel_damp = schemes[0], given(schemes[0].rel_damp)
    return gptq_solver.solve(
        weight, hessian, bits, first.group_size, symmetric, rel_damp, first.order, first.grid_search
    )
