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
from helpers.table.errors import SpecError
from helpers.table.families.catalogue import HUB_FAMILIES
from helpers.table.scheme import QuantScheme


@dataclass(frozen=True)
class Structure:
    """A structure that a scheme must suit: the linear layers of a model's blocks, its configuration if on this disk."""

    model: str
    shapes: dict[str, tuple[int, int]]
    config: PretrainedConfig | None


def structures_of(specs: list[CheckpointSpec]) -> tuple[list[Structure], dict[CheckpointSpec, str]]:
    """Return the different structures among checkpoints, and why those have none that aren't known, one line each."""
    structures: dict[object, Structure] = {}
    unknown: dict[CheckpointSpec, str] = {}
    for spec in specs:
        if spec.revision is not None and spec.family in HUB_FAMILIES:
            structures[spec.model] = Structure(spec.model, HUB_FAMILIES[spec.family].shapes_of(spec.model), None)
            continue
        try:
            config = checkpoints.config_of(Path(spec.location))
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


def refuse_too_long(structures: list[Structure], seq_len: int, where: str) -> None:
    """Raise SpecError, beginning with `where`, for more tokens a sequence than one of `structures` has positions."""
    for structure in structures:
        positions = structure.config and positions_of(structure.config)
        if positions is not None and seq_len > positions:
            accepted = f"up to {positions}, the positions of {structure.model}"
            raise SpecError(f"{where}: 'seq_len' is {seq_len}; accepted: {accepted}")


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
