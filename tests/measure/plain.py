"""What the measuring engine must agree with, written plainly: one scheme, one layer, one whole forward pass at a time."""

import copy
from pathlib import Path

import torch
from tests.measure.tiny import tiny_model
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoConfig,
    GraniteConfig,
    LlamaConfig,
    MixtralConfig,
    Olmo2Config,
    OlmoeConfig,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    SmolLM3Config,
)

from helpers.measure.models.as_linear import with_linear_layers
from helpers.measure.models.decoders import caps_attention, decoder_of
from helpers.measure.rounding import gptq_solver
from helpers.measure.rounding.rounded import Checkpoint
from helpers.table.scheme import QuantScheme

COMMON = {
    "vocab_size": 256,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "use_cache": False,
}
GATED = COMMON | {"num_key_value_heads": 2, "initializer_range": 0.2}
OPT = {key: COMMON[key] for key in COMMON if key != "intermediate_size"} | {"ffn_dim": 48, "word_embed_proj_dim": 32}
GPT2 = {
    "vocab_size": 256,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "initializer_range": 0.2,
    "use_cache": False,
}
WINDOWS = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 4, "head_dim": 16}
CONFIGS = {
    "llama": LlamaConfig(**GATED),
    "llama, biases": LlamaConfig(**GATED, attention_bias=True, mlp_bias=True),
    "qwen2": Qwen2Config(**GATED),
    "qwen3": Qwen3Config(**GATED, head_dim=16),
    "olmo2": Olmo2Config(**GATED),
    "opt": OPTConfig(**OPT, init_std=0.2, do_layer_norm_before=True),
    "opt, norms after": OPTConfig(**OPT, init_std=0.2, do_layer_norm_before=False),
    "gpt2": GPT2Config(**GPT2),
    "gemma2": Gemma2Config(**GATED, **WINDOWS, attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
    "gemma3": Gemma3TextConfig(**GATED, **WINDOWS),
    "phi": PhiConfig(**GATED, partial_rotary_factor=0.5),
    "phi3": Phi3Config(**GATED),
    "granite": GraniteConfig(
        **GATED, embedding_multiplier=3.0, residual_multiplier=0.8, attention_multiplier=0.2, logits_scaling=0.5
    ),
    # of few columns: 144 calibration tokens reach all of their experts
    "mixtral": MixtralConfig(**GATED, num_local_experts=3),
    "olmoe": OlmoeConfig(**GATED | {"intermediate_size": 16}, num_experts=4, num_experts_per_tok=3),
    "qwen3_moe": Qwen3MoeConfig(
        **GATED, head_dim=16, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=3, norm_topk_prob=True
    ),
    "rotation off in one": SmolLM3Config(**GATED, no_rope_layers=[1, 0]),
    "a window in one": GPTNeoConfig(
        vocab_size=256,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        attention_types=[[["global", "local"], 1]],
        window_size=4,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=0.2,
        use_cache=False,
    ),
}
OF_TWO_KINDS = (
    "rotation off in one",
    "a window in one",
    "gemma2",
    "gemma3",
)  # of blocks: each has a template of its own
OF_EXPERTS = ("mixtral", "olmoe", "qwen3_moe")
ARCHITECTURES = (*CONFIGS, "neox, parallel", "neox, sequential")
WITHOUT_EXPERTS = tuple(name for name in ARCHITECTURES if name not in OF_EXPERTS)


def build(name: str, seed: int = 0) -> PreTrainedModel:
    """Return a random two-layer model of an architecture; norms and biases are random too."""
    if name.startswith("neox"):
        model = tiny_model(seed, vocabulary_size=256, use_parallel_residual=name.endswith("parallel"))
    else:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = from_config(CONFIGS[name])
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def from_config(config: PretrainedConfig) -> PreTrainedModel:
    """Return a random model of a configuration as `checkpoints.load` would: linear layers, every soft cap obeyed."""
    attention = {"attn_implementation": "eager"} if caps_attention(config) else {}
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, **attention).eval().requires_grad_(False)
    with_linear_layers(model)
    return model


def loaded(*models: PreTrainedModel) -> list[Checkpoint]:
    """Return models as methods take them."""
    return [Checkpoint(model, Path()) for model in models]


@torch.no_grad()
def inputs_of(model: PreTrainedModel, name: str, tokens: Tensor) -> Tensor:
    """Return what one layer sees in a whole forward pass, (n, L, columns)."""
    seen: list[Tensor] = []
    handle = model.get_submodule(name).register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    model(tokens)
    handle.remove()
    return seen[0]


def order_of_layers(model: PreTrainedModel, tokens: Tensor) -> list[str]:
    """Return the names of the blocks' linear layers in the order in which they run."""
    order: list[str] = []
    handles = [
        layer.register_forward_pre_hook(lambda _module, _args, name=name: order.append(name))
        for name, layer in decoder_of(model).linear_layers().items()
    ]
    with torch.no_grad():
        model(tokens)
    for handle in handles:
        handle.remove()
    return order


@torch.no_grad()
def walk(model: PreTrainedModel, scheme: QuantScheme, calibration: Tensor) -> dict[str, Tensor]:
    """Return GPTQ's weights by parameter name: each layer, in running order, calibrated on the model rounded so far.

    Those that the scheme keeps stay as they are.
    """
    model = copy.deepcopy(model)
    weights = {}
    decoder = decoder_of(model)
    for name in order_of_layers(model, calibration[:1]):
        if decoder.short_name(name) in scheme.kept_matrices:
            continue
        inputs = inputs_of(model, name, calibration).flatten(0, -2)  # of an expert: what is routed to it
        hessian = gptq_solver.second_moments(inputs) / len(inputs)
        layer = model.get_submodule(name)
        solved = gptq_solver.solve(
            layer.weight,
            hessian,
            scheme.bits,
            scheme.group_size,
            scheme.symmetric,
            scheme.rel_damp,
            scheme.order,
            scheme.grid_search,
        )
        layer.weight.copy_(solved.weight)
        weights[f"{name}.weight"] = solved.weight
    return weights
