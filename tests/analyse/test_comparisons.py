import numpy as np
import pandas as pd
import pytest

from helpers.analyse.comparisons import (
    agreement_in_seeds,
    calibration_spread,
    commonest_scheme,
    qid_ratio,
    rows_named,
    slope,
    trends,
)
from helpers.analyse.degradation import AnalysisError, degradation, device_agreement

SIZE = "n_params_non_embedding"


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
