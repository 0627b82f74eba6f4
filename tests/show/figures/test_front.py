"""The first pictures draw what the rows say: losses of one size, QiD of all sizes over tokens per parameter."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.front import loss_after_rounding, qid_per_parameter


@pytest.fixture
def rows() -> pd.DataFrame:
    cells = [
        {N_PARAMS: size, TOKENS_SEEN: tokens, "bits": float(bits), "baseline_loss_nats": 2.0, "qid_nats": 1 / bits}
        for size in (1e6, 4e6, 9e6)
        for tokens in (1e7, 1e8, 2e8)
        for bits in (2, 3, 4)
    ]
    table = pd.DataFrame(cells)
    return table.assign(loss_nats=table["baseline_loss_nats"] + table["qid_nats"])


def test_one_size_has_a_line_a_width_and_one_in_16_bits_named_at_its_end(rows):
    (axes,) = loss_after_rounding(rows, 4e6).axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert set(drawn) == {"16 bits", "2 bits", "3 bits", "4 bits"}
    np.testing.assert_allclose(drawn["2 bits"], [2.5, 2.5])  # from 60M tokens on
    assert {text.get_text() for text in axes.texts} == set(drawn)
    plt.close(axes.figure)


def test_every_size_is_drawn_over_its_own_tokens_per_parameter_and_three_are_named(rows):
    more = pd.concat([rows, rows[rows[N_PARAMS] == 4e6].assign(**{N_PARAMS: 2e6})])
    (axes,) = qid_per_parameter(more, 3).axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[100, 200], [50, 100], [25, 50], [1e8 / 9e6, 2e8 / 9e6]]
    assert len(axes.get_legend().get_texts()) == 3
    plt.close(axes.figure)
