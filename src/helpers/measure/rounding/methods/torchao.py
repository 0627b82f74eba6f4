"""Round-to-nearest by torchao 0.18.0: a second opinion on our own.

Its grids are ours, bit for bit. It multiplies by the float32 reciprocal of the scale where we divide by the scale: a
code can differ, by one, only where a weight lies within float32's rounding of the middle between two grid points. The
weight at the negative end of a symmetric grid always does.
Stored bits: as for our own, a 16-bit scale and, if asymmetric, a zero point as wide as a code for each group.

The library isn't in requirements.lock: transformers imports it wherever it is installed, and that brings warnings and
seconds to everything that loads a model. `pip install torchao==0.18.0` in an environment of its own.
"""

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.rounding.libraries import imported
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import by_matrix, library_refusal
from helpers.measure.rounding.stored_bits import grid_bits
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False)

PACKAGE, VERSION = "torchao", "0.18.0"


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why torchao can't do `scheme`, or None; any decoder will do."""
    return library_refusal(PACKAGE, VERSION, scheme, format=("int",))


def round_matrix(weight: Tensor, scheme: QuantScheme) -> Tensor:
    """Round a matrix (rows, columns) with the library's integer weight-only tensor."""
    library = imported("torchao.quantization")
    mapping = library.MappingType.SYMMETRIC if scheme.symmetric else library.MappingType.ASYMMETRIC
    rounded: Tensor = library.IntxUnpackedToInt8Tensor.from_hp(
        weight,
        (1, scheme.group_size or weight.shape[1]),
        getattr(torch, f"int{scheme.bits}"),
        mapping_type=mapping,
    ).dequantize()
    return rounded


quantize = by_matrix(round_matrix, grid_bits)
