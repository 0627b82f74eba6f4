"""Gaussian noise in the place of rounding that spares loud input channels, at the size of round-to-nearest's error.

As `gaussian_noise`, with the standard deviation in column j proportional to 1 / r_j, for r_j the root mean square of
the layer's input j over the calibration text: every column adds equally to the expected squared error of the outputs.
The mean square over the matrix stays s^2, that of round-to-nearest's error:

    s_j^2 = s^2 r_j^-2 / mean_k(r_k^-2)

so that both kinds of noise, and rounding, are compared at one size of error in the weights, the only thing of them
that curvature knows; what differs is which columns bear it. It is the limit of what AWQ (arXiv 2306.00978) does with
its scales. Channels below a tenth of the layer's rms count as a tenth: else a channel that carries nothing would take
up nearly all of the noise. Inputs are those of the unchanged model, in float32.

Draws are those of `gaussian_noise`. Stored bits: none are given, as nothing is made smaller.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.models.activations import input_norms
from helpers.measure.models.precision import matrix_products
from helpers.measure.models.streaming.placing import device_of
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.gaussian_noise import Profiles, perturbed, seed_refusal
from helpers.measure.rounding.refusals import PLAIN, not_accepted
from helpers.measure.rounding.rounded import Answers, Checkpoint
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=True, propagate="full_precision", options=("noise_seed",))

QUIETEST = 0.1  # of a channel's root mean square, as a share of that of all of a layer's inputs


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why the noise can't be made for `scheme`, or None; any decoder without experts will do."""
    return not_accepted(
        scheme, format=("int",), propagate=("full_precision",), hessian_dtype=("float32",), **PLAIN
    ) or seed_refusal(scheme)


@torch.no_grad()
def quantize(
    checkpoints: Sequence[Checkpoint], schemes: Sequence[QuantScheme], calibration: Tensor | None, memory_bytes: int
) -> Answers:
    """Add the noise to every linear layer of the decoder blocks, by all schemes, each matrix by itself."""
    return perturbed(checkpoints, schemes, [input_profiles(each, given(calibration)) for each in checkpoints])


def input_profiles(checkpoint: Checkpoint, tokens: Tensor) -> Profiles | QuantizationError:
    """Return the noise's standard deviation by column over its rms in the matrix, float32 (columns,), by layer.

    The inputs are those for `tokens` (n, L). An error where these aren't finite.
    """
    with matrix_products("float32"):
        norms = dict(zip(checkpoint.decoder.linear_layers(), input_norms(checkpoint.decoder, tokens), strict=True))
    for name, norm in norms.items():
        if not norm.isfinite().all():
            return QuantizationError(f"the inputs of '{name}' aren't finite")
    device = device_of(checkpoint.model)
    return {name: profile(norm).float().to(device) for name, norm in norms.items()}


def profile(rms: Tensor) -> Tensor:
    """Return 1 / `rms` (columns,), quiet channels raised to `QUIETEST`, divided by its own root mean square.

    Inputs that are all zero tell no columns apart: one everywhere.
    """
    if not rms.any():
        return torch.ones_like(rms)
    inverse = 1 / rms.maximum(QUIETEST * rms.square().mean().sqrt())
    return inverse / inverse.square().mean().sqrt()
