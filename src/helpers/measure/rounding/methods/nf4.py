"""NormalFloat 4 by bitsandbytes 0.50.2: 16 quantiles of a normal distribution, scaled by a block's largest weight.

Source: Dettmers et al. 2023 (arXiv 2305.14314), section 3. The library rounds a float32 weight and decodes it to
float32 on the model's device; the scales stay float32 (the paper's double quantization, which rounds them too, isn't
done).
Stored bits: 4 per weight and a 32-bit scale per block.
"""

from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.rounding.libraries import imported
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import by_matrix, library_refusal
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False, experts=True)

PACKAGE, VERSION = "bitsandbytes", "0.50.2"
BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)  # the paper's is 64


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why bitsandbytes can't do `scheme` with NF4, or None; any decoder will do."""
    return library_refusal(
        PACKAGE, VERSION, scheme, format=("nf4",), bits=(4,), group_size=BLOCK_SIZES, symmetric=(True,)
    )


def round_matrix(weight: Tensor, scheme: QuantScheme) -> Tensor:
    """Round a matrix (rows, columns); blocks run along the rows, which `group_size` divides."""
    library = imported("bitsandbytes.functional")
    codes, state = library.quantize_4bit(weight.contiguous(), blocksize=scheme.group_size, quant_type="nf4")
    rounded: Tensor = library.dequantize_4bit(codes, state)
    return rounded


quantize = by_matrix(round_matrix, lambda scheme: 32)
