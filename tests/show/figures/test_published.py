"""Figures of the published table and of projections."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_LOSS
from helpers.analyse.questions.published_tables import projections, turning_tokens
from helpers.show.figures import published as published_figures

UNIFIED = dict.fromkeys((2, 3), OUYANG_2024)

pytestmark = pytest.mark.usefixtures("styled")


def test_printed_over_law_has_a_line_a_qid():
    cells = pd.DataFrame({"n_params": [1e9, 7e9] * 2, "bits": 2, "qid_nats": [0.2, 0.2, 0.3, 0.3]})
    figure = published_figures.printed_over_law(
        cells.assign(tokens_trillions=[2.0, 3.0, 4.0, 5.0]), pd.Series([1.0] * 4)
    )
    figure.canvas.draw()
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines[1:]] == [[2, 3], [4, 5]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0.2", "0.3"]
    assert "(factor)" in axes.get_ylabel()
    assert "parameters" in figure.get_supxlabel()


def test_losses_turn_at_the_dots():
    tokens = np.geomspace(1e9, 1e14, 20)
    figure = published_figures.losses_against_tokens(UNIFIED, OUYANG_2024_LOSS, 10.8, [7e9, 7e10], tokens)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["N = 7B", "N = 70B"]
    dot = figure.axes[0].lines[3]
    assert dot.get_xdata()[0] == turning_tokens(OUYANG_2024, OUYANG_2024_LOSS, 7e9, 2)
    assert figure.axes[0].get_ylabel() == "loss (nats per token)"
    assert figure.axes[1].get_legend().get_texts()[0].get_text() == "16 bits"


def test_losses_that_have_not_turned_are_drawn_apart():
    published = pd.DataFrame({"n_params": [1e5, 1e9], "bits": 2, "tokens": [1e8, 1e10]})
    columns = {"n_params": [1e5, 1e6], "bits": 2, "tokens": [1e8, 9e8], "low": [9e7, 9e8], "high": [2e8, 9e8]}
    measured = pd.DataFrame(columns | {"last_tokens": 9e8, "turned": [True, False]})
    axes = published_figures.turning_against_size(published, measured, (1e8, 1e10))
    axes.figure.canvas.draw()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(labels) == {"2 bits, law", "2 bits, measured", "2 bits, not yet"}
    low, high = axes.containers[0].lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((9e7, 2e8))
    assert "(training tokens D)" in axes.get_ylabel()


def test_projections_have_bars_only_where_there_are_intervals():
    table = projections({"paper": UNIFIED, "ours": UNIFIED}, OUYANG_2024_LOSS, 10.8, 1e14, [7e9, 7e10])
    ours = table["law"] == "ours"
    table = table.assign(low=(table["qid_nats"] / 2).where(ours), high=(table["qid_nats"] * 2).where(ours))
    figure = published_figures.projections_by_law(table)
    figure.canvas.draw()
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["paper", "ours"]
    heights = [np.ptp(segment[:, 1]) for segment in axes.containers[0].lines[2][0].get_segments()]
    expected = 1.5 * float(OUYANG_2024.predict(1e14, 7e9, 2))
    assert heights == pytest.approx([0, expected])
    shaded = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert shaded.y0 == pytest.approx(table["room_nats"].iloc[0])
