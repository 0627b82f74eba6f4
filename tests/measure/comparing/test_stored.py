"""What a checkpoint's files hold: bits by hand, and which layers are packed, by the names that programs use."""

import pytest
from torch import nn

from helpers.measure.comparing import stored
from helpers.measure.comparing.stored import StoredTensor
from helpers.table.errors import CheckpointError


@pytest.mark.parametrize(
    ("name", "kind", "layer"),
    [
        ("model.layers.0.up.qweight", "I32", "model.layers.0.up"),
        ("model.layers.0.up.g_idx", "I32", "model.layers.0.up"),
        ("model.layers.0.up.weight", "U8", "model.layers.0.up"),
        ("model.layers.0.up.weight.absmax", "F32", "model.layers.0.up"),
        ("model.layers.0.up.weight.quant_state.bitsandbytes__nf4", "U8", "model.layers.0.up"),
        ("model.layers.0.up.weight", "F8_E4M3", "model.layers.0.up"),
        ("model.layers.0.up.weight_scale", "BF16", "model.layers.0.up"),
        ("model.layers.0.up.SCB", "F32", "model.layers.0.up"),
        ("lm_head.weight_packed", "I32", "lm_head"),
    ],
)
def test_a_layer_with_more_than_a_plain_weight_is_packed(name, kind, layer):
    plain = {"model.layers.1.up.weight": StoredTensor("BF16", (2, 2)), "model.norm.weight": StoredTensor("F32", (2,))}
    assert stored.rounded_layers(plain) == frozenset()
    assert stored.rounded_layers(plain | {name: StoredTensor(kind, (4,))}) == {layer}


def test_bits_are_counted_from_the_files(original, packed):
    """4 bits, a 16-bit scale and a 4-bit zero point for 32 weights, and 32 bits a column for its group."""
    up = nn.Linear(64, 96, bias=False)
    layers = {"model.layers.0.mlp.up_proj": up, "model.layers.1.mlp.up_proj": up}
    assert stored.bits_per_weight(original, stored.stored_tensors(original), layers) == 16
    found = stored.bits_per_weight(packed, stored.stored_tensors(packed), layers)
    assert found == pytest.approx(4 + 20 / 32 + 32 / 96)


def test_a_bias_is_no_weight(original):
    tensors = {"up.weight": StoredTensor("I8", (4, 8)), "up.bias": StoredTensor("F32", (4,))}
    assert stored.bits_per_weight(original, tensors, {"up": nn.Linear(8, 4)}) == 8


def test_a_layer_that_is_nowhere_is_refused(original):
    with pytest.raises(CheckpointError, match="nothing is stored under 'model.layers.7.up'"):
        stored.bits_per_weight(original, stored.stored_tensors(original), {"model.layers.7.up": nn.Linear(2, 2)})


def test_files_that_are_no_safetensors_are_refused(changed, packed):
    folder = changed(packed)
    (folder / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="can't be loaded"):
        stored.stored_tensors(folder)
