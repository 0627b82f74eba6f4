"""GWQ: the weights with the largest gradients stay in 16 bits, the others are rounded to nearest (arXiv 2411.00850).

The loss is the mean over the predicted tokens of one calibration sequence, in nats; its absolute gradient at the
unrounded weights says which `outlier_share` of each matrix's weights stay. The rest goes to the nearest point of
min-max grids that are fitted to it alone, group by group along a row. The paper's share is 1% and its text names the
gradient's magnitude; that the share holds matrix by matrix, and min-max grids, are this file's choice.

Stored bits: as for round-to-nearest, a code, and a 16-bit scale and, if asymmetric, a zero point as wide as a code for
each group; and for every outlier 16 bits and its place in the matrix (`stored_bits.outlier_bits`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call
from transformers import PretrainedConfig

from helpers.measure.models.decoders import Decoder, weight_of
from helpers.measure.models.precision import matrix_products
from helpers.measure.models.stored import widened
from helpers.measure.models.streaming.placing import device_of
from helpers.measure.rounding import grids
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import largest, one_by_one
from helpers.measure.rounding.refusals import PLAIN, not_accepted, share_refusal, undivided_layer
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.rounding.stored_bits import grid_bits, n_params, outlier_bits, stored_bits
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=True, propagate="full_precision", options=("outlier_share",), calib_sequences=1)


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why GWQ can't do `scheme`, or None; any decoder will do."""
    return share_refusal(scheme) or not_accepted(
        scheme,
        format=("int",),
        calib_sequences=(1,),
        propagate=("full_precision",),
        hessian_dtype=("float32",),
        **PLAIN,
    )


@one_by_one
def quantize(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor
) -> list[Rounded | QuantizationError]:
    """Round a checkpoint by all schemes, from one gradient."""
    gradients = loss_gradients(checkpoint.decoder, calibration)
    if not all(torch.isfinite(gradient).all() for gradient in gradients.values()):
        return [QuantizationError(f"{scheme.label}: the loss's gradient isn't finite") for scheme in schemes]
    return [_round_all(checkpoint.decoder, scheme, gradients) for scheme in schemes]


def loss_gradients(decoder: Decoder, tokens: Tensor) -> dict[str, Tensor]:
    """Return by layer the gradient, shaped as the weight, of the loss on `tokens` (n, L): nats per predicted token."""
    layers = decoder.linear_layers()
    leaves = {f"{name}.weight": weight_of(layer).requires_grad_() for name, layer in layers.items()}
    tokens = tokens.to(device_of(decoder.model))
    with widened(decoder.model), torch.enable_grad(), matrix_products("float32"):
        logits = functional_call(decoder.model, leaves, (tokens[:, :-1],), {"use_cache": False}).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        return dict(zip(layers, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def _round_all(decoder: Decoder, scheme: QuantScheme, gradients: dict[str, Tensor]) -> Rounded | QuantizationError:
    layers = decoder.linear_layers()
    undivided = undivided_layer(layers, scheme.group_size)
    if undivided:
        return QuantizationError(f"{scheme.label}: {undivided}")
    weights: dict[str, IntegerWeight | Tensor] = {}
    n_bits = 0
    for name, layer in layers.items():
        weight = weight_of(layer)
        outliers = largest(gradients[name].abs(), round(given(scheme.outlier_share) * weight.numel()))
        weights[f"{name}.weight"] = round_rest(weight, outliers, scheme).to(layer.weight.device)
        n_bits += int(outliers.sum()) * outlier_bits(weight)
    matrices = list(weights.values())
    diagnostics = Diagnostics(
        n_params_quantized=n_params(matrices),
        quantized_ratio=1.0,
        effective_bits=given(stored_bits(matrices, scheme, grid_bits(scheme))) + n_bits / n_params(matrices),
    )
    return Rounded(weights, diagnostics)


def round_rest(weight: Tensor, outliers: Tensor, scheme: QuantScheme) -> Tensor:
    """Round the entries of `weight` (rows, columns) that aren't `outliers` (booleans), on grids fitted to just them.

    A grid spans zero in any case, so zeros in the outliers' places leave it to the others.
    """
    rest = weight.masked_fill(outliers, 0.0)
    rounded = grids.round_to_grid(rest, given(scheme.bits), given(scheme.symmetric), scheme.group_size)
    return torch.where(outliers, weight, rounded)
