from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.analyse.examples import EVERY, EXAMPLES

from helpers.analyse.laws.forms import UnifiedLaw
from helpers.analyse.laws.joint import BlockByBothLaw
from helpers.analyse.laws.loss import ShannonLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.laws.shapes import OnsetLaw
from helpers.analyse.laws.variables import SIZE, TOKENS, LawError, Scale, Term

# Ouyang et al. 2024, Table 1: rows are sizes, columns QiDs (nats), values tokens (10^12), one table a bit width
CELLS = pd.read_csv(Path(__file__).parents[3] / "data" / "published" / "ouyang2024_table1.csv")
TABLE_1 = {
    bits: cells.pivot(index="n_params", columns="qid_nats", values="tokens_trillions")
    for bits, cells in CELLS.groupby("bits")
}
QID, SIZES = (TABLE_1[2].axes[axis].to_numpy(float) for axis in (1, 0))


def test_the_law_is_its_formula():
    expected = 0.017 * 3e11**0.5251 / (7e9**0.2261 * 3**5.4967)
    assert OUYANG_2024.predict(3e11, 7e9, 3) == pytest.approx(expected, rel=1e-12)


def test_prediction_broadcasts():
    tokens, sizes = np.geomspace(1e9, 1e11, 5)[:, None], np.array([1e9, 7e9])
    assert OUYANG_2024.predict(tokens, sizes, 4).shape == (5, 2)
    assert OUYANG_2024.predict(tokens, sizes, 4)[3, 1] == OUYANG_2024.predict(tokens[3, 0], sizes[1], 4)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("law", [OUYANG_2024, "per bit width"])
def test_inverses_round_trip(law, bits):
    law = OUYANG_2024_TABLE_1[bits] if law == "per bit width" else law
    tokens, n_params = np.geomspace(1e7, 1e14, 8), np.geomspace(1e5, 4e11, 8)
    qid = law.predict(tokens, n_params, bits)
    # 1e-9: a rounding error of 1e-16 in ln QiD, times |ln k| / exponent
    np.testing.assert_allclose(law.tokens_at(qid, n_params, bits), tokens, rtol=1e-9)
    np.testing.assert_allclose(law.n_params_at(qid, tokens, bits), n_params, rtol=1e-9)
    if law is OUYANG_2024:
        np.testing.assert_allclose(law.bits_at(qid, tokens, n_params), bits, rtol=1e-9)


@pytest.mark.parametrize("law", [OUYANG_2024, OUYANG_2024_TABLE_1[3]])
def test_coefficients_round_trip(law):
    again = type(law).from_coefficients(law.coefficients, law.source, law.validity)
    np.testing.assert_allclose(again.coefficients, law.coefficients, rtol=1e-12)
    assert again.parameter_names() == law.parameter_names()


def test_the_published_unified_law_reproduces_only_the_2_bit_cells_of_table_1():
    ratios = {
        bits: cells.to_numpy() * 1e12 / OUYANG_2024.tokens_at(QID, SIZES[:, None], bits)
        for bits, cells in TABLE_1.items()
    }
    # 0.0011 is printed with two digits: its own rounding is 4.5%, the law's 1% comes on top
    assert np.abs(np.log(ratios[2])).max() < 0.055
    assert np.median(np.abs(ratios[2] - 1)) < 0.05
    assert ratios[3].max() > 2
    assert ratios[4].max() > 2
    assert ratios[4].min() < 0.7


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_three_laws_of_one_bit_width_reproduce_table_1(bits):
    printed = TABLE_1[bits].to_numpy()
    predicted = OUYANG_2024_TABLE_1[bits].tokens_at(QID, SIZES[:, None], bits) / 1e12
    # half a unit of the last printed digit is 0.5e-4; the constants have six digits, which is 1e-4 of D
    np.testing.assert_allclose(predicted, printed, rtol=1e-4, atol=0.6e-4)


def test_a_law_of_one_bit_width_refuses_another():
    with pytest.raises(LawError, match="a law of bit width P = 3 was asked about 3, 4"):
        OUYANG_2024_TABLE_1[3].predict(1e9, 1e9, [3, 4])
    with pytest.raises(LawError, match="can't be solved for bit width P"):
        OUYANG_2024_TABLE_1[3].bits_at(0.1, 1e9, 1e9)


def test_validity_tells_interpolation_from_extrapolation():
    inside = OUYANG_2024.validity.contains(np.array([1e9, 2e9, 2e11, 1e12]), 1e9, 3)
    assert inside.tolist() == [False, True, True, False]
    assert not OUYANG_2024.validity.contains(1e10, 70e9, 3)


def test_parameters_are_the_fields_that_are_not_about_the_fit():
    assert UnifiedLaw.parameter_names() == ("k", "beta", "alpha", "gamma")
    assert OnsetLaw.parameter_names() == ("k", "beta", "alpha", "gamma", "D0", "nu", "s")
    assert BlockByBothLaw.parameter_names() == ("k", "beta", "alpha", "kappa", "c", "mu", "nu")
    assert ShannonLaw.parameter_names() == ("a", "alpha", "beta", "c", "gamma", "d", "delta", "e")


@pytest.mark.parametrize("name", EVERY)
def test_a_law_is_a_product_where_there_is_nothing_but_terms(name):
    law = type(EXAMPLES[name][0])
    read = {*(term.variable for term in law.TERMS), *law.HELD}
    only_terms = len(law.coefficient_names()) == 1 + len(law.term_parameters()) and set(law.needs()) == read
    assert law.is_product() == only_terms


def test_a_law_is_not_solved_for_what_it_only_tells_apart():
    class TwoBitsApart(UnifiedLaw):
        TERMS = (TOKENS, SIZE, Term("gamma", "bits", Scale(lambda bits: (bits == 2).astype(float), None), 1))

    law = TwoBitsApart(1.0, 0.5, 0.3, 2.0, source="none", validity=OUYANG_2024.validity)
    with pytest.raises(LawError, match="TwoBitsApart can't be solved for bit width P"):
        law.bits_at(0.1, 1e9, 1e9)
