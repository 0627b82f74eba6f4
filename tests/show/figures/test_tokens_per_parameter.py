import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.analyse.rows.outcomes import KL
from helpers.show.figures.tokens_per_parameter import LABEL, against_tokens_per_parameter


def test_every_size_is_a_line_over_its_own_tokens_per_parameter():
    rows = [(1e6, 1e8, 0.1), (1e6, 2e8, 0.2), (4e6, 1e8, 0.05), (4e6, 2e8, 0.1), (4e6, 4e8, -0.1)]
    table = pd.DataFrame(rows, columns=["n_params_non_embedding", "tokens_seen", "kl_nats"])
    axes = against_tokens_per_parameter(table, KL)
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 2]
    np.testing.assert_allclose([line.get_xdata() for line in lines], [[100, 200], [25, 50]])
    assert axes.get_xlabel() == LABEL
    assert axes.get_ylabel() == "KL (nats per token)"
    plt.close(axes.figure)
