"""Hold-outs: which rows are held, what is scored, and what is n/a."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.data import FitData, FitError
from helpers.analyse.fits.hold_outs import (
    INNER,
    SECOND_RUN,
    InTurn,
    as_published,
    criteria,
    floor_by_bits,
    judge,
    loss_law_of,
    per_bit_width,
    predict_all,
    refitted,
    scores,
    scores_by_run,
    splits,
    table_of_scores,
    with_predicted_loss,
)
from helpers.analyse.laws.forms import FreeBitsLaw, LearningRateLaw, LossLaw, OneBitWidthLaw, StepsLaw, UnifiedLaw
from helpers.analyse.laws.loss import ANY_BITS, ChinchillaLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.laws.variables import ValidityRange
from helpers.analyse.rows.noise import EvaluationError
from helpers.analyse.rows.noise_floor import NoiseFloor
from helpers.analyse.rows.study import TRUNK, on_trunk

LOSSES = ChinchillaLaw(1.2, 40.0, 0.3, 1e3, 0.4, source="planted", validity=ValidityRange((1, 2), (1, 2), ANY_BITS))
TRUTH = LossLaw(0.05, 0.4, 0.3, 1.9, 0.9, source="planted", validity=ValidityRange((1, 2), (1, 2), (1, 2)))

EVALUATION = EvaluationError(scale_nats=1e-3, exponent=0.5, n_documents=128, log_sd=0.0)
FLOORS = {2.0: NoiseFloor(2.0, EVALUATION, 0.02, 0.01), 4.0: NoiseFloor(4.0, EVALUATION, 0.03, 0.08)}
FLOOR = floor_by_bits(FLOORS)


def _run(run: str, size: float, tokens: np.ndarray, schedule: str, lr_fraction: np.ndarray) -> pd.DataFrame:
    grid = pd.DataFrame({"tokens_seen": tokens, "lr_fraction": lr_fraction})
    rows = grid.merge(pd.DataFrame({"bits": [2.0, 3.0, 4.0, 5.0]}), how="cross")
    return rows.assign(
        family=TRUNK,
        run=run,
        run_label=f"{TRUNK}/{run}",
        model=f"tadpole-{size:.0f}",
        n_params_non_embedding=size,
        schedule=schedule,
        lr_phase=np.where(rows["lr_fraction"] < 1, "decay", "stable"),
        n_averaged=1,
        group_size=32.0,
        vocabulary_size=1024,
    )


@pytest.fixture
def study() -> pd.DataFrame:
    """Eight trunk runs with losses that scatter by run, and cosine and cooldown runs of two sizes."""
    generator = np.random.default_rng(7)
    tokens, runs = np.geomspace(6e7, 1e9, 8), []
    for size in np.geomspace(1.5e5, 1.5e7, 8):
        runs.append(_run(f"tadpole-{size:.0f}", size, tokens, "constant", np.ones(8)))
        if size in (1.5e5, 1.5e7):
            runs.append(_run(f"{size:.0f}-cosine", size, tokens[2:5], "cosine", np.array([0.6, 0.3, 0.0])))
            runs.append(_run(f"{size:.0f}-cooldown", size, tokens[3:5], "cooldown", np.array([0.5, 0.0])))
    table = pd.concat(runs, ignore_index=True)
    loss = LOSSES.predict(table["tokens_seen"], table["n_params_non_embedding"])
    models = table.groupby(["run", "tokens_seen"]).ngroup()
    loss = loss + generator.normal(0, 0.03, models.max() + 1)[models]
    qid = TRUTH.predict(table["tokens_seen"], table["n_params_non_embedding"], table["bits"], loss_nats=loss)
    measured = qid * np.exp(generator.normal(0, 0.05, qid.size))
    return table.assign(baseline_loss_nats=loss, qid_nats=measured, qid_se_nats=0.01 * qid)


@pytest.fixture
def other(study) -> pd.DataFrame:
    return study.assign(qid_nats=1.1 * study["qid_nats"])


def test_hold_outs_are_what_their_names_say(study, other):
    found = splits(study, other)
    trunk = {name: found[name] for name in ("largest size", "last factor 4 in D", "3 bits", "2 bits")}
    for one in trunk.values():
        assert len(one.training) + len(one.held) == 8 * 8 * 3
        assert on_trunk(one.training).all()
    largest = found["largest size"]
    assert largest.held["n_params_non_embedding"].nunique() == 1
    assert largest.training["n_params_non_embedding"].max() < largest.held["n_params_non_embedding"].min()
    late = found["last factor 4 in D"]
    assert late.held["tokens_seen"].min() > 2.5e8 >= late.training["tokens_seen"].max()
    assert set(found["3 bits"].training["bits"]) == {2, 4}
    assert set(found["2 bits"].training["bits"]) == {3, 4}
    assert set(found["other bits"].held["bits"]) == {5}
    assert (found["decayed rate"].held["lr_phase"] == "decay").all()
    assert (found["decayed rate"].training["lr_phase"] == "stable").all()
    assert set(found["cooldown after cosine"].held["schedule"]) == {"cooldown"}
    assert set(found["cooldown after cosine"].training["schedule"]) == {"constant", "cosine"}
    assert found["another text"].held["qid_nats"].iloc[0] == pytest.approx(1.1 * study["qid_nats"].iloc[0])


def test_a_hold_out_without_rows_is_left_out(study, other):
    plain = study[study["schedule"] == "constant"]
    assert not {"decayed rate", "cooldown after cosine"} & set(splits(plain, other))


def test_the_true_law_wins_and_the_rest_are_scored(study, other):
    laws = {"true": refitted(LossLaw), "power": refitted(UnifiedLaw), "published": as_published(OUYANG_2024)}
    judged = judge(laws, splits(study, other), FLOOR)
    rms = table_of_scores(judged)
    assert list(rms.index) == ["true", "power", "published"]
    assert list(rms.columns)[:2] == ["largest size", "last factor 4 in D"]
    # rows scatter by 0.05, and by 0.9 times 0.03 where the loss isn't used
    assert (rms.loc["true", ["largest size", "last factor 4 in D", "decayed rate"]] < 0.08).all()
    assert (rms.loc["true"] < rms.loc["published"]).all()
    assert rms.loc["true", "other bits"] < 0.5 * rms.loc["power", "other bits"]
    bias = table_of_scores(judged, "log_bias")
    assert bias.loc["true", "another text"] == pytest.approx(-np.log(1.1), abs=0.02)
    covered = table_of_scores(judged, "clear_coverage")
    assert covered.loc["true", "largest size"] > 0.8
    assert covered.loc["published"].isna().all()
    assert (judged.loc[judged["law"] == "published", "reason"] == "published constants come without errors").all()


def test_what_a_law_cannot_predict_is_missing_with_the_reason(study, other):
    laws = {"free": refitted(FreeBitsLaw), "per bit width": per_bit_width, "rate": refitted(LearningRateLaw)}
    judged = judge(laws, splits(study, other), FLOOR).set_index(["law", "hold_out"])
    for law, held_out, reason in (
        ("free", "2 bits", "no row has its bit width P"),
        ("free", "other bits", "bit width P of 2, 3, 4 only"),
        ("per bit width", "3 bits", "no training row has 3 bits"),
        ("rate", "largest size", "every row has the same learning rate"),
    ):
        assert np.isnan(judged.loc[(law, held_out), "log_rms"])
        assert reason in judged.loc[(law, held_out), "reason"]
    assert judged.loc[("rate", "cooldown after cosine"), "log_rms"] < 0.5


def test_a_law_per_bit_width_is_three_laws(study):
    data = FitData.from_table(study[on_trunk(study) & (study["bits"] < 5)])
    training, held = data.where(data.tokens < 5e8), data.where(data.tokens >= 5e8)
    floor = FLOOR(held)
    made = per_bit_width(training, held, floor)
    two = refitted(OneBitWidthLaw)(
        training.where(training.bits == 2), held.where(held.bits == 2), floor[held.bits == 2]
    )
    np.testing.assert_array_equal(made.predicted_nats[held.bits == 2], two.predicted_nats)
    np.testing.assert_array_equal(made.high_nats[held.bits == 2], two.high_nats)
    assert made.level == two.level


def test_a_predicted_loss_makes_a_law_of_tokens_size_and_bits(study):
    data = FitData.from_table(study[on_trunk(study) & (study["bits"] < 5)])
    training, held = data.where(data.n_params < 1e7), data.where(data.n_params > 1e7)
    predictor = with_predicted_loss(LossLaw, ChinchillaLaw)
    made = predictor(training, held, FLOOR(held))
    blind = dataclasses.replace(held, covariates={})
    again = predictor(training, blind, FLOOR(held))
    np.testing.assert_array_equal(again.predicted_nats, made.predicted_nats)
    assert made.scores()["log_rms"] < 0.12
    seeing = refitted(LossLaw)(training, held, FLOOR(held))
    # what the loss law misses comes on top
    assert np.all(made.high_nats - made.low_nats > 0.95 * (seeing.high_nats - seeing.low_nats))
    assert np.mean((made.high_nats - made.low_nats) / (seeing.high_nats - seeing.low_nats)) > 1.02


def test_the_loss_law_sees_every_model_once(study):
    data = FitData.from_table(study[on_trunk(study)])
    law = loss_law_of(data, ChinchillaLaw)
    np.testing.assert_allclose(law.predict(2e8, 1e6), LOSSES.predict(2e8, 1e6), rtol=0.02)
    once = data.where(data.bits == 2)
    np.testing.assert_array_equal(loss_law_of(once, ChinchillaLaw).coefficients, law.coefficients)


def test_the_floor_of_a_row_is_that_of_another_run_at_its_bit_width_or_the_nearest(study):
    data = FitData.from_table(study[study["bits"].isin([2, 4, 5])])
    found = FLOOR(data)
    for bits, like in ((2, 2.0), (4, 4.0), (5, 4.0)):
        rows = np.flatnonzero(data.bits == bits)
        expected = [FLOORS[like].of_another_run(float(data.outcome_nats[row])) for row in rows]
        np.testing.assert_allclose(found[rows], expected, rtol=1e-14)


def test_published_laws_of_one_bit_width_each_predict_their_own_rows(study):
    data = FitData.from_table(study[on_trunk(study) & (study["bits"] < 5)])
    made = as_published(OUYANG_2024_TABLE_1)(data, data, FLOOR(data))
    for bits, law in OUYANG_2024_TABLE_1.items():
        rows = data.bits == bits
        expected = law.predict(data.tokens[rows], data.n_params[rows], bits)
        np.testing.assert_array_equal(made.predicted_nats[rows], expected)
    five = FitData.from_table(study[study["bits"] == 5])
    with pytest.raises(FitError, match="published for 2, 3, 4 bits, not 5"):
        as_published(OUYANG_2024_TABLE_1)(data, five, FLOOR(five))


def test_rows_below_the_floor_are_scored_in_nats(study, other):
    judged = judge({"power": refitted(UnifiedLaw)}, splits(study, other), lambda data: data.outcome_nats / 2)
    assert (judged["excluded_share"] == 1).all()
    assert judged["log_rms"].isna().all()
    assert judged["rest_rms_nats"].notna().all()


def test_criteria_prefer_the_true_law(study):
    data = FitData.from_table(study[on_trunk(study)])
    table = criteria({"true": LossLaw, "steps": StepsLaw, "power": UnifiedLaw, "rate": LearningRateLaw}, data)
    assert table["aic"].idxmin() == table["bic"].idxmin() == "true"
    assert table.loc["rate", "status"] == "not_identifiable"
    assert "learning rate" in table.loc["rate", "reason"]
    assert table.loc["true", "n_coefficients"] == 5


# ---- larger and later ------------------------------------------------------------------------------------------------


def test_upwards_trains_on_smaller_and_earlier_rows_only(study):
    made = splits(study, study.iloc[:0])
    sizes = np.sort(study["n_params_non_embedding"].unique())
    both = made["larger and later"]
    assert set(both.held["n_params_non_embedding"]) == set(sizes[-2:])
    assert both.training["n_params_non_embedding"].max() == sizes[-3]
    assert both.training["tokens_seen"].max() <= 2.5e8 < both.held["tokens_seen"].min()
    turns = made["one size up"].splits
    assert [set(one.held["n_params_non_embedding"]) for one in turns] == [{size} for size in sizes[-4:]]
    for one in turns:
        assert one.training["n_params_non_embedding"].max() < one.held["n_params_non_embedding"].min()


def test_hold_outs_of_smaller_sizes_know_nothing_of_the_largest(study):
    made, largest = splits(study, study.iloc[:0]), study["n_params_non_embedding"].max()
    inner = {name: one for name, one in made.items() if name.startswith(INNER)}
    assert set(inner) == {f"{INNER}{name}" for name in ("one size up", "last factor 4 in D", "larger and later")}
    for one in inner.values():
        for split in one.splits if isinstance(one, InTurn) else [one]:
            assert split.training["n_params_non_embedding"].max() < largest
            assert split.held["n_params_non_embedding"].max() < largest


def test_second_runs_are_held_out_with_their_sizes_and_never_fitted_to(study):
    own = study[on_trunk(study) & (study["n_params_non_embedding"] > 1e6)]
    second = own.assign(family="tadpole-mixed", run_label="tadpole-mixed/" + own["run"])
    made = splits(study, study.iloc[:0], second)
    largest = made[SECOND_RUN]
    assert set(largest.held["run_label"]) == {f"tadpole-mixed/tadpole-{1.5e7:.0f}"}
    for name, one in made.items():
        for split in one.splits if isinstance(one, InTurn) else [one]:
            assert not split.training["run_label"].str.startswith("tadpole-mixed").any(), name
    assert made["larger and later"].held["run_label"].nunique() == 4
    assert SECOND_RUN not in splits(study, study.iloc[:0])


def test_several_splits_are_scored_as_all_their_rows(study):
    parts = {"one size up": splits(study, study.iloc[:0])["one size up"]}
    parts |= {f"turn {place}": split for place, split in enumerate(parts["one size up"].splits)}
    made = predict_all({"power": refitted(UnifiedLaw)}, parts, FLOOR)
    errors = np.concatenate([made["power", f"turn {place}"].log_errors for place in range(4)])
    table = scores(made).set_index("hold_out")
    assert table.loc["one size up", "log_rms"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-12)
    assert table.loc["one size up", "n_rows"] == table.loc["turn 0":, "n_rows"].sum()
    by_run = scores_by_run(made).set_index(["hold_out", "run_label"])
    assert len(by_run.loc["one size up"]) == 4
    for place in range(4):
        turn = by_run.loc[f"turn {place}"]
        pd.testing.assert_series_equal(turn.iloc[0], by_run.loc["one size up", turn.index[0]], check_names=False)


def test_one_split_that_can_not_be_predicted_makes_the_hold_out_na(study):
    whole = splits(study, study.iloc[:0])["one size up"]
    broken = dataclasses.replace(whole.splits[0], training=whole.splits[0].training.iloc[:2])
    judged = judge({"power": refitted(UnifiedLaw)}, {"up": InTurn((broken, *whole.splits[1:]))}, FLOOR)
    assert "log_rms" not in judged
    assert judged.loc[0, "reason"]
    assert InTurn(()).empty
    assert InTurn((dataclasses.replace(broken, held=broken.held.iloc[:0]),)).empty
