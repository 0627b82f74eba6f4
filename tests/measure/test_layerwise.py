import copy
from pathlib import Path

import pytest
import torch
from tiny import tiny_model
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.measure import gptq, layerwise, methods
from helpers.specs import CheckpointError, QuantizationError, QuantScheme

CALIBRATION = torch.randint(0, 1024, (6, 32), generator=torch.Generator().manual_seed(0))
SCHEMES = [
    QuantScheme("gptq", bits=bits, group_size=group_size, symmetric=symmetric, rel_damp=0.01)
    for bits, group_size, symmetric in ((2, 16, False), (4, 16, True), (3, None, False))
]


def quantize(model, schemes=SCHEMES, calibration=CALIBRATION):
    return methods.get("gptq").quantize(model, schemes, calibration, Path())


@torch.no_grad()
def plain_walk(model, scheme: QuantScheme) -> dict[str, torch.Tensor]:
    """GPTQ one scheme and one layer at a time on a copy of the model: whole forward passes, nothing shared."""
    model = copy.deepcopy(model)
    weights = {}
    for index, block in enumerate(model.gpt_neox.layers):
        for names in layerwise.stages_of(model):
            seen: dict[str, torch.Tensor] = {}
            for name in names:
                layer = block.get_submodule(name)
                handle = layer.register_forward_pre_hook(
                    lambda _m, args, name=name, seen=seen: seen.update({name: args[0]})
                )
                model(CALIBRATION)
                handle.remove()
            for name in names:
                hessian = gptq.second_moments(seen[name]) / CALIBRATION.numel()
                layer = block.get_submodule(name)
                solved = gptq.solve(
                    layer.weight, hessian, scheme.bits, scheme.group_size, scheme.symmetric, scheme.rel_damp
                )
                layer.weight.data = solved.weight
                weights[f"gpt_neox.layers.{index}.{name}.weight"] = solved.weight
    return weights


@pytest.mark.parametrize("parallel", [True, False])
def test_schemes_walked_side_by_side_are_the_plain_sequential_algorithm(parallel):
    model = tiny_model(seed=1, use_parallel_residual=parallel)
    for scheme, outcome in zip(SCHEMES, quantize(model), strict=True):
        expected = plain_walk(model, scheme)
        assert outcome.weights.keys() == expected.keys()
        same = sum((outcome.weights[name] == expected[name]).sum().item() for name in expected)
        # sums over tokens run in another order, and a flipped code moves what comes after it
        assert same / sum(weight.numel() for weight in expected.values()) > 0.97


def test_all_linear_layers_of_the_blocks_and_nothing_else(model):
    names = set(layerwise.linear_layers(model))
    assert len(names) == 2 * 4
    assert all(name.startswith("gpt_neox.layers.") for name in names)
    expected = {f"{name}.weight" for name in names}
    for method in ("gptq", "rtn"):
        for outcome in methods.get(method).quantize(model, SCHEMES, CALIBRATION, Path()):
            assert set(outcome.weights) == expected
            assert outcome.diagnostics.n_params_quantized == sum(w.numel() for w in outcome.weights.values())


def test_the_model_and_the_random_state_stay_as_they_were(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    quantize(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.gpt_neox.layers[0]._forward_pre_hooks


def test_rounded_weights_lie_on_few_points(model):
    for scheme, outcome in zip(SCHEMES, quantize(model), strict=True):
        for weight in outcome.weights.values():
            groups = weight.unflatten(-1, (-1, scheme.group_size or weight.shape[-1]))
            assert max(len(group.unique()) for row in groups for group in row) <= 2**scheme.bits


def test_two_runs_are_bit_identical(model):
    for one, two in zip(quantize(model), quantize(model), strict=True):
        assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)


def test_later_layers_depend_on_the_rounding_of_earlier_ones(model):
    """The scheme says `propagate = quantized`: a 2-bit first block changes what the second block is calibrated on."""
    alone = quantize(model, [SCHEMES[1]])[0].weights
    with layerwise.substituted(model, {n: w for n, w in quantize(model)[0].weights.items() if ".layers.0." in n}):
        after_two_bits = quantize(model, [SCHEMES[1]])[0].weights
    name = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"
    assert not torch.equal(alone[name], after_two_bits[name])


def test_a_scheme_that_fails_leaves_the_others_as_they_are(model, monkeypatch):
    """A Hessian of one stream turned indefinite for good: that scheme is an error, the rest don't notice."""
    expected = quantize(model)
    hessians = layerwise._Stream.hessians

    def broken(self, block, rounded, names):
        found = hessians(self, block, rounded, names)
        if self.scheme is SCHEMES[1] and "attention.dense" in found:
            found["attention.dense"] = -found["attention.dense"]
        return found

    monkeypatch.setattr(layerwise._Stream, "hessians", broken)
    outcomes = quantize(model)
    assert isinstance(outcomes[1], QuantizationError)
    assert str(outcomes[1]).startswith("attention.dense: Hessian not positive definite")
    for index in (0, 2):
        for name, weight in expected[index].weights.items():
            torch.testing.assert_close(outcomes[index].weights[name], weight, rtol=0, atol=0)


def test_substituted_weights_go_back_even_after_an_error(model):
    name = "gpt_neox.layers.0.mlp.dense_h_to_4h.weight"
    before = dict(model.named_parameters())[name].clone()

    def fail_inside() -> None:
        with layerwise.substituted(model, {name: torch.zeros_like(before)}):
            assert dict(model.named_parameters())[name].abs().max() == 0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert torch.equal(dict(model.named_parameters())[name], before)


def test_another_structure_is_refused_by_name():
    llama = LlamaForCausalLM(
        LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    )
    with pytest.raises(CheckpointError, match="unknown structure LlamaForCausalLM; accepted: GPTNeoXForCausalLM"):
        layerwise.blocks_of(llama)
