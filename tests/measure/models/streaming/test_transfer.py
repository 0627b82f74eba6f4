"""Copies between host and device, as far as a CPU can tell; `tests/measure/test_cuda.py` tries streams."""

import torch

from helpers.measure.models.streaming.transfer import Line


def test_on_a_cpu_a_copy_is_there_at_once_and_marks_are_nothing():
    line = Line(torch.device("cpu"))
    source, target = torch.arange(7, dtype=torch.uint8), line.device_memory(7)
    line.follow(line.mark_work())
    line.copy(target, source)
    mark = line.mark()
    line.work_follows(mark)
    line.wait(mark)
    assert mark is None
    assert torch.equal(target, source)
    assert not line.host_memory(3).is_pinned()
