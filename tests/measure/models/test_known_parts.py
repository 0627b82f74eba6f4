"""Parts that a kernel can compute are known by what they do; a class that does something else isn't taken for one."""

import pytest
import torch
from tests.measure.plain import CONFIGS, build
from torch import nn
from transformers.models.llama import modeling_llama

from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.known_parts import (
    Norm,
    calls_an_interface,
    gate_of,
    norm_of,
    rotates,
    same_code,
    with_globals,
)

LIKE_LLAMA = (
    *("llama", "llama, biases", "qwen2", "qwen3", "olmo2", "rotation off in one"),
    *("granite", "gemma2", "gemma3"),
)
EXPERTS = ("mixtral", "olmoe", "qwen3_moe")  # their gates are among what is routed
CENTRED = ("opt", "opt, norms after", "gpt2", "phi", "a window in one")


def parts_of(name: str) -> dict[str, nn.Module]:
    return dict(decoder_of(build(name)).blocks[0].named_modules())


def norms_of(name: str) -> list[nn.Module]:
    return [module for module in parts_of(name).values() if "Norm" in type(module).__name__]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_norm_of_every_decoder_is_known_and_computes_what_its_module_does(name):
    for module in norms_of(name):
        kind = norm_of(module)
        assert kind is not None, module
        assert kind.centred == (name in CENTRED)
        assert kind.offset == (1.0 if name.startswith("gemma") else 0.0)
        inputs = 3 + torch.randn(5, module.weight.shape[0], generator=torch.Generator().manual_seed(1))
        bias = getattr(module, "bias", None)
        expected = kind(inputs, module.weight) + (0 if bias is None else bias)
        torch.testing.assert_close(module(inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_gates_and_rotations_like_llamas_are_known(name):
    parts = parts_of(name)
    gates = {gate_of(module) for module in parts.values()} - {None}
    expected = {"gelu_tanh"} if name.startswith("gemma") else {"silu"}
    assert gates == (expected if name in LIKE_LLAMA else set())
    assert any(rotates(module) for module in parts.values()) == (name in (*LIKE_LLAMA, *EXPERTS, "phi", "phi3"))
    assert any(calls_an_interface(module) for module in parts.values()) == (name != "a window in one")


class Doubled(modeling_llama.LlamaRMSNorm):
    def forward(self, hidden_states):
        return 2 * super().forward(hidden_states)


class Gate(modeling_llama.LlamaMLP):
    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) + self.up_proj(x))


def test_what_computes_something_else_is_not_known():
    config = build("llama").config
    doubled = Doubled(8)
    assert norm_of(doubled) is None
    assert norm_of(nn.Linear(8, 8)) is None
    assert norm_of(nn.GroupNorm(2, 8)) is None
    assert gate_of(Gate(config)) is None
    tanh = modeling_llama.LlamaMLP(config)
    tanh.act_fn = nn.Tanh()
    assert gate_of(tanh) is None


@pytest.mark.parametrize(
    "other", [lambda q, k, cos, sin: (q * cos, k * cos), lambda q, k: (q, k)], ids=["other numbers", "other arguments"]
)
def test_another_rotation_is_not_taken_for_llamas(other):
    attention = decoder_of(build("llama")).blocks[0].self_attn
    assert rotates(attention)
    forward = with_globals(type(attention).forward, {"apply_rotary_pos_emb": other})
    attention.__class__ = type("Other", (type(attention),), {"forward": forward})
    assert not rotates(attention)


def test_a_rotation_of_heads_in_another_dimension_is_not_llamas():
    def forward(self, query, key, cos, sin):
        return apply_rotary_pos_emb(query, key, cos, sin, unsqueeze_dim=2)  # noqa: F821  # given to it below

    attention = decoder_of(build("llama")).blocks[0].self_attn
    own = with_globals(forward, {"apply_rotary_pos_emb": modeling_llama.apply_rotary_pos_emb})
    attention.__class__ = type("Other", (type(attention),), {"forward": own})
    assert not rotates(attention)


def test_code_is_compared_with_its_constants_but_without_what_it_says_of_itself():
    def one(x):
        """Say this."""
        return 2 * x

    def other(x):
        return 2 * x

    def third(x):
        return 3 * x

    assert same_code(one, other)
    assert not same_code(one, third)


def test_a_function_with_other_globals_leaves_its_module_as_it_was():
    twin = with_globals(modeling_llama.LlamaAttention.forward, {"apply_rotary_pos_emb": None})
    assert twin.__globals__["apply_rotary_pos_emb"] is None
    assert modeling_llama.LlamaAttention.forward.__globals__["apply_rotary_pos_emb"] is not None


def test_a_norm_is_what_its_formula_says():
    inputs = torch.tensor([[1.0, 3.0]])
    weight = torch.tensor([1.0, 2.0])
    torch.testing.assert_close(Norm(0.0, True, 0.0)(inputs, weight), torch.tensor([[-1.0, 2.0]]))
    torch.testing.assert_close(Norm(0.0, False, 1.0)(inputs, weight), torch.tensor([[2.0, 9.0]]) / 5**0.5)
