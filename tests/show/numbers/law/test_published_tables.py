"""What the chapter on the published table states, on cells and runs small enough to count by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.questions.published_tables import HALF_DIGIT, PRINTED_UNIFIED, tokens_of_cells
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.law import published_tables as numbers
from helpers.show.numbers.law.unified_law import law_of


@pytest.fixture
def cells() -> pd.DataFrame:
    """Return the cells of the three laws, 16 a bit width, to the printed digits."""
    places = itertools.product((1e9, 7e9, 70e9, 405e9), (2, 3, 4), (0.2, 0.3, 0.4, 0.5))
    blank = pd.DataFrame(list(places), columns=["n_params", "bits", "qid_nats"])
    return blank.assign(tokens_trillions=tokens_of_cells(blank, numbers.TABLE_1).round(4))


def test_cells_that_the_three_laws_made_are_printed_by_them_alone(cells):
    table, laws = numbers.the_table(cells), numbers.nearest_laws(cells)
    found = numbers.which_law(cells, laws)
    assert (table["cells"], table["decimals"], table["sizes"]) == (48, 4, "1B, 7B, 70B, 405B")
    assert table["unified_prints"] == sum(table[f"unified_prints_{bits}"] for bits in (2, 3, 4)) < 4
    assert (found["three_prints"], found["cells_a_width"]) == (48, 16)
    for bits, law in numbers.TABLE_1.items():
        assert found[f"beta_{bits}"] == pytest.approx(law.beta, abs=found[f"beta_{bits}_width"])
    assert found["one_cell_high"] - found["one_cell_low"] == pytest.approx(2 * HALF_DIGIT)
    assert found["beta_2_high"] < PRINTED_UNIFIED["beta"][0]


def test_cells_of_equation_8_need_no_three_laws(cells):
    unified = cells.assign(tokens_trillions=tokens_of_cells(cells, numbers.UNIFIED).round(4))
    with pytest.raises(ValueError, match="bits"):
        numbers.the_table(unified)
    with pytest.raises(ValueError, match="no unified law"):
        numbers.which_law(unified, numbers.nearest_laws(unified))


def test_two_cells_tell_the_exponents_of_the_law_that_made_them(cells):
    found = numbers.in_exercises(cells)
    assert found["ex_beta"] == pytest.approx(numbers.TABLE_1[4].beta, abs=1e-4)
    assert found["ex_alpha"] == pytest.approx(numbers.TABLE_1[4].alpha, abs=1e-2)
    assert (found["ex_low"], found["ex_high"], found["ex_size"]) == (0.2, 0.4, "1B")


def test_a_large_number_is_written_with_a_power_of_ten():
    assert numbers.scientific(4.74e19) == "4.74 · 10¹⁹"


def test_a_turn_is_where_the_slope_of_the_loss_changes_its_sign():
    at = numbers.turn_of(7e9, 2)
    before, there, after = (
        numbers.OUYANG_2024_LOSS.predict(tokens, 7e9) + OUYANG_2024.predict(tokens, 7e9, 2)
        for tokens in (at / 2, at, 2 * at)
    )
    assert there < min(before, after)
    found = numbers.published_turns()
    assert found["guessing"] == pytest.approx(np.log(50304))
    assert (found["small"], found["large"], found["far"]) == ("7B", "405B", "100T")


SIZES = (1e6, 2e6, 4e6, 8e6)


def turned(three=(True, True, False, False), four=False) -> pd.DataFrame:
    """Return the turns of four runs, at 2 bits as the square root of N."""
    rows = []
    for place, size in enumerate(SIZES):
        for bits, flag in ((2, True), (3, three[place]), (4, four)):
            rise = 0.4 / 2**place if bits == 2 else 0.01 * (place + 1)
            tokens = 1e8 * 2 ** (place / 2) * (1 if place in (0, 3) else 0.6)  # symmetric, so that the slope stays
            rows.append(
                {
                    "n_params": size,
                    "bits": bits,
                    "tokens": tokens,
                    "rise_nats": rise,
                    "rise_se_nats": 0.002,
                    "turned": flag,
                }
            )
    return pd.DataFrame(rows)


def our_rows() -> pd.DataFrame:
    return pd.DataFrame({TOKENS_SEEN: [1e8, 2e8, 3e8], N_PARAMS: 1e6, "unique_tokens": 1.5e8})


def test_turns_are_counted_and_their_slope_is_that_of_the_sizes():
    found = numbers.our_turns(our_rows(), turned())
    assert (found["runs"], found["turned_2"], found["turned_3"], found["two_within_pass"]) == (4, 4, 2, 3)
    assert (found["two_first"], found["smallest"], found["largest"], found["three_largest"]) == (
        "100M",
        "1M",
        "8M",
        "2M",
    )
    expected = {"rise_smallest": 0.4, "rise_largest": 0.05, "rise_largest_se": 0.002, "three_rise_high": 0.02}
    expected["spacing"] = 3**0.5  # the mean of two steps in logarithms, from 100M to 200M to 300M
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    # residuals of ln 0.6 / 2 to each side; sizes a factor of 2 apart; t of 2 degrees of freedom
    half = 4.302652729911275 * np.log(0.6) / 2 * -(2**0.5) / (np.log(2) * 5**0.5)
    assert found["turn_slope"] == pytest.approx(0.5)
    assert found["turn_slope_high"] == pytest.approx(0.5 + half)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (turned(four=True), "at 4 bits none"),
        (turned(three=(False, True, False, False)), "at 3 bits the smallest"),
    ],
)
def test_turns_that_the_page_does_not_tell_are_refused(table, sentence):
    with pytest.raises(ValueError, match=sentence):
        numbers.our_turns(our_rows(), table)


def projections(level_at_two=30.0) -> pd.DataFrame:
    """Return values of four laws at two sizes: a law's column times 1 at 7B and 0.5 at 70B."""
    columns = {"equation 8": 1.0, "three laws": 2.0, "Kumar et al.": 0.5, "ours": 0.25}
    rows = [
        {"law": law, "n_params": size, "bits": bits, "qid_nats": value * times * (level_at_two if bits == 2 else 1)}
        | {"low": 0.1 if law == "ours" else np.nan, "high": 0.9 if law == "ours" else np.nan}
        | {"beyond": "guessing" if bits == 2 and law != "ours" and level_at_two > 5 else ""}
        for law, value in columns.items()
        for size, times in ((7e9, 1.0), (70e9, 0.5))
        for bits in (2, 4)
    ]
    return pd.DataFrame(rows)


def test_laws_far_ahead_part_by_the_factors_between_them():
    found = numbers.far_ahead(projections())
    expected = {"spread_low": 4, "spread_high": 4, "spread_all_high": 8, "own_low": 2, "worst_paper": 60, "small_4": 1}
    expected |= {"small_4_three": 2, "small_4_ours": 0.25, "small_4_ours_low": 0.1, "small_4_kumar": 0.5}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["their_cells"], found["beyond_guessing"], found["beyond_loss"]) == (12, 6, 0)
    table = numbers.projections_table(projections())
    assert list(table.columns) == ["equation 8", "three laws", "Kumar et al.", "ours"]
    assert table.loc["7B, 2 bits", "equation 8"] == "30.00 ‡"
    assert table.loc["70B, 4 bits", "ours"] == "0.12 [0.10, 0.90]"
    with pytest.raises(ValueError, match="at 2 bits every value"):
        numbers.far_ahead(projections(level_at_two=2.0))


def test_how_far_a_law_is_asked_beyond_its_data_is_in_powers_of_ten():
    found = numbers.extrapolated(pd.DataFrame({TOKENS_SEEN: [1e8, 1e9], N_PARAMS: [7e5, 7e6]}))
    expected = {"out_tokens": 5, "out_small": 3, "factor_far": 1e5, "quarters": np.log(1e5) / np.log(4)}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["kumar_factor"] == pytest.approx(np.exp(1.1277))


def test_a_law_that_bends_is_told_by_the_trial():
    rows = [
        {N_PARAMS: n, TOKENS_SEEN: d, "bits": p, "qid_nats": q, "qid_se_nats": 1e-4 * q, "run_label": f"{n}"}
        for n in SIZES
        for d in 1e8 * 2.0 ** np.arange(6)
        for p in (2.0, 3.0, 4.0)
        for q in [(d / 1e8) ** (1.0 if d < 5e8 else 0.0) * (4 if d > 5e8 else 1) / n**0.3 / p**5]
    ]
    found = numbers.trial(pd.DataFrame(rows))
    # a quarter of 3.2G tokens is 800M: 100M to 800M are fitted, 1.6G and 3.2G are predicted
    assert found["trial_rows"] == 24
    assert found["trial_bias"] > 1.2
    assert found["trial_coverage"] < 0.9


def test_bytes_stand_for_tokens_on_both_sides():
    late = pd.DataFrame(
        {"n_bytes": [300.0], "n_tokens": [100.0], "vocabulary_size": [1000], N_PARAMS: [7e6], TOKENS_SEEN: [1e9]}
    )
    assert numbers.VOCABULARY == 50304
    fit = planted_fit()
    found = numbers.per_byte(late, fit, numbers.projections_with_ours(fit))
    assert (found["own_bytes"], found["own_vocabulary"], found["byte_cells"]) == (3.0, 1000, 9)
    # with tokens of our own length both are divided by 3, so that the factor is that per token
    ahead = numbers.projections_with_ours(fit).pivot(index=["n_params", "bits"], columns="law", values="qid_nats")
    assert found["byte_most"] == pytest.approx((ahead["equation 8"] / ahead["ours"]).max())
    assert found["our_guessing"] == pytest.approx(np.log(1000))
    assert found["alpha_factor"] == pytest.approx(1000 ** (fit.estimate("alpha").value - OUYANG_2024.alpha))


def planted_fit():
    generator = np.random.default_rng(1)
    rows = [
        {N_PARAMS: n, TOKENS_SEEN: d, "bits": p, "qid_se_nats": 1e-5, "run_label": f"{n}"}
        | {"qid_nats": 0.2 * d**0.4 / n**0.45 / p**5 * np.exp(0.02 * generator.normal())}
        for n in SIZES
        for d in 1e8 * 2.0 ** np.arange(5)
        for p in (2.0, 3.0, 4.0)
    ]
    return law_of(pd.DataFrame(rows))
