"""Inputs rounded, weights as they are: what a scheme that rounds both costs without its weights.

A scheme is that of `rtn` with rounded inputs under another method: `format`, `bits` and `group_size` are the inputs'
here, so they must be those that the fields of activations say. With the loss of the weights alone and of both it tells
whether the two losses add up (Chen et al. 2025, arXiv 2505.14302, say of quantization-aware training that they nearly
do).

Stored bits: none are given, as no weight is made smaller.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.models.decoders import weight_of
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import one_by_one
from helpers.measure.rounding.refusals import PLAIN, not_accepted, undivided_layer
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.table.errors import QuantizationError
from helpers.table.rows import Diagnostics
from helpers.table.scheme import ACTIVATION_FORMATS, QuantScheme

METHOD = Method(version=1, calibrated=False, activations=ACTIVATION_FORMATS)


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why inputs can't be rounded alone by `scheme`, or None; any decoder without experts will do."""
    return not_accepted(
        scheme,
        activation_format=ACTIVATION_FORMATS,
        format=(scheme.activation_format,),
        bits=(scheme.activation_bits,),
        group_size=(scheme.activation_group_size,),
        symmetric=(True,),
        **PLAIN,
    )


@torch.no_grad()
def _with_rounded_inputs(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor | None
) -> list[Rounded | QuantizationError]:
    """Keep every weight, and round the inputs of every linear layer of the decoder blocks."""
    layers = checkpoint.decoder.linear_layers()
    weights: dict[str, Tensor] = {f"{name}.weight": weight_of(layer) for name, layer in layers.items()}
    answers: list[Rounded | QuantizationError] = []
    for scheme in schemes:
        fault = undivided_layer(layers, scheme.activation_group_size, "activation_group_size")
        answers.append(
            QuantizationError(f"{scheme.label}: {fault}")
            if fault
            else Rounded({**weights}, Diagnostics(), InputRounding.of(scheme))
        )
    return answers


quantize = one_by_one(_with_rounded_inputs)
