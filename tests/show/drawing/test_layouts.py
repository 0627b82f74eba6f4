"""The narrow layout: one column, readable letters, and the same data as the wide one."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from helpers.show.drawing.layouts import LETTERS, WIDEST, WIDTH, colour_bars, narrow, panels, wide
from helpers.show.style import TOKENS_LABEL, count_scale, legend_beside

pytestmark = pytest.mark.usefixtures("styled")
TOKENS = np.array([1e8, 2e8, 5e8, 1e9])


def figure_of(rows, columns, **keywords):
    figure, grid = plt.subplots(rows, columns, squeeze=False, **keywords)
    for number, axes in enumerate(grid.flat):
        for size in ("0.15M", "37.8M"):
            axes.errorbar(TOKENS, TOKENS / 1e8 + number, 0.1, marker="o", label=size)
        axes.set(title=f"{number} bits", ylabel="QiD (nats per token)")
        count_scale(axes, "x", TOKENS_LABEL)
        axes.label_outer()
    legend_beside(grid[0, -1], "size N")
    return drawn(figure)


def drawn(figure):
    figure.draw_without_rendering()
    return figure


def inside(figure):
    """The places of the panels, from the top, in inches of (left, bottom, width, height)."""
    size = np.tile(figure.get_size_inches(), 2)
    return [np.array(axes.get_position().bounds) * size for axes, *_ in panels(figure)]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 2)])
def test_panels_stand_below_each_other_in_reading_order(rows, columns):
    wide = figure_of(rows, columns, sharey=True)
    slim = narrow(wide)
    places = inside(drawn(slim))
    assert len(places) == rows * columns
    assert [axes.get_title() for axes, *_ in panels(slim)] == [f"{number} bits" for number in range(rows * columns)]
    assert all(above[1] > below[1] + below[3] for above, below in pairwise(places))
    assert slim.get_size_inches()[0] == WIDTH
    assert all(left > 0 and left + width < WIDTH and width > 0.6 * WIDTH for left, _, width, _ in places)


def test_the_data_are_the_same_and_the_wide_figure_stays():
    wide = figure_of(1, 3, sharey=True)
    before = inside(wide)
    slim = narrow(wide)
    for (one, *_), (other, *_) in zip(panels(wide), panels(slim), strict=True):
        assert [line.get_xydata().tolist() for line in one.lines] == [
            line.get_xydata().tolist() for line in other.lines
        ]
    assert np.allclose(before, inside(drawn(wide)), atol=1e-3)  # inches: the layout moves a little each time
    assert panels(wide)[-1][0].get_legend() is not None


def test_shared_labels_stand_at_each_panel_and_the_common_one_at_the_last():
    slim = narrow(figure_of(1, 3, sharey=True))
    stack = [axes for axes, *_ in panels(slim)]
    assert {axes.get_ylabel() for axes in stack} == {"QiD (nats per token)"}
    assert [axes.get_xlabel() for axes in stack] == ["", "", TOKENS_LABEL]
    assert all(any(label.get_text() for label in axes.get_yticklabels()) for axes in stack)


def test_labels_of_the_whole_figure_become_the_panels():
    figure, grid = plt.subplots(1, 2)
    figure.supxlabel("below")
    figure.supylabel("beside")
    slim = narrow(drawn(figure))
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes, *_ in panels(slim)] == [
        ("", "beside"),
        ("below", "beside"),
    ]
    assert grid[0].get_xlabel() == ""


def test_legends_become_one_below_with_every_name():
    wide = figure_of(1, 3)
    wide.legend(handles=[plt.Line2D([], [], color="k")], labels=["law"], loc="outside upper center")
    slim = drawn(narrow(drawn(wide)))
    assert [axes.get_legend() for axes in slim.axes] == [None] * 3
    (legend,) = slim.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0.15M", "37.8M", "law"]
    assert legend.get_title().get_text() == "size N"
    box = legend.get_window_extent()
    assert box.width <= WIDTH * slim.dpi
    assert box.y1 <= panels(slim)[-1][0].get_window_extent().y0
    assert len(legend.legend_handles[0].get_segments()) == 1, "an error bar keeps its bar"


def test_every_letter_has_the_size_for_a_phone():
    wide = figure_of(2, 2)
    wide.axes[0].annotate("small", (1e8, 1), fontsize=5)
    slim = drawn(narrow(drawn(wide)))
    assert {round(text.get_fontsize(), 3) for text in slim.findobj(Text) if text.get_text()} == {LETTERS}


def test_long_labels_are_broken():
    figure, axes = plt.subplots()
    axes.set(xlabel="outliers of the inputs (largest channel's rms over the mean one's, no unit)")
    slim = narrow(drawn(figure))
    assert "\n" in slim.axes[0].get_xlabel()
    assert slim.axes[0].get_xlabel().replace("\n", " ") == axes.get_xlabel()


def test_a_second_vertical_axis_stays_with_its_panel():
    figure, grid = plt.subplots(1, 2)
    twin = grid[0].twinx()
    twin.plot([1, 2], [10, 20])
    slim = drawn(narrow(drawn(figure)))
    assert [len(together) for together in panels(slim)] == [2, 1]
    one, other = panels(slim)[0]
    assert np.allclose(one.get_position().bounds, other.get_position().bounds)


def test_a_colour_bar_lies_below_with_its_ticks():
    figure, grid = plt.subplots(1, 2)
    for axes in grid:
        mesh = axes.pcolormesh([[1.0, 2.0], [3.0, 4.0]])
    figure.colorbar(mesh, ax=list(grid), label="cost", ticks=[1, 2.5, 4])
    slim = drawn(narrow(drawn(figure)))
    (bar,) = colour_bars(slim)
    assert bar.orientation == "horizontal"
    assert bar.ax.get_xlabel() == "cost"
    assert bar.ax.get_xticks().tolist() == [1, 2.5, 4]
    assert bar.ax.get_position().y1 < panels(slim)[-1][0].get_position().y0
    assert len(colour_bars(figure)) == 1


def test_words_in_cells_have_no_narrow_layout_nor_has_a_note():
    figure, axes = plt.subplots()
    axes.pcolormesh([[1.0, 2.0]])
    axes.text(0.5, 0.5, "1.0")
    assert narrow(drawn(figure)) is None
    assert narrow(plt.figure()) is None


def test_names_of_places_that_touch_are_thinned_and_words_turned():
    figure, (numbers, names) = plt.subplots(1, 2, figsize=(20, 4))
    numbers.set_xticks(range(12), [f"{number}00M" for number in range(12)])
    names.set_xticks(range(5), ["calibration text", "documents", "seeds of draws", "steps of training", "devices"])
    slim = drawn(narrow(drawn(figure)))
    shown, words = (axes.get_xticklabels() for axes, *_ in panels(slim))
    assert 2 <= len(shown) < 12
    assert words[0].get_text() == "calibration text"
    assert {label.get_rotation() for label in words} == {40.0}


def test_rows_with_names_keep_room_for_them():
    figure, grid = plt.subplots(2, 2, figsize=(7, 4))
    for axes in grid.flat:
        axes.set_yticks(range(16), [f"law {number}" for number in range(16)])
    slim = drawn(narrow(drawn(figure)))
    for axes, *_ in panels(slim):
        boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
        assert all(above.y0 >= below.y1 for below, above in pairwise(boxes))


def test_a_figure_wider_than_the_page_is_drawn_again_in_its_width_and_others_are_not():
    fits = figure_of(1, 1)
    assert wide(fits) is fits
    figure = figure_of(1, 3, figsize=(12, 4))
    assert wide(figure).get_size_inches().tolist() == [WIDEST, 4]
    assert figure.get_size_inches().tolist() == [12, 4]


def test_pyplot_knows_no_copy():
    figure = figure_of(1, 3, figsize=(12, 4))
    narrow(wide(figure))
    assert plt.get_fignums() == [figure.number]
    assert plt.gcf() is figure
