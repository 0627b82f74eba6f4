"""The device that a model works on, and where its parameters wait: there as a whole, or on the host until their turn.

Everything that computes with parameters asks for them where the model works. A fetch is free where they are already.
"""

import weakref

import torch
from torch import nn

_WORKS_ON: "weakref.WeakKeyDictionary[nn.Module, torch.device]" = weakref.WeakKeyDictionary()


def put(model: nn.Module, device: str | torch.device, streamed: bool = False) -> None:
    """Let a model work on a device: as a whole or, `streamed`, with parameters that stay where they are stored.

    Buffers (rotations, masks) are small and move in either case.
    """
    if not streamed:
        model.to(device)
        for module in model.modules():
            _WORKS_ON.pop(module, None)
        return
    place = torch.empty(0, device=device).device  # with its number, as tensors say it
    for module in model.modules():
        _WORKS_ON[module] = place
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to(place)


def is_streamed(module: nn.Module) -> bool:
    """Tell whether a module's parameters wait elsewhere until its turn."""
    return module in _WORKS_ON


def device_of(module: nn.Module) -> torch.device:
    """Return the device that a module works on: its parameters', unless they wait elsewhere. CPU where it has none."""
    if module in _WORKS_ON:
        return _WORKS_ON[module]
    first = next(module.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def home_of(model: nn.Module) -> torch.device:
    """Return the device on which a model's parameters are kept: what is rounded waits there too."""
    return next(model.parameters()).device
