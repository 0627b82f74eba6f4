"""How QiD or KL moves along one variable: steps and slopes in tokens or size, factors per bit, pieces of training.

Tables are those of `degradation`, one row per measurement; nothing is fitted here but straight lines.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of ln y on ln x by least squares; NaN below two distinct x or where some y isn't positive."""
    if np.unique(x).size < 2 or np.any(y <= 0):
        return float("nan")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def trends(table: pd.DataFrame, along: str, series: list[str], outcome: Outcome = QID) -> pd.DataFrame:
    """Return how the outcome moves with the column `along` in each series (the rows that share the columns `series`).

    Columns: those of `series`, `n_steps`, `n_up` (steps at which it rises), `start` and `end` of `along`, `start_nats`,
    `end_nats`, `change_nats` with its `change_se_nats` (paired by document, since every model reads the same ones; NaN
    of an outcome that isn't kept by document) and `exponent` (slope of its ln on ln `along`). Raises AnalysisError
    where one place of a series is measured twice, or where a series has a single place.
    """
    rows = []
    for key, group in table.groupby(series):
        group = group.sort_values(along)
        if group[along].duplicated().any() or len(group) < 2:
            raise AnalysisError(f"series {key}: needs two places of {along} or more, each measured once")
        first, last, values = group.iloc[0], group.iloc[-1], group[outcome.column].to_numpy(float)
        rows.append(
            dict(zip(series, key, strict=True))
            | {"n_steps": len(group) - 1, "n_up": int((np.diff(values) > 0).sum())}
            | {"start": first[along], "end": last[along]}
            | {"start_nats": values[0], "end_nats": values[-1], "change_nats": values[-1] - values[0]}
            | {"change_se_nats": _change_error(first, last) if outcome.paired else float("nan")}
            | {"exponent": slope(group[along].to_numpy(float), values)}
        )
    return pd.DataFrame(rows)


def _change_error(first: pd.Series, last: pd.Series) -> float:
    """Return the standard error of the change of QiD between two rows of the same documents, in nats."""
    return paired_error(last["document_qid_nats"] - first["document_qid_nats"])


def spread_out(values: Sequence[float], count: int) -> np.ndarray:
    """Return at most `count` of the positive `values`, first and last included, spaced as evenly in ln as can be."""
    distinct = np.unique(np.asarray(values, float))
    wanted = np.geomspace(distinct[0], distinct[-1], count)
    nearest = np.abs(np.log(distinct)[:, None] - np.log(wanted)).argmin(axis=0)
    return distinct[np.unique(nearest)]


def _pieces(epochs: pd.Series, ends: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """Return each piece's nominal start and end in passes, and the last of `epochs` at or below either."""
    last = [epochs[epochs <= end].max() for end in ends]
    if not np.all(np.diff(last) > 0):
        raise AnalysisError(f"no checkpoint ends each of the passes {', '.join(f'{end:g}' for end in ends)}")
    return list(zip(ends, ends[1:], last, last[1:], strict=False))


def bit_factors(table: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return the factor by which one more bit divides the outcome: one row per run, one column per step between widths.

    It is the factor between its means over a run's checkpoints, which stays a factor where single QiDs at many
    bits aren't positive; over a step of n bits, its n-th root. Columns are named by both widths: `(6, 8)`.
    """
    means = table.groupby(["run_label", "bits"])[outcome.column].mean().unstack()
    steps = zip(means.columns, means.columns[1:], strict=False)
    return pd.DataFrame({(few, many): (means[few] / means[many]) ** (1 / (many - few)) for few, many in steps})


def steps_up(table: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return by bits the steps from a checkpoint of a run to its next (`n_steps`), and those that rise (`n_up`)."""
    in_order = table.sort_values(TOKENS_SEEN)
    changes = in_order.groupby(["run_label", "bits"])[outcome.column].diff()
    by_bits = (changes.dropna() > 0).groupby(in_order["bits"])
    return pd.DataFrame({"n_up": by_bits.sum(), "n_steps": by_bits.size()})


def slopes_of_two_runs(both: pd.DataFrame) -> pd.DataFrame:
    """Return by bits and model the slope of ln outcome in ln D in each run of `second_runs.both_runs`, no unit.

    Columns: `first`, `second` and `difference`, second less first; over the checkpoints that both runs have. NaN where
    an outcome isn't positive.
    """
    rows = {}
    for key, one in both.groupby(["bits", "model"]):
        tokens = one[TOKENS_SEEN].to_numpy(float)
        rows[key] = {name: slope(tokens, one[f"{name}_nats"].to_numpy(float)) for name in ("first", "second")}
    table = pd.DataFrame(list(rows.values()), index=pd.MultiIndex.from_tuples(rows, names=["bits", "model"]))
    return table.assign(difference=table["second"] - table["first"])


def slopes_by_pass(table: pd.DataFrame, ends: Sequence[float], outcome: Outcome = QID) -> pd.DataFrame:
    """Return the slope of ln outcome on ln D in each piece of training between two of `ends` (passes through the text).

    A piece goes from the last checkpoint at or before its start to the last at or before its end, both included.
    Columns: `run_label`, size, `bits`, `start` and `end` in passes, `exponent` (no unit).
    """
    rows = []
    for (run, size, bits), one in table.groupby(["run_label", N_PARAMS, "bits"]):
        for start, end, first, last in _pieces(one["epochs"], ends):
            inside = one[one["epochs"].between(first, last)]
            exponent = slope(inside[TOKENS_SEEN].to_numpy(float), inside[outcome.column].to_numpy(float))
            rows.append(
                {"run_label": run, N_PARAMS: size, "bits": bits, "start": start, "end": end, "exponent": exponent}
            )
    return pd.DataFrame(rows)


def loss_changes(baselines: pd.DataFrame, ends: Sequence[float]) -> pd.DataFrame:
    """Return, for measurements with method none, how the loss changes in each of the pieces of `slopes_by_pass`.

    One row per run and piece: the columns of the piece's last checkpoint, with `start` and `end`, but `loss_nats` and
    `group_loss` are differences to the checkpoint at its start, which pairs the documents.
    """
    rows = []
    for _, one in baselines.groupby("run"):
        by_epochs = one.set_index("epochs", drop=False)
        for start, end, first, last in _pieces(one["epochs"], ends):
            before, after = by_epochs.loc[first], by_epochs.loc[last]
            documents = np.asarray(after["group_loss"], float) - np.asarray(before["group_loss"], float)
            changed = {"start": start, "end": end, "loss_nats": after["loss_nats"] - before["loss_nats"]}
            rows.append(after.to_dict() | changed | {"group_loss": documents})
    return pd.DataFrame(rows)
