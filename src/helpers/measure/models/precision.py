"""The device and the dtype of matrix products: parts of a row's key, never a hidden switch."""

import contextlib
from collections.abc import Iterator

import torch

from helpers.table.errors import QuantizationError, SpecError

TENSOR_DTYPE = {"float32": torch.float32, "tfloat32": torch.float32, "bfloat16": torch.bfloat16}


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


def in_halves(operand: torch.Tensor) -> bool:
    """Tell whether products of `operand` are made of halves (`cuda/halves`): float32's on a GPU, without TF32."""
    full = operand.dtype == torch.float32 and not torch.backends.cuda.matmul.allow_tf32
    return full and operand.is_cuda and operand.numel() > 0


def refuse_without_tensor_cores(dtype: str, device: torch.device) -> None:
    """Raise QuantizationError for TF32 on a CPU, which would silently be float32."""
    if dtype == "tfloat32" and device.type != "cuda":
        raise QuantizationError(f"dtype 'tfloat32' needs a CUDA device; accepted on {device.type}: float32, bfloat16")
