"""Figures of mixed quantization."""

import numpy as np
import pandas as pd
import pytest
from tests.analyse.trials import Model

from helpers.analyse.mixed.largest_ratio_law import RatioLaw
from helpers.analyse.mixed.trials import MATRICES, with_metrics
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.drawing.vector import as_svg
from helpers.show.figures import mixed

pytestmark = pytest.mark.usefixtures("styled")
COSTS = np.array([0.05, 0.01, 0.02, 0.08, 0.03, 0.002, 0.04, 0.06])


def largest(**other):
    rows = [
        {N_PARAMS: size, TOKENS_SEEN: tokens, "budget": budget, "granularity": granularity, "schedule": "constant"}
        | {"interpolated": min(1.0, 0.2 + 0.1 * index + budget), "censored": "all" if index == 2 else "no"}
        for index, size in enumerate((1e6, 3e6, 1e7))
        for tokens in (6.5e7, 2.5e8)
        for budget in (0.05, 0.1)
        for granularity in ("matmul", "layer")
    ]
    return pd.DataFrame(rows).assign(**other)


def test_every_assignment_is_named_by_its_blocks():
    trials = with_metrics(Model(COSTS).trials("layer"))
    figure = mixed.all_assignments(trials[trials["search"] == "exhaustive"])
    figure.canvas.draw()
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["00", "01", "10", "11"]
    assert "Qr" in axes.get_xlabel()
    assert "nats" in axes.get_ylabel()


def test_maps_have_a_panel_a_model_and_grey_where_nothing_was_measured():
    rows = [
        {"title": title, "block": block, "matrix": matrix, "relative": 1.0 + block}
        for title, blocks in (("small", 2), ("large", 3))
        for block in range(blocks)
        for matrix in MATRICES
    ]
    relative = pd.DataFrame(rows)
    relative.loc[0, "relative"] = np.nan
    figure = mixed.sensitivity_maps(relative)
    figure.canvas.draw()
    shapes = [axes.images[0].get_array().shape for axes in figure.axes if axes.images]
    assert shapes[:2] == [(4, 2), (4, 3)]
    assert figure.axes[0].images[0].get_array().mask[0, 0]


def test_ratio_against_size_has_a_line_a_granularity_and_hollow_ends():
    one = largest()
    one = one[one[TOKENS_SEEN] == 2.5e8]
    figure = mixed.ratio_against_size(one, {("matmul", 0.05): RatioLaw(-10.0, 1.0)}, "{:.0%} more perplexity")
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["5% more perplexity", "10% more perplexity"]
    dashed = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 1
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == mixed.CARD]
    assert [list(line.get_xdata()) for line in hollow] == [[1e7], [1e7]]
    assert "parameters" in figure.get_supxlabel()


def test_ratio_against_tokens_has_a_line_a_size_and_crosses_for_decay():
    one = largest(granularity="matmul").drop_duplicates([N_PARAMS, TOKENS_SEEN, "budget"])
    decayed = one[one[TOKENS_SEEN] == 2.5e8].assign(schedule="cooldown")
    figure = mixed.ratio_against_tokens(pd.concat([one, decayed]), "{:g} nats")
    figure.canvas.draw()
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [len(line.get_xdata()) for line in crosses] == [1, 1, 1]
    assert [len(axes.texts) for axes in figure.axes] == [0, 3]


def test_searches_stand_beside_the_random_curve():
    curves = pd.DataFrame({"target_ratio": 0.5, "n_trials": [1, 2, 3], "excess": [0.5, 0.2, 0.1]})
    guided = pd.DataFrame({"target_ratio": 0.5, "search": ["greedy"], "n_units": [12], "excess": [0.05]})
    figure = mixed.searches_by_trials(curves, guided, [0.5])
    figure.canvas.draw()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["random, best of n on average", "greedy"]
    assert figure.axes[0].get_title() == "Qr 0.5 or more"


def test_recipes_against_trials_leave_out_what_has_no_logarithm():
    paired = pd.DataFrame({"scheme": "a", "qid_nats": [0.1, -0.1, 0.3], "swapped_qid_nats": [0.1, 0.1, 0.2]})
    figure = mixed.swapped_against_rounded(paired, ["a"])
    figure.canvas.draw()
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [2, 2]
    assert figure.axes[0].get_xscale() == "log"


def test_changes_have_a_row_a_scheme_and_a_panel_a_budget():
    table = pd.DataFrame(
        [
            {"title": title, "scheme": scheme, "granularity": granularity, "mean": -0.1, "low": -0.2, "high": 0.0}
            | {"lowest": -0.3, "highest": 0.1}
            for title in ("5%", "10%")
            for scheme in ("a", "b")
            for granularity in ("matmul", "layer")
        ]
    )
    figure = mixed.changes_by_budget(table, ["a", "b"], "change of Qr (share)")
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["5%", "10%"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["b", "a"]
    assert figure.get_supxlabel() == "change of Qr (share)"
    without = mixed.changes_by_budget(table.assign(lowest=np.nan, highest=np.nan), ["a", "b"], "gain")
    as_svg(without)  # no stroke of nothing is left in the picture
    assert all(len(part.get_segments()) == 0 for part in without.axes[0].collections if part.get_linewidth()[0] == 4.5)


def test_factors_have_a_row_a_kind_and_a_colour_a_scheme():
    rows = [
        {"scheme": scheme, "kind": kind, "mean": 1.2, "low": 1.0, "high": 1.5}
        for scheme in ("one", "other")
        for kind in ("a", "b")
    ]
    axes = mixed.factors_by_kind(pd.DataFrame(rows), {"a": "first", "b": "second"}, "factor")
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["second", "first"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "other"]
    assert axes.get_xscale() == "log"


def test_widths_over_one_law_have_a_line_and_a_dashed_level_each():
    table = pd.DataFrame(
        [(bits, tokens, over) for bits in (2, 3) for tokens in (1e8, 4e8) for over in (1 / bits, 4 / bits)],
        columns=["bits", TOKENS_SEEN, "over"],
    )
    axes = mixed.over_one_law(table, 4.5, (2, 3))
    axes.figure.canvas.draw()
    of_two, level, of_three, _ = axes.lines
    assert of_two.get_ydata() == pytest.approx([1, 1])  # the geometric mean of a half and two
    assert of_three.get_ydata() == pytest.approx([2 / 3, 2 / 3])
    assert level.get_ydata() == pytest.approx([1.5, 1.5])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["2 bits", "3 bits"]


def test_compounding_has_a_panel_a_width_and_a_line_a_size():
    table = pd.DataFrame(
        [(bits, size, tokens, 1.2) for bits in (2, 4) for size in (1e5, 1e6, 1e7) for tokens in (1e8, 4e8)],
        columns=["bits", N_PARAMS, TOKENS_SEEN, "ratio"],
    )
    figure = mixed.compounding(table, 4.5)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["2 bits", "4 bits"]
    assert [len(axes.lines) for axes in figure.axes] == [4, 4]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([1.5, 1.5])


def test_depth_has_a_panel_a_moment_and_names_each_width_once():
    rows = [{TOKENS_SEEN: tokens, "bits": bits, "after": [0.1, 0.2]} for tokens in (1e8, 9e8) for bits in (2, 4, 2)]
    figure = mixed.error_along_depth(pd.DataFrame(rows))
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["100M tokens", "900M tokens"]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["2 bits", "4 bits"]
    assert len(figure.axes[0].lines) == 4  # three rows and the level at one
