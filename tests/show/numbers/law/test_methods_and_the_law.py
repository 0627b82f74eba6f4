"""What the appendix states of chapter 5's law, on tables small enough to count by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.show.numbers.law.test_unified_law import rows_of, stub

from helpers.analyse.fits.data import FitData
from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.laws.variables import ValidityRange
from helpers.show.numbers.law import methods_and_the_law

ANYWHERE = ValidityRange((0, np.inf), (0, np.inf), (0, np.inf))


def test_outcomes_are_listed_by_fit_and_one_outside_the_interval_is_refused():
    fits = {name: stub(0.5, tau=0.2) for name in ("kl", "pooled", "pooled_kl")}
    for fit in fits.values():
        fit.n_rows, fit.n_runs = 12, 3
    found = methods_and_the_law.of_outcomes(fits, stub(0.55))
    assert (found["kl_tau"], found["pooled_rows"], found["pooled_runs"]) == (0.2, 12, 3)
    assert (found["kl_beta"], found["pooled_kl_beta_low"], found["pooled_alpha_high"]) == (0.5, 0.4, 0.5)
    with pytest.raises(ValueError, match="beta of kl"):
        methods_and_the_law.of_outcomes(fits, stub(0.65))


def held(qid, low, high, bits, tokens):
    data = SimpleNamespace(
        outcome_nats=np.array(qid), bits=np.array(bits), tokens=np.array(tokens), n_params=np.full(4, 8e6)
    )
    fit = SimpleNamespace(n_runs=2, data=SimpleNamespace(n_params=np.array([2e6, 4e6])))
    scores = {"log_bias": 0.01, "log_rms": np.log(1.2), "coverage": 0.5, "n_rows": 4}
    return SimpleNamespace(
        data=data,
        fit=fit,
        level=0.9,
        low_nats=np.array(low),
        high_nats=np.array(high),
        predicted_nats=np.full(4, 1.0),
        scores=lambda: scores,
    )


def test_what_lies_outside_the_intervals_is_counted():
    one = held([0.1, 1, 3, 1], [0.5] * 4, [1.5] * 4, [2, 2, 3, 4], [1e8, 2e8, 3e8, 3e8])
    found = methods_and_the_law.predicted(one, one)
    assert (found["held_above"], found["held_below"], found["held_from"]) == (1, 1, "300M")
    expected = {"held_width": 0.5, "held_jump": 2.0, "held_rms": 0.2, "held_ratio": np.exp(0.01)}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    wrong = held([0.1, 1, 1, 3], [0.5] * 4, [1.5] * 4, [2, 2, 3, 4], [1e8, 2e8, 3e8, 3e8])
    with pytest.raises(ValueError, match="of 3 bits"):
        methods_and_the_law.predicted(wrong, wrong)


def test_an_exact_power_of_tokens_has_one_exponent_in_every_window():
    places = [(n, d, p) for n in (1e6, 2e6, 4e6) for d in 2.0 ** np.arange(6) * 1e8 for p in (2.0, 3.0, 4.0)]
    generator = np.random.default_rng(0)
    table = rows_of(
        {(n, d, p): 0.2 * d**0.5 / n**0.4 / p**5 * np.exp(0.001 * generator.normal()) for n, d, p in places}
    )
    found = methods_and_the_law.windows(table)
    assert [found[f"window_{name}_to"] for name in ("first", "middle", "last")] == ["200M", "800M", "3.2B"]
    for name in ("first", "middle", "last"):
        assert found[f"window_{name}"] == pytest.approx(0.5, abs=0.01)
        assert found[f"window_kl_{name}"] == pytest.approx(0.5, abs=0.01)
        assert found[f"window_{name}_low"] < found[f"window_{name}"] < found[f"window_{name}_high"]


GRIDS = {4: (1 / 15) ** 2, 5: (1 / 31) ** 2, 6: (1 / 63) ** 2, 8: (1 / 255) ** 2}


def widths(at_five: float = 1.0):
    """Two runs whose QiD is the square of the grid's step from 4 bits on, 0.9 of the law at 4 and 1.1 at 3 bits."""
    law = UnifiedLaw(k=1.0, beta=0.0, alpha=0.0, gamma=4.0, source="planted", validity=ANYWHERE)
    qid = {2.0: 1 / 16, 3.0: 1.1 / 81} | {float(p): 0.9 / 256 * step / GRIDS[4] for p, step in GRIDS.items()}
    qid[5.0] *= at_five
    table = rows_of({(n, d, p): value for n in (1e6, 2e6) for d in (1e8, 2e8) for p, value in qid.items()})
    return table, SimpleNamespace(law=law, estimate=lambda name: SimpleNamespace(value=4.0))


def test_bits_beyond_the_fit_follow_the_square_of_the_step():
    found = methods_and_the_law.more_bits(*widths())
    expected = {"over_3": 1.1, "over_4": 0.9, "over_5": 0.9 / 256 * (15 / 31) ** 2 * 625, "step_45": (31 / 15) ** 2}
    expected |= {"grid_45": (31 / 15) ** 2, "power_45": 1.25**4, "step_56": (63 / 31) ** 2}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["unseen_widths"], found["eight_rows"], found["eight_clear"], found["eight_below"]) == (
        "5, 6, 8",
        4,
        0,
        0,
    )
    with pytest.raises(ValueError, match="close to what is measured"):
        methods_and_the_law.more_bits(*widths(at_five=1.5))


def test_the_published_law_on_rows_outside_its_box():
    table = rows_of({(n, 1e8, 3.0): 2 * OUYANG_2024.predict(1e8, n, 3.0) for n in (1e6, 2e6)})
    found = methods_and_the_law.published_here(SimpleNamespace(data=FitData.from_table(table)))
    assert found["ours_median"] == pytest.approx(2)
    assert (found["paper_tokens_low"], found["paper_size_low"]) == ("1.07B", "85.1M")


def test_the_peak_of_the_largest_is_told_with_kl_and_the_second_run():
    wide = {(n, d, float(p)): 0.1 for n in (1e6, 4e6) for d in (1e8, 2e8) for p in (3, 4, 5, 6, 8)}
    wide[4e6, 2e8, 3.0] = 0.3
    every = rows_of(wide)
    rows = every[every["bits"].isin([3, 4])]
    fits = SimpleNamespace(
        every_width=every,
        rows=rows,
        whole=SimpleNamespace(
            data=SimpleNamespace(outcome_nats=rows["qid_nats"].to_numpy()), fitted_nats=np.full(len(rows), 0.2)
        ),
    )
    again = rows_of({(4e6, 2e8, 3.0): 0.15})
    found = methods_and_the_law.peak_of_largest(fits, again)
    expected = {"large_3": 1.5, "peak_3": 3.0, "peak_4": 1.0, "peak_8": 1.0, "second_large_3": 0.5}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["large_3_tokens"], found["second_large_tokens"]) == ("200M", "200M")
