"""Causal attention of small heads as a Triton kernel: libraries' kernels are made for heads of 64 and more."""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

LARGEST_HEAD = 32  # of those that this is faster for
QUERIES = 64  # at once
KEYS = {torch.float32: 32, torch.float16: 64, torch.bfloat16: 64}
STAGES = {torch.float32: 1, torch.float16: 3, torch.bfloat16: 3}  # of loads in flight


def fits(head_size: int) -> bool:
    """Tell whether `attended` takes heads of this size."""
    return 16 <= head_size <= LARGEST_HEAD and head_size == triton.next_power_of_2(head_size)


def attended(fused: Tensor, head_size: int, scale: float) -> Tensor:
    """Return causal attention (n, L, heads x head_size) of `fused` (n, L, heads x 3 x head_size).

    A head has its query, key and value one after the other; scores are multiplied by `scale`. Sums and the softmax are
    float32; in float32 a product is three of TF32 (`halves` says why). A key that isn't finite makes its own token's
    output NaN.
    """
    n, seq_len, width = fused.shape
    fused, n_heads = fused.contiguous(), width // (3 * head_size)
    outputs = torch.empty(n, seq_len, n_heads * head_size, dtype=fused.dtype, device=fused.device)
    _attention_kernel[(n * n_heads * triton.cdiv(seq_len, QUERIES),)](
        fused, outputs, seq_len, n_heads, scale * math.log2(math.e),
        HEAD=head_size, PRECISION="tf32x3" if fused.dtype == torch.float32 else "tf32",
        M=QUERIES, N=KEYS[fused.dtype], num_stages=STAGES[fused.dtype],
    )  # fmt: skip
    return outputs


@triton.jit
def _with_more_keys(scores, scale, v, peak, total, summed, PRECISION: tl.constexpr):
    """Return a running softmax (its peak, its total, values summed) with the scores and values of more keys."""
    highest = tl.maximum(peak, tl.max(scores, axis=1) * scale)
    weights = tl.exp2(scores * scale - highest[:, None])
    shrunk = tl.exp2(peak - highest)
    total = total * shrunk + tl.sum(weights, axis=1)
    return highest, total, tl.dot(weights.to(v.dtype), v, summed * shrunk[:, None], input_precision=PRECISION)


@triton.jit
def _attention_kernel(
    fused, outputs, seq_len, n_heads, scale,
    HEAD: tl.constexpr, PRECISION: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    n_blocks = tl.cdiv(seq_len, M)
    block = n_blocks - 1 - tl.program_id(0) % n_blocks  # the longest first
    sequence = (tl.program_id(0) // n_blocks // n_heads).to(tl.int64)
    head = tl.program_id(0) // n_blocks % n_heads
    width = n_heads * 3 * HEAD
    of_head = fused + sequence * seq_len * width + head * 3 * HEAD
    row = block * M + tl.arange(0, M)
    column, key = tl.arange(0, HEAD), tl.arange(0, N)
    query = tl.load(of_head + row[:, None] * width + column[None, :], mask=(row < seq_len)[:, None], other=0.0)
    keys = of_head + HEAD + key[:, None] * width + column[None, :]
    peak = tl.full((M,), -float("inf"), tl.float32)
    total = tl.zeros((M,), tl.float32)
    summed = tl.zeros((M, HEAD), tl.float32)
    for start in range(0, block * M, N):  # every query sees all of these
        k, v = tl.load(keys + start * width), tl.load(keys + start * width + HEAD)
        scores = tl.dot(query, k.T, input_precision=PRECISION)
        peak, total, summed = _with_more_keys(scores, scale, v, peak, total, summed, PRECISION)
    for start in range(block * M, tl.minimum((block + 1) * M, seq_len), N):
        there = (start + key < seq_len)[:, None]
        k = tl.load(keys + start * width, mask=there, other=0.0)
        v = tl.load(keys + start * width + HEAD, mask=there, other=0.0)
        # of an infinite key the softmax would make nothing where its scores are -inf: its own query says it's no number
        no_number = tl.sum(k.to(tl.float32) * 0.0, axis=1)
        scores = tl.dot(query, k.T, input_precision=PRECISION) + no_number[None, :]
        scores = tl.where(row[:, None] >= (start + key)[None, :], scores, -float("inf"))
        peak, total, summed = _with_more_keys(scores, scale, v, peak, total, summed, PRECISION)
    place = outputs + (sequence * seq_len + row[:, None]) * (n_heads * HEAD) + head * HEAD + column[None, :]
    tl.store(place, (summed / total[:, None]).to(outputs.dtype.element_ty), mask=(row < seq_len)[:, None])
