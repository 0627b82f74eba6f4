"""A family of two tiny random models, laid out as training lays out a real one."""

from pathlib import Path

import pytest
import torch
from tiny import SHAPE, tiny_model, write_family
from transformers import GPTNeoXForCausalLM


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums are taken in one order, whatever the machine."""
    torch.set_num_threads(1)


@pytest.fixture
def model() -> GPTNeoXForCausalLM:
    return tiny_model(seed=0, **SHAPE)


@pytest.fixture
def family(tmp_path: Path) -> Path:
    return write_family(tmp_path / "family")
