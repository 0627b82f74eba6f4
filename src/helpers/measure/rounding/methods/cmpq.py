"""CMPQ: each input channel of a matrix has bits and a codebook of its own (arXiv 2410.13056).

From the paper: bits by activation norms with any mean between 2 and 4, codebooks that aren't uniform, and two
protections of outliers, by activations and by the error of rounding. Its formulas weren't to be had; these are ours:

- channel j, a column of W, gets b_j bits, from 2 to `bits`, so that their mean is `average_bits` (to one bit in all)
  and sum_j n_j^2 4^-b_j is least, n_j being the norm of the channel's input over all calibration tokens before
  rounding: an error that halves with every bit;
- a channel's 2^b_j values come from k-means in one dimension: `ITERATIONS` of Lloyd's iterations;
- half of `outlier_share` goes to the weights with the largest |w_ij| n_j, the other half to those whose first rounding
  is off by the largest |w_ij - q_ij| n_j; they stay in 16 bits, and codebooks are fitted to what is left each time.

Stored bits: the codes, 2^b_j 16-bit values and the number of bits for each channel, and for every outlier 16 bits and
its place in the matrix (`stored_bits.outlier_bits`). In a matrix with few rows the codebooks outweigh the codes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.models.activations import input_norms
from helpers.measure.models.decoders import Decoder, weight_of
from helpers.measure.models.precision import matrix_products
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import largest, one_by_one
from helpers.measure.rounding.refusals import PLAIN, not_accepted, said_wrong, share_refusal
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.rounding.stored_bits import VALUE_BITS, n_params, outlier_bits
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=True, propagate="full_precision", options=("outlier_share", "average_bits"))

LEAST_BITS = 2
ITERATIONS = 30


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why CMPQ can't do `scheme`, or None; any decoder will do."""
    if scheme.average_bits is None or not LEAST_BITS <= scheme.average_bits <= given(scheme.bits):
        return said_wrong(scheme, "average_bits", f"{LEAST_BITS} to 'bits', {scheme.bits}")
    return share_refusal(scheme) or not_accepted(
        scheme,
        format=("codebook",),
        group_size=(None,),
        symmetric=(False,),
        propagate=("full_precision",),
        hessian_dtype=("float32",),
        **PLAIN,
    )


@one_by_one
@torch.no_grad()
def quantize(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor
) -> list[Rounded | QuantizationError]:
    """Round a checkpoint by all schemes, from the norms of one forward pass."""
    with matrix_products("float32"):
        norms = input_norms(checkpoint.decoder, calibration)
    if not all(torch.isfinite(norm).all() for norm in norms):
        return [QuantizationError(f"{scheme.label}: calibration gives inputs that aren't finite") for scheme in schemes]
    return [_round_all(checkpoint.decoder, scheme, norms) for scheme in schemes]


def _round_all(decoder: Decoder, scheme: QuantScheme, norms: Sequence[Tensor]) -> Rounded:
    weights: dict[str, IntegerWeight | Tensor] = {}
    average, most_bits, share = given(scheme.average_bits), given(scheme.bits), given(scheme.outlier_share)
    n_bits = 0
    for (name, layer), norm in zip(decoder.linear_layers().items(), norms, strict=True):
        bits = channel_bits(norm, average, most_bits)
        rounded, n_outliers = round_matrix(weight_of(layer), norm, bits, share)
        weights[f"{name}.weight"] = rounded.to(layer.weight.device)
        n_bits += code_bits(rounded, bits, most_bits) + n_outliers * outlier_bits(rounded)
    matrices = list(weights.values())
    return Rounded(
        weights,
        Diagnostics(
            n_params_quantized=n_params(matrices),
            quantized_ratio=1.0,
            effective_bits=n_bits / n_params(matrices),
        ),
    )


def channel_bits(norm: Tensor, average: float, most_bits: int) -> Tensor:
    """Return how many bits each channel gets, int64 (columns,): the least sum of norm^2 4^-bits at that mean.

    A further bit gains a quarter of what the one before gained, so the largest gains, taken together, are the best.
    """
    further = torch.arange(most_bits - LEAST_BITS, device=norm.device)
    gains = (norm.double().square()[:, None] * 4.0**-further).flatten()
    chosen = gains.topk(round((average - LEAST_BITS) * len(norm))).indices
    added = torch.zeros_like(gains, dtype=torch.int64)
    added[chosen] = 1
    return LEAST_BITS + added.view(len(norm), -1).sum(1)


def round_matrix(weight: Tensor, norm: Tensor, bits: Tensor, share: float) -> tuple[Tensor, int]:
    """Return `weight` (rows, columns) by its channels' codebooks, outliers as they are, and how many those are.

    `norm` and `bits` are (columns,); `share` is that of the outliers, half by each protection.
    """
    half = round(share / 2 * weight.numel())
    outliers = largest(weight.abs() * norm, half)
    error = (round_channels(weight, ~outliers, bits) - weight).abs() * norm
    outliers = outliers | largest(error.masked_fill(outliers, -1.0), half)
    return torch.where(outliers, weight, round_channels(weight, ~outliers, bits)), 2 * half


def round_channels(weight: Tensor, counted: Tensor, bits: Tensor) -> Tensor:
    """Return each column of `weight` (rows, columns) at the nearest value of its codebook, fitted where `counted`."""
    rounded = torch.empty_like(weight)
    for width in bits.unique().tolist():
        columns = bits == width
        values = weight.T[columns]
        rounded.T[columns] = nearest(values, codebooks(values, counted.T[columns], 2**width))
    return rounded


def codebooks(values: Tensor, counted: Tensor, n_entries: int) -> Tensor:
    """Return `n_entries` ascending means of clusters of each row of `values` (n, m) where `counted`: (n, n_entries).

    One-dimensional k-means by Lloyd's iterations (1982, doi 10.1109/TIT.1982.1056489), in float64. They start with
    entries spread as the cube root of the values' density, the best where there are many (Panter and Dite 1951, doi
    10.1109/JRPROC.1951.230419); a gap between neighbours counts with its power 2/3. An entry that no value is nearest
    to stays where it was; entries of a row without counted values are zero.
    """
    wide, none = values.double(), ~counted.any(-1, keepdim=True)
    largest_counted = wide.masked_fill(~counted, -torch.inf).amax(-1, keepdim=True).masked_fill(none, 0.0)
    ordered, order = torch.where(counted, wide, largest_counted).sort(-1)
    weights = counted.gather(-1, order).double()
    entries = _spread(ordered, n_entries)
    n_below, sum_below = (_running(each) for each in (weights, weights * ordered))
    for _ in range(ITERATIONS):
        middles = (entries[:, 1:] + entries[:, :-1]) / 2
        inner = torch.searchsorted(ordered, middles.contiguous())
        edges = torch.nn.functional.pad(torch.nn.functional.pad(inner, (1, 0)), (0, 1), value=values.shape[-1])
        n_inside, sum_inside = (each.gather(-1, edges).diff(dim=-1) for each in (n_below, sum_below))
        entries = torch.where(n_inside > 0, sum_inside / n_inside.clamp(min=1), entries)
    return entries.to(values.dtype)


def _spread(ordered: Tensor, n_entries: int) -> Tensor:
    """Return entries (n, n_entries) that cut the gaps of ascending rows (n, m), to the power 2/3, into equal parts."""
    reached = _running(ordered.diff(dim=-1).pow(2 / 3))
    at = (torch.arange(n_entries, device=ordered.device) + 0.5) / n_entries * reached[:, -1:]
    above = torch.searchsorted(reached, at).clamp(max=ordered.shape[-1] - 1)
    below = (above - 1).clamp(min=0)
    start, end = reached.gather(-1, below), reached.gather(-1, above)
    part = (at - start) / (end - start).clamp(min=torch.finfo(at.dtype).tiny)  # 0 of 0 where all values are equal
    return ordered.gather(-1, below).lerp(ordered.gather(-1, above), part)


def _running(values: Tensor) -> Tensor:
    """Return the sums of the first 0, 1, ... m of each row of (n, m): (n, m + 1)."""
    return torch.nn.functional.pad(values.cumsum(-1), (1, 0))


def nearest(values: Tensor, entries: Tensor) -> Tensor:
    """Return for each of `values` (n, m) the nearest of its row's `entries` (n, k), which ascend."""
    middles = (entries[:, 1:] + entries[:, :-1]) / 2
    return entries.gather(-1, torch.searchsorted(middles.contiguous(), values.contiguous()))


def code_bits(weight: Tensor, bits: Tensor, most_bits: int) -> int:
    """Return the bits that the channels of `weight` (rows, columns) take: codes, codebooks, the channels' widths."""
    rows, columns = weight.shape
    return int((rows * bits + VALUE_BITS * 2**bits).sum()) + columns * (most_bits - LEAST_BITS).bit_length()
