"""What the chapter on how much can go low states, on planted models whose costs and ratios are counted by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.analyse.trials import Model

from helpers.analyse.fits.result import Estimate
from helpers.analyse.mixed.largest_ratio import Censored
from helpers.analyse.mixed.trials import MATRICES
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.choose import how_much_can_go_low as share

COSTS = np.array([0.05, 0.01, 0.02, 0.08, 0.03, 0.002, 0.04, 0.06])
RECIPES = (["0.mlp.dense_4h_to_h"], [])


def planted(*models: Model) -> share.Mixed:
    """Return the trials, matrix by matrix, and two recipes of each model."""
    trials = pd.concat([model.trials(n_random=3) for model in models], ignore_index=True)
    measured = [model.measured(kept) for model in models for kept in RECIPES]
    rows = pd.concat(measured).drop_duplicates(["checkpoint_id", "method", "quantized_ratio"], ignore_index=True)
    return share.Mixed.from_tables(trials, rows.assign(measurement_id=rows.index))


def test_trials_and_recipes_are_named_paired_and_chosen_by_rate_and_step():
    mixed = planted(Model(COSTS, run="a"), Model(COSTS, run="b", schedule="cooldown"))
    assert set(mixed.tried["scheme"]) == {share.MAIN}
    assert len(mixed.recipes) == 4
    assert (mixed.recipes["scheme"] == share.MAIN).all()
    kept = mixed.constant()
    assert set(kept.tried["run"]) == set(kept.recipes["run"]) == {"a"}
    assert mixed.constant(500).tried.equals(kept.tried)
    assert mixed.constant(1907).tried.empty


def test_recipes_give_the_largest_ratio():
    mixed = planted(Model(COSTS))
    found = mixed.main_largest.set_index("budget")["interpolated"]
    without = np.expm1(COSTS.sum() - COSTS[3])  # the fourth matrix, four of 24 parts of the parameters, is kept
    assert found[0.1] == pytest.approx(20 / 24 * 0.1 / without)
    assert found[0.2] == pytest.approx(20 / 24 * 0.2 / without)


def test_counts_are_of_runs_sizes_and_tokens():
    models = [Model(COSTS, run=name, size=size, tokens=6e7) for name, size in (("a", 1e6), ("b", 3e7))]
    mixed = planted(*models)
    mixed.tried["step"] = mixed.recipes["step"] = share.STEP
    found = share.counts(mixed)
    assert (found["mix_runs"], found["mix_group"], found["mix_sequences"]) == (2, 32, 64)
    assert (found["mix_smallest"], found["mix_largest"], found["mix_tokens"]) == ("1M", "30M", "60M")
    assert (found["mix_most_read"], found["mix_least_read"]) == (60, 2)
    assert found["mix_trials"] == len(mixed.tried)
    assert found["mix_recipes"] == 4


def test_two_blocks_cost_more_than_their_sum_where_costs_bend():
    model = Model(np.tile(COSTS[:4], 3), curvature=1.0)
    trials = share.Mixed.from_tables(model.trials("layer"), pd.concat([model.measured()])).searched
    found = share.two_blocks(share.example(trials.assign(model=share.EXAMPLE)))
    one = COSTS[:4].sum() + COSTS[:4].sum() ** 2
    both = 2 * COSTS[:4].sum() + (2 * COSTS[:4].sum()) ** 2
    assert found["pair_first"] == pytest.approx(one)
    assert found["pair_second"] == pytest.approx(one)
    assert found["pair_both"] == pytest.approx(both)
    assert found["pair_over"] == pytest.approx(both / (2 * one))


def relative(values: dict[str, list[float]]) -> pd.DataFrame:
    """Return factors of the four matrices of one block in each scheme and run; `values` by scheme, one run a multiple."""
    rows = [
        {"scheme": scheme, "run_label": run, "matrix": name, "relative": value * scale, "block": 0, "n_layers": 1}
        | {N_PARAMS: size}
        for scheme, of_matrices in values.items()
        for run, scale, size in (("a", 0.99, 1e6), ("b", 1.01, 2e6))
        for name, value in zip(MATRICES, of_matrices, strict=True)
    ]
    table = pd.DataFrame(rows)
    return table.assign(log=np.log(table["relative"]))


SAID = {share.MAIN: [1.4, 1.0, 0.6, 0.5], "GPTQ 2 bits": [1.2, 1.7, 0.8, 0.7], "GPTQ 3 bits": [1.2, 1.6, 0.8, 0.7]}


def test_factors_are_geometric_means_over_runs_with_students_interval():
    found = share.factors(relative(SAID)).set_index(["scheme", "kind"])
    half = stats.t.ppf(0.975, 1) * np.log(1.01 / 0.99) / 2
    middle = 0.6 * np.sqrt(0.99 * 1.01)
    assert found.loc[(share.MAIN, "up"), "mean"] == pytest.approx(middle)
    assert found.loc[(share.MAIN, "up"), "high"] == pytest.approx(middle * np.exp(half))
    assert list(found.loc[share.MAIN].index) == ["qkv", "output", "up", "down", "first", "last"]
    assert list(found.loc["GPTQ 2 bits"].index) == ["qkv", "output", "up", "down"]


def blocks(values: dict[str, list[float]], ends: tuple[float, float] = (0.8, 1.2)) -> pd.DataFrame:
    """Return `relative` for models of two blocks, the first `ends[0]` times and the last `ends[1]` times as sensitive."""
    parts = [relative(values).assign(block=block, n_layers=2, times=times) for block, times in enumerate(ends)]
    table = pd.concat(parts, ignore_index=True)
    scaled = table["relative"] * table["times"]
    return table.assign(relative=scaled, log=np.log(scaled))


def test_what_is_said_of_matrices_is_held_against_the_numbers():
    found = share.matrices(blocks(SAID, (0.8, 1.25)))
    assert found["minds_qkv_mean"] == pytest.approx(1.4 * np.sqrt(0.99 * 1.01))
    assert found["minds_most"] == pytest.approx(1.4 * 1.01 * 1.25)
    assert found["minds_least"] == pytest.approx(0.5 * 1.01 * 0.8)
    assert found["minds_free"] == 0
    with pytest.raises(ValueError, match="attention's output"):
        share.matrices(blocks(SAID | {"GPTQ 3 bits": [1.7, 1.6, 0.8, 0.7]}, (0.8, 1.25)))
    with pytest.raises(ValueError, match="queries, keys and values"):
        share.matrices(blocks(SAID | {share.MAIN: [0.9, 1.0, 0.6, 0.5]}, (0.8, 1.25)))


def largest(ratios: dict[str, list[float]]) -> pd.DataFrame:
    """Return largest ratios of four sizes by granularity at every budget, each size ten times the last."""
    rows = [
        {"model": f"m{index}", "run_label": f"m{index}", N_PARAMS: 10.0 ** (5 + index), TOKENS_SEEN: 2.5e8}
        | {"granularity": granularity, "metric": share.METRIC, "budget": budget, "interpolated": ratio}
        | {"method": "rtn", "format": "mxint", "bits": 4, "group_size": 32, "symmetric": True}
        | {"activation_format": "mxint", "activation_bits": 4, "activation_group_size": 32}
        | {"scheme": share.MAIN, "schedule": "constant", "censored": str(Censored.NO)}
        for granularity, of_sizes in ratios.items()
        for budget in (0.05, 0.1, 0.2)
        for index, ratio in enumerate(of_sizes)
    ]
    return pd.DataFrame(rows)


def test_the_gain_for_ten_times_the_size_is_the_step_between_planted_sizes():
    table = largest({"matmul": [0.3, 0.5, 0.7, 0.9], "layer": [0.2, 0.35, 0.5, 0.65]})
    found = share.against_size(table, share.named_fits(table))
    assert found["gain_matmul_mean"] == pytest.approx(0.2)
    assert found["gain_layer_low"] == pytest.approx(0.15)
    assert (found["ratio_matmul_small"], found["ratio_layer_large"]) == (0.3, 0.65)
    assert found["finer_mean"] == pytest.approx(np.mean([0.1, 0.15, 0.2, 0.25]))
    assert (found["fitted"], found["clear_up"]) == (6, 6)


def test_a_ratio_that_falls_between_two_sizes_stops_the_page():
    table = largest({"matmul": [0.3, 0.5, 0.45, 0.9], "layer": [0.2, 0.35, 0.5, 0.65]})
    with pytest.raises(ValueError, match="rises with each size"):
        share.against_size(table, share.named_fits(table))


def test_drawn_gains_are_by_perplexity_and_reach_over_no_single_run():
    table = largest({"matmul": [0.3, 0.5, 0.7, 0.9]})
    other = table.assign(metric="qid_nats")
    drawn = share.drawn_gains(share.named_fits(pd.concat([table, other])))
    assert list(drawn["title"]) == ["5% more perplexity", "10% more perplexity", "20% more perplexity"]
    assert drawn[["lowest", "highest"]].isna().all(axis=None)


def test_the_law_s_slope_is_one_over_that_of_the_kept_share():
    fine = [0.3, 0.5, 0.7, 0.9]
    table = largest({"matmul": fine, "layer": fine})
    with pytest.raises(ValueError, match="at 5% alone"):  # the same slope at every budget
        share.law(table, share.named_fits(table))
    fit = share.named_fits(table)["fit"].iloc[0]
    at = share._constants(0.1, fit, pd.Series({N_PARAMS: 1e8, "interpolated": 0.9}))
    assert at["k_10"] == pytest.approx(-np.log(10) / 0.2)
    assert at["k_10_printed"] == -11.27
    assert at["printed_large_10"] == pytest.approx(1 - (np.log(0.1) - 3.35) / -11.27)
    assert at["measured_large_10"] == 0.9


def test_an_estimate_times_a_negative_factor_has_its_ends_in_order():
    assert share.as_row(Estimate(1.0, 0.1, 0.5, 2.0), -2) == {"mean": -2.0, "low": -4.0, "high": -1.0}
    assert share.gains(pd.DataFrame({"fit": [None]})).empty
    one = SimpleNamespace(size_slope=Estimate(-1.0, 0.1, -2.0, -0.5), n_runs=5, n_all=2)
    row = share.gains(pd.DataFrame({"fit": [one]})).iloc[0]
    assert (row["low"], row["runs"], row["at_one"]) == (pytest.approx(0.5 * np.log(10)), 5, 2)
