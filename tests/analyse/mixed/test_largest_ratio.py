import numpy as np
import pandas as pd
import pytest
from tests.analyse.trials import Model

from helpers.analyse.mixed.largest_ratio import (
    BUDGETS,
    RECIPES,
    changes_by,
    cost_at_targets,
    largest_ratio,
    largest_ratios,
    mean_change,
    paired_changes,
)
from helpers.analyse.mixed.trials import recipes, with_metrics
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.table.errors import AnalysisError

COSTS = np.array([0.05, 0.01, 0.02, 0.08, 0.03, 0.002, 0.04, 0.06])


def points(ratios, costs):
    return pd.DataFrame({"quantized_ratio": ratios, "qid_nats": costs})


def test_the_largest_ratio_of_an_exhaustive_search_is_the_largest_there_is():
    model = Model(COSTS, curvature=0.5)
    scored = with_metrics(model.trials())
    every = model.every("matmul")
    ratios, costs = (np.array([ask(low) for low in every]) for ask in (model.ratio, model.qid))
    for budget in (0.001, 0.01, 0.1, 0.2):
        found = largest_ratio(scored, "qid_nats", budget)
        assert found["measured"] == pytest.approx(ratios[costs <= budget].max())
        assert found["measured"] <= found["interpolated"] < found["next_ratio"]
        assert found["next_cost"] > budget
        assert found["censored"] == ("none" if budget < COSTS.min() else "no")


def test_between_two_points_the_ratio_lies_on_a_straight_line():
    found = largest_ratio(points([0.5, 0.9, 1.0], [0.02, 0.06, 0.3]), "qid_nats", 0.05)
    assert found["measured"] == 0.5
    assert found["interpolated"] == pytest.approx(0.5 + 0.4 * 3 / 4)
    assert found["censored"] == "no"


def test_an_assignment_that_another_beats_changes_nothing():
    plain = points([0.5, 0.9, 1.0], [0.02, 0.06, 0.3])
    more = pd.concat([plain, points([0.4, 0.5, 0.85], [0.05, 0.04, 0.07])])
    assert largest_ratio(more, "qid_nats", 0.05) == largest_ratio(plain, "qid_nats", 0.05)


def test_everything_and_nothing_within_the_budget_are_marked():
    table = points([0.5, 1.0], [0.02, 0.06])
    everything = largest_ratio(table, "qid_nats", 0.06)
    assert (everything["measured"], everything["interpolated"], everything["censored"]) == (1.0, 1.0, "all")
    nothing = largest_ratio(table, "qid_nats", 0.01)
    assert (nothing["measured"], nothing["censored"]) == (0.0, "none")
    assert nothing["interpolated"] == pytest.approx(0.25)  # half of 0.02 nats, half of the way to 0.5


def test_rounding_that_helps_is_within_any_budget():
    assert largest_ratio(points([0.2, 1.0], [-0.01, 0.2]), "qid_nats", 0.001)["measured"] == 0.2


def test_a_ratio_of_one_must_have_been_tried():
    with pytest.raises(AnalysisError, match=r"beyond a ratio of 0\.5"):
        largest_ratio(points([0.5], [0.02]), "qid_nats", 0.05)
    with pytest.raises(AnalysisError, match="positive budget"):
        largest_ratio(points([1.0], [0.02]), "qid_nats", 0.0)


def test_every_problem_metric_and_budget_has_a_row():
    model = Model(COSTS)
    scored = with_metrics(pd.concat([model.trials("matmul"), model.trials("layer")]))
    table = largest_ratios(scored)
    assert len(table) == 2 * sum(len(values) for values in BUDGETS.values())
    one = table[(table["granularity"] == "layer") & (table["metric"] == "accuracy_drop") & (table["budget"] == 0.02)]
    assert one["measured"].item() == 0.5  # a tenth of QiD: one block costs 0.013 or 0.016, both 0.03
    by_matrix = table[table["granularity"] == "matmul"].set_index(["metric", "budget"])["measured"]
    by_layer = table[table["granularity"] == "layer"].set_index(["metric", "budget"])["measured"]
    assert (by_matrix >= by_layer).all()


def test_recipes_are_read_in_the_same_way():
    model = Model(COSTS)
    table = pd.concat([model.measured(["0.mlp.dense_4h_to_h"]), model.measured(())[1:]])
    found = largest_ratios(recipes(table).assign(granularity="matmul"), RECIPES, {"qid_nats": (0.25,)})
    assert found["measured"].item() == pytest.approx(1 - 4 / 24)  # all but 0.08 of 0.292 nats


def test_the_cost_of_a_target_is_the_least_that_meets_it():
    model = Model(COSTS, curvature=0.5)
    scored = with_metrics(model.trials())
    found = cost_at_targets(scored).set_index("target_ratio")["qid_nats"]
    every = model.every("matmul")
    ratios, costs = (np.array([ask(low) for low in every]) for ask in (model.ratio, model.qid))
    assert found[0.8] == pytest.approx(costs[ratios >= 0.8 - 1e-9].min())
    assert found[1.0] == pytest.approx(costs.max())
    assert found.is_monotonic_increasing


def at(costs, tokens, run, size=1e6):
    return with_metrics(Model(costs, run=run, tokens=tokens, size=size).trials().assign(model=run))


@pytest.fixture
def ends():
    """Three runs whose costs grow by half with tokens, and one that keeps everything within the budget."""
    early = [at(COSTS * factor, 65e6, f"m{factor:g}") for factor in (0.8, 1.0, 1.2)] + [at(COSTS / 100, 65e6, "flat")]
    late = [at(COSTS * factor * 1.5, 954e6, f"m{factor:g}") for factor in (0.8, 1.0, 1.2)]
    late += [at(COSTS / 100, 954e6, "flat")]
    return (largest_ratios(pd.concat(tables), budgets={"qid_nats": (0.1,)}) for tables in (early, late))


def test_changes_are_paired_by_model(ends):
    first, last = ends
    changes = paired_changes(first, last).set_index("model")
    for model in ("m0.8", "m1", "m1.2"):
        ratios = [table.set_index("model").loc[model, "interpolated"] for table in (first, last)]
        assert changes.loc[model, "change"] == pytest.approx(ratios[1] - ratios[0])
        assert changes.loc[model, "change"] < 0
    assert changes["at_one"].to_dict() == {"flat": True, "m0.8": False, "m1": False, "m1.2": False}
    assert (changes["first_tokens"] == 65e6).all()
    mean = mean_change(changes.reset_index())
    moving = changes.loc[~changes["at_one"], "change"]
    expected = mean_over_runs(moving)
    assert {name: mean[name] for name in expected} == pytest.approx(expected)
    assert (mean["n_down"], mean["n_up"], mean["n_at_one"]) == (3, 0, 1)
    table = changes_by(changes.reset_index(), ["metric", "budget"])
    assert table["mean"].item() == mean["mean"]


def test_one_run_has_a_change_but_no_interval(ends):
    changes = paired_changes(*ends)
    alone = mean_change(changes[changes["model"] == "m1"])
    assert alone["mean"] < 0
    assert np.isnan(alone["low"])
    none = mean_change(changes[changes["model"] == "flat"])
    assert (none["n_runs"], none["n_at_one"]) == (0, 1)
    assert np.isnan(none["mean"])


def test_pairs_must_be_pairs(ends):
    first, last = ends
    with pytest.raises(AnalysisError, match="the first checkpoints: a model has more than one"):
        paired_changes(pd.concat([first, first]), last)
    with pytest.raises(AnalysisError, match="no model was searched at both"):
        paired_changes(first, last.assign(granularity="other"))
    changes = paired_changes(first, last)
    with pytest.raises(AnalysisError, match="counts every model once"):
        mean_change(pd.concat([changes, changes]))


def test_covariates_are_carried_along(ends):
    first, _ = ends
    assert set(first[TOKENS_SEEN]) == {65e6}
    assert set(first[N_PARAMS]) == {1e6}
    assert set(first["schedule"]) == {"constant"}
