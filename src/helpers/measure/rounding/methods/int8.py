"""The weights of LLM.int8() by bitsandbytes 0.50.2: each row scaled by its largest magnitude to -127 ... 127.

Source: Dettmers et al. 2022 (arXiv 2208.07339), vector-wise quantization. Covered is what happens to the weights:
converted to float16, as the library does, then rounded row by row, and decoded to float32 on the model's device.
Not covered: in use the library rounds activations to 8 bits as well, except those above a threshold; here they stay
16-bit or wider.
Stored bits: 8 per weight and a 32-bit scale per row.
"""

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.rounding.libraries import imported
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import by_matrix, library_refusal
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False, experts=True)

PACKAGE, VERSION = "bitsandbytes", "0.50.2"


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why bitsandbytes can't do `scheme` with 8-bit rows, or None; any decoder will do."""
    return library_refusal(PACKAGE, VERSION, scheme, format=("int",), bits=(8,), group_size=(None,), symmetric=(True,))


def round_matrix(weight: Tensor, scheme: QuantScheme) -> Tensor:
    """Round a matrix (rows, columns) with one scale per row."""
    library = imported("bitsandbytes.functional")
    codes, largest, _ = library.int8_vectorwise_quant(weight.to(torch.float16).contiguous())
    rounded: Tensor = library.int8_vectorwise_dequant(codes, largest)
    return rounded


quantize = by_matrix(round_matrix, lambda scheme: 32)
