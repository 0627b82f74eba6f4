"""The table of a figure is what was drawn: every point, interval, band, bar and cell under its axis' name."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.show.drawing.data import table_of
from helpers.show.drawing.whole import DATA, apart, whole

pytestmark = pytest.mark.usefixtures("styled")


def records(figure):
    figure.draw_without_rendering()
    return table_of(figure).to_dict("records")


def test_points_with_bars_have_their_ends_and_their_series():
    figure, axes = plt.subplots()
    axes.errorbar([1.0, 2.0], [10.0, 20.0], [[1.0, 2.0], [3.0, 4.0]], label="2 bits")
    axes.set(xlabel="tokens", ylabel="QiD\n(nats)")
    assert records(figure) == [
        {"series": "2 bits", "tokens": 1.0, "QiD (nats)": 10.0, "QiD (nats) low": 9.0, "QiD (nats) high": 13.0},
        {"series": "2 bits", "tokens": 2.0, "QiD (nats)": 20.0, "QiD (nats) low": 18.0, "QiD (nats) high": 24.0},
    ]


def test_rows_with_names_have_these_and_level_bars_their_ends():
    figure, axes = plt.subplots()
    axes.errorbar([1.5, 2.5], [0.1, 0.9], xerr=[0.5, np.nan], linestyle="", marker="o")
    axes.hlines([0.1], [0.0], [4.0])
    axes.set_yticks([0, 1], ["GPTQ", "AWQ"])
    axes.set(xlabel="factor", ylabel="way")
    bar, without, stroke = records(figure)
    assert bar == {"way": "GPTQ", "factor": 1.5, "factor low": 1.0, "factor high": 2.0}
    assert without["way"] == "AWQ"
    assert np.isnan([without["factor low"], without["factor high"]]).all()
    assert (stroke["way"], stroke["factor low"], stroke["factor high"]) == ("GPTQ", 0.0, 4.0)


def test_each_panel_is_named_and_has_the_labels_that_it_shares():
    figure, grid = plt.subplots(1, 2, sharey=True)
    for bits, axes in zip((2, 3), grid, strict=True):
        axes.plot([1.0], [bits], "o")
        axes.set(title=f"{bits} bits", ylabel="QiD")
        axes.label_outer()
    figure.supxlabel("tokens")
    assert records(figure) == [
        {"panel": "2 bits", "tokens": 1.0, "QiD": 2.0},
        {"panel": "3 bits", "tokens": 1.0, "QiD": 3.0},
    ]


def test_a_series_without_a_label_has_the_legends_name_of_its_colour_and_marker():
    figure, axes = plt.subplots()
    axes.plot([1.0], [2.0], "s", color="#0072b2")
    axes.plot([3.0], [4.0], "o", color="#d55e00")
    axes.plot([], [], "o", color="#0072b2", label="3 bits")
    axes.plot([], [], "s", color="#23272e", label="37.8M")
    axes.legend()
    assert [row["series"] for row in records(figure)] == ["3 bits, 37.8M", ""]


def test_lines_across_the_panel_are_no_data():
    figure, axes = plt.subplots()
    axes.axhline(1.0)
    axes.axvspan(0, 1)
    axes.plot([1.0], [1.0])
    assert records(figure) == [{"x": 1.0, "y": 1.0}]


def test_bands_bars_and_clouds():
    figure, (left, middle, right) = plt.subplots(1, 3)
    left.fill_between([1.0, 2.0], [0.0, 1.0], [5.0, 6.0], label="95%")
    middle.bar([1.0, 2.0], [7.0, 8.0], label="cost")
    right.scatter([1.0], [9.0], label="run")
    rows = table_of(figure)
    assert rows[rows["panel"] == 1][["x", "y low", "y high"]].values.tolist() == [[1, 0, 5], [2, 1, 6]]
    assert rows[rows["panel"] == 2][["x", "y"]].values.tolist() == [[1, 7], [2, 8]]
    assert rows[rows["panel"] == 3][["x", "y"]].values.tolist() == [[1, 9]]
    assert rows["series"].unique().tolist() == ["95%", "cost", "run"]


@pytest.mark.parametrize("draw", ["imshow", "pcolormesh"])
def test_a_heat_map_is_a_row_a_cell(draw):
    figure, axes = plt.subplots()
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, np.nan]])
    mesh = getattr(axes, draw)(np.ma.masked_invalid(values))
    half = 0.5 if draw == "pcolormesh" else 0.0
    axes.set_xticks(half + np.arange(3), ["query", "key", "value"])
    axes.set_yticks(half + np.arange(2), ["first", "last"])
    axes.set(xlabel="matrix", ylabel="block")
    figure.colorbar(mesh, label="cost\n(factor)")
    figure.draw_without_rendering()
    table = table_of(figure).pivot(index="block", columns="matrix", values="cost (factor)")
    assert np.array_equal(table.loc[["first", "last"], ["query", "key", "value"]], values, equal_nan=True)


def test_a_second_vertical_axis_has_its_own_column():
    figure, axes = plt.subplots()
    axes.plot([1.0], [2.0])
    twin = axes.twinx()
    twin.plot([1.0], [30.0])
    axes.set(xlabel="tokens", ylabel="loss")
    twin.set_ylabel("rate")
    first, second = records(figure)
    assert (first["loss"], second["rate"]) == (2.0, 30.0)


def test_the_enclosed_data_parse_to_what_was_drawn():
    figure, axes = plt.subplots()
    x = np.geomspace(1e-3, 1e9, 7)
    axes.plot(x, 1 / x, label="law, printed")
    axes.set(xlabel="D", ylabel="QiD")
    _, enclosed = apart(whole(figure))
    table = pd.read_csv(io.StringIO(enclosed[DATA]))
    assert table["D"].tolist() == x.tolist()
    assert table["QiD"].tolist() == (1 / x).tolist()
    assert set(table["series"]) == {"law, printed"}
