"""Copies between the host's memory and a device's that run beside the device's work, and the order between the two.

On a CUDA device a line is a stream of its own, host memory is pinned, and a mark is an event. On a CPU every copy is
made at once and a mark is nothing, so that what streams can be tried without a GPU.
"""

import contextlib

import torch
from torch import Tensor

Mark = torch.cuda.Event | None


class Line:
    """A line between the host and a device: what is copied on it stays in order, and overlaps the device's work."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def host_memory(self, n_bytes: int) -> Tensor:
        """Return host memory, uint8 (n_bytes,), that copies can run from and to while the host goes on."""
        return torch.empty(n_bytes, dtype=torch.uint8, pin_memory=self.stream is not None)

    def device_memory(self, n_bytes: int) -> Tensor:
        """Return memory of the device, uint8 (n_bytes,)."""
        return torch.empty(n_bytes, dtype=torch.uint8, device=self.device)

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Queue a copy. Whoever owns `source` and `target` keeps them until a later mark has passed."""
        with contextlib.nullcontext() if self.stream is None else torch.cuda.stream(self.stream):
            target.copy_(source, non_blocking=True)

    def mark(self) -> Mark:
        """Return a mark behind all copies that are queued so far."""
        return None if self.stream is None else self.stream.record_event()

    def mark_work(self) -> Mark:
        """Return a mark behind all work that this thread has queued on the device so far."""
        return None if self.stream is None else torch.cuda.current_stream(self.device).record_event()

    def follow(self, mark: Mark) -> None:
        """Let later copies begin when `mark` has passed."""
        if self.stream is not None and mark is not None:
            self.stream.wait_event(mark)

    def work_follows(self, mark: Mark) -> None:
        """Let this thread's later work on the device begin when `mark` has passed."""
        if self.stream is not None and mark is not None:
            torch.cuda.current_stream(self.device).wait_event(mark)

    def wait(self, mark: Mark) -> None:
        """Return when `mark` has passed."""
        if mark is not None:
            mark.synchronize()
