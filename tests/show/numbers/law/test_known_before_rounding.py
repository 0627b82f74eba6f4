"""What the page on trees states, from planted scores: keys, words, and the sentences that must hold."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.judgement.without_a_law import AS_IT_IS, LEARNERS
from helpers.show.numbers.law import known_before_rounding as numbers

ERRORS = {numbers.NDP: 2.0, numbers.BLIND: 1.7, numbers.ALL: 1.6, numbers.BOOSTED: 1.5, numbers.OVER: 1.15}


def scores(**changed: float) -> pd.DataFrame:
    """Return planted factors: trees say too much of the largest size and too little of late tokens."""
    columns = pd.MultiIndex.from_product([list(numbers.HELD.values()), ["error", "bias"]])
    rows = {}
    for way in LEARNERS:
        error = ERRORS.get(way, 1.2)
        rows[way] = [error, error, error, 1 / error, error, error]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    for way, error in changed.items():
        table.loc[getattr(numbers, way), (numbers.HELD["size"], "error")] = error
    return table


def test_factors_are_under_the_keys_of_predictor_and_hold_out():
    found = numbers.of_hold_outs(scores(), "kl_")
    assert found["kb_kl_all_size"] == 1.6
    assert found["kb_kl_all_late_bias"] == pytest.approx(1 / 1.6)
    assert len(found) == 2 * len(LEARNERS) * len(numbers.HELD)


@pytest.mark.parametrize(("way", "error", "sentence"), [("ALL", 1.1, "further up"), ("OVER", 1.5, "in size")])
def test_a_sentence_that_doesnt_hold_is_refused(way, error, sentence):
    with pytest.raises(ValueError, match=sentence):
        numbers.of_hold_outs(scores(**{way: error}))


def test_the_table_names_error_and_bias():
    assert numbers.scores_table(scores()).loc[numbers.ALL, "last factor 4 in D"] == "1.60 (0.62)"


def squares(**changed: float) -> dict[str, pd.Series]:
    """Return mean squares of two errors a predictor, those of trees on all the least but for the forest over curvature."""
    runs = pd.Series([0.9, 1.0, 1.1], ["a", "b", "c"])
    levels = dict.fromkeys(LEARNERS, 0.04) | {numbers.ALL: 0.02, numbers.OVER: 0.01}
    return {way: (levels | changed)[way] * runs for way in LEARNERS}


def test_ratios_over_runs_are_of_roots_of_mean_squares():
    found = numbers.of_run_out(squares())
    assert found["kb_gain"] == pytest.approx(np.sqrt(0.5), rel=1e-12)
    assert found["kb_over_bent"] == pytest.approx(0.5, rel=1e-12)
    assert found["kb_all_run"] == pytest.approx(np.exp(np.sqrt(0.02)), rel=1e-12)
    with pytest.raises(ValueError, match="known before rounding says more"):
        numbers.of_run_out(squares(**{numbers.ALL: 0.05}))


def test_both_ways_of_leaving_out_stand_in_one_table():
    table = numbers.turns_table(squares(), {numbers.ALL: {"value": 1.2, "low": 1.1, "high": 1.3}})
    assert table.loc[numbers.ALL, "one shape out"] == "1.20 [1.10, 1.30]"
    assert table.loc[numbers.BENT, "one shape out"] == "not tried"


def test_what_shuffling_costs_is_sorted_and_named():
    shuffles = pd.DataFrame({AS_IT_IS: [0.01, 0.02], "a": [0.011, 0.021], "b": [0.16, 0.32]})
    table, found = numbers.of_features(shuffles)
    assert list(table.index) == ["b", "a"]
    assert found["kb_group_1"] == "b"
    assert found["kb_cost_1"] == pytest.approx(4.0)
    assert found["kb_group_last"] == "a"
    assert numbers.features_table(table).loc["b"].tolist() == ["4.00 [4.00, 4.00]"]
