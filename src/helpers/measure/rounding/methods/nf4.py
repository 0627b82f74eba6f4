"""NormalFloat 4: a weight becomes the nearest of 16 quantiles of a normal distribution times its block's largest.

Source: Dettmers et al. 2023 (arXiv 2305.14314), section 3 and, for the 16 values, appendix E; the scales stay float32
(the paper's double quantization, which rounds them too, isn't done). Codes are those that bitsandbytes 0.50.2 gives on
the CPU, to the bit (tested), on any device: a weight is multiplied by the largest one's reciprocal, and of two values
that are as near the lower is taken.
Stored bits: 4 per weight and a 32-bit scale per block.
"""

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import by_matrix
from helpers.measure.rounding.refusals import PLAIN, not_accepted
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False, experts=True)

BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)  # the paper's is 64
VALUES = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
LEAST = 1e-38  # of a block's largest weight, whose reciprocal is to be finite


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why `scheme` can't be done with NF4, or None; any decoder will do."""
    return not_accepted(scheme, format=("nf4",), bits=(4,), group_size=BLOCK_SIZES, symmetric=(True,), **PLAIN)


def round_matrix(weight: Tensor, scheme: QuantScheme) -> Tensor:
    """Round a matrix (rows, columns); blocks run along the rows, which `group_size` divides."""
    values = weight.new_tensor(VALUES)
    blocks = weight.unflatten(-1, (-1, scheme.group_size))
    largest = blocks.abs().amax(-1, keepdim=True)
    middles = (values[1:] + values[:-1]) / 2
    codes = torch.bucketize(blocks * (1 / largest.clamp(min=LEAST)), middles)
    rounded: Tensor = (values[codes] * largest).flatten(-2)
    return rounded


quantize = by_matrix(round_matrix, lambda scheme: 32)
