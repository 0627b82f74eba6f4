import itertools

import numpy as np
import pandas as pd
import pytest
from tests.analyse.trials import Model

from helpers.analyse.mixed.searches import (
    best_of_random,
    chosen_on_less,
    excess,
    expected_best,
    random_excess,
    regrets,
    searches_compared,
)
from helpers.analyse.mixed.trials import SERIES, TARGETS, with_metrics
from helpers.table.errors import AnalysisError

COSTS = np.array([0.05, 0.01, 0.02, 0.08, 0.03, 0.002, 0.04, 0.06])


@pytest.fixture
def model():
    return Model(COSTS, curvature=2.0)


@pytest.fixture
def scored(model):
    return with_metrics(model.trials())


@pytest.mark.parametrize("values", [[0.3], [0.5, 0.1], [4.0, 1.0, 3.0, 1.0, 2.0, -7.5]])
def test_the_expected_best_is_the_mean_over_all_ways_of_drawing(values):
    for n, expected in enumerate(expected_best(values), start=1):
        ways = [min(drawn) for drawn in itertools.combinations(values, n)]
        assert expected == pytest.approx(np.mean(ways), rel=1e-12)


def test_the_expected_best_of_many_stays_exact():
    values = np.arange(50.0)
    expected = [(50 + 1) / (n + 1) - 1 for n in range(1, 51)]  # the least of n of 1..m is (m + 1) / (n + 1) on average
    assert expected_best(values) == pytest.approx(expected, rel=1e-10)  # the gamma function's logarithms lose digits


def test_no_value_has_no_best():
    with pytest.raises(AnalysisError, match="finite values"):
        expected_best([])
    with pytest.raises(AnalysisError, match="finite values"):
        expected_best([1.0, np.nan])


def test_random_trials_count_in_the_order_they_were_drawn(scored):
    shuffled = scored.sample(frac=1, random_state=1)
    table = best_of_random(shuffled)
    one = table[table["target_ratio"] == 0.7]
    drawn = scored[(scored["search"] == "random") & (scored["target_ratio"] == 0.7)].sort_values("number")["qid_nats"]
    assert one["best_so_far"].tolist() == pytest.approx(np.minimum.accumulate(drawn).tolist())
    assert one["expected"].iloc[0] == pytest.approx(drawn.mean())
    assert one["expected"].iloc[-1] == one["best_so_far"].iloc[-1] == drawn.min()
    assert one["expected"].is_monotonic_decreasing


def test_a_missing_trial_is_noticed(scored):
    gap = scored[~((scored["search"] == "random") & (scored["number"] == 3))]
    with pytest.raises(AnalysisError, match="don't count from 0 to 18"):
        best_of_random(gap)


def test_searches_are_compared_at_what_they_cost(scored):
    compared = searches_compared(scored).set_index("target_ratio")
    assert compared.index.tolist() == list(TARGETS)
    assert (compared["n_units"] == 8).all()
    assert (compared["n_random"] == 20).all()
    curves = best_of_random(scored).set_index(["target_ratio", "n_trials"])["expected"]
    for target, row in compared.iterrows():
        assert row["random_equal"] == curves[target, 8]
        assert row["random_shared"] == curves[target, 1]  # eight trials for six targets: one each
        assert row["random_all"] == curves[target, 20]
        greedy = scored[(scored["search"] == "greedy") & (scored["target_ratio"] == target)]
        assert row["greedy"] == greedy["qid_nats"].item()
        assert row["any"] == row["exhaustive"] <= min(row["greedy"], row["random_all"])
    assert compared["integer_programme"].isna().all()


def test_a_search_with_more_parts_than_trials_is_compared_at_all_trials(model):
    compared = searches_compared(with_metrics(model.trials(n_random=5)))
    assert (compared["random_equal"] == compared["random_all"]).all()


def test_without_an_exhaustive_search_there_is_no_regret(model):
    compared = searches_compared(with_metrics(model.trials(exhaustive=False)))
    assert compared["exhaustive"].isna().all()
    assert regrets(compared).empty
    assert (regrets(compared, "any")["regret"] >= 0).all()


def test_regret_is_the_distance_from_the_best(scored):
    compared = searches_compared(scored)
    table = regrets(compared)
    assert set(table["search"]) == {"greedy", "random_equal", "random_shared", "random_all", "any"}
    one = table[(table["search"] == "greedy") & (table["target_ratio"] == 0.5)].iloc[0]
    row = compared[compared["target_ratio"] == 0.5].iloc[0]
    assert one["regret"] == pytest.approx(row["greedy"] - row["exhaustive"])
    assert (one["reached"], one["best"]) == (row["greedy"], row["exhaustive"])
    assert (table.loc[table["search"] == "any", "regret"] == 0).all()


def test_excess_is_a_share_of_sums_and_counts_runs(scored):
    runs = [scored] + [with_metrics(Model(COSTS * 2, run=run, curvature=1.0).trials(seed=3)) for run in ("n", "o")]
    table = regrets(searches_compared(pd.concat(runs, ignore_index=True)))
    random = table[table["search"] == "random_equal"]
    shares = [part["regret"].sum() / part["best"].sum() for _, part in random.groupby("run_label")]
    found = excess(table, ["search"]).set_index("search").loc["random_equal"]
    assert found["mean"] == pytest.approx(np.mean(shares))
    assert found["n_runs"] == 3
    assert (found["lowest"], found["highest"]) == pytest.approx((min(shares), max(shares)))
    alone = excess(table[table["run_label"] == "tadpole-mixed/m"], ["search"])
    assert alone["low"].isna().all()


def test_problems_are_kept_apart(model, scored):
    other = Model(COSTS * 2, run="n")
    both = searches_compared(pd.concat([scored, with_metrics(other.trials())], ignore_index=True))
    alone = searches_compared(scored)
    again = both[both["checkpoint_id"] == alone["checkpoint_id"].iloc[0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, alone)
    assert both.groupby(SERIES).ngroups == 2


def test_the_random_curve_is_a_mean_over_runs_as_far_as_all_have_trials(scored):
    fewer = with_metrics(Model(COSTS * 2, run="n", curvature=1.0).trials(n_random=7, seed=3))
    both = pd.concat([scored, fewer], ignore_index=True)
    compared = searches_compared(both)
    table = random_excess(both, compared)
    assert table["n_trials"].max() == 7
    curves = best_of_random(both)
    at = curves[(curves["target_ratio"] == 0.7) & (curves["n_trials"] == 3)].set_index("run_label")["expected"]
    best = compared[compared["target_ratio"] == 0.7].set_index("run_label")["any"]
    found = table[(table["target_ratio"] == 0.7) & (table["n_trials"] == 3)]["excess"].item()
    assert found == pytest.approx((at / best - 1).mean())


def test_a_choice_on_less_text_is_judged_on_the_longest(model):
    low = [np.arange(8) != kept for kept in (0, 3, 7)]  # keeping the dearest, 3, is best
    none = model.row("none", COSTS < 0)
    rows = [model.row("random", one, target=0.8, number=number) for number, one in enumerate(low)]
    whole = with_metrics(pd.DataFrame([none, *rows]))
    short = whole.assign(n_sequences=1, eval_id="one sequence")
    short["qid_nats"] = short["qid_nats"].where(short["number"] != 2, 0.0)  # on one sequence the last looks best
    table = chosen_on_less(pd.concat([whole, short])).set_index("n_sequences")
    assert table.loc[64, "regret"] == 0
    assert table.loc[1, "reached"] == pytest.approx(model.qid(low[2]))
    assert table.loc[1, "regret"] == pytest.approx(model.qid(low[2]) - model.qid(low[1]))
    assert excess(table.reset_index(), ["n_sequences"])["n_runs"].tolist() == [1, 1]
    other = short.assign(assignment=short["assignment"].str[::-1])
    with pytest.raises(AnalysisError, match="the draws differ"):
        chosen_on_less(pd.concat([whole, other]))
