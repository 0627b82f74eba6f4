"""Native: weights that training left on a grid, measured as they are; no calibration.

A checkpoint of a run at low bits (`helpers.measure.training.low_bits`) has its matrices' rounded weights, so there is
nothing to round: the scheme says which grid they are on, and a matrix that isn't on it is refused. On a grid of P bits
the weights of a group are whole multiples of one scale, at most 2^P of them in a row, zero among them; `format:
ternary` is one scale for a matrix and the multiples -1, 0 and 1. Inputs are rounded as the run's were
(`activation_exponent: 1.0`, each token under its own scale).

Stored bits: as of round-to-nearest; a ternary code takes 8/5 of a bit (five to a byte) and a matrix one 16-bit scale.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.models.decoders import Decoder, weight_of
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import one_by_one
from helpers.measure.rounding.refusals import PLAIN, not_accepted, undivided_layer
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.rounding.stored_bits import VALUE_BITS, grid_bits, n_params, stored_bits
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False, activations=("int",))

TERNARY_BITS = 8 / 5
OFF_GRID = 1e-3  # of a scale: far above float32's rounding, far below what chance leaves of 32 weights


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why no checkpoint can be what `scheme` says, or None; any decoder will do."""
    accepted: dict[str, tuple[object, ...]] = {"format": ("int", "ternary"), "activation_exponent": (None, 1.0)}
    if scheme.format == "ternary":
        accepted |= {"bits": (2,), "group_size": (None,), "symmetric": (True,)}
    return not_accepted(scheme, **accepted, **PLAIN)


@one_by_one
@torch.no_grad()
def quantize(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor | None
) -> list[Rounded | QuantizationError]:
    """Return a checkpoint's own weights under each scheme whose grid they are on."""
    return [_as_it_is(checkpoint.decoder, scheme) for scheme in schemes]


def _as_it_is(decoder: Decoder, scheme: QuantScheme) -> Rounded | QuantizationError:
    layers = decoder.linear_layers()
    fault = undivided_layer(layers, scheme.group_size)
    weights: dict[str, Tensor] = {} if fault else {name: weight_of(layer) for name, layer in layers.items()}
    off = next((name for name, weight in weights.items() if not is_on_grid(weight, scheme)), None)
    if off is not None:
        fault = f"'{off}' isn't on that grid; accepted: a checkpoint that was trained on it"
    if fault:
        return QuantizationError(f"{scheme.label}: {fault}")
    matrices = list(weights.values())
    bits = stored_bits(matrices, scheme, grid_bits(scheme))
    if scheme.format == "ternary":
        bits = TERNARY_BITS + VALUE_BITS * len(matrices) / n_params(matrices)
    diagnostics = Diagnostics(n_params_quantized=n_params(matrices), quantized_ratio=1.0, effective_bits=bits)
    return Rounded(
        {f"{name}.weight": weight for name, weight in weights.items()}, diagnostics, InputRounding.of(scheme)
    )


def is_on_grid(weight: Tensor, scheme: QuantScheme) -> bool:
    """Tell whether every group of a matrix (rows, columns) is whole multiples of a scale, as many as its bits allow.

    The largest magnitude is some multiple of the scale, so each that it can be is tried.
    """
    ternary = scheme.format == "ternary"
    grouped = weight.reshape(1, -1) if ternary else weight.unflatten(-1, (-1, scheme.group_size or weight.shape[-1]))
    steps = 2 if ternary else 2 ** given(scheme.bits) - 1
    largest = grouped.abs().amax(-1, keepdim=True)
    fits = largest[..., 0] == 0
    for multiple in range(1, 2 if ternary else steps + 1):
        codes = grouped * multiple / torch.where(largest > 0, largest, 1.0)
        whole = torch.round(codes)
        width = whole.amax(-1).clamp(min=0) - whole.amin(-1).clamp(max=0)
        fits |= ((codes - whole).abs() < OFF_GRID).all(-1) & (width <= steps)
    return bool(fits.all())
