"""Checkpoints loaded to be compared: packed GPTQ weight by weight, bitsandbytes by its own layers, and refusals."""

import importlib.metadata
import shutil

import pytest
import torch
from tests.measure.packed_models import CASES, MIXED_CASES, written
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from helpers.measure.comparing import loading
from helpers.measure.packing import export, gptq_format
from helpers.measure.rounding.libraries import without_remarks
from helpers.table.errors import CheckpointError


@pytest.mark.parametrize("name", [*CASES, *MIXED_CASES])
def test_every_packed_weight_is_decoded_as_it_was_stored(tmp_path, name):
    build, wanted, how = (CASES | MIXED_CASES)[name]
    model = written(build(seed=1), tmp_path / "original")
    rounded = how(model, wanted)
    export.export(tmp_path / "original", rounded, wanted, tmp_path / "out")
    found = loading.load(tmp_path / "out", model, "cpu")
    expected = dict(model.named_parameters()) | {
        name: gptq_format.as_stored(weight).decode() for name, weight in rounded.weights.items()
    }
    own = dict(found.model.named_parameters())
    assert own.keys() == expected.keys()
    assert all(torch.equal(own[name], expected[name]) for name in own)
    assert found.rounded == {name.removesuffix(".weight") for name in rounded.weights}
    assert found.label.startswith(f"gptq {wanted.bits} bits")


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_bitsandbytes_layers_run_as_they_are_and_the_rest_in_float32(tmp_path, original, model, kind):
    wanted = BitsAndBytesConfig(load_in_4bit=kind == "nf4", load_in_8bit=kind == "int8", bnb_4bit_quant_type="nf4")
    with without_remarks():
        theirs = AutoModelForCausalLM.from_pretrained(original, quantization_config=wanted, device_map={"": "cpu"})
        theirs.save_pretrained(tmp_path / kind)
    found = loading.load(tmp_path / kind, model, "cpu")
    assert found.label == f"bitsandbytes {kind}"
    assert found.rounded == {f"model.{name}" for name, _ in model.model.named_modules() if name.endswith("_proj")}
    own = dict(found.model.named_parameters())
    for name, parameter in model.named_parameters():
        if name.removesuffix(".weight") not in found.rounded:
            assert torch.equal(own[name], parameter), name
    with without_remarks():
        assert found.model(torch.arange(8)[None]).logits.dtype == torch.float32


def test_zeros_in_place_of_no_bias_are_left_out(packed, model, changed):
    def with_biases(tensors):
        for name in [name for name in tensors if name.endswith(".qweight")]:
            tensors[name.replace("qweight", "bias")] = torch.zeros(tensors[name].shape[1], dtype=torch.float16)

    loading.load(changed(packed, with_biases), model, "cpu")

    def with_a_bias(tensors):
        tensors["model.layers.0.mlp.up_proj.bias"] = torch.ones(96, dtype=torch.float16)

    with pytest.raises(CheckpointError, match=r"missing, unknown or of another shape: model.layers.0.mlp.up_proj.bias"):
        loading.load(changed(packed, with_a_bias), model, "cpu")


def drop(name):
    return lambda tensors: tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"quantization": {"quant_method": "hqq"}},
            "'quant_method' is 'hqq'; accepted: gptq, bitsandbytes, compressed",
        ),
        ({"quantization": {"quant_method": None}}, "'quant_method' is None; accepted"),
        ({"settings": {"quantization_config": [4]}}, "'quant_method' is None; accepted"),
        ({"quantization": {"checkpoint_format": "marlin"}}, "'checkpoint_format' is 'marlin'; accepted: gptq, gptq_v2"),
        ({"settings": {"auto_map": {"AutoModel": "x.py"}}}, "needs code of its own"),
        ({"tensors": drop("model.layers.0.mlp.up_proj.scales")}, "'model.layers.0.mlp.up_proj' has no scales"),
        ({"tensors": drop("model.norm.weight")}, "missing, unknown or of another shape: model.norm.weight"),
        ({"tensors": drop("lm_head.weight")}, "missing, unknown or of another shape: lm_head.weight"),
    ],
)
def test_what_cannot_be_loaded_is_refused(packed, model, changed, change, said):
    with pytest.raises(CheckpointError, match=said):
        loading.load(changed(packed, **change), model, "cpu")


def test_a_quantization_that_packs_nothing_is_refused(original, model, changed):
    with pytest.raises(CheckpointError, match="every weight in 16 bits or more"):
        loading.load(changed(original, quantization={"quant_method": "gptq", "bits": 4}), model, "cpu")


@pytest.mark.parametrize(("method", "package"), [("awq", "gptqmodel"), ("compressed-tensors", "compressed-tensors")])
def test_a_package_that_is_missing_is_named(packed, model, changed, method, package, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(CheckpointError, match=f"is {method}, and {package} isn't installed: pip install {package}"):
        loading.load(changed(packed, quantization={"quant_method": method}), model, "cpu")


def test_a_pickle_is_never_read(packed, model, changed):
    folder = changed(packed)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"model.safetensors: missing"):
        loading.load(folder, model, "cpu")


def test_a_copy_in_16_bits_is_taken_as_it_is(tmp_path, original, model):
    shutil.copytree(original, tmp_path / "copy")
    found = loading.load(tmp_path / "copy", model, "cpu")
    assert (found.method, found.label, found.rounded) == (None, "16 bits", frozenset())


@pytest.mark.parametrize(
    "said", [[], "x", 5, True, {}, {"quant_method": []}, {"quant_method": "../x"}, {"quant_method": "\x1b[31m"}]
)
def test_settings_that_are_none_are_refused_by_name(packed, changed, said):
    with pytest.raises(CheckpointError, match="'quant_method' is .*; accepted: gptq, bitsandbytes") as caught:
        loading.method_of(changed(packed, settings={"quantization_config": said}))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("bits", [0, -4, 10**15, None, [4], "\x1b[31m", 4.0, True])
def test_bits_that_no_packed_layer_has_are_refused(packed, changed, bits):
    with pytest.raises(CheckpointError, match="'bits' is .*; accepted: 2, 3, 4, 8$"):
        loading.method_of(changed(packed, quantization={"bits": bits}))


@pytest.mark.parametrize("size", [0, -2, "x", 1.5])
def test_groups_that_no_layer_has_are_refused(packed, changed, size):
    with pytest.raises(CheckpointError, match="'group_size' is .*; accepted: 1 or more, or -1$"):
        loading.method_of(changed(packed, quantization={"group_size": size}))


def test_bits_of_the_settings_are_those_of_the_layers(packed, model, changed):
    with pytest.raises(CheckpointError, match="'bits' is 3, but 'model.layers.0.mlp.down_proj' is packed at 4"):
        loading.load(changed(packed, quantization={"bits": 3}), model, "cpu")
    loading.load(changed(packed, quantization={"bits": 3, "dynamic": {"+:.*": {"bits": 4}}}), model, "cpu")
