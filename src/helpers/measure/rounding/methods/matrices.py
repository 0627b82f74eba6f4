"""Helpers that are shared by methods which round each weight matrix by itself."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from helpers.measure.models.decoders import Decoder, weight_of
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.libraries import not_installed
from helpers.measure.rounding.refusals import PLAIN, not_accepted, undivided_layer, unknown_matrix
from helpers.measure.rounding.rounded import Answers, Checkpoint, Rounded
from helpers.measure.rounding.stored_bits import n_params, stored_bits
from helpers.table.errors import QuantizationError
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme


def library_refusal(package: str, version: str, scheme: QuantScheme, **accepted: tuple[object, ...]) -> str | None:
    """Return why a library can't do `scheme` (not installed, or a field has no `accepted` value), or None."""
    return not_installed(package, version) or not_accepted(scheme, **accepted, **PLAIN)


def by_matrix(
    round_matrix: Callable[[Tensor, QuantScheme], IntegerWeight | Tensor],
    group_bits: Callable[[QuantScheme], int],
) -> Callable[..., Answers]:
    """Make a `quantize` of a function that rounds one weight (rows, columns) and one for the bits of a group's grid."""

    def quantize_one(
        checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor | None
    ) -> list[Rounded | QuantizationError]:
        """Round every linear layer of the decoder blocks that a scheme doesn't keep, each matrix by itself."""
        return [_round_all(checkpoint.decoder, scheme) for scheme in schemes]

    @torch.no_grad()
    def _round_all(decoder: Decoder, scheme: QuantScheme) -> Rounded | QuantizationError:
        all_layers = decoder.linear_layers()
        layers = {
            name: layer for name, layer in all_layers.items() if decoder.short_name(name) not in scheme.kept_matrices
        }
        fault = (
            unknown_matrix(decoder, scheme)
            or undivided_layer(layers, scheme.group_size)
            or undivided_layer(layers, scheme.activation_group_size, "activation_group_size")
        )
        if fault:
            return QuantizationError(f"{scheme.label}: {fault}")
        weights = {
            f"{name}.weight": round_matrix(weight_of(layer), scheme).to(layer.weight.device)
            for name, layer in layers.items()
        }
        diagnostics = Diagnostics(
            n_params_quantized=n_params(weights.values()),
            quantized_ratio=n_params(weights.values()) / sum(layer.weight.numel() for layer in all_layers.values()),
            effective_bits=stored_bits(list(weights.values()), scheme, group_bits(scheme)),
        )
        return Rounded(weights, diagnostics, InputRounding.of(scheme))

    return one_by_one(quantize_one)


def largest(scores: Tensor, n: int) -> Tensor:
    """Return the places of the `n` largest of `scores` (rows, columns), as booleans of that shape."""
    mask = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    mask[scores.flatten().topk(n).indices] = True
    return mask.view(scores.shape)


def one_by_one(quantize_one: Callable[..., list[Rounded | QuantizationError]]) -> Callable[..., Answers]:
    """Make a `quantize` of a function that treats one checkpoint: (checkpoint, schemes, calibration)."""

    def quantize(
        checkpoints: Sequence[Checkpoint], schemes: Sequence[QuantScheme], calibration: Tensor | None, memory_bytes: int
    ) -> Answers:
        return [quantize_one(checkpoint, schemes, calibration) for checkpoint in checkpoints]

    quantize.__doc__ = quantize_one.__doc__
    return quantize
