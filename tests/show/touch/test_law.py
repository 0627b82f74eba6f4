"""The law that the page can be asked about computes what the law says."""

import math

import numpy as np
import pytest
from tests.book.touch_page import in_node, needs_node

from helpers.analyse.fits.by_run import clustered_by_run, fit_by_run
from helpers.analyse.laws.forms import ExponentialLaw, LossLaw, StepsLaw, TokensPerParameterLaw, UnifiedLaw
from helpers.analyse.laws.shapes import SaturatingLaw
from helpers.analyse.laws.variables import LawError
from helpers.show.touch.law import columns, fitted_law

ASKED = [
    {"tokens": tokens, "n_params": size, "bits": bits}
    for tokens in (7e7, 2e8, 9e8)
    for size in (2e5, 1e6, 3e7)
    for bits in (2, 3, 4)
]


@needs_node
@pytest.mark.parametrize("form", [UnifiedLaw, StepsLaw, ExponentialLaw, TokensPerParameterLaw])
def test_the_page_computes_what_the_law_says(planted, form):
    fit = fit_by_run(form, planted(1))[0]
    data = fitted_law(fit, 0.90).data
    found = in_node("interval", [("predicted", [asked, data]) for asked in ASKED])
    for asked, answer in zip(ASKED, found, strict=True):
        qid = float(fit.law.predict(**asked))
        x = fit.law.evaluate(fit.law.coefficients, fit.law.ask(asked))[1]
        half = data["quantile"] * math.sqrt(x @ fit.covariance @ x + fit.tau**2)
        assert answer["qid"] == pytest.approx(qid, rel=1e-9)
        assert answer["high"] == pytest.approx(qid * (1 + half), rel=1e-9)
        assert answer["low"] == pytest.approx(max(0, qid * (1 - half)), rel=1e-7, abs=1e-12)  # a difference of two
    assert data["quantile"] == pytest.approx(2.015048, rel=1e-6)  # t(5) at 95%


def test_laws_that_the_page_can_not_compute_are_refused():
    for law in (SaturatingLaw, LossLaw):
        with pytest.raises(LawError, match="the page asks products of terms in tokens, size and bits"):
            columns(law)


def test_it_is_asked_only_inside_the_box_that_was_fitted(planted):
    fit = clustered_by_run(fit_by_run(UnifiedLaw, planted(1))[0])
    data = fitted_law(fit).data
    box = fit.law.validity
    assert data["box"] == {"tokens": box.tokens, "n_params": box.n_params}
    assert data["bits"] == [2, 3, 4]
    assert np.shape(data["covariance"]) == (4, 4)
    assert len(data["columns"]) == 4
