"""Triton kernels for the steps between matrix products that decoders share: norms, rotation, gated activation.

Each reads and writes what it must, once; what several variants own differs by the row's variant. Sums run in float32
whatever the dtype of the values.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

ELEMENTS_PER_PROGRAM = 2048
TOKENS_PER_PROGRAM = 64


@triton.jit
def _norms_kernel(
    inputs, weight_1, bias_1, weight_2, bias_2, output_1, output_2, n_rows, rows_per_set, width, eps, offset,
    CENTRED: tl.constexpr, BIASED: tl.constexpr, TWO: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, WIDTH)
    inside = (row < n_rows)[:, None] & (column < width)[None, :]
    place = row[:, None] * width + column[None, :]
    x = tl.load(inputs + place, mask=inside, other=0.0).to(tl.float32)
    if CENTRED:
        x = tl.where(inside, x - (tl.sum(x, axis=1) / width)[:, None], 0.0)
    normal = x * (1 / tl.sqrt(tl.sum(x * x, axis=1) / width + eps))[:, None]
    of_set = (row // rows_per_set)[:, None] * width + column[None, :]
    output = normal * (tl.load(weight_1 + of_set, mask=inside, other=0.0).to(tl.float32) + offset)
    if BIASED:
        output += tl.load(bias_1 + of_set, mask=inside, other=0.0).to(tl.float32)
    tl.store(output_1 + place, output.to(output_1.dtype.element_ty), mask=inside)
    if TWO:
        output = normal * (tl.load(weight_2 + of_set, mask=inside, other=0.0).to(tl.float32) + offset)
        if BIASED:
            output += tl.load(bias_2 + of_set, mask=inside, other=0.0).to(tl.float32)
        tl.store(output_2 + place, output.to(output_2.dtype.element_ty), mask=inside)


def norms(
    inputs: Tensor,
    affine: list[tuple[Tensor, Tensor | None]],
    n_sets: int,
    eps: float,
    centred: bool,
    offset: float,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Return one or two norms of the same `inputs` (..., width) in `dtype`, the inputs read once.

    `affine` holds each norm's weight and bias, (n_sets, width) or (width,): the rows of the first set come first.
    """
    inputs = inputs.contiguous()
    width = inputs.shape[-1]
    n_rows = inputs.numel() // width
    (first_weight, first_bias), (last_weight, last_bias) = affine[0], affine[-1]
    outputs = [torch.empty_like(inputs, dtype=dtype) for _ in affine]
    padded = triton.next_power_of_2(width)
    rows = max(1, ELEMENTS_PER_PROGRAM // padded)
    _norms_kernel[(triton.cdiv(n_rows, rows),)](
        inputs,
        first_weight,
        first_weight if first_bias is None else first_bias,
        last_weight,
        last_weight if last_bias is None else last_bias,
        outputs[0],
        outputs[-1],
        n_rows,
        n_rows // n_sets,
        width,
        eps,
        offset,
        CENTRED=centred,
        BIASED=first_bias is not None,
        TWO=len(affine) == 2,
        ROWS=rows,
        WIDTH=padded,
        num_warps=4 if padded <= 2048 else 8,
    )
    return outputs


@triton.jit
def gelu(x):
    """Return x Phi(x), float32, Phi as the logistic function of x times a polynomial in x^2: within 7e-8 of it.

    The polynomial is fitted to logit(Phi(x)) / x for |x| up to 6.5 with the least largest error of x Phi(x); half the
    work of the error function.
    """
    square = tl.minimum(x * x, 42.25)
    slope = 3.61129435e-09
    slope = slope * square - 2.66895582e-07
    slope = slope * square + 7.93826388e-06
    slope = slope * square - 0.000110480647
    slope = slope * square - 6.62588874e-05
    slope = slope * square + 0.0726685656
    slope = slope * square + 1.59576843
    return x * tl.sigmoid(x * slope)


@triton.jit
def _gate_kernel(gate, up, n, ACTIVATION: tl.constexpr, SIZE: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = place < n
    raw = tl.load(gate + place, mask=inside, other=0.0)
    x = raw.to(tl.float32)
    if ACTIVATION == "silu":
        x = x * tl.sigmoid(x)
    elif ACTIVATION == "gelu":
        x = gelu(x)
    else:
        x = x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))  # (1 + tanh z) / 2 is sigmoid(2 z)
    x *= tl.load(up + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(gate + place, x.to(raw.dtype), mask=inside)


def gate_(gate: Tensor, up: Tensor, activation: str) -> Tensor:
    """Return activation(gate) x up, written into `gate`; both contiguous, of one shape and dtype."""
    n = gate.numel()
    _gate_kernel[(triton.cdiv(n, ELEMENTS_PER_PROGRAM),)](gate, up, n, ACTIVATION=activation, SIZE=ELEMENTS_PER_PROGRAM)
    return gate


@triton.jit
def finite_or_nan(x):
    """Return x, NaN where it is infinite: a softmax would leave out an infinite key whose scores are -inf."""
    return x + x * 0


@triton.jit
def _rotate_kernel(
    inputs, outputs, cos, sin, n_tokens, seq_len, of_sequence, of_token, of_head, n_heads,
    HEAD: tl.constexpr, ROTARY: tl.constexpr, PADDED: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    head = tl.program_id(1)
    column = tl.arange(0, PADDED)
    inside = (token < n_tokens)[:, None] & (column < HEAD)[None, :]
    turning = inside & (column < ROTARY)[None, :]
    # the other half of the columns that turn: x1 takes -x2, x2 takes x1
    partner = tl.where(column < ROTARY // 2, column + ROTARY // 2, column - ROTARY // 2)
    sign = tl.where(column < ROTARY // 2, -1.0, 1.0)
    start = (token // seq_len) * of_sequence + (token % seq_len) * of_token + head * of_head
    x = tl.load(inputs + start[:, None] + column[None, :], mask=inside, other=0.0).to(tl.float32)
    y = tl.load(inputs + start[:, None] + partner[None, :], mask=turning, other=0.0).to(tl.float32)
    angle = (token % seq_len)[:, None] * ROTARY + column[None, :]
    c = tl.load(cos + angle, mask=turning, other=1.0).to(tl.float32)
    s = tl.load(sin + angle, mask=turning, other=0.0).to(tl.float32)
    turned = (x * c + y * sign[None, :] * s).to(outputs.dtype.element_ty)
    place = (token * n_heads + head)[:, None] * HEAD + column[None, :]
    tl.store(outputs + place, finite_or_nan(turned), mask=inside)


def rotated(inputs: Tensor, cos: Tensor, sin: Tensor, dtype: torch.dtype) -> Tensor:
    """Return queries or keys (n, heads, L, head_size) in `dtype`, the first columns rotated, NaN where it has no room.

    `cos` and `sin` are (1, L, rotary); the columns after these stay as they are.
    """
    n, n_heads, seq_len, head_size = inputs.shape
    assert inputs.stride(-1) == 1, inputs.stride()
    outputs = torch.empty((n, seq_len, n_heads, head_size), dtype=dtype, device=inputs.device)
    _rotate_kernel[(triton.cdiv(n * seq_len, TOKENS_PER_PROGRAM), n_heads)](
        inputs,
        outputs,
        cos.contiguous(),
        sin.contiguous(),
        n * seq_len,
        seq_len,
        inputs.stride(0),
        inputs.stride(2),
        inputs.stride(1),
        n_heads,
        HEAD=head_size,
        ROTARY=cos.shape[-1],
        PADDED=triton.next_power_of_2(head_size),
        TOKENS=TOKENS_PER_PROGRAM,
    )
    return outputs.transpose(1, 2)
