"""Models larger than the device, on a GPU: run by hand where there is one (`pytest tests/measure/test_cuda_streaming.py`).

Peaks stay under what the plan says, and what waits on the host changes no bit.
"""

import dataclasses
import gc
from pathlib import Path

import pytest
import torch
from tests.measure.plain import build
from tests.measure.streamed import SCHEME_OF, Way, assert_same, measured, without_prefetch
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, PreTrainedModel

from helpers.measure.models import checkpoints, memory, opening, stacking
from helpers.measure.models.decoders import Decoder, decoder_of
from helpers.measure.models.streaming.feed import BlockFeed
from helpers.measure.models.streaming.hidden import HiddenStates
from helpers.measure.models.streaming.placing import put
from helpers.measure.rounding.methods import method_named
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CALIBRATION = torch.randint(0, 256, (6, 32), generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(0, 256, (4, 33), generator=torch.Generator().manual_seed(1))
BLOCKS = Blocks(TOKENS, (0, 0, 1, 1), 600, "0")
SCHEMES = [QuantScheme("gptq", bits, 16, False, rel_damp=0.01) for bits in (3, 4)]
PARTS = Way("cuda")
PAIRS = Way("cuda", variants=2, calibrating=6, scoring=4)
SHARED = {"vocab_size": 8192, "num_hidden_layers": 4, "bos_token_id": 0, "eos_token_id": 0}
LARGE = {  # 325M and 201M parameters in blocks
    "llama": LlamaConfig(
        **SHARED, hidden_size=2560, intermediate_size=7168, num_attention_heads=20, num_key_value_heads=20
    ),
    "neox": GPTNeoXConfig(**SHARED, hidden_size=2048, intermediate_size=8192, num_attention_heads=16),
}


@pytest.fixture(autouse=True)
def _nothing_is_left_over():
    yield
    stacking._STACKS.clear()
    gc.collect()
    torch.cuda.empty_cache()


def models(name: str) -> list[PreTrainedModel]:
    return [build(name, seed).to(torch.bfloat16) for seed in (0, 1)]


@pytest.mark.parametrize("name", ["neox, parallel", "llama, biases", "gpt2", "opt, norms after", "gemma2"])
@pytest.mark.parametrize("way", [PARTS, PAIRS], ids=["parts", "pairs"])
def test_what_waits_on_the_host_changes_no_bit(name, way, monkeypatch):
    whole = measured(models(name), SCHEMES, CALIBRATION, BLOCKS, way)
    for streamed, offloaded in ((False, True), (True, False), (True, True)):
        elsewhere = dataclasses.replace(way, streamed=streamed, offloaded=offloaded)
        found = measured(models(name), SCHEMES, CALIBRATION, BLOCKS, elsewhere)
        assert_same(found, whole)
        home = "cpu" if streamed else "cuda"
        assert {w.codes.device.type for each in found[0] for a in each for w in a.weights.values()} == {home}
    without_prefetch(monkeypatch)
    assert_same(measured(models(name), SCHEMES, CALIBRATION, BLOCKS, elsewhere), whole)


@pytest.mark.parametrize("method", SCHEME_OF)
def test_every_way_of_rounding_goes_with_it(method):
    schemes = [SCHEME_OF[method]]
    one, other = (
        measured(models("neox, parallel"), schemes, CALIBRATION, BLOCKS, dataclasses.replace(PARTS, streamed=streamed))
        for streamed in (False, True)
    )
    assert_same(one, other)


def large(name: str, streamed: bool) -> Checkpoint:
    """Return a random model in bf16 that works on the GPU."""
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(LARGE[name], dtype=torch.bfloat16)
    put(model.eval().requires_grad_(False).cpu(), "cuda", streamed)
    checkpoint = Checkpoint(model, Path())
    assert checkpoint.decoder
    torch.cuda.empty_cache()
    return checkpoint


def peak_of(work) -> tuple[int, object]:
    """Return the bytes that work took at most beside what was there before, and its answer."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    answer = work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before, answer


def tensors_of(answer: Rounded) -> list[torch.Tensor]:
    """Return the tensors that hold an answer's weights."""
    return [part for weight in answer.weights.values() for part in vars(weight).values()]


def budgets_of(work: memory.Work, n_variants: int, n_sequences: int) -> list[int]:
    """Return the least budget, one that lets some more go at once, and one in which everything fits."""
    everything = dataclasses.replace(work, offloaded=False).n_bytes(n_variants, n_sequences)
    return [work.n_bytes(1, 1), work.n_bytes(1, 4), work.n_bytes(2, n_sequences), everything]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", LARGE)
def test_peaks_stay_under_every_budget(name, streamed, dtype, capsys):
    """Two schemes at once, 16 x 1024 tokens: what is expected is a bound, and not ten times what is taken."""
    checkpoint = large(name, streamed)
    calibration = torch.randint(0, 8192, (16, 1024), generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 8192, (16, 1025), generator=torch.Generator().manual_seed(1))
    blocks = Blocks(tokens, tuple(range(16)), 1, "none")
    schemes = [
        QuantScheme("gptq", bits, 128, False, rel_damp=0.01, hessian_dtype=dtype, order="activation") for bits in (3, 4)
    ]
    itemsize = 2 if dtype == "bfloat16" else 4
    seen = []
    of_calibration = memory.calibration_work(checkpoint.decoder, 16, 1024, itemsize)
    quantize = method_named("gptq").quantize
    for budget in budgets_of(of_calibration, 2, 16):
        peak, (answers,) = peak_of(lambda budget=budget: quantize([checkpoint], schemes, calibration, budget))
        if not streamed:  # what was rounded stays there, as the model does
            peak -= sum(weight.nbytes for answer in answers for weight in tensors_of(answer))
        seen.append(("rounding", budget, peak, answers[0].diagnostics.calib_micro_batch))
    of_evaluation = memory.evaluation_work(checkpoint.decoder, 16, 1024, itemsize)
    for budget in budgets_of(of_evaluation, 3, 16):
        peak, ((score, *_),) = peak_of(
            lambda budget=budget: evaluate.evaluate([checkpoint], [answers], blocks, dtype, budget)
        )
        seen.append(("scoring", budget, peak, score.micro_batch))
    with capsys.disabled():
        for what, budget, peak, sequences in seen:
            print(
                f"\n{name} {dtype} streamed={streamed} {what}: {peak / 2**20:,.0f} of {budget / 2**20:,.0f} MiB", end=""
            )
            print(f", {sequences} sequences at once", end="")
    assert all(peak <= budget for _, budget, peak, _ in seen)
    assert all(peak > budget / 10 for _, budget, peak, _ in seen)
    assert seen[0][3] == 1
    assert seen[3][3] == 16
    assert all(isinstance(answer, Rounded) for answer in answers)


def test_a_streamed_model_leaves_nothing_on_the_device_but_buffers():
    checkpoint = large("neox", streamed=True)
    assert torch.cuda.memory_allocated() < 2**27, "cuBLAS keeps its workspace"
    calibration = torch.randint(0, 8192, (4, 256), generator=torch.Generator().manual_seed(0))
    budget = memory.calibration_work(checkpoint.decoder, 4, 256, 4).n_bytes(1, 2)
    ((answer,),) = method_named("gptq").quantize([checkpoint], SCHEMES[:1], calibration, budget)
    assert isinstance(answer, Rounded)
    gc.collect()
    assert torch.cuda.memory_allocated() < 2**27
    assert {parameter.device.type for parameter in checkpoint.model.parameters()} == {"cpu"}


def test_the_device_gives_no_more_than_what_is_declared():
    with memory.held_to(2**30, "cuda"):
        held = torch.empty(2**29, dtype=torch.uint8, device="cuda")
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(2**30, dtype=torch.uint8, device="cuda")
    more = torch.empty(2**31, dtype=torch.uint8, device="cuda")
    assert more.is_cuda
    assert held.is_cuda


def test_hidden_states_that_go_to_and_fro_are_never_mixed_up():
    """32 MiB each, and work on the device that takes longer than a copy, or less."""
    generator = torch.Generator(device="cuda").manual_seed(0)
    parts = [torch.randn(2048, 4096, generator=generator, device="cuda") for _ in range(5)]
    turn = torch.linalg.qr(torch.randn(4096, 4096, generator=generator, device="cuda"))[0]
    for n_products in (0, 8):
        expected = [part.clone() for part in parts]
        hidden = HiddenStates((part.clone() for part in parts), torch.device("cuda"), offloaded=True)
        assert all(part.is_pinned() for part in hidden.parts)
        for _ in range(4):
            for number in range(5):
                states = hidden.read(number, (number + 1) % 5)
                for _ in range(n_products):
                    states = states @ turn
                    expected[number] = expected[number] @ turn
                hidden.write(number, states + 1)
                expected[number] = expected[number] + 1
        hidden.finish()
        assert all(torch.equal(hidden.read(number), expected[number]) for number in range(5))


def test_blocks_that_come_while_others_work_are_the_right_ones():
    checkpoint = large("neox", streamed=True)
    decoder: Decoder = decoder_of(checkpoint.model)
    sums = [[parameter.double().sum().item() for parameter in block.parameters()] for block in decoder.blocks]
    busy = torch.randn(8192, 8192, device="cuda")
    with BlockFeed([decoder]) as feed:
        for _ in range(3):
            for index, block in enumerate(decoder.blocks):
                with feed.at(index):
                    for _ in range(4):
                        busy = (busy @ busy).clamp(-1, 1)
                    found = [parameter.double().sum() for parameter in block.parameters()]
                    assert [each.item() for each in found] == pytest.approx(sums[index], rel=1e-6, abs=1e-6)
                    assert all(parameter.is_cuda for parameter in block.parameters())


def test_a_checkpoint_is_opened_and_run_where_it_works_from_its_files(tmp_path):
    """Float32 sums in another order: 1e-4 of logits near 1."""
    build("llama, biases").to(torch.bfloat16).save_pretrained(tmp_path)
    local = checkpoints.LocalCheckpoint(tmp_path, checkpoints.weights_sha256(tmp_path), None)
    on_cpu, streamed = opening.open_stored(local), opening.open_stored(local, "cuda")
    logits = decoder_of(streamed).run(TOKENS.cuda())
    torch.testing.assert_close(logits.cpu(), decoder_of(on_cpu).run(TOKENS), rtol=1e-4, atol=1e-4)
    assert {parameter.device.type for parameter in streamed.parameters()} == {"cpu"}
    ((answer,),) = method_named("gptq").quantize([Checkpoint(streamed, tmp_path)], SCHEMES[:1], CALIBRATION, 2**33)
    assert isinstance(answer, Rounded)
