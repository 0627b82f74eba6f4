"""OLMo's own layout: the model that is read computes what the stored tensors say, and what isn't understood is one line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.measure.hf_olmo import PREFIX, fused, plain_logits
from transformers import LlamaConfig, LlamaForCausalLM

from helpers.measure.models import checkpoints, opening
from helpers.table.errors import CheckpointError

TOKENS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
NEAR = {"rtol": 1e-4, "atol": 1e-4}  # float32 beside float64, of logits of some units


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return the folder of a random model with RMS norms and gains, as DataDecide's are."""
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, rms_norm_eps=1e-6, initializer_range=0.2, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).eval()
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.data += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(tmp_path / "llama")
    files = {name: (tmp_path / "llama" / name).read_bytes() for name in ("config.json", "model.safetensors")}
    (tmp_path / "olmo").mkdir()
    for name, body in fused(files).items():
        (tmp_path / "olmo" / name).write_bytes(body)
    return tmp_path / "olmo"


def changed(folder: Path, **settings) -> dict:
    path = folder / "config.json"
    told = json.loads(path.read_text()) | settings
    path.write_text(json.dumps(told))
    return told


def without(folder: Path, part: str) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor.clone() for name, tensor in weights.items() if part not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def local(folder: Path) -> checkpoints.LocalCheckpoint:
    return checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)


def agrees(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    expected = plain_logits(settings, load_file(folder / "model.safetensors"), TOKENS).float()
    assert expected.std() > 0.5
    for model in (checkpoints.load(local(folder), "cpu"), opening.open_stored(local(folder))):
        torch.testing.assert_close(model(TOKENS[None]).logits[0].float(), expected, **NEAR)


def test_rms_norms_with_gains_are_llamas(folder):
    agrees(folder)
    assert checkpoints.config_of(folder).model_type == "llama"


def test_plain_norms_without_gains_are_olmos(folder):
    without(folder, "norm.weight")
    without(folder, "ln_f")
    changed(folder, layer_norm_type="default", layer_norm_with_affine=False, layer_norm_eps=1e-5, model_type="olmo")
    agrees(folder)
    assert checkpoints.config_of(folder).model_type == "olmo"


def test_a_tied_head_is_the_embedding(folder):
    without(folder, "transformer.ff_out")
    changed(folder, weight_tying=True)
    agrees(folder)


def test_sixteen_bits_stay_sixteen_bits_until_their_turn(folder):
    weights = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert {each.dtype for each in opening.open_stored(local(folder)).parameters()} == {torch.float16}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"block_type": "llama"}, '\'block_type\' is "llama"; accepted of OLMo\'s layout: "sequential"'),
        ({"clip_qkv": 8.0}, "'clip_qkv' is 8.0; accepted of OLMo's layout: null"),
        ({"include_bias": True}, "'include_bias' is true; accepted of OLMo's layout: false"),
        ({"d_model": "wide"}, "'d_model' is \"wide\"; accepted: a number from 1"),
        ({"layer_norm_with_affine": False}, "accepted of OLMo's norms: rms with gains, or default without, eps 1e-05"),
        ({"n_heads": 5}, "5 heads, 5 of keys; accepted: divisors of the width, and of one another"),
    ],
)
def test_a_configuration_that_is_not_understood_is_one_line(folder, settings, said):
    changed(folder, **settings)
    with pytest.raises(CheckpointError) as refused:
        checkpoints.load(local(folder), "cpu")
    assert str(refused.value) == f"{folder / 'config.json'}: {said}"


def test_tensors_of_another_shape_or_name_are_one_line(folder):
    changed(folder, mlp_ratio=4)
    with pytest.raises(
        CheckpointError, match=r"ff_proj\.weight' is \(192, 32\); accepted: rows 64 of up_proj and 64 of"
    ):
        checkpoints.load(local(folder), "cpu")
    changed(folder, mlp_ratio=6)
    weights = load_file(folder / "model.safetensors")
    weights[f"{PREFIX}.blocks.0.q_norm.weight"] = torch.ones(32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"'model\.transformer\.blocks\.0\.q_norm\.weight' is no tensor of OLMo's"
    ):
        checkpoints.load(local(folder), "cpu")
    without(folder, "q_norm")
    without(folder, "blocks.1.attn_out")
    with pytest.raises(CheckpointError, match=r"missing, unknown or of another shape: .*layers\.1\.self_attn\.o_proj"):
        checkpoints.load(local(folder), "cpu")
