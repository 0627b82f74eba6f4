import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.trends import (
    bit_factors,
    loss_changes,
    slope,
    slopes_by_pass,
    slopes_of_two_runs,
    spread_out,
    steps_up,
    trends,
)
from helpers.analyse.questions.twins import differences_of_runs, qid_ratio, ratios_to_twins
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.devices import agreement_in_seeds, device_agreement
from helpers.analyse.rows.noise import calibration_spread
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.selection import commonest_scheme, rows_named
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.table.errors import AnalysisError


@pytest.fixture
def gptq(rows):
    table = degradation(rows[rows["device_type"] == "cpu"])
    return table[table["method"] == "gptq"].reset_index(drop=True)


def test_rows_named_match_missing_with_missing(rows):
    wanted = pd.DataFrame([{"method": "none", "bits": None}, {"method": "rtn", "bits": 3}])
    chosen = rows_named(rows, wanted)
    assert len(chosen) == 3 * 4 * 2 * 2
    assert set(chosen["method"]) == {"none", "rtn"}
    assert set(chosen["bits"].dropna()) == {3}


def test_rows_named_that_are_not_there_are_refused(rows):
    with pytest.raises(AnalysisError, match="none of the 1 rows asked for"):
        rows_named(rows, pd.DataFrame([{"method": "rtn", "bits": 7}]))


def test_slope_of_a_power_is_its_exponent():
    x = np.array([1.0, 2.0, 5.0, 9.0])
    assert slope(x, 3 * x**0.7) == pytest.approx(0.7)
    assert np.isnan(slope(x, np.array([1.0, 0.0, 2.0, 3.0])))
    assert np.isnan(slope(x[:1], x[:1]))


def test_trends_count_steps_and_pair_the_error_of_the_change(gptq):
    table = trends(gptq, "tokens_seen", ["model", "bits"])
    assert len(table) == 9
    one = table[(table["model"] == "tadpole-330000") & (table["bits"] == 3)].iloc[0]
    series = gptq[(gptq["model"] == "tadpole-330000") & (gptq["bits"] == 3)].sort_values("tokens_seen")
    assert one["n_steps"] == 3
    assert one["n_up"] == (np.diff(series["qid_nats"]) > 0).sum()
    assert one["change_nats"] == pytest.approx(series["qid_nats"].iloc[-1] - series["qid_nats"].iloc[0])
    documents = series["document_qid_nats"].iloc[-1] - series["document_qid_nats"].iloc[0]
    assert one["change_se_nats"] == pytest.approx(documents.std(ddof=1) / np.sqrt(64))
    # planted beta is 0.4; the paired errors move a slope over a factor of 8 in tokens by a few percent
    assert one["exponent"] == pytest.approx(0.4, abs=0.15)


def test_kl_has_trends_too_but_no_error_by_document(gptq):
    twice = gptq.assign(kl_nats=0.3 * gptq["tokens_seen"] ** 0.7 * 4.0 ** -gptq["bits"])
    table = trends(twice, "tokens_seen", ["model", "bits"], KL)
    np.testing.assert_allclose(table["exponent"], 0.7)
    assert (table["n_up"] == table["n_steps"]).all()
    assert table["change_se_nats"].isna().all()
    np.testing.assert_allclose(bit_factors(twice, KL), 4.0)


def test_trends_refuse_a_place_measured_twice(gptq):
    with pytest.raises(AnalysisError, match="each measured once"):
        trends(gptq, "tokens_seen", ["bits"])


def test_the_ratio_of_a_scheme_to_itself_is_one_without_error(gptq):
    same = qid_ratio(gptq, gptq)
    np.testing.assert_allclose(same["ratio"], 1.0)
    np.testing.assert_allclose(same["ratio_se"], 0.0, atol=1e-15)


def test_the_error_of_a_ratio_is_that_of_resampled_documents(rows, gptq):
    table = degradation(rows[rows["device_type"] == "cpu"])
    ratio = qid_ratio(table[table["method"] == "rtn"], gptq).iloc[-1]
    key = ["checkpoint_id", "bits"]
    pair = [
        table[(table[key] == ratio[key]).all(axis=1) & (table["method"] == method)].iloc[0]["document_qid_nats"]
        for method in ("rtn", "gptq")
    ]
    drawn = np.random.default_rng(31).integers(0, 64, (4000, 64))
    resampled = pair[0][drawn].mean(axis=1) / pair[1][drawn].mean(axis=1)
    # the bootstrap of 64 documents is good to about 10%
    assert ratio["ratio_se"] == pytest.approx(resampled.std(), rel=0.15)


def test_a_ratio_of_kl_is_of_kl_and_has_no_error_by_document(gptq):
    other = gptq.assign(kl_nats=4.0)
    ratio = qid_ratio(other.assign(kl_nats=1.0, qid_nats=-1.0), other, KL)
    np.testing.assert_allclose(ratio["ratio"], 0.25)
    assert ratio["ratio_se"].isna().all()


def test_ratio_without_a_common_checkpoint_is_refused(gptq):
    with pytest.raises(AnalysisError, match="both schemes"):
        qid_ratio(gptq[gptq["bits"] == 2], gptq[gptq["bits"] == 3])


def _with_seeds(gptq):
    """Three seeds of every row: QiD, 10% below and 10% above, so a relative standard deviation of 0.1."""
    return pd.concat(
        gptq.assign(calib_seed=seed, qid_nats=gptq["qid_nats"] * factor)
        for seed, factor in ((0, 1.0), (1, 0.9), (2, 1.1))
    )


def test_calibration_spread_is_relative_and_pooled(gptq):
    spread = calibration_spread(_with_seeds(gptq))
    assert spread.index.tolist() == [2, 3, 4]
    np.testing.assert_allclose(spread["relative_sd"], 0.1)
    assert spread.loc[2, "n_checkpoints"] == 12
    assert spread.loc[2, "n_seeds"] == 3


def test_calibration_spread_does_not_mix_schemes(gptq):
    """Twice the QiD in another order of columns: mixed in, the spread would be far more than 0.1."""
    other = gptq.assign(order="activation", qid_nats=2 * gptq["qid_nats"])
    spread = calibration_spread(pd.concat([_with_seeds(gptq.assign(order="given")), _with_seeds(other)]))
    np.testing.assert_allclose(spread["relative_sd"], 0.1)
    assert spread.loc[2, "n_checkpoints"] == 2 * 12


def test_calibration_spread_needs_two_seeds(gptq):
    with pytest.raises(AnalysisError, match="two calibration seeds"):
        calibration_spread(gptq.assign(calib_seed=0))


def test_agreement_in_seeds_measures_by_two_seeds_difference(rows, gptq):
    table = degradation(rows)
    agreement = device_agreement(table[table["device_type"] == "cpu"], table[table["device_type"] == "cuda"])
    seen = agreement_in_seeds(agreement, calibration_spread(_with_seeds(gptq)))
    ours = seen[seen["method"] == "gptq"]
    np.testing.assert_allclose(ours["difference_in_seeds"], ours["relative_difference"] / (0.1 * np.sqrt(2)))
    assert seen.loc[seen["method"] == "rtn", "difference_in_seeds"].isna().all()


def test_commonest_scheme_leaves_one_scheme_a_bit_width(gptq):
    other = gptq.assign(group_size=128).head(5)
    mixed = pd.concat([gptq.assign(calib_seed=0), other.assign(calib_seed=0), gptq.assign(calib_seed=1)])
    chosen = commonest_scheme(mixed, "gptq")
    assert len(chosen) == len(gptq)
    assert set(chosen["group_size"]) == {32}
    searched = gptq.assign(calib_seed=0, grid_search="mse").head(7)
    chosen = commonest_scheme(pd.concat([gptq.assign(calib_seed=0, grid_search="minmax"), searched]), "gptq")
    assert set(chosen["grid_search"]) == {"minmax"}
    with pytest.raises(AnalysisError, match="no awq row"):
        commonest_scheme(gptq, "awq")


def test_values_spread_out_keep_both_ends_and_repeat_none():
    powers = 2.0 ** np.arange(13)
    np.testing.assert_array_equal(spread_out(np.repeat(powers, 3), 4), [1, 16, 256, 4096])
    np.testing.assert_array_equal(spread_out([7.0, 5.0], 6), [5, 7])


def test_a_mean_over_runs_has_students_interval():
    found = mean_over_runs([1.0, 2.0, 3.0])
    half = 4.302653 / np.sqrt(3)  # t of 2 degrees of freedom at 97.5%
    assert found == pytest.approx({"mean": 2.0, "low": 2 - half, "high": 2 + half, "n_runs": 3})
    with pytest.raises(AnalysisError, match="two or more; got 1"):
        mean_over_runs([1.0])


def test_bit_factors_are_of_means_and_by_the_bit(gptq):
    wide = pd.concat([gptq, gptq[gptq["bits"] == 4].assign(bits=8)], ignore_index=True)
    planted = wide.assign(qid_nats=3.0 * 4.0 ** -wide["bits"].astype(float))
    factors = bit_factors(planted)
    assert list(factors.columns) == [(2, 3), (3, 4), (4, 8)]
    assert len(factors) == 3
    np.testing.assert_allclose(factors, 4.0)
    one, other = planted.index[(planted["bits"] == 8) & (planted["run"] == planted["run"].iloc[0])][:2]
    planted.loc[one, "qid_nats"] -= 1e-3  # below zero, with the mean as it was
    planted.loc[other, "qid_nats"] += 1e-3
    np.testing.assert_allclose(bit_factors(planted), 4.0, rtol=1e-6)
    in_kl = planted.assign(kl_nats=3.0 * 5.0 ** -planted["bits"].astype(float))
    np.testing.assert_allclose(bit_factors(in_kl, KL), 5.0)


def test_steps_up_count_neighbours_of_one_run_in_either_outcome(gptq):
    order = gptq.groupby(["run_label", "bits"])["tokens_seen"].rank()
    planted = gptq.assign(qid_nats=order.replace({3: 1.5}), kl_nats=order).sample(frac=1.0, random_state=0)
    by_qid, by_kl = steps_up(planted), steps_up(planted, KL)
    assert by_kl.to_dict("list") == {"n_up": [9, 9, 9], "n_steps": [9, 9, 9]}  # 3 runs of 4 checkpoints
    assert by_qid.to_dict("list") == {"n_up": [6, 6, 6], "n_steps": [9, 9, 9]}  # down from 2 to 1.5 in each run


def test_slopes_of_two_runs_are_those_of_each_and_their_difference():
    tokens = np.array([1e8, 2e8, 5e8])
    both = pd.DataFrame({"bits": 3.0, "model": "a", "tokens_seen": tokens})
    both = both.assign(first_nats=tokens**0.5, second_nats=2 * tokens**0.6)
    found = slopes_of_two_runs(pd.concat([both, both.assign(model="b", second_nats=-1.0)]))
    assert found.loc[(3.0, "a")].to_dict() == pytest.approx({"first": 0.5, "second": 0.6, "difference": 0.1})
    assert found.loc[(3.0, "b")].isna().to_dict() == {"first": False, "second": True, "difference": True}


@pytest.fixture
def in_passes(gptq):
    """Steps 50 to 400 as 0.25, 0.5, 1 and 2 passes; QiD grows as D up to one pass and as the root of D beyond."""
    tokens = gptq["tokens_seen"] / 200e6
    growth = np.where(tokens <= 1, tokens, np.sqrt(tokens))
    return gptq.assign(epochs=tokens.astype(float), qid_nats=growth / gptq["bits"].astype(float))


def test_slopes_by_pass_find_a_bend(in_passes):
    slopes = slopes_by_pass(in_passes, [0.3, 1, 2.5])
    assert len(slopes) == 3 * 3 * 2
    assert set(zip(slopes["start"], slopes["end"], strict=True)) == {(0.3, 1), (1, 2.5)}
    np.testing.assert_allclose(slopes.loc[slopes["start"] == 0.3, "exponent"], 1.0)
    np.testing.assert_allclose(slopes.loc[slopes["start"] == 1, "exponent"], 0.5)


def test_a_pass_without_a_checkpoint_is_refused(in_passes):
    with pytest.raises(AnalysisError, match="no checkpoint ends each of the passes 0.1, 1"):
        slopes_by_pass(in_passes, [0.1, 1])
    with pytest.raises(AnalysisError, match="no checkpoint ends"):
        slopes_by_pass(in_passes, [1, 1.5])


def test_loss_changes_are_paired_by_document(rows):
    baselines = rows[(rows["method"] == "none") & (rows["device_type"] == "cpu")]
    baselines = baselines.assign(epochs=baselines["tokens_seen"] / 200e6)
    changes = loss_changes(baselines, [0.5, 1, 2])
    assert len(changes) == 3 * 2
    one = changes[(changes["run"] == "tadpole-330000") & (changes["start"] == 1)].iloc[0]
    before, after = (
        baselines[(baselines["run"] == "tadpole-330000") & (baselines["step"] == step)].iloc[0] for step in (200, 400)
    )
    assert one["checkpoint_id"] == after["checkpoint_id"]
    assert one["loss_nats"] == pytest.approx(after["loss_nats"] - before["loss_nats"])
    np.testing.assert_allclose(one["group_loss"], after["group_loss"] - before["group_loss"])


def _run(**changes):
    usual = {"run_label": "trunk", "step": 1, "model": "tadpole-128x3", "twin": "tadpole-128x3", "schedule": "constant"}
    usual |= {"n_averaged": 1, "peak_learning_rate": 0.002, "weight_decay": 0.1, "train_seed": 0}
    return pd.DataFrame([usual | changes])


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"n_averaged": 5}, "average of 5 moments"),
        ({"schedule": "cosine"}, "cosine, at its end"),
        ({"peak_learning_rate": 0.001}, "0.5 × the peak rate"),
        ({"weight_decay": 0.0}, "weight decay 0"),
        ({"train_seed": 2}, "another training seed"),
        ({"model": "tadpole-64x12"}, "64x12 for 128x3"),
    ],
)
def test_runs_are_named_by_what_sets_them_apart(changes, difference):
    assert differences_of_runs(_run(**changes), _run()).tolist() == [difference]


@pytest.mark.parametrize(("changes", "count"), [({}, 0), ({"train_seed": 2, "weight_decay": 0.3}, 2)])
def test_runs_that_differ_in_nothing_or_in_much_are_refused(changes, count):
    with pytest.raises(AnalysisError, match=f"in {count} things, not in one"):
        differences_of_runs(_run(**changes), _run())


def _apart(trunk, factor, shift_nats, run):
    """The trunk's rows as another run's: QiD times `factor` and the 16-bit loss `shift_nats` higher on every document."""
    qid = [factor * one for one in trunk["document_qid_nats"]]
    losses = zip(trunk["group_loss"], trunk["document_qid_nats"], qid, strict=True)
    return trunk.assign(
        run_label=run,
        checkpoint_id=run + trunk["checkpoint_id"],
        qid_nats=trunk["qid_nats"] * factor,
        document_qid_nats=pd.Series(qid, index=trunk.index),
        group_loss=pd.Series([loss - old + new + shift_nats for loss, old, new in losses], index=trunk.index),
        baseline_loss_nats=trunk["baseline_loss_nats"] + shift_nats,
    )


def test_ratios_to_twins_are_geometric_means_with_the_loss_beside(gptq):
    trunk = gptq.assign(twin=gptq["model"])
    runs = pd.concat([_apart(trunk, 2.0, 0.1, "one"), _apart(trunk, 0.5, -0.3, "two")])
    elsewhere = runs.assign(tokens_seen=1, checkpoint_id="no twin")
    ratios = ratios_to_twins(pd.concat([runs, elsewhere]), trunk, ["bits"])
    assert ratios["bits"].tolist() == [2, 3, 4]
    np.testing.assert_allclose(ratios[["ratio", "low", "high"]], 1.0)  # a factor on every document has no error
    np.testing.assert_allclose(ratios[["run_lowest", "run_highest"]], [[0.5, 2.0]] * 3)
    np.testing.assert_allclose(ratios["loss_change_nats"], -0.1)
    np.testing.assert_allclose(ratios["loss_change_se_nats"], 0.0, atol=1e-12)
    assert ratios["n_runs"].tolist() == [2, 2, 2]
    assert ratios["n_checkpoints"].tolist() == [24, 24, 24]


def test_the_interval_of_a_ratio_to_twins_is_that_of_resampled_documents(rows, gptq):
    table = degradation(rows[rows["device_type"] == "cpu"])
    other = table[table["method"] == "rtn"].reset_index(drop=True)
    found = ratios_to_twins(other.assign(twin=other["model"]), gptq.assign(twin=gptq["model"]), ["method", "bits"])
    drawn = np.random.default_rng(5).integers(0, 64, (4000, 64))
    for row in found.itertuples():
        tables = [one[one["bits"] == row.bits].sort_values("checkpoint_id") for one in (other, gptq)]
        over, under = (np.stack(one["document_qid_nats"].to_numpy())[:, drawn].mean(axis=2) for one in tables)
        logs = np.log(over / under).mean(axis=0)
        # 1.96 standard deviations either side; the bootstrap of 64 documents is good to about 10%
        assert np.log(row.high / row.low) == pytest.approx(2 * 1.96 * logs.std(), rel=0.15)


def test_ratios_to_twins_without_one_twin_each_or_a_positive_qid_are_refused(gptq):
    trunk = gptq.assign(twin=gptq["model"])
    with pytest.raises(AnalysisError, match="two rows for one twin"):
        ratios_to_twins(trunk, pd.concat([trunk, trunk]), ["bits"])
    with pytest.raises(AnalysisError, match="no checkpoint has a twin"):
        ratios_to_twins(trunk.assign(twin="another"), trunk, ["bits"])
    with pytest.raises(AnalysisError, match="aren't all positive"):
        ratios_to_twins(trunk.assign(qid_nats=-trunk["qid_nats"]), trunk, ["bits"])
