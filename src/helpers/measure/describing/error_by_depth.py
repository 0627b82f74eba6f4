"""How far a rounded model's hidden states are from the 16-bit model's: block by block, and by each block alone.

The *error* of a block's output is the sum of squared distances between the two models' states over the same sum between
the 16-bit states and their mean over tokens: noise over signal, no unit. One means that the states are as far from
where they belong as they are from each other.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from helpers.measure.models.decoders import Decoder, hidden_of
from helpers.measure.rounding.rounded import Rounded


@dataclass(frozen=True)
class ErrorByDepth:
    """The errors of a rounded model, and the mean cosine between both models' states as the head reads them.

    `after` has the error after each block with all of them rounded, `alone` that after the last block with one rounded.
    """

    after: tuple[float, ...]
    alone: tuple[float, ...]
    cosine: float


@torch.no_grad()
def error_by_depth(decoder: Decoder, rounded: Rounded, tokens: Tensor) -> ErrorByDepth:
    """Return the errors of `rounded`, which keeps inputs as they are, on `tokens` (n, L), in float32 all at once."""
    decoder.refuse_unfit(tokens)
    blocks = range(len(decoder.blocks))
    own, other = [dict[str, Tensor]() for _ in blocks], [_weights(decoder, rounded, index) for index in blocks]
    states, changed = _states(decoder, own, tokens), _states(decoder, other, tokens)
    ends = [_states(decoder, [*own[:index], other[index], *own[index + 1 :]], tokens)[-1] for index in blocks]
    read, seen = (decoder.tail[0](each[-1]) for each in (states, changed))
    return ErrorByDepth(
        tuple(_error(one, another) for one, another in zip(states, changed, strict=True)),
        tuple(_error(states[-1], end) for end in ends),
        float(torch.cosine_similarity(read, seen, dim=-1).double().mean()),
    )


def _weights(decoder: Decoder, rounded: Rounded, index: int) -> dict[str, Tensor]:
    """Return what a block's parameters become, by their names in the block; those that stay aren't among them."""
    names = {layer: decoder.name_of(index, layer) for layer in decoder.linear_names()}
    return {f"{layer}.weight": rounded.decoded(name) for layer, name in names.items() if name in rounded.weights}


def _states(decoder: Decoder, weights: list[dict[str, Tensor]], tokens: Tensor) -> list[Tensor]:
    """Return the output of each block (n, L, width), with the parameters that `weights` puts in place."""
    arguments: list[dict[str, Any]]
    hidden, arguments = decoder.inputs(tokens)
    states = []
    for block, parameters, given in zip(decoder.blocks, weights, arguments, strict=True):
        hidden = hidden_of(functional_call(block, parameters, (hidden,), given))
        states.append(hidden)
    return states


def _error(state: Tensor, other: Tensor) -> float:
    signal = (state - state.mean((0, 1))).double().square().sum()
    return float((other - state).double().square().sum() / signal)
