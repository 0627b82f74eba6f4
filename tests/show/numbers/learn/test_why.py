"""What the chapter on why QiD grows states of movement and curvature, on planted checkpoints."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.learn import why as numbers

TOKENS = (100e6, 125e6, 156.25e6)


def checkpoints(changes=(0.4, 0.38, 0.36), schedule="constant", rate=1e-3) -> pd.DataFrame:
    """Two runs whose change falls, between an error of 0.5 at 2 bits and of 0.3 at 3; the variance doubles at each step."""
    rows = []
    for run, size in (("a", 1e6), ("b", 4e6)):
        for place, (tokens, change) in enumerate(zip(TOKENS, changes, strict=True)):
            rows.append(
                {
                    "run": run,
                    "cluster": run,
                    N_PARAMS: size,
                    TOKENS_SEEN: tokens,
                    "step": tokens / 1e5,
                    "previous_step": tokens / 1e5 / 1.25,
                    "schedule": schedule,
                    "learning_rate": rate,
                    "n_averaged": 1,
                    "change": change,
                    "rounding_2": 0.5,
                    "rounding_3": 0.3,
                    "rounding_4": 0.15,
                    "hessian_trace": 10.0 * 0.8**place,
                    "variance_3": 2.0**place,
                }
            )
    return pd.DataFrame(rows)


ENDS = checkpoints((0.1, 0.2, 0.15), "cooldown", 0.0)


def test_growth_is_the_geometric_mean_of_last_over_first_of_each_run():
    table = pd.DataFrame({"run": ["a", "b", "a", "b"], TOKENS_SEEN: [1, 1, 2, 2], "x": [1.0, 2.0, 2.0, 16.0]})
    found = numbers.growth(table, "x")
    half = 12.706204736432095 * np.log(2) / 2  # t of one degree of freedom; ln 2 and ln 8 lie ln 2 from their mean
    half *= np.sqrt(2) * np.sqrt(2)
    assert found["value"] == pytest.approx(4)
    assert np.log(found["high"] / 4) == pytest.approx(half)


def test_movement_is_told_beside_the_errors_of_rounding():
    moving = checkpoints()
    found = numbers.movement(moving, pd.concat([moving, ENDS]))
    assert (found["change_lowest"], found["change_highest"], found["rounding_3"]) == pytest.approx((0.36, 0.4, 0.3))
    assert (found["n_constant"], found["n_ends"], found["end_3"]) == (2, 6, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("changes", "ends", "sentence"),
    [
        ((0.4, 0.38, 0.29), ENDS, "exceeds the error of 3 bits"),
        ((0.4, 0.6, 0.36), ENDS, "below the error of 2 bits"),
        ((0.4, 0.38, 0.36), ENDS.assign(change=0.4), "decay takes the change below"),
    ],
)
def test_movement_that_would_make_prose_wrong_is_refused(changes, ends, sentence):
    moving = checkpoints(changes)
    with pytest.raises(ValueError, match=sentence):
        numbers.movement(moving, pd.concat([moving, ends]))


def test_variance_and_trace_grow_by_their_factors():
    found = numbers.growth_of_both(checkpoints())
    assert (found["grown_variance"], found["grown_trace"], found["n_falling"]) == (
        pytest.approx(4),
        pytest.approx(0.64),
        2,
    )
    with pytest.raises(ValueError, match="outgrows the trace"):
        numbers.growth_of_both(checkpoints().assign(variance_3=1.0))


def test_the_largest_model_leaves_the_prediction():
    rows = pd.DataFrame({TOKENS_SEEN: TOKENS, "ratio": [0.9, 0.8, 1.2], N_PARAMS: 4e6, "method": "rtn", "bits": 3})
    smaller = rows.assign(**{N_PARAMS: 1e6}, ratio=0.5)
    found = numbers.of_the_largest(pd.concat([smaller, rows]))
    assert found == {"top_lowest": 0.8, "top_lowest_tokens": "125M", "top_last": 1.2}
    with pytest.raises(ValueError, match="leaves the prediction late"):
        numbers.of_the_largest(rows.assign(ratio=[0.9, 0.8, 0.9]))


def line(value: float, half: float) -> pd.Series:
    return pd.Series({"value": value, "low": value - half, "high": value + half})


def summaries(**changed) -> dict:
    one = {"size": line(0.1, 0.05), "tokens": line(0.0, 0.1), "sd": 0.1, "rank": 0.99, "within": 0.9}
    found = {("rtn", bits): one | {"ratio": line(0.85, 0.03)} for bits in (3, 4)}
    found |= {("rtn", 2): one | {"ratio": line(1.1, 0.1), "tokens": line(0.2, 0.1), "sd": 0.3}}
    found |= {("gptq", bits): one | {"ratio": line(0.5, 0.03), "within": 0.8} for bits in (2, 3, 4)}
    return {key: value | changed.get(f"{key[0]}_{key[1]}", {}) for key, value in found.items()}


def test_measured_over_predicted_is_read_off_the_summaries():
    found = numbers.of_curvature(summaries())
    assert (found["rtn_3"], found["rtn_3_low"], found["gptq_4_high"]) == pytest.approx((0.85, 0.82, 0.53))
    assert (found["lowest_within"], found["rtn_2_tokens"], found["rtn_4_size"]) == pytest.approx((0.8, 0.2, 0.1))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"rtn_3": {"ratio": line(1.0, 0.1)}}, "RTN costs less than predicted"),
        ({"rtn_2": {"sd": 0.12}}, "2 bits scatter more"),
        ({"gptq_3": {"ratio": line(0.9, 0.03)}}, "GPTQ costs less"),
        ({"gptq_2": {"rank": 0.5}}, "the order is nearly right"),
    ],
)
def test_summaries_that_would_make_prose_wrong_are_refused(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        numbers.of_curvature(summaries(**changed))
