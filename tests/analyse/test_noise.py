import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.comparisons import REPLICATE_KEY
from helpers.analyse.degradation import AnalysisError, paired_error
from helpers.analyse.noise import (
    EvaluationError,
    calibration_draws,
    clustered_error,
    device_part,
    documents_needed,
    evaluation_error,
    format_parts,
    noise_floor,
)

EXACT = EvaluationError(absolute_nats=0.0, relative=0.0, n_documents=128)


def test_documents_that_repeat_each_other_count_once():
    one = np.random.default_rng(2).normal(0.1, 0.05, 30)
    groups = [f"package {index}" for index in range(30)]
    assert clustered_error(one, groups) == pytest.approx(paired_error(one))
    assert clustered_error(np.tile(one, 4), groups * 4) == pytest.approx(paired_error(one))
    assert clustered_error(one) == paired_error(one)
    with pytest.raises(AnalysisError, match="1 groups"):
        clustered_error(one, ["package"] * 30)


def _with_errors(qid: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """Rows with exactly these QiDs and paired errors, over 64 documents that lie evenly on both sides of the mean."""
    sides = np.tile([-1.0, 1.0], 32)
    sides = sides / paired_error(sides)
    documents = [mean + error * sides for mean, error in zip(qid, errors, strict=True)]
    return pd.DataFrame({"qid_nats": qid, "document_qid_nats": documents, "n_documents": 64})


def test_both_parts_of_the_evaluation_error_come_back():
    qid = np.geomspace(0.01, 1.0, 9)
    error = evaluation_error(_with_errors(qid, np.hypot(0.001, 0.02 * qid)))
    assert error.absolute_nats == pytest.approx(0.001)
    assert error.relative == pytest.approx(0.02)
    assert error.at(0.0) == pytest.approx(0.001)
    assert error.at(0.5, 16) == pytest.approx(2 * np.hypot(0.001, 0.01))  # a quarter of the documents


def test_a_part_of_the_evaluation_error_is_never_negative():
    qid = np.geomspace(0.01, 1.0, 9)
    error = evaluation_error(_with_errors(qid, 0.01 * qid**1.5))
    assert error.absolute_nats == 0.0
    with pytest.raises(AnalysisError, match="three rows"):
        evaluation_error(_with_errors(qid[:2], qid[:2]))


def test_fewer_documents_give_a_larger_error_that_the_interval_knows():
    differences = np.random.default_rng(4).normal(0.2, 0.1, 128)
    table = documents_needed(differences, [16, 64], np.random.default_rng(6)).set_index("n_documents")
    sd = differences.std()
    # 4000 draws give a standard deviation to about 1%, and a coverage to 0.3%
    np.testing.assert_allclose(table["sd_nats"], [sd / 4, sd / 8], rtol=0.05)
    np.testing.assert_allclose(table["relative_sd"], table["sd_nats"] / differences.mean())
    assert table["coverage"].between(0.92, 0.97).all()


def _draws(effects: dict[int, list[float]], noise: float = 0.0) -> pd.DataFrame:
    """One checkpoint with a row a calibration seed: QiD is one plus the effect, plus `noise` of its own documents."""
    generator = np.random.default_rng(9)
    common = generator.normal(0.0, 0.3, 400)
    blank = dict.fromkeys(REPLICATE_KEY, "same")
    return pd.DataFrame(
        blank
        | {"checkpoint_id": "one", "bits": float(bits), "calib_seed": seed}
        | {"document_qid_nats": 1.0 + effect + common - common.mean() + noise * generator.normal(size=400)}
        for bits, each in effects.items()
        for seed, effect in enumerate(each)
    )


def test_calibration_draws_give_the_relative_scatter_and_its_interval():
    table = calibration_draws(_draws({2: [-0.1, 0.0, 0.1], 4: [-0.02, 0.0, 0.02]}))
    np.testing.assert_allclose(table["relative_sd"], [0.1, 0.02])
    np.testing.assert_allclose(table["documents_share"], 0.0, atol=1e-20)
    assert table["degrees_of_freedom"].tolist() == [2, 2]
    ends = 0.1 * np.sqrt(2 / stats.chi2(2).ppf([0.975, 0.025]))
    assert table.loc[2.0, ["low", "high"]].tolist() == pytest.approx(ends.tolist())


def test_scatter_that_the_documents_make_is_told():
    """Without any effect of the draw, all of the variance is that of documents."""
    table = calibration_draws(_draws({3: [0.0] * 40}, noise=0.5))
    assert table.loc[3.0, "documents_share"] == pytest.approx(1.0, abs=0.3)  # 39 degrees of freedom: about 23%
    with pytest.raises(AnalysisError, match="two calibration seeds"):
        calibration_draws(_draws({3: [0.0]}))


def test_device_part_is_that_of_one_measurement():
    agreement = pd.DataFrame({"method": ["gptq", "gptq", "rtn"], "bits": [3.0, 3.0, 3.0]})
    agreement = agreement.assign(difference_nats=[0.02, -0.02, 9.0], qid_nats_cuda=1.0)
    assert device_part(agreement)[3.0] == pytest.approx(0.02 / np.sqrt(2))


def test_format_parts_are_relative_by_bits():
    rows = pd.DataFrame({"work": ["a, 2 bits", "b, 2 bits", "a, 4 bits"], "qid_nats": [1.0, 2.0, 0.1]})
    parts = format_parts(rows.assign(scoring_in_tfloat32=[0.03, -0.08, 0.001]))
    assert parts.loc[2.0, "scoring_in_tfloat32"] == pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2))
    assert parts.loc[4.0, "scoring_in_tfloat32"] == pytest.approx(0.01)


def test_the_floor_is_twice_the_root_of_the_sum_of_squares():
    floor = noise_floor(3, 0.2, EvaluationError(0.0, 0.06, 64), 0.03, 0.02, number_format_relative=0.0)
    assert floor.evaluation_nats == pytest.approx(0.012)
    assert floor.calibration_nats == pytest.approx(0.006)
    assert floor.floor_nats == pytest.approx(2 * 0.2 * 0.07)
    assert floor.floor_relative == pytest.approx(0.14)
    assert floor.training_seed_nats is None
    assert dataclasses.is_dataclass(floor)
    with pytest.raises(dataclasses.FrozenInstanceError):
        floor.bits = 4


def test_a_training_seed_raises_the_floor():
    without = noise_floor(3, 0.2, EXACT, 0.03)
    seeded = noise_floor(3, 0.2, EXACT, 0.03, training_seed_relative=0.04)
    assert without.floor_nats == pytest.approx(2 * 0.2 * 0.03)
    assert seeded.floor_nats == pytest.approx(2 * 0.2 * 0.05)
    assert seeded.training_seed_nats == pytest.approx(0.008)


def test_the_smallest_qid_equals_its_own_floor():
    error = EvaluationError(0.001, 0.02, 128)
    smallest = noise_floor(4, 0.5, error, 0.04, n_documents=32).smallest_qid_nats
    assert noise_floor(4, smallest, error, 0.04, n_documents=32).floor_nats == pytest.approx(smallest)
    assert noise_floor(4, 0.5, error, 0.6).smallest_qid_nats == np.inf
    with pytest.raises(AnalysisError, match="positive"):
        noise_floor(4, 0.0, error, 0.04)
