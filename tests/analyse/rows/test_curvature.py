"""What curvature says that rounding costs, put beside rows: by weights and bit width, and only where it is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.analyse.rows import curvature
from helpers.table.errors import AnalysisError

NAMES = tuple(f"{block}.{name}" for block in range(2) for name in curvature.MATRICES)


def checkpoint(weights: str = "a", scale: float = 1.0) -> dict:
    return {
        "weights_sha256": weights,
        "matrices": NAMES,
        "weight_rms": [0.1 * scale] * 8,
        "rtn_error_2_bits": [0.4] * 8,
        "rtn_error_3_bits": [0.2] * 8,
        "rtn_error_4_bits": [0.1] * 8,
        "hessian_trace_by_block": [300.0, 200.0],
    }


def rows(**changed) -> pd.DataFrame:
    same = {"weights_sha256": "a", "bits": 3.0, "group_size": 32, "symmetric": False}
    return pd.DataFrame([same | changed], index=[7])


def told(table: pd.DataFrame, *checkpoints: dict) -> float:
    return curvature.with_curvature(table, pd.DataFrame(list(checkpoints)))["curvature_nats"].iloc[0]


@pytest.mark.parametrize(("bits", "error"), [(2, 0.4), (3, 0.2), (4, 0.1)])
def test_it_is_half_the_trace_times_the_mean_squared_error(bits, error):
    assert told(rows(bits=bits), checkpoint()) == pytest.approx(0.5 * 500 * (0.1 * error) ** 2)


def test_each_row_has_that_of_its_own_weights_and_keeps_its_place():
    table = pd.concat([rows(weights_sha256="b"), rows(), rows(weights_sha256="b", bits=4)], ignore_index=True)
    found = curvature.with_curvature(table, pd.DataFrame([checkpoint(), checkpoint("b", 2.0)]))["curvature_nats"]
    assert found.tolist() == pytest.approx([0.4, 0.1, 0.1])


@pytest.mark.parametrize(
    "changed",
    [
        {"weights_sha256": "unknown"},
        {"bits": 8.0},
        {"bits": None},
        {"group_size": 64},
        {"group_size": None},
        {"symmetric": True},
        {"symmetric": None},
    ],
)
def test_what_is_not_known_is_nan(changed):
    assert np.isnan(told(rows(**changed), checkpoint()))


def test_it_counts_matrices_by_their_weights_and_blocks_by_their_traces():
    row = checkpoint()
    row["rtn_error_3_bits"] = [0.2, 0.2 * 5**0.5, 0.2, 0.2] + [0.2] * 4  # a twelfth has five times the squared error
    assert told(rows(), row) == pytest.approx(0.5 * (300 * 4 / 3 + 200) * 0.02**2)


@given(st.floats(0.1, 10))
def test_it_grows_as_the_square_of_the_weights(scale):
    assert told(rows(), checkpoint(scale=scale)) == pytest.approx(scale**2 * told(rows(), checkpoint()))


def test_blocks_of_another_architecture_are_refused():
    with pytest.raises(AnalysisError, match="only blocks of GPT-NeoX are described; got 0.mlp.gate"):
        told(rows(), checkpoint() | {"matrices": ("0.mlp.gate",)})
