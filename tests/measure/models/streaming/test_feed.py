"""Blocks that wait elsewhere: the same bits as where everything lies on the device, and two slots of memory.

The device here is the CPU, so that the code that runs on a GPU is tried without one; only streams and pinned memory are
missing.
"""

import dataclasses

import pytest
import torch
from tests.measure.plain import build
from tests.measure.streamed import SCHEME_OF, Way, assert_same, measured, without_prefetch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig

from helpers.measure.models import checkpoints, opening
from helpers.measure.models.decoders import Decoder, decoder_of
from helpers.measure.models.streaming import feed
from helpers.measure.models.streaming.feed import BlockFeed
from helpers.measure.models.streaming.placing import put
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import CheckpointError
from helpers.table.scheme import QuantScheme

CALIBRATION = torch.randint(0, 256, (6, 32), generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(0, 256, (4, 33), generator=torch.Generator().manual_seed(1))
BLOCKS = Blocks(TOKENS, (0, 0, 1, 1), 600, "0")
SCHEMES = [QuantScheme("gptq", bits, 16, False, rel_damp=0.01) for bits in (3, 4)]
NAMES = ["neox, parallel", "llama, biases", "gpt2", "gemma2", "opt, norms after"]
PARTS = Way()  # one variant and a part of the text at a time
PAIRS = Way(variants=2, calibrating=6, scoring=4)  # all of the text; one 16-bit model waits for its rounded ones


def models(name: str) -> list:
    return [build(name, seed).to(torch.bfloat16) for seed in (0, 1)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", [PARTS, PAIRS], ids=["parts", "pairs"])
def test_what_waits_elsewhere_changes_no_bit(name, way):
    whole = measured(models(name), SCHEMES, CALIBRATION, BLOCKS, way)
    assert {score.micro_batch for each in whole[1] for score in each} == {way.scoring}
    assert {answer.diagnostics.calib_micro_batch for each in whole[0] for answer in each} == {way.calibrating}
    for offloaded in (False, True):
        elsewhere = dataclasses.replace(way, streamed=True, offloaded=offloaded)
        assert_same(measured(models(name), SCHEMES, CALIBRATION, BLOCKS, elsewhere), whole)


@pytest.mark.parametrize("method", SCHEME_OF)
def test_every_way_of_rounding_goes_with_it(method):
    schemes = [SCHEME_OF[method]]
    one, other = (
        measured(models("llama, biases"), schemes, CALIBRATION, BLOCKS, dataclasses.replace(PARTS, streamed=streamed))
        for streamed in (False, True)
    )
    assert_same(one, other)


def test_fetching_late_changes_no_bit(monkeypatch):
    early = measured(models("llama, biases"), SCHEMES, CALIBRATION, BLOCKS, Way(streamed=True))
    without_prefetch(monkeypatch)
    assert_same(measured(models("llama, biases"), SCHEMES, CALIBRATION, BLOCKS, Way(streamed=True)), early)


def streamed(*built: nn.Module) -> list[Decoder]:
    decoders = [decoder_of(model) for model in built]
    for model in built:
        put(model, "cpu", streamed=True)
    return decoders


def deep(n_blocks: int) -> nn.Module:
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=n_blocks,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False).to(torch.bfloat16)


def weights_of(decoder: Decoder, index: int) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in decoder.blocks[index].named_parameters()}


@pytest.mark.parametrize("piece_bytes", [64, 2**25])
def test_a_block_at_work_has_its_values_in_a_slot_and_the_others_are_left_alone(piece_bytes, monkeypatch):
    """Pieces of 64 bytes: every matrix takes many, in two buffers by turns."""
    monkeypatch.setattr(feed, "PIECE_BYTES", piece_bytes)
    decoders = streamed(deep(5), deep(5))
    expected = [[weights_of(decoder, index) for index in range(5)] for decoder in decoders]
    own = [dict(decoder.model.named_parameters()) for decoder in decoders]
    with BlockFeed(decoders) as fed:
        slots = {(slot.data_ptr(), slot.data_ptr() + slot.nbytes) for slot in fed.slots}
        for index in range(5):
            with fed.at(index):
                for decoder, of_decoder in zip(decoders, expected, strict=True):
                    for name, weight in decoder.blocks[index].named_parameters():
                        assert torch.equal(weight, of_decoder[index][name])
                        assert weight.dtype == torch.bfloat16
                        assert any(low <= weight.data_ptr() < high for low, high in slots)
        n_bytes = sum(parameter.nbytes for decoder in decoders for parameter in decoder.blocks[0].parameters())
        assert n_bytes <= fed.slots[0].nbytes <= n_bytes + 2 * 9 * feed.ALIGNED_BYTES
    for decoder, before in zip(decoders, own, strict=True):
        assert all(parameter is before[name] for name, parameter in decoder.model.named_parameters())


def test_the_next_block_is_fetched_while_one_is_at_work_and_no_other(monkeypatch):
    fetched = []
    real = BlockFeed._fetch
    monkeypatch.setattr(
        BlockFeed, "_fetch", lambda fed, index, *rest: (fetched.append(index), real(fed, index, *rest))[1]
    )
    with BlockFeed(streamed(deep(4))) as fed:
        for index in range(4):
            with fed.at(index):
                if fed.coming is not None:
                    fed.coming[1].result()
                assert fetched == list(range(min(index + 2, 4)))


def test_blocks_in_any_order_are_the_right_ones():
    (decoder,) = streamed(deep(4))
    expected = [weights_of(decoder, index) for index in range(4)]
    with BlockFeed([decoder]) as fed:
        for index in (2, 0, 0, 3, 1):
            with fed.at(index):
                assert all(torch.equal(w, expected[index][n]) for n, w in decoder.blocks[index].named_parameters())


def test_an_error_at_work_puts_everything_back_and_ends_the_thread():
    (decoder,) = streamed(deep(3))
    own = dict(decoder.model.named_parameters())
    with pytest.raises(ZeroDivisionError), BlockFeed([decoder]) as fed, fed.at(0):
        raise ZeroDivisionError
    assert all(parameter is own[name] for name, parameter in decoder.model.named_parameters())
    assert not [thread for thread in fed.pool._threads if thread.is_alive()]


def test_a_model_that_lies_on_its_device_is_left_as_it_is():
    decoder = decoder_of(deep(2))
    own = dict(decoder.model.named_parameters())
    with BlockFeed([decoder]) as fed, fed.at(1):
        assert all(parameter is own[name] for name, parameter in decoder.model.named_parameters())
    assert not hasattr(fed, "slots")


def test_a_file_that_changes_before_the_next_block_is_fetched_is_one_line(tmp_path):
    deep(3).save_pretrained(tmp_path)
    local = checkpoints.LocalCheckpoint(tmp_path, checkpoints.weights_sha256(tmp_path), None)
    (decoder,) = streamed(opening.open_stored(local))
    path = tmp_path / "model.safetensors"
    with BlockFeed([decoder], prefetched=False) as fed:
        with fed.at(0):
            path.write_bytes(path.read_bytes())
        with pytest.raises(CheckpointError, match=r"changed while it was measured \(written again\)$"), fed.at(1):
            pass
