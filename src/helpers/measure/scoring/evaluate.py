"""The loss of models on held-out blocks, under one definition, and how far a rounded model is from its original.

A block of L + 1 tokens gives L predictions, token t + 1 from tokens 1 to t of the same block: no padding, no
context from outside the block. Loss is the mean negative log likelihood per predicted token, in nats. The matrix
products run in the evaluation's dtype; log-softmax and means don't go below float32.
"""

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from helpers.measure.models.decoders import Decoder, hidden_of, linear_in
from helpers.measure.models.memory import LOGITS_AT_ONCE, Share, default_budget, evaluation_work, share
from helpers.measure.models.precision import TENSOR_DTYPE, matrix_products, refuse_without_tensor_cores
from helpers.measure.models.stacking import Stack, StackedLinear, block_arguments, block_stacks, first_inputs
from helpers.measure.models.stored import fetched
from helpers.measure.models.streaming.feed import BlockFeed
from helpers.measure.models.streaming.hidden import HiddenStates, OfVariant
from helpers.measure.models.streaming.placing import device_of
from helpers.measure.rounding.input_rounding import InputRounding, RoundedInputsLinear
from helpers.measure.rounding.rounded import Checkpoint, Rounded, number_or_none
from helpers.measure.scoring import half_head
from helpers.measure.text.token_blocks import Blocks
from helpers.table.records import given

SEQUENCES_AT_ONCE = {"cpu": 4, "cuda": 128}  # of one variant: more are slower on a CPU, and no faster on a GPU

Original = tuple[Tensor, Tensor, Tensor]  # what a rounded model is compared with, by token


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats per token and in bits per byte, and by document (equal numbers of tokens each).

    `top1_accuracy` is the share of tokens for which the likeliest one is right. `kl_nats` and `top1_agreement` compare
    with the 16-bit model, and are None for that model itself.
    """

    loss_nats: float
    bits_per_byte: float
    group_loss: tuple[float, ...]
    n_tokens: int
    micro_batch: int
    top1_accuracy: float
    kl_nats: float | None = None
    top1_agreement: float | None = None

    @property
    def finite(self) -> bool:
        """Tell whether every document's loss is a number."""
        return all(math.isfinite(loss) for loss in self.group_loss)


def evaluate_model(model: PreTrainedModel, blocks: Blocks) -> Evaluation:
    """Score one model as it is, in float32."""
    checkpoint = Checkpoint(model, Path(model.name_or_path))
    return evaluate([checkpoint], [[]], blocks, "float32", default_budget(device_of(model).type))[0][0]


@torch.no_grad()
def evaluate(
    checkpoints: Sequence[Checkpoint],
    rounded: Sequence[Sequence[Rounded]],
    blocks: Blocks,
    dtype: str,
    memory_bytes: int,
) -> list[list[Evaluation]]:
    """Score models of one shape: for each its 16-bit weights first, then each of its rounded ones.

    When the device runs out of memory the share of the work that is done at once is halved, and recorded.
    Raises QuantizationError for a dtype that the device doesn't have or a budget smaller than one block.
    """
    refuse_without_tensor_cores(dtype, device_of(checkpoints[0].model))
    decoders = [checkpoint.decoder for checkpoint in checkpoints]
    n_variants = sum(1 + len(each) for each in rounded)
    n_sequences, seq_len = blocks.tokens[:, 1:].shape
    at_once = share_of(decoders, n_sequences, seq_len, dtype, n_variants, memory_bytes)
    while True:
        try:
            scores = _SideBySide(decoders, rounded, blocks.tokens, dtype, at_once)
            return [[summary(score, blocks, at_once.sequences) for score in each] for each in scores.by_model()]
        except torch.OutOfMemoryError:
            at_once = at_once.halved()
            torch.cuda.empty_cache()


def share_of(
    decoders: Sequence[Decoder],
    n_sequences: int,
    seq_len: int,
    dtype: str,
    n_variants: int,
    memory_bytes: int,
    beside: int = 0,
) -> Share:
    """Return the share of scoring so many variants done at once, `beside` bytes of the budget being taken.

    `decoders` are checkpoints of one shape. Raises QuantizationError as `evaluate` does.
    """
    work = evaluation_work(decoders[0], n_sequences, seq_len, TENSOR_DTYPE[dtype].itemsize, len(decoders))
    work = dataclasses.replace(work, beside=beside)
    most = SEQUENCES_AT_ONCE[device_of(decoders[0].model).type]
    return share(work, n_variants, min(most, n_sequences), memory_bytes)


@dataclass(frozen=True)
class Score:
    """The scores of one variant, (n,) by block: losses, accuracy and, but for a 16-bit model, KL and agreement."""

    losses: Tensor
    accuracy: Tensor
    kl: Tensor | None = None
    agreement: Tensor | None = None


class _SideBySide:
    """The 16-bit and rounded models that go through their blocks side by side."""

    def __init__(
        self,
        decoders: Sequence[Decoder],
        rounded: Sequence[Sequence[Rounded]],
        tokens: Tensor,
        dtype: str,
        at_once: Share,
    ) -> None:
        self.decoders, self.dtype, self.at_once = decoders, dtype, at_once
        self.device = device_of(decoders[0].model)
        self.tokens = tokens.to(self.device)
        self.variants = [(o, r) for o, answers in enumerate(rounded) for r in (None, *answers)]

    def by_model(self) -> list[list[Score]]:
        """Return the scores of each model: 16 bits, then its rounded weights in order."""
        scores: list[list[Score]] = [[] for _ in self.decoders]
        original: OfVariant | None = None  # of the checkpoint whose variants come last in one lot and first in the next
        lots = self._together()
        for members, later in zip(lots, [*lots[1:], []], strict=True):
            hidden = self._last_hidden(members)
            for owner in sorted({owner for owner, _ in members}):
                states = [part for part, (o, _) in zip(hidden, members, strict=True) if o == owner]
                if not scores[owner]:
                    original, *states = states
                with matrix_products(self.dtype):
                    of_original, *of_rounded = self._scores_of(self.decoders[owner], given(original), states)
                scores[owner] += of_rounded if scores[owner] else [of_original, *of_rounded]
            goes_on = bool(later) and later[0][0] == members[-1][0]
            original = given(original).alone() if goes_on else None
            del hidden, states  # before the next lot's
        return scores

    def _together(self) -> list[list[tuple[int, Rounded | None]]]:
        step = self.at_once.variants
        return [self.variants[start : start + step] for start in range(0, len(self.variants), step)]

    def _last_hidden(self, members: list[tuple[int, Rounded | None]]) -> list[OfVariant]:
        """Return the last block's outputs for each of `members`."""
        owned = sorted({owner for owner, _ in members})
        decoders = [self.decoders[owner] for owner in owned]
        owners = [owned.index(owner) for owner, _ in members]
        rounds_inputs = any(rounded and rounded.inputs for _, rounded in members)
        linear = RoundedInputsLinear if rounds_inputs else StackedLinear
        dtype = TENSOR_DTYPE[self.dtype]
        stacks = block_stacks(decoders[0], dtype, linear)
        batches = self.tokens[:, :-1].split(self.at_once.sequences)
        arguments = block_arguments(decoders[0], batches[0], dtype)
        with BlockFeed(decoders) as feed:
            hidden = HiddenStates(first_inputs(decoders, owners, batches, dtype), self.device, self.at_once.offloaded)
            for index, stack in enumerate(stacks):
                try:
                    with feed.at(index):
                        weights = {
                            name: _weights(decoders, owners, members, index, name, dtype) for name in stack.layers
                        }
                        stack.load([decoder.blocks[index] for decoder in decoders], owners, weights)
                        del weights
                        for name, layer in stack.layers.items():
                            if isinstance(layer, RoundedInputsLinear):
                                layer.roundings = _roundings(decoders, owners, members, index, name)
                                layer.seq_len = batches[0].shape[1]
                        self._pass(stack, hidden, arguments[index])
                finally:
                    stack.clear()
            hidden.finish()
        return [OfVariant(hidden, place, len(members)) for place in range(len(members))]

    def _pass(self, stack: Stack[Any], hidden: HiddenStates, arguments: dict[str, Any]) -> None:
        """Replace hidden states by what a block makes of them."""
        with matrix_products(self.dtype):
            for number in range(len(hidden)):
                inputs = hidden.read(number, number + 1 if number + 1 < len(hidden) else None)
                hidden.write(number, hidden_of(stack.call(inputs, **arguments)))

    def _scores_of(self, decoder: Decoder, original: OfVariant, rounded: list[OfVariant]) -> list[Score]:
        """Return the scores of a 16-bit model and of rounded ones from what their last blocks put out."""
        with fetched(*decoder.tail):
            tail = [_at_work(module, self.dtype) for module in decoder.tail]
            return self._scores_by(tail, int(decoder.model.config.vocab_size), [original, *rounded])

    def _scores_by(self, tail: Sequence[nn.Module], vocabulary_size: int, hidden: list[OfVariant]) -> list[Score]:
        """Return the scores of models, the 16-bit one first, whose `tail` makes logits of hidden states."""
        original_scores, rounded_scores = score_functions(self.device)
        step = max(1, LOGITS_AT_ONCE[self.device.type] // ((self.tokens.shape[1] - 1) * vocabulary_size))
        if self.device.type == "cuda":
            step = min(step, self.at_once.sequences)  # a small budget counts on it
        parts: list[list[Tensor]] = [[] for _ in hidden]
        for start in range(0, len(self.tokens), step):
            targets = self.tokens[start : start + step, 1:]
            all_logits = (_logits(tail, of_variant.rows(start, start + step)) for of_variant in hidden)
            own_scores, compared = original_scores(next(all_logits), targets)
            parts[0].append(own_scores)
            for scores, logits in zip(parts[1:], all_logits, strict=True):
                scores.append(rounded_scores(logits, targets, compared))
        seen = [torch.cat(scores, -1).cpu() for scores in parts]
        return [Score(*scores) for scores in seen]


def _at_work(module: nn.Module, precision: str) -> nn.Module:
    """Return a module of the tail as it works in a precision: itself where its parameters are so, or it has none."""
    if precision == "tfloat32" and type(module) is nn.Linear and half_head.fits(module):
        return half_head.HalfHead(module)
    dtype = TENSOR_DTYPE[precision]
    if all(parameter.dtype == dtype for parameter in module.parameters()):
        return module
    return copy.deepcopy(module).to(dtype)


def _logits(tail: Sequence[nn.Module], hidden: Tensor) -> Tensor:
    for module in tail:
        hidden = module(hidden)
    return hidden


def score_functions(
    device: torch.device,
) -> tuple[Callable[[Tensor, Tensor], tuple[Tensor, Original]], Callable[[Tensor, Tensor, Original], Tensor]]:
    """Return the functions that score the 16-bit model and compare a rounded one with it: kernels on a GPU."""
    if device.type == "cuda":
        from helpers.measure.scoring import scores_cuda  # Triton is there only where CUDA is

        return scores_cuda.original_scores, scores_cuda.rounded_scores
    return _original_scores, _rounded_scores


def _original_scores(logits: Tensor, targets: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Return the 16-bit model's mean loss and accuracy per block (2, n), float64, and what others are compared with.

    These are, by token, its probabilities, the sum of p log p, and its likeliest token.
    """
    log_p = logits.float().log_softmax(-1)
    p, likeliest = log_p.exp(), logits.argmax(-1)
    return _means(-_at(log_p, targets), likeliest == targets), (p, torch.linalg.vecdot(p, log_p), likeliest)


def _rounded_scores(logits: Tensor, targets: Tensor, original: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return a rounded model's mean loss, accuracy, KL(16-bit model || this one) and agreement per block: (4, n).

    A token counts as the model's likeliest where the model holds no other for likelier.
    """
    p, sum_p_log_p, likeliest = original
    log_q = logits.float().log_softmax(-1)
    highest, of_target = log_q.amax(-1), _at(log_q, targets)
    kl = sum_p_log_p - torch.linalg.vecdot(p, log_q)
    return _means(-of_target, of_target == highest, kl, _at(log_q, likeliest) == highest)


def _means(*of_tokens: Tensor) -> Tensor:
    """Return the means over a block's tokens of each of (n, L), stacked, float64."""
    return torch.stack([values.double().mean(-1) for values in of_tokens])


def _at(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(-1, targets[..., None])[..., 0]


def _weights(
    decoders: Sequence[Decoder],
    owners: Sequence[int],
    members: Sequence[tuple[int, Rounded | None]],
    index: int,
    layer: str,
    dtype: torch.dtype,
) -> Tensor:
    """Return one layer's weights for every variant, (V, rows, columns): rounded, or its own where it isn't."""
    each: list[Tensor] = []
    for owner, (_, rounded) in zip(owners, members, strict=True):
        name = decoders[owner].name_of(index, layer)
        if rounded is None or name not in rounded.weights:
            each.append(linear_in(decoders[owner].blocks[index], layer).weight)
        else:
            each.append(rounded.decoded(name, device_of(decoders[owner].model)))
    return torch.stack([weight.to(dtype) for weight in each])


def _roundings(
    decoders: Sequence[Decoder],
    owners: Sequence[int],
    members: Sequence[tuple[int, Rounded | None]],
    index: int,
    layer: str,
) -> list[InputRounding | None]:
    """Return how each variant rounds the inputs of one layer: as it says, if that layer's weight is rounded."""
    places = [decoders[owner].name_of(index, layer) for owner in owners]
    return [
        rounded.inputs if rounded is not None and place in rounded.weights else None
        for place, (_, rounded) in zip(places, members, strict=True)
    ]


def summary(score: Score, blocks: Blocks, micro_batch: int) -> Evaluation:
    """Return the averages over documents, which weigh the same because they have the same number of tokens."""
    documents = torch.tensor(blocks.documents)
    n_documents = int(documents.max()) + 1
    group = torch.zeros(n_documents, dtype=torch.float64).index_add_(0, documents, score.losses)
    group /= torch.bincount(documents, minlength=n_documents)
    n_tokens = blocks.tokens[:, 1:].numel()
    loss = score.losses.mean().item()
    return Evaluation(
        loss,
        loss * n_tokens / (math.log(2) * blocks.n_bytes),
        tuple(group.tolist()),
        n_tokens,
        micro_batch,
        score.accuracy.mean().item(),
        None if score.kl is None else number_or_none(score.kl.mean().item()),  # infinite logits make none
        None if score.agreement is None else score.agreement.mean().item(),
    )
