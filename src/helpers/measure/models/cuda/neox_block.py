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

from helpers.measure.models.cuda import small_heads
from helpers.measure.models.cuda.blocks import StackedNorm, norms, operand_dtype
from helpers.measure.models.cuda.kernels import finite_or_nan, gelu
from helpers.measure.models.known_parts import Norm
from helpers.measure.models.precision import never_infinite

ELEMENTS_PER_PROGRAM = 2048
ROTATED_PER_PROGRAM = 512


def fits(block: nn.Module) -> bool:
    """Tell whether `block` is one that `forward` computes."""
    return (
        isinstance(block, GPTNeoXLayer)
        and block.attention.config.hidden_act == "gelu"
        and block.attention.config._attn_implementation == "sdpa"
    )


def forward(block: GPTNeoXLayer, hidden: Tensor, position_embeddings: tuple[Tensor, Tensor], **_: object) -> Tensor:
    """Return the block's output for `hidden` (V x n, L, d), V variants' sequences one after the other.

    In TF32 products take and give float16, which has TF32's ten bits of mantissa; `hidden` and sums are float32.
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
    fused = _rotate_(attention.query_key_value(inputs), *position_embeddings, attention.head_size)
    outputs: Tensor = attention.dense(_attended(fused, attention.head_size, attention.scaling))
    return outputs


def _attended(fused: Tensor, head_size: int, scale: float) -> Tensor:
    if small_heads.fits(head_size):
        return small_heads.attended(fused, head_size, scale)
    query, key, value = fused.unflatten(-1, (-1, 3, head_size)).permute(3, 0, 2, 1, 4)
    key = never_infinite(key)  # of a partly rotated head the kernel has seen the columns that turn only
    attended = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
    return attended.transpose(1, 2).flatten(2)


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
    fused, cos, sin, n_rows, seq_len, n_heads,
    HEAD: tl.constexpr, HALF: tl.constexpr, PADDED: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)  # a token's and a head's query or key
    column = tl.arange(0, PADDED)
    inside = (row < n_rows)[:, None] & (column < HALF)[None, :]
    token, part = row // (2 * n_heads), row % (2 * n_heads)
    angle = (token % seq_len)[:, None] * (2 * HALF) + column[None, :]
    c = tl.load(cos + angle, mask=inside, other=1.0).to(tl.float32)
    s = tl.load(sin + angle, mask=inside, other=0.0).to(tl.float32)
    start = token.to(tl.int64) * (n_heads * 3 * HEAD) + (part // 2) * (3 * HEAD) + (part % 2) * HEAD
    first = fused + start[:, None] + column[None, :]
    x = tl.load(first, mask=inside, other=0.0).to(tl.float32)
    y = tl.load(first + HALF, mask=inside, other=0.0).to(tl.float32)
    tl.store(first, finite_or_nan((x * c - y * s).to(fused.dtype.element_ty)), mask=inside)
    tl.store(first + HALF, finite_or_nan((y * c + x * s).to(fused.dtype.element_ty)), mask=inside)


def _rotate_(fused: Tensor, cos: Tensor, sin: Tensor, head_size: int) -> Tensor:
    """Rotate the queries and keys of `fused` (V x n, L, heads x 3 x head_size) in place; return it."""
    seq_len, width = fused.shape[1:]
    n_heads = width // (3 * head_size)
    n_rows = fused.numel() // width * 2 * n_heads
    half = cos.shape[-1] // 2
    _rotate_kernel[(triton.cdiv(n_rows, ROTATED_PER_PROGRAM),)](
        fused, cos.contiguous(), sin.contiguous(), n_rows, seq_len, n_heads,
        HEAD=head_size, HALF=half, PADDED=triton.next_power_of_2(half), ROWS=ROTATED_PER_PROGRAM,
    )  # fmt: skip
    return fused
