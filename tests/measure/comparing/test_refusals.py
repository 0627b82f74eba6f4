"""What is no rounded copy of an original: each refusal with its line, and what isn't refused beside it."""

import json
import math
import re

import pytest
import torch
from tests.measure.packed_models import llama

from helpers.measure.comparing import loading, refusals, stored
from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.table.errors import CheckpointError


def config_of(folder):
    return checkpoints.config_of(folder, stored.REFUSED)


def test_a_folder_is_compared_once_under_whatever_name(original, packed, tmp_path):
    (tmp_path / "link").symlink_to(packed)
    refusals.refuse_same_folder([original, packed])
    for again in (original, packed, tmp_path / "link", packed.parent / "." / packed.name):
        with pytest.raises(CheckpointError, match="the same folder as .*; accepted: each once, BASE too"):
            refusals.refuse_same_folder([original, packed, again])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_hidden_layers": 3}, "'num_hidden_layers' is 3, the original's is 2"),
        ({"hidden_size": 128}, "'hidden_size' is 128, the original's is 64"),
        ({"intermediate_size": 64}, "'intermediate_size' is 64, the original's is 96"),
        ({"hidden_act": "gelu"}, "'hidden_act' is 'gelu', the original's is 'silu'"),
        ({"rms_norm_eps": 1e-5}, "'rms_norm_eps' is 1e-05, the original's is 1e-06"),
        ({"vocab_size": 2048}, "'vocab_size' is 2048, the original's is 1024"),
        ({"tie_word_embeddings": True}, "'tie_word_embeddings' is True, the original's is False"),
        ({"model_type": "qwen2"}, "'model_type' is 'qwen2', the original's is 'llama'"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, "'rope_parameters' is "),
    ],
)
def test_another_architecture_is_refused(original, packed, changed, settings, said):
    folder = changed(packed, settings=settings)
    with pytest.raises(CheckpointError, match=f"config.json: another architecture: {re.escape(said)}"):
        refusals.refuse_another_architecture(config_of(folder), config_of(original), folder)


def test_what_changes_no_logit_may_differ(original, packed, changed):
    settings = {
        "pad_token_id": 3,
        "use_cache": False,
        "dtype": "float16",
        "attention_dropout": 0.1,
        "_name_or_path": "x",
    }
    folder = changed(packed, settings=settings)
    refusals.refuse_another_architecture(config_of(folder), config_of(original), folder)


def with_tokenizer(folder, change):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    change(tokenizer)
    path.write_text(json.dumps(tokenizer))
    return folder


def swapped(tokenizer):
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[500:502]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]


def test_another_vocabulary_is_refused(original, packed, changed):
    refusals.refuse_another_vocabulary(packed, original)
    folder = with_tokenizer(changed(packed), swapped)
    with pytest.raises(CheckpointError, match=r"another vocabulary than the original's: 2 tokens, such as "):
        refusals.refuse_another_vocabulary(folder, original)


def test_a_copy_without_a_tokenizer_is_refused(original, packed, changed):
    folder = changed(packed)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer.json there"):
        refusals.refuse_another_vocabulary(folder, original)


def refuse(folder, model):
    refusals.refuse_other_weights(loading.load(folder, model, "cpu"), decoder_of(model))


def add(name, amount):
    def change(tensors):
        tensors[name][0] += amount

    return change


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.1.input_layernorm.weight", "lm_head.weight"])
def test_what_was_not_rounded_is_the_original_s(packed, model, changed, name):
    with pytest.raises(CheckpointError, match=f"not a copy of the original: '{name}' differs by up to 0.12"):
        refuse(changed(packed, add(name, 0.125)), model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.bfloat16])
def test_a_change_of_dtype_is_no_difference(packed, model, changed, dtype):
    def change(tensors):
        for name, tensor in tensors.items():
            if tensor.is_floating_point():
                tensors[name] = tensor.to(dtype)

    refuse(changed(packed, change), model)


@pytest.mark.parametrize("fold", [True, False])
def test_norms_inside_of_blocks_may_differ_where_a_format_folds_scales_into_them(packed, model, changed, fold):
    """AWQ's files can't be loaded here: a packed one stands for them."""
    found = loading.load(changed(packed, add("model.layers.1.input_layernorm.weight", 0.5)), model, "cpu")
    as_awq = loading.Quantized(**vars(found) | {"method": "awq" if fold else "gptq"})
    if fold:
        refusals.refuse_other_weights(as_awq, decoder_of(model))
        as_awq.model.get_input_embeddings().weight[5] += 0.5
        with pytest.raises(CheckpointError, match=r"'model.embed_tokens.weight' differs by up to 0.5"):
            refusals.refuse_other_weights(as_awq, decoder_of(model))
    else:
        with pytest.raises(CheckpointError, match=r"'model.layers.1.input_layernorm.weight' differs"):
            refusals.refuse_other_weights(as_awq, decoder_of(model))


def test_a_copy_in_16_bits_may_have_other_matrices_in_its_blocks_and_nowhere_else(original, model, changed):
    refuse(changed(original, add("model.layers.1.mlp.up_proj.weight", 0.5)), model)
    with pytest.raises(CheckpointError, match=r"'model.embed_tokens.weight' differs"):
        refuse(changed(original, add("model.embed_tokens.weight", 0.5)), model)


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.0.mlp.up_proj.scales"])
def test_what_is_no_number_is_refused(packed, model, changed, name):
    weight = name.replace("scales", "weight")
    with pytest.raises(CheckpointError, match=f"nonfinite weights in {weight}"):
        refuse(changed(packed, add(name, math.nan)), model)


def test_another_model_of_the_same_shape_is_refused(packed):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        other = llama()
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    with pytest.raises(CheckpointError, match=r"'model.embed_tokens.weight' differs"):
        refuse(packed, other)
