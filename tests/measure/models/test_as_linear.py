"""GPT-2's matrices turned into linear layers."""

import pytest
import torch
import transformers

from helpers.measure.models.as_linear import has_transposed, with_linear_layers
from helpers.measure.models.decoders import linear_shapes


def gpt2(**settings) -> transformers.GPT2LMHeadModel:
    config = transformers.GPT2Config(
        vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2, **settings
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.GPT2LMHeadModel(config).eval().requires_grad_(False)


@pytest.mark.parametrize("settings", [{}, {"tie_word_embeddings": False}])
def test_gpt_2_with_linear_layers_is_gpt_2(settings):
    """Float32's rounding apart, 1e-6 of the largest logit: the product finds its matrix laid out the other way."""
    plain = gpt2(**settings)
    model = gpt2(**settings)
    with_linear_layers(model)
    assert has_transposed(plain)
    assert not has_transposed(model)
    tokens = torch.randint(64, (3, 60), generator=torch.Generator().manual_seed(1))
    expected = plain(tokens).logits
    assert (model(tokens).logits - expected).abs().max() < 1e-6 * expected.abs().max()
    block, twin = plain.transformer.h[1], model.transformer.h[1]
    assert torch.equal(twin.attn.c_proj.weight, block.attn.c_proj.weight.T)
    assert list(dict(model.named_parameters())) == list(dict(plain.named_parameters()))
    assert linear_shapes(plain.config)["attn.c_attn"] == (96, 32)


def test_other_models_stay_as_they_are():
    config = transformers.LlamaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    model = transformers.LlamaForCausalLM(config)
    before = list(model.modules())
    with_linear_layers(model)
    assert not has_transposed(model)
    assert all(one is other for one, other in zip(model.modules(), before, strict=True))
