"""Forms over the bit widths on planted tables: each comes back, and only a planted break is one."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.judgement.one_law_or_two import (
    EACH,
    NEXT,
    ONE,
    TWO,
    coefficients,
    forms,
    from_other_widths,
    left_out,
)
from helpers.table.errors import AnalysisError

WIDTHS = (2, 3, 4, 5, 8)


def planted(factor: float = 1.0, more: float = 0.0, noise: float = 0.0) -> pd.DataFrame:
    """Rows of five runs: KL = D^0.5 / N^0.4 (2^P - 1)^-2 / 10, at 2 bits `factor` D^`more` times that."""
    generator = np.random.default_rng(0)
    rows = []
    for n_params in (1e5, 3e5, 1e6, 3e6, 1e7):
        own = noise * generator.standard_normal()
        for tokens in (1e8, 2e8, 4e8, 8e8):
            for bits in WIDTHS:
                kl = 0.1 * tokens**0.5 / n_params**0.4 * (2**bits - 1.0) ** -2 * np.exp(own)
                kl *= factor * tokens**more if bits == 2 else 1
                kl *= np.exp(noise * generator.standard_normal())
                name = f"run-{n_params:g}"
                rows.append((name, n_params, tokens, bits, kl))
    return pd.DataFrame(rows, columns=["run_label", "n_params_non_embedding", "tokens_seen", "bits", "kl_nats"])


def test_planted_exponents_come_back():
    one = coefficients(planted(), ONE)
    assert one == pytest.approx([np.log(0.1), 0.5, 0.4, 2])
    two = coefficients(planted(3.0, 0.1), TWO)
    assert two == pytest.approx([np.log(0.1), 0.5, 0.4, 2, np.log(3.0), 0.1, 0], abs=1e-9)
    each = coefficients(planted(), EACH).reshape(len(WIDTHS), 3)
    assert each[:, 1:] == pytest.approx(np.tile([0.5, 0.4], (len(WIDTHS), 1)))


def test_a_planted_next_term_comes_back_and_foretells_the_narrow_width():
    """At 2 bits it is 5 / 9 of the first term: one law misses that, and its own form from the other widths doesn't."""
    table = planted()
    table["kl_nats"] *= 1 + 5 / (2.0 ** table["bits"] - 1) ** 2
    assert coefficients(table, NEXT) == pytest.approx([np.log(0.1), 0.5, 0.4, 5], abs=1e-5)
    wide = [3, 4, 5, 8]
    assert from_other_widths(table, wide, [2], NEXT)["log_over"].to_numpy() == pytest.approx(0, abs=1e-6)
    assert (from_other_widths(table, wide, [2])["log_over"] > 0.2).all()
    found = forms(table)
    assert found.loc[NEXT, "log_rms"] < 1e-6 < found.loc[ONE, "log_rms"]
    assert found.loc[NEXT, "n_coefficients"] == found.loc[ONE, "n_coefficients"]


def test_a_break_is_found_where_one_is_planted_and_nowhere_else():
    """Noise of 5%: a factor of two is forty of its standard deviations."""
    broken, straight = forms(planted(2.0, noise=0.05)), forms(planted(noise=0.05))
    assert broken.loc[TWO, "aic"] < broken.loc[ONE, "aic"] - 100
    assert broken.loc[TWO, "left_out_rms"] < 0.7 * broken.loc[ONE, "left_out_rms"]
    assert abs(straight.loc[TWO, "aic"] - straight.loc[ONE, "aic"]) < 10
    assert list(straight["n_coefficients"]) == [4, 4, 7, 15]


def test_the_other_side_of_a_break_is_off_by_the_break():
    over = from_other_widths(planted(2.0), [3, 4, 5, 8], [2])
    assert list(over["log_over"]) == pytest.approx([np.log(2)] * 20)
    assert (from_other_widths(planted(), [2, 3], [8])["log_over"].abs() < 1e-9).all()


def test_a_run_left_out_does_not_tell_its_own_prediction():
    """One run ten times as high: it is missed by that, and the others by more than nothing."""
    table = planted()
    table.loc[table["run_label"] == "run-1e+06", "kl_nats"] *= 10
    errors = left_out(table, ONE)
    assert errors["run-1e+06"] == pytest.approx(np.log(10))
    assert (errors.drop("run-1e+06") > 0.1).all()


def test_widths_that_do_not_tell_the_exponent_are_refused():
    with pytest.raises(AnalysisError, match="one law: 4 coefficients, but the rows tell 3"):
        from_other_widths(planted(), [4], [2])
    with pytest.raises(AnalysisError, match="the next term: it takes two bit widths to tell; got 1"):
        from_other_widths(planted(), [4], [2], NEXT)
