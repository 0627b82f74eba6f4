"""Reading tokens off QiD: what was planted comes back, intervals invert prediction intervals, ends are off the scale."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.predictions import hold_out
from helpers.analyse.laws.forms import StepsLaw, UnifiedLaw
from helpers.analyse.laws.loss import ANY_BITS, ChinchillaLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_LOSS
from helpers.analyse.laws.shapes import SaturatingLaw
from helpers.analyse.laws.variables import ValidityRange
from helpers.analyse.questions.decay import LOSS
from helpers.analyse.questions.training_level import (
    apparent_tokens,
    concordance,
    gains_of_doubling,
    loss_without_own_run,
    readings,
    readings_of_loss,
    tokens_at_levels,
    tokens_of_lost_doubling,
    tokens_where,
    without_own_run,
)
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.table.errors import AnalysisError

LOSSES = ChinchillaLaw(1.2, 40.0, 0.3, 1e3, 0.4, source="planted", validity=ValidityRange((1, 2), (1, 2), ANY_BITS))


@pytest.fixture
def study(planted) -> pd.DataFrame:
    """Rows of six planted runs, with 16-bit losses that follow a law exactly."""
    data = planted(3)
    columns = {
        N_PARAMS: data.n_params,
        TOKENS_SEEN: data.tokens,
        "bits": data.bits,
        "run_label": data.runs,
        "model": data.runs,
    }
    columns |= {"qid_nats": data.outcome_nats, "qid_se_nats": data.outcome_se_nats}
    return pd.DataFrame(columns | {LOSS: LOSSES.predict(data.tokens, data.n_params)})


@pytest.fixture
def kept(study) -> pd.DataFrame:
    """The same without rows whose QiD isn't positive."""
    return study[study["qid_nats"] > 0]


def test_a_change_is_found_and_ends_are_off_the_scale():
    turns = np.array([1e3, 1e30, 0.0])
    found = tokens_where(lambda tokens: tokens >= turns, (3,))
    assert found[0] == pytest.approx(1e3)
    assert list(found[1:]) == [np.inf, 0]


def test_the_law_s_own_qid_reads_as_its_tokens(planted):
    fit, _ = fit_by_run(UnifiedLaw, planted(1))
    tokens, sizes, bits = np.array([1e8, 1e9, 1e12]), np.array([1e6, 1e7, 1e9]), np.array([2.0, 3.0, 4.0])
    qid = fit.law.predict(tokens, sizes, bits)
    rows = FitData(tokens, sizes, bits, qid, 0.01 * qid, np.array(["new"] * 3))
    found = readings(fit, rows)
    np.testing.assert_allclose(found["read"], tokens, rtol=1e-6)
    assert (found["low"] < tokens).all()
    assert (found["high"] > tokens).all()


@pytest.mark.parametrize("law_type", [UnifiedLaw, StepsLaw])
def test_an_interval_holds_the_truth_where_the_prediction_interval_holds_the_qid(planted, law_type):
    data = planted(5)
    large = data.n_params == data.n_params.max()
    training, held = data.where(~large), data.where(large & (data.outcome_nats > 0))
    fit, _ = fit_by_run(law_type, training)
    found = readings(fit, held, level=0.5)
    log_mean, slopes = fit.law.evaluate(fit.law.coefficients, held.asked(fit.law))
    spread = (
        np.einsum("ni,ij,nj->n", slopes, fit.covariance, slopes)
        + fit.tau**2
        + (held.outcome_se_nats / held.outcome_nats) ** 2
    )
    off = np.abs(np.log(held.outcome_nats) - log_mean) / np.sqrt(spread)
    inside = (found["low"] <= held.tokens) & (held.tokens <= found["high"])
    np.testing.assert_array_equal(inside, off <= stats.t.ppf(0.75, fit.n_runs - 1))
    assert 0 < inside.mean() < 1
    # where errors are small the prediction interval of `uncertainty`, laid on QiD itself, says the same
    ours, theirs = readings(fit, held, 0.9), hold_out(law_type, training, held, held.outcome_se_nats, 0.9)
    both = (ours["low"] <= held.tokens) & (held.tokens <= ours["high"])
    assert np.mean(both == theirs.covered.astype(bool)) > 0.9


def test_a_qid_above_a_ceiling_reads_as_infinite(planted):
    fit, _ = fit_by_run(UnifiedLaw, planted(1))
    levels_off = SaturatingLaw.from_coefficients(np.append(fit.law.coefficients, np.log(1.0)), "", fit.law.validity)
    found = tokens_where(lambda tokens: levels_off.predict(tokens, 1e6, 2.0) > np.array([0.9, 1.1]), (2,))
    assert np.isfinite(found[0])
    assert found[1] == np.inf


def test_no_tokens_are_read_off_a_qid_that_isnt_positive(planted):
    data = planted(1)
    fit, _ = fit_by_run(UnifiedLaw, data)
    with pytest.raises(AnalysisError, match="positive QiD only"):
        readings(fit, dataclasses.replace(data, outcome_nats=-data.outcome_nats))


def test_losses_read_as_their_tokens():
    tokens, sizes = np.array([1e8, 1e9]), np.array([1e6, 1e7])
    found = readings_of_loss(LOSSES, sizes, LOSSES.predict(tokens, sizes), 0.01)
    np.testing.assert_allclose(found["read"], tokens, rtol=1e-6)
    low = LOSSES.predict(found["low"].to_numpy(), sizes) / LOSSES.predict(tokens, sizes)
    np.testing.assert_allclose(low, np.exp(0.01), rtol=1e-9)
    never = readings_of_loss(LOSSES, np.array([1e6]), np.array([1.0]), 0.01)
    assert never["read"][0] == np.inf


def test_every_run_is_read_by_the_law_of_the_others(kept):
    found = without_own_run(UnifiedLaw, kept)
    assert found.index.sort_values().equals(kept.index)
    one = kept["run_label"] == "run 2"
    fit, _ = fit_by_run(UnifiedLaw, FitData.from_table(kept[~one]))
    alone = readings(fit, FitData.from_table(kept[one]))
    np.testing.assert_array_equal(found.loc[kept.index[one], "read"], alone["read"])
    np.testing.assert_array_equal(found["ratio"], found["read"] / found[TOKENS_SEEN])
    assert found["covered"].mean() > 0.8  # nominal 90%, six runs with effects of their own


def test_without_scatter_the_others_law_reads_the_truth(planted):
    data = planted(1, tau_run=0.0, tau_row=0.0, floor_nats=1e-6)
    columns = {N_PARAMS: data.n_params, TOKENS_SEEN: data.tokens, "bits": data.bits, "run_label": data.runs}
    table = pd.DataFrame(columns | {"qid_nats": data.outcome_nats, "qid_se_nats": data.outcome_se_nats})
    found = without_own_run(UnifiedLaw, table)
    # QiD is off by 0.4%, and 1 / beta = 2.5 times that is 1%: ten of these
    np.testing.assert_allclose(found["ratio"], 1, atol=0.1)


def test_an_exact_loss_law_reads_exactly(study):
    found = loss_without_own_run(ChinchillaLaw, study)
    assert len(found) == study.groupby(["run_label", TOKENS_SEEN]).ngroups
    np.testing.assert_allclose(found["ratio"], 1, rtol=1e-3)
    worse = study.assign(**{LOSS: study[LOSS] * np.where(study["run_label"] == "run 5", 1.05, 1.0)})
    found = loss_without_own_run(ChinchillaLaw, worse).query("run_label == 'run 5'")
    np.testing.assert_allclose(
        LOSSES.predict(found["read"], found[N_PARAMS]),
        1.05 * LOSSES.predict(found[TOKENS_SEEN], found[N_PARAMS]),
        rtol=1e-3,
    )


def test_levels_are_read_off_between_checkpoints():
    rows = pd.DataFrame(
        {N_PARAMS: 1e6, "bits": 3.0, TOKENS_SEEN: [1e8, 2e8, 4e8], "qid_nats": [0.1, 0.2, 0.4], LOSS: [3.0, 2.9, 2.8]}
    )
    more = pd.concat(
        [rows, rows.assign(bits=2.0, qid_nats=[0.3, 0.4, 0.5]), rows.assign(bits=4.0, qid_nats=[-0.1, 0.0, 0.01])]
    )
    found = tokens_at_levels(more, {2.0: 0.2, 3.0: 0.2 * 2**0.5, 4.0: 0.2}).set_index("bits")
    assert list(found["crossed"]) == ["before", "here", "not yet"]
    assert found.loc[3, "tokens"] == pytest.approx(2e8 * 2**0.5)
    assert found.loc[3, "loss_nats"] == pytest.approx(2.85)
    assert found.loc[[2, 4], "tokens"].isna().all()
    assert (found["last_tokens"] == 4e8).all()
    from_below = tokens_at_levels(more[more["bits"] == 4], {4.0: 0.005})
    assert from_below["tokens"].between(2e8, 4e8).all()


def test_gains_are_those_of_half_the_tokens():
    rows = pd.DataFrame(
        {
            "run_label": "a",
            "bits": 3.0,
            TOKENS_SEEN: [1e8, 2e8, 4e8],
            "qid_nats": [0.1, 0.2, 0.4],
            LOSS: [3.0, 2.8, 2.7],
        }
    )
    found = gains_of_doubling(rows).set_index(TOKENS_SEEN)
    assert list(found.index) == [2e8, 4e8]
    assert found["gain_nats"].tolist() == pytest.approx([0.2, 0.1])
    assert found["doublings"].tolist() == pytest.approx([1.0, 4.0])


def test_a_lost_doubling_is_where_qid_equals_its_gain():
    sizes, bits = np.array([7e9, 7e10]), np.array([4.0, 3.0])
    place = tokens_of_lost_doubling(OUYANG_2024, OUYANG_2024_LOSS, sizes, bits)
    gain = OUYANG_2024_LOSS.predict(place / 2, sizes) - OUYANG_2024_LOSS.predict(place, sizes)
    np.testing.assert_allclose(OUYANG_2024.predict(place, sizes, bits), gain, rtol=1e-9)


def test_apparent_tokens_are_relative_to_the_trunk():
    tokens = np.array([1e8, 2e8, 4e8])
    trunk = pd.DataFrame({"model": "a", TOKENS_SEEN: tokens, LOSS: [3.0, 2.8, 2.6], "bits": 3.0})
    rows = {
        "model": "a",
        TOKENS_SEEN: 2e8,
        N_PARAMS: 1e6,
        "bits": 3.0,
        "twin_nats": 0.1,
        "loss_change_nats": [-0.1, 0.0, -0.5],
    }
    compared = pd.DataFrame(rows | {"qid_nats": [0.1, 0.1 * 2**OUYANG_2024.beta, 0.05], LOSS: [2.7, 2.8, 2.3]})
    found = apparent_tokens(compared, trunk, OUYANG_2024)
    assert np.exp(found["log_by_qid"]).tolist() == pytest.approx([1, 2, 0.5 ** (1 / OUYANG_2024.beta)])
    assert np.exp(found["log_by_loss"][:2]).tolist() == pytest.approx([2**0.5, 1])
    assert np.isnan(found["log_by_loss"][2])  # lower than the trunk ever gets


def test_concordance_counts_pairs_of_different_sizes():
    table = pd.DataFrame(
        {N_PARAMS: [1, 1, 2, 2], "bits": 3.0, "gauge": [1.0, 9.0, 2.0, 3.0], "truth": [1.0, 0.0, 2.0, 0.5]}
    )
    # of four pairs between sizes: (1, 2) and (1, 3) agree on 2 of truth and not on 0.5, 9 beats both and should not
    assert concordance(table, "gauge", "truth") == pytest.approx(1 / 4)
    assert concordance(table, "truth", "truth") == 1
