"""Figures of tokens against decay."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.decay import LOSS
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures import decay

pytestmark = pytest.mark.usefixtures("styled")


def line_of(size, run, tokens, factor, **other):
    tokens = np.array(tokens, float)
    columns = {
        N_PARAMS: size,
        "run_label": run,
        "step": tokens / 1e6,
        TOKENS_SEEN: tokens,
        LOSS: 3 - np.log10(tokens) / 10,
    }
    return pd.DataFrame(
        columns | {"qid_nats": factor * tokens / 1e9, "n_averaged": 1, "branched_at_step": None} | other
    )


def test_paths_leave_the_trunk_where_they_branched():
    trunk = pd.concat([line_of(size, f"trunk {size}", [1e8, 2e8, 4e8], 1.0) for size in (1e6, 2e6)])
    cooldown = line_of(1e6, "cooldown", [3e8, 4e8], 1.2, branched_at_step=200.0, kind="cooldown")
    average = line_of(1e6, "average", [2e8, 4e8], 0.8, branched_at_step=200.0, kind="average", n_averaged=5)
    figure = decay.paths(pd.concat([cooldown, average]), trunk, TOKENS_SEEN)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes if axes.axison] == ["N = 1M"]
    lines = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata())]
    assert [list(line) for line in lines] == [[1e8, 2e8, 4e8], [2e8, 4e8], [2e8, 3e8, 4e8]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["constant rate", "cooldown", "average"]
    assert "(tokens)" in figure.get_supxlabel()
    assert "nats" in figure.get_supylabel()
    by_loss = decay.paths(cooldown, trunk, LOSS)
    by_loss.canvas.draw()
    assert "16-bit loss" in by_loss.get_supxlabel()
    assert by_loss.axes[0].get_xscale() == "linear"


def test_ways_stand_in_one_order_in_both_panels():
    ends = {"low": [0.9, np.nan], "high": [1.1, np.nan], "run_lowest": [0.9, 1.0], "run_highest": [1.1, 1.5]}
    first = pd.DataFrame({"way": ["a", "b"], "bits": 2.0, "ratio": [1.0, 1.2]} | ends)
    figure = decay.at_tokens_and_at_loss({"tokens": first, "loss": first[::-1]}, "QiD (factor)")
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["tokens", "loss"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "a"]
    for axes in figure.axes:
        points = dict(zip(*axes.containers[0].lines[0].get_data(), strict=True))
        assert points == pytest.approx({1.0: 1.22, 1.2: 0.22})  # a on top
        assert axes.get_xlabel() == "QiD (factor)"


def test_growth_is_drawn_as_tokens_then_decay_up_to_the_whole():
    rows = [
        {N_PARAMS: size, "bits": bits, "tokens_part": 2.0, "decay_part": decay_part}
        for size, decay_part in ((1e6, 1.5), (2e6, 0.8))
        for bits in (2, 3)
    ]
    table = pd.DataFrame(rows)
    figure = decay.two_parts({"cooldown": table, "cosine": table[table[N_PARAMS] == 2e6]})
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["2 bits", "3 bits"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["cooldown, 1M", "cooldown, 2M", "cosine, 2M"]
    tokens, grown = figure.axes[0].containers
    assert {round(bar.get_x() + bar.get_width(), 9) for bar in tokens} == {2.0}
    assert sorted(round(bar.get_x() + bar.get_width(), 9) for bar in grown) == [1.6, 1.6, 3.0]
