"""The device and the dtype of matrix products: parts of a row's key, never a hidden switch."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from helpers.table.errors import QuantizationError, SpecError

if TYPE_CHECKING:
    from helpers.measure.models.cuda.halves import Halves

TENSOR_DTYPE = {"float32": torch.float32, "tfloat32": torch.float32, "bfloat16": torch.bfloat16}
LARGEST_HALF = torch.finfo(torch.float16).max  # 65,504: what is larger is infinite in float16


def refuse_missing_device(device: str) -> None:
    """Raise SpecError for a device that isn't cpu or cuda, or isn't there."""
    accepted = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if device not in accepted:
        absent = "" if torch.cuda.is_available() else " (no CUDA device here)"
        raise SpecError(f"device '{device}'; accepted: {', '.join(accepted)}{absent}")


@contextlib.contextmanager
def matrix_products(dtype: str) -> Iterator[None]:
    """Let float32 matrix products on a GPU run in TF32 if `dtype` is tfloat32, and in full float32 otherwise."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = dtype == "tfloat32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def taken_apart(matrices: torch.Tensor) -> "Halves | None":
    """Return matrices (V, n, k) taken apart where products are made of halves: float32's on a GPU, without TF32."""
    full = matrices.dtype == torch.float32 and not torch.backends.cuda.matmul.allow_tf32
    if not (full and matrices.is_cuda and matrices.numel()):
        return None
    from helpers.measure.models.cuda import halves  # Triton is there only where CUDA is

    return halves.halves_of(matrices)


def never_infinite(keys: torch.Tensor) -> torch.Tensor:
    """Return attention's keys with NaN for what is infinite in them; all else keeps its bits.

    A softmax leaves an infinite key out where its scores are -inf, and the row would look sound.
    """
    return torch.add(keys, keys, alpha=0)


def reach_of(dtype: str) -> str:
    """Return what to say of numbers that aren't finite: in TF32 operands come in float16; nothing in other dtypes."""
    if dtype != "tfloat32":
        return ""
    return f"; numbers beyond {LARGEST_HALF:,.0f} are infinite in tfloat32, not in float32 and bfloat16"


def refuse_without_tensor_cores(dtype: str, device: torch.device) -> None:
    """Raise QuantizationError for TF32 on a CPU, which would silently be float32."""
    if dtype == "tfloat32" and device.type != "cuda":
        raise QuantizationError(f"dtype 'tfloat32' needs a CUDA device; accepted on {device.type}: float32, bfloat16")
