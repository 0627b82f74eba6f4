"""Parameters and linear layers as transformers makes them of a configuration, without any weights."""

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from helpers.measure.models.decoders import decoder_of
from helpers.table.families.shapes.llama import LlamaRun

TINY = {"n_layers": 2, "d_model": 24, "d_mlp": 40, "n_heads": 6, "n_key_value_heads": 2, "vocabulary_size": 96}


def settings_of(run: LlamaRun) -> dict:
    """Return what transformers calls a run's shape."""
    return {
        "num_hidden_layers": run.n_layers,
        "hidden_size": run.d_model,
        "intermediate_size": run.d_mlp,
        "num_attention_heads": run.n_heads,
        "num_key_value_heads": run.n_key_value_heads,
        "vocab_size": run.vocabulary_size,
        "tie_word_embeddings": run.tied,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }


def n_params(config: PretrainedConfig) -> tuple[int, int]:
    """Return a model's parameters: all, and those that are neither token embedding nor output head."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    ends = {model.get_input_embeddings().weight, model.get_output_embeddings().weight}
    total = sum(parameter.numel() for parameter in model.parameters())
    return total, total - sum(weight.numel() for weight in ends)


def linear_layers(config: PretrainedConfig) -> dict[str, tuple[int, int]]:
    """Return the shapes of the linear layers in one block of a small model with weights, as the engine finds them."""
    decoder = decoder_of(AutoModelForCausalLM.from_config(config).eval())
    return {name: tuple(decoder.blocks[0].get_submodule(name).weight.shape) for name in decoder.linear_names()}
