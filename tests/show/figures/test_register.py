"""The forest of predictions: a panel a bit width, an interval a law, the band shaded, what was measured as lines."""

import matplotlib.pyplot as plt
import pandas as pd

from helpers.show.figures.register import forest
from helpers.show.style import INK, METHOD_COLOURS


def test_laws_stand_in_the_same_order_in_each_panel_and_the_measured_cross_them():
    said = [("a", 0.3, 0.2, 0.4), ("b", 0.1, None, None), ("band", 0.1, 0.05, 0.5)]
    entries = pd.DataFrame(
        {
            "law": law,
            "predicted": value * bits,
            "low": low,
            "high": high,
            "bits": bits,
            "text": text,
            "outcome": outcome,
        }
        for law, value, low, high in said
        for bits in (3, 4)
        for text, outcome in (("code", 0.25), ("prose", 0.35 if bits == 3 else -0.01))
    )
    figure = forest(entries, {"code": "measured on code", "prose": "measured on prose"})
    assert [axes.get_title() for axes in figure.axes] == ["3 bits", "4 bits"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "a"]
    for axes, expected in zip(figure.axes, ([0.25, 0.35], [0.25]), strict=True):  # no line where nothing is positive
        measured = [line.get_xdata()[0] for line in axes.lines if line.get_color() == METHOD_COLOURS["rtn"]]
        assert measured == expected
        intervals = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "None"]
        assert [0.2, 0.4] in intervals
        (band,) = axes.patches
        assert (band.get_x(), band.get_x() + band.get_width()) == (0.05, 0.5)
    first = entries.assign(outcome=entries["outcome"] * 2)
    both = forest(entries, {"code": "measured on code", "prose": "measured on prose"}, first)
    pale = [line.get_xdata()[0] for line in both.axes[0].lines if line.get_color() == METHOD_COLOURS["autogptq"]]
    assert pale == [0.5, 0.7]
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in points] == [(0.1 * 3, 0), (0.3 * 3, 1)]
    assert {line.get_color() for line in points} == {INK}
    assert "nats" in figure.get_supxlabel()
    plt.close("all")
