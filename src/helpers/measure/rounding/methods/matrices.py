"""What methods share that round each weight matrix by itself."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from helpers.measure.models.decoders import Decoder, decoder_of
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.methods import Answers, Checkpoint, Rounded, alone, not_accepted, wrong
from helpers.measure.rounding.methods.libraries import not_installed
from helpers.table.rows import Diagnostics, QuantizationError, QuantScheme

VALUE_BITS = 16  # of a weight that isn't rounded, a scale, or a codebook's entry

# What a scheme must say where no Hessian tells how much a column matters.
PLAIN = {"grid_search": ("minmax",), "order": ("given",), "rel_damp": (None,)}


def library_refusal(package: str, version: str, scheme: QuantScheme, **accepted: tuple) -> str | None:
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
        decoder = decoder_of(checkpoint.model)
        return [_round_all(decoder, scheme) for scheme in schemes]

    @torch.no_grad()
    def _round_all(decoder: Decoder, scheme: QuantScheme) -> Rounded | QuantizationError:
        every = decoder.linear_layers()
        layers = {name: layer for name, layer in every.items() if decoder.short_name(name) not in scheme.kept_matrices}
        fault = (
            unknown_matrix(decoder, scheme)
            or undivided_layer(layers, scheme.group_size)
            or undivided_layer(layers, scheme.activation_group_size, "activation_group_size")
        )
        if fault:
            return QuantizationError(f"{scheme.label}: {fault}")
        weights = {f"{name}.weight": round_matrix(layer.weight.detach(), scheme) for name, layer in layers.items()}
        diagnostics = Diagnostics(
            n_params_quantized=n_params(weights.values()),
            quantized_ratio=n_params(weights.values()) / sum(layer.weight.numel() for layer in every.values()),
            effective_bits=stored_bits(list(weights.values()), scheme, group_bits(scheme)),
        )
        return Rounded(weights, diagnostics, InputRounding.of(scheme))

    return alone(quantize_one)


def unknown_matrix(decoder: Decoder, scheme: QuantScheme) -> str | None:
    """Return which of the matrices that `scheme` keeps the model doesn't have, in words, or None."""
    known = {decoder.short_name(name) for name in decoder.linear_layers()}
    unknown = [name for name in scheme.kept_matrices if name not in known]
    if not unknown:
        return None
    blocks, layers = len(decoder.blocks), ", ".join(decoder.linear_names())
    return f"'kept_matrices' has '{unknown[0]}'; accepted: a block from 0 to {blocks - 1}, a dot and one of {layers}"


def undivided_layer(layers: dict[str, nn.Linear], group_size: int | None, field: str = "group_size") -> str | None:
    """Return which layer's input width a scheme's `field` of size `group_size` doesn't divide, in words, or None."""
    for name, layer in layers.items():
        if group_size and layer.in_features % group_size:
            return f"{field} {group_size} doesn't divide the input width {layer.in_features} of '{name}'"
    return None


def n_params(weights: Iterable[IntegerWeight | Tensor]) -> int:
    """Return how many weights matrices (rows, columns) have together."""
    return sum(weight.shape.numel() for weight in weights)


def stored_bits(weights: Sequence[IntegerWeight | Tensor], scheme: QuantScheme, group_bits: int) -> float | None:
    """Return the bits a weight takes: its code, and its share of `group_bits` for each group (row if there is none).

    None where nothing is rounded.
    """
    if not weights:
        return None
    n_groups = sum(weight.shape.numel() // (scheme.group_size or weight.shape[1]) for weight in weights)
    return scheme.bits + group_bits * n_groups / n_params(weights)


def grid_bits(scheme: QuantScheme) -> int:
    """Return the bits of a min-max grid: a 16-bit scale and, if asymmetric, a zero point as wide as a code."""
    return 16 + (0 if scheme.symmetric else scheme.bits)


def largest(scores: Tensor, n: int) -> Tensor:
    """Return where the `n` largest of `scores` (rows, columns) are, as booleans of that shape."""
    mask = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    mask[scores.flatten().topk(n).indices] = True
    return mask.view(scores.shape)


def outlier_bits(weight: Tensor) -> int:
    """Return the bits of a weight of (rows, columns) that is stored beside the others: its value and its place.

    A place is the weight's number in the matrix, ceil(log2(rows x columns)) bits. Its slot among the codes stays.
    """
    return VALUE_BITS + (weight.numel() - 1).bit_length()


def share_refusal(scheme: QuantScheme) -> str | None:
    """Return why `outlier_share` isn't a share of weights that can stay in 16 bits, or None."""
    if scheme.outlier_share is None or not 0 < scheme.outlier_share < 1:
        return wrong(scheme, "outlier_share", "more than 0, less than 1")
    return None
