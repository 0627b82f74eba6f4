"""Weights that stay in the dtype they are stored in, mapped from their files, and float32 copies of a block at a time.

A 16-bit number is a float32 one, so what is computed with copies has the bits of a model held in float32. Copies lie
where the model works, which is another place than where its weights are kept when these are larger than the device.
"""

import contextlib
import ctypes
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from helpers.measure.models.streaming.placing import device_of
from helpers.table.errors import CheckpointError

NARROW = (torch.bfloat16, torch.float16)
LARGE = 2**21  # numbers of a matrix whose float32 copies, once freed, are worth giving back

Stamp = tuple[int, int, int]  # of a file: inode, bytes, nanoseconds of its last change
_FILES: "weakref.WeakKeyDictionary[nn.Module, dict[Path, Stamp]]" = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def widened(*modules: nn.Module) -> Iterator[None]:
    """Let the 16-bit parameters of modules be float32 copies meanwhile; one that has two names is copied once."""
    with _widened_alone(*dict.fromkeys(each for outer in modules for each in outer.modules())):
        yield


def widened_outside(model: nn.Module, *others: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Let the 16-bit parameters of a model but for those of `others` be float32 copies meanwhile."""
    inside = {module for other in others for module in other.modules()}
    return _widened_alone(*(module for module in model.modules() if module not in inside))


def fetched(*modules: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Let the parameters of modules that wait elsewhere be copies where they work meanwhile, in their own dtype."""
    each = dict.fromkeys(each for outer in modules for each in outer.modules())
    return _copied(each, _away, lambda parameter, device: parameter.detach().to(device))


def _widened_alone(*modules: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Do as `widened` does for the modules' own parameters."""
    return _copied(modules, _waiting, wide)


@contextlib.contextmanager
def _copied(
    modules: Iterable[nn.Module],
    wanted: Callable[[nn.Parameter, torch.device], bool],
    copy: Callable[[nn.Parameter, torch.device], Tensor],
) -> Iterator[None]:
    """Let the modules' own parameters that are `wanted` be copies meanwhile."""
    copies: dict[int, nn.Parameter] = {}
    stored = [
        (module, name, parameter, device_of(module))
        for module in modules
        for name, parameter in module._parameters.items()
        if parameter is not None and wanted(parameter, device_of(module))
    ]
    try:
        for module, name, parameter, device in stored:
            if id(parameter) not in copies:
                copies[id(parameter)] = nn.Parameter(copy(parameter, device), requires_grad=False)
            module._parameters[name] = copies[id(parameter)]
        yield
    finally:
        for module, name, parameter, _ in stored:
            module._parameters[name] = parameter


def _away(parameter: nn.Parameter, device: torch.device) -> bool:
    return parameter.device != device


def _waiting(parameter: nn.Parameter, device: torch.device) -> bool:
    return parameter.dtype in NARROW or _away(parameter, device)


@contextlib.contextmanager
def widened_in_turn(model: nn.Module, blocks: Iterable[nn.Module], skipped: Iterable[nn.Module] = ()) -> Iterator[None]:
    """Let every part of a model be float32 while it runs: a block as a whole, the modules outside of blocks each.

    So the model itself can run, with one block's copies at a time. `skipped` blocks aren't run: copies of a whole
    model would be made for nothing at every batch.
    """
    blocks = list(blocks)
    inside = {module for block in (*blocks, *skipped) for module in block.modules()}
    outside = [module for module in model.modules() if module not in inside and module._parameters]
    handles: list[Any] = []
    running: dict[nn.Module, contextlib.ExitStack] = {}
    for part in (each for each in (*blocks, *outside) if _waits(each, deep=each in inside)):
        enter, leave = _turn(part, part in inside, running)
        handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for turn in running.values():
            turn.close()


def _turn(
    part: nn.Module, deep: bool, running: dict[nn.Module, contextlib.ExitStack]
) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return the hooks that make a part float32 when it begins to run, noted in `running`, and put it back at its end.

    A part that isn't `deep` has parts of its own inside, whose turns come by themselves.
    """

    def enter(_module: nn.Module, _args: Any) -> None:
        turn = running[part] = contextlib.ExitStack()
        turn.enter_context(widened(part) if deep else _widened_alone(part))

    def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
        if part in running:
            running.pop(part).close()

    return enter, leave


def _waits(module: nn.Module, deep: bool) -> bool:
    return any(_waiting(parameter, device_of(module)) for parameter in module.parameters(recurse=deep))


def wide(parameter: Tensor, device: torch.device) -> Tensor:
    """Return a parameter's values on a device in float32, row by row in memory: itself where it is so."""
    if parameter.dtype in NARROW and parameter.numel() >= LARGE and device.type == "cpu":
        _let_go()
    there = parameter.detach().to(device)  # before it is wider: half as much to copy
    return there.to(torch.float32, memory_format=torch.contiguous_format)


def stamps_of(files: Iterable[Path]) -> dict[Path, Stamp]:
    """Return what tells a file from a later one of its name."""
    return {path: _stamp(path) for path in files}


def stamp_files(model: nn.Module, stamps: dict[Path, Stamp]) -> None:
    """Note from which files, as `stamps` say, a model's parameters are mapped."""
    _FILES[model] = stamps


def begin_block(models: Iterable[nn.Module]) -> None:
    """Begin a block of models: their files are still those that were verified, and memory let go of is given back.

    Raises CheckpointError as `refuse_changed_files` does.
    """
    mapped = [model for model in models if model in _FILES]
    for model in mapped:
        refuse_changed_files(model)
    if any(parameter.numel() >= LARGE for model in mapped for parameter in model.parameters()):
        _let_go()


def _let_go() -> None:
    """Give freed memory back: glibc keeps it, and what is kept between two blocks leaves holes that add up."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def refuse_changed_files(model: nn.Module) -> None:
    """Raise CheckpointError where a file from which parameters are mapped isn't what it was when it was verified."""
    for path, before in _FILES.get(model, {}).items():
        try:
            now = _stamp(path)
        except OSError as error:
            raise CheckpointError(f"{path}: gone while it was measured ({error.strerror})") from None
        if now != before:
            said = f"{now[1]:,} bytes, not {before[1]:,}" if now[1] != before[1] else "written again"
            raise CheckpointError(f"{path}: changed while it was measured ({said})")


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
