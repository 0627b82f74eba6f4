import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.quadratic_rule import (
    expected_ratio,
    exponents,
    exponents_by_width,
    from_one_width,
    on_another_text,
)
from helpers.analyse.rows.outcomes import KL
from helpers.table.errors import AnalysisError


def planted(exponent: float = 2.0, scatter: float = 0.0) -> pd.DataFrame:
    """KL of five runs at four moments and five widths, proportional to (2^P - 1)^-exponent."""
    generator, rows = np.random.default_rng(0), []
    for run in range(5):
        for step in (1, 2, 4, 8):
            for bits in (3.0, 4.0, 5.0, 6.0, 8.0):
                size, tokens = 1e6 * 3.0**run, 1e8 * step
                value = 10 * tokens**0.5 * size**-0.47 * (2**bits - 1) ** -exponent
                value *= np.exp(scatter * generator.normal())
                place = {"run_label": f"run {run}", "n_params_non_embedding": size, "tokens_seen": tokens, "step": step}
                rows.append(
                    place | {"bits": bits, "kl_nats": value, "qid_nats": 0.9 * value, "checkpoint_id": (run, step)}
                )
    return pd.DataFrame(rows)


def test_one_more_bit_divides_kl_by_the_squares_of_the_steps():
    assert expected_ratio(4, 5) == pytest.approx((31 / 15) ** 2)
    np.testing.assert_allclose(expected_ratio([4, 6], 8), [17.0**2, (255 / 63) ** 2])


@pytest.mark.parametrize("exponent", [2.0, 1.8])
def test_a_planted_exponent_comes_back(exponent):
    mean, runs = exponents(planted(exponent))
    assert mean["mean"] == pytest.approx(exponent)
    assert len(runs) == mean["n_runs"] == 5
    noisy, _ = exponents(planted(exponent, scatter=0.05))
    assert noisy["low"] < exponent < noisy["high"]


def test_a_width_off_the_rule_shows_and_the_others_do_not():
    table = planted()
    table.loc[table["bits"] == 3, "kl_nats"] *= 1.5
    found = from_one_width(table)
    assert found.loc[3.0, "ratio"] == pytest.approx(1.5)
    assert found.loc[3.0, "log_rms"] == pytest.approx(np.log(1.5))
    np.testing.assert_allclose(found.loc[[5.0, 6.0, 8.0], "log_rms"], 0, atol=1e-9)
    with pytest.raises(AnalysisError, match="twice at one bit width"):
        from_one_width(pd.concat([table, table.head(1)]))


def test_exponents_of_tokens_and_size_are_those_planted_at_every_width():
    found = exponents_by_width(planted(scatter=0.02), KL)
    np.testing.assert_allclose(found["beta"], 0.5, atol=0.03)
    np.testing.assert_allclose(found["alpha"], 0.47, atol=0.03)
    assert (found["alpha_low"] < found["alpha_high"]).all()


def test_where_outcomes_part_on_another_text():
    table = planted()
    other = table.assign(kl_nats=1.14 * table["kl_nats"])
    found = on_another_text(table, other)
    np.testing.assert_allclose(found["kl_ratio"], 1.14)
    np.testing.assert_allclose(found["qid_ratio"], 1.0)
    np.testing.assert_allclose(found["qid_over_kl_second"], 0.9 / 1.14)
