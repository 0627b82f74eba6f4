import pytest
import torch

from helpers.measure.models.failures import LONGEST, failure_of
from helpers.table.errors import CheckpointError, DeviceError, ResultsError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CheckpointError("no config.json"), "a@1: no config.json"),
        (KeyError("weight_map"), "a@1: can't be used (KeyError: 'weight_map')"),
        (ImportError("FlashAttention2 isn't installed\nhere is how"), "a@1: can't be used (ImportError: FlashAttention2 isn't installed)"),
        (ValueError(), "a@1: can't be used (ValueError: no message)"),
        (RuntimeError("shape '[2]' is invalid"), "a@1: can't be used (RuntimeError: shape '[2]' is invalid)"),
        (torch.OutOfMemoryError("Tried to allocate 2 GiB\nmore"), "a@1: out of memory (Tried to allocate 2 GiB)"),
        (ValueError("x" * 10**6), f"a@1: can't be used (ValueError: {'x' * LONGEST})"),
    ],
)  # fmt: skip
def test_whatever_a_library_raises_is_one_line(error, line):
    assert failure_of(error, "a@1", "cpu") == line


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered\nmore"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling"),
        torch.AcceleratorError("unknown"),
        DeviceError("cuda failed"),
    ],
)
def test_a_lost_device_ends_the_work(error):
    with pytest.raises(DeviceError, match="failed"):
        failure_of(error, "a@1", "cpu")


def test_a_device_that_answers_nothing_more_is_lost(monkeypatch):
    def dead(*_, **__):
        raise RuntimeError("no answer")

    monkeypatch.setattr(torch, "zeros", dead)
    with pytest.raises(DeviceError, match=r"a@1: cpu failed \(odd\); all finished rows are kept"):
        failure_of(RuntimeError("odd"), "a@1", "cpu")


def test_a_full_disk_isnt_a_checkpoints_failure():
    with pytest.raises(ResultsError, match="no space"):
        failure_of(ResultsError("no space"), "a@1", "cpu")
