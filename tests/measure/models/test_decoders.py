"""Any decoder in parts: what is found in real architectures with random weights, and what is refused."""

from types import SimpleNamespace

import pytest
import torch
import transformers
from tests.measure.plain import from_config
from tests.measure.tiny import SHAPE, tiny_model
from torch import nn

from helpers.measure.models.decoders import decoder_of, first_line, hidden_of, linear_in, linear_shapes
from helpers.table.errors import CheckpointError

COMMON = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "initializer_range": 0.2,  # large enough for logits to differ
}
OPT = {name: COMMON[name] for name in COMMON if name not in ("intermediate_size", "initializer_range")} | {
    "ffn_dim": 48,
    "init_std": 0.2,
    "word_embed_proj_dim": 32,
}
BIG = {"hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64, "num_hidden_layers": 80}

NEOX_NAMES = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
GATED_NAMES = (*ATTENTION, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
OPT_NAMES = ("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj", "fc1", "fc2")


def neox(**settings):
    return transformers.GPTNeoXConfig(**COMMON | settings)


def llama(**settings):
    return transformers.LlamaConfig(**COMMON | {"num_key_value_heads": 2} | settings)


def qwen2(**settings):
    return transformers.Qwen2Config(**COMMON | {"num_key_value_heads": 2} | settings)


def opt(**settings):
    return transformers.OPTConfig(**OPT | settings)


GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.2} | {
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GPT2_NAMES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
PHI_NAMES = (*ATTENTION[:3], "self_attn.dense", "mlp.fc1", "mlp.fc2")
PHI3_NAMES = ("self_attn.o_proj", "self_attn.qkv_proj", "mlp.gate_up_proj", "mlp.down_proj")
TWO_KINDS = {"num_key_value_heads": 2, "head_dim": 16, "layer_types": ["sliding_attention", "full_attention"]}
SCALES = {
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.5,
    "attention_multiplier": 0.2,
    "logits_scaling": 2.0,
}


def gpt2(**settings):
    return transformers.GPT2Config(**GPT2 | settings)


def gemma2(**settings):
    capped = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
    return transformers.Gemma2Config(**COMMON | TWO_KINDS | {"sliding_window": 8} | capped | settings)


def gemma3(**settings):
    return transformers.Gemma3TextConfig(**COMMON | TWO_KINDS | {"sliding_window": 8} | settings)


def phi(**settings):
    return transformers.PhiConfig(**COMMON | {"partial_rotary_factor": 0.5} | settings)


def phi3(**settings):
    return transformers.Phi3Config(**COMMON | {"num_key_value_heads": 2} | settings)


def granite(**settings):
    return transformers.GraniteConfig(**COMMON | SCALES | settings)


QWEN3 = transformers.Qwen3Config(**COMMON, num_key_value_heads=2, head_dim=16)
KNOWN = {
    "neox, parallel": (neox(), "gpt_neox.layers", NEOX_NAMES, ("LayerNorm", "Linear")),
    "neox, sequential": (
        neox(use_parallel_residual=False),
        "gpt_neox.layers",
        NEOX_NAMES,
        ("LayerNorm", "Linear"),
    ),
    "neox, five words": (neox(vocab_size=5), "gpt_neox.layers", NEOX_NAMES, ("LayerNorm", "Linear")),
    "llama": (llama(), "model.layers", GATED_NAMES, ("LlamaRMSNorm", "Linear")),
    "llama, tied": (llama(tie_word_embeddings=True), "model.layers", GATED_NAMES, ("LlamaRMSNorm", "Linear")),
    "qwen2": (qwen2(), "model.layers", GATED_NAMES, ("Qwen2RMSNorm", "Linear")),
    "qwen3": (QWEN3, "model.layers", GATED_NAMES, ("Qwen3RMSNorm", "Linear")),
    "olmo2": (transformers.Olmo2Config(**COMMON), "model.layers", GATED_NAMES, ("Olmo2RMSNorm", "Linear")),
    "opt": (opt(), "model.decoder.layers", OPT_NAMES, ("LayerNorm", "Linear")),
    "opt, projected": (
        opt(word_embed_proj_dim=16),
        "model.decoder.layers",
        OPT_NAMES,
        ("LayerNorm", "Linear", "Linear"),
    ),
    "opt, norms after": (
        opt(word_embed_proj_dim=16, do_layer_norm_before=False),
        "model.decoder.layers",
        OPT_NAMES,
        ("Linear", "Linear"),
    ),
    "gpt2": (gpt2(), "transformer.h", GPT2_NAMES, ("LayerNorm", "Linear")),
    "gpt2, untied": (gpt2(tie_word_embeddings=False), "transformer.h", GPT2_NAMES, ("LayerNorm", "Linear")),
    "gpt2, scaled by depth": (
        gpt2(scale_attn_by_inverse_layer_idx=True),
        "transformer.h",
        GPT2_NAMES,
        ("LayerNorm", "Linear"),
    ),
    "gemma2": (gemma2(), "model.layers", GATED_NAMES, ("Gemma2RMSNorm", "Linear", "SoftCap")),
    "gemma2, untied": (
        gemma2(tie_word_embeddings=False),
        "model.layers",
        GATED_NAMES,
        ("Gemma2RMSNorm", "Linear", "SoftCap"),
    ),
    "gemma2, without caps": (
        gemma2(attn_logit_softcapping=None, final_logit_softcapping=None),
        "model.layers",
        GATED_NAMES,
        ("Gemma2RMSNorm", "Linear"),
    ),
    "gemma3": (gemma3(), "model.layers", GATED_NAMES, ("Gemma3RMSNorm", "Linear")),
    "gemma3, untied": (gemma3(tie_word_embeddings=False), "model.layers", GATED_NAMES, ("Gemma3RMSNorm", "Linear")),
    "phi": (phi(), "model.layers", PHI_NAMES, ("LayerNorm", "Linear")),
    "phi, tied": (phi(tie_word_embeddings=True), "model.layers", PHI_NAMES, ("LayerNorm", "Linear")),
    "phi3": (phi3(), "model.layers", PHI3_NAMES, ("Phi3RMSNorm", "Linear")),
    "phi3, tied, window": (
        phi3(tie_word_embeddings=True, sliding_window=8),
        "model.layers",
        PHI3_NAMES,
        ("Phi3RMSNorm", "Linear"),
    ),
    "granite": (granite(), "model.layers", GATED_NAMES, ("GraniteRMSNorm", "Linear", "Divided")),
    "granite, tied": (
        granite(tie_word_embeddings=True),
        "model.layers",
        GATED_NAMES,
        ("GraniteRMSNorm", "Linear", "Divided"),
    ),
    "qwen2, a window in one": (
        qwen2(use_sliding_window=True, sliding_window=8, max_window_layers=1),
        "model.layers",
        GATED_NAMES,
        ("Qwen2RMSNorm", "Linear"),
    ),
}


def build(config, kind=transformers.AutoModelForCausalLM):
    """Return a random model in evaluation mode; the global random state is put back."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind is transformers.AutoModelForCausalLM:
            return from_config(config)
        return kind(config).eval().requires_grad_(False)


def has_hooks(model: nn.Module) -> bool:
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("name", KNOWN)
def test_the_parts_of_a_known_architecture_are_found(name):
    config, prefix, names, tail = KNOWN[name]
    model = build(config)
    decoder = decoder_of(model)
    assert decoder.prefix == prefix
    assert len(decoder.blocks) == 2
    assert decoder.linear_names() == names
    assert tuple(type(module).__name__ for module in decoder.tail) == tail
    layers = decoder.linear_layers()
    assert list(layers) == [f"{prefix}.{index}.{layer}" for index in (0, 1) for layer in names]
    assert all(layer is model.get_submodule(where) for where, layer in layers.items())
    assert dict(model.named_parameters())[decoder.name_of(1, names[0])] is layers[f"{prefix}.1.{names[0]}"].weight


def test_only_a_linear_layer_is_one():
    block = decoder_of(tiny_model(seed=0)).blocks[0]
    assert linear_in(block, "mlp.dense_4h_to_h") is block.mlp.dense_4h_to_h
    with pytest.raises(AssertionError, match="input_layernorm"):
        linear_in(block, "input_layernorm")


@pytest.mark.parametrize("name", KNOWN)
def test_inputs_blocks_and_logits_are_the_model_bit_for_bit(name):
    """On other tokens than the trial's, more of them, and with the arguments of one sequence for all three."""
    model = build(KNOWN[name][0])
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(model.config.vocab_size, (3, 40), generator=generator)
    decoder = decoder_of(model)
    hidden, _ = decoder.inputs(tokens)
    _, arguments = decoder.inputs(tokens[:1])
    for block, of_block in zip(decoder.blocks, arguments, strict=True):
        hidden = hidden_of(block(hidden, **of_block))
    assert torch.equal(decoder.logits(hidden), model(tokens).logits)
    assert decoder.logits(hidden).std() > 0.01


@pytest.mark.parametrize("name", KNOWN)
def test_a_model_is_left_as_it_was(name):
    model = build(KNOWN[name][0])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    decoder = decoder_of(model)
    decoder.inputs(torch.arange(4)[None])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not has_hooks(model)
    assert not model.training


@pytest.mark.parametrize(
    ("kind", "config", "found"),
    [
        (
            "GPT2LMHeadModel",  # as transformers makes it
            gpt2(),
            "only Linear layers in 'transformer.h' can be rounded; found: also attn.c_attn.weight, attn.c_proj.weight",
        ),
        (
            "MixtralForCausalLM",
            transformers.MixtralConfig(**COMMON, num_key_value_heads=2, num_local_experts=2),
            "only Linear layers in 'model.layers' can be rounded; found: also mlp.experts.gate_up_proj, mlp.experts.down",
        ),
        (
            "Qwen2MoeForCausalLM",
            transformers.Qwen2MoeConfig(**COMMON, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16),
            "found: also mlp.gate.weight, mlp.experts.gate_up_proj, mlp.experts.down_proj",
        ),
        (
            "T5ForConditionalGeneration",
            transformers.T5Config(vocab_size=64, d_model=32, d_kv=8, num_layers=2, num_heads=4, d_ff=48),
            r"one list of equal blocks is needed; found: encoder.block \(2 x T5Block\), decoder.block \(2 x T5Block\)$",
        ),
        (
            "GPTNeoXForCausalLM",
            neox(num_hidden_layers=0),
            "one list of equal blocks is needed; found: none",
        ),
        (
            "BertLMHeadModel",
            transformers.BertConfig(**COMMON, is_decoder=True, add_cross_attention=True),
            "'bert.encoder.layer' that don't run once a pass: crossattention.output.dense, crossattention.self.key",
        ),
        (
            "BloomForCausalLM",  # its position biases are made for each sequence and head
            transformers.BloomConfig(
                vocab_size=64, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0, pad_token_id=0
            ),
            r"its parts can't be run on their own \(The expanded size of the tensor",
        ),
        (
            "BertLMHeadModel",
            transformers.BertConfig(**COMMON),
            "what it says of a token depends on later ones; accepted: causal models",
        ),
        (
            "DiffLlamaForCausalLM",
            transformers.DiffLlamaConfig(**COMMON),
            "parameters beside child layers in 'model.layers.0.self_attn': lambda_q1, lambda_k1, lambda_q2, lambda_k2",
        ),
        (
            "CohereForCausalLM",  # its logits are multiplied after the head
            transformers.CohereConfig(**COMMON),
            "blocks 'model.layers' and then CohereLayerNorm, Linear don't give the model's own logits",
        ),
        (
            "Gemma2ForCausalLM",
            gemma2(),
            "'sdpa' attention leaves out its soft cap; accepted: attn_implementation='eager'",
        ),
    ],
)
def test_an_unknown_structure_is_refused_with_what_was_found(kind, config, found):
    model = build(config, getattr(transformers, kind))
    with pytest.raises(CheckpointError, match=f"unknown structure {kind}: .*{found}"):
        decoder_of(model)
    assert not has_hooks(model)


@pytest.mark.parametrize(
    "config",
    [
        qwen2(use_sliding_window=True, sliding_window=32, max_window_layers=1),
        gemma2(sliding_window=32),
        gemma3(sliding_window=32),
    ],
)
def test_every_block_gets_its_own_mask(config):
    """A window of 32 doesn't show in the trial's 8 tokens: it is seen in the arguments of more."""
    model = build(config)
    decoder = decoder_of(model)
    hidden, arguments = decoder.inputs(torch.arange(64)[None])
    masks = [each["attention_mask"] for each in arguments]
    assert masks[0] is not masks[1]
    for block, of_block in zip(decoder.blocks, arguments, strict=True):
        hidden = hidden_of(block(hidden, **of_block))
    assert torch.equal(decoder.logits(hidden), model(torch.arange(64)[None]).logits)


def test_gemma_3_rotates_by_a_base_of_its_own_in_blocks_with_a_window():
    model = build(gemma3())
    _, arguments = decoder_of(model).inputs(torch.arange(64)[None])
    (of_window, _), (of_all, _) = (each["position_embeddings"] for each in arguments)
    assert (of_window - of_all).abs().max() > 0.1


def test_blocks_that_all_have_the_same_window_are_known():
    model = build(transformers.MistralConfig(**COMMON, num_key_value_heads=2, sliding_window=4))
    assert decoder_of(model).linear_names() == GATED_NAMES


def test_a_stored_tensor_that_is_no_parameter_is_refused():
    model = tiny_model(seed=0, **SHAPE)
    model.gpt_neox.layers[0].register_buffer("layer_scalar", torch.ones(1))
    found = r"stored tensors that aren't parameters in 'gpt_neox\.layers\.0': layer_scalar"
    with pytest.raises(CheckpointError, match=found):
        decoder_of(model)


def test_weights_that_are_no_numbers_are_not_an_unknown_structure():
    model = tiny_model(seed=0, **SHAPE)
    model.gpt_neox.layers[0].mlp.dense_h_to_4h.weight[0, 0] = float("nan")
    assert decoder_of(model).prefix == "gpt_neox.layers"


def test_more_tokens_than_positions_and_ids_beyond_the_embedding_are_refused():
    """600 tokens on 512 positions were measured without a word."""
    decoder = decoder_of(build(llama(max_position_embeddings=20)))
    decoder.inputs(torch.arange(20)[None])
    with pytest.raises(CheckpointError, match="LlamaForCausalLM: 21 tokens a sequence; accepted: up to 20"):
        decoder.inputs(torch.arange(21)[None])
    with pytest.raises(CheckpointError, match="LlamaForCausalLM: token 64; accepted: below 64"):
        decoder.inputs(torch.tensor([[3, 64]]))


# ---- toys: one thing at a time is unusual ----------------------------------------------------------------------------


class ToyBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, hidden_states, factor=1.0):
        return (hidden_states + factor * self.linear(hidden_states).tanh(),)


class Toy(nn.Module):
    """A model of blocks that get each its own factor."""

    def __init__(self, factors=(1.0, 1.0), order=(0, 1), **settings) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.embedding, self.head = nn.Embedding(16, 4), nn.Linear(4, 16)
            self.blocks = nn.ModuleList(ToyBlock() for _ in factors)
        self.factors, self.order = factors, order
        self.config = SimpleNamespace(vocab_size=16, **settings)
        self.device = torch.device("cpu")

    def forward(self, tokens, use_cache):
        hidden = self.embedding(tokens)
        for index in self.order:
            (hidden,) = self.blocks[index](hidden_states=hidden, factor=self.factors[index])
        return SimpleNamespace(logits=self.head(hidden))


def test_hidden_states_by_keyword_and_blocks_that_answer_with_tuples_are_known():
    decoder = decoder_of(Toy())
    assert decoder.prefix == "blocks"
    assert decoder.inputs(torch.tensor([[3]]))[1] == [{"factor": 1.0}] * 2


def test_each_block_has_its_own_arguments():
    toy = Toy(factors=(1.0, 2.0))
    decoder = decoder_of(toy)
    hidden, arguments = decoder.inputs(torch.tensor([[3]]))
    assert arguments == [{"factor": 1.0}, {"factor": 2.0}]
    assert torch.equal(hidden, toy.embedding(torch.tensor([[3]])))
    assert "forward" not in vars(toy.blocks[0])


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"order": (1, 0)}, "don't give the model's own logits"),
        ({"order": (0, 1, 1)}, "linear layers in 'blocks' that don't run once a pass: linear"),
        ({"order": (0,)}, "linear layers in 'blocks' that don't run once a pass: linear"),
        ({"factors": (1.0, "high")}, "its parts can't be run on their own"),
        (
            {"final_logit_softcapping": 3.0},
            "blocks 'blocks' and then Linear, SoftCap don't give the model's own logits",
        ),
    ],
)
def test_the_trial_finds_blocks_that_are_not_run_alike_one_after_the_other(settings, found):
    toy = Toy(**settings)
    with pytest.raises(CheckpointError, match=f"unknown structure Toy: .*{found}"):
        decoder_of(toy)
    assert not has_hooks(toy)


def test_blocks_of_other_kinds_or_shapes_and_a_second_list_are_refused():
    toy = Toy()
    toy.blocks[1] = nn.Linear(4, 4)
    with pytest.raises(CheckpointError, match=r"one list of equal blocks is needed; found: blocks \(2 x ToyBlock\)"):
        decoder_of(toy)
    toy = Toy()
    toy.blocks[1].linear = nn.Linear(4, 4, bias=False)
    with pytest.raises(CheckpointError, match="the blocks of 'blocks' don't have the same parameters"):
        decoder_of(toy)
    toy = Toy()
    toy.second = nn.ModuleList([ToyBlock()])
    with pytest.raises(CheckpointError, match=r"found: blocks \(2 x ToyBlock\), second \(1 x ToyBlock\)"):
        decoder_of(toy)


# ---- shapes from a configuration alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_shapes_from_a_configuration_are_those_of_the_model(name):
    config, _, names, _ = KNOWN[name]
    block = decoder_of(build(config)).blocks[0]
    assert linear_shapes(config) == {name: tuple(block.get_submodule(name).weight.shape) for name in names}


def test_shapes_of_a_large_model_take_no_memory_and_no_random_numbers():
    """275 GB of float32 weights if they were made; the shapes are worked out by hand."""
    random_state = torch.get_rng_state()
    shapes = linear_shapes(llama(**BIG, num_key_value_heads=8))
    assert shapes["self_attn.k_proj"] == (1024, 8192)
    assert shapes["mlp.down_proj"] == (8192, 28672)
    assert torch.equal(torch.get_rng_state(), random_state)


def test_shapes_of_an_encoder_decoder_and_of_unknown_experts_are_refused():
    with pytest.raises(CheckpointError, match=r"no causal language model can be made of T5Config \(Unrecognized"):
        linear_shapes(transformers.T5Config())
    with pytest.raises(CheckpointError, match=r"found: also mlp\.gate\.weight"):
        linear_shapes(transformers.Qwen2MoeConfig(**COMMON, num_experts=2))


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"pad_token_id": 10**6}, "Padding_idx"), ({"attn_implementation": "flash_attention_2"}, "FlashAttention2")],
)
def test_a_configuration_that_no_model_can_be_made_of_is_one_line(setting, said):
    """torch raises an AssertionError, transformers an ImportError: whatever it is, it is the checkpoint's."""
    with pytest.raises(CheckpointError, match=f"no causal language model can be made of LlamaConfig .*{said}"):
        linear_shapes(transformers.LlamaConfig(**COMMON | setting))


def test_a_first_line_that_announces_has_what_it_announces():
    assert first_line(ValueError("field 'x':\n    expected int\nand more")) == "field 'x': expected int"
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError("one:")) == "one:"
