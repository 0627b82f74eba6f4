"""Small tables whose counts are known by hand."""

import pandas as pd
import pytest

from helpers.analyse.rows.counts import Counts, count

BASE = {
    "weights_sha256": "a",
    "family": "tadpole",
    "run": "tadpole-64x3",
    "n_averaged": 1,
    "tokens_seen": 100_000_000,
    "n_params_non_embedding": 150_000,
    "eval_id": "held-out",
    "eval_dataset": "wheels",
    "device_type": "cpu",
    "status": "ok",
    "method": "none",
    "format": None,
    "bits": None,
    "group_size": None,
    "symmetric": None,
    "calib_seed": None,
}
GPTQ = {"method": "gptq", "format": "int", "bits": 3, "group_size": 32, "symmetric": False, "calib_seed": 0}


def table(*changes: dict) -> pd.DataFrame:
    return pd.DataFrame([BASE | change for change in changes])


def test_a_baseline_and_its_rounded_checkpoint():
    assert count(table({}, GPTQ)) == Counts(
        rows_by_status={"ok": 2},
        quantized_checkpoints=1,
        gptq_beyond_60m_tokens=1,
        rows_without_baseline=0,
        evaluation_texts=("wheels",),
        trained_checkpoints=1,
        averaged_checkpoints=0,
        training_runs=1,
        sizes=(150_000,),
    )


@pytest.mark.parametrize(
    "again",
    [
        {"calib_seed": 1},
        {"device_type": "cuda"},
        {"eval_id": "prose", "eval_dataset": "prose"},
        {"family": "tadpole-pocket", "run": "copy"},
    ],
    ids=["calibration seed", "device", "text", "copy of the weights"],
)
def test_a_replicate_is_not_counted_again(again):
    counts = count(table({}, GPTQ, again, GPTQ | again))
    assert (counts.quantized_checkpoints, counts.trained_checkpoints, counts.training_runs) == (1, 1, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"weights_sha256": "b"},
        {"method": "rtn"},
        {"format": "mxint"},
        {"bits": 2},
        {"group_size": 128},
        {"group_size": None},
        {"symmetric": True},
    ],
    ids=str,
)
def test_another_checkpoint_or_scheme_is_counted(other):
    assert count(table({}, GPTQ, GPTQ | other)).quantized_checkpoints == 2


def test_one_scale_a_row_is_one_scheme_though_it_has_no_group_size():
    per_row = GPTQ | {"group_size": None}
    assert count(table({}, per_row, per_row | {"calib_seed": 1})).quantized_checkpoints == 1


@pytest.mark.parametrize("change", [{"bits": 8}, {"bits": 5}, {"status": "failed"}, {"status": "nonfinite"}], ids=str)
def test_other_bits_and_rows_that_are_not_ok_are_no_quantized_checkpoints(change):
    counts = count(table({}, GPTQ | change))
    assert (counts.quantized_checkpoints, counts.gptq_beyond_60m_tokens) == (0, 0)


def test_rows_by_status_counts_every_row():
    rows = table({}, GPTQ, GPTQ | {"calib_seed": 1}, GPTQ | {"status": "failed"})
    assert count(rows).rows_by_status == {"failed": 1, "ok": 3}


def test_late_is_gptq_beyond_sixty_million_tokens():
    early = {"weights_sha256": "b", "tokens_seen": 60_000_000}
    rows = table({}, GPTQ, GPTQ | {"calib_seed": 1}, GPTQ | early, GPTQ | {"method": "autogptq"})
    assert count(rows).gptq_beyond_60m_tokens == 1


@pytest.mark.parametrize(
    "baseline",
    [
        {"weights_sha256": "b"},
        {"eval_id": "prose"},
        {"device_type": "cuda"},
        {"status": "failed"},
    ],
    ids=str,
)
def test_a_baseline_of_something_else_is_none(baseline):
    assert count(table(baseline, GPTQ, GPTQ | {"calib_seed": 1})).rows_without_baseline == 2


def test_checkpoints_come_from_either_table():
    described = table(
        {},  # in both
        {"weights_sha256": "b", "tokens_seen": 200_000_000},
        {"weights_sha256": "c", "run": "tadpole-96x3", "n_params_non_embedding": 340_000},
        {"weights_sha256": "d", "tokens_seen": 0},  # as initialised
        {"weights_sha256": "e", "run": "tadpole-64x3-average8", "n_averaged": 8},
    ).drop(columns=["status", "method", "eval_id"])
    counts = count(table({}, GPTQ), described)
    assert (counts.trained_checkpoints, counts.averaged_checkpoints, counts.training_runs) == (3, 1, 2)
    assert counts.sizes == (150_000, 340_000)


def test_nothing_measured_is_zero():
    counts = count(table({}).head(0))
    assert (counts.quantized_checkpoints, counts.trained_checkpoints, counts.rows_without_baseline) == (0, 0, 0)
