"""Ways of rounding side by side, and two texts: ratios of QiD or KL over checkpoints, with intervals by resampling.

Tables are those of `degradation`. Documents are drawn with replacement, the same ones for every row of one text, so a
comparison on one text is paired. Where files of one package go together, packages are drawn instead. Pooled means the
geometric mean over checkpoints. The intervals are about text: other training runs and other draws of calibration text
are not in them (`with_calibration_scatter` adds the latter). KL isn't kept by document: where an outcome isn't paired,
what documents would tell (`low`, `high`, `log_se`) is NaN.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.resampling import resampled_log_qid
from helpers.analyse.rows.standard_errors import clustered_error
from helpers.table.errors import AnalysisError

CELL = ["way", "bits"]
FORMAT_NAMES = {"mxint": "MXINT", "mxfp": "MXFP", "nf4": "NF"}


def way_of_rounding(rows: pd.DataFrame) -> pd.Series:
    """Return the name of each row's way of rounding, without its bits where several share it.

    Asymmetric groups of 32 in the given order on a min-max grid go without saying: `GPTQ`, `GPTQ, symmetric`,
    `GPTQ, group 64`, `GPTQ, one group a row`, `RTN`, `NF4`, `MXFP4`.
    """

    def name(row: pd.Series) -> str:
        if row["format"] in FORMAT_NAMES:
            return f"{FORMAT_NAMES[row['format']]}{row['bits']:g}"
        parts = [row["method"].upper()]
        if pd.isna(row["group_size"]):
            parts.append("one group a row")
        elif row["group_size"] != 32:
            parts.append(f"group {row['group_size']:g}")
        parts += ["symmetric"] * bool(row["symmetric"])
        parts += ["activation order"] * (row["order"] == "activation")
        parts += ["least-squares grid"] * (row["grid_search"] == "mse")
        return ", ".join(parts)

    return rows.apply(name, axis=1).rename("way")


def _log_on_draws(table: pd.DataFrame, counts: FloatArray, outcome: Outcome) -> FloatArray:
    """Return ln outcome of every row on every draw of documents, (rows, n_draws); NaN where it isn't paired."""
    if not outcome.paired:
        return np.full((len(table), counts.shape[1]), np.nan)
    return resampled_log_qid(table, counts)


def _interval(draws: FloatArray, level: float) -> dict[str, float]:
    low, high = np.exp(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]))
    return {"low": float(low), "high": float(high), "log_se": float(draws.std())}


def _pooled(rows: pd.DataFrame, log_ratios: FloatArray, draws: FloatArray, level: float) -> dict[str, float]:
    """Return a summary of the ratios of checkpoints, given as ln of each, (n,), and on each draw, (n, n_draws)."""
    by_run = np.exp(pd.Series(log_ratios, index=rows["run_label"].to_numpy()).groupby(level=0).mean())
    counts = {"n_rows": len(rows), "n_checkpoints": rows["checkpoint_id"].nunique(), "n_runs": len(by_run)}
    runs = {"n_above": int((log_ratios > 0).sum()), "run_lowest": by_run.min(), "run_highest": by_run.max()}
    return counts | {"ratio": float(np.exp(log_ratios.mean()))} | _interval(draws.mean(axis=0), level) | runs


def ratios_to(
    table: pd.DataFrame, reference: str, counts: FloatArray, level: float = 0.95, outcome: Outcome = QID
) -> pd.DataFrame:
    """Return, by way and bits, the outcome over that of the way `reference` on the same checkpoints and text.

    `table` has the column `way` and one evaluation. Columns: `n_rows`, `n_checkpoints`, `n_runs`, `n_above` (rows with
    a ratio above one), `ratio` with `low` and `high` (paired by document), `log_se` of ln ratio, and `run_lowest`,
    `run_highest`: the ratio in single runs. Raises AnalysisError where a checkpoint lacks the reference or has it
    twice.
    """
    table = table.reset_index(drop=True)
    draws, place = _log_on_draws(table, counts, outcome), table.groupby(["checkpoint_id", "bits"])
    logs = np.log(table[outcome.column].to_numpy())
    below = table["way"].eq(reference).groupby([table["checkpoint_id"], table["bits"]]).transform("sum")
    if (below != 1).any():
        raise AnalysisError(f"{reference} isn't there once for every checkpoint and bit width")
    other = place["way"].transform(lambda ways: ways.index[ways == reference][0]).astype(int).to_numpy()
    result = {}
    for cell, rows in table[table["way"] != reference].groupby(CELL):
        at = rows.index.to_numpy()
        result[cell] = _pooled(rows, logs[at] - logs[other[at]], draws[at] - draws[other[at]], level)
    return pd.DataFrame.from_dict(result, orient="index").rename_axis(CELL).reset_index()


def with_calibration_scatter(ratios: pd.DataFrame, spread: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return `ratios_to` with `wide_low`, `wide_high`: an interval that counts draws of calibration text too.

    Both QiDs of a ratio are taken to scatter by `calibration_spread`, independently and at every checkpoint alike: ln
    ratio then scatters by sqrt(2 / n_checkpoints) times that. `clear` says whether the interval leaves out one.
    """
    scatter = ratios["bits"].map(spread["relative_sd"]) * np.sqrt(2 / ratios["n_checkpoints"])
    half = stats.norm.ppf((1 + level) / 2) * np.hypot(ratios["log_se"], scatter)
    low, high = ratios["ratio"] * np.exp(-half), ratios["ratio"] * np.exp(half)
    return ratios.assign(wide_low=low, wide_high=high, clear=(low > 1) | (high < 1))


def _at_bits(rows: pd.DataFrame, logs: FloatArray, targets: FloatArray) -> FloatArray:
    """Interpolate `logs` (rows, k) of one line linearly at effective bits `targets`: (targets, k), NaN outside."""
    order = np.argsort(rows["effective_bits"].to_numpy())
    known = rows["effective_bits"].to_numpy()[order]
    return np.stack([np.interp(targets, known, one[order], left=np.nan, right=np.nan) for one in logs.T], axis=1)


def at_effective_bits(
    table: pd.DataFrame,
    reference: str,
    targets: Sequence[float],
    counts: FloatArray,
    level: float = 0.95,
    outcome: Outcome = QID,
) -> pd.DataFrame:
    """Return the ratios of `ratios_to`, but at equal effective bits instead of equal code widths.

    Every way's ln outcome is read off a straight line between its measured places, checkpoint by checkpoint; targets
    outside a way's or the reference's places are left out. The column `bits` is the target.
    """
    table, aims = table.reset_index(drop=True), np.asarray(targets, float)
    logs = np.column_stack([np.log(table[outcome.column].to_numpy()), _log_on_draws(table, counts, outcome)])
    lines = {
        key: _at_bits(rows, logs[rows.index.to_numpy()], aims) for key, rows in table.groupby(["way", "checkpoint_id"])
    }
    parts = []
    for way in table["way"].unique():
        places = table[(table["way"] == way)].drop_duplicates("checkpoint_id").reset_index(drop=True)
        ratios = np.stack([lines[way, one] - lines[reference, one] for one in places["checkpoint_id"]])
        for index, target in enumerate(aims):
            inside = np.isfinite(ratios[:, index, 0])
            if way != reference and inside.any():
                one = ratios[inside, index]
                parts.append({"way": way, "bits": target} | _pooled(places[inside], one[:, 0], one[:, 1:], level))
    return pd.DataFrame(parts)


def at_own_effective_bits(numerator: pd.DataFrame, reference: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return the rows of one way with `ratio`: the outcome over that of the way of `reference` at equal effective bits.

    `reference` has several bit widths per checkpoint; its ln is read off straight lines between them. Raises
    AnalysisError where a row's effective bits lie outside its checkpoint's lines.
    """
    lines = dict(list(reference.groupby("checkpoint_id")))
    if not set(numerator["checkpoint_id"]) <= set(lines):
        raise AnalysisError("some checkpoint lacks the reference")
    logs = []
    for row in numerator.to_dict("records"):
        line = lines[row["checkpoint_id"]]
        known = np.log(line[[outcome.column]].to_numpy())
        logs.append(_at_bits(line, known, np.array([row["effective_bits"]]))[0, 0])
    if np.isnan(logs).any():
        raise AnalysisError(f"{np.isnan(logs).sum()} rows have effective bits beyond those of the reference")
    return numerator.assign(ratio=numerator[outcome.column] / np.exp(logs))


def text_ratios(
    first: pd.DataFrame,
    second: pd.DataFrame,
    counts: tuple[FloatArray, FloatArray],
    by: Sequence[str] = CELL,
    level: float = 0.95,
    outcome: Outcome = QID,
) -> pd.DataFrame:
    """Return the outcome on the text of `second` over that on the text of `first`, same checkpoints and ways, by `by`.

    The texts have different documents, so their `counts` are drawn independently of each other. Columns as in
    `ratios_to`. Raises AnalysisError where the tables don't hold the same rows.
    """
    both, draws = between_texts(first, second, counts, outcome)
    result = []
    for cell, rows in both.groupby(list(by)):
        at = rows.index.to_numpy()
        ratios = _pooled(rows, np.log(rows["ratio"].to_numpy()), draws[at], level)
        result.append(dict(zip(by, cell, strict=True)) | ratios)
    return pd.DataFrame(result)


def between_texts(
    first: pd.DataFrame, second: pd.DataFrame, counts: tuple[FloatArray, FloatArray], outcome: Outcome = QID
) -> tuple[pd.DataFrame, FloatArray]:
    """Return the rows of `first` with `ratio` (outcome on `second` over it), `density` (tokens per byte), and draws.

    The draws are ln ratio, (rows, n_draws). Raises AnalysisError where the tables don't hold the same rows.
    """
    key = ["checkpoint_id", *CELL]
    on_first, on_second = (table.sort_values(key).reset_index(drop=True) for table in (first, second))
    if len(on_first) != len(on_second) or not on_first[key].equals(on_second[key]):
        raise AnalysisError("the two texts weren't measured with the same ways of rounding on the same checkpoints")
    density = (on_second["n_tokens"] / on_second["n_bytes"]) / (on_first["n_tokens"] / on_first["n_bytes"])
    draws = _log_on_draws(on_second, counts[1], outcome) - _log_on_draws(on_first, counts[0], outcome)
    return on_first.assign(ratio=on_second[outcome.column] / on_first[outcome.column], density=density), draws


def text_losses(first: pd.DataFrame, second: pd.DataFrame, groups: tuple[Sequence[str], Sequence[str]]) -> pd.DataFrame:
    """Return the 16-bit losses of each checkpoint on two texts, from measurements with method none.

    Columns: `model`, `tokens_seen`, `first_nats`, `second_nats`, `difference_nats` (second minus first, nats per token)
    and its `difference_se_nats`, of two independent sets of documents that go together by `groups` (one for each text).
    """
    key = ["checkpoint_id", "model", "tokens_seen"]
    columns = [*key, "loss_nats", "group_loss"]
    both = first[columns].merge(second[columns], on=key, suffixes=("_first", "_second"), validate="1:1")
    of_first, of_second = (
        [clustered_error(np.asarray(one, float), group) for one in both[f"group_loss_{name}"]]
        for name, group in zip(("first", "second"), groups, strict=True)
    )
    renamed = both.rename(columns={"loss_nats_first": "first_nats", "loss_nats_second": "second_nats"})
    return renamed.drop(columns=["group_loss_first", "group_loss_second"]).assign(
        difference_nats=both["loss_nats_second"] - both["loss_nats_first"],
        difference_se_nats=np.hypot(of_first, of_second),
    )


def orders(
    first: pd.DataFrame,
    second: pd.DataFrame,
    counts: tuple[FloatArray, FloatArray],
    level: float = 0.95,
    outcome: Outcome = QID,
) -> pd.DataFrame:
    """Return every pair of ways at one bit width: which loses less on either text, and whether that is clear.

    Columns: `bits`, `way`, `other`, `ratio_first`, `ratio_second` (outcome of `way` over that of `other`, on
    checkpoints that have both), `clear_first`, `clear_second` (the interval leaves out one; never, where the outcome
    isn't paired) and `swapped`.
    """
    compared = []
    for bits in np.sort(first["bits"].unique()):
        pairs: dict[tuple[str, str], dict[str, float]] = {}
        for text, table, one in (("first", first, counts[0]), ("second", second, counts[1])):
            rows = table[table["bits"] == bits].reset_index(drop=True)
            logs = np.column_stack([np.log(rows[outcome.column].to_numpy()), _log_on_draws(rows, one, outcome)])
            for way, other, ratio in _pairs(rows, logs):
                low, high = np.quantile(ratio[1:], [(1 - level) / 2, (1 + level) / 2])
                seen = {f"ratio_{text}": np.exp(ratio[0]), f"clear_{text}": bool(low > 0 or high < 0)}
                pairs.setdefault((way, other), {}).update(seen)
        compared += [{"bits": bits, "way": way, "other": other} | seen for (way, other), seen in pairs.items()]
    result = pd.DataFrame(compared)
    return result.assign(swapped=(result["ratio_first"] > 1) != (result["ratio_second"] > 1))


def _pairs(rows: pd.DataFrame, logs: FloatArray) -> list[tuple[str, str, FloatArray]]:
    """Return each pair of ways with the mean of their difference of `logs` (rows, k) over common checkpoints: (k,)."""
    places = {way: dict(zip(one["checkpoint_id"], one.index, strict=True)) for way, one in rows.groupby("way")}
    ways, pairs = sorted(places), []
    for index, way in enumerate(ways):
        for other in ways[index + 1 :]:
            common = [one for one in places[way] if one in places[other]]
            ours, theirs = ([places[name][one] for one in common] for name in (way, other))
            if common:
                pairs.append((way, other, (logs[ours] - logs[theirs]).mean(axis=0)))
    return pairs
