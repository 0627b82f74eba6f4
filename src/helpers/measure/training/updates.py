"""Parts of an update: the loss, the optimizer, the step uphill of sharpness-aware minimisation."""

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from transformers import GPTNeoXForCausalLM

from helpers.table.records import given

SMALLEST_NORM = 1e-12  # added to a gradient's, which may be zero


def loss_of(model: GPTNeoXForCausalLM, batch: Tensor) -> Tensor:
    """Return the mean loss in nats per predicted token of `batch` (n, seq_len + 1)."""
    logits = model(batch[:, :-1], use_cache=False).logits.float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def optimizer_of(model: GPTNeoXForCausalLM, weight_decay: float, betas: tuple[float, ...]) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices and embeddings, none on biases and layer norms.

    On a GPU the learning rate is a tensor there, so that a captured graph reads it.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    on_gpu = parameters[0].is_cuda
    for group in groups:
        group["lr"] = torch.zeros((), device=parameters[0].device)
    first, second = betas
    return torch.optim.AdamW(groups, betas=(first, second), fused=True, capturable=on_gpu)


@contextlib.contextmanager
@torch.no_grad()
def uphill(parameters: Iterable[Tensor], radius: float) -> Iterator[None]:
    """Hold parameters where a step of length `radius` along their gradients takes them; then put them back.

    The gradient there is that of sharpness-aware minimisation (Foret et al. 2021, arXiv 2010.01412).
    """
    moved = [each for each in parameters if each.grad is not None]
    before = [each.clone() for each in moved]
    gradients = [given(each.grad) for each in moved]
    norm = torch.nn.utils.get_total_norm(gradients)
    for each, gradient in zip(moved, gradients, strict=True):
        each.add_(gradient * (radius / (norm + SMALLEST_NORM)))
    yield
    for each, earlier in zip(moved, before, strict=True):
        each.copy_(earlier)
