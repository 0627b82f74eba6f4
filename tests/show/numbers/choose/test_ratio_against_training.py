"""What the chapter on the ratio against training states, on planted ratios that are counted by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.mixed.largest_ratio import Censored
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.choose import how_much_can_go_low as share
from helpers.show.numbers.choose import ratio_against_training as training

STEPS = {training.FIRST: 6.5e7, training.MIDDLE: 2.5e8, training.LAST: 9.5e8}
LOW = {
    "MXINT": {"method": "rtn", "format": "mxint", "bits": 4, "activation_format": "mxint", "activation_bits": 4},
    "GPTQ 2": {"method": "gptq", "format": "int", "bits": 2, "activation_format": None, "activation_bits": None},
    "GPTQ 3": {"method": "gptq", "format": "int", "bits": 3, "activation_format": None, "activation_bits": None},
}
START = {"a": 0.90, "b": 0.94, "c": 0.95, "d": 0.97}  # largest ratios at the first moment, by run
FALLS = {"a": 0.2, "b": 0.22, "c": 0.18, "d": 0.2}  # to the middle; half as much again to the last


def largest(falls=FALLS, decay=0.01, starts=START) -> pd.DataFrame:
    """Return largest ratios of four runs at three moments and after a cooldown; the largest has no last moment.

    A cooldown ends `decay` lower in three runs and twice as much higher in the fourth, but in GPTQ lower in all.
    """
    rows = []
    for index, (run, start) in enumerate(starts.items()):
        places = {training.FIRST: 0.0, training.MIDDLE: falls[run], training.LAST: 1.5 * falls[run]}
        ratios = {(step, "constant"): start - fall for step, fall in places.items()}
        if run == "d":
            del ratios[training.LAST, "constant"]
            ratios[3720, "constant"] = start - 1.1 * falls[run]
        for scheme, low in LOW.items():
            sign = -2 if run == "d" and scheme == "MXINT" else 1
            own = ratios | {(training.MIDDLE, "cooldown"): start - falls[run] - sign * decay}
            rows += [
                {"model": run, "run_label": run, N_PARAMS: 10.0 ** (5 + index), "step": step, "schedule": schedule}
                | {TOKENS_SEEN: STEPS.get(step, 4.9e8), "granularity": granularity, "metric": share.METRIC}
                | {"budget": budget, "interpolated": ratio, "censored": str(Censored.NO)}
                | {"group_size": 32, "symmetric": True, "activation_group_size": low["activation_bits"] and 32}
                | low
                for (step, schedule), ratio in own.items()
                for granularity in training.GRANULARITIES
                for budget in (0.05, 0.1, 0.2)
            ]
    table = pd.DataFrame(rows)
    named = {"MXINT": share.MAIN, "GPTQ 2": "GPTQ 2 bits", "GPTQ 3": "GPTQ 3 bits"}
    by_low = {(low["method"], low["bits"]): named[name] for name, low in LOW.items()}
    names = [by_low[key] for key in zip(table["method"], table["bits"], strict=True)]
    return table.assign(scheme=names)


def test_changes_are_within_runs_and_means_over_them():
    found = training.along(largest())
    changes = np.array([-1.5 * FALLS[run] for run in "abc"])
    half = stats.t.ppf(0.975, 2) * changes.std(ddof=1) / np.sqrt(3)
    assert found["whole_matmul_mean"] == pytest.approx(changes.mean())
    assert found["whole_matmul_low"] == pytest.approx(changes.mean() - half)
    assert found["early_matmul_mean"] == pytest.approx(-np.mean(list(FALLS.values())))
    assert found["late_matmul_mean"] == pytest.approx(changes.mean() / 3)
    assert found["of_runs"] == 3
    assert found["moved"] == 3 * len(LOW) * 2 * 3
    assert found["answers"] == found["answers_down"] == len(LOW) * 2 * 3


def test_a_pair_that_is_at_one_at_both_ends_says_nothing():
    table = largest()
    at_one = (table["model"] == "a") & (table["scheme"] == "GPTQ 3 bits")
    table.loc[at_one, "interpolated"], table.loc[at_one, "censored"] = 1.0, str(Censored.ALL)
    assert training.along(table)["moved"] == 3 * len(LOW) * 2 * 3 - 6


def test_a_ratio_that_rises_along_one_run_stops_the_page():
    with pytest.raises(ValueError, match="falls in all runs"):
        training.along(largest(FALLS | {"b": -0.01}))
    table = largest()
    other = (table["scheme"] == "GPTQ 3 bits") & (table["model"] == "b") & (table["step"] == training.LAST)
    table.loc[other, "interpolated"] = 0.99
    with pytest.raises(ValueError, match="falls in every pair"):
        training.along(table)


def test_most_of_the_fall_has_to_come_early():
    table = largest()
    late = (table["step"] == training.LAST) & (table["model"] != "d")
    table.loc[late, "interpolated"] -= 0.3
    with pytest.raises(ValueError, match="early"):
        training.along(table)


def test_decay_is_compared_at_equal_tokens():
    found = training.decay(largest())
    assert found["decay_matmul_mean"] == pytest.approx(-0.0025)
    assert found["decay_gptq_2_mean"] == pytest.approx(-0.01)
    assert (found["decay_cells"], found["decay_runs"], found["decay_answers"]) == (4 * 18, 4, 18)
    assert found["decay_down"] == 4 * 18 - 6
    assert found["decay_clear_down"] == 12


def test_a_clear_change_of_mxint_with_decay_stops_the_page():
    table = largest()
    cooled = (table["schedule"] == "cooldown") & (table["scheme"] == share.MAIN)
    table.loc[cooled, "interpolated"] -= 0.1
    with pytest.raises(ValueError, match="distinguished from zero"):
        training.decay(table)


def test_moments_name_tokens_and_where_the_largest_model_ends():
    table = largest()
    own = (table["model"] == "d") & (table["step"] == 3720) & (table["budget"] != 0.05)
    table.loc[own, "interpolated"] = 0.8
    found = training.moments(table)
    assert (found["train_first"], found["train_last"], found["large_tokens"]) == ("65M", "950M", "490M")
    assert (found["train_runs"], found["train_late_runs"]) == (4, 3)
    assert found["train_factor"] == pytest.approx(3.8)
    assert (found["large_from_10"], found["large_to_10"]) == (pytest.approx(0.77), 0.8)
    with pytest.raises(ValueError, match="falls at 5%"):
        training.moments(largest())


def law(size_slope: float, token_slope: float) -> pd.DataFrame:
    """Return largest ratios that the law of both has exactly, five sizes at three moments, with a little scatter."""
    table = pd.concat([largest(starts=START | {"e": 0.5}, falls=FALLS | {"e": 0.1})], ignore_index=True)
    table = table[table["schedule"] == "constant"]
    logs = np.log(table[[N_PARAMS, TOKENS_SEEN]] / 1e9)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(table))
    return table.assign(interpolated=1 - (0.4 + size_slope * logs[N_PARAMS] + token_slope * logs[TOKENS_SEEN] + noise))


def test_the_law_of_both_gives_back_planted_slopes_and_what_both_at_once_take():
    fits = share.named_fits(law(-0.05, 0.10), with_tokens=True)
    found = training.law_of_both(fits)
    assert found["both_size_matmul_mean"] == pytest.approx(-0.05, abs=2e-3)
    assert found["both_tokens_layer_mean"] == pytest.approx(0.10, abs=2e-3)
    assert found["both_power_matmul_mean"] == pytest.approx(2, abs=0.1)
    assert found["ten_times"] == pytest.approx(10 ** found["both_power_matmul_mean"])
    assert found["proportional_matmul_mean"] == pytest.approx(0.05 * np.log(10), abs=1e-2)
    assert (found["both_fits"], found["both_tokens_up"], found["of_mxint"]) == (18, 18, 6)
    assert found["proportional_falls"] == 18


def test_a_law_in_which_size_gives_more_than_tokens_take_stops_the_page():
    with pytest.raises(ValueError, match="per parameter"):
        training.law_of_both(share.named_fits(law(-0.10, 0.05), with_tokens=True))


def test_drawn_changes_are_of_three_runs_or_more():
    table = training.pairs(largest(), training.FIRST, training.LAST)
    drawn = training.drawn_changes(table)
    assert set(drawn["n_runs"]) == {3}
    assert set(drawn["title"]) == {"5% more perplexity", "10% more perplexity", "20% more perplexity"}
    assert training.drawn_changes(table[table["model"] != "a"]).empty
    assert share.shown_schemes(drawn) == [share.MAIN, "GPTQ 2 bits", "GPTQ 3 bits"]
