"""The live chart of chapter 5 computes what the law says."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from helpers.analyse.fits.by_run import clustered_by_run, fit_by_run
from helpers.analyse.laws.forms import ExponentialLaw, LossLaw, StepsLaw, TokensPerParameterLaw, UnifiedLaw
from helpers.analyse.laws.shapes import SaturatingLaw
from helpers.analyse.laws.variables import LawError
from helpers.show.live_chart import columns, expressions, prediction_chart


def _in_python(expression: str, tokens: float, n_params: float, datum: dict) -> float:
    """Evaluate a Vega expression: its functions have the same names and meaning in Python's math."""
    expression = re.sub(r"datum\.(\w+)", r"datum['\1']", expression)
    names = {name: getattr(math, name) for name in ("exp", "log", "sqrt")}
    return eval(expression, names | {"max": max, "D": tokens, "N": n_params, "datum": datum})


@pytest.mark.parametrize("form", [UnifiedLaw, StepsLaw, ExponentialLaw, TokensPerParameterLaw])
def test_the_page_computes_what_the_law_says(planted, form):
    fit = fit_by_run(form, planted(1))[0]
    said = expressions(fit, 0.90)
    for bits in (2.0, 4.0):
        datum = {"bits": bits}
        datum["qid"] = _in_python(said["qid"], 2e8, 1e6, datum)
        assert datum["qid"] == pytest.approx(fit.law.predict(2e8, 1e6, bits))
        x = fit.law.evaluate(fit.law.coefficients, fit.law.ask({"tokens": 2e8, "n_params": 1e6, "bits": bits}))[1]
        half = 2.015048 * math.sqrt(x @ fit.covariance @ x + fit.tau**2)  # t(5) at 95%
        assert _in_python(said["high"], 2e8, 1e6, datum) == pytest.approx(datum["qid"] * (1 + half), rel=1e-5)
        assert _in_python(said["low"], 2e8, 1e6, datum) == pytest.approx(datum["qid"] * (1 - half), rel=1e-5)


def test_laws_that_the_page_can_not_compute_are_refused():
    for law in (SaturatingLaw, LossLaw):
        with pytest.raises(LawError, match="the live chart draws products of terms in tokens, size and bits"):
            columns(law)


def test_the_chart_stays_inside_the_box_that_was_fitted(planted):
    fit = clustered_by_run(fit_by_run(UnifiedLaw, planted(1))[0])
    spec = json.loads(prediction_chart(fit).to_json())
    by_name = {one["name"]: one["bind"] for one in spec["params"]}
    assert 10 ** by_name["log_tokens"]["max"] == pytest.approx(fit.law.validity.tokens[1], rel=0.02)
    assert 10 ** by_name["log_size"]["min"] == pytest.approx(fit.law.validity.n_params[0], rel=0.02)
    assert "2, 3, 4 bits" in spec["description"]


def test_the_sliders_reach_both_ends(planted):
    data = planted(1)
    for last in (0.94e9, 0.95e9, 0.96e9):  # a browser moves a value that isn't on a step
        part = dataclasses.replace(data, tokens=np.minimum(data.tokens, last))
        spec = json.loads(prediction_chart(fit_by_run(UnifiedLaw, part)[0]).to_json())
        for one in (param for param in spec["params"] if "bind" in param):
            steps = (one["bind"]["max"] - one["bind"]["min"]) / one["bind"]["step"]
            assert steps == pytest.approx(round(steps), abs=1e-6)
            assert one["value"] == one["bind"]["max"]
