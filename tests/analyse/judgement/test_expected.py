"""What is to be expected of a model: the law's own answer, and what larger groups add."""

import pytest
from tests.measure.tiny import ROOT

from helpers.analyse.fits import answers
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.judgement.expected import expected_qid

MODEL = {"n_params": 1e7, "tokens": 5e8, "bits": 3.0}


@pytest.fixture(scope="module")
def fits():
    return read_fits(ROOT / "results/fits.json", ROOT / "results/measurements.parquet")


def test_in_groups_of_32_it_is_what_predict_answers(fits):
    found = expected_qid(fits, "tokens-per-parameter", 1e7, 5e8, 3, 32, 2.0)
    answer = answers.predict(answers.fitted_law(fits, "tokens-per-parameter"), MODEL)
    assert (found.qid_nats, found.low_nats, found.high_nats) == (answer.value, answer.low, answer.high)
    assert found.outside == ()


def test_larger_groups_cost_what_the_law_of_groups_says(fits):
    in_groups = [expected_qid(fits, "power", 1e7, 5e8, 3, size, 2.0) for size in (32, 128)]
    grouped = answers.fitted_law(fits, "group-size")
    said = [answers.predict(grouped, {**MODEL, "group_size": size}).value for size in (32, 128)]
    assert in_groups[1].qid_nats / in_groups[0].qid_nats == pytest.approx(said[1] / said[0])
    assert in_groups[1].low_nats / in_groups[0].low_nats == pytest.approx(said[1] / said[0])


def test_what_lies_beyond_the_fitted_ranges_is_named(fits):
    assert expected_qid(fits, "power", 1e9, 5e8, 3, 256, 2.0).outside == ("n_params", "group_size")


def test_of_a_scale_a_row_and_of_a_law_that_lacks_something_nothing_is_said(fits):
    assert expected_qid(fits, "power", 1e7, 5e8, 3, None, 2.0) is None
    assert expected_qid(fits, "learning-rate", 1e7, 5e8, 3, 32, 2.0) is None
