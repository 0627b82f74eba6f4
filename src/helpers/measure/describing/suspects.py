"""The matrix that suffers most from rounding: its share of all layers' output errors, and its inputs' kurtosis."""

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measure.models.activations import input_norms, input_outliers
from helpers.measure.models.decoders import Decoder, weight_of
from helpers.measure.rounding.methods import rtn
from helpers.measure.rounding.rounded import Checkpoint
from helpers.table.scheme import QuantScheme


@dataclass(frozen=True)
class Suspect:
    """A matrix by its short name; `error_share` is its share of the sum of relative output errors over all matrices."""

    matrix: str
    error_share: float
    input_kurtosis: float

    def __str__(self) -> str:
        """Return the matrix with its figures, as a verdict names it."""
        return (
            f"{self.matrix} ({self.error_share:.0%} of all rounding error, input kurtosis {self.input_kurtosis:,.0f})"
        )


@torch.no_grad()
def suspect_of(checkpoint: Checkpoint, tokens: Tensor, bits: int, group_size: int | None) -> Suspect:
    """Return the matrix with the largest error under round-to-nearest, seen by its inputs for `tokens` (n, L).

    The error of a matrix is that of its outputs, relative to them, were its input channels uncorrelated.
    """
    decoder = checkpoint.decoder
    errors = _output_errors(decoder, tokens, bits, group_size)
    kurtosis = input_outliers(decoder, tokens)[1]
    worst = int(errors.argmax())
    name = decoder.short_name(list(decoder.linear_layers())[worst])
    return Suspect(name, float(errors[worst] / errors.sum()), float(kurtosis[worst]))


def _output_errors(decoder: Decoder, tokens: Tensor, bits: int, group_size: int | None) -> Tensor:
    """Return the relative squared error of each matrix's outputs, (layers,), weighted by its inputs' second moments."""
    scheme = QuantScheme(method="rtn", bits=bits, group_size=group_size, symmetric=False)
    errors = []
    for layer, norms in zip(decoder.linear_layers().values(), input_norms(decoder, tokens), strict=True):
        weight, moments = weight_of(layer), norms.square().float()
        rounded = rtn.round_matrix(weight, scheme)
        decoded = rounded if isinstance(rounded, Tensor) else rounded.decode()
        of_outputs = ((weight - decoded).square() @ moments).sum() / (weight.square() @ moments).sum()
        errors.append(torch.nan_to_num(of_outputs).cpu())
    return torch.stack(errors)
