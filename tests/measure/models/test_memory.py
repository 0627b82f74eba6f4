"""How much goes through a block at once: from a budget to variants and sequences, and what it is made of."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.measure.plain import build

from helpers.measure.models import memory
from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.memory import Share, Work, share
from helpers.measure.models.streaming.placing import put
from helpers.table.errors import QuantizationError

WORK = Work(
    n_sequences=64,
    seq_len=128,
    itemsize=4,
    d_model=64,
    widths=1024,
    block_params=50_000,
    widest_input=256,
    vocabulary_size=0,
)
SCORING = dataclasses.replace(WORK, widest_input=0, vocabulary_size=1024)
every_work = pytest.mark.parametrize("work", [WORK, SCORING])
AT_LEAST = {work: work.n_bytes(1, 1) for work in (WORK, SCORING)}


@every_work
@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 64))
def test_more_memory_never_means_less_at_once_and_a_share_fits(work, one, other, variants, sequences):
    small, large = (
        share(work, variants, sequences, AT_LEAST[work] + extra) for extra in (min(one, other), max(one, other))
    )
    assert small.variants <= large.variants <= variants
    assert small.sequences <= large.sequences <= sequences
    for found, extra in ((small, min(one, other)), (large, max(one, other))):
        assert found.n_bytes == work.n_bytes(found.variants, found.sequences) <= AT_LEAST[work] + extra


@every_work
@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 64))
def test_variants_are_given_up_before_sequences_so_that_sequences_depend_on_no_other_variant(
    work, extra, variants, sequences
):
    """The micro-batch is part of what a row records: it must be the same for a scheme alone and beside others."""
    budget = AT_LEAST[work] + extra
    found = share(work, variants, sequences, budget)
    assert found.variants == 1 or found.sequences == sequences
    assert found.sequences == share(work, 1, sequences, budget).sequences


def test_the_largest_of_the_halves_that_fits_is_taken():
    assert share(WORK, 12, 64, WORK.n_bytes(12, 64)) == Share(12, 64, WORK.n_bytes(12, 64))
    assert share(WORK, 12, 64, WORK.n_bytes(12, 64) - 1).variants == 6
    assert share(WORK, 3, 64, WORK.n_bytes(2, 64)) == Share(2, 64, WORK.n_bytes(2, 64))
    assert share(WORK, 3, 7, WORK.n_bytes(1, 7) - 1) == Share(1, 4, WORK.n_bytes(1, 4))


@every_work
def test_less_than_one_block_is_refused_with_what_is_needed(work):
    with pytest.raises(QuantizationError) as caught:
        share(work, 5, 16, AT_LEAST[work] - 1)
    needed = f"{AT_LEAST[work] / 2**30:.3g} GiB"
    given_ = f"{(AT_LEAST[work] - 1) / 2**30:.3g} GiB"
    assert str(caught.value) == (
        f"a memory budget of {given_} is less than one block needs ({needed} for one sequence of 128 tokens)"
    )


def test_halving_takes_sequences_then_variants_and_ends_in_an_error():
    now, seen = Share(5, 6, 0), []
    for _ in range(6):
        seen.append((now.variants, now.sequences))
        if seen[-1] == (1, 1):
            break
        now = now.halved()
    assert seen == [(5, 6), (5, 3), (5, 2), (5, 1), (3, 1), (2, 1)]
    with pytest.raises(QuantizationError, match="^out of memory with one variant and one sequence at a time$"):
        Share(1, 1, 0).halved()


def test_work_is_counted_from_the_blocks_of_a_model():
    """Llama, 32 wide, 2 of 4 heads for keys and values, MLP of 48, 256 tokens: by hand."""
    decoder = decoder_of(build("llama"))
    shapes = [(32, 32), (16, 32), (16, 32), (32, 32), (48, 32), (48, 32), (32, 48)]
    calibration, evaluation = memory.calibration_work(decoder, 7, 9, 2), memory.evaluation_work(decoder, 7, 9, 4)
    for work in (calibration, evaluation):
        assert (work.n_sequences, work.seq_len, work.d_model) == (7, 9, 32)
        assert work.widths == sum(rows + columns for rows, columns in shapes)
        assert work.block_params == sum(rows * columns for rows, columns in shapes)
    assert (calibration.widest_input, calibration.vocabulary_size, calibration.itemsize) == (48, 0, 2)
    assert (evaluation.widest_input, evaluation.vocabulary_size, evaluation.itemsize) == (0, 256, 4)


def test_work_of_experts_is_that_of_those_a_token_goes_to():
    """OLMoE, 32 wide, 3 of 4 experts of 16 a token; the moments of all four may wait: 32 columns, counted by hand."""
    decoder = decoder_of(build("olmoe"))
    calibration, evaluation = memory.calibration_work(decoder, 7, 9, 2), memory.evaluation_work(decoder, 7, 9, 4)
    shapes = [(32, 32), (16, 32), (16, 32), (32, 32)], [(16, 32), (16, 32), (32, 16)]
    attention, expert = (sum(rows + columns for rows, columns in each) for each in shapes)
    assert calibration.widths == evaluation.widths == attention + 3 * expert
    assert calibration.block_params == sum(r * c for r, c in shapes[0]) + 4 * sum(r * c for r, c in shapes[1])
    assert (calibration.waiting, evaluation.waiting) == (4 * 32**2, 0)
    without = dataclasses.replace(calibration, waiting=0)
    assert calibration.n_bytes(3, 5) - without.n_bytes(3, 5) == 3 * 4 * 4 * 32**2


@pytest.mark.parametrize("field", ["n_sequences", "seq_len", "itemsize", "d_model", "widths", "block_params"])
@every_work
def test_everything_that_grows_takes_more_memory(work, field):
    larger = dataclasses.replace(work, **{field: 2 * getattr(work, field)})
    assert larger.n_bytes(3, 5) > work.n_bytes(3, 5)


def test_hessians_and_logits_are_counted():
    without = dataclasses.replace(WORK, widest_input=0)
    assert WORK.n_bytes(3, 5) - without.n_bytes(3, 5) == 3 * memory.HESSIAN_COPIES * 4 * 256**2
    without = dataclasses.replace(SCORING, vocabulary_size=0)
    waiting = (64 + 5) * 128 * 64 * 4  # last hidden states of a 16-bit model
    assert SCORING.n_bytes(3, 5) - without.n_bytes(3, 5) == memory.LOGIT_COPIES * 5 * 128 * 1024 * 4 + waiting


def test_attention_scores_are_counted_where_they_are_made_in_full():
    """For Gemma 2's soft caps: 4 heads, float32."""
    work = memory.evaluation_work(decoder_of(build("gemma2")), 7, 9, 4)
    without = dataclasses.replace(work, n_heads=0)
    assert work.n_heads == 4
    assert work.n_bytes(3, 5) - without.n_bytes(3, 5) == 3 * memory.SCORE_COPIES * 5 * 4 * 9 * 9 * 4
    assert memory.evaluation_work(decoder_of(build("gemma3")), 7, 9, 4).n_heads == 0


def test_what_lies_beside_a_share_is_rounded_weights_and_the_largest_end():
    """Llama, 32 wide with 256 tokens: by hand, and a head of 8192."""
    decoder = decoder_of(build("llama"))
    n_rounded = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32)
    assert memory.bytes_beside([decoder], 3) == 3 * 4 * n_rounded + 8 * 256 * 32
    work = dataclasses.replace(WORK, beside=1000)
    assert work.n_bytes(2, 3) == WORK.n_bytes(2, 3) + 1000


def test_a_gpu_holds_models_as_a_whole_only_in_a_small_part_of_its_budget():
    """Two Llamas in bf16 and three rounded ones, by hand: four times their bytes are needed."""
    decoders = [decoder_of(build("llama", seed).to(torch.bfloat16)) for seed in (0, 1)]
    n_rounded = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32)
    n_bytes = 2 * 2 * (n_rounded + 2 * 256 * 32 + 5 * 32) + 3 * 4 * n_rounded
    assert not memory.is_too_large(decoders, 3, "cuda", 4 * n_bytes)
    assert memory.is_too_large(decoders, 3, "cuda", 4 * n_bytes - 1)
    assert not memory.is_too_large(decoders, 3, "cpu", 1)


def test_the_work_of_a_streamed_model_is_a_gpus():
    decoder = decoder_of(build("llama").to(torch.bfloat16))
    assert isinstance(memory.calibration_work(decoder, 7, 9, 2), Work)
    put(decoder.model, "cpu", streamed=True)
    for work in (memory.calibration_work(decoder, 7, 9, 2, 3), memory.evaluation_work(decoder, 7, 9, 2, 3)):
        assert isinstance(work, memory.DeviceWork)
        assert (work.n_sequences, work.seq_len, work.itemsize, work.d_model) == (7, 9, 2, 32)
        assert (work.n_checkpoints, work.largest_layer, work.end_params) == (3, 48 * 32, 256 * 32)
        assert work.block_bytes == 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32 + 2 * 32)
    assert memory.bytes_beside([decoder], 3) == 0


def test_a_cpu_is_held_to_nothing():
    with memory.held_to(1, "cpu"):
        assert torch.zeros(2**20).sum() == 0
