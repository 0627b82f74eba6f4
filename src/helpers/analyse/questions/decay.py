"""Tokens against decay: a run beside the trunk at equal tokens and at equal loss.

The trunk of a size keeps its learning rate constant. Where it has no checkpoint at some number of tokens or some loss,
its QiD is read off between two that it has, along a straight line in ln QiD. Tables are those of `degradation`.
"""

import numpy as np
import pandas as pd

from helpers.analyse.questions.twins import TWIN_KEY, differences_of_runs, ratios_to_twins
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.analyse.rows.study import on_trunk
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error

LOSS = "baseline_loss_nats"
SERIES = ["model", "eval_id", "device_type", "bits"]
CHECKPOINT = ["way", "run_label", "family", "run", "model", N_PARAMS, "step", TOKENS_SEEN, "bits", "qid_nats", LOSS]


def _places(rows: pd.DataFrame, along: str) -> np.ndarray:
    """Return the places of rows on the line along which the trunk is read off: ln tokens, or minus the loss."""
    if along not in (TOKENS_SEEN, LOSS):
        raise AnalysisError(f"a twin is found along {TOKENS_SEEN} or {LOSS}, not along {along}")
    values = rows[along].to_numpy(float)
    return np.log(values) if along == TOKENS_SEEN else -values


def _between(before: pd.Series, after: pd.Series, share: float) -> dict[str, object]:
    """Return the trunk's row a `share` of the way from `before` to `after`: ln QiD, losses and documents on a line."""
    qid = np.exp((1 - share) * np.log(before["qid_nats"]) + share * np.log(after["qid_nats"]))
    relative, losses = (
        (1 - share) * first + share * second
        for first, second in (
            (before["document_qid_nats"] / before["qid_nats"], after["document_qid_nats"] / after["qid_nats"]),
            (before["group_loss"] - before["document_qid_nats"], after["group_loss"] - after["document_qid_nats"]),
        )
    )
    return {
        "qid_nats": qid,
        "document_qid_nats": qid * relative,
        LOSS: (1 - share) * before[LOSS] + share * after[LOSS],
        "group_loss": losses + qid * relative,
    }


def interpolated_twins(runs: pd.DataFrame, trunk: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return the twin of each row of `runs`: the trunk of its model at its tokens, or at its 16-bit loss (`along`).

    The columns are those that `ratios_to_twins` needs; `twin` is the row's checkpoint_id. Where the trunk has a
    checkpoint at the place it is that one. Rows beyond the trunk's first or last place have no twin. Raises
    AnalysisError where the trunk's QiD isn't positive, where its loss doesn't fall throughout (`along` loss: there
    would be two twins), or where one place is held twice.
    """
    if (trunk["qid_nats"] <= 0).any():
        raise AnalysisError("a QiD that isn't positive can't be read off in logarithms")
    lines = {key: rows.sort_values(TOKENS_SEEN) for key, rows in trunk.groupby(SERIES)}
    places = {key: _places(rows, along) for key, rows in lines.items()}
    for key, line in places.items():
        if np.any(np.diff(line) <= 0):
            raise AnalysisError(f"{key}: {along} doesn't move one way along the trunk")
    twins = []
    for (_, row), place in zip(runs.iterrows(), _places(runs, along), strict=True):
        key = tuple(row[name] for name in SERIES)
        line = places.get(key, np.empty(0))
        if line.size < 2 or not line[0] <= place <= line[-1]:
            continue
        index = min(int(np.searchsorted(line, place, side="right")), line.size - 1)
        share = (place - line[index - 1]) / (line[index] - line[index - 1])
        before, after = lines[key].iloc[index - 1], lines[key].iloc[index]
        twins.append(row[TWIN_KEY[1:]].to_dict() | {"twin": row["checkpoint_id"]} | _between(before, after, share))
    return pd.DataFrame(twins, columns=[*TWIN_KEY, "qid_nats", "document_qid_nats", LOSS, "group_loss"])


def ratios_along(runs: pd.DataFrame, trunk: pd.DataFrame, along: str, by: list[str]) -> pd.DataFrame:
    """Return `ratios_to_twins` of `runs` and the trunk at equal tokens or at equal 16-bit loss (`along`)."""
    own = runs.assign(twin=runs["checkpoint_id"])
    return ratios_to_twins(own, interpolated_twins(runs, trunk, along), by)


def by_checkpoint(runs: pd.DataFrame, trunk: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return `ratios_along` of each checkpoint and bit width by itself.

    Adds `twin_nats` (the trunk's QiD), `log_ratio`, and `log_relative`: ln of the ratio of QiD over the 16-bit loss,
    the relative cross-entropy of Catalan-Tatjer et al. (2025, arXiv 2510.06213); no unit.
    """
    table = ratios_along(runs, trunk, along, CHECKPOINT)
    loss, twin_loss = table[LOSS], table[LOSS] - table["loss_change_nats"]
    logs = np.log(table["ratio"])
    return table.assign(
        twin_nats=table["qid_nats"] / table["ratio"], log_ratio=logs, log_relative=logs - np.log(loss / twin_loss)
    )


def compared_with_trunk(rows: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return `by_checkpoint` of the rows that aren't the trunk's, of the models that the trunk has.

    The column `way` says what was done, in the words of `differences_of_runs`; a checkpoint whose learning rate is
    still on its way down is `SCHEDULE, on the way`.
    """
    of_trunk = on_trunk(rows)
    trunk = rows[of_trunk]
    others = rows[~of_trunk & rows["model"].isin(trunk["model"])]
    ways = differences_of_runs(others.assign(twin=others["model"]), trunk)
    done = (others["schedule"] == "constant") | (others[TOKENS_SEEN] == others["tokens_planned"])
    return by_checkpoint(others.assign(way=ways.where(done, others["schedule"] + ", on the way")), trunk, along)


def mean_over_sizes(table: pd.DataFrame, value: str, by: list[str]) -> pd.DataFrame:
    """Return by the columns `by` the mean of `value` with its 95% interval over models, each one number.

    The index is `by`, columns are those of `mean_over_runs`, and `lowest` and `highest` of single models. A single
    model has no interval: `low` and `high` are NaN.
    """
    rows = {}
    for key, one in table.groupby(by):
        means = one.groupby("model")[value].mean()
        alone = {"mean": means.mean(), "low": np.nan, "high": np.nan, "n_runs": 1}
        rows[key] = (mean_over_runs(means) if len(means) > 1 else alone) | {
            "lowest": means.min(),
            "highest": means.max(),
        }
    index = pd.MultiIndex.from_tuples(rows, names=by)
    return pd.DataFrame(list(rows.values()), index=index if len(by) > 1 else index.get_level_values(0))


def growth_parts(table: pd.DataFrame, series: list[str]) -> pd.DataFrame:
    """Return how QiD grows from the first to the last checkpoint of each series of `by_checkpoint`, in two factors.

    Columns: those of `series`, `start` and `end` in tokens, `growth`, `tokens_part` (the growth of the trunk over the
    same tokens), `decay_part` (the rest: growth over tokens_part) and `decay_share` (ln decay_part over ln growth).
    Raises AnalysisError where a series has a single checkpoint.
    """
    rows = []
    for key, group in table.groupby(series):
        if len(group) < 2:
            raise AnalysisError(f"series {key}: growth needs two checkpoints")
        group = group.sort_values(TOKENS_SEEN)
        first, last = group.iloc[0], group.iloc[-1]
        growth, tokens = last["qid_nats"] / first["qid_nats"], last["twin_nats"] / first["twin_nats"]
        rows.append(
            dict(zip(series, key, strict=True))
            | {"start": first[TOKENS_SEEN], "end": last[TOKENS_SEEN], "growth": growth, "tokens_part": tokens}
            | {"decay_part": growth / tokens, "decay_share": np.log(growth / tokens) / np.log(growth)}
        )
    return pd.DataFrame(rows)


def rounded_differences(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return by model, step and bits the loss of `first` minus that of `second`, after rounding and before.

    Columns: `rounded_nats` and `rounded_se_nats`, `plain_nats` and `plain_se_nats`; nats per token, paired by document.
    """
    key = [*SERIES, "step", TOKENS_SEEN]
    columns = ["group_loss", "document_qid_nats"]
    both = first[[*key, *columns]].merge(second[[*key, *columns]], on=key, suffixes=("", "_other"), validate="1:1")
    rounded = (both["group_loss"] - both["group_loss_other"]).to_list()
    qid = (both["document_qid_nats"] - both["document_qid_nats_other"]).to_list()
    named = {"rounded": rounded, "plain": [one - part for one, part in zip(rounded, qid, strict=True)]}
    found = {f"{name}_nats": [one.mean() for one in rows] for name, rows in named.items()}
    found |= {f"{name}_se_nats": [paired_error(one) for one in rows] for name, rows in named.items()}
    return both[["model", "step", TOKENS_SEEN, "bits"]].assign(**found)
