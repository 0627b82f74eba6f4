"""What the appendix on searches and joint laws states, on planted searches and fits that are counted by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tests.analyse.trials import Model

from helpers.analyse.fits.result import Estimate
from helpers.analyse.mixed.largest_ratio import Censored
from helpers.analyse.mixed.searches import searches_compared
from helpers.analyse.mixed.trials import with_metrics
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.show.numbers.choose import how_much_can_go_low as share
from helpers.show.numbers.choose import searches_and_joint_laws as appendix

COSTS = np.array([0.05, 0.01, 0.02, 0.08, 0.03, 0.002, 0.04, 0.06])


@pytest.fixture(scope="module")
def searched() -> pd.DataFrame:
    """Two runs with every search, matrix by matrix, and their trials block by block."""
    models = [
        Model(COSTS * (1 + 0.2 * index), run=run, size=size)
        for index, (run, size) in enumerate((("a", 1e6), ("b", 3e6)))
    ]
    trials = pd.concat([model.trials(kind, n_random=8) for model in models for kind in ("matmul", "layer")])
    return with_metrics(trials.reset_index(drop=True)).assign(scheme=share.MAIN)


def test_the_best_of_random_draws_is_held_against_the_best_known(searched):
    compared = searches_compared(searched)
    table = appendix.by_target(appendix.against_best(searched, compared)).set_index(["target_ratio", "search"])
    fine = appendix.of_matrices(searched)
    shares = []
    for run in ("a", "b"):
        own = fine[(fine["run"] == run) & (fine["quantized_ratio"] >= 0.5 - 1e-9)]
        drawn = own[(own["search"] == "random") & (own["target_ratio"] == 0.5)]["qid_nats"].min()
        shares.append(drawn / own["qid_nats"].min() - 1)
    assert table.loc[(0.5, "random_all"), "mean"] == pytest.approx(np.mean(shares))


def test_guided_searches_stand_at_their_trials(searched):
    targets = pd.DataFrame({"search": ["greedy", "second_order", "random_all"], "mean": [0.1, 0.2, 0.3]})
    drawn = appendix.guided(targets, 20.0)
    assert list(drawn["n_units"]) == [20.0, 1.0]
    assert list(drawn["excess"]) == [0.1, 0.2]
    assert appendix.mean_units(searches_compared(searched)) == COSTS.size


def test_random_trials_alone_give_a_lower_ratio(searched):
    sizes = [searched.assign(run_label=f"r{i}", model=f"m{i}", checkpoint_id=f"{i}") for i in range(4)]
    rows = pd.concat([rows.assign(**{N_PARAMS: 10.0 ** (5 + i)}) for i, rows in enumerate(sizes)])
    with pytest.raises(ValueError, match="lower at 5% and at 10%"):  # nothing is lost: random trials alone are left
        appendix.by_random_alone(rows[rows["run"].eq("a") & rows["search"].isin(["random", "all", "none"])])


def ablated_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    text = [(1, 0.05), (16, 0.02), (63, 0.0), (1, 0.03), (16, 0.0), (63, 0.0)]
    models = ["s"] * 3 + ["l"] * 3
    by_text = pd.DataFrame(text, columns=["n_sequences", "excess"]).assign(model=models, target_ratio=0.9, scheme="x")
    draws = [("s", 1e6, n, 0.5 / n) for n in (1, 11)] + [("l", 1e7, n, 1 / n) for n in (1, 10, 20, 50, 100, 200)]
    by_draws = pd.DataFrame(draws, columns=["model", N_PARAMS, "n_trials", "excess"]).assign(scheme="x")
    return by_text, by_draws


def test_ablation_states_the_worst_of_text_and_the_range_of_trials():
    found = appendix.ablation(*ablated_tables(), 256)
    assert (found["text_1_most"], found["text_16_most"]) == (0.05, 0.02)
    assert (found["trials_10_least"], found["trials_100_most"]) == (0.1, 0.01)
    assert (found["few_draws"], found["few_size"], found["many_size"]) == (11, "1M", "10M")
    assert (found["ablated_models"], found["ablated_trials"], found["ablated_text"]) == (2, 200, 256)
    text, draws = ablated_tables()
    with pytest.raises(ValueError, match="63 sequences"):
        appendix.ablation(text.assign(excess=0.01), draws, 256)


def test_the_table_of_ablations_has_a_column_a_count_and_nothing_where_nothing_was_drawn():
    table = appendix.ablation_table(*ablated_tables())
    assert table.loc[("x", "l"), ("trials", 100)] == "1.0%"
    assert table.loc[("x", "s"), ("trials", 100)] == ""
    assert table.loc[("x", "s"), ("sequences", 1)] == "5.0%"


def test_recipes_are_held_against_their_trials_run_by_run():
    rows = [("a", 1.0, 1.1), ("a", 1.0, 1.3), ("b", 1.0, 1.2), ("a", 0.5, 1.5), ("b", 0.5, 1.7), ("b", 0.5, -1.0)]
    table = pd.DataFrame(rows, columns=["run_label", "quantized_ratio", "qid_nats"])
    found = appendix.held_over_trial(table.assign(swapped_qid_nats=1.0, scheme="x"))
    everything = found.loc[("x", True)]
    assert everything["mean"] == pytest.approx(np.sqrt(np.sqrt(1.1 * 1.3) * 1.2))
    assert found.loc[("x", False), "mean"] == pytest.approx(np.sqrt(1.5 * 1.7))
    assert everything["low"] < everything["mean"] < everything["high"]


def test_optimism_is_at_the_main_budget_and_within_models():
    same = {"metric": share.METRIC, "granularity": "matmul", "censored": str(Censored.NO)}
    largest = pd.DataFrame([same | {"model": m, "budget": b, "interpolated": 0.5} for m in "ab" for b in (0.05, 0.1)])
    trials = largest.assign(interpolated=[0.9, 0.52, 0.9, 0.54])
    assert appendix.optimism(largest, trials).loc["matmul", "mean"] == pytest.approx(0.03)


def fit(aic: float, **values: float) -> SimpleNamespace:
    estimates = {name: Estimate(value, 0.1, value - 0.2, value + 0.2) for name, value in values.items()}
    return SimpleNamespace(aic=aic, tau=0.2, n_rows=40, n_runs=8, estimate=estimates.__getitem__)


class PlantedLaws(appendix.JointLaws):
    """Joint laws whose scores are those of a table."""

    def table(self, column):
        return self.scores


def planted(best: float = 0.4, joint_aic: float = 10.0) -> PlantedLaws:
    fits = {
        "block-by-both": fit(joint_aic, beta=0.5, alpha=0.3, mu=0.1, nu=0.05, kappa=0.4),
        "ratio-exponential": fit(100.0, c=3.0, alpha=0.25),
        "block-by-size": fit(30.0),
        "block-by-outliers": fit(40.0, mu=0.5, kappa=-0.1),
        "ratio-by-size": fit(50.0, mu=0.3),
    }
    rows = {name: {"largest size": 0.6, "last tokens": 0.5} for name in (*fits, *appendix.CONTROLS)}
    rows["block-by-both"]["largest size"] = best
    return PlantedLaws(fits, pd.DataFrame(rows).T, pd.DataFrame())


def test_joint_laws_say_what_their_fits_and_scores_have():
    found = appendix.joint_numbers(planted())
    assert (found["qb_gain_size"], found["qb_gain_tokens"]) == (70.0, 20.0)
    assert found["qb_slope"] == "−12.0"
    assert (found["qb_cao_slope_least"], found["qb_cao_slope_most"]) == ("−11.3", "−12.8")
    assert (found["qb_best_size"], found["qb_best_tokens"]) == (0.4, 0.5)
    assert found["qb_best_size_factor"] == pytest.approx(np.exp(0.4))
    assert found["qb_rms_without_block"] == 0.6
    assert found["qb_kappa_even"] == "−0.10 [−0.30, 0.10]"
    assert (found["qb_mu_value"], found["qb_mu_outliers_value"]) == (0.1, 0.5)
    with pytest.raises(ValueError, match="reaches the mark"):
        appendix.joint_numbers(planted(best=0.1))
    with pytest.raises(ValueError, match="fits best"):
        appendix.joint_numbers(planted(joint_aic=35.0))


def test_the_table_of_laws_begins_with_the_best():
    table = appendix.laws_table(planted())
    assert table.index[0] == "block-by-both"
    assert table.loc["block-by-size", "AIC beyond the least"] == "20"
    assert table["law"].str.len().min() > 0
