"""The weights of LLM.int8() by bitsandbytes 0.50.2: each row scaled by its largest magnitude to -127 ... 127.

Source: Dettmers et al. 2022 (arXiv 2208.07339), vector-wise quantization. Covered is what happens to the weights:
converted to float16, as the library does, then rounded a row at a time, and decoded to float32 on the model's device.
Not covered: in use the library rounds activations to 8 bits as well, except those above a threshold; here they stay
16-bit or wider.
Stored bits: 8 and a 32-bit scale a row.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.libraries import imported, not_installed
from helpers.measure.methods import not_accepted
from helpers.measure.methods.matrices import by_matrix, stored_bits
from helpers.specs import QuantScheme

PACKAGE, VERSION = "bitsandbytes", "0.50.2"


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why bitsandbytes can't do `scheme` with 8-bit rows, or None; any decoder will do."""
    return not_installed(PACKAGE, VERSION) or not_accepted(
        scheme,
        format=("int",),
        bits=(8,),
        group_size=(None,),
        symmetric=(True,),
        grid_search=("minmax",),
        order=("given",),
        rel_damp=(None,),
    )


def round_matrix(weight: Tensor, scheme: QuantScheme) -> Tensor:
    """Round (rows, columns), one scale a row."""
    library = imported("bitsandbytes.functional")
    codes, largest, _ = library.int8_vectorwise_quant(weight.to(torch.float16).contiguous())
    return library.int8_vectorwise_dequant(codes, largest)


def effective_bits(weights: Sequence[Tensor], scheme: QuantScheme) -> float:
    """Return the stored bits a rounded weight."""
    return stored_bits(weights, scheme, group_bits=32)


quantize = by_matrix(round_matrix, effective_bits)
