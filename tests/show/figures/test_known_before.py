"""The size that wasn't seen: points on top, a line a predictor. Misses: a row a predictor, from the top."""

import pandas as pd

from helpers.show.figures import known_before as figures


def test_the_unseen_size_has_a_line_a_predictor_and_its_points(styled):
    said = pd.concat(
        pd.DataFrame({"way": way, "tokens": [1e8, 5e8], "qid_nats": values})
        for way, values in {"measured": [0.01, 0.03], "forest": [0.03, 0.03], "law": [0.01, 0.04]}.items()
    )
    smaller = pd.DataFrame({"tokens_seen": [1e8, 5e8], "qid_nats": [0.03, 0.06]})
    axes = figures.at_largest(said, smaller).axes[0]
    named = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert named["measured"] == [0.01, 0.03]
    assert named["forest"] == [0.03, 0.03]
    assert named["next size, seen"] == [0.03, 0.06]
    assert list(named)[-1] == "measured"
    assert "nats" in axes.get_ylabel()
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_misses_stand_in_the_order_of_the_table_from_the_top(styled):
    columns = pd.MultiIndex.from_product([["size", "late"], ["error"]])
    scores = pd.DataFrame([[1.2, 1.5], [2.0, 1.6]], index=["law", "forest"], columns=columns)
    axes = figures.misses(scores, ["size", "late"]).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["forest", "law"]
    assert axes.lines[0].get_label() == "size"
    assert list(axes.lines[0].get_xdata()) == [2.0, 1.2]
