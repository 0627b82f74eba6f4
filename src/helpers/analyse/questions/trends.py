"""Comparisons of QiD: along one variable, between schemes, runs, calibration seeds, devices.

Tables are those of `degradation`, one row a measurement; nothing is fitted here but straight lines. Many ways of
rounding, or two texts, are compared in `ways`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.rows.degradation import SCHEME_OPTIONS, SIZE, TOKENS, AnalysisError, paired_error

PAIR_KEY = ["checkpoint_id", "eval_id", "device_type", "bits"]
SCHEME_FAMILY = ["group_size", "symmetric", *SCHEME_OPTIONS]
REPLICATE_KEY = [*PAIR_KEY, "method", *SCHEME_FAMILY]
TWIN_KEY = ["twin", TOKENS, "eval_id", "device_type", "bits"]


def rows_named(table: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `table` that agree with some row of `wanted` in all its columns; missing matches missing.

    Raises AnalysisError where none does.
    """
    names = list(wanted.columns)
    keys = [frame[names].astype(object).where(frame[names].notna(), None) for frame in (table, wanted)]
    found, asked = (list(map(tuple, key.to_numpy())) for key in keys)
    chosen = table[[row in set(asked) for row in found]]
    if chosen.empty:
        raise AnalysisError(f"none of the {len(wanted)} rows asked for is in the table of {len(table)}")
    return chosen.reset_index(drop=True)


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of ln y on ln x by least squares; NaN below two distinct x or where some y isn't positive."""
    if np.unique(x).size < 2 or np.any(y <= 0):
        return float("nan")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def trends(table: pd.DataFrame, along: str, series: list[str]) -> pd.DataFrame:
    """Return how QiD moves with the column `along` in each series (the rows that share the columns `series`).

    Columns: those of `series`, `n_steps`, `n_up` (steps at which QiD rises), `start` and `end` of `along`,
    `start_nats`, `end_nats`, `change_nats` with its `change_se_nats` (paired by document, since every model reads the
    same ones) and `exponent` (slope of ln QiD on ln `along`). Raises AnalysisError where one place of a series is
    measured twice, or where a series has a single place.
    """
    rows = []
    for key, one in table.groupby(series):
        one = one.sort_values(along)
        if one[along].duplicated().any() or len(one) < 2:
            raise AnalysisError(f"series {key}: needs two places of {along} or more, each measured once")
        first, last = one.iloc[0], one.iloc[-1]
        rows.append(
            dict(zip(series, key, strict=True))
            | {"n_steps": len(one) - 1, "n_up": int((np.diff(one["qid_nats"]) > 0).sum())}
            | {"start": first[along], "end": last[along]}
            | {"start_nats": first["qid_nats"], "end_nats": last["qid_nats"]}
            | {"change_nats": last["qid_nats"] - first["qid_nats"]}
            | {"change_se_nats": paired_error(last["document_qid_nats"] - first["document_qid_nats"])}
            | {"exponent": slope(one[along].to_numpy(float), one["qid_nats"].to_numpy(float))}
        )
    return pd.DataFrame(rows)


def qid_ratio(numerator: pd.DataFrame, denominator: pd.DataFrame) -> pd.DataFrame:
    """Return `numerator` where `denominator` has the same checkpoint, evaluation, device and bits, with their ratio.

    Adds `ratio` (QiD over QiD) and `ratio_se`, paired by document: the error of the mean of a - ratio b, over the
    mean of b (the delta method for a ratio of means). Raises AnalysisError where nothing matches.
    """
    other = denominator[[*PAIR_KEY, "qid_nats", "document_qid_nats"]]
    joined = numerator.merge(other, on=PAIR_KEY, suffixes=("", "_other"), validate="1:1")
    if joined.empty:
        raise AnalysisError("no checkpoint was measured with both schemes on the same text and device")
    ratio = joined["qid_nats"] / joined["qid_nats_other"]
    triples = zip(joined["document_qid_nats"], joined["document_qid_nats_other"], ratio, strict=True)
    errors = np.array([paired_error(top - one * below) for top, below, one in triples])
    dropped = ["qid_nats_other", "document_qid_nats_other"]
    return joined.drop(columns=dropped).assign(ratio=ratio, ratio_se=errors / joined["qid_nats_other"].abs())


def calibration_spread(table: pd.DataFrame) -> pd.DataFrame:
    """Return, by bit width, how far QiD scatters between calibration seeds, all else equal.

    The index is `bits`; `n_checkpoints` and `n_seeds` say from what; `relative_sd` is the standard deviation over the
    mean, root mean square over checkpoints. Raises AnalysisError where no checkpoint has two calibration seeds.
    """
    by_seed = table[table["calib_seed"].notna()].groupby(REPLICATE_KEY, dropna=False)["qid_nats"]
    spread = by_seed.agg(["count", "mean", "std"]).query("count >= 2").reset_index()
    if spread.empty:
        raise AnalysisError("no checkpoint was rounded with two calibration seeds or more")
    spread["variance"] = (spread["std"] / spread["mean"]) ** 2
    pooled = spread.groupby("bits").agg(
        n_checkpoints=("mean", "size"), n_seeds=("count", "max"), variance=("variance", "mean")
    )
    return pooled.assign(relative_sd=np.sqrt(pooled["variance"])).drop(columns="variance")


def agreement_in_seeds(agreement: pd.DataFrame, spread: pd.DataFrame) -> pd.DataFrame:
    """Return `device_agreement` with the difference seen against `calibration_spread`.

    Adds `relative_difference` (over the CUDA value), `difference_in_own_se` (over the difference's paired error) and
    `difference_in_seeds`: over what two calibration seeds differ by, sqrt(2) standard deviations; NaN where the
    method or bit width has no spread.
    """
    relative = agreement["difference_nats"] / agreement["qid_nats_cuda"].abs()
    calibrated = agreement["method"] == "gptq"
    yardstick = agreement["bits"].map(spread["relative_sd"]).where(calibrated) * np.sqrt(2)
    return agreement.assign(
        relative_difference=relative,
        difference_in_own_se=agreement["difference_nats"] / agreement["difference_se_nats"],
        difference_in_seeds=relative / yardstick,
    )


def commonest_scheme(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows of `method` with its commonest group size, symmetry and options, of the lowest calibration seed.

    That leaves one scheme a bit width. Raises AnalysisError where the method isn't in the table.
    """
    rows = table[table["method"] == method]
    if rows.empty:
        raise AnalysisError(f"no {method} row in the table; there are: {', '.join(sorted(table['method'].unique()))}")
    rows = rows[rows["calib_seed"].isna() | (rows["calib_seed"] == rows["calib_seed"].min())]
    families = [frame for _, frame in rows.groupby(SCHEME_FAMILY, dropna=False)]
    return max(families, key=len).reset_index(drop=True)


def spread_out(values: Sequence[float], count: int) -> np.ndarray:
    """Return at most `count` of the positive `values`, first and last included, spaced as evenly in ln as can be."""
    distinct = np.unique(np.asarray(values, float))
    wanted = np.geomspace(distinct[0], distinct[-1], count)
    nearest = np.abs(np.log(distinct)[:, None] - np.log(wanted)).argmin(axis=0)
    return distinct[np.unique(nearest)]


def mean_over_runs(values: Sequence[float], level: float = 0.95) -> dict[str, float]:
    """Return `mean`, `low`, `high` and `n_runs` of one value a training run: the interval is Student's, for its mean.

    Raises AnalysisError below two runs, where there is no interval.
    """
    one = np.asarray(values, float)
    if one.size < 2:
        raise AnalysisError(f"an interval over training runs needs two or more; got {one.size}")
    half = stats.t.ppf((1 + level) / 2, one.size - 1) * one.std(ddof=1) / np.sqrt(one.size)
    return {"mean": one.mean(), "low": one.mean() - half, "high": one.mean() + half, "n_runs": one.size}


def _pieces(epochs: pd.Series, ends: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """Return each piece's nominal start and end in passes, and the last of `epochs` at or below either."""
    last = [epochs[epochs <= end].max() for end in ends]
    if not np.all(np.diff(last) > 0):
        raise AnalysisError(f"no checkpoint ends each of the passes {', '.join(f'{end:g}' for end in ends)}")
    return list(zip(ends, ends[1:], last, last[1:], strict=False))


def bit_factors(table: pd.DataFrame) -> pd.DataFrame:
    """Return by how much one more bit divides QiD: one row a run, one column a step between neighbouring bit widths.

    It is the factor between the means of QiD over a run's checkpoints, which stays a factor where single QiDs at many
    bits aren't positive; over a step of n bits, its n-th root. Columns are named by both widths: `(6, 8)`.
    """
    means = table.groupby(["run", "bits"])["qid_nats"].mean().unstack()
    steps = zip(means.columns, means.columns[1:], strict=False)
    return pd.DataFrame({(few, many): (means[few] / means[many]) ** (1 / (many - few)) for few, many in steps})


def slopes_by_pass(table: pd.DataFrame, ends: Sequence[float]) -> pd.DataFrame:
    """Return the slope of ln QiD on ln D in each piece of training between two of `ends` (passes through the text).

    A piece goes from the last checkpoint at or before its start to the last at or before its end, both included.
    Columns: `run`, size, `bits`, `start` and `end` in passes, `exponent` (no unit).
    """
    rows = []
    for (run, size, bits), one in table.groupby(["run", SIZE, "bits"]):
        for start, end, first, last in _pieces(one["epochs"], ends):
            inside = one[one["epochs"].between(first, last)]
            exponent = slope(inside[TOKENS].to_numpy(float), inside["qid_nats"].to_numpy(float))
            rows.append({"run": run, SIZE: size, "bits": bits, "start": start, "end": end, "exponent": exponent})
    return pd.DataFrame(rows)


def loss_changes(baselines: pd.DataFrame, ends: Sequence[float]) -> pd.DataFrame:
    """Return, for measurements with method none, how the loss changes in each of the pieces of `slopes_by_pass`.

    One row a run and piece: the columns of the piece's last checkpoint, with `start` and `end`, but `loss_nats` and
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


def differences_of_runs(runs: pd.DataFrame, trunk: pd.DataFrame) -> pd.Series:
    """Return the one thing that sets each row's run apart from the `trunk`, in words.

    `runs` has the column `twin`: the trunk's model it is to be compared with. Raises AnalysisError where a run differs
    in nothing or in several things: a comparison with the trunk wouldn't tell what it is about.
    """
    usual = trunk.iloc[0]

    def difference(row: pd.Series) -> str:
        shape, twin = (name.rsplit("-", 1)[-1] for name in (row["model"], row["twin"]))
        times = row["peak_learning_rate"] / usual["peak_learning_rate"]
        candidates = {
            f"average of {row['n_averaged']} moments": row["n_averaged"] > 1,
            f"{row['schedule']}, at its end": row["schedule"] != usual["schedule"],
            f"{times:g} × the peak rate": times != 1,
            f"weight decay {row['weight_decay']:g}": row["weight_decay"] != usual["weight_decay"],
            "another training seed": row["train_seed"] != usual["train_seed"],
            f"{shape} for {twin}": shape != twin,
        }
        found = [name for name, holds in candidates.items() if holds]
        if len(found) != 1:
            raise AnalysisError(f"{row['run']}@{row['step']} differs from the trunk in {len(found)} things, not in one")
        return found[0]

    return runs.apply(difference, axis=1)


def _by_document(rows: pd.DataFrame, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Return QiD relative to its mean and the 16-bit loss in nats a token, both (rows, documents)."""
    qid = np.stack(rows[f"document_qid_nats{suffix}"].to_numpy())
    rounded = np.stack(rows[f"group_loss{suffix}"].to_numpy())
    return qid / rows[f"qid_nats{suffix}"].to_numpy()[:, None], rounded - qid


def ratios_to_twins(runs: pd.DataFrame, trunk: pd.DataFrame, by: list[str], level: float = 0.95) -> pd.DataFrame:
    """Return, by the columns `by`, QiD over that of the trunk's twin: the geometric mean over checkpoints.

    Twins agree in `TWIN_KEY`: both tables have the column `twin`; rows without one are left out. Columns: those of
    `by`, `n_runs`, `n_checkpoints`, `ratio` with `low` and `high` (paired by document: another training run isn't in
    it), `run_lowest` and `run_highest` (the ratio in single runs), and `loss_change_nats` with `loss_change_se_nats`
    (16-bit loss minus that of the twin, mean over checkpoints). The error of ln ratio is that of the mean of
    a / mean(a) - b / mean(b) over documents (delta method). Raises AnalysisError where nothing has a twin or
    something has two, or where a QiD isn't positive.
    """
    if trunk.duplicated(TWIN_KEY).any():
        raise AnalysisError("the trunk has two rows for one twin: several schemes, or several runs")
    columns = ["qid_nats", "document_qid_nats", "baseline_loss_nats", "group_loss"]
    both = runs.merge(trunk[[*TWIN_KEY, *columns]], on=TWIN_KEY, suffixes=("", "_twin"), validate="m:1")
    if both.empty:
        raise AnalysisError("no checkpoint has a twin on the trunk with the same tokens, text, device and bits")
    if (both[["qid_nats", "qid_nats_twin"]] <= 0).any(axis=None):
        raise AnalysisError("a ratio of QiDs that aren't all positive means nothing")
    quantile = stats.norm.ppf((1 + level) / 2)
    rows = []
    for key, one in both.groupby(by):
        logs = np.log(one["qid_nats"] / one["qid_nats_twin"])
        by_run = np.exp(logs.groupby(one["run"]).mean())
        (ours, our_loss), (theirs, their_loss) = _by_document(one, ""), _by_document(one, "_twin")
        error = paired_error((ours - theirs).mean(axis=0))
        rows.append(
            dict(zip(by, key, strict=True))
            | {"n_runs": len(by_run), "n_checkpoints": one["checkpoint_id"].nunique(), "ratio": np.exp(logs.mean())}
            | {"low": np.exp(logs.mean() - quantile * error), "high": np.exp(logs.mean() + quantile * error)}
            | {"run_lowest": by_run.min(), "run_highest": by_run.max()}
            | {"loss_change_nats": (one["baseline_loss_nats"] - one["baseline_loss_nats_twin"]).mean()}
            | {"loss_change_se_nats": paired_error((our_loss - their_loss).mean(axis=0))}
        )
    return pd.DataFrame(rows)
