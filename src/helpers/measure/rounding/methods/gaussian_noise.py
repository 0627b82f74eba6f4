"""Gaussian noise in the place of rounding: each matrix is moved as far as round-to-nearest would move it, at random.

To a weight W (rows, columns) is added s Z: Z are independent standard normal draws and s^2 is the mean squared error
of round-to-nearest on that matrix under the same `bits`, `group_size` and `symmetric`. Of rounding the noise has the
size and the place, not the direction: what it costs is the model's sensitivity, and what rounding costs beyond that,
or less, is rounding's own. To second order it is half the trace of the Hessian times s^2, summed over matrices.

Z depends on `noise_seed`, the matrix's name and its shape alone, and is drawn on the CPU, so that every device, every
bit width and every checkpoint of a run has the same draw and nothing measured beside it changes one. A draw takes
about a second for a hundred million weights and is made once for all checkpoints and schemes of a call.

Stored bits: none are given, as nothing is made smaller.
"""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.models.decoders import weight_of
from helpers.measure.rounding import grids
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.refusals import PLAIN, not_accepted, said_wrong, undivided_layer
from helpers.measure.rounding.rounded import Answers, Checkpoint, Rounded
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=False, options=("noise_seed",))

MOST_SEED = 2**32 - 1

Profiles = Mapping[str, Tensor]  # by layer: the noise's standard deviation by column over its rms in the matrix


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why the noise can't be made for `scheme`, or None; any decoder without experts will do."""
    return not_accepted(scheme, format=("int",), **PLAIN) or seed_refusal(scheme)


def seed_refusal(scheme: QuantScheme) -> str | None:
    """Return why `noise_seed` isn't the seed of a draw, or None."""
    if scheme.noise_seed is None or not 0 <= scheme.noise_seed <= MOST_SEED:
        return said_wrong(scheme, "noise_seed", f"0 to {MOST_SEED}")
    return None


@torch.no_grad()
def quantize(
    checkpoints: Sequence[Checkpoint], schemes: Sequence[QuantScheme], calibration: Tensor | None, memory_bytes: int
) -> Answers:
    """Add the noise to every linear layer of the decoder blocks, by all schemes, each matrix by itself."""
    return perturbed(checkpoints, schemes, [{}] * len(checkpoints))


def perturbed(
    checkpoints: Sequence[Checkpoint], schemes: Sequence[QuantScheme], profiles: Sequence[Profiles | QuantizationError]
) -> Answers:
    """Return checkpoints of one shape with the noise of every scheme added, its columns weighted by their profiles.

    A profile is (columns,) with a mean square of one; a layer without one has the same noise in every column. A
    checkpoint whose profiles are an error has that for an answer.
    """
    layers = [checkpoint.decoder.linear_layers() for checkpoint in checkpoints]
    undivided = [undivided_layer(layers[0], scheme.group_size) for scheme in schemes]
    accepted = [scheme for scheme, fault in zip(schemes, undivided, strict=True) if fault is None]
    weights: list[dict[QuantScheme, dict[str, IntegerWeight | Tensor]]]
    weights = [{scheme: {} for scheme in accepted} for _ in checkpoints]
    for name, layer in layers[0].items():
        draws = {seed: standard_normal(seed, name, layer.weight.shape) for seed in _seeds(accepted)}
        for of_checkpoint, its_layers, known in zip(weights, layers, profiles, strict=True):
            if isinstance(known, QuantizationError):
                continue
            home = its_layers[name].weight.device
            noisy = _with_noise(weight_of(its_layers[name]), draws, accepted, known.get(name))
            for scheme, weight in zip(accepted, noisy, strict=True):
                of_checkpoint[scheme][f"{name}.weight"] = weight.to(home)
    return [
        [
            QuantizationError(f"{scheme.label}: {fault or known}")
            if fault or isinstance(known, QuantizationError)
            else Rounded(of_checkpoint[scheme], Diagnostics())
            for scheme, fault in zip(schemes, undivided, strict=True)
        ]
        for of_checkpoint, known in zip(weights, profiles, strict=True)
    ]


def standard_normal(seed: int, name: str, shape: torch.Size) -> Tensor:
    """Return the draw of a matrix: independent standard normal numbers, float32 on the CPU."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    return torch.randn(shape, generator=generator)


def rounding_rms(weight: Tensor, scheme: QuantScheme) -> float:
    """Return the root mean square of round-to-nearest's error of `weight` (rows, columns), in units of a weight."""
    bits, symmetric = given(scheme.bits), given(scheme.symmetric)
    error = grids.round_to_grid(weight, bits, symmetric, scheme.group_size) - weight
    return float(error.double().square().mean().sqrt())


def _seeds(schemes: Sequence[QuantScheme]) -> list[int]:
    return sorted({given(scheme.noise_seed) for scheme in schemes})


def _with_noise(
    weight: Tensor, draws: Mapping[int, Tensor], schemes: Sequence[QuantScheme], profile: Tensor | None
) -> list[Tensor]:
    """Return `weight` (rows, columns) with the noise of each scheme."""
    sizes: dict[tuple[object, ...], float] = {}  # what rounding does is the same for every draw
    noisy = []
    for scheme in schemes:
        grid = scheme.bits, scheme.group_size, scheme.symmetric
        if grid not in sizes:
            sizes[grid] = rounding_rms(weight, scheme)
        noise = draws[given(scheme.noise_seed)].to(weight.device) * sizes[grid]
        noisy.append(weight + (noise if profile is None else noise * profile))
    return noisy
