"""Designs whose rank and condition number are known."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.design import design_of, part_of_study
from helpers.show.study_table import outstanding, study_table


def crossed(**levels: tuple) -> pd.DataFrame:
    """Every combination of the levels: uncorrelated variables."""
    names = {"n": "n_params_non_embedding", "d": "tokens_seen", "peak": "peak_learning_rate", "phase": "phase"}
    table = pd.DataFrame(list(itertools.product(*levels.values())), columns=[names[key] for key in levels])
    return table.assign(learning_rate=table["peak_learning_rate"] * table["phase"], lr_phase="stable")


FULL = crossed(n=(1e5, 1e6), d=(1e7, 1e8, 1e9), peak=(1e-3, 2e-3), phase=(0.0, 1.0))


def test_a_crossed_design_tells_everything_apart():
    design = design_of(FULL)
    assert (design.n_checkpoints, design.rank, design.held_fixed) == (24, 4, ())
    assert design.condition_number == pytest.approx(1.0)


def test_what_is_held_fixed_is_named_and_cannot_be_told():
    design = design_of(FULL[(FULL["phase"] == 1) & (FULL["peak_learning_rate"] == 1e-3)])
    assert (design.rank, design.held_fixed) == (2, ("ln peak learning rate", "phase"))
    assert math.isinf(design.condition_number)


def test_a_rate_that_is_a_power_of_size_cannot_be_told_from_it():
    tied = FULL.assign(peak_learning_rate=FULL["n_params_non_embedding"] ** -0.5)
    tied["learning_rate"] = tied["peak_learning_rate"] * tied["phase"]
    design = design_of(tied)
    assert (design.rank, design.held_fixed) == (3, ())
    assert math.isinf(design.condition_number)


def test_two_correlated_variables_have_the_condition_number_of_their_correlation():
    """Standardised and otherwise uncorrelated, singular values are sqrt(1 + r) and sqrt(1 - r)."""
    table = pd.concat([FULL, FULL[(FULL["n_params_non_embedding"] == 1e5) == (FULL["peak_learning_rate"] == 2e-3)]])
    r = abs(np.corrcoef(table["n_params_non_embedding"], table["peak_learning_rate"])[0, 1])
    assert r == pytest.approx(1 / 3)
    assert design_of(table).condition_number == pytest.approx(math.sqrt((1 + r) / (1 - r)))


def test_warm_up_is_left_out():
    table = pd.concat([FULL, FULL.assign(lr_phase="warmup", tokens_seen=1e3)])
    assert design_of(table) == design_of(FULL)


STUDY = pd.DataFrame(
    [
        # family, model, run, schedule, branched_at_step, n_averaged, step, peak
        ("tadpole-trunk", "a", "a", "constant", None, 1, 100, 0.002),
        ("tadpole-trunk", "a", "a", "constant", None, 1, 200, 0.002),
        ("tadpole-trunk", "b", "b", "constant", None, 1, 200, 0.002),
        ("tadpole-trunk", "a", "a-cooldown100", "cooldown", 100, 1, 125, 0.002),
        ("tadpole-trunk", "a", "a-average5", "constant", 200, 5, 200, 0.002),
        ("tadpole-rates", "a", "a-lr0.004", "constant", None, 1, 100, 0.004),
        ("tadpole-rates", "a", "a-lr0.001", "constant", None, 1, 100, 0.001),
    ],
    columns=["family", "model", "run", "schedule", "branched_at_step", "n_averaged", "step", "peak_learning_rate"],
).assign(
    tokens_seen=lambda table: table["step"] * 1e6,
    n_params_non_embedding=lambda table: table["model"].map({"a": 150_000, "b": 14_200_000}),
    weights_sha256=[str(index) for index in range(7)],
)


def test_parts_of_a_study_are_families_cooldowns_and_averages():
    assert list(part_of_study(STUDY)) == ["trunk"] * 3 + ["cooldowns", "averages"] + ["rates"] * 2


def test_a_study_is_told_part_by_part_and_averages_are_no_runs():
    table = study_table(STUDY)
    assert list(table.index) == ["trunk", "cooldowns", "averages", "rates"]
    assert table["what it moves"].tolist() == [
        "size N: 0.15M, 14.2M",
        "a fall to zero over the last fifth, from tokens: 100M",
        "moments in the mean of weights: 5",
        "peak learning rate: 0.001, 0.004",
    ]
    assert table["models"].tolist() == [2, 1, 1, 1]
    assert table["training runs"].tolist() == [2, 1, 0, 2]
    assert table["checkpoints"].tolist() == [3, 1, 1, 2]
    assert table.loc["trunk", "tokens"] == "100M to 200M"


def test_of_many_values_a_table_has_the_first_and_the_last():
    sizes = (
        STUDY.head(1)
        .drop(columns="n_params_non_embedding")
        .merge(pd.DataFrame({"n_params_non_embedding": np.arange(1, 6) * 1_000_000}), how="cross")
    )
    assert study_table(sizes).loc["trunk", "what it moves"] == "size N: 1M to 5M"


def test_a_part_that_has_no_words_is_refused():
    with pytest.raises(ValueError, match="dropout"):
        study_table(STUDY.assign(family="tadpole-dropout"))


def test_outstanding_runs_are_those_with_a_checkpoint_missing():
    assert outstanding(STUDY, STUDY) == "Every run that is planned has been trained."
    partly = STUDY[~((STUDY["run"] == "a") & (STUDY["step"] == 200))]
    assert outstanding(STUDY, partly) == "Of the runs that are planned, one run is still to be trained: a."
    assert outstanding(STUDY, STUDY.iloc[:5]).endswith("2 runs are still to be trained: a-lr0.004, a-lr0.001.")


def test_a_run_of_the_same_name_in_another_family_does_not_stand_in():
    assert "a-lr0.004" in outstanding(STUDY, STUDY.assign(family="tadpole-trunk"))
