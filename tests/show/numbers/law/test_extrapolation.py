from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.law import extrapolation as numbers

HOLD_OUTS = ("largest size", "last factor 4 in D", "3 bits", "2 bits", "decayed rate", "other bits")
SCORES = {  # by law: rms on the hold-outs above
    "power": (0.2, 0.6, 0.3, 0.3, 0.3, 0.5),
    "exponential": (0.3, 0.7, 0.3, 0.3, 0.3, 0.5),
    "steps": (0.2, 0.65, 0.1, 0.2, 0.3, 0.1),
    "free-bits": (0.2, 0.62, None, None, 0.3, None),
    "saturating": (0.2, 0.61, 0.3, 0.3, 0.3, 0.5),
    "power-per-bit": (0.2, 0.63, None, None, 0.3, None),
    "threshold": (0.2, 0.25, 0.3, 0.3, 0.3, 0.5),
    "loss": (0.2, 0.22, 0.1, 0.2, 0.1, 0.1),
    "loss, loss predicted": (0.2, 0.24, 0.1, 0.2, 0.2, 0.1),
    "group-size": (None,) * 6,
    "ouyang2024": (0.9,) * 6,
}


def judged(**other):
    rows = [
        {"law": law, "hold_out": hold_out, "log_rms": np.nan if rms is None else rms, "log_rms_se": np.nan}
        for law, of_law in SCORES.items()
        for hold_out, rms in zip(HOLD_OUTS, of_law, strict=True)
    ]
    table = pd.DataFrame(rows).assign(coverage=0.8, log_bias=0.0, tied=True, excluded_share=0.0)
    table["published"] = table["law"] == "ouyang2024"
    bias = {("power", "other bits"): 0.4, ("exponential", "other bits"): -0.4, ("exponential", "2 bits"): np.log(0.5)}
    bias["power", "last factor 4 in D"] = np.log(1.5)
    for (law, hold_out), value in (bias | other.get("bias", {})).items():
        table.loc[(table["law"] == law) & (table["hold_out"] == hold_out), "log_bias"] = value
    return table


def test_scores_are_read_off_the_map():
    found = numbers.scores(judged())
    assert (found["straight_low"], found["straight_high"], found["threshold_tokens"]) == (0.6, 0.7, 0.25)
    assert found["power_tokens_over"] == pytest.approx(1.5)
    assert (found["exponential_two_bias"], found["power_other_bias"]) == (
        pytest.approx(0.5),
        pytest.approx(np.exp(0.4)),
    )
    assert (found["told_decayed"], found["chosen_decayed"], found["power_decayed"]) == (0.1, 0.2, 0.3)


def test_a_power_that_does_not_fall_too_slowly_is_no_such_claim():
    with pytest.raises(ValueError, match="the power falls too slowly"):
        numbers.scores(judged(bias={("power", "other bits"): 0.1}))


def test_the_map_leaves_out_what_says_nothing_and_sets_printed_constants_apart():
    tables = numbers.score_tables(judged())
    assert list(tables["log_rms"].index) == [law for law in SCORES if law != "group-size"]
    assert (tables["apart"], tables["goal"]) == (["ouyang2024"], 0.15)
    assert tables["log_rms"].loc["steps", "other bits"] == 0.1


def test_hold_outs_of_one_thing_leave_out_those_of_two():
    both = pd.DataFrame({"hold_out": ["3 bits", "larger and later", "second run of the largest size"]})
    assert numbers.one_at_a_time(both)["hold_out"].to_list() == ["3 bits"]


def stored(**other):
    name = "tokens-per-parameter"
    ranked = pd.DataFrame({"score": [0.1, 0.2], "se": [0.01, 0.02], "n_runs": [8, 8]}, index=[name, "power"])
    ranked = ranked.assign(constants=[3, 4], candidate=True, tied=[True, False], behind=[0.0, 0.1])
    ranked = ranked.assign(behind_low=[0.0, -0.05], behind_high=[0.0, 0.25])
    later = pd.DataFrame({"law": [name, "power"], "hold_out": "larger and later", "log_rms": [np.log(1.2), np.log(2)]})
    later = later.assign(log_rms_se=[0.02, 0.03], n_runs=2.0)
    of_size = pd.DataFrame({"law": [name], "hold_out": ["largest size"], "log_rms": [0.2], "log_rms_se": [np.nan]})
    law = SimpleNamespace(validity=SimpleNamespace(tokens=(63e6, 954e6)))
    fit = SimpleNamespace(params={"b": SimpleNamespace(value=0.5, low=0.4, high=0.6)}, law=law)
    outside = pd.DataFrame({"score": [0.9, 0.8, 1.0], "n_runs": [11, 11, 11]}, index=["bits alone", name, "power"])
    correlations = pd.DataFrame({"spearman": [0.7, 0.9]}, index=["last factor 4 in D", "larger and later"])
    whole = {"default": SimpleNamespace(name=name), "ranked": ranked, "judged": pd.concat([later, of_size])}
    whole |= {"fits": {name: fit}, "outside": outside, "rank_correlations": correlations}
    return SimpleNamespace(**whole | other)


def test_the_default_law_is_read_with_its_lead():
    found = numbers.default_law(stored())
    assert (found["default"], found["default_score"], found["default_runs"]) == ("tokens-per-parameter", 0.1, 8)
    assert (found["b"], found["b_low"], found["b_high"]) == (0.5, 0.4, 0.6)
    assert (found["window_low"], found["window_high"]) == ("63M", "954M")
    assert (found["later_default_factor"], found["later_power_factor"]) == (pytest.approx(1.2), pytest.approx(2))
    assert (found["outside_bits"], found["outside_default"], found["outside_models"]) == (0.9, 0.8, 11)
    table = numbers.ranking_table(stored())
    assert list(table.loc["power"]) == ["4", "0.200 ± 0.020", "0.100 [−0.050, 0.250]", "0.693", "1.00"]


def test_no_default_and_a_tied_first_are_refused():
    with pytest.raises(numbers.AnalysisError, match="nothing is judged"):
        numbers.default_law(stored(default=None))
    with pytest.raises(ValueError, match="tied with none"):
        numbers.default_law(stored(ranked=stored().ranked.assign(tied=True)))


def test_one_size_up_is_read_by_size_and_the_largest_by_tokens():
    laws = {"power": (0.1, 0.3), "steps": (0.05, 0.25), "loss, loss predicted": (0.06, 0.2)}
    rows = [(law, size, rms) for law, both in laws.items() for size, rms in zip((1e7, 4e7), both, strict=True)]
    turns = pd.DataFrame(rows, columns=["law", "n_params", "log_rms"]).assign(excluded_share=0.0)
    largest = pd.DataFrame({"tokens_seen": [1e8, 1e8, 4e8, 4e8], "ratio": [0.4, 0.9, 1.0, 4.0]})
    runs = [(1e5, 2.0), (2e6, 0.3), (1e7, 0.5), (4e7, 1.0)]  # size and exponent of tokens
    trunk = pd.DataFrame(
        {"n_params_non_embedding": size, "bits": 3, "tokens_seen": tokens, "qid_nats": (tokens / 1e8) ** power}
        for size, power in runs
        for tokens in (1e8, 2e8, 4e8)
    )
    found = numbers.one_size_up(turns, largest, trunk)
    assert (found["before_power"], found["before_steps"], found["before_chosen"]) == (0.1, 0.05, 0.06)
    assert (found["ratio_first"], found["ratio_last"]) == (pytest.approx(0.6), pytest.approx(2))
    assert (found["own_low"], found["own_high"], found["own_last"]) == tuple(map(pytest.approx, (0.3, 0.5, 1.0)))
    assert (found["first_tokens"], found["own_from"]) == ("100M", "2M")


def test_two_runs_of_the_largest_are_ranked_by_the_laws_they_share():
    again = {"power": 0.1, "steps": 0.2, "exponential": 0.3, "ouyang2024": 0.1, "curvature": 0.1}
    more = pd.DataFrame({"law": list(again), "log_rms": list(again.values()), "published": False})
    table = judged()
    for law, rms in (("power", 0.3), ("steps", 0.25), ("exponential", 0.2)):
        table.loc[(table["law"] == law) & (table["hold_out"] == "largest size"), "log_rms"] = rms
    both = pd.concat([table, more.assign(hold_out="second run of the largest size")])
    both["published"] = both["law"] == "ouyang2024"
    assert numbers.two_runs_of_largest(both) == {"again_judged": 3, "again_within": 1, "again_rank": "−1.00"}


def test_a_third_of_two_standard_deviations_and_more():
    found = numbers.exercise_of_misses(9)
    assert found["ex_ln"] == pytest.approx(0.30010459)
    assert found["ex_sd"] == pytest.approx(2.0006973)
    assert found["ex_share"] == pytest.approx(0.045425, abs=1e-5)  # a normal law beyond 2.0007, from a table
    assert found["few"] == 9
