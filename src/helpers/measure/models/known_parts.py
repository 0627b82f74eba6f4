"""Which parts of a block a kernel can compute: told by what they do or by their code, not by their class's name.

Classes of other models that were copied from Llama's have its code, and so its kernels.
"""

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers.models.llama import modeling_llama

AGREE = 1e-5  # of values of order one, in float32
CAUSES = (RuntimeError, TypeError, ValueError, IndexError)  # of a function that wants other arguments
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": nn.functional.silu,
    "gelu": nn.functional.gelu,
    "gelu_tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
}


@dataclass(frozen=True)
class Norm:
    """A norm over the last dimension: x, less its mean if `centred`, by its root mean square, by `offset` + weight."""

    eps: float
    centred: bool
    offset: float

    def __call__(self, inputs: Tensor, weight: Tensor) -> Tensor:
        """Return the norm of `inputs` (..., d), without a bias."""
        x = inputs - inputs.mean(-1, keepdim=True) if self.centred else inputs
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * (self.offset + weight)


def norm_of(module: nn.Module) -> Norm | None:
    """Return what kind of norm a module is, or None where it is none with a weight as long as its input."""
    parameters = dict(module.named_parameters(recurse=False))
    eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    weight = parameters.pop("weight", None)
    if weight is None or weight.ndim != 1 or not isinstance(eps, float) or parameters.keys() - {"bias"}:
        return None
    kinds = (Norm(eps, centred, offset) for centred in (True, False) for offset in (0.0, 1.0))
    return next((kind for kind in kinds if _agrees(module, kind, len(weight), parameters)), None)


def _agrees(module: nn.Module, kind: Norm, width: int, biases: dict[str, nn.Parameter]) -> bool:
    generator = torch.Generator().manual_seed(0)
    device = next(module.parameters()).device
    inputs, weight = (torch.randn(n, width, generator=generator).to(device) for n in (3, 1))
    values = {"weight": weight[0]} | {name: torch.zeros_like(weight[0]) for name in biases}
    with torch.no_grad():
        found = functional_call(module, values, (inputs,))
    return bool(torch.allclose(found, kind(inputs, weight[0]), rtol=AGREE, atol=AGREE))


def gate_of(module: Any) -> str | None:
    """Return the name in `ACTIVATIONS` of the activation of an MLP that computes what Llama's does, else None."""
    if not same_code(type(module).forward, modeling_llama.LlamaMLP.forward):
        return None
    points = torch.linspace(-6, 6, 97)
    found = module.act_fn(points)
    return next((n for n, act in ACTIVATIONS.items() if torch.allclose(found, act(points), AGREE, AGREE)), None)


def rotates(attention: nn.Module) -> bool:
    """Tell whether an attention's forward calls a function that rotates queries and keys as Llama's does."""
    forward = inspect.unwrap(type(attention).forward)
    name = "apply_rotary_pos_emb"
    if name not in forward.__code__.co_names or name not in forward.__globals__:
        return False
    if any(isinstance(each, tuple) and "unsqueeze_dim" in each for each in forward.__code__.co_consts):
        return False  # heads lie in another dimension
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 5, 8), (2, 1, 5, 8), (1, 5, 8), (1, 5, 8))  # of queries, keys, cos and sin
    values = [torch.randn(shape, generator=generator) for shape in shapes]
    try:
        found = forward.__globals__[name](*values)
    except CAUSES:
        return False
    expected = modeling_llama.apply_rotary_pos_emb(*values)
    return all(torch.allclose(one, other, AGREE, AGREE) for one, other in zip(found, expected, strict=True))


def calls_an_interface(attention: nn.Module) -> bool:
    """Tell whether an attention asks transformers' registry for the function that attends."""
    return "ALL_ATTENTION_FUNCTIONS" in inspect.unwrap(type(attention).forward).__code__.co_names


def same_code(one: Callable[..., object], other: Callable[..., object]) -> bool:
    """Tell whether two functions do the same with the same names; what they are called and say of themselves aside."""
    parts = []
    for function in (one, other):
        code = inspect.unwrap(function).__code__
        constants = [each for each in code.co_consts if each not in (None, function.__doc__)]
        parts.append((code.co_code, code.co_names, code.co_varnames, constants))
    return bool(parts[0] == parts[1])


def with_globals(function: Callable[..., object], replaced: dict[str, object]) -> types.FunctionType:
    """Return `function` as it would run in a module whose globals are `replaced`; its own module stays as it is."""
    inner = inspect.unwrap(function)
    twin = types.FunctionType(
        inner.__code__, {**inner.__globals__, **replaced}, inner.__name__, inner.__defaults__, inner.__closure__
    )
    twin.__kwdefaults__ = inner.__kwdefaults__
    return twin
