"""Block sizes on planted rows: blocks counted by hand, exponents and joint laws that come back, hold-outs, budgets."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.analyse.planted_blocks import LAW, SHAPES, block_sizes, measurements

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.hold_outs import judge, refitted
from helpers.analyse.laws.joint import BlockByBothLaw, LogBlockLaw, RatioExponentialLaw
from helpers.analyse.laws.names import JOINT_FORMS
from helpers.analyse.mixed import block_size
from helpers.analyse.mixed.trials import MATRICES
from helpers.analyse.questions.slopes_of_ratios import mean_and_slopes
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.table.errors import AnalysisError


@pytest.fixture(scope="module")
def table():
    return block_size.rows_of_blocks(measurements())


def test_one_scale_a_row_counts_as_the_mean_width_of_rows():
    rows = pd.DataFrame({"group_size": [32, None], "d_model": [96, 96]})
    # a block's matrices of width 96: 288 + 96 + 384 rows of 96 and 96 rows of 384
    mean = (768 * 96 + 96 * 384) / (768 + 96)
    assert block_size.mean_block(rows).tolist() == [32, pytest.approx(mean)]
    assert block_size.in_blocks(rows)["scale"].tolist() == ["block", "row"]


def test_relative_perplexity_is_that_of_the_losses(table):
    relative = block_size.in_relative_perplexity(table)
    row, base = table.iloc[0], np.exp(table["baseline_loss_nats"].iloc[0])
    assert relative["qid_nats"].iloc[0] == pytest.approx((np.exp(row["loss_nats"]) - base) / base, rel=1e-12)
    # error propagation: the slope of exp(q) - 1, here as a difference quotient; 1e-6: its curvature
    step = np.expm1(row["qid_nats"] + 1e-6 * row["qid_se_nats"]) - np.expm1(row["qid_nats"])
    assert relative["qid_se_nats"].iloc[0] == pytest.approx(1e6 * step, rel=1e-6)


def test_every_block_size_of_every_checkpoint_is_there(table):
    counts = table.groupby(["run_label", "step"])["group_size"].nunique()
    assert counts["tadpole-mixed/tadpole-64x3", 500] == 4  # 16, 32, 64 and the row
    assert counts["tadpole-mixed/tadpole-512x12", 500] == 7
    assert (table["qid_se_nats"] > 0).all()


def test_only_mixed_rows_with_equal_blocks_are_taken():
    rows = measurements()
    with pytest.raises(AnalysisError, match="no row of tadpole-mixed has weights and activations in mxint"):
        block_size.rows_of_blocks(rows.assign(activation_format=None))
    with pytest.raises(AnalysisError, match="blocks of different sizes"):
        block_size.rows_of_blocks(rows.assign(activation_group_size=64))


def test_recipes_of_whole_decoder_blocks_are_left_out():
    whole = [f"1.{name}" for name in MATRICES]
    rows = pd.DataFrame({"kept_matrices": [[], whole, whole[:2], [*whole, "0.attention.dense"]], "number": range(4)})
    assert block_size.matrix_by_matrix(rows)["number"].tolist() == [0, 2, 3]


def test_a_ratio_takes_the_nearest_recipe_and_moves_it(table):
    one = table[(table["step"] == 500) & (table["model"] == "tadpole-64x3") & (table["group_size"] == 32)].iloc[[0] * 6]
    rows = one.assign(quantized_ratio=[0.49, 0.55, 0.52, 0.6, 0.92, 1.0], qid_nats=0.1, qid_se_nats=0.01)
    rows = rows.reset_index(drop=True)
    half = block_size.at_quantized_ratio(rows, 0.5, LAW)
    assert half["quantized_ratio"].tolist() == [0.52]
    assert half["qid_nats"].iloc[0] == pytest.approx(0.1 * np.exp(-2.0 * 0.02), rel=1e-12)  # planted: exp(2 Qr)
    assert half["qid_se_nats"].iloc[0] == pytest.approx(0.01 * half["moved"].iloc[0], rel=1e-12)
    assert block_size.at_quantized_ratio(rows, 0.9, LAW)["quantized_ratio"].tolist() == [0.92]
    whole = block_size.at_quantized_ratio(rows, 1.0, LAW)
    assert (whole["quantized_ratio"].tolist(), whole["qid_nats"].tolist()) == ([1.0], [0.1])


@pytest.mark.parametrize("ratio", block_size.QUANTIZED_RATIOS)
def test_planted_exponents_come_back(table, ratio):
    found = block_size.exponents(block_size.at_quantized_ratio(table, ratio, LAW))
    assert len(found) == 31
    assert (found["reason"] == "").all()
    assert found["n_blocks"].tolist() == [len(block_sizes(int(m.split("-")[1].split("x")[0]))) for m in found["model"]]
    row = mean_and_slopes(found, "k", [N_PARAMS, TOKENS_SEEN])
    # 31 exponents that scatter by about 0.03 each (a spread of 5% over a span of ln Qb of 2 to 3.5): their mean
    # to 0.006, three of its errors
    assert row.loc["mean", "value"] == pytest.approx(0.4, abs=0.02)
    assert (row["low"] <= row["value"]).all()
    assert row.loc[N_PARAMS, "low"] < 0 < row.loc[N_PARAMS, "high"]


def test_an_exponent_is_exact_without_noise():
    rows = block_size.at_quantized_ratio(block_size.rows_of_blocks(measurements(tau=0.0, noise=1e-4)), 1.0, LAW)
    found = block_size.exponents(rows)
    # 1e-3: documents scatter by 1e-4 of the mean
    np.testing.assert_allclose(found["k"], 0.4, atol=1e-3)
    one = found.iloc[0]
    assert one["A"] == pytest.approx(
        LAW.predict(one[TOKENS_SEEN], one[N_PARAMS], 4, group_size=1, quantized_ratio=1), rel=1e-2
    )


def test_checkpoints_with_few_blocks_are_left_out_and_failures_say_why(table):
    few = table[table["group_size"] <= 32]
    assert block_size.exponents(block_size.at_quantized_ratio(few, 1.0, LAW)).empty
    flat = block_size.at_quantized_ratio(table, 1.0, LAW).head(4).assign(qid_nats=-0.01)
    assert "rows have a QiD above its error" in block_size.exponents(flat)["reason"].iloc[0]
    with pytest.raises(AnalysisError, match="has a block size twice at one ratio"):
        block_size.exponents(table)


def test_hold_outs_divide_the_rows(table):
    found = block_size.block_splits(table)
    names = ["largest size", "last factor 3.8 in D", "Qr = 1", "largest block", "one scale a row", "decayed rate"]
    assert list(found) == names
    trunk = ((table["lr_phase"] != "decay") & (table["scale"] == "block")).sum()
    for name in names[:4]:
        assert len(found[name].training) + len(found[name].held) == trunk
    assert all(len(found[name].training) == trunk for name in names[4:])
    assert found["largest size"].held["model"].unique().tolist() == ["tadpole-512x12"]
    assert found["last factor 3.8 in D"].held["step"].unique().tolist() == [7275]
    assert found["largest block"].held.groupby("model")["group_size"].unique().map(list).to_dict() == {
        f"tadpole-{width}x{layers}": [float(block_sizes(width)[-2])] for width, layers in SHAPES
    }
    assert (found["one scale a row"].held["scale"] == "row").all()
    assert (found["decayed rate"].held["lr_phase"] == "decay").all()


def test_the_planted_form_predicts_what_it_has_not_seen(table):
    split = {name: one for name, one in block_size.block_splits(table).items() if name in ("Qr = 1", "largest block")}
    forms = {name: refitted(JOINT_FORMS[name]) for name in ("ratio-exponential", "without-block")}
    judged = judge(forms, split, block_size.paired_floor).set_index(["law", "hold_out"])["log_rms"]
    # rows scatter by 5%; the rest is the error of the fit
    assert (judged["ratio-exponential"] < 0.1).all()
    assert (judged["without-block"] > 0.2).all()


def test_the_largest_block_of_a_budget_is_solved_from_the_law(table):
    fit, trouble = fit_by_run(RatioExponentialLaw, FitData.from_table(table))
    assert trouble == ""
    places = {"tokens": [2.5e8, 2.5e8], "n_params": [1e6, 1e7], "bits": [4, 4], "quantized_ratio": [1, 1]}
    found = block_size.largest_blocks(fit, 0.1, places, 200, np.random.default_rng(0))
    np.testing.assert_allclose(fit.law.predict(**places, group_size=found["block"]), 0.1, rtol=1e-9)
    assert ((found["low"] < found["block"]) & (found["block"] < found["high"])).all()
    # alpha / kappa: how the block that is allowed grows with size; planted 0.25 / 0.4
    grows = np.log(found["block"].iloc[1] / found["block"].iloc[0]) / np.log(10)
    assert grows == pytest.approx(0.25 / 0.4, rel=0.15)


def test_a_power_that_is_not_positive_allows_every_block_or_none(table):
    fit, _ = fit_by_run(RatioExponentialLaw, FitData.from_table(table))
    flat = dataclasses.replace(fit, law=dataclasses.replace(fit.law, kappa=-0.1), covariance=np.zeros((5, 5)))
    places = {"tokens": [2.5e8] * 2, "n_params": [1e6] * 2, "quantized_ratio": [1.0, 1.0]}
    at_32 = float(flat.law.predict(2.5e8, 1e6, 4, group_size=32, quantized_ratio=1.0))
    for budget, block in ((2 * at_32, np.inf), (at_32 / 2, 0.0)):
        found = block_size.largest_blocks(flat, budget, places, 3, np.random.default_rng(0))
        assert found[["block", "low", "high"]].to_numpy().ravel().tolist() == [block] * 6


def test_the_allowed_block_grows_with_size_and_shrinks_with_tokens(table):
    fit, _ = fit_by_run(RatioExponentialLaw, FitData.from_table(table))
    place = {"tokens": 2.5e8, "n_params": 1e7, "group_size": 32, "quantized_ratio": 1.0}
    found = block_size.growth_of_blocks(fit, place, 500, np.random.default_rng(0))
    law = fit.law
    expected = [law.alpha / law.kappa, -law.beta / law.kappa, (law.alpha - law.beta) / law.kappa]
    assert found["value"].tolist() == pytest.approx(expected)
    # planted: 0.25 / 0.4, -0.35 / 0.4, -0.1 / 0.4, each within its interval (seed 0)
    assert (found["low"] < [0.625, -0.875, -0.25]).all()
    assert (found["high"] > [0.625, -0.875, -0.25]).all()


def test_growth_is_that_of_the_place_where_kappa_depends_on_it(table):
    fit, _ = fit_by_run(BlockByBothLaw, FitData.from_table(table))
    place = {"tokens": 1e9, "n_params": 1e7, "group_size": 64, "quantized_ratio": 0.9}
    found = block_size.growth_of_blocks(fit, place, 10, np.random.default_rng(0))["value"]
    law = fit.law
    kappa = law.kappa + law.mu * np.log(10) + law.nu * np.log(4)
    by_size, by_tokens = law.alpha - law.mu * np.log(2), -law.beta - law.nu * np.log(2)
    assert found["size"] == pytest.approx(by_size / kappa, rel=1e-6)
    assert found["tokens"] == pytest.approx(by_tokens / kappa, rel=1e-6)


def test_outliers_are_those_of_the_checkpoint():
    rows = pd.DataFrame({"weights_sha256": ["a", "b", "a"], "model": "m", "step": 1})
    checkpoints = pd.DataFrame({"weights_sha256": ["a", "b", "b"], "input_max_over_rms": [[2.0, 8.0], [3.0], [3.0]]})
    assert block_size.with_outliers(rows, checkpoints)["input_outliers"].tolist() == pytest.approx([4.0, 3.0, 4.0])
    with pytest.raises(AnalysisError, match="m@1 isn't in the table of checkpoints"):
        block_size.with_outliers(rows, checkpoints.head(1))


def test_the_largest_measured_block_within_a_budget():
    rows = pd.DataFrame({"group_size": [16, 32, 64] * 3, "qid_nats": [1, 2, 3, 1, 1, 1, 4, 5, 6]})
    cells = pd.DataFrame(dict.fromkeys(block_size.CHECKPOINT, np.repeat(["a", "b", "c"], 3)))
    found = block_size.largest_measured(pd.concat([rows, cells], axis=1), 2).set_index("run_label")
    assert found["block"].tolist()[:2] == [32, 64]
    assert np.isnan(found.loc["c", "block"])
    assert found["all_within"].tolist() == [False, True, False]


def test_a_power_of_the_logarithm_is_told_from_a_power():
    # the planted law has a power; over blocks of 16 to 683 the logarithm's powers bend by more than the noise
    data = FitData.from_table(block_size.rows_of_blocks(measurements()))
    power, logarithm = (fit_by_run(one, data)[0] for one in (RatioExponentialLaw, LogBlockLaw))
    assert power.aic < logarithm.aic - 10
