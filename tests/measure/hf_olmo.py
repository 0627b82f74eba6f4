"""OLMo's own layout written for tests: a Llama's weights fused into it, and a plain forward of what it says."""

import json

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

PREFIX = "model.transformer"


def fused(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of a Llama's checkpoint in OLMo's own layout, as a repository of DataDecide has them."""
    config, stored = json.loads(files["config.json"]), load(files["model.safetensors"])
    written = {
        f"{PREFIX}.wte.weight": stored["model.embed_tokens.weight"],
        f"{PREFIX}.ln_f.weight": stored["model.norm.weight"],
        f"{PREFIX}.ff_out.weight": stored["lm_head.weight"],
    }
    for number in range(config["num_hidden_layers"]):
        old, new = f"model.layers.{number}", f"{PREFIX}.blocks.{number}"
        queries_keys_values = [stored[f"{old}.self_attn.{each}_proj.weight"] for each in "qkv"]
        up_and_gate = [stored[f"{old}.mlp.{each}_proj.weight"] for each in ("up", "gate")]
        written |= {
            f"{new}.att_proj.weight": torch.cat(queries_keys_values),
            f"{new}.ff_proj.weight": torch.cat(up_and_gate),
            f"{new}.attn_out.weight": stored[f"{old}.self_attn.o_proj.weight"],
            f"{new}.ff_out.weight": stored[f"{old}.mlp.down_proj.weight"],
            f"{new}.attn_norm.weight": stored[f"{old}.input_layernorm.weight"],
            f"{new}.ff_norm.weight": stored[f"{old}.post_attention_layernorm.weight"],
        }
    settings = {
        "model_type": "hf_olmo",
        "architectures": ["OLMoForCausalLM"],
        "auto_map": {"AutoConfig": "configuration_olmo.OLMoConfig"},
        "d_model": config["hidden_size"],
        "n_heads": config["num_attention_heads"],
        "n_layers": config["num_hidden_layers"],
        "mlp_ratio": 2 * config["intermediate_size"] // config["hidden_size"],
        "vocab_size": config["vocab_size"],
        "embedding_size": config["vocab_size"],
        "max_sequence_length": config["max_position_embeddings"],
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "layer_norm_eps": config["rms_norm_eps"],
        "include_bias": False,
        "rope": True,
        "weight_tying": False,
    }
    return files | {"config.json": json.dumps(settings).encode(), "model.safetensors": save(written, {"format": "pt"})}


def plain_logits(settings: dict, weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Return the logits of one sequence of tokens, computed from the stored tensors alone, a formula a line."""
    n_heads, width, eps = settings["n_heads"], settings["d_model"], settings["layer_norm_eps"]
    of = {name.removeprefix(f"{PREFIX}."): tensor.double() for name, tensor in weights.items()}

    def norm(x: Tensor, gains: str) -> Tensor:
        if settings["layer_norm_type"] == "rms":
            return of[gains] * x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + eps).sqrt()

    d_head = width // n_heads
    angles = torch.outer(torch.arange(len(tokens)), 10_000.0 ** (-torch.arange(0, d_head, 2) / d_head)).double()
    turn = torch.polar(torch.ones_like(angles), angles)

    def rotated(x: Tensor) -> Tensor:
        """Turn each pair (i, i + half) of a head's numbers as a complex number."""
        first, second = x.view(len(tokens), n_heads, d_head).transpose(0, 1).chunk(2, dim=-1)
        turned = torch.complex(first, second) * turn
        return torch.cat((turned.real, turned.imag), dim=-1)

    ahead = torch.full((len(tokens), len(tokens)), float("-inf"), dtype=torch.float64).triu(1)
    x = of["wte.weight"][tokens]
    for number in range(settings["n_layers"]):
        block = f"blocks.{number}"
        q, k, v = (norm(x, f"{block}.attn_norm.weight") @ of[f"{block}.att_proj.weight"].T).split(width, dim=-1)
        scores = rotated(q) @ rotated(k).transpose(1, 2) / d_head**0.5 + ahead
        heads = scores.softmax(-1) @ v.view(len(tokens), n_heads, d_head).transpose(0, 1)
        x = x + heads.transpose(0, 1).reshape(len(tokens), width) @ of[f"{block}.attn_out.weight"].T
        up, gate = (norm(x, f"{block}.ff_norm.weight") @ of[f"{block}.ff_proj.weight"].T).chunk(2, dim=-1)
        x = x + (functional.silu(gate) * up) @ of[f"{block}.ff_out.weight"].T
    return norm(x, "ln_f.weight") @ of["wte.weight" if settings["weight_tying"] else "ff_out.weight"].T
