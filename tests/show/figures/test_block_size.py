"""Figures of block sizes: every point is there, open marks say what is a lower limit, axes have their units."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from tests.analyse.planted_blocks import LAW, measurements

from helpers.analyse.mixed import block_size as blocks
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.show.figures import block_size as block_figures

pytestmark = pytest.mark.usefixtures("styled")


@pytest.fixture(scope="module")
def panels():
    table = blocks.in_relative_perplexity(blocks.rows_of_blocks(measurements()))
    middle = table[table["step"] == 1907]
    parts = {f"Qr = {ratio:g}": blocks.at_quantized_ratio(middle, ratio, LAW) for ratio in (0.5, 1.0)}
    return {name: (rows, blocks.exponents(rows)) for name, rows in parts.items()}


def test_curves_have_a_line_and_all_points_of_every_size(panels):
    figure = block_figures.curves(panels)
    for axes, (rows, fitted) in zip(figure.axes, panels.values(), strict=True):
        drawn = sum(len(container[0].get_xdata()) for container in axes.containers)
        assert drawn == len(rows)
        straight = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
        assert len(straight) >= len(fitted)
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert figure.get_supxlabel() == block_figures.BLOCK_LABEL
    faces = [to_hex(one[0].get_markerfacecolor()) for one in figure.axes[0].containers]
    assert faces.count(block_figures.CARD) == 8  # one scale a row, one of each size


def test_exponents_have_a_colour_a_stage_and_lines_of_others(panels):
    table = panels["Qr = 1"][1]
    two = pd.concat([table.assign(stage="early"), table.assign(stage="late", k=table["k"] + 0.1)])
    figure = block_figures.exponents_by_size({"Qr = 1": two, "other": two}, {"Qr = 1": {"theirs": 0.3}})
    first, second = figure.axes
    assert len(first.containers) == 2
    assert [text.get_text() for text in first.texts] == ["theirs"]
    assert not second.texts
    assert [text.get_text() for text in second.get_legend().get_texts()] == ["early", "late"]


def test_outliers_have_a_marker_a_size(panels):
    table = panels["Qr = 1"][1]
    figure = block_figures.exponents_by_outliers({"Qr = 1": table.assign(input_outliers=np.linspace(2, 9, len(table)))})
    (axes,) = figure.axes
    assert len(axes.containers) == table[N_PARAMS].nunique()
    assert sum(len(one[0].get_xdata()) for one in axes.containers) == len(table)
    assert len({one.get_label() for one in axes.containers}) == table[N_PARAMS].nunique()
    assert len(axes.get_legend().get_texts()) == 3


def test_budgets_show_lower_limits_as_arrows():
    law = pd.DataFrame({"n_params": [1e5, 1e7], "block": [20.0, 200.0], "low": [10.0, 150.0], "high": [40.0, 300.0]})
    measured = pd.DataFrame(
        {
            "ratio": "Qr = 0.5",
            N_PARAMS: [1e5, 1e6, 1e7],
            "block": [16.0, np.nan, 512.0],
            "all_within": [False, False, True],
        }
    )
    figure = block_figures.block_budgets({"Qr = 0.5": law}, measured)
    marks = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert [(line.get_marker(), list(line.get_xdata())) for line in marks] == [("o", [1e5]), ("^", [1e7])]


def test_a_stage_is_tokens_and_decay():
    rows = pd.DataFrame({"tokens_seen": [65_536_000, 250_085_376], "lr_phase": ["stable", "decay"]})
    assert block_figures.stage_name(rows).tolist() == ["65.5M", "250M, decayed"]
