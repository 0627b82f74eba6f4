"""Where a model works and where its parameters wait."""

import gc
import weakref

import torch
from torch import nn

from helpers.measure.models.streaming.placing import device_of, home_of, is_streamed, put


def model() -> nn.Module:
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU())
    made.register_buffer("none", None)
    return made


def test_streamed_parameters_stay_and_buffers_move():
    made = model()
    put(made, "meta", streamed=True)
    assert {parameter.device.type for parameter in made.parameters()} == {"cpu"} == {home_of(made).type}
    assert {buffer.device.type for buffer in made.buffers()} == {"meta"}
    assert {device_of(module).type for module in made.modules()} == {"meta"}
    assert all(is_streamed(module) for module in made.modules())


def test_a_whole_model_moves_and_says_where_it_is():
    made = model()
    put(made, "meta", streamed=True)
    put(made, "meta")
    assert {parameter.device.type for parameter in made.parameters()} == {"meta"} == {device_of(made).type}
    assert not any(is_streamed(module) for module in made.modules())


def test_what_has_no_parameters_is_on_the_cpu():
    assert device_of(nn.ReLU()) == torch.device("cpu")


def test_a_placed_model_can_be_forgotten():
    made = model()
    put(made, "cpu", streamed=True)
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
