"""The fan of laws: every law is a line, the named ones have a colour and a name, the measured points stand on top."""

import matplotlib.pyplot as plt
import pandas as pd

from helpers.show.figures import atlas as atlas_figures
from helpers.show.style import PALE


def test_every_law_is_a_line_and_the_measured_tokens_are_shaded():
    tokens = [1e8, 1e9, 1e10]
    curves = pd.concat(
        pd.DataFrame({"law": law, "tokens": tokens, "qid_nats": [level, 2 * level, 4 * level]})
        for law, level in (("a", 0.1), ("b", 0.2), ("c", 0.3))
    )
    points = pd.DataFrame({"tokens_seen": [1e8, 9e8], "qid_nats": [0.1, 0.2]})
    figure = atlas_figures.fan(curves, points, ["b"])
    axes = figure.axes[0]
    drawn = [line for line in axes.lines if line.get_marker() == "None"]
    assert len(drawn) == 3
    assert [line.get_color() for line in drawn] == [PALE, PALE, atlas_figures.COLOURS[0]]
    assert drawn[-1].get_ydata().tolist() == [0.2, 0.4, 0.8]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["the others", "b", "measured"]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "nats" in axes.get_ylabel()
    assert {(box.get_x(), box.get_x() + box.get_width()) for box in axes.patches} == {(1e8, 9e8)}
    plt.close("all")
