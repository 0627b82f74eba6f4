"""OLMo's own layout of a checkpoint (hf_olmo) read as a model that transformers has, without code of the checkpoint's.

Two matrices of a block are fused. What is which, from allenai/OLMo and from transformers' own conversion
(src/transformers/models/olmo/convert_olmo_weights_to_hf.py): `att_proj` has the rows of queries, keys and values, in
this order (`fused_dims` in olmo/model.py); `ff_proj` has up first, gate second (`SwiGLU`: `x, gate = x.chunk(2)`, then
silu(gate) * x). `mlp_ratio` and `mlp_hidden_size` count both. Rotary embeddings turn halves, as Llama's do.

With RMS norms that have gains the model is Llama's, which DataDecide's are (scripts/ladder.py); with plain norms
without gains it is transformers' Olmo, the first OLMo.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor
from transformers import LlamaConfig, OlmoConfig, PretrainedConfig

from helpers.measure.models.shards import weight_names
from helpers.table.errors import CheckpointError

TYPES = ("hf_olmo", "olmo")  # of hf_olmo's releases; transformers calls its own Olmo the latter too
PREFIX = "model.transformer."
PLAIN_EPS = 1e-5  # of transformers' Olmo, which has no other
# What a configuration must say, or leave to the default of OLMo's ModelConfig: nothing else is the model read here
ACCEPTED: dict[str, tuple[Any, ...]] = {
    "block_type": ("sequential",),
    "activation_type": ("swiglu",),
    "rope": (True,),
    "alibi": (False,),
    "include_bias": (False,),
    "bias_for_layer_norm": (None, False),
    "attention_layer_norm": (False,),
    "norm_after": (False,),
    "clip_qkv": (None,),
    "scale_logits": (False,),
    "scale_emb_init": (False,),
    "layer_norm_type": ("rms", "default"),
}
DEFAULTS: dict[str, Any] = {
    "block_type": "sequential",
    "activation_type": "swiglu",
    "rope": False,
    "alibi": False,
    "include_bias": True,
    "bias_for_layer_norm": None,
    "attention_layer_norm": False,
    "norm_after": False,
    "clip_qkv": None,
    "scale_logits": False,
    "scale_emb_init": False,
    "layer_norm_type": "default",
    "layer_norm_with_affine": True,
    "layer_norm_eps": 1e-5,
    "rope_theta": 10_000,
    "weight_tying": True,
    "mlp_ratio": 4,
    "mlp_hidden_size": None,
    "embedding_size": None,
    "n_kv_heads": None,
    "multi_query_attention": False,
}
NUMBERS = ("d_model", "n_heads", "n_layers", "vocab_size", "max_sequence_length")
BLOCK = {
    "attn_out": "self_attn.o_proj",
    "ff_out": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ff_norm": "post_attention_layernorm",
}
OUTSIDE = {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}


def is_hf_olmo(settings: Mapping[str, Any]) -> bool:
    """Tell whether a config.json is of OLMo's own layout."""
    return settings.get("model_type") in TYPES and "d_model" in settings


def config_of(settings: Mapping[str, Any], path: Path) -> PretrainedConfig:
    """Return the configuration of the model that a config.json of OLMo's own layout describes.

    Raises CheckpointError where it says what isn't understood.
    """
    said = DEFAULTS | dict(settings)
    for name, values in ACCEPTED.items():
        if said[name] not in values:
            accepted = ", ".join(map(json.dumps, values))
            raise CheckpointError(
                f"{path}: '{name}' is {json.dumps(said[name])}; accepted of OLMo's layout: {accepted}"
            )
    for name in NUMBERS:
        if type(said.get(name)) is not int or said[name] < 1:
            raise CheckpointError(f"{path}: '{name}' is {json.dumps(said.get(name))}; accepted: a number from 1")
    is_rms = said["layer_norm_type"] == "rms"
    if bool(said["layer_norm_with_affine"]) != is_rms or not (is_rms or said["layer_norm_eps"] == PLAIN_EPS):
        raise CheckpointError(f"{path}: accepted of OLMo's norms: rms with gains, or default without, eps {PLAIN_EPS}")
    n_key_value = said["n_kv_heads"] or (1 if said["multi_query_attention"] else said["n_heads"])
    if said["d_model"] % said["n_heads"] or said["n_heads"] % n_key_value:
        heads = f"{said['n_heads']} heads, {n_key_value} of keys"
        raise CheckpointError(f"{path}: {heads}; accepted: divisors of the width, and of one another")
    common = {
        "vocab_size": said["embedding_size"] or said["vocab_size"],
        "hidden_size": said["d_model"],
        "intermediate_size": (said["mlp_hidden_size"] or said["mlp_ratio"] * said["d_model"]) // 2,
        "num_hidden_layers": said["n_layers"],
        "num_attention_heads": said["n_heads"],
        "num_key_value_heads": n_key_value,
        "max_position_embeddings": said["max_sequence_length"],
        "rope_parameters": {"rope_type": "default", "rope_theta": float(said["rope_theta"])},
        "tie_word_embeddings": bool(said["weight_tying"]),
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    return LlamaConfig(**common, rms_norm_eps=said["layer_norm_eps"]) if is_rms else OlmoConfig(**common)


def tensors_of(folder: Path, config: PretrainedConfig) -> dict[str, Tensor]:
    """Return the stored tensors by the names of the model that `config_of` describes, fused ones in their parts.

    Raises CheckpointError for a name that OLMo's layout hasn't, or a fused matrix of another number of rows.
    """
    tensors: dict[str, Tensor] = {}
    for file in weight_names(folder):
        with safe_open(folder / file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 (not a mapping)
                tensors |= _renamed(folder, name, stored.get_tensor(name), config)
    if config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    return tensors


def _renamed(folder: Path, name: str, tensor: Tensor, config: PretrainedConfig) -> dict[str, Tensor]:
    """Return a stored tensor under its names in transformers' model."""
    short, of_weight = name.removeprefix(PREFIX).removesuffix(".weight"), name.endswith(".weight")
    parts = short.split(".")
    if name.startswith(PREFIX) and of_weight and parts[0] == "blocks" and len(parts) == 3 and parts[1].isdigit():
        block = f"model.layers.{int(parts[1])}"
        if parts[2] in BLOCK:
            return {f"{block}.{BLOCK[parts[2]]}.weight": tensor}
        if parts[2] in FUSED:
            return _split(folder, name, tensor, block, FUSED[parts[2]](config))
    if name.startswith(PREFIX) and of_weight and short in OUTSIDE:
        return {f"{OUTSIDE[short]}.weight": tensor}
    raise CheckpointError(
        f"{folder}: '{name}' is no tensor of OLMo's layout; accepted: {PREFIX}blocks.0.att_proj.weight, ..."
    )


def _split(folder: Path, name: str, tensor: Tensor, block: str, rows: dict[str, int]) -> dict[str, Tensor]:
    """Return the parts of a fused matrix, by rows."""
    if tensor.ndim != 2 or tensor.shape[0] != sum(rows.values()):
        said = " and ".join(f"{n} of {part.partition('.')[2]}" for part, n in rows.items())
        raise CheckpointError(f"{folder}: '{name}' is {tuple(tensor.shape)}; accepted: rows {said}")
    split = tensor.split(list(rows.values()))
    return {f"{block}.{part}.weight": values for part, values in zip(rows, split, strict=True)}


def _rows_of_attention(config: PretrainedConfig) -> dict[str, int]:
    n_key_value = config.hidden_size // config.num_attention_heads * config.num_key_value_heads
    return {"self_attn.q_proj": config.hidden_size, "self_attn.k_proj": n_key_value, "self_attn.v_proj": n_key_value}


def _rows_of_mlp(config: PretrainedConfig) -> dict[str, int]:
    return {"mlp.up_proj": config.intermediate_size, "mlp.gate_proj": config.intermediate_size}


FUSED = {"att_proj": _rows_of_attention, "ff_proj": _rows_of_mlp}
