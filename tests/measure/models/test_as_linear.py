"""Matrices turned into linear layers: GPT-2's, and experts'."""

import copy

import pytest
import torch
import transformers
from safetensors import safe_open
from tests.measure.plain import CONFIGS, OF_EXPERTS

from helpers.measure.models import checkpoints, opening
from helpers.measure.models.as_linear import expert_of, has_experts, has_transposed, with_linear_layers
from helpers.measure.models.decoders import decoder_of, linear_shapes
from helpers.measure.models.stacking import Stack, StackedLinear


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


TOKENS = torch.randint(256, (3, 60), generator=torch.Generator().manual_seed(1))


def as_transformers_makes_it(name: str) -> transformers.PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[name])).eval().requires_grad_(False)


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_experts_as_linear_layers_are_the_same_model(name):
    """Float32's rounding apart, 2e-6 of the largest logit: one product for gate and up has become two."""
    plain = as_transformers_makes_it(name)
    model = copy.deepcopy(plain)
    with_linear_layers(model)
    expected = plain(TOKENS).logits
    assert (model(TOKENS).logits - expected).abs().max() < 2e-6 * expected.abs().max()
    fused, experts = plain.model.layers[1].mlp.experts, model.model.layers[1].mlp.experts
    for index, (gate_up, down) in enumerate(zip(fused.gate_up_proj, fused.down_proj, strict=True)):
        expert = experts.get_submodule(str(index))
        assert torch.equal(torch.cat([expert.gate_proj.weight, expert.up_proj.weight]), gate_up)
        assert torch.equal(expert.down_proj.weight, down)
    assert (
        experts.get_submodule("0.up_proj").weight.data_ptr() != experts.get_submodule("0.gate_proj").weight.data_ptr()
    )
    of_one = model.model.layers[0].mlp.experts.get_submodule("0.gate_proj").weight
    assert of_one.untyped_storage().nbytes() > of_one.nbytes, "a view of what was stored"


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_an_experts_layer_has_a_name_and_its_router_is_not_rounded(name):
    names = list(linear_shapes(CONFIGS[name]))
    assert "mlp.experts.2.gate_proj" in names
    assert len([each for each in names if expert_of(each)]) == 3 * len({expert_of(each) for each in names} - {None})
    assert {expert_of(each) for each in names if "self_attn" in each} == {None}
    assert not any(each.startswith("mlp.gate") for each in names)
    assert has_experts(CONFIGS[name])
    assert not has_experts(CONFIGS["llama"])


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_a_checkpoint_is_loaded_expert_by_expert_from_its_file(tmp_path, name):
    as_transformers_makes_it(name).bfloat16().save_pretrained(tmp_path)
    local = checkpoints.LocalCheckpoint(tmp_path, checkpoints.weights_sha256(tmp_path), None)
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    for model in (checkpoints.load(local, "cpu"), opening.open_stored(local)):
        found, expected = decoder_of(model).run(TOKENS), plain(TOKENS).logits
        assert (found - expected).abs().max() < 2e-6 * expected.abs().max()
        assert type(model) is type(plain)
        assert not any("is_custom_code" in vars(module) for module in model.modules())
    layer = model.get_submodule("model.layers.1.mlp.experts.2.down_proj")
    assert layer.weight.dtype == torch.bfloat16
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        stored = "block_sparse_moe.experts.2.w2" if name == "mixtral" else "mlp.experts.2.down_proj"
        assert torch.equal(layer.weight, file.get_tensor(f"model.layers.1.{stored}.weight"))


def test_a_checkpoint_without_one_of_its_experts_is_refused(tmp_path):
    as_transformers_makes_it("olmoe").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = transformers.modeling_utils.load_state_dict(path)
    del weights["model.layers.0.mlp.experts.3.up_proj.weight"]
    transformers.modeling_utils.safe_save_file(weights, path, metadata={"format": "pt"})
    local = checkpoints.LocalCheckpoint(tmp_path, checkpoints.weights_sha256(tmp_path), None)
    with pytest.raises(
        checkpoints.CheckpointError, match=r"missing.*: model\.layers\.0\.mlp\.experts\.3\.up_proj\.weight"
    ):
        opening.open_stored(local)


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_variants_are_routed_each_by_itself_bit_for_bit(name):
    """Two variants of one block, one with other attention: their tokens go to other experts, and neither sees it."""
    model = as_transformers_makes_it(name)
    with_linear_layers(model)
    decoder = decoder_of(model)
    hidden, arguments = decoder.inputs(TOKENS)
    block = decoder.blocks[0]
    own = {each: layer.weight for each, layer in block.named_modules() if isinstance(layer, torch.nn.Linear)}
    other = {each: weight.roll(1, 0) if "self_attn" in each else weight for each, weight in own.items()}

    def run(*variants):
        stack = Stack(block, torch.float32, StackedLinear)
        stack.load([block], [0] * len(variants), {each: torch.stack([v[each] for v in variants]) for each in own})
        return stack.module(torch.cat([hidden] * len(variants)), **arguments[0]).split(len(hidden))

    (alone,), (beside,) = run(own), run(other)
    assert not torch.equal(alone, beside)
    for found, expected in zip(run(own, other, own), (alone, beside, alone), strict=True):
        assert torch.equal(found, expected)
    assert (alone - block(hidden, **arguments[0])).abs().max() < 1e-5 * alone.abs().max()
