"""What a fit takes and returns, and what a law says of rows that it wasn't fitted to."""

import dataclasses

import numpy as np
import pytest

from helpers.analyse.fits.result import measured_over_predicted


def test_measured_over_predicted_sums_by_bits_and_size_and_keeps_negative_values(planted, truth):
    data = planted(1, n_sizes=3)
    exact = truth.predict(data.tokens, data.n_params, data.bits)
    factor = np.where(data.bits == 4, 0.5, 1.0)
    few = np.flatnonzero((data.bits == 4) & (data.n_params == data.n_params.max()))
    qid = exact * factor
    qid[few[0]] = -exact[few[0]]
    ratios = measured_over_predicted(truth, dataclasses.replace(data, outcome_nats=qid))
    assert ratios.shape == (3, 3)
    assert list(ratios.index) == [2.0, 3.0, 4.0]
    assert ratios.loc[2.0].to_numpy() == pytest.approx(1.0)
    assert ratios.loc[4.0].to_numpy()[:2] == pytest.approx(0.5)
    assert ratios.loc[4.0].iloc[2] == pytest.approx(0.5 - 1.5 * exact[few[0]] / exact[few].sum())
