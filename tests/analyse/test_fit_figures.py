"""Figures that chapters 4 and 5 make of comparisons and fits."""

import matplotlib.pyplot as plt
import pytest

from helpers.analyse import comparison_figures, fit_figures
from helpers.analyse.comparisons import qid_ratio, trends
from helpers.analyse.laws import OUYANG_2024
from helpers.analyse.style import use_house_style

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


def test_exponents_without_an_interval_by_run_are_drawn_as_points(fits):
    figure = fit_figures.exponents_of_fits({"two runs": fits["two runs"]})
    assert all(len(axes.lines) == 1 for axes in figure.axes)
    whole = fit_figures.exponents_of_fits({"all bits": fits["all bits"]})
    assert all(len(axes.lines) == 2 for axes in whole.axes)
