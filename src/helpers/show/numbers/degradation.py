"""What the chapter on tokens, size and bits states: by how much QiD grows along a training run."""

import numpy as np
import pandas as pd

from helpers.analyse.rows.standard_errors import mean_over_runs


def mean_growth(series: pd.DataFrame, bits: int) -> dict[str, float]:
    """Return the mean factor by which QiD grows along a run at one bit width, with its 95% interval over training runs.

    `series` is a table of `trends`, one row a run and bit width, QiD above zero at both ends. Keys: `growth_BITS`, with
    `_low` and `_high`; the geometric mean, and Student's t in logarithms. Another order of the text isn't in it.
    """
    of_width = series[series["bits"] == bits]
    summary = mean_over_runs(np.log(of_width["end_nats"] / of_width["start_nats"]))
    ends = {"": "mean", "_low": "low", "_high": "high"}
    return {f"growth_{bits}{end}": float(np.exp(summary[name])) for end, name in ends.items()}
