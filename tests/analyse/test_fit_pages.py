"""Figures, tables and the live chart that chapters 4 and 5 make of comparisons and fits."""

import json
import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.analyse import comparison_figures, fit_figures
from helpers.analyse.calculator import expressions, prediction_chart
from helpers.analyse.comparisons import agreement_in_seeds, calibration_spread, qid_ratio, trends
from helpers.analyse.degradation import degradation, device_agreement
from helpers.analyse.laws import OUYANG_2024, OneBitWidthLaw, UnifiedLaw
from helpers.analyse.style import use_house_style
from helpers.analyse.tables import agreement_table, fits_table, ratio_table
from helpers.analyse.uncertainty import clustered_by_run, fit_by_run

SIZE = "n_params_non_embedding"


@pytest.fixture(autouse=True)
def styled():
    with plt.rc_context():
        use_house_style()
        yield
        plt.close("all")


@pytest.fixture
def table(rows):
    return degradation(rows[rows["device_type"] == "cpu"])


@pytest.fixture
def agreement(rows, table):
    gptq = table[table["method"] == "gptq"]
    again = gptq.assign(calib_seed=1, qid_nats=gptq["qid_nats"] * 1.1)
    seeds = calibration_spread(pd.concat([gptq.assign(calib_seed=0), again]))
    return agreement_in_seeds(device_agreement(gptq, degradation(rows[rows["device_type"] == "cuda"])), seeds)


@pytest.fixture
def fits(planted):
    data = planted(1)
    two = fit_by_run(OneBitWidthLaw, data.where(data.bits == 2))[0]
    few = fit_by_run(UnifiedLaw, planted(1, n_sizes=2))[0]
    return {"all bits": fit_by_run(UnifiedLaw, data)[0], "2 bits": two, "two runs": few}


def test_figures_draw_with_units(table, agreement, fits):
    gptq, rtn = (table[table["method"] == method] for method in ("gptq", "rtn"))
    slopes = trends(gptq, "tokens_seen", [SIZE, "bits"])
    drawn = [
        comparison_figures.qid_against_size_by_tokens(gptq),
        comparison_figures.ratio_against_tokens(qid_ratio(rtn, gptq), "RTN / GPTQ (factor)"),
        comparison_figures.exponents(slopes, SIZE, "exponent of D (no unit)").figure,
        comparison_figures.device_differences(agreement).figure,
        fit_figures.exponents_of_fits(fits, {"published": OUYANG_2024}),
        fit_figures.residuals_against_tokens(fits["all bits"]),
    ]
    for figure in drawn:
        figure.canvas.draw()
        labels = [axes.get_xlabel() or figure.get_supxlabel() for axes in figure.axes]
        assert all("unit" in label or "(" in label for label in labels)
    assert comparison_figures.note("nothing").texts[0].get_text() == "nothing"


def test_exponents_without_an_interval_by_run_are_drawn_as_points(fits):
    figure = fit_figures.exponents_of_fits({"two runs": fits["two runs"]})
    assert all(len(axes.lines) == 1 for axes in figure.axes)
    whole = fit_figures.exponents_of_fits({"all bits": fits["all bits"]})
    assert all(len(axes.lines) == 2 for axes in whole.axes)


def test_fits_table_says_what_there_is(fits):
    shown = fits_table(fits, {"published": OUYANG_2024})
    assert shown.index.tolist() == ["all\u202fbits", "2\u202fbits", "two\u202fruns", "published"]
    one = fits["all bits"].estimate("beta")
    assert shown.iloc[0]["β"].replace("\u202f", " ") == f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
    assert shown.iloc[1]["γ"] == ""
    assert "[" not in shown.iloc[2]["α"]
    assert shown.loc["published", "α"] == "0.23"


def test_fit_by_run_says_why_there_is_no_interval(planted):
    fit, reason = fit_by_run(UnifiedLaw, planted(1, n_sizes=2))
    assert "alone determines a coefficient" in reason
    assert np.isinf(fit.degrees_of_freedom).all()
    fit, reason = fit_by_run(UnifiedLaw, planted(1))
    assert reason == ""
    assert np.isfinite(fit.degrees_of_freedom).all()


def test_agreement_table_has_a_row_a_checkpoint(agreement):
    shown = agreement_table(agreement)
    assert shown.shape == (12, 3)
    assert shown.columns.tolist() == ["2 bits", "3 bits", "4 bits"]
    tokens = [label for _, label in shown.index][:4]
    assert tokens == ["50M", "100M", "200M", "400M"]
    same = agreement_table(agreement.assign(difference_nats=1e-6))
    assert same["2 bits"].str.endswith("same").all()


def test_ratio_table_gives_median_and_quantiles(table):
    gptq = table[table["method"] == "gptq"]
    assert ratio_table({"itself": qid_ratio(gptq, gptq)}).loc["itself", "3 bits"] == "1.00 (1.00 to 1.00)"


def _in_python(expression: str, tokens: float, n_params: float, datum: dict) -> float:
    """Evaluate a Vega expression: its functions have the same names and meaning in Python's math."""
    expression = re.sub(r"datum\.(\w+)", r"datum['\1']", expression)
    names = {name: getattr(math, name) for name in ("exp", "log", "sqrt")}
    return eval(expression, names | {"max": max, "D": tokens, "N": n_params, "datum": datum})


def test_the_page_computes_what_the_law_says(fits):
    fit = fits["all bits"]
    said = expressions(fit, 0.90)
    for bits in (2.0, 4.0):
        datum = {"bits": bits}
        datum["qid"] = _in_python(said["qid"], 2e8, 1e6, datum)
        assert datum["qid"] == pytest.approx(fit.law.predict(2e8, 1e6, bits))
        x = fit.law.design(2e8, 1e6, bits)
        half = 2.015048 * math.sqrt(x @ fit.covariance @ x + fit.tau**2)  # t(5) at 95%
        assert _in_python(said["high"], 2e8, 1e6, datum) == pytest.approx(datum["qid"] * (1 + half), rel=1e-5)
        assert _in_python(said["low"], 2e8, 1e6, datum) == pytest.approx(datum["qid"] * (1 - half), rel=1e-5)


def test_the_chart_stays_inside_the_box_that_was_fitted(planted):
    fit = clustered_by_run(fit_by_run(UnifiedLaw, planted(1))[0])
    spec = json.loads(prediction_chart(fit).to_json())
    by_name = {one["name"]: one["bind"] for one in spec["params"]}
    assert 10 ** by_name["log_tokens"]["max"] == pytest.approx(fit.law.validity.tokens[1], rel=0.02)
    assert 10 ** by_name["log_size"]["min"] == pytest.approx(fit.law.validity.n_params[0], rel=0.02)
    assert spec["description"]
