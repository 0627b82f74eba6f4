"""The study's trunk along training, for a slider over checkpoints: loss, QiD, and what rounding does to the weights."""

from typing import Any

import pandas as pd

from helpers.analyse.questions.mechanism import describe
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import FITTED_BITS, GROUP_SIZE, on_trunk, study_rows
from helpers.show.touch.widget import Widget

DIGITS = 12  # significant ones that a page carries


def training(measurements: pd.DataFrame, checkpoints: pd.DataFrame, start: str) -> Widget:
    """Return the trunk's runs to be scrubbed through, beginning with the run `start` at its last checkpoint.

    QiD is GPTQ's in groups of 32, asymmetric, in nats per token. Raises KeyError where `start` is no run of the trunk.
    """
    qid = rows_of_fit(degradation(study_rows(measurements)), "gptq", GROUP_SIZE, symmetric=False)
    described = describe(checkpoints[on_trunk(checkpoints)]).set_index("checkpoint_id")
    runs = [_run(str(name), rows, described) for name, rows in qid.sort_values(N_PARAMS).groupby("run", sort=False)]
    if start not in [run["name"] for run in runs]:
        raise KeyError(start)
    return Widget(
        "training", "One training run, checkpoint by checkpoint", {"runs": runs, "widths": FITTED_BITS, "start": start}
    )


def _run(name: str, rows: pd.DataFrame, described: pd.DataFrame) -> dict[str, Any]:
    """Return a run's series over its checkpoints; `qid` and `rounding` (RTN's share of the weights' norm) by bits."""
    by_width = rows.pivot(index=["checkpoint_id", TOKENS_SEEN, "baseline_loss_nats"], columns="bits", values="qid_nats")
    table = by_width.reset_index().sort_values(TOKENS_SEEN)
    weights = described.loc[table["checkpoint_id"]]
    return {
        "name": name,
        "n_params": int(rows[N_PARAMS].iloc[0]),
        "tokens": table[TOKENS_SEEN].tolist(),
        "loss": _short(table["baseline_loss_nats"]),
        "rms": _short(weights["rms"]),
        "qid": {bits: _short(table[bits]) for bits in FITTED_BITS},
        "rounding": {bits: _short(weights[f"rounding_{bits}"]) for bits in FITTED_BITS},
    }


def _short(values: pd.Series) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
