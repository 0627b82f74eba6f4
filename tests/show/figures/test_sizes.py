"""Three of many sizes are named and stand out; names never touch, stand at their lines' heights and in their colours."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers.show.drawing.data import table_of
from helpers.show.drawing.layouts import narrow
from helpers.show.figures.sizes import CLOSEST, SMALL, STRONG, THIN, apart, name_at_ends, name_beside, named_sizes
from helpers.show.style import size_styles

SIZES = np.geomspace(1e5, 1e7, 9)


@pytest.fixture(params=[0.0, 3.0], ids=["no caps", "caps"])
def axes(request):
    figure, axes = plt.subplots()
    styles = size_styles(SIZES)
    for size in SIZES:
        axes.errorbar(
            [1, 10, 100],
            np.array([3.0, 2.0, 1.0]) * size,
            [1, 1, 1],
            linewidth=1.2,
            capsize=request.param,
            **styles[size],
        )
    axes.set(xscale="log", yscale="log", xlabel="tokens", ylabel="loss", xlim=(0.5, 200), ylim=(5e4, 5e7))
    yield axes
    plt.close(figure)


def test_the_smallest_the_middle_and_the_largest_are_named_once():
    assert named_sizes([9, 1, 5, 1, 3, 7]) == [1, 5, 9]
    assert named_sizes(SIZES) == [SIZES[0], SIZES[4], SIZES[8]]
    assert named_sizes([2.0]) == [2.0]
    assert named_sizes([2.0, 1.0]) == [1.0, 2.0]


def test_named_lines_are_strong_the_others_thin_with_small_markers(axes):
    name_at_ends([axes], size_styles(SIZES))
    lines = [bars.lines[0] for bars in axes.containers]
    assert [line.get_linewidth() for line in lines] == [STRONG, *[THIN] * 3, STRONG, *[THIN] * 3, STRONG]
    assert [line.get_markersize() == SMALL for line in lines] == [
        False, True, True, True, False, True, True, True, False,
    ]  # fmt: skip


def test_names_stand_where_their_lines_end_in_their_colour(axes):
    styles = size_styles(SIZES)
    name_at_ends([axes], styles)
    assert [text.get_text() for text in axes.texts] == [f"N = {styles[size]['label']}" for size in named_sizes(SIZES)]
    for text, size in zip(axes.texts, named_sizes(SIZES), strict=True):
        drawn = axes.transAxes.inverted().transform(axes.transData.transform((100, size)))
        assert text.get_position()[1] == pytest.approx(drawn[1])
        np.testing.assert_array_equal(text.get_color(), styles[size]["color"])


def test_names_of_lines_that_end_together_are_pushed_apart_and_keep_their_order():
    pushed = apart(np.array([0.50, 0.51, 0.52]))
    assert (np.diff(pushed) >= CLOSEST - 1e-3).all()
    assert pushed.mean() == pytest.approx(0.51)
    np.testing.assert_array_equal(apart(np.array([0.1, 0.5, 0.9])), [0.1, 0.5, 0.9])


@pytest.mark.parametrize("name_sizes", [name_at_ends, name_beside])
def test_the_data_name_every_size_and_a_phone_sees_the_same_three_names(axes, name_sizes):
    styles = size_styles(SIZES)
    name_sizes([axes], styles)
    axes.figure.draw_without_rendering()
    data = table_of(axes.figure)
    assert set(data["series"]) == {styles[size]["label"] for size in SIZES}
    slim = narrow(axes.figure)
    words = [text.get_text() for one in slim.axes for text in one.texts]
    words += [text.get_text() for legend in slim.legends for text in legend.get_texts()]
    assert {word.removeprefix("N = ") for word in words} == {styles[size]["label"] for size in named_sizes(SIZES)}
