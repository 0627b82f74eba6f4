"""The bytes of a GPU that work takes at most, and the least budgets of large models."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig

from helpers.measure.models import memory
from helpers.measure.models.decoders import Decoder, blocks_of, meta_model
from helpers.measure.models.memory import Share, share
from helpers.measure.models.streaming.device_work import DeviceWork
from helpers.measure.models.streaming.placing import put
from helpers.table.errors import QuantizationError

GIB = 2**30
WORK = DeviceWork(
    n_sequences=64,
    seq_len=128,
    itemsize=2,
    d_model=64,
    widths=1024,
    block_params=50_000,
    widest_input=256,
    vocabulary_size=0,
    n_heads=0,
    n_checkpoints=2,
    largest_layer=20_000,
    block_bytes=101_000,
    end_params=64 * 1024,
    logits_at_once=2**28,
    streamed=True,
)
SCORING = dataclasses.replace(WORK, widest_input=0, vocabulary_size=1024)
LLAMAS = {  # hidden size, MLP, blocks, heads, heads of keys and values, tokens
    "llama-7b": ((4096, 11008, 32, 32, 32, 32000), 24),
    "llama-2-70b": ((8192, 28672, 80, 64, 8, 32000), 80),
    "llama-3-70b": ((8192, 28672, 80, 64, 8, 128256), 80),
}


def streamed_decoder(shape: tuple[int, ...]) -> Decoder:
    """Return a Llama of a shape without numbers, streamed; its parts aren't tried."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    config = LlamaConfig(**dict(zip((*names, "vocab_size"), shape, strict=True)))
    model = meta_model(config).to(torch.bfloat16)
    put(model, "meta", streamed=True)
    prefix, blocks = blocks_of(model)
    return Decoder(model, prefix, blocks, (), (0,) * len(blocks), in_tuples=False)


@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize("name", LLAMAS)
def test_a_large_model_is_rounded_and_scored_within_its_budget(name, itemsize):
    """128 x 2048 tokens of calibration, 131,072 of evaluation, in 16 bits or TF32; a variant beside its original."""
    shape, gib = LLAMAS[name]
    decoder = streamed_decoder(shape)
    works = memory.calibration_work(decoder, 128, 2048, itemsize), memory.evaluation_work(decoder, 64, 2048, itemsize)
    assert all(isinstance(work, DeviceWork) and work.streamed for work in works)
    assert memory.bytes_beside([decoder], 3) == 0
    for work in works:
        least = work.n_bytes(1, 1)
        assert least <= gib * GIB
        assert share(work, 2, 64, least) == Share(1, 1, least, offloaded=True)
        with pytest.raises(QuantizationError, match="is less than one block needs"):
            share(work, 2, 64, least - 1)


def test_the_plan_counts_a_models_own_sizes():
    """Llama-7B by hand: seven matrices, two norms, bf16."""
    decoder = streamed_decoder(LLAMAS["llama-7b"][0])
    work = memory.calibration_work(decoder, 128, 2048, 2)
    assert isinstance(work, DeviceWork)
    assert work.block_params == 4 * 4096**2 + 3 * 4096 * 11008
    assert work.largest_layer == 4096 * 11008
    assert work.block_bytes == 2 * (work.block_params + 2 * 4096)
    assert work.end_params == 32000 * 4096
    assert (work.widest_input, work.vocabulary_size) == (11008, 0)


@pytest.mark.parametrize("work", [WORK, SCORING])
@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 64))
def test_more_memory_never_means_less_at_once_and_a_share_fits(work, one, other, variants, sequences):
    least = work.n_bytes(1, 1)
    small, large = (share(work, variants, sequences, least + extra) for extra in sorted((one, other)))
    assert (small.variants, small.sequences) <= (large.variants, large.sequences)
    assert small.sequences <= large.sequences
    for found, extra in zip((small, large), sorted((one, other)), strict=True):
        kept = dataclasses.replace(work, offloaded=found.offloaded)
        assert found.n_bytes == kept.n_bytes(found.variants, found.sequences) <= least + extra


def test_hidden_states_stay_on_the_device_where_they_fit():
    resident = dataclasses.replace(WORK, offloaded=False)
    assert resident.n_bytes(3, 5) - WORK.n_bytes(3, 5) == 3 * 64 * 128 * 64 * 2
    budget = resident.n_bytes(3, 5)
    assert share(WORK, 3, 5, budget) == Share(3, 5, budget)
    assert share(WORK, 3, 5, budget - 1) == Share(3, 5, WORK.n_bytes(3, 5), offloaded=True)


@pytest.mark.parametrize(
    "field",
    [
        "n_sequences",
        "seq_len",
        "itemsize",
        "d_model",
        "widths",
        "block_params",
        "largest_layer",
        "block_bytes",
        "end_params",
    ],
)
@pytest.mark.parametrize("work", [WORK, SCORING])
def test_everything_that_grows_takes_more_memory(work, field):
    larger = dataclasses.replace(work, **{field: 2 * getattr(work, field)})
    assert larger.n_bytes(3, 5) > work.n_bytes(3, 5)


def test_blocks_of_a_model_that_lies_there_as_a_whole_take_nothing_beside_it():
    whole = dataclasses.replace(WORK, streamed=False)
    assert WORK.n_bytes(3, 5) - whole.n_bytes(3, 5) == 2 * 2 * WORK.block_bytes
    assert WORK.n_bytes(1, 5) - whole.n_bytes(1, 5) == 2 * WORK.block_bytes


def test_logits_are_counted_for_as_many_sequences_as_go_at_once():
    without = dataclasses.replace(SCORING, vocabulary_size=0)
    few = dataclasses.replace(SCORING, logits_at_once=3 * 128 * 1024)
    assert few.n_bytes(1, 5) - without.n_bytes(1, 5) == 5 * 3 * 128 * 1024 * 4
    assert few.n_bytes(1, 2) - without.n_bytes(1, 2) == 5 * 2 * 128 * 1024 * 4
