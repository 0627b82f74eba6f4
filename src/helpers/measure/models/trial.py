"""The stacked walk tried on a model before it is trusted: it must give the model's own hidden states and logits.

What is measured is never the model as transformers runs it, but its blocks' parameters in a template (`stacking`). Each
block is compared with its template on more tokens than any window, and the last one's logits with the model's own.
"""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.models.decoders import CAUSES, Decoder, first_line, hidden_of, positions_of, unknown_structure
from helpers.measure.models.stacking import Stack, StackedLinear, block_arguments
from helpers.measure.models.stored import fetched
from helpers.measure.models.streaming.placing import device_of

N_TOKENS = 64  # of each of two sequences, where no window is longer and the model has the positions
LEAST_TOKENS = 8  # of models so large that more would take long
MULTIPLICATIONS = 5 * 10**10  # in one pass, at most: about a second
# Float32's rounding: a share of what a block changes, and of the largest number it puts out
OF_CHANGE, OF_LARGEST = 1e-3, 1e-5


@torch.no_grad()
def refuse_another_walk(decoder: Decoder) -> None:
    """Raise CheckpointError, with what was found, where the stacked walk isn't the model's own forward pass.

    Weights that aren't numbers are found elsewhere: where an output isn't one nothing is compared.
    """
    try:
        _compare(decoder)
    except CAUSES as error:
        raise unknown_structure(decoder.model, f"its blocks can't be stacked ({first_line(error)})") from None


def _compare(decoder: Decoder) -> None:
    tokens = _tokens(decoder)
    # of its own: those that are kept may be at work in another thread while the next checkpoint is loaded
    stacks = {each: Stack(decoder.blocks[each], torch.float32, StackedLinear) for each in set(decoder.templates)}
    arguments = block_arguments(decoder, tokens, torch.float32)
    hidden, _ = decoder.inputs(tokens)
    for index, block in enumerate(decoder.blocks):
        stack = stacks[decoder.templates[index]]
        with fetched(block):
            stack.load([block], [0], {})
            found = hidden_of(stack.module(hidden.clone(), **arguments[index]))
            stack.clear()
        with decoder.in_float32():
            expected = hidden_of(block(hidden.clone(), **arguments[index]))
        if not _agree(found, expected, expected - hidden):
            place = f"block {index} of '{decoder.prefix}' with its parameters in block {decoder.templates[index]}"
            raise unknown_structure(decoder.model, f"{place} gives other hidden states than by itself")
        hidden = expected
    whole = decoder.run(tokens)
    with decoder.in_float32():
        found = decoder.logits(hidden)
    if not _agree(found, whole, whole):
        order = f"the blocks of '{decoder.prefix}' one after the other"
        raise unknown_structure(
            decoder.model, f"{order} don't give the model's own logits for {tokens.shape[1]} tokens"
        )


def _agree(found: Tensor, expected: Tensor, change: Tensor) -> bool:
    if not (bool(torch.isfinite(found).all()) and bool(torch.isfinite(expected).all())):
        return True
    tolerance = OF_CHANGE * change.abs().max() + OF_LARGEST * expected.abs().max()
    return bool((found - expected).abs().max() <= tolerance)


def _tokens(decoder: Decoder) -> Tensor:
    """Return two sequences of different tokens, (2, L): longer than any window, if that doesn't take long."""
    config = decoder.model.config
    n_params = sum(parameter.numel() for parameter in decoder.blocks.parameters())
    affordable = max(LEAST_TOKENS, MULTIPLICATIONS // (2 * max(n_params, 1)))
    length = min(max(N_TOKENS, _longest_window(decoder.model) + 1), affordable, positions_of(config) or affordable)
    tokens = torch.arange(2 * length).reshape(2, length) % int(config.vocab_size)
    return tokens.to(device_of(decoder.model))


def _longest_window(model: PreTrainedModel) -> int:
    settings = model.config.to_dict().items()
    windows = [size for name, size in settings if type(size) is int and ("window" in name or "chunk" in name)]
    return max(windows, default=0)
