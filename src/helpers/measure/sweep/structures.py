"""Structures that a scheme must suit, known at plan time: the widths of a model's matrices, its configuration."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

from transformers import PretrainedConfig

from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import linear_shapes, positions_of
from helpers.measure.models.failures import failure_of
from helpers.measure.rounding import methods
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CheckpointError, SpecError
from helpers.table.families.catalogue import HUB_FAMILIES
from helpers.table.scheme import QuantScheme


@dataclass(frozen=True)
class Structure:
    """A structure that a scheme must suit: the linear layers of a model's blocks, its configuration if on this disk."""

    model: str
    shapes: dict[str, tuple[int, int]]
    config: PretrainedConfig | None


def structures_of(specs: list[CheckpointSpec], seq_len: int) -> tuple[list[Structure], dict[CheckpointSpec, str]]:
    """Return the different structures among checkpoints, and why the others can't be used, one line each.

    Those can't whose structure isn't known, or has fewer positions than the `seq_len` tokens of a sequence.
    """
    structures: dict[object, Structure] = {}
    unknown: dict[CheckpointSpec, str] = {}
    for spec in specs:
        if spec.revision is not None and spec.family in HUB_FAMILIES:
            structures[spec.model] = Structure(spec.model, HUB_FAMILIES[spec.family].shapes_of(spec.model), None)
            continue
        try:
            config = checkpoints.config_of(Path(spec.location))
            _refuse_too_long(config, seq_len)
            key = (spec.model, config.to_json_string())
            if key not in structures:
                structures[key] = Structure(spec.model, linear_shapes(config), config)
        except Exception as error:
            unknown[spec] = failure_of(error, spec.label, "cpu")
    return list(structures.values()), unknown


def refuse_impossible(structures: list[Structure], schemes: list[QuantScheme], where: str) -> None:
    """Raise SpecError, beginning with `where`, for a scheme that one of `structures` can't be rounded by."""
    for structure, scheme in itertools.product(structures, schemes):
        reason = _undivided(structure.shapes, scheme)
        if reason is None and structure.config is not None:
            reason = methods.method_named(scheme.method).refusal(structure.config, scheme)
        if reason is not None:
            raise SpecError(f"{where}: {scheme.label} on {structure.model}: {reason}")


def _refuse_too_long(config: PretrainedConfig, seq_len: int) -> None:
    """Raise CheckpointError for more tokens a sequence than a model of this configuration has positions."""
    positions = positions_of(config)
    if positions is not None and seq_len > positions:
        raise CheckpointError(f"{seq_len} tokens a sequence; accepted: up to {positions} (its positions)")


def _undivided(shapes: dict[str, tuple[int, int]], scheme: QuantScheme) -> str | None:
    widths = {name: columns for name, (_, columns) in shapes.items()}
    for field, instead in (("group_size", "one scale a row"), ("activation_group_size", "one scale a token")):
        size = getattr(scheme, field)
        undivided = [f"{name} ({width})" for name, width in widths.items() if size and width % size]
        if undivided:
            return (
                f"{field} {size} doesn't divide the input width of {', '.join(undivided)}; "
                f"accepted: a divisor of {math.gcd(*widths.values())}, or null for {instead}"
            )
    return None
