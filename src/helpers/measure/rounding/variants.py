"""What becomes of a variant, one checkpoint under one scheme, on its walk through the blocks (`layerwise`)."""

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from helpers.measure.models.decoders import Decoder
from helpers.measure.rounding.grids import IntegerWeight
from helpers.measure.rounding.refusals import unknown_matrix, unreached
from helpers.measure.rounding.rounded import Rounded, number_or_none
from helpers.measure.rounding.stored_bits import grid_bits, stored_bits
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme


@dataclasses.dataclass
class Variant:
    """One checkpoint under one scheme, and what has become of it so far."""

    owner: int
    scheme: QuantScheme
    n_params: int  # of the blocks' linear layers
    weights: dict[str, IntegerWeight | Tensor] = dataclasses.field(default_factory=dict)
    # one tensor (3,) per layer: relative error, damping used, dead columns
    figures: list[Tensor] = dataclasses.field(default_factory=list)
    # calibration tokens by expert, such as 0.mlp.experts.3, and for which of them these are too few
    expert_tokens: dict[str, int] = dataclasses.field(default_factory=dict)
    hardly_reached: set[str] = dataclasses.field(default_factory=set)
    failure: QuantizationError | None = None

    def result(self, micro_batch: int) -> Rounded | QuantizationError:
        """Return the rounded weights and their diagnostics, or the failure."""
        if self.failure:
            return self.failure
        few = {name: n_tokens for name, n_tokens in self.expert_tokens.items() if name in self.hardly_reached}
        if few and self.scheme.unreached_experts is None:
            return QuantizationError(unreached(few))
        if not self.figures:
            return Rounded({}, Diagnostics(n_params_quantized=0, quantized_ratio=0.0))
        errors, damping, dead = torch.stack(self.figures, -1).tolist()
        n_params_quantized = sum(weight.shape.numel() for weight in self.weights.values())
        diagnostics = Diagnostics(
            mean_layer_error=number_or_none(sum(errors) / len(errors)),
            max_layer_error=number_or_none(largest(errors)),
            max_rel_damp_used=number_or_none(largest(damping)),
            n_layers_redamped=sum(used > given(self.scheme.rel_damp) * 1.001 for used in damping),
            n_dead_columns=int(sum(dead)),
            n_params_quantized=n_params_quantized,
            quantized_ratio=n_params_quantized / self.n_params,
            effective_bits=stored_bits(list(self.weights.values()), self.scheme, grid_bits(self.scheme)),
            calib_micro_batch=micro_batch,
            expert_tokens=tuple(self.expert_tokens.values()) or None,
            hardly_reached=tuple(few),
        )
        return Rounded(self.weights, diagnostics)


def largest(figures: list[float]) -> float:
    """Return the largest figure, NaN if one is: `max` would say what comes first."""
    return math.nan if any(map(math.isnan, figures)) else max(figures)


def variants_of(owner: int, decoder: Decoder, schemes: Sequence[QuantScheme]) -> list[Variant]:
    """Return a checkpoint's variants, nothing rounded yet; one that keeps a matrix the model lacks has failed."""
    n_params = sum(layer.weight.numel() for layer in decoder.linear_layers().values())
    variants = [Variant(owner, scheme, n_params) for scheme in schemes]
    for variant in variants:
        if unknown := unknown_matrix(decoder, variant.scheme):
            variant.failure = QuantizationError(f"{variant.scheme.label}: {unknown}")
    return variants


def solved_alike(scheme: QuantScheme) -> tuple[object, ...]:
    """Return the fields that schemes must agree in to be solved as one batch: bits and symmetry may differ."""
    return scheme.group_size, scheme.rel_damp, scheme.order, scheme.grid_search
