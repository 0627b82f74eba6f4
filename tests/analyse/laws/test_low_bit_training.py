"""The laws of training at low bits against what their papers say of them in figures, and against exact identities.

Chen et al. give averages over runs, their law is a fit with a relative error of 5%: tolerances are a tenth of a share,
or what stands beside them.
"""

from pathlib import Path

import numpy as np
import pytest

from helpers.analyse.laws.low_bit_training import CHEN_2025, CHEN_2025_LOSS, KUMAR_2024_TRAINING

ROOT = Path(__file__).parents[3]
GROUPS = np.array([32.0, 64, 128, 256])


@pytest.mark.parametrize(
    ("which", "larger_by", "longer_by"),
    # section 4.2 and 4.3: from 74M to 594M parameters, and from 10B to 100B tokens
    [("W4A4", 0.34, 0.22), ("W4A16", 0.51, 0.43), ("W16A4", 0.34, 0.12)],
)
def test_chen_s_law_falls_with_size_and_grows_with_tokens_as_printed(which, larger_by, longer_by):
    law = CHEN_2025[which]
    falls = 1 - law.gap(5.94e8, 1e11, GROUPS) / law.gap(7.4e7, 1e11, GROUPS)
    grows = law.gap(5.94e8, 1e11, GROUPS) / law.gap(5.94e8, 1e10, GROUPS) - 1
    assert falls == pytest.approx(np.full(4, larger_by), abs=0.04)
    assert grows == pytest.approx(np.full(4, longer_by), abs=0.05)


@pytest.mark.parametrize(
    ("group_size", "tokens_per_parameter", "printed"),
    [(32, 100, 1.67), (32, 1000, 1.20), (256, 1000, 1.62)],  # section 4.3, of figure 8a
)
def test_chen_s_input_error_over_weight_error_is_as_printed(group_size, tokens_per_parameter, printed):
    """The figure has one number for sizes in which the law's ratio moves by 14%: the mean of both ends."""
    sizes = np.array([7.4e7, 5.95e8])
    at = sizes, tokens_per_parameter * sizes, group_size
    ratio = CHEN_2025["W16A4"].gap(*at) / CHEN_2025["W4A16"].gap(*at)
    assert ratio.mean() == pytest.approx(printed, rel=0.1)


def test_chen_s_coarsest_and_finest_groups_are_as_far_apart_as_printed():
    """Section 4.2 and figure 4c: 0.037 nats at 594M and 100B tokens, a channel having 1,536 weights."""
    law = CHEN_2025["W4A4"]
    assert law.gap(5.94e8, 1e11, 1536) - law.gap(5.94e8, 1e11, 32) == pytest.approx(0.037, rel=0.1)


def test_chen_s_errors_add_up_as_printed():
    """Figure 6: 0.906 times the sum of both, over all groups and the corners of sizes and tokens."""
    sizes, tokens = np.meshgrid([7.4e7, 5.95e8], [1e10, 1e11])
    at = sizes[..., None], tokens[..., None], GROUPS
    parts = CHEN_2025["W4A16"].gap(*at) + CHEN_2025["W16A4"].gap(*at)
    slope = (CHEN_2025["W4A4"].gap(*at) * parts).sum() / (parts**2).sum()
    assert slope == pytest.approx(0.906, rel=0.05)


def test_chen_s_parameter_multiplier_solves_its_equation_and_is_above_a_half_where_the_paper_says_so():
    """Equations 11 and 12, by putting the multiplier back into the loss; figure 16a in most cases."""
    law, loss = CHEN_2025["W4A4"], CHEN_2025_LOSS
    at = 1.45e8, 5e10, 128.0
    fewer = float(law.left(*at, loss)) * at[0]
    gap = float(loss.predict(at[1], fewer, np.nan) - loss.predict(at[1], at[0], np.nan))
    assert gap == pytest.approx(float(law.gap(*at)), rel=1e-9)
    sizes, tokens = np.meshgrid([7.4e7, 1.45e8, 2.97e8, 5.95e8], [1e10, 2e10, 5e10, 1e11])
    assert (law.left(sizes, tokens, 32.0, loss) > 0.5).mean() > 0.5


def test_a_group_of_one_weight_loses_nothing():
    assert float(CHEN_2025["W4A4"].gap(1e8, 1e10, 1)) == 0


def test_kumar_s_law_takes_no_parameter_away_at_many_bits_and_all_at_none():
    law = KUMAR_2024_TRAINING
    assert float(law.left()) == 1
    assert float(law.left(0.5, 8, 8)) == 0
    by_hand = (1 - np.exp(0.3037 - 4 / 2.6745)) * (1 - np.exp(1.4072 - 8 / 2.2102))
    assert float(law.left(4, 8)) == pytest.approx(by_hand, rel=1e-12)
    assert float(law.gap(1e8)) == 0
    # 4299 / 1e8^0.4965 = 0.4585 nats, times 0.6964^-0.4965 - 1 = 0.1968
    assert float(law.gap(1e8, 4)) == pytest.approx(0.0902, abs=1e-4)


def test_kumar_s_best_bits_for_a_budget_of_compute_are_as_printed():
    """Work is N D P, so that at a given D the bits are best where left / P is: 7 to 8, says the paper."""
    bits = np.linspace(1, 16, 1501)
    best = bits[np.argmax(KUMAR_2024_TRAINING.left(bits, bits, bits) / bits)]
    assert 6.99 < best < 8


def test_what_the_sweep_says_was_expected_is_what_the_laws_give():
    said = " ".join(line.lstrip("# ") for line in (ROOT / "sweeps/native.yml").read_text().splitlines())
    sizes, steps = np.array([595_072, 3_159_552, 14_196_480]), 131_072
    chen = [CHEN_2025["W4A16"].gap(sizes, step * steps, 32) for step in (3725, 500)]
    kumar = [KUMAR_2024_TRAINING.gap(sizes, bits, inputs) for bits, inputs in ((4, np.inf), (3, np.inf), (2, np.inf))]
    for expected in (*chen, *kumar, KUMAR_2024_TRAINING.gap(sizes, np.log2(3), 8)):
        assert ", ".join(f"{value:.3f}" for value in expected) in said
