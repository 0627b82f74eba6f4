import copy
import dataclasses
import json
import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.measure.tiny import ROOT, tiny_model
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2MoeConfig,
    Qwen3Config,
    T5Config,
)

from helpers.measure.models import checkpoints
from helpers.measure.models.hub import revisions
from helpers.table.errors import CheckpointError
from helpers.table.families import catalogue

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def local(family: Path, index: int = 0) -> checkpoints.LocalCheckpoint:
    return checkpoints.fetch(catalogue.read_manifest(family)[index])


def test_a_good_checkpoint_loads_in_float32_with_the_files_weights(family):
    checkpoint = local(family)
    model = checkpoints.load(checkpoint, "cpu")
    stored = load_file(checkpoint.folder / "model.safetensors")
    assert torch.equal(model.lm_head.weight, stored["embed_out.weight"].float())
    assert torch.equal(model.gpt_neox.embed_in.weight, stored["gpt_neox.embed_in.weight"].float())
    assert model.dtype == torch.float32
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert checkpoints.all_finite(model)


def test_every_pocket_checkpoint_is_the_one_the_manifest_describes():
    for spec in catalogue.read_manifest(ROOT / "data/tadpole"):
        assert checkpoints.weights_sha256(Path(spec.location)) == spec.weights_sha256


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_altered_and_truncated_weights_are_refused(family, damage):
    checkpoint = local(family)
    path = checkpoint.folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
    path.write_bytes(content[:-10] if damage == "truncate" else content)
    with pytest.raises(CheckpointError, match=r"weights are altered or truncated \(sha256 [0-9a-f]{16}, not"):
        checkpoints.load(checkpoint, "cpu")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(family, name):
    (family / "tiny/step-000001" / name).unlink()
    with pytest.raises(CheckpointError, match=f"step-000001/{name}: missing"):
        local(family)


def test_pickled_weights_are_not_looked_at(family):
    folder = family / "tiny/step-000001"
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: missing"):
        local(family)


@pytest.mark.parametrize("lost", ["embed_out.weight", "gpt_neox.layers.1.attention.dense.weight"])
def test_a_parameter_that_would_stay_random_is_refused(family, lost):
    """A head under another name is the classic trap: transformers only warns and goes on with a random one."""
    path = family / "tiny/step-000001/model.safetensors"
    weights = load_file(path)
    weights["renamed.weight"] = weights.pop(lost)
    save_file(weights, path, metadata={"format": "pt"})
    checkpoint = checkpoints.LocalCheckpoint(path.parent, checkpoints.weights_sha256(path.parent), None)
    with pytest.raises(CheckpointError, match=r"parameters missing, unknown or of another shape: .*renamed\.weight"):
        checkpoints.load(checkpoint, "cpu")


def test_a_wrong_shape_is_refused(family):
    path = family / "tiny/step-000001/model.safetensors"
    weights = load_file(path)
    weights["embed_out.weight"] = weights["embed_out.weight"][:, :16].contiguous()
    save_file(weights, path, metadata={"format": "pt"})
    checkpoint = checkpoints.LocalCheckpoint(path.parent, checkpoints.weights_sha256(path.parent), None)
    with pytest.raises(CheckpointError):
        checkpoints.load(checkpoint, "cpu")


def test_weights_of_another_architecture_are_refused(family):
    path = family / "tiny/step-000001/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "llama"}))
    with pytest.raises(CheckpointError, match=r"parameters missing.* embed_out\.weight.*model\.norm\.weight"):
        checkpoints.load(local(family), "cpu")


def test_nan_weights_are_seen(family):
    model = checkpoints.load(local(family), "cpu")
    model.gpt_neox.layers[0].mlp.dense_h_to_4h.weight[0, 0] = float("nan")
    assert not checkpoints.all_finite(model)


# ---- other decoders --------------------------------------------------------------------------------------------------

SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TOKENS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64} | TOKENS
DECODERS = {
    "llama": LlamaConfig(**SMALL, **TOKENS, intermediate_size=48),
    "llama, tied": LlamaConfig(**SMALL, **TOKENS, intermediate_size=48, tie_word_embeddings=True),
    "qwen3, tied": Qwen3Config(
        **SMALL, **TOKENS, intermediate_size=48, num_key_value_heads=2, head_dim=8, tie_word_embeddings=True
    ),
    "opt": OPTConfig(**SMALL, **TOKENS, ffn_dim=48, word_embed_proj_dim=32),
    "opt, projected": OPTConfig(**SMALL, **TOKENS, ffn_dim=48, word_embed_proj_dim=16),
}


def saved(folder: Path, config: PretrainedConfig, kind=AutoModelForCausalLM) -> PreTrainedModel:
    """Write a random model as transformers writes it, in bfloat16; return the same weights in float32."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = kind.from_config(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(parameter.bfloat16())
    copy.deepcopy(model).bfloat16().save_pretrained(folder)
    return model


def load_folder(folder: Path) -> PreTrainedModel:
    return checkpoints.load(checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None), "cpu")


@pytest.mark.parametrize("name", DECODERS)
def test_any_decoder_loads_with_the_files_weights(tmp_path, name):
    """Tied heads aren't in the file and aren't missing."""
    written = saved(tmp_path, DECODERS[name])
    assert ("lm_head.weight" in load_file(tmp_path / "model.safetensors")) == (name == "llama")
    random_state = torch.get_rng_state()
    model = load_folder(tmp_path)
    assert type(model) is type(written)
    assert (model.dtype, model.training) == (torch.float32, False)
    assert all(torch.equal(tensor, written.state_dict()[key]) for key, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    tokens = torch.arange(12)[None]
    assert torch.equal(model(tokens).logits, written(tokens).logits)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("llama", "lm_head.weight"),
        ("llama, tied", "model.embed_tokens.weight"),
        ("opt", "model.decoder.layers.1.fc1.weight"),
        ("opt, projected", "model.decoder.project_in.weight"),
    ],
)
def test_a_parameter_of_any_decoder_that_would_stay_random_is_refused(tmp_path, name, lost):
    saved(tmp_path, DECODERS[name])
    weights = load_file(tmp_path / "model.safetensors")
    del weights[lost]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"parameters missing, unknown or of another shape: .*{lost}"):
        load_folder(tmp_path)


def test_an_unknown_parameter_of_any_decoder_is_refused(tmp_path):
    saved(tmp_path, DECODERS["opt"])
    weights = load_file(tmp_path / "model.safetensors") | {"model.decoder.layers.0.fc3.weight": torch.ones(2, 2)}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"unknown or of another shape: model\.decoder\.layers\.0\.fc3\.weight"):
        load_folder(tmp_path)


def test_a_structure_that_is_not_known_is_refused_at_load(tmp_path):
    saved(tmp_path / "experts", Qwen2MoeConfig(**SMALL, **TOKENS, intermediate_size=48, num_experts=2))
    with pytest.raises(CheckpointError, match=r"unknown structure Qwen2MoeForCausalLM.*mlp\.gate\.weight"):
        load_folder(tmp_path / "experts")
    encoder_decoder = T5Config(vocab_size=64, d_model=32, d_kv=8, num_layers=2, num_heads=4, d_ff=48)
    saved(tmp_path / "t5", encoder_decoder, AutoModelForSeq2SeqLM)
    with pytest.raises(CheckpointError, match=r"t5: can't be loaded \(Unrecognized configuration class"):
        load_folder(tmp_path / "t5")


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("as_on_the_hub", [True, False])
def test_gpt_2_loads_with_its_matrices_as_rows_by_columns(tmp_path, tied, as_on_the_hub):
    """On the Hub its names lack a prefix, and each block has its mask; float32's rounding apart (1e-6) it's the same."""
    written = saved(tmp_path, GPT2Config(**GPT2, tie_word_embeddings=tied))
    if as_on_the_hub and tied:
        stored = load_file(tmp_path / "model.safetensors")
        stored = {name.removeprefix("transformer."): tensor for name, tensor in stored.items()}
        masks = {f"h.{block}.attn.bias": torch.ones(1, 1, 64, 64) for block in (0, 1)}
        save_file(stored | masks, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = load_folder(tmp_path)
    ours, theirs = model.transformer.h[1], written.transformer.h[1]
    assert torch.equal(ours.attn.c_attn.weight, theirs.attn.c_attn.weight.T)
    assert torch.equal(ours.mlp.c_proj.weight, theirs.mlp.c_proj.weight.T)
    assert (model.lm_head.weight is model.transformer.wte.weight) == tied
    tokens = torch.arange(40)[None] + 3
    expected = written(tokens).logits
    assert (model(tokens).logits - expected).abs().max() < 1e-6 * expected.abs().max()


def test_gemma_2_keeps_the_soft_cap_of_its_attention(tmp_path):
    """Transformers' default attention leaves it out without a word."""
    config = Gemma2Config(
        **SMALL, **TOKENS, intermediate_size=48, head_dim=8, attn_logit_softcapping=0.01, initializer_range=0.5
    )
    careless = saved(tmp_path, config)
    model = load_folder(tmp_path)
    assert (careless.config._attn_implementation, model.config._attn_implementation) == ("sdpa", "eager")
    careless.set_attn_implementation("eager")
    tokens = torch.arange(12)[None]
    expected = careless(tokens).logits
    assert torch.equal(model(tokens).logits, expected)
    careless.set_attn_implementation("sdpa")
    assert (careless(tokens).logits - expected).abs().max() > 0.1


def change_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("model_type", ["llama", "own"])
def test_code_that_comes_with_a_checkpoint_is_refused_and_not_run(tmp_path, model_type):
    saved(tmp_path, DECODERS["llama"])
    ran = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    change_config(tmp_path, model_type=model_type, auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    for read in (checkpoints.config_of, load_folder):
        with pytest.raises(
            CheckpointError, match=r"config\.json: needs code of its own \('auto_map'\); accepted: [^\n]*$"
        ):
            read(tmp_path)
    assert not ran.exists()


def test_a_configuration_that_cannot_be_read_is_one_clear_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json: No such file"):
        checkpoints.config_of(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: not JSON"):
        checkpoints.config_of(tmp_path)
    for settings in ({"model_type": "own"}, {}):
        (tmp_path / "config.json").write_text(json.dumps(settings))
        with pytest.raises(CheckpointError, match=r"config\.json: [^\n]+$"):
            checkpoints.config_of(tmp_path)


def test_the_configuration_alone_is_read(tmp_path):
    saved(tmp_path, DECODERS["opt"])
    (tmp_path / "model.safetensors").unlink()
    assert checkpoints.config_of(tmp_path).ffn_dim == 48


# ---- the Hub: a cache folder laid out by hand, with the names and key names of the public Pythia checkpoints ---------


def lay_out_hub(cache: Path, repository: str, revision: str, weights: dict, config: dict, shards: int = 1) -> None:
    """Write a Hub cache as huggingface_hub keeps it: refs/<revision> holds the commit, snapshots/<commit> the files."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    snapshot.mkdir(parents=True, exist_ok=True)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / revision).write_text(COMMIT)
    (snapshot / "config.json").write_text(json.dumps(config))
    shutil.copyfile(ROOT / "data/tadpole/tokenizer.json", snapshot / "tokenizer.json")
    names = sorted(weights)
    if shards == 1:
        save_file(weights, snapshot / "model.safetensors", metadata={"format": "pt"})
        return
    where = {name: f"model-{i % shards + 1:05d}-of-{shards:05d}.safetensors" for i, name in enumerate(names)}
    for file in set(where.values()):
        part = {name: weights[name] for name in names if where[name] == file}
        save_file(part, snapshot / file, metadata={"format": "pt"})
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def old_layout(dtype: torch.dtype) -> tuple[dict, dict]:
    """Weights and configuration as the public files have them: `embed_out`, buffers of old transformers, rotary_pct."""
    model = tiny_model(seed=3, d_model=32, n_layers=2)
    weights = {name.replace("lm_head", "embed_out"): t.to(dtype) for name, t in model.state_dict().items()}
    for layer in range(2):
        weights[f"gpt_neox.layers.{layer}.attention.bias"] = torch.ones(1, 1, 64, 64, dtype=torch.bool)
        weights[f"gpt_neox.layers.{layer}.attention.masked_bias"] = torch.tensor(-1e9)
        weights[f"gpt_neox.layers.{layer}.attention.rotary_emb.inv_freq"] = torch.ones(2)
    config = {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "hidden_act": "gelu",
        "hidden_size": 32,
        "intermediate_size": 128,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "max_position_embeddings": 64,
        "rotary_pct": 0.25,
        "rotary_emb_base": 10000,
        "layer_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "use_parallel_residual": True,
        "vocab_size": 1024,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    return weights, config


def pythia_spec():
    return catalogue.checkpoints("pythia", ["pythia-14m"], [1000], "test")[0]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty Hub cache, and no way to any Hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.mark.parametrize(("dtype", "shards"), [(torch.float16, 1), (torch.float16, 3), (torch.bfloat16, 2)])
def test_a_pythia_revision_loads_from_the_cache_with_every_weight_from_the_file(hub, dtype, shards):
    weights, config = old_layout(dtype)
    spec = pythia_spec()
    lay_out_hub(hub, spec.location, spec.revision, weights, config, shards)
    checkpoint = checkpoints.fetch(spec)
    assert checkpoint.commit == COMMIT
    model = checkpoints.load(checkpoint, "cpu")
    parameters = dict(model.named_parameters())
    loaded = {name.replace("embed_out", "lm_head"): tensor for name, tensor in weights.items()}
    assert all(torch.equal(parameters[name], loaded[name].float()) for name in parameters)
    assert checkpoints.tokenizer_of(checkpoint.folder).get_vocab_size() == 1024
    # the same model computes the same losses: the rotary settings of the old configuration were understood
    reference = tiny_model(seed=3, d_model=32, n_layers=2)
    reference.load_state_dict({name: loaded[name].float() for name in reference.state_dict()})
    tokens = torch.arange(40)[None]
    torch.testing.assert_close(model(tokens).logits, reference(tokens).logits)


def test_a_pythia_head_that_would_stay_random_is_refused(hub):
    weights, config = old_layout(torch.float16)
    del weights["embed_out.weight"]
    spec = pythia_spec()
    lay_out_hub(hub, spec.location, spec.revision, weights, config)
    with pytest.raises(CheckpointError, match=r"parameters missing.*lm_head\.weight"):
        checkpoints.load(checkpoints.fetch(spec), "cpu")


def test_the_same_step_with_other_weights_is_another_checkpoint(hub):
    weights, config = old_layout(torch.float16)
    spec = pythia_spec()
    lay_out_hub(hub, spec.location, spec.revision, weights, config, shards=2)
    first = checkpoints.fetch(spec).weights_sha256
    weights["embed_out.weight"][0, 0] += 1
    lay_out_hub(hub, spec.location, spec.revision, weights, config, shards=2)
    assert checkpoints.fetch(spec).weights_sha256 != first


def test_a_revision_that_is_nowhere_is_one_clear_line(hub):
    with pytest.raises(CheckpointError, match="EleutherAI/pythia-14m at step1000: not in the local cache"):
        checkpoints.fetch(pythia_spec())


# ---- one answer to which files are the weights -----------------------------------------------------------------------


def shards(folder: Path, config: PretrainedConfig) -> dict[str, torch.Tensor]:
    """Write a model in two shards with an index; return its weights by name."""
    folder.mkdir()
    weights = {name: tensor.clone() for name, tensor in saved(folder / "whole", config).state_dict().items()}
    shutil.copyfile(folder / "whole/config.json", folder / "config.json")
    shutil.rmtree(folder / "whole")
    names = sorted(weights)
    where = {name: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(where.values()):
        save_file({n: weights[n] for n in names if where[n] == file}, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return weights


def test_a_single_file_beside_the_shards_of_another_is_two_answers(tmp_path):
    weights = shards(tmp_path / "both", DECODERS["llama"])
    model = load_folder(tmp_path / "both")
    assert all(torch.equal(model.state_dict()[name], weights[name]) for name in weights)
    save_file({name: 0 * tensor for name, tensor in weights.items()}, tmp_path / "both/model.safetensors")
    found = (
        r"both: model\.safetensors beside model\.safetensors\.index\.json of 2 other files; accepted: one of the two"
    )
    for read in (checkpoints.weight_files, checkpoints.weights_sha256, load_folder):
        with pytest.raises(CheckpointError, match=found):
            read(tmp_path / "both")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_beside_the_model_is_refused_by_name(tmp_path, name):
    saved(tmp_path, DECODERS["llama"])
    (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match=f"{name}: an adapter beside the weights"):
        load_folder(tmp_path)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("quantization_config", {"quant_method": "fp8"}, r"quantized already \('quantization_config'\)"),
        ("quantization_config", {"quant_method": "gptq", "bits": 4}, "accepted: a 16-bit original"),
        ("compression_config", {"format": "int-quantized"}, r"compressed \('compression_config'\)"),
        ("transformers_weights", "other.safetensors", "names another file of weights"),
        ("num_hidden_layers", 10**9, "'num_hidden_layers' is 1000000000; accepted: at most 1000"),
        ("max_position_embeddings", 0, "'max_position_embeddings' is 0; accepted: 1 or more"),
        ("n_positions", -5, "'n_positions' is -5; accepted: 1 or more"),
    ],
)
def test_a_configuration_that_makes_the_weights_others_is_refused_by_name(tmp_path, name, value, found, nested):
    saved(tmp_path, DECODERS["llama"])
    change_config(tmp_path, **({"text_config": {name: value}} if nested else {name: value}))
    for read in (checkpoints.config_of, checkpoints.weight_files, load_folder):
        with pytest.raises(CheckpointError, match=rf"config\.json: [^\n]*{found}[^\n]*$"):
            read(tmp_path)


def test_an_empty_quantization_config_says_nothing(tmp_path):
    saved(tmp_path, DECODERS["llama"])
    change_config(tmp_path, quantization_config=None)
    assert load_folder(tmp_path).dtype == torch.float32


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.int8])
def test_numbers_of_fewer_bits_are_not_the_original(tmp_path, kind):
    saved(tmp_path, DECODERS["llama"])
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"] = weights["model.layers.1.mlp.up_proj.weight"].to(kind)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"'model\.layers\.1\.mlp\.up_proj\.weight' is stored as (F8_E4M3|I8);"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"metadata": {}, "weight_map": {"a": "model-0', "not an index of shards"),
        ("[]", "not an index of shards"),
        ("[" * 100_000, "not an index of shards"),
        ("{}", r"not an index of shards \('weight_map'\)"),
        ('{"weight_map": []}', "not an index of shards"),
        ('{"weight_map": {}}', "no file; accepted: one shard or more"),
        ('{"weight_map": {"a": "../other/model.safetensors"}}', "'../other/model.safetensors'; accepted: names of"),
        ('{"weight_map": {"a": "pytorch_model.bin"}}', "'pytorch_model.bin'; accepted: names of safetensors"),
        ('{"weight_map": {"a": 3}}', "3; accepted: names of safetensors"),
        ('{"weight_map": {"a": ["b"]}}', "not an index of shards"),
    ],
)
def test_an_index_that_is_none_is_one_clear_line(tmp_path, text, found):
    shards(tmp_path / "cut", DECODERS["llama"])
    (tmp_path / "cut/model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors\.index\.json: [^\n]*{found}[^\n]*$"):
        checkpoints.weight_files(tmp_path / "cut")


def test_a_name_in_two_shards_and_a_shard_left_out_are_refused(tmp_path):
    shards(tmp_path / "twice", DECODERS["llama"])
    second = tmp_path / "twice/model-00002-of-00002.safetensors"
    first = load_file(tmp_path / "twice/model-00001-of-00002.safetensors")
    name = sorted(first)[0]
    save_file(load_file(second) | {name: first[name]}, second, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"'{name}' is in another shard too"):
        load_folder(tmp_path / "twice")
    weights = shards(tmp_path / "short", DECODERS["llama"])
    index = tmp_path / "short/model.safetensors.index.json"
    where = json.loads(index.read_text())["weight_map"]
    left = {name: file for name, file in where.items() if file.startswith("model-00001")}
    index.write_text(json.dumps({"metadata": {}, "weight_map": left}))
    with pytest.raises(CheckpointError, match=f"parameters missing.*{sorted(weights)[1]}"):
        load_folder(tmp_path / "short")


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": "two"},
        {"hidden_size": -1},
        {"num_attention_heads": 0},
        {"num_attention_heads": None},
        {"hidden_act": "unheard"},
        {"rope_parameters": {"rope_type": "unheard", "rope_theta": 1.0}},
        {"vocab_size": 10**30},
        {"layer_types": 3},
        {"attn_implementation": "flash_attention_2"},
        {"_attn_implementation": "unheard"},
        {"dtype": "float7"},
    ],
)
def test_whatever_is_wrong_with_a_configuration_is_one_line_or_the_same_weights(tmp_path, changes):
    saved(tmp_path, DECODERS["llama"])
    change_config(tmp_path, **changes)
    said = ""
    try:
        weight = load_folder(tmp_path).lm_head.weight
    except CheckpointError as error:
        said, weight = str(error), None
    stored = load_file(tmp_path / "model.safetensors")["lm_head.weight"].float()
    assert "\n" not in said
    assert (str(tmp_path) in said or "unknown structure" in said) if weight is None else torch.equal(weight, stored)


def test_weights_that_are_no_numbers_are_named(family):
    model = checkpoints.load(local(family), "cpu")
    assert checkpoints.nonfinite_weights(model) == []
    model.gpt_neox.layers[1].mlp.dense_h_to_4h.weight[0, 0] = float("inf")
    model.gpt_neox.final_layer_norm.bias[3] = float("nan")
    expected = ["gpt_neox.layers.1.mlp.dense_h_to_4h.weight", "gpt_neox.final_layer_norm.bias"]
    assert checkpoints.nonfinite_weights(model) == expected


def test_a_configuration_is_utf_8_whatever_the_locale_says(family, monkeypatch):
    """Under an ASCII locale one with an accent was no JSON."""
    folder = local(family).folder
    path = folder / "config.json"
    path.write_bytes(path.read_bytes().replace(b"{", '{"_name_or_path": "modèle", '.encode(), 1))
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: pytest.fail("read as the locale says"))
    assert checkpoints.architecture_of(folder)


def test_a_key_that_is_there_twice_is_refused(family):
    folder = local(family).folder
    path = folder / "config.json"
    path.write_text(path.read_text().replace("{", '{"model_type": "llama", ', 1))
    with pytest.raises(CheckpointError, match=r"config.json: not JSON \(key 'model_type' is there twice\)"):
        checkpoints.weight_files(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(family, name):
    folder = local(family).folder
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(CheckpointError, match=f"{name}: (missing|not JSON)"):
        checkpoints.weight_files(folder)
    if name == "config.json":
        with pytest.raises(CheckpointError, match="a pipe; accepted: a file"):
            checkpoints.config_of(folder)


def test_a_pipe_is_no_tokenizer(family):
    folder = local(family).folder
    os.mkfifo(folder / "tokenizer.json")
    assert checkpoints.tokenizer_folder(folder) == family


def test_an_encoder_is_refused_at_load(tmp_path):
    """Packed and scored before: it sees the token that it is asked for."""
    config = BertConfig(**SMALL, **TOKENS, intermediate_size=48)
    saved(tmp_path, config, AutoModelForMaskedLM)
    with pytest.raises(CheckpointError, match=r"BertLMHeadModel: what it says of a token depends on later ones"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset"),
        ValueError("a page in place of JSON\nand more"),
        OSError(
            "404 Client Error.\n\nRevision Not Found for url: x.\nInvalid rev id: step1000"
        ),  # the reason comes last
        AssertionError(),
    ],
)
def test_a_download_that_fails_is_one_line_whatever_it_raises(monkeypatch, error):
    def fail(*_args, **_settings):
        raise error

    monkeypatch.setattr(revisions, "http_backoff", fail)
    said = " ".join(str(error).split()) or type(error).__name__
    with pytest.raises(CheckpointError, match=f"EleutherAI/pythia-14m at step1000: {said}$"):
        checkpoints.fetch(pythia_spec())


# ---- tokenizers ------------------------------------------------------------------------------------------------------

TOKENIZER = ROOT / "data/tadpole/tokenizer.json"
TEXT = "def f(x):\n    return x + 1\n" * 40


def test_padding_truncation_and_dropout_left_in_a_tokenizer_are_not_obeyed(tmp_path):
    """98% of the calibration text was padding."""
    stored = json.loads(TOKENIZER.read_text())
    stored["truncation"] = {"direction": "Right", "max_length": 64, "strategy": "LongestFirst", "stride": 0}
    stored["padding"] = {
        "strategy": {"Fixed": 4096},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<|endoftext|>",
    }
    stored["model"]["dropout"] = 0.5
    (tmp_path / "tokenizer.json").write_text(json.dumps(stored))
    expected = Tokenizer.from_file(str(TOKENIZER))
    found = checkpoints.tokenizer_of(tmp_path)
    assert found.encode(TEXT, add_special_tokens=False).ids == expected.encode(TEXT, add_special_tokens=False).ids
    again = Tokenizer.from_str(found.to_str())
    assert again.encode(TEXT, add_special_tokens=False).ids == expected.encode(TEXT, add_special_tokens=False).ids


def test_a_tokenizer_as_it_is_stays_as_it_is():
    assert checkpoints.tokenizer_of(TOKENIZER.parent).to_str() == Tokenizer.from_file(str(TOKENIZER)).to_str()


def test_a_family_with_a_manifest_shares_its_tokenizer_and_no_other_folder_does(family, tmp_path, monkeypatch):
    folder = family / "tiny/step-000001"
    assert checkpoints.tokenizer_folder(folder).resolve() == family.resolve()
    monkeypatch.chdir(folder)
    assert checkpoints.tokenizer_of(Path()).get_vocab_size() == 1024
    (tmp_path / "link").symlink_to(folder)
    assert checkpoints.tokenizer_of(tmp_path / "link").get_vocab_size() == 1024
    (family / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"step-000001: no tokenizer\.json there or in the family's folder"):
        checkpoints.tokenizer_of(folder)
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    assert checkpoints.tokenizer_folder(folder) == folder


def test_a_tokenizer_with_more_words_than_the_embedding_is_anothers(tmp_path):
    saved(tmp_path, DECODERS["llama"])
    shutil.copyfile(TOKENIZER, tmp_path / "tokenizer.json")
    found = r"tokenizer\.json: ids up to 1023, more than the model's embedding of 64 rows"
    with pytest.raises(CheckpointError, match=found):
        checkpoints.tokenizer_of(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "<html>log in</html>", '{"model": {"type": "unheard"}}', "[1]"])
def test_a_broken_tokenizer_is_one_clear_line(tmp_path, text):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: not a tokenizer \([^\n]+\)$"):
        checkpoints.tokenizer_of(tmp_path)


# ---- what the weights are computed with ------------------------------------------------------------------------------


def test_every_pocket_checkpoint_has_the_architecture_that_the_manifest_describes():
    specs = catalogue.read_manifest(ROOT / "data/tadpole")
    assert all(checkpoints.architecture_of(Path(spec.location)) == spec.architecture for spec in specs)
    assert len({spec.architecture for spec in specs}) == len({spec.model for spec in specs})


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.25}},
        {"num_attention_heads": 4},
        {"hidden_act": "relu"},
        {"use_parallel_residual": False},
        {"layer_norm_eps": 1e-3},
    ],
)
def test_another_configuration_over_the_same_weights_is_refused(family, changes):
    """Another loss under the same id before: a row's id has the weights alone."""
    (spec, *_) = catalogue.read_manifest(family)
    folder = Path(spec.location)
    described = dataclasses.replace(spec, architecture=checkpoints.architecture_of(folder))
    before = checkpoints.fetch(described)
    change_config(folder, transformers_version="6.0", use_cache=True, dtype="float32")
    assert checkpoints.fetch(described) == before
    change_config(folder, **changes)
    with pytest.raises(
        CheckpointError, match=r"config\.json: not the configuration described \(hash [0-9a-f]{16}, not"
    ):
        checkpoints.fetch(described)
    # a family that doesn't say is taken as it is, under another key
    before = checkpoints.beside_of(folder)
    assert checkpoints.fetch(spec).beside == before
    change_config(folder, transformers_version="7.0")
    assert checkpoints.beside_of(folder) == before
    change_config(folder, a_field_that_nobody_knows=1)
    assert checkpoints.beside_of(folder).architecture_hash != before.architecture_hash


def test_a_flipped_bit_of_the_configuration_is_refused_or_another_key_or_changes_nothing(family):
    """4 of 200 such flips gave another loss under the same id: a rotary base, a number of heads, an activation."""
    folder = Path(catalogue.read_manifest(family)[0].location)
    config, flips = folder / "config.json", random.Random(16)
    good, before = config.read_bytes(), checkpoints.beside_of(folder)
    tokens = torch.arange(24)[None] % 50
    logits = load_folder(folder)(tokens).logits
    unnoticed = 0
    for _ in range(200):
        place, bit = flips.randrange(len(good)), flips.randrange(8)
        config.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
        try:
            if checkpoints.beside_of(folder) != before:
                continue
            model = load_folder(folder)
        except CheckpointError:
            continue
        unnoticed += 1
        assert torch.equal(model(tokens).logits, logits), (place, bit, config.read_text(errors="replace"))
    assert unnoticed, "no flip went unnoticed: the loss was never compared"
