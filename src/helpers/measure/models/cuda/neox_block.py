"""GPT-NeoX's block for a GPU, with what lies between its matrix products in few kernels.

At these sizes a block's time is the traffic of its element-wise steps. Compiled as transformers writes it, the
rotation and the activation alone cost more than the products; here each reads and writes what it must, once. The
mathematics is transformers' (a test compares); the stacked linear layers are called as they are, so that whoever
watches them still does.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXAttention, GPTNeoXLayer, GPTNeoXMLP

from helpers.measure.models.cuda.blocks import StackedNorm, norms, operand_dtype
from helpers.measure.models.cuda.kernels import gelu
from helpers.measure.models.known_parts import Norm

ELEMENTS_PER_PROGRAM = 2048
TOKENS_PER_PROGRAM = 64


def fits(block: nn.Module) -> bool:
    """Tell whether `block` is one that `forward` computes."""
    return (
        isinstance(block, GPTNeoXLayer)
        and block.attention.config.hidden_act == "gelu"
        and block.attention.config._attn_implementation == "sdpa"
    )


def forward(block: GPTNeoXLayer, hidden: Tensor, position_embeddings: tuple[Tensor, Tensor], **_: object) -> Tensor:
    """Return the block's output for `hidden` (V x n, L, d), V variants' sequences one after the other.

    In TF32 products take float16 operands, which have TF32's ten bits of mantissa; their sums are float32, and so are
    the states between blocks.
    """
    if block.use_parallel_residual:
        for_attention, for_mlp = _norms(hidden, [block.input_layernorm, block.post_attention_layernorm])
        attended = _attention(block.attention, for_attention, position_embeddings)
        return _sum(_mlp(block.mlp, for_mlp), attended, hidden)
    (for_attention,) = _norms(hidden, [block.input_layernorm])
    hidden = hidden + _attention(block.attention, for_attention, position_embeddings)
    (for_mlp,) = _norms(hidden, [block.post_attention_layernorm])
    return hidden + _mlp(block.mlp, for_mlp)


def _norms(hidden: Tensor, stacked: list[StackedNorm]) -> list[Tensor]:
    template = stacked[0].template[0]
    assert isinstance(template, nn.LayerNorm), template
    kind = Norm(template.eps, centred=True, offset=0.0)
    return norms(hidden, stacked, kind, operand_dtype(hidden.dtype))


def _attention(attention: GPTNeoXAttention, inputs: Tensor, position_embeddings: tuple[Tensor, Tensor]) -> Tensor:
    """Return causal attention."""
    fused = attention.query_key_value(inputs)
    rotated = _rotate(fused, *position_embeddings, attention.head_size, operand_dtype(fused.dtype))
    query, key, value = rotated.unflatten(-1, (-1, 3, attention.head_size)).permute(3, 0, 2, 1, 4)
    attended = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=attention.scaling)
    outputs: Tensor = attention.dense(attended.transpose(1, 2).flatten(2).to(fused.dtype))
    return outputs


def _mlp(mlp: GPTNeoXMLP, inputs: Tensor) -> Tensor:
    wide = mlp.dense_h_to_4h(inputs)
    n = wide.numel()
    _gelu_kernel[(triton.cdiv(n, ELEMENTS_PER_PROGRAM),)](wide, n, SIZE=ELEMENTS_PER_PROGRAM)
    outputs: Tensor = mlp.dense_4h_to_h(wide)
    return outputs


@triton.jit
def _gelu_kernel(values, n, SIZE: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    x = tl.load(values + place, mask=place < n, other=0.0)
    tl.store(values + place, gelu(x.to(tl.float32)).to(x.dtype), mask=place < n)


@triton.jit
def _sum_kernel(first, second, third, total, n, SIZE: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = place < n
    x = tl.load(first + place, mask=inside, other=0.0).to(tl.float32)
    x += tl.load(second + place, mask=inside, other=0.0).to(tl.float32)
    x += tl.load(third + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(total + place, x.to(total.dtype.element_ty), mask=inside)


def _sum(first: Tensor, second: Tensor, hidden: Tensor) -> Tensor:
    """Return the sum in the dtype of `hidden`; `first` is used up where it has that dtype."""
    total = first if first.dtype == hidden.dtype else torch.empty_like(hidden)
    n = total.numel()
    _sum_kernel[(triton.cdiv(n, ELEMENTS_PER_PROGRAM),)](first, second, hidden, total, n, SIZE=ELEMENTS_PER_PROGRAM)
    return total


@triton.jit
def _rotate_kernel(
    fused, rotated, cos, sin, n_tokens, seq_len, width,
    HEAD: tl.constexpr, PART: tl.constexpr, ROTARY: tl.constexpr, TOKENS: tl.constexpr, IN_PLACE: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    column = tl.arange(0, PART)
    # in place only the columns that turn are touched
    inside = (token < n_tokens)[:, None] & (column < (ROTARY if IN_PLACE else HEAD))[None, :]
    turning = inside & (column < ROTARY)[None, :]
    # the other half of the columns that turn: x1 takes -x2, x2 takes x1
    partner = tl.where(column < ROTARY // 2, column + ROTARY // 2, column - ROTARY // 2)
    sign = tl.where(column < ROTARY // 2, -1.0, 1.0)
    angle = (token % seq_len)[:, None] * ROTARY + column[None, :]
    c = tl.load(cos + angle, mask=turning, other=1.0).to(tl.float32)
    s = tl.load(sin + angle, mask=turning, other=0.0).to(tl.float32)
    start = token[:, None] * width + tl.program_id(1) * 3 * HEAD
    for part in tl.static_range(2):
        place = start + part * HEAD
        x = tl.load(fused + place + column[None, :], mask=inside, other=0.0).to(tl.float32)
        y = tl.load(fused + place + partner[None, :], mask=turning, other=0.0).to(tl.float32)
        turned = x * c + y * sign[None, :] * s
        tl.debug_barrier()  # in place one thread's y is another's x: all are read before any is written
        tl.store(rotated + place + column[None, :], turned.to(rotated.dtype.element_ty), mask=inside)
    if not IN_PLACE:
        place = start + 2 * HEAD + column[None, :]
        value = tl.load(fused + place, mask=inside, other=0.0)
        tl.store(rotated + place, value.to(rotated.dtype.element_ty), mask=inside)


def _rotate(fused: Tensor, cos: Tensor, sin: Tensor, head_size: int, dtype: torch.dtype) -> Tensor:
    """Return queries, keys and values (V x n, L, heads x 3 x head_size) in `dtype`, the first two rotated.

    `fused` itself is rotated where it has that dtype already.
    """
    seq_len, width = fused.shape[1:]
    n_tokens = fused.numel() // width
    in_place = fused.dtype == dtype
    rotated = fused if in_place else torch.empty(fused.shape, dtype=dtype, device=fused.device)
    _rotate_kernel[(triton.cdiv(n_tokens, TOKENS_PER_PROGRAM), width // (3 * head_size))](
        fused,
        rotated,
        cos.contiguous(),
        sin.contiguous(),
        n_tokens,
        seq_len,
        width,
        HEAD=head_size,
        PART=triton.next_power_of_2(cos.shape[-1] if in_place else head_size),
        ROTARY=cos.shape[-1],
        TOKENS=TOKENS_PER_PROGRAM,
        IN_PLACE=in_place,
    )
    return rotated
