"""GPTQ after a Hadamard rotation of each matrix's inputs: what is large in one channel is spread over many.

For a layer y = W x and an orthogonal Q, W' = W Q is rounded by GPTQ under H' = Q^T H Q, the second moments of Q^T x,
and W becomes round(W') Q^T. The codes live in the rotated basis: a program that runs them multiplies x by Q^T first,
here the product is taken with the weights. Rotations against outliers: Chee et al. 2023 (QuIP, arXiv 2307.13304) and
Ashkboos et al. 2024 (QuaRot, arXiv 2404.00456), where they are folded into the model; here none is.

Q = diag(s) B / sqrt(b) for random signs s and B block-diagonal of Sylvester's Hadamard matrices of size b, the largest
power of two that divides the width: 512 for 512 inputs, 128 for 384. Entries of diag(s) B are -1, 0 and 1, so
that it is orthogonal exactly. Signs are drawn from the calibration's seed: the same for all bit widths.

Stored bits: as for GPTQ; the signs come from a seed.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.rounding import layerwise
from helpers.measure.rounding.gptq_solver import Solution, product
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods import gptq
from helpers.measure.rounding.rounded import Answers, Checkpoint
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=True, damped=True, rotated=True, experts=True, options=("unreached_experts",))

SMALLEST_BLOCK = 16  # fewer inputs than these spread an outlier too little to be called rotated


@dataclasses.dataclass(frozen=True)
class RotatedSolution(Solution):
    """A solution whose `codes` stand for weights in a rotated basis; `weight` is in the model's own."""

    def part(self, index: int) -> Tensor:
        """Return one matrix (rows, columns) of a batch as the model runs with it, float32."""
        matrix: Tensor = self.weight[index]
        return matrix


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why rotated GPTQ can't do `scheme`, or None; which widths a model has is seen where it is loaded."""
    return gptq.refusal(config, scheme)


def quantize(
    checkpoints: Sequence[Checkpoint], schemes: Sequence[QuantScheme], calibration: Tensor, memory_bytes: int
) -> Answers:
    """Round all checkpoints by all schemes in one walk over the blocks, each with its own activations."""
    for name, layer in checkpoints[0].decoder.linear_layers().items():
        if block_of(layer.in_features) < SMALLEST_BLOCK:
            fault = f"the input width {layer.in_features} of '{name}' isn't a multiple of {SMALLEST_BLOCK}"
            return [[QuantizationError(f"{scheme.label}: {fault}") for scheme in schemes] for _ in checkpoints]
    return layerwise.walk(checkpoints, schemes, calibration, memory_bytes, solve)


def solve(weight: Tensor, hessian: Tensor, schemes: Sequence[QuantScheme]) -> RotatedSolution:
    """Solve one layer in its rotated basis for schemes of one calibration: weight (schemes, rows, columns)."""
    rotation = rotation_of(weight.shape[-1], given(schemes[0].calib_seed)).to(weight)
    return solve_in_basis(weight, hessian, schemes, rotation)


def solve_in_basis(
    weight: Tensor, hessian: Tensor, schemes: Sequence[QuantScheme], rotation: Tensor
) -> RotatedSolution:
    """Solve one layer in the basis that the columns of `rotation`, an orthogonal (columns, columns), are."""
    basis = rotation.expand(len(weight), -1, -1)
    rotated = product(basis.mT, product(hessian, basis))
    solution = gptq.solve(product(weight, basis), rotated, schemes)
    fields = {field.name: getattr(solution, field.name) for field in dataclasses.fields(solution)}
    return RotatedSolution(**fields | {"weight": product(solution.weight, basis.mT)})


@functools.cache
def rotation_of(columns: int, seed: int) -> Tensor:
    """Return Q (columns, columns), float32: a vector times Q is rotated, times its transpose it is rotated back."""
    block = block_of(columns)
    signs = torch.randint(0, 2, (columns,), generator=torch.Generator().manual_seed(seed)) * 2.0 - 1
    blocks = torch.block_diag(*[hadamard(block)] * (columns // block))
    rotation: Tensor = signs[:, None] * blocks / math.sqrt(block)
    return rotation


def hadamard(size: int) -> Tensor:
    """Return Sylvester's Hadamard matrix of a power of two, (size, size) of -1 and 1: H H^T = size I."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix


def block_of(columns: int) -> int:
    """Return the largest power of two that divides `columns`."""
    return columns & -columns
