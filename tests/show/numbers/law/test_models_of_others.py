from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.law import models_of_others as numbers

MIDDLE = {"equation 8": 0.5, "its table": 0.6, "Kumar et al.": 1.1, "ours, power": 0.8, "ours, loss": 5.0}


def beside():
    """Two models a family and law whose ratios are half and twice the middle; a broken one and a QiD of zero."""
    rows = [
        {"law": law, "family": family, "model": f"{family}-{name}", "ratio": middle * factor}
        for law, middle in MIDDLE.items()
        for family in ("OPT", "LLaMA")
        for name, factor in (("1B", 0.5), ("30B", 2.0), ("66B", 100.0 if family == "OPT" else 0.0))
    ]
    return pd.DataFrame(rows)


def test_factors_leave_out_the_broken_model_and_zeros():
    factors = numbers.factors_of(beside())
    assert factors.loc[("ours, power", "OPT"), "middle"] == pytest.approx(0.8)
    typical = np.exp(np.sqrt((np.log(0.4) ** 2 + np.log(1.6) ** 2) / 2))
    assert factors.loc[("ours, power", "LLaMA"), "typical"] == pytest.approx(typical)
    assert numbers.factors_table(factors).loc["Kumar et al.", "OPT"] == "1.10 (2.0)"


def stored():
    def fit(**params):
        validity = SimpleNamespace(
            tokens=(6e7, 1e9), n_params=(1e5, 4e7), covariates={"loss_nats": (1.5, 3.0)}, contains=contains
        )
        values = {name: SimpleNamespace(value=value) for name, value in params.items()}
        return SimpleNamespace(params=values, law=SimpleNamespace(validity=validity))

    def contains(tokens, n_params, bits):
        return (tokens < 1e9) & (n_params < 4e7)

    power, grouped = fit(alpha=0.3), fit(alpha=0.3, beta=0.5, eta=0.25)
    return SimpleNamespace(fits={"power": power, "group-size": grouped, "loss": fit(alpha=0.8, lambda_=2.0)})


def points(n_params=4e9):
    table = pd.DataFrame({"model": ["OPT-30B", "OPT-66B", "OPT-66B"], "bits": [3, 3, 4], "qid_nats": [0.1, 0.9, 0.0]})
    return table.assign(tokens_seen=1e11, n_params_non_embedding=[n_params, 4e10, 4e10])


def test_points_lie_powers_of_ten_outside_and_laws_miss_them_by_their_factors():
    found = numbers.models_of_others(points(), numbers.factors_of(beside()), stored())
    assert (found["points"], found["models"]) == (3, 2)
    assert (found["out_size"], found["out_tokens"]) == (pytest.approx(3), pytest.approx(2))
    assert (found["eq8_opt"], found["winner_llama"]) == (pytest.approx(0.5), pytest.approx(5))
    assert found["winner_left"] == pytest.approx(np.exp(3))  # lambda of 2 times a lowest loss of 1.5 nats


def test_a_point_inside_our_data_is_no_point_outside():
    inside = points(n_params=1e6).assign(tokens_seen=1e8)
    with pytest.raises(ValueError, match="outside our data"):
        numbers.models_of_others(inside, numbers.factors_of(beside()), stored())


def test_points_of_others_are_gptqs_in_groups_of_128_per_token():
    printed = pd.read_csv("data/published/published_perplexities.csv")
    chosen = numbers.points_of_others(printed)
    assert set(chosen["family"]) == {"OPT", "LLaMA"}
    assert set(chosen["method"]) == {"GPTQ"}
    assert chosen.groupby(["model", "bits"]).size().max() == 1


def test_tokens_twice_as_long_lower_the_points():
    printed = pd.read_csv("data/published/published_perplexities.csv")
    found = numbers.trust_in_points(printed, numbers.factors_of(beside()), stored(), n_bytes=2.4)
    assert found["byte_factor"] == pytest.approx(2**1.5)
    assert found["byte_opt"] == pytest.approx(0.8 / 2**1.5)
    assert found["coarser"] == pytest.approx(2**0.5)  # four times the group, to the power of a quarter
    assert found["own_bytes"] == 2.4
