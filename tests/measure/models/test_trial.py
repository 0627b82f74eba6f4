"""The stacked walk against the model's own forward pass: what needs templates of its own, and what is refused."""

import math

import pytest
import torch
import transformers
from tests.measure.plain import from_config
from tests.measure.tiny import SHAPE, tiny_model
from torch import nn

from helpers.measure.models import stacking, trial
from helpers.measure.models.decoders import decoder_of
from helpers.measure.scoring.evaluate import evaluate_model
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import CheckpointError

COMMON = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}
GPT_NEO = transformers.GPTNeoConfig(
    vocab_size=64,
    hidden_size=32,
    num_layers=4,
    num_heads=4,
    intermediate_size=48,
    max_position_embeddings=256,
    attention_types=[[["global", "local"], 2]],
    window_size=32,
    bos_token_id=0,
    eos_token_id=0,
    initializer_range=0.2,
)
GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 256, "initializer_range": 0.2} | {
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GATED = COMMON | {"num_key_value_heads": 2}
TWO_KINDS = GATED | {"head_dim": 16, "layer_types": ["sliding_attention", "full_attention"] * 2, "sliding_window": 40}
CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
SCALES = {"embedding_multiplier": 3.0, "residual_multiplier": 0.5, "attention_multiplier": 0.2, "logits_scaling": 2.0}
KINDS = {  # tied or not
    "gpt2": (transformers.GPT2Config, GPT2, (0, 0, 0, 0)),
    "gpt2, scaled by depth": (
        transformers.GPT2Config,
        GPT2 | {"scale_attn_by_inverse_layer_idx": True},
        (0, 1, 2, 3),
    ),
    "gemma2": (transformers.Gemma2Config, TWO_KINDS | CAPS, (0, 1, 0, 1)),
    "gemma3": (transformers.Gemma3TextConfig, TWO_KINDS, (0, 1, 0, 1)),
    "phi": (transformers.PhiConfig, COMMON | {"partial_rotary_factor": 0.5}, (0, 0, 0, 0)),
    "phi3": (transformers.Phi3Config, GATED | {"sliding_window": 40}, (0, 0, 0, 0)),
    "granite": (transformers.GraniteConfig, GATED | SCALES, (0, 0, 0, 0)),
    "windows in two": (
        transformers.Qwen2Config,
        GATED | {"use_sliding_window": True, "sliding_window": 40, "max_window_layers": 2},
        (0, 0, 2, 2),
    ),
}
CONFIGS = {
    f"{name}, {'tied' if tied else 'untied'}": (kind(**settings, tie_word_embeddings=tied), templates)
    for name, (kind, settings, templates) in KINDS.items()
    for tied in (True, False)
} | {
    "rotation off in the last": (transformers.SmolLM3Config(**COMMON, num_key_value_heads=2), (0, 0, 0, 3)),
    "mixtral": (transformers.MixtralConfig(**GATED, num_local_experts=4), (0, 0, 0, 0)),
    "olmoe": (transformers.OlmoeConfig(**GATED, num_experts=6, num_experts_per_tok=2), (0, 0, 0, 0)),
    "qwen3_moe": (
        transformers.Qwen3MoeConfig(**GATED, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=16),
        (0, 0, 0, 0),
    ),
    "local windows": (GPT_NEO, (0, 1, 0, 1)),
    "norms without weights": (transformers.OlmoConfig(**COMMON), (0, 0, 0, 0)),
    "an activation with buffers": (transformers.ApertusConfig(**COMMON), (0, 0, 0, 0)),
    "one window": (transformers.MistralConfig(**COMMON, num_key_value_heads=2, sliding_window=40), (0, 0, 0, 0)),
    "an encoder's class as a decoder": (transformers.BertConfig(**COMMON, is_decoder=True), (0, 0, 0, 0)),
}


def build(config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return from_config(config)


def own_loss(model, tokens) -> float:
    log_p = model(tokens[:, :-1], use_cache=False).logits.log_softmax(-1)
    return -log_p.gather(-1, tokens[:, 1:, None]).double().mean().item()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_loss_is_that_of_the_models_own_forward_pass(name):
    """The parent's walk gave 8.2716 for 8.2740 where rotation is off in some blocks."""
    config, templates = CONFIGS[name]
    model = build(config)
    decoder = decoder_of(model)
    assert decoder.templates == templates
    trial.refuse_another_walk(decoder)
    tokens = torch.randint(64, (3, 101), generator=torch.Generator().manual_seed(1))
    scored = evaluate_model(model, Blocks(tokens, (0, 1, 2), 300, "0"))
    assert math.isclose(scored.loss_nats, own_loss(model, tokens), abs_tol=1e-6)


@pytest.mark.parametrize("name", ["rotation off in the last", "local windows"])
def test_one_template_for_all_of_these_blocks_is_refused(name):
    """Window 32 shows on 64 tokens only: that the trial is longer than it is what this needs."""
    decoder = decoder_of(build(CONFIGS[name][0]))
    object.__setattr__(decoder, "templates", (0, 0, 0, 0))
    place = {"rotation off in the last": "block 3 of 'model.layers'", "local windows": "block 1 of 'transformer.h'"}
    with pytest.raises(CheckpointError, match=f"{place[name]} with its parameters in block 0 gives other hidden"):
        trial.refuse_another_walk(decoder)


def test_the_trial_is_longer_than_any_window_and_no_longer_than_the_model_goes():
    def length(**settings):
        config = transformers.MistralConfig(**COMMON | settings, num_key_value_heads=2)
        return trial._tokens(decoder_of(build(config))).shape[1]

    assert length(sliding_window=40) == 64
    assert length(sliding_window=100) == 101
    assert length(sliding_window=4096) == 256
    assert length(sliding_window=None, max_position_embeddings=20) == 20


def test_the_trial_of_a_large_model_is_short(monkeypatch):
    decoder = decoder_of(tiny_model(seed=0, **SHAPE))
    n_params = sum(p.numel() for p in decoder.blocks.parameters())
    monkeypatch.setattr(trial, "MULTIPLICATIONS", 2 * n_params * 11)
    assert trial._tokens(decoder).shape == (2, 11)
    monkeypatch.setattr(trial, "MULTIPLICATIONS", 1)
    assert trial._tokens(decoder).shape == (2, trial.LEAST_TOKENS)


def test_layers_that_are_linear_in_name_only_are_refused():
    class Doubled(nn.Linear):
        def forward(self, inputs):
            return 2 * super().forward(inputs)

    model = tiny_model(seed=0, **SHAPE)
    for layer in model.gpt_neox.layers:
        layer.mlp.dense_h_to_4h.__class__ = Doubled
    with pytest.raises(CheckpointError, match=r"block 0 of 'gpt_neox\.layers' with its parameters in block 0 gives"):
        trial.refuse_another_walk(decoder_of(model))


def test_a_small_module_that_needs_two_arguments_is_refused():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(48))

        def forward(self, one, other):
            return one * self.weight + other

    model = tiny_model(seed=0, d_model=48)
    kind = type(model.gpt_neox.layers[0])

    class Block(kind):
        def forward(self, hidden_states, **kwargs):
            return self.pair(super().forward(hidden_states, **kwargs), hidden_states)

    for layer in model.gpt_neox.layers:
        layer.__class__, layer.pair = Block, Pair()
    with pytest.raises(CheckpointError, match=r"its blocks can't be stacked \(.*forward\(\) takes 2 positional"):
        trial.refuse_another_walk(decoder_of(model))


def test_weights_that_are_no_numbers_and_weights_of_zero_are_no_other_structure():
    for value in (float("nan"), float("inf"), 0.0, 1e-42):
        model = tiny_model(seed=0, **SHAPE)
        model.gpt_neox.layers[1].mlp.dense_h_to_4h.weight.fill_(value)
        trial.refuse_another_walk(decoder_of(model))


def test_the_trial_leaves_alone_the_stacks_that_another_thread_may_be_using():
    """The next checkpoint is loaded while one is measured; a kept stack that the trial loads would mix the two."""
    decoder, other = (decoder_of(tiny_model(seed=seed, **SHAPE)) for seed in (0, 1))
    stack = stacking.block_stacks(decoder, torch.float32)[0]
    stack.load([decoder.blocks[0]], [0], {})
    held = {name: layer.weight for name, layer in stack.layers.items()}
    trial.refuse_another_walk(other)
    assert all(layer.weight is held[name] for name, layer in stack.layers.items())
    stack.clear()
