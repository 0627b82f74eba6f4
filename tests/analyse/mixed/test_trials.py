import numpy as np
import pandas as pd
import pytest
from tests.analyse.trials import Model

from helpers.analyse.mixed.trials import (
    MATRICES,
    METRICS,
    TARGETS,
    assignment_of,
    best_at_targets,
    front,
    meeting,
    recipes,
    relative_perplexity,
    relative_sensitivities,
    scheme_names,
    sensitivities,
    swapped_and_rounded,
    with_metrics,
)
from helpers.table.errors import AnalysisError

COSTS = np.array([0.05, 0.01, 0.02, 0.08, 0.03, 0.002, 0.04, 0.06])  # two blocks


@pytest.fixture
def model():
    return Model(COSTS, curvature=0.5)


@pytest.fixture
def scored(model):
    return with_metrics(pd.concat([model.trials("matmul"), model.trials("layer")], ignore_index=True))


def test_metrics_are_differences_from_the_16_bit_trial(model, scored):
    everything = scored[scored["search"] == "all"].iloc[0]
    cost = COSTS.sum() + 0.5 * COSTS.sum() ** 2
    assert everything["qid_nats"] == pytest.approx(cost)
    perplexities = np.exp([everything["baseline_loss_nats"] + cost, everything["baseline_loss_nats"]])
    assert everything["relative_perplexity"] == pytest.approx(perplexities[0] / perplexities[1] - 1)
    assert everything["accuracy_drop"] == pytest.approx(0.1 * cost)
    assert (scored.loc[scored["search"] == "none", list(METRICS)] == 0).all(axis=None)
    assert everything[["run", "run_label"]].tolist() == ["m", "tadpole-mixed/m"]


def test_a_small_qid_is_its_own_relative_perplexity():
    assert relative_perplexity([1e-9])[0] == pytest.approx(1e-9, rel=1e-8)  # exp(x) - 1 as written would keep 8 digits


def test_trials_without_their_16_bit_row_are_refused(model):
    trials = model.trials()
    with pytest.raises(AnalysisError, match="without the 16-bit one of their search problem: checkpoint m@6.5e"):
        with_metrics(trials[trials["search"] != "none"])
    other = trials.assign(loss_nats=trials["loss_nats"].where(trials["search"] != "none", 2.9))
    with pytest.raises(AnalysisError, match="16-bit trials of one search problem differ"):
        with_metrics(pd.concat([trials, other]))


def test_the_best_of_an_exhaustive_search_is_the_best_there_is(model, scored):
    best = best_at_targets(scored)
    for granularity in ("matmul", "layer"):
        every = model.every(granularity)
        ratios, costs = (np.array([ask(low) for low in every]) for ask in (model.ratio, model.qid))
        for target in TARGETS:
            rows = best[(best["granularity"] == granularity) & (best["target_ratio"] == target)]
            least = costs[ratios >= target - 1e-9].min()
            found = rows.set_index("search")["qid_nats"]
            assert found["exhaustive"] == pytest.approx(least)
            assert found["any"] == pytest.approx(least)
            assert (found >= least - 1e-12).all()


def test_a_trial_made_for_another_target_serves_only_any(model):
    low = COSTS < 0.07  # all but one: Qr 5/6
    rows = [
        model.row("none", COSTS < 0),
        model.row("random", low, target=0.8),
        model.row("random", COSTS > 0, target=0.3),
    ]
    best = best_at_targets(with_metrics(pd.DataFrame(rows)))
    by_search = best.pivot(index="target_ratio", columns="search", values="qid_nats")
    dear, cheap = model.qid(COSTS > 0), model.qid(low)
    assert by_search["random"].dropna().to_dict() == pytest.approx({0.3: dear, 0.8: cheap})
    expected = dict.fromkeys((0.3, 0.5, 0.7, 0.8), cheap) | dict.fromkeys((0.9, 0.95), dear)
    assert by_search["any"].to_dict() == pytest.approx(expected)


def test_a_ratio_meets_a_target_it_equals_up_to_rounding():
    table = pd.DataFrame({"quantized_ratio": [0.1 + 0.2, 0.3 - 1e-12, 0.29]})
    assert len(meeting(table, 0.3)) == 2


def test_the_front_is_what_no_row_beats(scored):
    one = scored[scored["granularity"] == "matmul"]
    found = front(one)
    ratios, costs = one["quantized_ratio"].to_numpy(), one["qid_nats"].to_numpy()
    unbeaten = {
        (ratio, cost)
        for ratio, cost in zip(ratios, costs, strict=True)
        if not np.any((ratios >= ratio) & (costs <= cost) & ((ratios > ratio) | (costs < cost)))
    }
    assert set(zip(found["quantized_ratio"], found["qid_nats"], strict=True)) == unbeaten
    assert found["quantized_ratio"].is_monotonic_increasing
    assert found["qid_nats"].is_monotonic_increasing
    assert found["qid_nats"].iloc[0] == 0
    assert found["quantized_ratio"].iloc[-1] == pytest.approx(1)


def test_sensitivities_name_block_and_matrix(model, scored):
    table = sensitivities(scored)
    matrices = table[table["granularity"] == "matmul"].set_index(["block", "matrix"])
    assert len(matrices) == 8
    assert matrices.loc[(1, "mlp.dense_4h_to_h"), "qid_nats"] == pytest.approx(0.06 + 0.5 * 0.06**2)
    assert matrices["share"].sum() == pytest.approx(1)
    blocks = table[table["granularity"] == "layer"]
    assert blocks["matrix"].tolist() == ["whole block"] * 2
    assert blocks["block"].tolist() == [0, 1]


def test_a_part_that_costs_what_its_size_says_is_one():
    shares = np.tile([3, 1, 4, 4], 2) / 24
    flat = relative_sensitivities(sensitivities(with_metrics(Model(0.3 * shares).trials())))
    assert flat["relative"].tolist() == pytest.approx([1.0] * 8)
    costs = 0.3 * shares
    costs[1] *= -1.0
    table = relative_sensitivities(sensitivities(with_metrics(Model(costs).trials())))
    assert table["relative"].isna().tolist() == [False, True] + [False] * 6
    assert table["relative"].iloc[0] == pytest.approx(0.3 / costs.sum())


def test_a_single_trial_of_two_parts_is_refused(model):
    rows = pd.DataFrame([model.row("none", COSTS < 0), model.row("single", COSTS < 0.02)])
    with pytest.raises(AnalysisError, match="isn't of one part"):
        sensitivities(with_metrics(rows))


def test_an_assignment_is_read_off_the_names_that_are_kept():
    assert assignment_of(["0.attention.dense", "1.mlp.dense_4h_to_h"], 2) == "10111110"
    assert assignment_of([], 1) == "1111"
    with pytest.raises(AnalysisError, match="no matrix '2.attention.dense' in a model of 2 blocks"):
        assignment_of(["2.attention.dense"], 2)


def test_recipes_have_the_metrics_of_trials_and_stand_beside_them(model, scored):
    kept = ["0.attention.query_key_value", "1.mlp.dense_4h_to_h"]
    both = pd.concat([model.measured(kept, factor=0.8), model.measured((), factor=0.9)[1:]])
    table = recipes(both)
    low = [name not in kept for name in (f"{block}.{matrix}" for block in (0, 1) for matrix in MATRICES)]
    mixed = table[table["assignment"] == "".join("01"[one] for one in low)].iloc[0]
    assert mixed["qid_nats"] == pytest.approx(0.8 * model.qid(low))
    assert mixed["relative_perplexity"] == pytest.approx(np.expm1(0.8 * model.qid(low)))
    assert mixed["accuracy_drop"] == pytest.approx(0.1 * model.qid(low))
    paired = swapped_and_rounded(scored, table)
    factors = paired["qid_nats"] / paired["swapped_qid_nats"]
    assert factors.groupby(paired["quantized_ratio"]).first().to_list() == pytest.approx([0.8, 0.9])
    assert paired["granularity"].value_counts().to_dict() == {"matmul": 2, "layer": 1}  # one keeps single matrices
    with pytest.raises(AnalysisError, match="more than one recipe of an assignment: checkpoint m@"):
        swapped_and_rounded(scored, pd.concat([table, table]))
    with pytest.raises(AnalysisError, match="of one text; got 2"):
        swapped_and_rounded(pd.concat([scored, scored.assign(eval_id="more text")]), table)


def test_low_schemes_are_named_by_what_differs():
    columns = ["method", "format", "bits", "group_size", "activation_format"]
    rows = [("rtn", "mxint", 4, 32, "mxint"), ("rtn", "mxfp", 4, 16, None), ("gptq", "int", 3, None, None)]
    names = ["MXINT 4 bits, inputs too", "MXFP 4 bits, g16", "GPTQ 3 bits, per row"]
    assert scheme_names(pd.DataFrame(rows, columns=columns)).tolist() == names
