"""Commands that measure do so on one thread, as the tests of measuring do: once two were used, sums stay those of two."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums are taken in one order, whatever the machine."""
    torch.set_num_threads(1)
