"""Models of others: which points count, one vote a model, and the baselines."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.judgement.outside import BITS_ALONE, OUTSIDE, mean_by_width, outside_points, outside_scores
from helpers.analyse.laws.published import KUMAR_2024, OUYANG_2024

ROOT = Path(__file__).parents[3]


@pytest.fixture
def points() -> pd.DataFrame:
    return outside_points(pd.read_csv(ROOT / "data/published/published_perplexities.csv"))


def test_points_are_gptq_in_groups_of_128_a_token_each_setting_once(points):
    assert set(points["method"]) == {"GPTQ"}
    assert set(points["group_size"]) == {128.0}
    assert (points["qid_nats"] > 0).all()
    assert not points["per_word"].any()
    assert not points.duplicated(["model", "bits", "dataset"]).any()


def test_a_model_votes_once_however_many_bit_widths_it_has(points):
    made = outside_scores(points, {}, {"kumar2024": KUMAR_2024}, {2.0: 0.5, 3.0: 0.1, 4.0: 0.02}, 1.0)
    of_law = made[made["law"] == "kumar2024"].set_index("run_label")
    assert not of_law.index.has_duplicates
    assert set(of_law.index) == set(points["model"])
    assert (of_law["n_clear"] == 1).all()
    assert of_law["n_rows"].sum() == len(points)
    model = points[points["model"] == points["model"].iloc[0]]
    said = KUMAR_2024.predict(model["tokens_seen"], model["n_params_non_embedding"], model["bits"])
    square = np.mean(np.log(said / model["qid_nats"]) ** 2)
    assert of_law.loc[points["model"].iloc[0], "log_mean_square"] == pytest.approx(square, rel=1e-12)


def test_coarser_groups_raise_what_our_laws_say_and_leave_printed_ones(points):
    alone = {2.0: 0.5, 3.0: 0.1, 4.0: 0.02}
    plain, coarse = (
        outside_scores(points, {"ours": OUYANG_2024}, {"theirs": OUYANG_2024}, alone, factor).set_index("law")
        for factor in (1.0, 1.5)
    )
    assert list(plain.loc["ours", "log_mean_square"]) == list(plain.loc["theirs", "log_mean_square"])
    assert list(coarse.loc["theirs", "log_mean_square"]) == list(plain.loc["theirs", "log_mean_square"])
    assert (coarse.loc["ours", "log_mean_square"] != plain.loc["ours", "log_mean_square"]).all()
    model = points[points["model"] == coarse.loc[BITS_ALONE, "run_label"].iloc[0]]
    square = np.mean(np.log(1.5 * model["bits"].map(alone) / model["qid_nats"]) ** 2)
    assert coarse.loc[BITS_ALONE, "log_mean_square"].iloc[0] == pytest.approx(square, rel=1e-12)
    assert set(coarse["hold_out"]) == {OUTSIDE}


def test_the_mean_of_a_width_is_that_of_ln_of_positive_qid(planted):
    data = planted(1)
    two = data.outcome_nats[(data.bits == 2) & (data.outcome_nats > 0)]
    assert mean_by_width(data)[2.0] == pytest.approx(np.exp(np.mean(np.log(two))), rel=1e-12)
