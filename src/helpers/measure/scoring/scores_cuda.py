"""Losses, divergence and agreement from logits on a GPU: each row of logits is read once, whatever its dtype."""

import torch
import triton
import triton.language as tl
from torch import Tensor

COLUMNS_AT_ONCE = 1024


@triton.jit
def _score_kernel(
    logits, original, targets, original_log_z, original_top, losses, right, log_z_out, kl, top_out, n_columns,
    COMPARED: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    peak = -float("inf")  # of the logits so far, and the sum of exponentials relative to it
    total = 0.0
    top = 0
    cross = 0.0  # sum of p (log p - logit), p being the 16-bit model's
    base_log_z = tl.load(original_log_z + row) if COMPARED else 0.0
    for begin in range(0, n_columns, SIZE):
        column = begin + tl.arange(0, SIZE)
        inside = column < n_columns
        z = tl.load(logits + row * n_columns + column, mask=inside, other=-float("inf")).to(tl.float32)
        highest = tl.max(z, axis=0)
        if not COMPARED:  # noqa: SIM102  # known when this is compiled
            if highest > peak:
                top = begin + tl.argmax(z, axis=0)
        new_peak = tl.maximum(peak, highest)
        total = total * tl.exp(peak - new_peak) + tl.sum(tl.where(inside, tl.exp(z - new_peak), 0.0), axis=0)
        peak = new_peak
        if COMPARED:
            base = tl.load(original + row * n_columns + column, mask=inside, other=-float("inf")).to(tl.float32)
            log_p = base - base_log_z
            cross += tl.sum(tl.where(inside, tl.exp(log_p) * (log_p - z), 0.0), axis=0)
    log_z = peak + tl.log(total)
    target = tl.load(targets + row)
    of_target = tl.load(logits + row * n_columns + target).to(tl.float32)
    tl.store(losses + row, log_z - of_target)
    if COMPARED:  # a token is the likeliest where no other is likelier
        tl.store(right + row, (of_target == peak).to(tl.int32))
        tl.store(kl + row, cross + log_z)
        of_top = tl.load(logits + row * n_columns + tl.load(original_top + row)).to(tl.float32)
        tl.store(top_out + row, (of_top == peak).to(tl.int32))
    else:
        tl.store(right + row, (target == top).to(tl.int32))
        tl.store(log_z_out + row, log_z)
        tl.store(top_out + row, top)


def _launch(logits: Tensor, targets: Tensor, original: tuple[Tensor, Tensor, Tensor] | None) -> tuple[Tensor, ...]:
    logits, targets = logits.contiguous(), targets.contiguous()
    base, base_log_z, base_top = original or (logits, logits, logits)
    losses, second = (torch.empty(targets.shape, dtype=torch.float32, device=logits.device) for _ in range(2))
    right, top = (torch.empty(targets.shape, dtype=torch.int32, device=logits.device) for _ in range(2))
    n_columns = logits.shape[-1]
    _score_kernel[(targets.numel(),)](
        logits, base, targets, base_log_z, base_top, losses, right, second, second, top, n_columns,
        COMPARED=original is not None, SIZE=min(COLUMNS_AT_ONCE, triton.next_power_of_2(n_columns)), num_warps=2,
    )  # fmt: skip
    return losses, right, second, top


def original_scores(logits: Tensor, targets: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Return what `evaluate._original_scores` does."""
    losses, right, log_z, top = _launch(logits, targets, None)
    return _means(losses, right), (logits.contiguous(), log_z, top)


def rounded_scores(logits: Tensor, targets: Tensor, original: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return what `evaluate._rounded_scores` does."""
    losses, right, kl, agreement = _launch(logits, targets, original)
    return _means(losses, right, kl, agreement)


def _means(*of_tokens: Tensor) -> Tensor:
    return torch.stack([values.double().mean(-1) for values in of_tokens])
