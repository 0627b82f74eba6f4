"""What a matrix product is computed in: part of a row's key, never a hidden switch."""

import contextlib
from collections.abc import Iterator

import torch

from helpers.specs import QuantizationError

TENSOR_DTYPE = {"float32": torch.float32, "tfloat32": torch.float32, "bfloat16": torch.bfloat16}


@contextlib.contextmanager
def matrix_products(dtype: str) -> Iterator[None]:
    """Let float32 matrix products on a GPU run in TF32 if `dtype` is tfloat32, and in full float32 otherwise."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = dtype == "tfloat32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def refuse_without_tensor_cores(dtype: str, device: torch.device) -> None:
    """Raise QuantizationError for TF32 on a CPU, which would silently be float32."""
    if dtype == "tfloat32" and device.type != "cuda":
        raise QuantizationError(f"dtype 'tfloat32' needs a CUDA device; accepted on {device.type}: float32, bfloat16")
