import math

import numpy as np
import pytest

from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error, perplexity_ratio


def test_a_paired_error_by_hand():
    """Differences 0.5 and 0.7: deviation 0.1 x root 2, over root 2."""
    assert paired_error(np.subtract((1.5, 3.7), (1.0, 3.0))) == pytest.approx(0.1)


def test_one_document_has_no_error():
    with pytest.raises(AnalysisError, match="two documents or more; got 1"):
        paired_error(np.array([0.5]))


def test_paired_error_is_the_textbook_formula():
    generator = np.random.default_rng(3)
    differences = generator.normal(0.3, 0.1, 20)
    squares = sum((value - sum(differences) / 20) ** 2 for value in differences)
    # 1e-12: the same sums in another order
    assert paired_error(differences) == pytest.approx((squares / 19 / 20) ** 0.5, rel=1e-12)


def test_paired_error_is_the_spread_over_fresh_documents():
    generator = np.random.default_rng(4)
    trials = generator.normal(0.3, 0.1, (4000, 25))
    errors = np.array([paired_error(trial) for trial in trials])
    # the spread of 4000 means is known to 1.1% (one sd); 4% leaves more than three
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(trials.mean(axis=1).std(), rel=0.04)


def test_perplexity_is_multiplied_by_e_to_the_qid_as_far_as_floats_go():
    assert perplexity_ratio(0.0) == 1
    assert perplexity_ratio(-1.0) == math.exp(-1)
    assert perplexity_ratio(709.0) == math.exp(709.0)
    assert perplexity_ratio(710.0) is None
