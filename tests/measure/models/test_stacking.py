"""Several sets of parameters in one block: every variant gets its own block's outputs."""

import pytest
import torch
from tests.measure.plain import ARCHITECTURES, build
from torch import nn

from helpers.measure.models import stacking
from helpers.measure.models.decoders import decoder_of, hidden_of
from helpers.measure.rounding.input_rounding import InputRounding, RoundedInputsLinear

TOKENS = torch.randint(0, 256, (3, 10), generator=torch.Generator().manual_seed(0))
OWNERS = [0, 1, 1, 0]


def stacked_outputs(decoders, owners, index=1, weights=None):
    """Return block `index`'s inputs and outputs for every variant, (V x n, L, d)."""
    stack = stacking.block_stacks(decoders[0], torch.float32)[index]
    stack.load([decoder.blocks[index] for decoder in decoders], owners, weights or {})
    (hidden,) = stacking.first_inputs(decoders, owners, [TOKENS], torch.float32)
    outputs = hidden_of(stack.call(hidden, **stacking.block_arguments(decoders[0], TOKENS, torch.float32)[index]))
    stack.clear()
    return hidden, outputs


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_every_variant_gets_its_own_blocks_outputs(name):
    """Float32's rounding apart (1e-5 of the largest): attention takes all variants as one batch."""
    decoders = [decoder_of(build(name, seed)) for seed in (0, 1)]
    hidden, outputs = stacked_outputs(decoders, OWNERS)
    expected = [hidden_of(d.blocks[1](d.inputs(TOKENS)[0], **d.inputs(TOKENS)[1][1])) for d in decoders]
    assert (expected[0] - expected[1]).abs().max() > 0.1
    for owner, start, found in zip(OWNERS, hidden.chunk(4), outputs.chunk(4), strict=True):
        assert torch.equal(start, decoders[owner].inputs(TOKENS)[0])
        assert (found - expected[owner]).abs().max() < 1e-5 * expected[owner].abs().max()


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_a_variant_has_the_same_bits_alone_beside_others_and_with_two_checkpoints(name):
    decoders = [decoder_of(build(name, seed)) for seed in (0, 1)]
    together = stacked_outputs(decoders, OWNERS)[1].chunk(4)
    for owner, decoder in enumerate(decoders):
        alone = stacked_outputs([decoder], [0])[1]
        for variants in (stacked_outputs([decoder], [0] * 3)[1].chunk(3), [together[OWNERS.index(owner)]]):
            assert all(torch.equal(each, alone) for each in variants)
    assert torch.equal(together[1], together[2])


@torch.no_grad()
def test_given_weights_take_the_place_of_a_blocks_own():
    decoder = decoder_of(build("llama"))
    own = decoder.blocks[1].mlp.down_proj.weight
    given = {"mlp.down_proj": torch.stack([own, torch.zeros_like(own)])}
    same, silent = stacked_outputs([decoder], [0, 0], weights=given)[1].chunk(2)
    assert torch.equal(same, stacked_outputs([decoder], [0])[1])
    without = decoder_of(build("llama"))
    without.blocks[1].mlp.down_proj.weight.zero_()
    assert torch.equal(silent, stacked_outputs([without], [0])[1])


@pytest.mark.parametrize("bias", [True, False])
def test_a_stacked_linear_layer_is_each_linear_layer_with_any_dimensions(bias):
    """Bit for bit on a CPU: one product a variant."""
    generator = torch.Generator().manual_seed(0)
    stacked = stacking.StackedLinear()
    stacked.weight = torch.randn(3, 6, 16, generator=generator)
    stacked.bias = torch.randn(3, 6, generator=generator) if bias else None
    for shape in ((4, 16), (4, 8, 16), (4, 2, 8, 16)):
        inputs = torch.randn(3, *shape, generator=generator)
        found = stacked(inputs.flatten(0, 1)).unflatten(0, (3, 4))
        for v in range(3):
            one = nn.functional.linear(inputs[v].flatten(0, -2), stacked.weight[v], stacked.bias[v] if bias else None)
            assert torch.equal(found[v].flatten(0, -2), one)


def test_a_stack_leaves_the_block_as_it_was_and_is_made_once_for_a_kind():
    decoder, other = (decoder_of(build("qwen2", seed)) for seed in (0, 1))
    block = decoder.blocks[0]
    modules = dict(block.named_modules())
    stack = stacking.block_stacks(decoder, torch.float32)[0]
    assert stacking.block_stacks(other, torch.float32)[0] is stack
    assert stacking.block_stacks(other, torch.bfloat16)[0] is not stack
    assert stacking.block_stacks(decoder_of(build("llama")), torch.float32)[0] is not stack
    assert all(module is modules[name] for name, module in block.named_modules())
    assert set(stack.layers) == set(decoder.linear_names())
    assert not list(stack.module.parameters()), "a stack owns no parameters"


def test_a_cleared_stack_holds_no_weights():
    decoder = decoder_of(build("qwen2"))
    stack = stacking.block_stacks(decoder, torch.float32)[0]
    stack.load([decoder.blocks[0]], [0], {})
    stack.clear()
    assert all(layer.weight is None and layer.bias is None for layer in stack.layers.values())
    assert not any(other.values for other in stack.others.values())


@torch.no_grad()
def test_one_set_of_arguments_and_batches_of_any_size_serve():
    """Positions and mask come from one sequence; the last micro-batch may be smaller."""
    decoder = decoder_of(build("neox, parallel"))
    parts = list(stacking.first_inputs([decoder], [0, 0], TOKENS.split(2), torch.float32))
    assert [len(part) for part in parts] == [4, 2]
    whole = decoder.inputs(TOKENS)[0]
    assert torch.equal(parts[0], torch.cat([whole[:2], whole[:2]]))
    assert torch.equal(parts[1], torch.cat([whole[2:], whole[2:]]))


def test_arguments_in_another_dtype_keep_whole_numbers():
    decoder = decoder_of(build("llama"))
    wide = stacking.block_arguments(decoder, TOKENS, torch.float32)[0]
    narrow, of_next = stacking.block_arguments(decoder, TOKENS, torch.bfloat16)
    assert narrow["position_embeddings"][0] is of_next["position_embeddings"][0], "what blocks share is made once"
    assert {part.dtype for part in narrow["position_embeddings"]} == {torch.bfloat16}
    assert narrow["position_ids"].dtype == wide["position_ids"].dtype == torch.int64


def test_on_a_cpu_nothing_is_compiled():
    stack = stacking.block_stacks(decoder_of(build("llama")), torch.float32)[0]
    assert stack.forward is stack.module


MXINT, CROSSED, BY_TOKEN = (
    InputRounding("mxint", 4, 16, None),
    InputRounding("int", 6, None, 0.15),
    InputRounding("int", 8, None, 1.0),
)


def layer_that_rounds(roundings: list[InputRounding | None], generator: torch.Generator) -> RoundedInputsLinear:
    layer = RoundedInputsLinear()
    layer.weight = torch.randn(len(roundings), 6, 32, generator=generator)
    layer.bias = torch.randn(len(roundings), 6, generator=generator)
    layer.roundings, layer.seq_len = roundings, 9
    return layer


@pytest.mark.parametrize(
    "roundings",
    [
        [None, MXINT, CROSSED, MXINT, BY_TOKEN],  # the second and fourth are rounded as one
        [CROSSED] * 5,
        [None] * 5,
        [MXINT, None, MXINT, None, CROSSED],
    ],
)
def test_a_layer_rounds_each_variants_inputs_its_own_way_sequence_by_sequence(roundings):
    """Bit for bit on a CPU: every sequence rounded by itself, then one product a variant; `inputs` stay.

    OPT's layers get all tokens of all sequences in one dimension: the same answer.
    """
    generator = torch.Generator().manual_seed(0)
    layer = layer_that_rounds(roundings, generator)
    inputs = torch.randn(5, 3, 9, 32, generator=generator)
    before = inputs.clone()
    found = layer(inputs.flatten(0, 1)).unflatten(0, (5, 3))
    assert torch.equal(inputs, before)
    assert torch.equal(layer(inputs.flatten(0, 2)).view(found.shape), found)
    for v, rounding in enumerate(roundings):
        rounded = torch.stack([rounding(sequence) for sequence in inputs[v]]) if rounding else inputs[v]
        expected = nn.functional.linear(rounded.flatten(0, 1), layer.weight[v], layer.bias[v])
        assert torch.equal(found[v].flatten(0, 1), expected)
