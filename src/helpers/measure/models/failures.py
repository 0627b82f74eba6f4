"""What went wrong with one checkpoint, in one line, and what ends all work: a device that is lost, a disk that refuses.

Libraries raise whatever they like at a checkpoint that is broken in a way of its own: a list of kinds would always be
one short. So the question is the other way round: which errors aren't the checkpoint's?
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from helpers.measure.models.decoders import first_line
from helpers.table.errors import CheckpointError, DeviceError, QidError, ResultsError

LOST = re.compile("CUDA error|CUBLAS_STATUS|CUDNN_STATUS|device-side assert")  # in messages of RuntimeError
LONGEST = 300  # characters of a library's message


def said_of(error: Exception) -> str:
    """Return the first line of an error's text, or its kind where it says nothing."""
    return first_line(error) or type(error).__name__


@contextlib.contextmanager
def refusals_named(folder: Path) -> Iterator[None]:
    """Turn whatever a library raises of files that it can't use into a CheckpointError that begins with `folder`."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{folder}: can't be loaded ({said_of(error)})") from None


def failure_of(error: Exception, label: str, device: str) -> str:
    """Return the line of a report for what went wrong with the checkpoint called `label`.

    Raises DeviceError when the device is lost, and a ResultsError as it is: the disk would refuse the others' rows too.
    """
    if isinstance(error, (DeviceError, ResultsError)):
        raise error
    if isinstance(error, QidError):
        return f"{label}: {error}"
    said = " ".join((str(error).strip() or "no message").splitlines()[0].split())[:LONGEST]
    if isinstance(error, torch.OutOfMemoryError):
        return f"{label}: out of memory ({said})"
    if isinstance(error, RuntimeError) and _is_lost(error, device):
        raise DeviceError(f"{label}: {device} failed ({said}); all finished rows are kept, rerun to go on") from error
    return f"{label}: can't be used ({type(error).__name__}: {said})"


def _is_lost(error: RuntimeError, device: str) -> bool:
    if isinstance(error, torch.AcceleratorError) or LOST.search(str(error)):
        return True
    try:  # after some errors a GPU answers nothing more to this process
        return bool(torch.zeros(1, device=device).item())
    except RuntimeError:
        return True
