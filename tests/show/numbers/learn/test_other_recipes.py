"""What the chapter on tokens and decay states of other recipes, on the planted runs of its first part."""

import numpy as np
import pandas as pd
import pytest
from tests.show.numbers.learn.test_tokens_or_decay import EXCESS, T3, approx, planted

from helpers.analyse.questions.decay import LOSS
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.show.numbers.learn import other_recipes as numbers
from helpers.show.numbers.learn.tokens_or_decay import Runs


@pytest.fixture(scope="module")
def runs() -> Runs:
    return Runs(planted())


def test_a_cosine_overstates_the_exponent_by_what_was_planted(runs):
    found = numbers.along_cosine(runs)
    excess = np.array(EXCESS[2.0])
    half = T3 * excess.std(ddof=1) / 3**0.5
    approx(found, {"excess_2_mean": 0.21, "excess_2_low": 0.21 - half, "excess_3_mean": 0.65 / 3, "flat_low": 1.0})
    approx(found, {"overstated_low": 0.21, "overstated_high": 0.65 / 3})
    end = np.log(4) * (0.21 + 0.65 / 3) / 2  # mean of 2 and 3 bits
    approx(found, {"cosine_early": 1.0, "cosine_late_last": np.exp(end), "exercise_off": end / np.log(3)})
    assert found["longest_tokens"] == "800M"


def test_a_rate_that_acts_alike_in_all_sizes_has_its_factor_at_equal_loss():
    found = numbers.levers(runs_with_four_bits_apart())
    approx(
        found, {"half_loss_3_ratio": (1.2 * 1.21 * 1.22) ** (1 / 3), "wd3_loss_3_ratio": 0.9, "wd0_loss_3_ratio": 1.05}
    )
    assert found["rate_sizes"] == 3
    with pytest.raises(ValueError, match="clear at 4 bits only"):
        numbers.levers(Runs(planted(levers=True)))  # where half the rate is clear at every width


def runs_with_four_bits_apart() -> Runs:
    """Return the runs whose half rate raises QiD at equal loss alone: at 2 and 3 bits its rows lie earlier in loss."""
    rows = planted(levers=True)
    early = rows["run"].str.endswith("half") & (rows["bits"] < 4)
    rows.loc[early, "tokens_seen"] *= (
        rows.loc[early, "qid_nats"] / (0.1 * 2 ** -rows.loc[early, "bits"]) / (rows.loc[early, "tokens_seen"] / 1e8)
    )
    return Runs(rows)


def test_at_equal_loss_ends_stand_where_the_trunk_has_their_loss():
    rows = planted()
    ends = rows["learning_rate"] == 0
    # a loss lower by a quarter of a nat is half a doubling further along the trunk: QiD there is 2^0.5 times as large;
    # the last end then lies beyond the trunk and has no partner
    rows.loc[ends, LOSS] -= 0.25
    found = numbers.equal_loss(Runs(with_cosines_and_sizes(rows)))
    factors = {"m-a": 1.1, "m-b": 0.9, "m-c": 0.7}
    approx(found, {"loss_cooldown_3_mean": np.prod(list(factors.values())) ** (1 / 3) / 2**0.5})
    approx(found, {"loss_smallest_2": 1.1 / 2**0.5, "loss_largest_2": 0.7 / 2**0.5, "loss_average_3_mean": 0.75})
    assert (found["loss_rows"], found["smallest_size"], found["largest_size"]) == (3, "1M", "4M")


def with_cosines_and_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with cosines that end above the trunk, and cooldowns whose factor falls with size."""
    trunk = 0.1 * rows["tokens_seen"] / 1e8 / 2 ** rows["bits"]
    falling = rows["model"].map({"m-a": 1.1, "m-b": 0.9, "m-c": 0.7})
    size = 1 + 0.01 * rows[N_PARAMS] / 1e6
    rows["qid_nats"] = np.where(rows["learning_rate"] == 0, trunk * falling, rows["qid_nats"])
    rows["qid_nats"] = np.where(rows["schedule"] == "cosine", trunk * 1.2 * size, rows["qid_nats"])
    return rows


def test_averages_are_counted_where_their_loss_is_surely_lower():
    rows = planted()
    # after rounding: lower at 2 bits, higher at 4, and at 3 lower in the first comparison of a model and higher in the last
    shift = {2.0: -0.5, 4.0: 0.5}
    for index in rows.index[rows["n_averaged"] > 1]:
        bits, late = rows.loc[index, "bits"], rows.loc[index, "step"] > 400
        other = rows[
            (rows["learning_rate"] == 0) & (rows["model"] == rows.loc[index, "model"]) & (rows["bits"] == bits)
        ]
        twin = other[other["step"] == rows.loc[index, "step"]].iloc[0]
        more = shift.get(bits, 0.5 if late else -0.5)
        rows.at[index, "group_loss"] = twin["group_loss"] + more
        rows.at[index, "document_qid_nats"] = twin["document_qid_nats"] + more - 0.1  # the 16-bit loss is higher by 0.1
    found = numbers.averages(Runs(rows))
    assert [found[f"lawa_better_{bits}"] for bits in (2, 3, 4)] == [6, 3, 0]
    assert [found[f"lawa_worse_{bits}"] for bits in (2, 3, 4)] == [0, 3, 6]
    assert found["lawa_cases"] == 6
    approx(found, {"lawa_plain_low": 0.1, "lawa_plain_high": 0.1})


def test_how_long_the_runs_are_in_time_constants_of_the_weight_norm(runs):
    found = numbers.limits(runs.trunk)
    approx(found, {"norm_ours": 2 * 0.002 * 0.1 * 800, "norm_theirs": 2 * 3e-3 * 0.1 * 190_000, "updates_times": 237.5})
    assert (found["trunk_last"], found["trunk_updates"], found["unique_tokens"]) == ("800M", 800, "200M")


def test_solutions_compare_the_last_cooldowns_with_where_they_left_the_trunk():
    rows = planted()
    last = (rows["learning_rate"] == 0) & (rows["step"] == 800)
    rows.loc[last, "loss_nats"] -= 1.0
    rows.loc[last, LOSS] -= 1.0
    found = numbers.in_exercises(Runs(rows))
    approx(found, {"naive_trunk_3": 2.0, "naive_3": 2 * (1.3 * 1.5 * 1.2) ** (1 / 3), "choice_loss": 1.0})
    approx(found, {"choice_trunk": 1.5 + 0.1, "choice_cooldown": 0.5 + 0.12, "choice_qid": 0.02, "choice_trunk_2": 1.7})
