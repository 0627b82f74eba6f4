"""Comparisons of QiD: along one variable, between two schemes, between calibration seeds, between two devices.

Tables are those of `degradation`, one row a measurement; nothing is fitted here but straight lines. Many ways of
rounding, or two texts, are compared in `ways`.
"""

import numpy as np
import pandas as pd

from helpers.analyse.degradation import SCHEME_OPTIONS, AnalysisError, paired_error

PAIR_KEY = ["checkpoint_id", "eval_id", "device_type", "bits"]
SIZE = "n_params_non_embedding"
SCHEME_FAMILY = ["group_size", "symmetric", *SCHEME_OPTIONS]
REPLICATE_KEY = [*PAIR_KEY, "method", *SCHEME_FAMILY]


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
