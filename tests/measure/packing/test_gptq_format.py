"""Packed words read again: what `packed` writes comes back, and what readers take for different numbers is refused."""

import pytest
import torch

from helpers.measure.packing import gptq_format
from helpers.measure.rounding import grids
from helpers.measure.rounding.grids import IntegerWeight
from helpers.table.errors import QuantizationError

ROWS, COLUMNS, GROUP = 32, 96, 32


def weight(bits: int, symmetric: bool = False) -> IntegerWeight:
    values = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(bits))
    return grids.round_to_integer(values + 0.5, bits, symmetric, GROUP)


@pytest.mark.parametrize("bits", gptq_format.BITS)
def test_unpack_undoes_pack(bits):
    values = torch.randint(2**bits, (96, 5), generator=torch.Generator().manual_seed(0))
    assert torch.equal(gptq_format.unpack(gptq_format.pack(values, bits), bits), values)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", gptq_format.BITS)
def test_a_packed_layer_is_read_as_it_was_stored(bits, symmetric):
    written = weight(bits, symmetric)
    read = gptq_format.unpacked("layer", gptq_format.packed("layer", written, bits), less_one=True, carries=False)
    assert torch.equal(read.decode(), gptq_format.as_stored(written).decode())


def in_version(number: int, written: IntegerWeight, bits: int) -> dict[str, torch.Tensor]:
    """Store zero points as they are (version 2), or with one off whole words (GPTQModel's version 1)."""
    tensors = gptq_format.packed("layer", written, bits)
    words = gptq_format.pack(written.zero, bits)
    ones = gptq_format.pack(torch.ones_like(written.zero), bits)
    return tensors | {
        "layer.qzeros": (words if number == 2 else words - ones).T.contiguous(),
        "layer.scales": written.scale.half().T.contiguous(),
        "layer.qweight": gptq_format.pack(written.codes.T, bits),
    }


@pytest.mark.parametrize("bits", gptq_format.BITS)
def test_version_2_has_zero_points_as_they_are(bits):
    written = weight(bits)
    read = gptq_format.unpacked("layer", in_version(2, written, bits), less_one=False, carries=False)
    assert torch.equal(read.zero, written.zero)
    assert torch.equal(read.codes, written.codes)


def with_zeros_at_the_ends(bits: int) -> IntegerWeight:
    written = weight(bits)
    written.zero[::3] = 0
    written.zero[1::3] = 2**bits - 1
    return written


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_one_that_was_taken_off_whole_words_is_added_to_them(bits):
    written = with_zeros_at_the_ends(bits)
    tensors = in_version(1, written, bits)
    assert torch.equal(gptq_format.unpacked("layer", tensors, less_one=True, carries=True).zero, written.zero)


@pytest.mark.parametrize(("bits", "carries"), [(2, False), (4, False), (8, False), (3, False), (3, True)])
def test_a_field_on_which_readers_differ_is_refused(bits, carries):
    tensors = in_version(1, with_zeros_at_the_ends(bits), bits)
    with pytest.raises(
        QuantizationError, match=f"'layer' has a zero point stored as {2**bits - 1}, which readers take"
    ):
        gptq_format.unpacked("layer", tensors, less_one=True, carries=carries)


@pytest.mark.parametrize(
    ("field", "change", "said"),
    [
        ("qweight", lambda tensor: None, "'layer' has no qweight"),
        ("g_idx", lambda tensor: None, "'layer' has no g_idx"),
        ("qweight", lambda tensor: tensor[:-1], "'layer.qweight' is torch.int32"),
        ("qweight", lambda tensor: tensor.to(torch.int16), "'layer.qweight' is torch.int16"),
        ("qzeros", lambda tensor: tensor[:, :-1], "'layer.qzeros' is torch.int32"),
        ("g_idx", lambda tensor: tensor + 1, "'layer.qzeros' is torch.int32"),
        ("g_idx", lambda tensor: tensor.float(), "'layer' has torch.float16 scales, torch.float32 g_idx"),
        ("g_idx", lambda tensor: tensor[None], "'layer' is stored as .*; accepted: matrices and, of g_idx, a row"),
        ("scales", lambda tensor: tensor.int(), "'layer' has torch.int32 scales"),
        ("scales", lambda tensor: tensor.flatten(), "'layer' is stored as"),
        ("scales", lambda tensor: tensor[0, 0], "'layer' is stored as"),
    ],
)
def test_another_layout_is_refused(field, change, said):
    tensors = gptq_format.packed("layer", weight(4), 4)
    changed = change(tensors.pop(f"layer.{field}"))
    if changed is not None:
        tensors[f"layer.{field}"] = changed
    with pytest.raises(QuantizationError, match=said):
        gptq_format.unpacked("layer", tensors, less_one=True, carries=False)
