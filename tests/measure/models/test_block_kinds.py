"""What counts as a difference between blocks, and what doesn't."""

import functools
from types import SimpleNamespace

import pytest
import torch
from tests.measure.plain import ARCHITECTURES, OF_TWO_KINDS, build
from torch import nn

from helpers.measure.models.block_kinds import templates_of
from helpers.measure.models.decoders import decoder_of


class Block(nn.Module):
    """A block with its index, a setting and a buffer."""

    def __init__(self, index: int, setting: object = None, buffer: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.inside = nn.Identity()
        self.inside.layer_idx, self.inside.setting = index, setting
        self.register_buffer("mask", torch.full((2, 2), buffer), persistent=False)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_blocks_of_the_usual_decoders_are_of_one_kind(name):
    assert decoder_of(build(name)).templates == ((0, 1) if name in OF_TWO_KINDS else (0, 0))


def test_parameters_and_each_blocks_own_index_are_no_difference():
    assert templates_of([Block(index) for index in range(4)]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, False),
        (True, 1),  # a flag isn't a number
        (1.0, 0.5),
        ("local", "global"),
        (None, 32),
        ([1, 2], [1, 3]),
        ({"window": 1}, {"window": 2}),
        (torch.zeros(2), torch.ones(2)),
        (torch.float32, torch.bfloat16),
        (torch.relu, torch.tanh),
        (nn.Identity().forward, nn.Identity().train),
    ],
)
def test_a_setting_that_differs_is_a_difference(one, other):
    assert templates_of([Block(i, setting) for i, setting in enumerate([one, other, one, other])]) == (0, 1, 0, 1)
    assert templates_of([Block(i, one) for i in range(4)]) == (0, 0, 0, 0)


def test_a_buffer_a_type_and_an_index_out_of_order_are_differences():
    assert templates_of([Block(0), Block(1, buffer=1.0), Block(2)]) == (0, 1, 0)
    assert templates_of([Block(0), Block(0), Block(2)]) == (0, 0, 2)
    blocks = [Block(0), Block(1)]
    blocks[1].inside = nn.Flatten()
    assert templates_of(blocks) == (0, 1)


def test_objects_that_are_not_known_are_left_to_the_trial():
    settings = [SimpleNamespace(a=1), SimpleNamespace(a=2), functools.partial(max)]
    assert templates_of([Block(i, setting) for i, setting in enumerate(settings)]) == (0, 0, 2)
