"""Figures of hold-outs and of points from outside."""

import numpy as np
import pandas as pd
import pytest

from helpers.show.figures import extrapolation
from helpers.show.style import INK

pytestmark = pytest.mark.usefixtures("styled")

SCORES = pd.DataFrame(
    {"largest size": [0.1, 0.5, 0.9], "2 bits": [0.2, np.nan, 0.3]}, index=["power", "printed", "exponential"]
)
COVERED = pd.DataFrame(
    {"largest size": [0.9, np.nan, 0.95], "2 bits": [1.0, np.nan, 0.0]}, index=["power", "printed", "exponential"]
)
ERRORS = pd.DataFrame(
    {"largest size": [np.nan, np.nan, np.nan], "2 bits": [0.034, np.nan, 0.01]},
    index=["power", "printed", "exponential"],
)
TIED = pd.DataFrame(
    {"largest size": [True, False, False], "2 bits": [False, False, True]}, index=["power", "printed", "exponential"]
)


def test_cells_say_rms_and_coverage_and_published_laws_stand_apart():
    figure = extrapolation.score_map(SCORES, ERRORS, COVERED, TIED, ["printed"], 0.15)
    figure.canvas.draw()
    axes, bar = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["power", "exponential", "printed"]
    words = [text.get_text() for text in axes.texts]
    assert sorted(words) == sorted(
        ["0.10\n90%, tied", "0.20 ± 0.03\n100%", "0.90\n95%", "0.30 ± 0.01\n0%, tied", "0.50\n–", "n/a"]
    )
    bold = [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"]
    assert bold == ["0.10\n90%, tied"]
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    assert colours["0.10\n90%, tied"] == INK  # on a light cell
    assert colours["0.90\n95%"] == "white"
    (missing,) = [text for text in axes.texts if text.get_text() == "n/a"]
    assert missing.get_position() == (1.5, 2.5)
    assert axes.lines[0].get_ydata()[0] == 2  # the gap
    assert "(no unit)" in bar.get_ylabel()
    assert axes.get_xlabel() == "held out"


def test_without_published_laws_there_is_no_gap():
    figure = extrapolation.score_map(SCORES, ERRORS, COVERED, TIED, [], 0.15)
    assert not figure.axes[0].lines


def test_runs_of_the_largest_have_a_panel_a_width_and_a_line_with_bars_a_run():
    columns = {"run": ["first run", "first run", "another seed", "first run"], "bits": [3, 3, 3, 4]}
    more = {"tokens_seen": [1e8, 2e8, 1e8, 1e8], "ratio": [0.5, 0.6, 0.55, 0.4], "relative_error": [0.1, 0.1, 0.2, 0.1]}
    figure = extrapolation.runs_of_largest(pd.DataFrame(columns | more))
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["3 bits", "4 bits"]
    first, other = figure.axes[0].containers
    assert first.lines[0].get_xydata().tolist() == [[1e8, 0.5], [2e8, 0.6]]
    (bar,) = other.lines[2][0].get_segments()
    assert [y for _, y in bar.tolist()] == pytest.approx([0.44, 0.66])
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert labels == ["first run", "another seed"]


def test_ratios_have_a_panel_a_law_and_leave_out_what_has_no_logarithm():
    columns = {"law": ["a", "a", "a", "b"], "family": ["opt", "opt", "llama1", "opt"], "bits": [2, 2, 3, 2]}
    more = {"n_params_non_embedding": [1e9, 2e9, 1e9, 1e9], "ratio": [0.5, 2.0, 0.0, 1.5]}
    figure = extrapolation.ratios_of_points(pd.DataFrame(columns | more))
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [line.get_xydata().tolist() for line in figure.axes[0].lines[1:]] == [[[1e9, 0.5], [2e9, 2.0]]]
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert labels == ["2 bits", "3 bits", "opt", "llama1"]
    assert "(factor)" in figure.axes[0].get_ylabel()
    assert "parameters" in figure.get_supxlabel()


def test_one_size_up_has_a_line_a_law_with_the_goal_and_a_line_a_bit_width():
    columns = {"law": ["steps", "steps", "power", "power"], "n_params": [2e6, 4e6, 2e6, 4e6]}
    judged = pd.DataFrame(columns | {"log_rms": [0.2, 0.1, 0.3, 0.25]})
    rows = {"bits": [3.0, 2.0, 3.0], "tokens_seen": [2e8, 1e8, 1e8], "ratio": [1.5, 0.8, 0.9]}
    figure = extrapolation.one_size_up(judged, pd.DataFrame(rows | {"n_params_non_embedding": 4e6}), 0.15)
    figure.canvas.draw()
    left, right = figure.axes
    goal, *laws = left.lines
    assert set(goal.get_ydata()) == {0.15}
    assert {line.get_label(): line.get_ydata().tolist() for line in laws} == {"steps": [0.2, 0.1], "power": [0.3, 0.25]}
    assert [label.get_text() for label in left.get_xticklabels()] == ["2M", "4M"]
    assert right.get_title() == "4M parameters"
    assert [line.get_xydata().tolist() for line in right.lines[1:]] == [[[1e8, 0.8]], [[1e8, 0.9], [2e8, 1.5]]]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["2 bits", "3 bits"]
    assert "(factor)" in right.get_ylabel()
    assert "(no unit)" in left.get_ylabel()
