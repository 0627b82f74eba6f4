"""Which blocks of a model differ in nothing but parameters, so that one of them can stand for the others.

Modules are compared by type, attributes and buffers: a window, a rotation that is off, a factor that depends on depth.
"""

import types
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

OF_ANY_MODULE = frozenset(vars(nn.Module())) - {"_buffers"}
LEFT_BY_LOADING = ("_is_hf", "_hf")  # what transformers notes on a module it has filled
PLAIN = (bool, int, float, str, bytes, torch.dtype, torch.device, types.FunctionType, types.BuiltinFunctionType)


def templates_of(blocks: Sequence[nn.Module]) -> tuple[int, ...]:
    """Return for each block the index of the first block from which it differs in parameters alone.

    What is each block's own index (`layer_idx`) doesn't count as a difference.
    """
    settings = [_settings(block) for block in blocks]
    indices = {name for name in settings[0] if all(_is(each.get(name), i) for i, each in enumerate(settings))}
    found = [{name: value for name, value in each.items() if name not in indices} for each in settings]
    templates: list[int] = []
    for index, each in enumerate(found):
        alike = (first for first in dict.fromkeys(templates) if _same(found[first], each))
        templates.append(next(alike, index))
    return tuple(templates)


def _settings(block: nn.Module) -> dict[str, object]:
    """Return everything in a block but parameters and child modules, by its name in the block."""
    return {
        f"{place}.{name}": value
        for place, module in block.named_modules()
        for name, value in {"": type(module), **vars(module)}.items()
        if name not in OF_ANY_MODULE and not name.startswith(LEFT_BY_LOADING)
    }


def _is(value: object, index: int) -> bool:
    return type(value) is int and value == index


def _same(one: object, other: object) -> bool:
    """Tell whether two settings are the same; of objects that aren't known only the types are compared."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, PretrainedConfig) and isinstance(other, PretrainedConfig):
        return bool(one.to_dict() == other.to_dict())
    if isinstance(one, types.MethodType) and isinstance(other, types.MethodType):
        return one.__func__ is other.__func__
    return one == other if isinstance(one, (*PLAIN, type)) else True
