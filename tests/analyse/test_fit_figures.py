"""Figures that chapters make of comparisons and fits."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.analyse import comparison_figures, fit_figures
from helpers.analyse.comparisons import qid_ratio, trends
from helpers.analyse.laws import OUYANG_2024
from helpers.analyse.noise import documents_needed, evaluation_error, noise_floor
from helpers.analyse.style import use_house_style
from helpers.analyse.ways import document_counts, ratios_to

SIZE = "n_params_non_embedding"


@pytest.fixture(autouse=True)
def styled():
    with plt.rc_context():
        use_house_style()
        yield
        plt.close("all")


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


def test_figures_of_ways_and_noise_have_units_and_draw_without_warnings(table):
    plain = table[table["method"] != "autogptq"]
    named = plain.assign(way=plain["method"].str.upper(), effective_bits=plain["bits"] + 0.5)
    ratios = ratios_to(named, "GPTQ", document_counts(64, np.random.default_rng(1), n_draws=200))
    gptq = plain[plain["method"] == "gptq"]
    seeds = pd.concat([gptq.assign(calib_seed=seed, qid_nats=gptq["qid_nats"] * (1 + 0.1 * seed)) for seed in (0, 1)])
    documents = documents_needed(gptq["document_qid_nats"].iloc[0], [16, 32], np.random.default_rng(2))
    errors = {bits: evaluation_error(rows) for bits, rows in gptq.groupby("bits")}
    floors = [noise_floor(bits, 0.1, error, 0.03, 0.01, 0.001) for bits, error in errors.items()]
    drawn = [
        comparison_figures.ratios_by_way(ratios, "QiD over that of GPTQ (factor)", [1, 2]).figure,
        comparison_figures.qid_against_effective_bits(named[named["step"] == 400]).figure,
        comparison_figures.calibration_scatter(seeds),
        comparison_figures.error_against_documents(documents.assign(bits=2.0), pd.Series({2.0: 0.03})).figure,
        comparison_figures.noise_parts(floors).figure,
    ]
    for figure in drawn:
        figure.canvas.draw()
        assert "(" in (figure.axes[0].get_xlabel() or figure.get_supxlabel() or figure.axes[0].get_ylabel())
    parts = [label.get_text() for label in drawn[-1].axes[0].get_xticklabels()]
    assert "training seed" not in parts  # it wasn't measured


def test_exponents_without_an_interval_by_run_are_drawn_as_points(fits):
    figure = fit_figures.exponents_of_fits({"two runs": fits["two runs"]})
    assert all(len(axes.lines) == 1 for axes in figure.axes)
    whole = fit_figures.exponents_of_fits({"all bits": fits["all bits"]})
    assert all(len(axes.lines) == 2 for axes in whole.axes)
