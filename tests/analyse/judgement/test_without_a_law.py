"""Predictors without a law on planted rows: what trees can and can't do, leaks refused, intervals, what features are worth."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.judgement import without_a_law as ways
from helpers.analyse.judgement.known_before import CURVATURE, SIZE, TOKENS, alike
from helpers.table.errors import AnalysisError

TOLD = ("cost", "copy", "idle")


def planted(n_runs: int = 24, luck: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Return rows whose ln QiD is 0.9 of `cost` and a run's luck; `copy` goes with `cost`, `idle` with nothing."""
    generator = np.random.default_rng(seed)
    runs = np.repeat([f"run {run:02d}" for run in range(n_runs)], 9)
    cost = generator.uniform(-3, 0, runs.size)
    lucks = np.repeat(generator.normal(0, luck, n_runs), 9) if luck else 0.0
    return pd.DataFrame(
        {
            "cluster": runs,
            "bits": np.tile([2.0, 3.0, 4.0], runs.size // 3),
            "cost": cost,
            "copy": cost**3,
            "idle": generator.normal(size=runs.size),
            "qid_nats": np.exp(0.9 * cost + lucks),
        }
    )


def line() -> ways.Learner:
    return ways.Learner(("cost",), ways.least_squares)


def test_a_planted_line_is_found_and_a_forest_comes_near_inside_its_rows():
    table = planted()
    errors = ways.errors_in_turn(table, table["cluster"], line(), np.random.default_rng(0))
    assert np.abs(errors).max() < 1e-9
    grown = ways.Learner(TOLD, ways.forest)
    errors = ways.errors_in_turn(table, table["cluster"], grown, np.random.default_rng(0))
    assert np.sqrt(np.mean(errors**2)) < 0.2  # the outcome's own standard deviation is 0.78


def test_a_forest_never_says_less_than_it_was_given_and_a_guess_below_it_extrapolates():
    table = planted()
    low = table["cost"] < -2
    said = {}
    for over in (None, "cost"):
        learner = ways.Learner(TOLD, ways.forest, over=over)
        predict = learner.fit(table[~low], ways.QID, np.random.default_rng(0))
        said[over] = predict(table[low]) - np.log(table.loc[low, "qid_nats"])
    assert (said[None] > 0).all()
    assert np.abs(said["cost"]).max() < 0.25 < said[None].mean()  # what is left to learn is a tenth of the cost


def test_a_run_in_two_folds_is_refused():
    table = planted(4)
    folds = table["cluster"].copy()
    folds.iloc[0] = "run 03"
    with pytest.raises(AnalysisError, match="in more than one fold: run 00; 1 runs in all"):
        ways.errors_in_turn(table, folds, line(), np.random.default_rng(0))


def test_an_outcome_without_a_logarithm_is_refused():
    table = planted(4)
    table.loc[0, "qid_nats"] = -0.1
    with pytest.raises(AnalysisError, match="1 rows without a positive QiD"):
        line().fit(table, ways.QID, np.random.default_rng(0))


def test_the_same_generator_gives_the_same_forest():
    table = planted(6)
    errors = [
        ways.errors_in_turn(table, table["cluster"], ways.Learner(TOLD, ways.forest), np.random.default_rng(seed))
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(errors[0], errors[1])
    assert not np.array_equal(errors[0], errors[2])


def test_reach_gives_each_run_one_vote_and_is_infinite_where_runs_are_too_few():
    errors = np.array([1.0] * 97 + [2.0, 3.0, 4.0])
    clusters = ["many"] * 97 + ["b", "c", "d"]
    assert ways.reach(errors, clusters, 0.8) == 4.0  # four votes of five
    assert ways.reach(errors, clusters, 0.6) == 3.0
    assert ways.reach(errors, clusters, 0.9) == np.inf


def test_intervals_hold_their_share_of_rows_of_new_runs():
    table = planted(60, luck=0.3)
    inside = ways.covered_in_turn(table, line(), np.random.default_rng(0))
    assert len(inside) == len(table)
    share = inside.groupby("cluster")["covered"].mean().mean()
    assert share == pytest.approx(0.8, abs=0.12)  # 60 runs, rows of one go together: a standard error of 0.05


def test_folds_hold_whole_runs():
    table = planted(13)
    folds = ways.dealt(table, 6, np.random.default_rng(0))
    assert (folds.groupby(table["cluster"]).nunique() == 1).all()
    assert set(folds) == set(range(6))


def test_what_is_shuffled_counts_where_the_truth_has_it_and_not_elsewhere():
    table = planted()
    learner = ways.Learner(TOLD, ways.forest)
    groups = {"truth": ("cost", "copy"), "half": ("cost",), "idle": ("idle",)}
    found = ways.shuffled_in_turn(table, learner, groups, np.random.default_rng(0)).mean()
    assert found["truth"] > 20 * found[ways.AS_IT_IS]
    assert found["half"] < found["truth"]  # the copy still tells
    assert found["idle"] < 1.3 * found[ways.AS_IT_IS]


def test_donors_have_the_bit_width_of_the_rows_they_lend_to():
    table = planted(5)
    held = (table["cluster"] == "run 02").to_numpy()
    places = ways.donors(table["bits"], held, 4, np.random.default_rng(0))
    assert np.array_equal(table["bits"].to_numpy()[places], np.tile(table["bits"][held], 4))
    assert len(set(table["cluster"].to_numpy()[places])) > 1


def test_features_that_go_together_are_one_group():
    assert alike(planted(), TOLD) == [("cost", "copy"), ("idle",)]


def test_misses_and_comparisons_against_closed_forms():
    squares = pd.Series({"a": 0.01, "b": 0.04})
    assert ways.miss(squares)["value"] == pytest.approx(np.exp(np.sqrt(0.025)), rel=1e-12)
    assert ways.beside(4 * squares, squares) == pytest.approx({"value": 2.0, "low": 2.0, "high": 2.0}, rel=1e-12)


def test_every_learner_of_the_page_is_told_only_what_it_says():
    assert not {SIZE, TOKENS} & set(ways.LEARNERS["forest without N and D"].columns)
    assert ways.LEARNERS["forest over curvature"].over == CURVATURE
    assert {len(set(learner.columns)) - len(learner.columns) for learner in ways.LEARNERS.values()} == {0}
