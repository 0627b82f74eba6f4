"""What the chapter on the unified law states, on tables small enough to count by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.law import unified_law

MILLION = 1e6
LN = np.log


def rows_of(values: dict[tuple[float, float, float], float], epoch: float = 1e9) -> pd.DataFrame:
    """Return one row for each (N, D, P) with its QiD, of one run a size."""
    rows = [
        {
            "n_params_non_embedding": n,
            "tokens_seen": d,
            "bits": p,
            "qid_nats": qid,
            "qid_se_nats": 1e-4,
            "run_label": f"{n}",
        }
        | {"document_qid_nats": qid + np.array([1e-4, -1e-4]), "epochs": d / epoch, "unique_tokens": epoch}
        | {"effective_bits": p + 0.5, "n_bytes": 300, "n_tokens": 100, "kl_nats": 2 * qid, "eval_id": "e"}
        for (n, d, p), qid in values.items()
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def scattered() -> pd.DataFrame:
    """Return rows of 0.2 D^0.5 / (N^0.4 P^5), five sizes at six moments, which scatter by 2%."""
    generator = np.random.default_rng(3)
    places = [
        (n, d, p) for n in 2.0 ** np.arange(5) * MILLION for d in 2.0 ** np.arange(6) * 1e8 for p in (2.0, 3.0, 4.0)
    ]
    return rows_of({(n, d, p): 0.2 * d**0.5 / n**0.4 / p**5 * np.exp(0.02 * generator.normal()) for n, d, p in places})


@pytest.fixture(scope="module")
def fit(scattered):
    return unified_law.law_of(scattered)


def test_exponents_are_those_that_were_planted_with_their_intervals(fit):
    found = unified_law.exponents(fit, {})
    for name, planted in (("beta", 0.5), ("alpha", 0.4), ("gamma", 5.0)):
        assert found[name] == pytest.approx(planted, abs=0.03)
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
        assert found[f"{name}_without_low"] <= found[f"{name}_without_high"]
    assert found["doubling"] == pytest.approx(2 ** found["beta"])
    assert found["paper_growth"] == pytest.approx(1.133e10 / 16e6, rel=1e-3)


def test_what_is_fitted_is_counted(scattered, fit):
    found = unified_law.what_is_fitted(scattered, fit)
    assert (found["rows"], found["runs"], found["epochs"]) == (90, 5, 3.2)
    assert (found["stored_2"], found["stored_4"], found["unique_tokens"]) == (2.5, 4.5, "1B")
    assert sum(found[f"share_{bits}"] for bits in (2, 3, 4)) == pytest.approx(1)
    with pytest.raises(ValueError, match="one number of stored bits"):
        unified_law.what_is_fitted(scattered.assign(effective_bits=range(len(scattered))), fit)


def test_the_box_holds_the_rows_and_k_takes_the_unit_of_tokens(scattered, fit):
    found = unified_law.box(scattered, fit)
    assert (found["box_tokens_low"], found["box_tokens_high"]) == ("100M", "3.2B")
    assert (found["box_size_low"], found["box_size_high"]) == ("1M", "16M")
    assert (found["box_bits_low"], found["box_bits_high"], found["token_bytes"]) == (2, 4, 3)
    assert found["ratio_low"] == pytest.approx(100 / 16)
    assert found["k_bytes"] / found["k_tokens"] == pytest.approx(3 ** -(1 + fit.estimate("beta").value))


# QiD at 3 bits in units of 0.1 at four doublings of D; the first two are the first epoch
SMALL, LARGE = (1, 4, 4, 4), (2, 2, 1, 2)


def bent(more_at_two_bits: float = 0.3) -> pd.DataFrame:
    values = {}
    for size, path in ((1e6, SMALL), (4e6, LARGE)):
        for place, qid in enumerate(path):
            for bits in (2.0, 3.0, 4.0):
                values[size, 1e8 * 2**place, bits] = 0.1 * qid * 2 ** (place * more_at_two_bits * (bits == 2))
    return rows_of(values, epoch=2e8)


def test_local_exponents_are_the_slopes_of_each_path():
    found = unified_law.where_it_breaks(bent(), bent())
    expected = {"first_smallest": 2.1, "first_largest": 0.1, "later_smallest": 0.1, "later_largest": 1.1}
    expected |= {"slower": 0.5, "slower_low": 0.5 - 12.706204736 * 1.5, "beta_step": 0.3, "beta_bits_spread": 0.3}
    # least squares over doublings 0 to 3: 0.6 of the small path (0, 2, 2, 2), -0.1 of the large one (1, 1, 0, 1)
    expected |= {"beta_size_spread": 0.7, "alpha_first": -0.5, "alpha_most": 1.0}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["slower_sizes"], found["beta_step_sizes"]) == (1, 2)
    assert (found["smallest"], found["largest"], found["first_tokens"], found["most_tokens"]) == (
        "1M",
        "4M",
        "100M",
        "400M",
    )


def test_a_size_that_helps_from_the_start_is_not_what_the_page_says():
    table = bent()
    table.loc[(table["tokens_seen"] == 1e8) & (table["n_params_non_embedding"] == 4e6), "qid_nats"] = 0.01
    with pytest.raises(ValueError, match="alpha rises from below zero"):
        unified_law.where_it_breaks(table, table)


def test_misses_are_factors_of_the_law():
    ratios = {1e6: (0.5, 2.0, 0.8), 4e6: (0.5, 1.0, 1.25)}
    table = rows_of({(n, 1e8 * 2**i, 3.0): ratio for n, path in ratios.items() for i, ratio in enumerate(path)})
    data = SimpleNamespace(outcome_nats=table["qid_nats"].to_numpy(), outcome_se_nats=table["qid_se_nats"].to_numpy())
    found = unified_law.how_well(table, SimpleNamespace(data=data, fitted_nats=np.ones(6)))
    squares = 3 * LN(2) ** 2 + 2 * LN(1.25) ** 2
    expected = {"typical_error": np.exp(np.sqrt(squares / 6)) - 1, "decades": np.log10(4), "worst_over": 2.0}
    expected |= {"worst_under": 2.0, "small_top": 2.0, "small_last": 0.8, "large_first": 0.5, "large_last": 1.25}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["sizes_back"], found["back_below"]) == (1, "4M")


def stub(beta: float, tau: float = 0.1, **more: float) -> SimpleNamespace:
    values = {"beta": beta, "alpha": 0.4, "gamma": 5.0} | more
    return SimpleNamespace(
        tau=tau,
        estimate=lambda name: SimpleNamespace(value=values[name], low=values[name] - 0.1, high=values[name] + 0.1),
    )


def test_beginnings_name_the_cuts_and_refuse_a_beta_that_turns():
    betas = (0.5, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
    cuts = {f"{i}": stub(beta, tau=1 - i / 10, gamma=4 + i / 10) for i, beta in enumerate(betas)}
    found = unified_law.beginnings(cuts, stub(0.75))
    expected = {"tau_all": 1.0, "tau_latest": 0.4, "beta_most": 0.9, "beta_latest": 0.4, "beta_late": 0.6}
    expected |= {"beta_late_low": 0.5, "beta_one_epoch": 0.75, "beta_one_epoch_high": 0.85}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["late_cut"], found["latest_cut"]) == ("120M", "480M")
    with pytest.raises(ValueError, match="beta only falls"):
        unified_law.beginnings(cuts | {"5": stub(0.65, tau=0.5, gamma=4.5)}, stub(0.75))


def test_exercises_solve_the_law():
    found = unified_law.in_exercises(stub(0.5))
    expected = {"bits_for_ten": 10**0.1, "bits_from_three": 3 * 10**0.1, "size_for_two": 2**1.25}
    assert found == pytest.approx(expected)
