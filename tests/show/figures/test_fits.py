"""Figures that chapters make of comparisons and fits."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.result import measured_over_predicted
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.questions.trends import trends
from helpers.analyse.questions.twins import qid_ratio
from helpers.analyse.questions.ways import ratios_to
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.analyse.rows.noise import documents_needed
from helpers.analyse.rows.resampling import document_counts
from helpers.show.figures import comparisons
from helpers.show.figures import fits as fit_figures

pytestmark = pytest.mark.usefixtures("styled")


def test_figures_draw_with_units(table, agreement, fits):
    gptq, rtn = (table[table["method"] == method] for method in ("gptq", "rtn"))
    slopes = trends(gptq, "tokens_seen", [N_PARAMS, "bits"])
    drawn = [
        comparisons.qid_against_size_by_tokens(gptq),
        comparisons.ratio_against_tokens(qid_ratio(rtn, gptq), "RTN / GPTQ (factor)"),
        comparisons.exponents(slopes, N_PARAMS, "exponent of D (no unit)").figure,
        comparisons.device_differences(agreement).figure,
        fit_figures.exponents_of_fits(fits, {"published": OUYANG_2024}),
        fit_figures.residuals_against_tokens(fits["all bits"]),
        fit_figures.ratios_by_bits(measured_over_predicted(OUYANG_2024, fits["all bits"].data), (2, 4)).figure,
    ]
    for figure in drawn:
        figure.canvas.draw()
        labels = [axes.get_xlabel() or figure.get_supxlabel() for axes in figure.axes]
        assert all("unit" in label or "(" in label for label in labels)
    assert comparisons.note("nothing").texts[0].get_text() == "nothing"


def test_figures_of_ways_and_noise_have_units_and_draw_without_warnings(table):
    plain = table[table["method"] != "autogptq"]
    named = plain.assign(way=plain["method"].str.upper(), effective_bits=plain["bits"] + 0.5)
    ratios = ratios_to(named, "GPTQ", document_counts(64, np.random.default_rng(1), n_draws=200))
    gptq = plain[plain["method"] == "gptq"]
    seeds = pd.concat([gptq.assign(calib_seed=seed, qid_nats=gptq["qid_nats"] * (1 + 0.1 * seed)) for seed in (0, 1)])
    documents = documents_needed(gptq["document_qid_nats"].iloc[0], [16, 32], np.random.default_rng(2))
    known = {"part": "calibration text", "relative_sd": 0.03, "low": 0.02, "high": 0.05}
    bare = {"part": "documents", "relative_sd": 0.01, "bits": 2.0}
    parts = pd.DataFrame([known | {"bits": 2.0}, known | {"bits": 3.0}, bare])
    drawn = [
        comparisons.ratios_by_way(ratios, "QiD over that of GPTQ (factor)", [1, 2]).figure,
        comparisons.qid_against_effective_bits(named[named["step"] == 400]).figure,
        comparisons.scatter_about_mean(seeds[seeds["step"] == 400], N_PARAMS, "calib_seed"),
        comparisons.scatter_about_mean(seeds, "tokens_seen", "calib_seed"),
        comparisons.error_against_documents(documents.assign(bits=2.0), pd.Series({2.0: 0.03})).figure,
        comparisons.noise_parts(parts).figure,
    ]
    for figure in drawn:
        figure.canvas.draw()
        assert "(" in (figure.axes[0].get_xlabel() or figure.get_supxlabel() or figure.axes[0].get_ylabel())
    labels = [label.get_text() for label in drawn[-1].axes[0].get_xticklabels()]
    assert labels == ["calibration\ntext", "documents"]
    dots = drawn[2].axes[0].lines[1].get_ydata()  # the first draw, over the mean of two that are 1 and 1.1
    np.testing.assert_allclose(dots, 1 / 1.05)


def test_exponents_without_an_interval_by_run_are_drawn_as_points(fits):
    figure = fit_figures.exponents_of_fits({"two runs": fits["two runs"]})
    assert all(len(axes.lines) == 1 for axes in figure.axes)
    whole = fit_figures.exponents_of_fits({"all bits": fits["all bits"]})
    assert all(len(axes.lines) == 2 for axes in whole.axes)


def test_ratios_by_bits_show_what_is_below_zero_and_the_bits_that_were_fitted():
    ratios = pd.DataFrame({1.5e5: [1.0, 0.9, -0.2], 1.5e7: [1.1, 1.0, 0.3]}, index=[2.0, 4.0, 8.0])
    axes = fit_figures.ratios_by_bits(ratios, (2.0, 4.0))
    assert axes.get_ylim()[0] <= -0.2
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((2.0, 4.0))
    assert [text.get_text() for text in axes.texts] == ["N = 0.15M", "N = 15M"]
    assert fit_figures.ratios_by_bits(ratios.abs(), (2.0, 4.0)).get_ylim()[0] == 0


def test_ratios_in_panels_draw_each_comparison_by_size(table):
    gptq, rtn = (table[table["method"] == method] for method in ("gptq", "rtn"))
    ratios = qid_ratio(rtn, gptq)
    titles = {f"RTN, {bits:g} bits": rows for bits, rows in ratios.groupby("bits")}
    figure = comparisons.ratios_in_panels(titles, "ratio (factor)", (0.5, 5.0))
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == list(titles)
    n_sizes = ratios[N_PARAMS].nunique()
    assert len(figure.legends[0].get_texts()) == min(3, n_sizes)
    drawn = [line.get_label() for line in figure.axes[1].lines if len(line.get_ydata()) > 2]
    assert len({*drawn}) == len(drawn) == n_sizes
    assert {text.get_text() for text in figure.legends[0].get_texts()} <= {*drawn}
    assert figure.axes[1].get_ylim() == (0.5, 5.0)
    assert "(tokens)" in figure.get_supxlabel()
    assert figure.get_supylabel() == "ratio (factor)"


def test_text_ratios_against_tokens_have_a_panel_a_text():
    rows = pd.DataFrame({"bits": [2.0, 2.0, 3.0], "tokens_seen": [1e8, 2e8, 1e8], "ratio": [1.0, 1.1, 0.9]})
    rows = rows.assign(low=rows["ratio"] - 0.1, high=rows["ratio"] + 0.2)
    figure = comparisons.text_ratios_against_tokens({"unseen": rows, "prose": rows}, "QiD ratio (factor)")
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["unseen", "prose"]
    assert figure.axes[0].get_ylabel() == "QiD ratio (factor)"
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["2 bits", "3 bits"]
    low, high = figure.axes[0].containers[0].lines[2][0].get_segments()[1][:, 1]
    assert (low, high) == pytest.approx((1.0, 1.3))


def test_local_exponents_have_a_panel_an_epoch_and_one_of_size(table):
    gptq = table[table["method"] == "gptq"]
    of_tokens, of_size = (
        trends(gptq, "tokens_seen", [N_PARAMS, "bits"]),
        trends(gptq, N_PARAMS, ["tokens_seen", "bits"]),
    )
    slopes = {"first epoch": of_tokens, "later epochs": of_tokens, "size": of_size}
    figure = fit_figures.local_exponents(slopes)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["first epoch", "later epochs", "one number of tokens"]
    drawn = figure.axes[2].lines[0].get_ydata()
    assert list(drawn) == list(of_size[of_size["bits"] == 2].sort_values("tokens_seen")["exponent"])
