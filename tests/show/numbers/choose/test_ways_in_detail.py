"""What the appendix on ways of keeping states, on small tables counted by hand."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.mixed.keeping import LINE
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.choose import ways_in_detail as detail
from helpers.show.numbers.choose.seven_ways import INPUT_WAYS, TREND_PANELS


def summary(**changed: list[float]) -> pd.DataFrame:
    """Return slopes of CMPQ at a mean of 2.5 bits, of GWQ and of a setting without slopes; `changed` replaces columns."""
    columns = {
        "size": [-0.3, 0.2, np.nan],
        "size_low": [-0.5, 0.1, np.nan],
        "size_high": [-0.1, 0.3, np.nan],
        "tokens": [-0.2, 0.0, np.nan],
        "tokens_low": [-0.3, -0.1, np.nan],
        "tokens_high": [-0.1, 0.1, np.nan],
    }
    return pd.DataFrame(
        {"way": ["CMPQ", "GWQ", "RTN"], "setting": ["mean 2.5 bits", "2 bits", "2 bits"]} | columns | changed
    )


def test_slopes_are_counted_where_there_are_any():
    found = detail.trends(summary())
    assert (found["n_sloped"], found["n_size_down"], found["n_size_up"]) == (2, 1, 1)
    assert (found["n_tokens_down"], found["n_tokens_up"]) == (1, 0)
    assert (found["cmpq_size"], found["cmpq_tokens_high"]) == (-0.3, -0.1)
    with pytest.raises(ValueError, match="no other way"):
        detail.trends(summary(size_high=[-0.1, -0.1, np.nan]))
    with pytest.raises(ValueError, match="falls with both"):
        detail.trends(summary(tokens_high=[0.1, 0.1, np.nan]))


def ratios() -> pd.DataFrame:
    rows = [
        {"way": "CMPQ", "setting": setting, "model": model, N_PARAMS: size, TOKENS_SEEN: tokens, "ratio": ratio}
        | {"stored_bits": bits}
        for setting in detail.MEANS.values()
        for model, size, tokens, ratio, bits in (
            ("b", 1e7, 1e8, 2.0, 2.8),
            ("b", 1e7, 9e8, 0.8, 2.8),
            ("a", 1e5, 9e8, 3.0, 3.5),
        )
    ]
    return pd.DataFrame(rows)


def test_cmpq_is_told_at_the_last_checkpoints_of_the_ends():
    table, by = ratios(), pd.DataFrame({"ratio": [1.4, 2.9], "low": [0.9, 1.4], "high": [2.2, 6.0]})
    by.index = pd.MultiIndex.from_tuples([("CMPQ", setting) for setting in detail.MEANS.values()])
    draws = np.zeros((len(table), 41))
    draws[1] = np.log(np.linspace(0.6, 1.0, 41) - 0.1)  # of the largest size's last checkpoint, at the low mean
    draws[4] = np.log(np.linspace(0.9, 1.3, 41))
    found = detail.cmpq(table, draws, by)
    assert (found["cmpq_low_smallest"], found["cmpq_low_largest"]) == (3.0, 0.8)
    assert (found["cmpq_high_bits_smallest"], found["cmpq_high_bits_largest"]) == (3.5, 2.8)
    assert found["cmpq_low_largest_low"] == pytest.approx(0.51)
    assert found["cmpq_low_largest_high"] == pytest.approx(0.89)
    assert (found["cmpq_low_mean"], found["cmpq_high_mean_high"]) == (1.4, 6.0)
    draws[1] += 1
    with pytest.raises(ValueError, match="at the low mean alone"):
        detail.cmpq(table, draws, by)


def test_a_cheaper_row_is_compared_with_the_narrowest_codes_of_its_checkpoint():
    rows = [("x", LINE, "2 bits", 2, 2.6, 1.0), ("x", "CMPQ", "mean 2.25 bits", 4, 2.5, 0.9)]
    rows += [("y", LINE, "2 bits", 2, 2.6, 1.0), ("y", "CMPQ", "mean 2.25 bits", 4, 2.5, 1.1)]
    rows += [("z", LINE, "2 bits", 2, 2.6, 1.0), ("z", "CMPQ", "mean 2.25 bits", 4, 2.7, 0.5)]
    table = pd.DataFrame(rows, columns=["checkpoint_id", "way", "setting", "bits", "stored_bits", "qid_nats"])
    assert detail.cheaper_than_narrowest(table) == {"n_cheaper": 2, "n_cheaper_wins": 1}


def test_the_kernel_is_a_mean_over_layers_beside_the_cost_of_the_same_checkpoint():
    shares = pd.DataFrame(
        {"bits": bits, "exponent": exponent, "share": share}
        for bits, exponent, of_layers in (
            *((4, 1.0, (0.3, 0.5)), (4, 0.5, (0.3, 0.4)), (4, 0.15, (0.3, 0.34))),
            *((8, 1.0, (0.03, 0.05)), (8, 0.5, (0.03, 0.04)), (8, 0.15, (0.03, 0.03))),
        )
        for share in of_layers
    )
    same = {"model": "m", "step": 7, "activation_bits": 4, TOKENS_SEEN: 9.5e8}
    costs = pd.DataFrame([same | {"way": INPUT_WAYS["token"], "cost_nats": 0.9}])
    costs = pd.concat([costs, pd.DataFrame([same | {"way": INPUT_WAYS["cross"], "cost_nats": 0.3}])])
    found = detail.kernel(shares, costs, "m", 7)
    assert found["kernel_token_4"] == pytest.approx(0.4)
    assert found["kernel_cross_8"] == pytest.approx(0.03)
    assert found["kernel_factor"] == pytest.approx(0.4 / 0.32)
    assert found["cost_factor"] == pytest.approx(3)
    assert (found["kernel_model"], found["kernel_tokens"]) == ("m", "950M")
    with pytest.raises(ValueError, match="more than the kernel says"):
        detail.kernel(shares, costs.assign(cost_nats=[0.4, 0.3]), "m", 7)


def test_panels_of_trends_share_bounds_that_hold_every_ratio():
    rows = [
        {"way": way, "setting": setting, "ratio": 2.0 + index}
        for index, (way, setting) in enumerate(TREND_PANELS.values())
    ]
    panels, (low, high) = detail.trend_panels(pd.DataFrame([*rows, {"way": "RTN", "setting": "2 bits", "ratio": 99.0}]))
    assert list(panels) == list(TREND_PANELS)
    assert [len(one) for one in panels.values()] == [1] * 6
    assert (low, high) == (pytest.approx(2 / 1.1), pytest.approx(7 * 1.1))
