"""Any decoder's block on a GPU as transformers wrote it, with kernels for the parts that decoders share.

Nothing is compiled: norms over variants, the rotation of queries and keys, and the gated activation are exchanged in
the stacked twin of a block, where their code or their numbers say that a kernel computes them. What isn't known runs
as it is written. Stacked linear layers are called as they are, so that whoever watches them still does.
"""

import functools
import types
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from helpers.measure.models import known_parts
from helpers.measure.models.cuda import kernels
from helpers.measure.models.precision import never_infinite


class StackedNorm(Protocol):
    """A norm for several variants, as far as it is read here; a `stacking.StackedModule` is one."""

    shared: bool
    values: dict[str, Tensor]
    template: tuple[nn.Module]
    forward: Callable[..., Any]


def give_kernels(block: nn.Module, stacked: type[nn.Module]) -> None:
    """Let the parts of a stacked block that are known compute by kernels; `stacked` is the type of stacked norms."""
    for module in block.modules():
        if isinstance(module, stacked):
            _give_norm(module)  # type: ignore[arg-type]  # the caller's type is what the protocol asks for
        elif gate := known_parts.gate_of(module):
            module.forward = functools.partial(_gated, module, gate)
        else:
            _give_attention(module)


def norms(hidden: Tensor, stacked: list[StackedNorm], kind: known_parts.Norm, dtype: torch.dtype) -> list[Tensor]:
    """Return one or two norms of one kind of the same `hidden` (V x n, ..., d) in `dtype`; `hidden` is read once."""
    affine = [(norm.values["weight"], norm.values.get("bias")) for norm in stacked]
    n_sets = 1 if stacked[0].shared else len(affine[0][0])
    return kernels.norms(hidden, affine, n_sets, kind.eps, kind.centred, kind.offset, dtype)


def operand_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of attention's operands: in TF32 float16, which has TF32's ten bits of mantissa."""
    return torch.float16 if dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32 else dtype


def _give_norm(stacked: StackedNorm) -> None:
    kind = known_parts.norm_of(stacked.template[0])
    if kind is not None:
        stacked.forward = lambda inputs: norms(inputs, [stacked], kind, inputs.dtype)[0]


def _gated(mlp: Any, activation: str, inputs: Tensor) -> Tensor:
    gate, up = mlp.gate_proj(inputs), mlp.up_proj(inputs)
    outputs: Tensor = mlp.down_proj(kernels.gate_(gate, up, activation))
    return outputs


def _give_attention(attention: Any) -> None:
    fast = known_parts.calls_an_interface(attention) and attention.config._attn_implementation == "sdpa"
    replaced: dict[str, object] = {"ALL_ATTENTION_FUNCTIONS": _HalfAttention()} if fast else {}
    if known_parts.rotates(attention):
        replaced["apply_rotary_pos_emb"] = _rotate_for_half if fast else _rotate
    if replaced:
        forward = known_parts.with_globals(type(attention).forward, replaced)
        attention.forward = types.MethodType(forward, attention)


def _rotate(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Return queries and keys (n, heads, L, head_size), rotated, in their own dtype."""
    return kernels.rotated(query, cos, sin, query.dtype), kernels.rotated(key, cos, sin, key.dtype)


def _rotate_for_half(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Return queries and keys (n, heads, L, head_size), rotated, in the dtype in which `_attend` multiplies them."""
    dtype = operand_dtype(query.dtype)
    return kernels.rotated(query, cos, sin, dtype), kernels.rotated(key, cos, sin, dtype)


class _HalfAttention:
    """The registry of attentions, as far as a block asks it for one."""

    def get_interface(self, _name: str, _default: Callable[..., Any]) -> Callable[..., Any]:
        return _attend


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """Return transformers' `sdpa` attention, in TF32 with operands in float16; an infinite key is no number."""
    dtype = operand_dtype(value.dtype)
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.to(dtype)
    operands = (query.to(dtype), never_infinite(key.to(dtype)), value.to(dtype))
    attended, _ = ALL_ATTENTION_FUNCTIONS["sdpa"](module, *operands, attention_mask, **settings)
    return attended.to(value.dtype), None
