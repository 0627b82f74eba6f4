"""The engine on a GPU against the plain one: run by hand where there is one (`python -m pytest tests/measure/test_cuda.py`)."""

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.measure.plain import CONFIGS, build
from tests.measure.rounding.test_gptq_solver import problem
from tests.measure.tiny import ROOT, tiny_model
from transformers import GPTNeoXForCausalLM

from helpers.measure.mixed import searches
from helpers.measure.models import stacking
from helpers.measure.models.decoders import decoder_of, hidden_of
from helpers.measure.models.precision import TENSOR_DTYPE, matrix_products
from helpers.measure.rounding import gptq_solver
from helpers.measure.rounding.methods import method_named
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme

if torch.cuda.is_available():
    from helpers.measure.models.cuda import halves, kernels, neox_block, small_heads
    from helpers.measure.scoring import scores_cuda

EXPERTS = ("mixtral", "olmoe", "qwen3_moe")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


CASES = st.tuples(
    st.sampled_from([2, 3, 4, 8]), st.sampled_from([8, 32, 64, 128, None]), st.booleans(), st.sampled_from([1, 17, 64])
)


def both(seed: int, bits: int, group_size: int | None, symmetric: bool, rows: int, columns: int):
    """Round one matrix with the kernel and plainly on the CPU, given the same factor; return weights and problem."""
    weight, hessian = problem(seed, rows=rows, columns=columns, tokens=4 * columns)
    kernel = (
        gptq_solver.solve(weight.cuda()[None], hessian.cuda()[None], bits, group_size, symmetric, 0.01).weight[0].cpu()
    )
    return kernel, gptq_solver.solve_plainly(weight, hessian, bits, group_size, symmetric, 0.01), weight, hessian


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), CASES)
def test_the_kernel_loses_no_more_of_the_output_than_the_plain_solver(seed, case):
    """A single code that flips at a boundary moves the rest of its row, so few rows are compared by their errors,
    a single one only roughly."""
    kernel, plain, weight, hessian = both(seed, *case, columns=192)
    one, other = (gptq_solver.relative_error(weight, each, hessian).item() for each in (kernel, plain))
    assert one == pytest.approx(other, rel={1: 0.5, 17: 0.1, 64: 0.02}[case[3]])


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group_size", [32, 128, None])
def test_codes_of_trained_layers_agree(bits, group_size):
    """At least 99% of a layer's codes, and its error's Hessian norm within 1e-3, with the same Hessian."""
    model = GPTNeoXForCausalLM.from_pretrained(ROOT / "data/tadpole/tadpole-128x3/step-007275", dtype=torch.float32)
    tokens = torch.randint(0, 1024, (32, 512), generator=torch.Generator().manual_seed(0))
    seen: dict[str, torch.Tensor] = {}
    layers = decoder_of(model).linear_layers()
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _m, args, name=name: seen.update({name: args[0]}))
    with torch.no_grad():
        model(tokens)
    for name, layer in layers.items():
        weight, hessian = layer.weight.detach(), gptq_solver.second_moments(seen[name].flatten(0, 1)) / tokens.numel()
        kernel = gptq_solver.solve(weight.cuda()[None], hessian.cuda()[None], bits, group_size, False, 0.01)
        plain = gptq_solver.solve_plainly(weight, hessian, bits, group_size, False, 0.01)
        groups = kernel.scale[0].repeat_interleave(group_size or weight.shape[1], -1).cpu()
        same = (kernel.weight[0].cpu() - plain).abs() < 0.5 * groups
        assert same.float().mean() >= 0.99, name
        one, other = (gptq_solver.relative_error(weight, each, hessian) for each in (kernel.weight[0].cpu(), plain))
        assert one.sqrt().item() == pytest.approx(other.sqrt().item(), rel=1e-3), name


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "tfloat32", "bfloat16"])
def test_the_fused_block_is_transformers_block(parallel, dtype):
    """Against float64; float32 within its rounding, TF32 and bf16 within theirs (2^-11 and 2^-9, some sums deep)."""
    models = [tiny_model(seed, d_model=96, use_parallel_residual=parallel).cuda() for seed in (0, 1)]
    decoders = [decoder_of(model) for model in models]
    tokens = torch.randint(0, 1024, (3, 40), generator=torch.Generator().manual_seed(0)).cuda()
    owners, kind = [0, 1, 1], TENSOR_DTYPE[dtype]
    with torch.no_grad(), matrix_products(dtype):
        stack = stacking.block_stacks(decoders[0], kind)[0]
        assert stack.forward is not stack.module, "the fused block is what runs"
        stack.load([decoder.blocks[1] for decoder in decoders], owners, {})
        (hidden,) = stacking.first_inputs(decoders, owners, [tokens], kind)
        arguments = stacking.block_arguments(decoders[0], tokens, kind)[1]
        ours = stack.call(hidden, **arguments)
        exact = [model.double() for model in models]
        for owner, part, start in zip(owners, ours.chunk(3), hidden.chunk(3), strict=True):
            wide = stacking.block_arguments(decoder_of(exact[owner]), tokens, torch.float64)[1]
            expected = hidden_of(exact[owner].gpt_neox.layers[1](start.double(), **wide))
            error = (part.double() - expected).norm() / expected.norm()
            assert error < {"float32": 2e-6, "tfloat32": 2e-3, "bfloat16": 2e-2}[dtype]


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize(("tokens", "columns", "rows"), [(300, 384, 1536), (129, 1536, 384), (40, 40, 17)])
def test_products_of_halves_are_as_accurate_as_float32(tokens, columns, rows, size):
    """Against float64, within twice of what cuBLAS misses in float32, and 5e-7; numbers of several orders."""
    generator = torch.Generator("cuda").manual_seed(0)
    inputs = torch.randn(2, tokens, columns, generator=generator, device="cuda").exp() * size
    weight = torch.randn(2, rows, columns, generator=generator, device="cuda") * 0.02
    bias = torch.randn(2, rows, generator=generator, device="cuda") * size
    ours = halves.halves_of(inputs).product(halves.halves_of(weight), bias).double()
    plain = (inputs @ weight.mT + bias[:, None]).double()
    exact = inputs.double() @ weight.double().mT + bias.double()[:, None]
    missed, allowed = ((each - exact).norm() / exact.norm() for each in (ours, plain))
    assert missed < max(2 * allowed, 5e-7)


def test_second_moments_of_halves_are_close_to_float64():
    """Tensor cores round sums towards zero: sums over 4,096 tokens that are all positive come out 3e-5 too small."""
    generator = torch.Generator("cuda").manual_seed(0)
    inputs = torch.randn(2, 10_000, 200, generator=generator, device="cuda").relu()
    found = halves.halves_of(inputs).second_moments()
    exact = inputs.double().mT @ inputs.double()
    assert (found - exact).norm() / exact.norm() < 3e-5
    assert torch.equal(found[1], halves.halves_of(inputs[1:]).second_moments()[0])


def test_numbers_that_are_not_finite_stay_so_in_halves():
    inputs = torch.ones(2, 5, 16, device="cuda")
    inputs[0, 1, 2], inputs[1, 1, 2] = float("inf"), float("nan")
    moments = halves.halves_of(inputs).second_moments()
    assert not moments[0].isfinite().all()
    assert not moments[1].isfinite().all()
    assert torch.equal(
        halves.halves_of(torch.zeros(1, 5, 16, device="cuda")).second_moments(),
        torch.zeros(1, 16, 16, device="cuda"),
    )


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-6), (torch.float16, 1e-3), (torch.bfloat16, 8e-3)])
@pytest.mark.parametrize(("seq_len", "head_size"), [(512, 32), (77, 32), (40, 16)])
def test_attention_of_small_heads_is_that_of_torch(seq_len, head_size, dtype, allowed):
    """Against float64; allowed is twice a format's rounding."""
    generator = torch.Generator("cuda").manual_seed(0)
    fused = torch.randn(3, seq_len, 5 * 3 * head_size, generator=generator, device="cuda").to(dtype)
    parts = fused.double().unflatten(-1, (-1, 3, head_size)).permute(3, 0, 2, 1, 4)
    exact = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=True, scale=0.2)
    exact = exact.transpose(1, 2).flatten(2)
    found = small_heads.attended(fused, head_size, 0.2).double()
    assert (found - exact).norm() / exact.norm() < allowed


@pytest.mark.parametrize("at", [0, 1, 70])
def test_an_infinite_key_of_a_small_head_is_no_number_even_where_its_scores_are_minus_infinity(at):
    """A softmax alone would leave the key out."""
    generator = torch.Generator("cuda").manual_seed(0)
    fused = torch.randn(1, 77, 3 * 16, generator=generator, device="cuda").half()
    fused[..., 0] = -1
    fused[0, at, 16] = float("inf")
    found = small_heads.attended(fused, 16, 0.25)
    assert found[0, :at].isfinite().all()
    assert found[0, at].isnan().all()


@pytest.mark.parametrize("column", [2, 40])  # of the quarter that turns, and of the rest
def test_an_infinite_key_of_a_partly_rotated_head_is_no_number(column):
    """A head of 64, which SDPA attends."""
    generator = torch.Generator("cuda").manual_seed(0)
    angles = torch.zeros(1, 9, 16, device="cuda")
    fused = torch.randn(1, 9, 3 * 64, generator=generator, device="cuda").half()
    fused[..., column] = -1
    fused[0, 3, 64 + column] = float("inf")
    found = neox_block._attended(neox_block._rotate_(fused, angles.cos(), angles.sin(), 64), 64, 0.125)
    assert found[0, :3].isfinite().all()
    assert found[0, 3:].isnan().all()


def test_a_rotated_number_that_float16_has_not_is_nan_and_others_keep_their_bits():
    generator = torch.Generator("cuda").manual_seed(0)
    angles = 6 * torch.rand(1, 5, 8, generator=generator, device="cuda").repeat(1, 1, 2)
    inputs = torch.randn(1, 2, 5, 16, generator=generator, device="cuda")
    plain = kernels.rotated(inputs, angles.cos(), angles.sin(), torch.float16)
    turned = inputs * angles.cos() + torch.cat([-inputs[..., 8:], inputs[..., :8]], -1) * angles.sin()
    assert (plain - turned).abs().max() < 4e-3  # half a unit in the last place of numbers up to 8
    inputs[0, 1, 3, 2] = 1e6
    found = kernels.rotated(inputs, angles.cos(), angles.sin(), torch.float16)
    assert found[0, 1, 3, [2, 10]].isnan().all()
    assert torch.equal(found[~found.isnan()], plain[~found.isnan()])
    assert found.isnan().sum() == 2
    fused = torch.ones(1, 5, 2 * 3 * 16, device="cuda").half()
    fused[0, 3, 16 + 2] = float("inf")
    assert neox_block._rotate_(fused, angles.cos(), angles.sin(), 16)[0, 3, [18, 26]].isnan().all()
    assert fused.isnan().sum() == 2


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-6), (torch.float16, 4e-3), (torch.bfloat16, 3.2e-2)])
def test_the_fitted_gelu_is_gelu(dtype, allowed):
    """On all of [-10, 10], within half a unit in the last place of numbers up to 10."""
    values = torch.linspace(-10, 10, 100_001, device="cuda").to(dtype)
    found = kernels.gate_(values.clone(), torch.ones_like(values), "gelu").double()
    assert (found - torch.nn.functional.gelu(values.double())).abs().max() < allowed


@pytest.mark.parametrize("dtype", ["float32", "tfloat32", "bfloat16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_block_with_kernels_is_transformers_block(name, dtype):
    """Against float64, each block of two variants' checkpoints; tolerances as for the fused block.

    In TF32 and bf16 a router near a tie sends a token to another expert: there the median token counts.
    """
    models = [build(name, seed).cuda() for seed in (0, 1)]
    decoders = [decoder_of(model) for model in models]
    tokens = torch.randint(0, 256, (3, 40), generator=torch.Generator().manual_seed(0)).cuda()
    owners, kind = [0, 1, 1], TENSOR_DTYPE[dtype]
    exact = [build(name, seed).cuda().double() for seed in (0, 1)]
    with torch.no_grad(), matrix_products(dtype):
        stacks = stacking.block_stacks(decoders[0], kind)
        (hidden,) = stacking.first_inputs(decoders, owners, [tokens], kind)
        arguments = stacking.block_arguments(decoders[0], tokens, kind)
        for index, stack in enumerate(stacks):
            assert any("forward" in vars(module) for module in stack.module.modules()), "kernels are what runs"
            stack.load([decoder.blocks[index] for decoder in decoders], owners, {})
            ours = hidden_of(stack.call(hidden, **arguments[index]))
            for owner, part, start in zip(owners, ours.chunk(3), hidden.chunk(3), strict=True):
                wide = stacking.block_arguments(decoder_of(exact[owner]), tokens, torch.float64)[index]
                block = decoder_of(exact[owner]).blocks[index]
                expected = hidden_of(block(start.double(), **wide))
                difference = part.double() - expected
                error = difference.norm() / expected.norm()
                if name in EXPERTS and dtype != "float32":
                    error = (difference.norm(dim=-1) / expected.norm(dim=-1)).median()
                assert error < {"float32": 2e-6, "tfloat32": 2e-3, "bfloat16": 2e-2}[dtype], (index, error)


def test_a_diagonal_hessian_gives_round_to_nearest_bit_for_bit():
    from helpers.measure.rounding import grids

    weight, hessian = problem(0, rows=40, columns=256)
    for bits in (2, 3, 4, 8):
        solved = gptq_solver.solve(
            weight.cuda()[None], torch.diag(hessian.diagonal()).cuda()[None], bits, 32, False, 0.01
        ).weight[0]
        assert torch.equal(solved, grids.round_to_grid(weight.cuda(), bits, False, 32))


@pytest.mark.parametrize("dtype", ["float32", "tfloat32", "bfloat16"])
def test_a_walk_on_the_gpu_is_the_walk_on_the_cpu_but_for_rounding_chaos(dtype):
    model = tiny_model(3, d_model=64)
    calibration = torch.randint(0, 1024, (16, 64), generator=torch.Generator().manual_seed(0))
    rounded = {}
    for device in ("cpu", "cuda"):
        scheme = QuantScheme(
            "gptq",
            bits=4,
            group_size=32,
            symmetric=False,
            rel_damp=0.01,
            hessian_dtype=dtype if device == "cuda" else "float32",
        )
        ((rounded[device],),) = method_named("gptq").quantize(
            [Checkpoint(model.to(device), Path())], [scheme], calibration, 2**30
        )
    one, other = (rounded[device].diagnostics for device in ("cpu", "cuda"))
    assert one.mean_layer_error == pytest.approx(other.mean_layer_error, rel=0.02)
    first = "gpt_neox.layers.0.attention.query_key_value.weight"
    same = rounded["cpu"].weights[first].codes == rounded["cuda"].weights[first].codes.cpu()
    assert same.float().mean() >= (0.99 if dtype == "float32" else 0.97)


@pytest.mark.parametrize("dtype", ["float32", "tfloat32", "bfloat16"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "neox, parallel"])
@pytest.mark.parametrize("method", ["gptq", "rtn", "awq"])
def test_a_scheme_alone_among_others_and_beside_other_checkpoints_is_the_same_to_the_bit(method, name, dtype):
    """What is measured beside a variant decides nothing about it: its codes, and its losses in every document."""
    low = {"group_size": 16, "symmetric": False}
    if method == "gptq":
        low |= {"rel_damp": 0.01, "hessian_dtype": dtype}
    if method == "awq":
        low |= {"propagate": "full_precision"}
    schemes = [QuantScheme(method, bits=bits, **low) for bits in (2, 3, 4, 8)]
    calibration = torch.randint(0, 256, (16, 48), generator=torch.Generator().manual_seed(0))
    blocks = Blocks(
        torch.randint(0, 256, (12, 49), generator=torch.Generator().manual_seed(1)), tuple(range(12)), 1, ""
    )
    first, second = (Checkpoint(build(name, seed).cuda(), Path()) for seed in (0, 1))
    seen = []
    for checkpoints, asked, place in (
        ([first], schemes[1:2], 0),
        ([first], schemes, 1),
        ([second, first], schemes[1:3], 0),
    ):
        answers = method_named(method).quantize(checkpoints, asked, calibration, 2**30)
        scores = evaluate.evaluate(checkpoints, answers, blocks, dtype, 2**30)
        seen.append((answers[-1][place], scores[-1][1 + place]))
    (alone, alone_scores), *others = seen
    for answer, scores in others:
        for layer in alone.weights:
            assert torch.equal(alone.decoded(layer), answer.decoded(layer)), layer
        assert scores == alone_scores


@pytest.mark.parametrize("vocabulary_size", [100, 4096, 50304])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scores_from_the_kernel_are_those_of_the_cpu(vocabulary_size, dtype):
    """Sums of thousands of float32 terms in another order: 1e-5."""
    generator = torch.Generator().manual_seed(0)
    one, other = ((5 * torch.randn(3, 7, vocabulary_size, generator=generator)).to(dtype) for _ in range(2))
    targets = torch.randint(0, vocabulary_size, (3, 7), generator=generator)
    losses, original = evaluate._original_scores(one, targets)
    expected = evaluate._rounded_scores(other, targets, original)
    cuda_losses, cuda_original = scores_cuda.original_scores(one.cuda(), targets.cuda())
    ours = scores_cuda.rounded_scores(other.cuda(), targets.cuda(), cuda_original)
    torch.testing.assert_close(cuda_losses.cpu(), losses, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.cpu(), expected, rtol=1e-5, atol=1e-5)


def test_running_out_of_memory_halves_the_share_and_records_it(monkeypatch):
    from helpers.measure.rounding import layerwise

    model = tiny_model(3, d_model=64).cuda()
    calibration = torch.randint(0, 1024, (16, 64), generator=torch.Generator().manual_seed(0))
    scheme = QuantScheme("gptq", bits=4, group_size=32, symmetric=False, rel_damp=0.01)
    real = layerwise._Walk.run

    def small(self):
        if len(self.batches[0]) > 4:
            torch.empty(2**50, dtype=torch.uint8, device="cuda")  # a real torch.OutOfMemoryError
        return real(self)

    monkeypatch.setattr(layerwise._Walk, "run", small)
    ((rounded,),) = method_named("gptq").quantize([Checkpoint(model, Path())], [scheme], calibration, 2**30)
    assert rounded.diagnostics.calib_micro_batch == 4


def test_awq_on_the_gpu_is_awq_on_the_cpu():
    """Its scales are searched by least error, so a tie may fall on either side: nearly all weights agree."""
    model = tiny_model(3, d_model=64)
    calibration = torch.randint(0, 1024, (16, 64), generator=torch.Generator().manual_seed(0))
    scheme = QuantScheme("awq", bits=4, group_size=32, symmetric=False, propagate="full_precision")
    weights = {}
    for device in ("cpu", "cuda"):
        ((rounded,),) = method_named("awq").quantize(
            [Checkpoint(model.to(device), Path())], [scheme], calibration, 2**30
        )
        weights[device] = {name: rounded.decoded(name).cpu() for name in rounded.weights}
    for name, plain in weights["cpu"].items():
        error = (weights["cuda"][name] - plain).norm() / plain.norm()
        assert error < 1e-2, name


INPUTS = {
    "mxint": {"activation_format": "mxint", "activation_bits": 4, "activation_group_size": 32},
    "crossquant": {"activation_format": "int", "activation_bits": 8, "activation_exponent": 0.5},
}


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("kept", [(), ("0.mlp.dense_h_to_4h", "2.attention.dense")])
def test_rounded_inputs_score_as_on_the_cpu(inputs, kept):
    """Inputs on the edge between two codes fall either way, and random tokens lose about 10 nats: 1e-3 of them."""
    scheme = QuantScheme("rtn", bits=4, group_size=32, symmetric=True, format="mxint", kept_matrices=kept)
    scheme = dataclasses.replace(scheme, **INPUTS[inputs])
    tokens = torch.randint(0, 1024, (16, 129), generator=torch.Generator().manual_seed(0))
    blocks = Blocks(tokens, tuple(range(16)), 1, "none")
    seen = {}
    for device in ("cpu", "cuda"):
        folder = ROOT / "data/tadpole/tadpole-128x3/step-007275"
        checkpoint = Checkpoint(GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device), folder)
        ((answer,),) = method_named("rtn").quantize([checkpoint], [scheme], None, 2**30)
        ((_, seen[device]),) = evaluate.evaluate([checkpoint], [[answer]], blocks, "float32", 2**30)
    assert seen["cuda"].loss_nats == pytest.approx(seen["cpu"].loss_nats, abs=1e-3)
    assert seen["cuda"].top1_accuracy == pytest.approx(seen["cpu"].top1_accuracy, abs=5e-3)


def test_a_search_finds_on_the_gpu_what_it_finds_on_the_cpu():
    """Codes on an edge fall either way: losses near 10 nats agree within 2e-3, second-order estimates within 5%."""
    tokens = torch.randint(0, 1024, (16, 129), generator=torch.Generator().manual_seed(0))
    blocks = Blocks(tokens, tuple(range(16)), 1, "none")
    scheme = QuantScheme("gptq", bits=3, group_size=32, symmetric=False, rel_damp=0.01, calib_sequences=16)
    seen = {}
    for device in ("cpu", "cuda"):
        folder = ROOT / "data/tadpole/tadpole-64x3/step-007275"
        checkpoint = Checkpoint(GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device), folder)
        (alone,) = searches.rounded_alone(checkpoint, [scheme], tokens[:, :128], 2**30)
        scorer = searches.Scorer(checkpoint, alone, blocks, "float32", 2**30)
        seen[device] = searches.search(
            scorer, searches.Plan("matmul", (0.5, 0.9), ("random", "second_order"), trials=5)
        )
    for one, other in zip(seen["cpu"], seen["cuda"], strict=True):
        assert (one.search, one.number) == (other.search, other.number)
        assert one.loss_nats == pytest.approx(other.loss_nats, abs=2e-3)
        if one.search == "single":
            assert one.estimated_nats == pytest.approx(other.estimated_nats, rel=0.05)


@pytest.mark.parametrize("name", ["llama", "opt"])
def test_rounded_inputs_of_other_blocks_score_as_on_the_cpu(name):
    """Another order of sums turns an input at a boundary between codes now and then: 1e-2 of KL."""
    model = build(name)
    tokens = torch.randint(0, 256, (8, 33), generator=torch.Generator().manual_seed(0))
    blocks = Blocks(tokens, tuple(range(8)), n_bytes=1, sha256="")
    low = {"method": "rtn", "bits": 4, "group_size": 16, "symmetric": True}
    schemes = [
        QuantScheme(**low),
        QuantScheme(**low, activation_format="mxint", activation_bits=4, activation_group_size=16),
        QuantScheme(**low, activation_format="int", activation_bits=4, activation_exponent=0.15),
    ]
    scores = {}
    for device in ("cpu", "cuda"):
        (answers,) = method_named("rtn").quantize([Checkpoint(model.to(device), Path())], schemes, None, 2**30)
        (scores[device],) = evaluate.evaluate([Checkpoint(model, Path())], [answers], blocks, "float32", 2**30)
    for one, other in zip(scores["cpu"][1:], scores["cuda"][1:], strict=True):
        assert other.kl_nats == pytest.approx(one.kl_nats, rel=1e-2)


def test_a_walk_that_keeps_matrices_on_the_gpu_leaves_them_out_and_is_close_to_the_cpu():
    """Errors of layers as in the walk that keeps none, above."""
    model = tiny_model(3, d_model=64)
    calibration = torch.randint(0, 1024, (16, 64), generator=torch.Generator().manual_seed(0))
    low = {"method": "gptq", "bits": 4, "group_size": 32, "symmetric": False, "rel_damp": 0.01}
    kept = ("0.attention.dense", "1.mlp.dense_4h_to_h")
    found = {}
    for device in ("cpu", "cuda"):
        ((_, found[device]),) = method_named("gptq").quantize(
            [Checkpoint(model.to(device), Path())],
            [QuantScheme(**low), QuantScheme(**low, kept_matrices=kept)],
            calibration,
            2**30,
        )
    assert found["cpu"].weights.keys() == found["cuda"].weights.keys()
    one, other = (found[device].diagnostics for device in ("cpu", "cuda"))
    assert one.quantized_ratio == other.quantized_ratio == pytest.approx(19 / 24)
    assert one.mean_layer_error == pytest.approx(other.mean_layer_error, rel=0.02)


@pytest.mark.parametrize(
    "wanted",
    [
        QuantScheme("gwq", 3, 32, False, outlier_share=0.01, calib_sequences=1, propagate="full_precision"),
        QuantScheme(
            "cmpq", 4, None, False, format="codebook", average_bits=2.5, outlier_share=0.005, propagate="full_precision"
        ),
        QuantScheme("crossquant", 8, None, True, activation_format="int", activation_bits=8, activation_exponent=0.15),
    ],
    ids=lambda wanted: wanted.method,
)
def test_what_is_kept_is_the_same_on_both_devices(wanted):
    """Gradients and norms differ in their last digits: an outlier or a channel's bits may swap with its like.

    What that changes is small beside the rounding error itself.
    """
    folder = ROOT / "data/tadpole/tadpole-128x3/step-007275"
    tokens = torch.randint(0, 1024, (1, 512), generator=torch.Generator().manual_seed(0))
    answers, models = [], []
    for device in ("cpu", "cuda"):
        model = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False).to(device)
        ((answer,),) = method_named(wanted.method).quantize([Checkpoint(model, folder)], [wanted], tokens, 2**30)
        answers.append(answer)
        models.append(model)
    ours, theirs = answers
    assert ours.diagnostics.effective_bits == pytest.approx(theirs.diagnostics.effective_bits, rel=1e-3)
    for name in ours.weights:
        own, other = ours.decoded(name), theirs.decoded(name).cpu()
        assert theirs.decoded(name).is_cuda
        error = (own - models[0].get_parameter(name)).norm()
        assert (own - other).norm() < 0.1 * error


@pytest.mark.parametrize("group_size", [32, 64])
def test_nf4_is_the_same_on_both_devices_to_the_bit(group_size):
    """No library is asked on either; that the CPU's codes are those of bitsandbytes is tested beside the method."""
    folder = ROOT / "data/tadpole/tadpole-128x3/step-007275"
    wanted = QuantScheme("nf4", 4, group_size, True, format="nf4")
    assert method_named("nf4").refusal(GPTNeoXForCausalLM.config_class(), wanted) is None
    weights = []
    for device in ("cpu", "cuda"):
        model = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False).to(device)
        ((answer,),) = method_named("nf4").quantize([Checkpoint(model, folder)], [wanted], None, 2**30)
        assert all(weight.device.type == device for weight in answer.weights.values())
        weights.append({name: weight.cpu() for name, weight in answer.weights.items()})
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("method", ["gaussian_noise", "gaussian_noise_by_input"])
def test_gaussian_noise_is_the_same_draw_on_both_devices(method):
    """The size of rounding's error, and the inputs, differ in their last digits."""
    folder = ROOT / "data/tadpole/tadpole-128x3/step-007275"
    wanted = QuantScheme(method, 3, 32, False, noise_seed=1)
    tokens = torch.randint(0, 1024, (4, 512), generator=torch.Generator().manual_seed(0))
    noise = []
    for device in ("cpu", "cuda"):
        model = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False).to(device)
        ((answer,),) = method_named(method).quantize([Checkpoint(model, folder)], [wanted], tokens, 2**30)
        assert all(weight.device.type == device for weight in answer.weights.values())
        noise.append({name: (answer.decoded(name) - model.get_parameter(name)).cpu() for name in answer.weights})
    ours, theirs = noise
    assert all((ours[name] - theirs[name]).norm() < 1e-3 * ours[name].norm() for name in ours)
