"""Hidden states of a rounded model beside the 16-bit one, against a plain forward pass of a copy."""

import copy

import pytest
import torch
from tests.measure.plain import loaded
from tests.measure.tiny import tiny_model
from torch import Tensor

from helpers.measure.describing.error_by_depth import error_by_depth
from helpers.measure.rounding.methods import rtn
from helpers.measure.rounding.rounded import Rounded
from helpers.table.errors import CheckpointError
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme


def tokens() -> Tensor:
    return torch.randint(1, 1024, (3, 16), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def deep():
    """A model of four blocks: one in which a block's neighbours could be mistaken for it."""
    return tiny_model(seed=0, n_layers=4)


def answer(model, kept: tuple[str, ...] = ()) -> Rounded:
    ((rounded,),) = rtn.quantize(loaded(model), [QuantScheme("rtn", 3, 16, False, kept_matrices=kept)], None, 0)
    return rounded


def plain_states(model, rounded: Rounded) -> tuple[Tensor, ...]:
    """Return the states before each block and what the head reads, of a copy that has the rounded weights."""
    changed = copy.deepcopy(model)
    for name in rounded.weights:
        changed.get_parameter(name).data.copy_(rounded.decoded(name))
    with torch.no_grad():
        return changed(tokens(), output_hidden_states=True).hidden_states


def test_errors_are_those_of_a_plain_forward_pass(deep):
    """GPT-NeoX gives the states before each block, so those after all but the last. 1e-5: sums in another order."""
    nothing, rounded = Rounded({}, Diagnostics()), answer(deep)
    found = error_by_depth(loaded(deep)[0].decoder, rounded, tokens())
    own, other = plain_states(deep, nothing), plain_states(deep, rounded)
    for number, error in enumerate(found.after[:-1], start=1):
        centred = own[number] - own[number].mean((0, 1))
        assert error == pytest.approx(float((other[number] - own[number]).norm() ** 2 / centred.norm() ** 2), rel=1e-5)
    cosines = (own[-1] * other[-1]).sum(-1) / own[-1].norm(dim=-1) / other[-1].norm(dim=-1)
    assert found.cosine == pytest.approx(float(cosines.mean()), rel=1e-5)


def test_a_block_alone_is_the_whole_where_no_other_is_rounded(deep):
    """Three blocks kept: the error is what the one block makes, wherever it stands; the others make none."""
    layers = [name.removeprefix("gpt_neox.layers.") for name in loaded(deep)[0].decoder.linear_layers()]
    every = error_by_depth(loaded(deep)[0].decoder, answer(deep), tokens())
    for block in range(4):
        kept = tuple(sorted(name for name in layers if not name.startswith(f"{block}.")))
        one = error_by_depth(loaded(deep)[0].decoder, answer(deep, kept), tokens())
        assert one.alone[block] == one.after[-1] == every.alone[block] > 0
        assert [error for other, error in enumerate(one.alone) if other != block] == [0, 0, 0]
        assert one.after[:block] == (0,) * block


def test_nothing_rounded_has_no_error_and_the_model_stays_as_it_was(deep):
    before = {name: weight.clone() for name, weight in deep.named_parameters()}
    found = error_by_depth(loaded(deep)[0].decoder, Rounded({}, Diagnostics()), tokens())
    error_by_depth(loaded(deep)[0].decoder, answer(deep), tokens())
    assert found.after == found.alone == (0, 0, 0, 0)
    assert found.cosine == pytest.approx(1)
    assert all(torch.equal(weight, before[name]) for name, weight in deep.named_parameters())


def test_more_tokens_than_positions_are_refused(deep):
    with pytest.raises(CheckpointError, match="accepted: up to 512"):
        error_by_depth(loaded(deep)[0].decoder, answer(deep), torch.ones(1, 513, dtype=torch.int64))
