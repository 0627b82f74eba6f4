"""Figures of QiD as a gauge."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures import training_level

pytestmark = pytest.mark.usefixtures("styled")


def test_levels_not_crossed_are_hollow_arrows_at_the_ends_of_a_run():
    columns = {N_PARAMS: [1e5, 1e6, 1e7], "bits": 3.0, "qid_nats": 0.2, "tokens": [np.nan, 2e8, np.nan]}
    more = {"first_tokens": 1e8, "last_tokens": 9e8, "crossed": ["before", "here", "not yet"]}
    figure = training_level.tokens_of_level(pd.DataFrame(columns | more), OUYANG_2024)
    figure.canvas.draw()
    (axes,) = figure.axes
    assert axes.get_title() == "3 bits, 0.2 nats"
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"law", "equal D / N", "measured", "later than", "sooner than"}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(lines)
    assert lines["later than"].get_xydata().tolist() == [[1e7, 9e8]]
    assert lines["sooner than"].get_xydata().tolist() == [[1e5, 1e8]]
    sizes, tokens = lines["equal D / N"].get_data()
    np.testing.assert_allclose(tokens / sizes, 200)
    sizes, tokens = lines["law"].get_data()
    np.testing.assert_allclose(OUYANG_2024.predict(tokens, sizes, 3), 0.2)
    assert "(training tokens D)" in axes.get_ylabel()
    assert "parameters" in figure.get_supxlabel()


def test_misses_of_the_interval_are_hollow():
    columns = {
        N_PARAMS: [1e6] * 3 + [2e6] * 3,
        TOKENS_SEEN: [1e8, 2e8, 4e8] * 2,
        "ratio": [0.5, 1.0, 1.5, 1.0, 1.0, 2.0],
    }
    table = pd.DataFrame(columns | {"covered": [False, True, True, True, True, True]})
    figure = training_level.reading_over_truth({"a": table, "b": table[3:]}, 0.9)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    points = figure.axes[0].lines[2]
    assert points.get_xydata().tolist() == [[1e8, 0.5]]
    assert points.get_markerfacecolor() == figure.axes[0].get_facecolor()
    assert "90% interval" in figure.axes[1].get_legend().get_title().get_text()
    assert "(factor)" in figure.axes[0].get_ylabel()


def test_ways_stand_in_the_tables_order_with_bars_where_there_are_any():
    ends = {"low": [1.1, np.nan, 0.9, np.nan], "high": [3.3, np.nan, 1.1, np.nan], "lowest": 0.9, "highest": 1.4}
    rows = {
        "way": ["cooldown", "average"] * 2,
        "gauge": ["2 bits"] * 2 + ["16-bit loss"] * 2,
        "factor": [1.2, 0.8, 1.0, 1.5],
    }
    figure = training_level.apparent_over_true(pd.DataFrame(rows | ends))
    figure.canvas.draw()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["average", "cooldown"]
    points = dict(zip(*axes.containers[0].lines[0].get_data(), strict=True))
    assert points == pytest.approx({1.2: 1.09, 0.8: 0.09})
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["2 bits", "16-bit loss"]
    assert axes.get_xlabel() == "apparent over true tokens (factor)"
    assert axes.get_xlim()[1] > 3.3, "a long bar isn't cut"


def test_lost_doublings_have_a_line_a_size_and_one_at_one():
    columns = {N_PARAMS: [1e6, 1e6, 2e6, 2e6], TOKENS_SEEN: [1e8, 2e8] * 2, "doublings": [0.1, 1.0, 0.2, 2.0]}
    rows = pd.DataFrame(columns)
    figure = training_level.lost_doublings(pd.concat([rows.assign(bits=2.0), rows.assign(bits=4.0)]))
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["2 bits", "4 bits"]
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[1.0, 1.0], [0.1, 1.0], [0.2, 2.0]]
    assert "(factor)" in figure.axes[0].get_ylabel()
