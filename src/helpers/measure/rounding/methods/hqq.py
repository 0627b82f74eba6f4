"""HQQ by hqq 0.2.8.post1: zero points moved until a robust norm of the rounding error stops falling; no calibration.

Source: Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models". The settings are the
library's own: groups along the rows, p = 0.7, at most 20 iterations, at 4 bits a zero point that starts as an
integer. It iterates in float32 on a CPU and in float16 on a GPU, so the two differ; rounding and decoding are float32
on both.
Stored bits: a code per weight, and a 16-bit scale and a 16-bit zero point (it isn't an integer) per group.

The library isn't in requirements.lock: transformers imports it wherever it is installed, and that brings warnings and
seconds to everything that loads a model. `DISABLE_CUDA=1 pip install hqq==0.2.8.post1` in an environment of its own.
"""

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.rounding.libraries import imported
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import by_matrix, library_refusal
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False)

PACKAGE, VERSION = "hqq", "0.2.8.post1"
GROUP_MULTIPLE = 8


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why hqq can't do `scheme`, or None; any decoder will do."""
    if scheme.group_size and scheme.group_size % GROUP_MULTIPLE:
        return f"hqq: 'group_size' is {scheme.group_size}; accepted: a multiple of {GROUP_MULTIPLE}, or null"
    return library_refusal(PACKAGE, VERSION, scheme, format=("int",), bits=(2, 3, 4, 5, 6, 8), symmetric=(False,))


def round_matrix(weight: Tensor, scheme: QuantScheme) -> Tensor:
    """Round a matrix (rows, columns) with the library's settings for `bits` and `group_size`."""
    library = imported("hqq.core.quantize")
    settings = library.hqq_base_quant_config(scheme.bits, scheme.group_size, axis=1)["weight_quant_params"]
    codes, meta = library.Quantizer.quantize(weight, **settings, bitpack=False, device=str(weight.device))
    rounded: Tensor = library.Quantizer.dequantize(codes, meta | {"compute_dtype": torch.float32})
    return rounded


quantize = by_matrix(round_matrix, lambda scheme: 16 + 16)
