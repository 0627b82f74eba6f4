"""Scores with errors over runs: against closed forms, by coverage, and what one run can't say."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.judgement.scoring import RANKED_ON, compared, rank_correlations, score_draws, with_errors


def by_run(squares: dict[str, list[float]], hold_out: str = "later", n_clear: int = 10) -> pd.DataFrame:
    """Return scores by run: each law's mean squares, one a run."""
    rows = [
        {"law": law, "hold_out": hold_out, "run_label": f"run {run}", "n_rows": n_clear, "n_clear": n_clear}
        | {"log_mean_square": square, "coverage": float(run % 2)}
        for law, of_law in squares.items()
        for run, square in enumerate(of_law)
    ]
    return pd.DataFrame(rows)


def test_score_is_the_rms_of_all_clear_rows_and_its_error_that_of_a_mean_of_runs():
    squares = np.random.default_rng(1).gamma(2.0, 0.01, 40)
    made = compared(by_run({"a": list(squares)}), ["later"], np.random.default_rng(2)).loc["a"]
    assert made["score"] == pytest.approx(np.sqrt(squares.mean()), rel=1e-12)
    of_mean = squares.std(ddof=1) / np.sqrt(40)
    assert made["se"] == pytest.approx(of_mean / (2 * made["score"]), rel=0.06)  # delta method; 2,000 draws: 1.6%
    assert made["n_runs"] == 40


def test_runs_count_by_their_clear_rows():
    rows = by_run({"a": [0.01, 0.04]}).assign(n_clear=[30, 10])
    score, _, n_runs = score_draws(rows, ["later"], np.random.default_rng(0))
    assert score["a"] == pytest.approx(np.sqrt((30 * 0.01 + 10 * 0.04) / 40), rel=1e-12)
    assert n_runs == 2
    silent = rows.assign(n_clear=[30, 0], log_mean_square=[0.01, np.nan])
    assert score_draws(silent, ["later"], np.random.default_rng(0))[0]["a"] == pytest.approx(0.1, rel=1e-12)


def test_hold_outs_count_alike_whatever_rows_they_have():
    rows = pd.concat([by_run({"a": [0.01] * 8}), by_run({"a": [0.09] * 2}, "both")])
    assert score_draws(rows, ["later", "both"], np.random.default_rng(0))[0]["a"] == pytest.approx(np.sqrt(0.05))


def test_a_law_without_a_score_on_one_hold_out_or_with_an_infinite_one_is_not_ranked():
    rows = pd.concat([by_run({"a": [0.01] * 3, "b": [0.01] * 3, "c": [0.01, np.inf, 0.01]}), by_run({"a": [1.0]}, "x")])
    assert list(compared(rows, ["later", "x"], np.random.default_rng(0)).index) == ["a"]
    assert "c" not in compared(rows, ["later"], np.random.default_rng(0)).index


def test_laws_that_share_their_runs_luck_are_told_apart_and_others_are_tied():
    luck = np.random.default_rng(3).gamma(2.0, 0.01, 9)
    other = np.random.default_rng(4).gamma(2.0, 0.01, 9)
    rows = by_run({"best": list(luck), "worse everywhere": list(1.2 * luck), "another": list(other)})
    made = compared(rows, ["later"], np.random.default_rng(5), reference="best")
    assert made.loc["best", "tied"]
    assert not made.loc["worse everywhere", "tied"]  # 10% of rms, paired: seen although each se is larger
    assert made.loc["worse everywhere", "se"] > made.loc["worse everywhere", "behind"]
    assert made.loc["another", "tied"]
    turned = compared(rows, ["later"], np.random.default_rng(5), reference="worse everywhere")
    assert turned.loc["best", "behind_high"] < 0
    assert not turned.loc["best", "tied"]


def test_one_run_ranks_nothing():
    made = compared(by_run({"a": [0.01], "b": [1.0]}), ["later"], np.random.default_rng(0))
    assert made["tied"].all()
    assert made[["se", "behind_low", "behind_high"]].isna().all(axis=None)
    assert list(made["n_runs"]) == [1, 1]


def test_intervals_of_differences_hold_the_truth():
    """Eight runs of two equally good laws: 95% intervals hold a difference of zero in about that share of trials."""
    generator, held = np.random.default_rng(6), 0
    for _ in range(300):
        one, two = (0.02 * generator.lognormal(0, 0.5, 8) for _ in range(2))
        held += compared(by_run({"a": list(one), "b": list(two)}), ["later"], generator, reference="a").loc["b", "tied"]
    assert stats.binomtest(int(held), 300, 0.95).pvalue > 1e-3


def test_judged_scores_get_errors_ties_and_coverage_by_run():
    rows = by_run({"a": [0.01, 0.02, 0.03, 0.02], "b": [0.9, 1.0, 1.1, 1.0]})
    judged = pd.DataFrame({"law": ["a", "b", "silent"], "hold_out": "later", "log_rms": [0.14, 1.0, np.nan]})
    made = with_errors(judged, rows, np.random.default_rng(0)).set_index("law")
    assert list(made.index) == ["a", "b", "silent"]
    assert (made.loc["a", "run_coverage"], made.loc["a", "n_runs"]) == (0.5, 4)
    assert made.loc["a", "run_coverage_se"] == pytest.approx(np.std([0, 1, 0, 1], ddof=1) / 2)
    assert (made.loc["a", "tied"], made.loc["b", "tied"]) == (True, False)
    assert made.loc["silent", ["n_runs", "log_rms_se"]].isna().all()


def test_rank_correlations_are_of_laws_with_both_scores_and_of_hold_outs_outside_the_ranking():
    judged = pd.DataFrame(
        {
            "law": ["a", "b", "c", "d"] * 2,
            "hold_out": ["largest size"] * 4 + [RANKED_ON[0]] * 4,
            "log_rms": [0.3, 0.2, 0.1, np.nan] * 2,
        }
    )
    made = rank_correlations(pd.Series({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}), judged)
    assert made.to_dict("index") == {"largest size": {"spearman": pytest.approx(-1.0), "n_laws": 3}}
