"""The published table and projections: exact cases, planted laws, and the paper's cells."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.predictions import predictions
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_LOSS, OUYANG_2024_TABLE_1
from helpers.analyse.questions.published_tables import (
    HALF_DIGIT,
    PRINTED_UNIFIED,
    TRILLION,
    guessing_tokens,
    law_through_cells,
    prints,
    projected,
    projections,
    rounded_loss,
    tokens_of_cells,
    turning_points,
    turning_tokens,
)

UNIFIED = dict.fromkeys((2, 3, 4), OUYANG_2024)


@pytest.fixture(scope="module")
def cells():
    return pd.read_csv(Path(__file__).parents[3] / "data/published/ouyang2024_table1.csv")


def planted_cells(cells, laws):
    return cells.assign(tokens_trillions=tokens_of_cells(cells, laws).round(4))


def test_the_table_is_whole_and_grows_with_size_bits_and_qid(cells):
    assert cells.groupby(["n_params", "bits", "qid_nats"]).size().eq(1).all()
    assert len(cells) == 4 * 3 * 4
    for name in ("n_params", "bits", "qid_nats"):
        others = [one for one in ("n_params", "bits", "qid_nats") if one != name]
        ordered = cells.sort_values(name).groupby(others)["tokens_trillions"]
        assert ordered.apply(lambda tokens: tokens.is_monotonic_increasing).all()


def test_cells_are_solved_by_the_law_of_their_bit_width(cells):
    mixed = {2: OUYANG_2024, 3: OUYANG_2024_TABLE_1[3], 4: OUYANG_2024}
    shuffled = cells.sample(frac=1, random_state=5)
    found = tokens_of_cells(shuffled, mixed)
    for index, row in shuffled.iterrows():
        expected = mixed[int(row["bits"])].tokens_at(row["qid_nats"], row["n_params"], row["bits"]) / TRILLION
        assert found[index] == pytest.approx(float(expected), rel=1e-12)
    assert prints(cells, cells["tokens_trillions"] + 0.99 * HALF_DIGIT).all()
    assert not prints(cells, cells["tokens_trillions"] + 1.01 * HALF_DIGIT).any()


def test_three_laws_print_every_cell_and_equation_8_hardly_any(cells):
    nearest = {bits: law_through_cells(OneBitWidthLaw, rows) for bits, rows in cells.groupby("bits")}
    assert prints(cells, tokens_of_cells(cells, {bits: fit.law for bits, fit in nearest.items()})).all()
    for bits, fit in nearest.items():
        assert fit.worst < 1
        for name in ("beta", "alpha"):
            low, high = fit.ranges[name]
            # the constants of `laws` have six digits: 1e-6
            assert low - 1e-6 < getattr(OUYANG_2024_TABLE_1[bits], name) < high + 1e-6
    assert prints(cells, tokens_of_cells(cells, UNIFIED)).sum() <= 2
    two = cells[cells["bits"] == 2]
    assert law_through_cells(UnifiedLaw, two, PRINTED_UNIFIED).worst > 1


def test_a_planted_law_is_found_within_its_digits(cells):
    four = planted_cells(cells, UNIFIED)
    fit = law_through_cells(UnifiedLaw, four)
    assert fit.worst <= 1 + 1e-6  # of the solver
    assert prints(four, tokens_of_cells(four, dict.fromkeys((2, 3, 4), fit.law))).all()
    for name, (low, high) in fit.ranges.items():
        planted = dict(zip(UnifiedLaw.coefficient_names(), OUYANG_2024.coefficients, strict=True))[name]
        assert low - 1e-9 <= planted <= high + 1e-9
    assert law_through_cells(UnifiedLaw, four, PRINTED_UNIFIED).worst <= 1 + 1e-6
    wrong = four["tokens_trillions"] + 20 * HALF_DIGIT * (four.index == 33)  # 70B, 4 bits, 0.3: by ten digits
    broken = law_through_cells(UnifiedLaw, four.assign(tokens_trillions=wrong))
    assert broken.worst > 1
    assert broken.ranges == {}


def test_the_turning_point_is_where_the_slopes_cancel():
    for bits, law in OUYANG_2024_TABLE_1.items():
        tokens = turning_tokens(law, OUYANG_2024_LOSS, 7e9, bits)
        one = OUYANG_2024_LOSS
        inner = (one.N_c / 7e9) ** (one.alpha_N / one.alpha_D) + one.D_c / tokens
        falling = one.alpha_D * inner ** (one.alpha_D - 1) * one.D_c / tokens
        rising = law.beta * law.predict(tokens, 7e9, bits)
        # central differences of a step of 1e-4 are wrong by 1e-8 of the slopes, and rounding by 1e-12 / 1e-4
        assert rising == pytest.approx(falling, rel=1e-6)
        around = rounded_loss(law, OUYANG_2024_LOSS, tokens * np.array([0.9, 1.0, 1.1]), 7e9, bits)
        assert around.argmin() == 1


def test_guessing_comes_after_the_turn():
    guessing = np.log(50304)
    tokens = guessing_tokens(OUYANG_2024, OUYANG_2024_LOSS, 7e9, 2, guessing)
    assert rounded_loss(OUYANG_2024, OUYANG_2024_LOSS, tokens, 7e9, 2) == pytest.approx(guessing, rel=1e-9)
    assert tokens > turning_tokens(OUYANG_2024, OUYANG_2024_LOSS, 7e9, 2)


def test_projections_mark_what_is_beyond():
    table = projections({"unified": UNIFIED, "table": OUYANG_2024_TABLE_1}, OUYANG_2024_LOSS, 10.8, 1e14, [7e9, 4e11])
    assert len(table) == 2 * 2 * 3
    rows = table.set_index(["law", "n_params", "bits"]).sort_index()
    assert rows.loc[("unified", 7e9, 4), "qid_nats"] == pytest.approx(float(OUYANG_2024.predict(1e14, 7e9, 4)))
    np.testing.assert_allclose(rows["room_nats"] + rows["loss_nats"], 10.8)
    assert rows.loc[("unified", 7e9), "beyond"].tolist() == ["guessing", "loss", ""]
    assert rows.loc[("table", 7e9), "beyond"].tolist() == ["guessing", "guessing", ""]


def test_a_projection_agrees_with_the_prediction_of_rows_and_stays_positive_far_out(fits):
    fit = fits["all bits"]
    mean, low, high = projected(fit, fit.data.tokens, fit.data.n_params, fit.data.bits, 0.90)
    exact = dataclasses.replace(fit.data, outcome_se_nats=np.full(mean.shape, 1e-12))
    rows = predictions(fit, exact, np.zeros(mean.shape), "")
    np.testing.assert_allclose(mean, rows.predicted_nats, rtol=1e-12)
    np.testing.assert_allclose(np.log(high / mean), rows.high_nats / mean - 1, rtol=1e-9)
    np.testing.assert_allclose(low * high, mean**2, rtol=1e-12)
    far = projected(fit, 1e14, 7e9, 4, 0.90)
    assert 0 < far[1] < far[0] < far[2]
    assert np.log(far[2] / far[0]) > np.log(high / mean).max()


def losses(*means, n_documents=64, spread=0.3):
    shared = np.random.default_rng(3).normal(0, spread, n_documents)  # hard documents are hard for every checkpoint
    own = np.random.default_rng(4).normal(0, 0.02, (len(means), n_documents))
    return [mean + shared + noise - noise.mean() for mean, noise in zip(means, own, strict=True)]


def test_turning_points_tell_a_loss_that_turned_from_one_that_did_not():
    frames = [
        pd.DataFrame({"n_params_non_embedding": size, "bits": 2.0, "tokens_seen": [1e6, 2e6, 4e6], "group_loss": rows})
        for size, rows in ((1e5, losses(3.0, 2.0, 2.5)), (1e6, losses(3.0, 2.0, 1.5)), (1e7, losses(3.0, 2.0, 2.0001)))
    ]
    found = turning_points(pd.concat(frames), np.random.default_rng(1)).set_index("n_params")
    assert found["turned"].tolist() == [True, False, False]
    assert found["tokens"].tolist() == [2e6, 4e6, 2e6]
    assert found.loc[1e5, ["low", "high"]].tolist() == [2e6, 2e6]
    assert found.loc[1e7, ["low", "high"]].tolist() == [2e6, 4e6]
    assert found.loc[1e5, "rise_nats"] == pytest.approx(0.5)
    assert found.loc[1e5, "rise_se_nats"] < 0.01  # paired: the spread of 0.3 between documents cancels
    assert found.loc[1e6, "rise_nats"] == 0
