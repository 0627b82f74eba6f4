"""The scores of models by their own forward pass: of any that transformers can run, whatever its layers are made of.

The definition of loss, KL and agreement is `evaluate`'s. There a rounded model is the original with other weights in
its linear layers; here it is a model of its own, which may round its inputs, too.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.models.decoders import Decoder, hidden_of
from helpers.measure.models.memory import LOGITS_AT_ONCE
from helpers.measure.models.precision import matrix_products
from helpers.measure.scoring.evaluate import (
    SEQUENCES_AT_ONCE,
    Evaluation,
    Score,
    score_functions,
    summary,
)
from helpers.measure.text.token_blocks import Blocks

Tell = Callable[[int], None]  # how many sequences more have been scored


@torch.no_grad()
def last_hidden(original: Decoder, blocks: Blocks, tell: Tell) -> Tensor:
    """Return what a model's last block puts out for blocks of L + 1 tokens, (n, L, d), by one forward pass.

    Raises CheckpointError as `Decoder.refuse_unfit` does.
    """
    original.refuse_unfit(blocks.tokens[:, :-1])
    parts: list[Tensor] = []
    handle = original.blocks[-1].register_forward_hook(lambda _module, _args, output: parts.append(hidden_of(output)))
    try:
        with original.in_float32():
            for tokens in _batches(original.model, blocks, tell):
                original.model.base_model(tokens[:, :-1], use_cache=False)  # without the head: no logits
    finally:
        handle.remove()
    return torch.cat(parts)


@torch.no_grad()
def scores_beside(
    original: Decoder, hidden: Tensor, other: PreTrainedModel, blocks: Blocks, tell: Tell
) -> tuple[Evaluation, Evaluation]:
    """Return the scores of the original, of which `hidden` is `last_hidden`, and of another model beside it."""
    original_scores, rounded_scores = score_functions(hidden.device)
    of_original: list[Tensor] = []
    of_other: list[Tensor] = []
    start = 0
    for tokens in _batches(other, blocks, tell):
        targets = tokens[:, 1:]
        with original.in_float32():
            logits = original.logits(hidden[start : start + len(tokens)])
        scores, compared = original_scores(logits, targets)
        of_original.append(scores)
        of_other.append(rounded_scores(other(tokens[:, :-1], use_cache=False).logits, targets, compared))
        start += len(tokens)
    at_once = _at_once(other, blocks)
    both = (Score(*torch.cat(parts, -1).cpu()) for parts in (of_original, of_other))
    first, second = (summary(score, blocks, at_once) for score in both)
    return first, second


def _batches(model: PreTrainedModel, blocks: Blocks, tell: Tell) -> Iterator[Tensor]:
    """Yield the blocks' tokens, as many at once as the device takes, with float32 products in float32."""
    for tokens in blocks.tokens.split(_at_once(model, blocks)):
        with matrix_products("float32"):
            yield tokens.to(model.device)
        tell(len(tokens))


def _at_once(model: PreTrainedModel, blocks: Blocks) -> int:
    device, vocabulary = model.device.type, int(model.config.vocab_size)
    return max(1, min(SEQUENCES_AT_ONCE[device], LOGITS_AT_ONCE[device] // (blocks.tokens.shape[1] * vocabulary)))
