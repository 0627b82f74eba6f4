from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.law import training_level as numbers

SIZES = (1e6, 2e6, 4e6, 8e6, 32e6)


def fit(alpha=0.5, beta=0.5, spread=0.0):
    covariance = np.diag([0.0, spread**2, 0.0, 0.0])
    return SimpleNamespace(
        law=SimpleNamespace(alpha=alpha, beta=beta), tau=0.2, covariance=covariance, degrees_of_freedom=np.array([8, 2])
    )


def test_an_error_of_qid_comes_out_over_beta():
    trunk = pd.DataFrame({"n_params_non_embedding": SIZES})
    found = numbers.definitions(fit(), trunk, seed_sd=0.1)
    assert (found["beta"], found["blow_up"], found["tau"], found["sizes"]) == (0.5, 2, 0.2, 5)
    assert found["tau_factor"] == pytest.approx(np.exp(0.4))
    assert found["seed_factor"] == pytest.approx(np.exp(0.2))
    assert (found["smallest"], found["largest"], found["late_tokens"]) == ("1M", "32M", "60M")


def test_answers_of_exercises_follow_from_the_exponents():
    found = numbers.exercises(fit(alpha=0.75, beta=0.5))
    assert (found["ex_one"], found["ex_ours"]) == (pytest.approx(0.1), pytest.approx(2))  # 4 to the power of a half
    assert found["ex_two"] == pytest.approx(np.hypot(0.05, 0.2) / 0.5)


def levels():
    """Three sizes reach every level at 100 tokens per parameter, the smallest before any of it at 200."""
    rows = [
        {"n_params_non_embedding": size, "bits": bits, "tokens": tokens, "loss_nats": 3.0 - np.log10(size / 1e6)}
        for bits in (2, 3, 4)
        for size, tokens in ((5e5, 1e8), (2e6, 2e8), (4e6, 4e8), (1e7, 1e9))
    ]
    return pd.DataFrame(rows).assign(per_parameter=lambda table: table["tokens"] / table["n_params_non_embedding"])


def trunk():
    """Runs whose QiD goes with tokens per parameter, but the largest's, which reaches no level and lies a tenth higher."""
    rows = [
        {"n_params_non_embedding": size, "bits": bits, "tokens_seen": tokens, "qid_nats": qid * more}
        | {"loss_nats_unquantized": 3.0 - np.log10(size / 1e6) - np.log10(tokens / 1e8) / 10, "model": f"m{size}"}
        for size, more in zip(SIZES, (1, 1, 1, 1, 1.1), strict=True)
        for tokens in (1e8, 2e8, 4e8, 8e8)
        for bits, scale in ((2, 0.4), (3, 0.05), (4, 0.01))
        for qid in (scale * (tokens / size / 100) ** 0.5,)
    ]
    return pd.DataFrame(rows)


def test_one_qid_is_one_number_of_tokens_per_parameter():
    made = trunk().rename(columns={"loss_nats_unquantized": numbers.LOSS})
    found = numbers.one_qid(levels(), made, fit(spread=0.1))
    assert (found["settled_sizes"], found["settled_small"], found["settled_large"]) == (3, "2M", "10M")
    assert (found["times_size"], found["times_tokens"]) == (5, pytest.approx(5))
    assert (found["per_low"], found["per_high"]) == (100, 100)
    assert found["loss_first"] - found["loss_last"] == pytest.approx(np.log10(5))
    assert (found["last_ratio"], found["beside_3"]) == (25, pytest.approx(1.1))
    assert (found["power"], found["power_high"]) == (
        1,
        pytest.approx(1 + 4.302652729911275 * 0.2),
    )  # t of 2; 2 times 0.1


def test_an_interval_without_one_is_no_such_claim():
    made = trunk().rename(columns={"loss_nats_unquantized": numbers.LOSS})
    with pytest.raises(ValueError, match="one lies in the interval"):
        numbers.one_qid(levels(), made, fit(alpha=0.75))


def readings(factors, covered=True):
    rows = [(size, tokens) for size in SIZES[-2:] for tokens in (1e8, 4e8)]
    table = pd.DataFrame(rows, columns=["n_params_non_embedding", "tokens_seen"]).assign(bits=3)
    return table.assign(ratio=factors, low=0.5, high=2.0, covered=covered)


def test_readings_are_judged_by_their_typical_factor():
    found = numbers.judged(readings([1.1, 0.9, 0.4, 1.2], covered=[True, True, False, True]))
    assert found[numbers.TYPICAL] == pytest.approx((1.2 / 0.9) ** 0.5)  # the median of four is between the middle two
    assert (found[numbers.WITHIN], found[numbers.COVERED], found[numbers.WIDTH]) == (0.75, 0.75, 4)
    text = numbers.gauges_table({"one": readings([1.0] * 4)})
    assert list(text.loc["one"]) == ["1.00", "100%", "100%", "4.00"]


def test_the_largest_is_read_first_low_and_then_high():
    twice = pd.concat([readings([1.0, 1.0, 0.6, 1.5])] * 2, ignore_index=True)
    read = {numbers.TOGETHER: twice, "QiD and 16-bit loss": readings([1.3, 1.3, 0.6, 1.5])}
    loss = pd.concat([readings([1.0, 1.2, 1.0, 1.2])] * 2)
    read[numbers.BY_LOSS] = loss.assign(tokens_seen=[1e8, 4e8, 2e8, 4e8] * 2, ratio=[1.0, 1.4, 1.1, 1.4] * 2)
    twice.loc[0, "covered"] = False  # one of eight, early
    found = numbers.readings(read, fit().law, fit(beta=0.4).law)
    assert (found["largest_first"], found["largest_last"]) == (0.6, 1.5)
    assert found["within_qid"] == 1
    assert found["typical_largest"] == pytest.approx((1.5 / 0.6) ** 0.5)
    with pytest.raises(ValueError, match="less steep"):
        numbers.readings(read, fit().law, fit(beta=0.6).law)


APPARENT = {  # by the difference: at 3 bits, by the loss
    "average": (0.7, 1.3),
    "cooldown": (1.2, 1.4),
    "cosine": (1.3, 1.0),
    "half": (1.1, 0.7),
    "double": (0.9, 1.2),
    "none": (1.2, 1.05),
    "triple": (0.8, 1.0),
    "seed": (1.0, 1.0),
}


def factors():
    rows = [
        {"way": numbers.WAYS[key], "gauge": gauge, "factor": factor, "low": factor - 0.1, "high": 1.5, "n_runs": 3}
        for key, (by_qid, by_loss) in APPARENT.items()
        for gauge, factor in (*((f"{bits} bits", by_qid) for bits in (2, 3, 4)), (numbers.BY_LOSS, by_loss))
    ]
    return pd.DataFrame(rows)


def test_recipes_shift_the_readings():
    found = numbers.broken(factors(), widest=4.0)
    assert (found["cooldown_qid"], found["cooldown_low"], found["cooldown_high"]) == (1.2, pytest.approx(1.1), 1.5)
    assert (found["average_qid"], found["average_loss"], found["wd_sizes"]) == (0.7, 1.3, 3)
    with pytest.raises(ValueError, match="no single reading"):
        numbers.broken(factors(), widest=1.5)


def test_apparent_factors_have_an_interval_from_three_sizes_on():
    rows = [
        {"way": way, "bits": bits, "run_label": f"r{run}", "model": f"m{run}", "n_params_non_embedding": 10.0**run}
        | {"log_by_qid": np.log(2.0) + 0.1 * (run - 1), "log_by_loss": 0.0}
        for way, n in (("a", 3), ("b", 2))
        for bits in (2, 3, 4)
        for run in range(n)
    ]
    found = numbers.apparent_factors(pd.DataFrame(rows)).set_index(["way", "gauge"])
    assert found.loc[("a", "3 bits"), "factor"] == pytest.approx(2)
    assert found.loc[("a", "3 bits"), "low"] < 2 < found.loc[("a", "3 bits"), "high"]
    assert np.isnan(found.loc[("b", "3 bits"), "low"])
    assert found.loc[("b", numbers.BY_LOSS), "factor"] == pytest.approx(1)


def test_rounding_takes_back_more_doublings_later():
    rows = [
        {"model": f"m{size}", "n_params_non_embedding": size, "bits": bits, "tokens_seen": tokens}
        | {"doublings": first * times, "gain_nats": gain}
        for size, scale in ((1e6, 1.0), (4e6, 0.5))
        for bits, first in ((2, 4 * scale), (3, 1.2 * scale), (4, 0.1 * scale))
        for tokens, times, gain in ((1e8, 1, 0.2), (8e8, 4, 0.1))
    ]
    found = numbers.doublings(pd.DataFrame(rows))
    assert (found["beyond_2"], found["beyond_3"], found["beyond_4"]) == (2, 2, 0)
    assert (found["doublings_small"], found["doublings_large"], found["last_tokens"]) == (16, 8, "800M")
    assert (found["grown_low"], found["grown_high"]) == (pytest.approx(4), pytest.approx(4))
    assert found["shrink_low"] == pytest.approx(0.5)  # ln 2 of ln 4
