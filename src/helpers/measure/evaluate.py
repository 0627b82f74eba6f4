"""The loss of a model on held-out blocks, under one definition.

A block of L + 1 tokens gives L predictions, token t + 1 from tokens 1 to t of the same block: no padding, no
context from outside the block. Loss is the mean negative log likelihood a predicted token, in nats.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.corpora import Blocks


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats a token and in bits a byte, and by document (equal numbers of tokens each)."""

    loss_nats: float
    bits_per_byte: float
    group_loss: tuple[float, ...]
    n_tokens: int

    @property
    def finite(self) -> bool:
        """Whether every document's loss is a number."""
        return all(math.isfinite(loss) for loss in self.group_loss)


@torch.no_grad()
def block_losses(model: PreTrainedModel, tokens: Tensor, micro_batch: int) -> Tensor:
    """Return the mean loss of each block, shape (n,), float64 on the CPU.

    `tokens` has shape (n, L + 1). The model's dtype is the dtype of the matrix products; the log-softmax is float32.
    """
    losses = []
    for batch in tokens.split(micro_batch):
        batch = batch.to(model.device)
        logits = model(batch[:, :-1], use_cache=False).logits.float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
        losses.append(loss.view(len(batch), -1).double().mean(-1).cpu())
    return torch.cat(losses)


def evaluate(model: PreTrainedModel, blocks: Blocks, micro_batch: int) -> Evaluation:
    """Score a model on held-out blocks; documents weigh the same because they have the same number of tokens."""
    losses = block_losses(model, blocks.tokens, micro_batch)
    documents = torch.tensor(blocks.documents)
    n_documents = int(documents.max()) + 1
    group = torch.zeros(n_documents, dtype=torch.float64).index_add_(0, documents, losses)
    group /= torch.bincount(documents, minlength=n_documents)
    n_tokens = blocks.tokens[:, 1:].numel()
    loss = losses.mean().item()
    return Evaluation(loss, loss * n_tokens / (math.log(2) * blocks.n_bytes), tuple(group.tolist()), n_tokens)
