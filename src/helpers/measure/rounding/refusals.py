"""Reasons, in words, why a scheme can't be done."""

from collections.abc import Mapping

from torch import nn

from helpers.measure.models.decoders import Decoder
from helpers.table.records import canonical_json
from helpers.table.scheme import QuantScheme


def not_accepted(scheme: QuantScheme, **accepted: tuple[object, ...]) -> str | None:
    """Return, in words, the first field of `scheme` that has none of the values accepted there, or None."""
    for name, values in accepted.items():
        value = getattr(scheme, name)
        if value not in values:
            return said_wrong(scheme, name, ", ".join(canonical_json(each) for each in values))
    return None


def said_wrong(scheme: QuantScheme, name: str, accepted: str) -> str:
    """Return, in words, that a field of `scheme` has a value that isn't among the `accepted` ones."""
    return f"{scheme.method}: '{name}' is {canonical_json(getattr(scheme, name))}; accepted: {accepted}"


# The values that a scheme must have where no Hessian tells how much a column matters
PLAIN = {"grid_search": ("minmax",), "order": ("given",), "rel_damp": (None,)}
MOST_NAMED = 8  # experts, in one line


def unknown_matrix(decoder: Decoder, scheme: QuantScheme) -> str | None:
    """Return, in words, the first matrix that `scheme` keeps and the model doesn't have, or None."""
    known = {decoder.short_name(name) for name in decoder.linear_layers()}
    unknown = [name for name in scheme.kept_matrices if name not in known]
    if not unknown:
        return None
    blocks, layers = len(decoder.blocks), ", ".join(decoder.linear_names())
    return f"'kept_matrices' has '{unknown[0]}'; accepted: a block from 0 to {blocks - 1}, a dot and one of {layers}"


def unreached(experts: Mapping[str, int]) -> str:
    """Return, in words, that calibration hardly reaches these experts: the tokens routed to each, by its name."""
    named = ", ".join(f"{name} ({n_tokens})" for name, n_tokens in list(experts.items())[:MOST_NAMED])
    more = f" and {len(experts) - MOST_NAMED} more" if len(experts) > MOST_NAMED else ""
    found = f"experts with fewer calibration tokens than columns: {named}{more}"
    return f"{found}; accepted: more calibration text, or 'unreached_experts: rtn'"


def undivided_layer(layers: dict[str, nn.Linear], group_size: int | None, field: str = "group_size") -> str | None:
    """Return, in words, the first layer whose input width a scheme's `field`, `group_size`, doesn't divide, or None."""
    for name, layer in layers.items():
        if group_size and layer.in_features % group_size:
            return f"{field} {group_size} doesn't divide the input width {layer.in_features} of '{name}'"
    return None


def share_refusal(scheme: QuantScheme) -> str | None:
    """Return why `outlier_share` isn't a share of weights that can stay in 16 bits, or None."""
    if scheme.outlier_share is None or not 0 < scheme.outlier_share < 1:
        return said_wrong(scheme, "outlier_share", "more than 0, less than 1")
    return None
