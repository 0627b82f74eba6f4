"""What attention is given in float16: keys that aren't finite are to be seen in what comes out."""

import pytest
import torch

from helpers.measure.models.precision import never_infinite


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_infinite_keys_become_nan_and_every_other_number_keeps_its_bits(dtype):
    limits = torch.finfo(dtype)
    sound = torch.tensor(
        [0.0, -0.0, limits.tiny, -limits.smallest_normal / 2, 1.5, limits.max, limits.min], dtype=dtype
    )
    assert torch.equal(never_infinite(sound).view(torch.uint8), sound.view(torch.uint8))
    assert never_infinite(torch.tensor([float("inf"), -float("inf"), float("nan")], dtype=dtype)).isnan().all()


def test_a_softmax_would_leave_an_infinite_key_out():
    """The query's number there is negative, so that the score is -inf: as of 65,505 in a column that isn't rotated."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 1, 1, 9, 64, generator=generator)
    query[..., 40], key[0, 0, 3, 40] = -1, 65_520
    key = key.half().float()  # as attention's operands come in TF32
    assert key.isinf().sum() == 1
    attend = torch.nn.functional.scaled_dot_product_attention
    assert attend(query, key, value, is_causal=True).isfinite().all(), "nobody would see it"
    found = attend(query, never_infinite(key), value, is_causal=True)
    assert found[0, 0, :3].isfinite().all()
    assert found[0, 0, 3:].isnan().all()
