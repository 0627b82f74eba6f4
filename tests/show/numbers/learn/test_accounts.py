"""What the chapter on why QiD grows states of outliers, hold-outs and yardsticks, on planted checkpoints."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.learn import accounts as numbers


def along(**columns) -> pd.DataFrame:
    """Two runs of two checkpoints, 500 and 8000 updates in, a quarter of the tokens after the one before."""
    places = {"run": ["a", "a", "b", "b"], TOKENS_SEEN: [1, 2, 1, 2], "step": [500, 8000, 500, 8000]}
    table = pd.DataFrame(places | {N_PARAMS: [1e6, 1e6, 4e6, 4e6]})
    return table.assign(previous_step=0.8 * table["step"], **columns)


def test_tails_are_means_over_sizes_of_the_first_and_the_last_checkpoint():
    found = numbers.of_tails(
        along(mean_weight_kurtosis=[3.0, 4.0, 3.2, 5.0], mean_input_kurtosis=[4.0, 10.0, 6.0, 20.0])
    )
    assert (found["weight_first"], found["weight_last"]) == pytest.approx((3.1, 4.5))
    assert (found["input_first"], found["input_last"]) == pytest.approx((5.0, 15.0))
    with pytest.raises(ValueError, match="more than doubles"):
        numbers.of_tails(along(mean_weight_kurtosis=3.0, mean_input_kurtosis=[4.0, 10.0, 6.0, 9.0]))
    with pytest.raises(ValueError, match="stay light"):
        numbers.of_tails(along(mean_weight_kurtosis=[3.0, 9.0, 3, 3], mean_input_kurtosis=[4.0, 10.0, 6.0, 20.0]))


def test_updates_of_rounding_follow_from_the_exponent():
    moving = along(change=0.4, rounding_2=0.5, rounding_3=0.2, rounding_4=0.1)
    found = numbers.of_yardsticks(moving, [0.5, 0.7])
    # half the way of 100 updates is 100 of them times (1/2)^(1/h), and 1600 at the end
    assert (found["exponent"], found["fixed"]) == (pytest.approx(0.6), 100)
    assert found["updates_first_walk"] == pytest.approx(25)
    assert found["updates_last_line"] == pytest.approx(800)
    assert found["updates_first"] == pytest.approx(100 * 0.5 ** (1 / 0.6))
    assert found["updates_first_share"] == pytest.approx(found["updates_first"] / 5)
    assert found["doubling"] == pytest.approx((np.log(2) / np.log(1.25)) ** 0.6)
    with pytest.raises(ValueError, match="between a random walk and a straight line"):
        numbers.of_yardsticks(moving, [0.4, 0.7])
    with pytest.raises(ValueError, match="exceeds the error of 2 bits"):
        numbers.of_yardsticks(moving.assign(rounding_2=1.0), [0.5, 0.7])


def test_one_row_a_run_has_the_mean_of_its_logarithms():
    rows = pd.DataFrame({"part": "rates", "run_label": ["a", "a", "b"], "method": "rtn", "bits": 3})
    rows = rows.assign(log_qid_nats=[0.1, 0.3, 0.5], log_change=1.0, other=7)
    found = numbers.by_run(pd.concat([rows, rows.assign(method="gptq", log_qid_nats=9.0)]))
    assert found["log_qid_nats"].tolist() == pytest.approx([0.2, 0.5])
    assert list(found) == ["part", "run_label", "log_qid_nats", "log_change"]
