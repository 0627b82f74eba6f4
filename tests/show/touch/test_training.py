"""The series of the scrubber are the tables' own."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.show.touch.training import training
from helpers.table.files import read_checkpoints, read_table

RESULTS = Path(__file__).parents[3] / "results"
TRUNK = {"family": "tadpole-trunk", "device_type": "cuda", "n_sequences": 512, "eval_dataset": "wheels-heldout"}


@pytest.fixture(scope="module")
def tables():
    return read_table(RESULTS / "measurements.parquet").to_pandas(), read_checkpoints(
        RESULTS / "checkpoints.parquet"
    ).to_pandas()


def rows_with(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def test_every_run_has_its_own_losses_and_qid(tables):
    measured, _ = tables
    data = training(*tables, "tadpole-64x3").data
    assert len(data["runs"]) == 9
    assert [run["n_params"] for run in data["runs"]] == sorted(run["n_params"] for run in data["runs"])
    for run in data["runs"]:
        here = rows_with(measured, run=run["name"], **TRUNK)
        plain = here[here["method"] == "none"].set_index("tokens_seen")["loss_nats"]
        assert run["loss"] == pytest.approx(plain.loc[run["tokens"]].tolist(), rel=1e-9)
        for bits in (2, 3, 4):
            rounded = here[(here["method"] == "gptq") & (here["bits"] == bits) & (here["group_size"] == 32)]
            rounded = rounded[(rounded["symmetric"] == False) & (rounded["calib_seed"].fillna(0) == 0)]  # noqa: E712
            qid = rounded.set_index("tokens_seen")["loss_nats"] - plain
            assert run["qid"][bits] == pytest.approx(qid.loc[run["tokens"]].tolist(), rel=1e-9, abs=1e-12)


def test_weights_and_their_rounding_errors_are_pooled_by_norm(tables):
    _, checkpoints = tables
    (run,) = [run for run in training(*tables, "tadpole-64x3").data["runs"] if run["name"] == "tadpole-64x3"]
    last = rows_with(checkpoints, family="tadpole-trunk", run="tadpole-64x3", tokens_seen=run["tokens"][-1]).iloc[0]
    assert min(last["rtn_error_2_bits"]) < run["rounding"][2][-1] < max(last["rtn_error_2_bits"])
    assert min(last["weight_rms"]) < run["rms"][-1] < max(last["weight_rms"])
    assert np.all(np.array(run["rounding"][2]) > np.array(run["rounding"][3]))


def test_a_run_that_is_not_the_trunk_s_is_refused(tables):
    with pytest.raises(KeyError, match="tadpole-1x1"):
        training(*tables, "tadpole-1x1")
