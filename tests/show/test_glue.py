"""Glued numbers are Python's own, whatever library made them."""

import numpy as np
import pytest
import torch

from helpers.show import glue


@pytest.fixture
def glued(monkeypatch):
    values = {}
    monkeypatch.setattr(glue, "glue", lambda name, value, display: values.update({name: (value, display)}))
    return values


def test_scalars_of_libraries_are_unwrapped_and_nothing_is_displayed(glued):
    glue.put("ratio", np.float64(1.5))
    glue.put_all(count=torch.tensor(3), name="64x3", plain=2)
    assert glued == {"ratio": (1.5, False), "count": (3, False), "name": ("64x3", False), "plain": (2, False)}
    assert [type(value) for value, _ in glued.values()] == [float, int, str, int]
