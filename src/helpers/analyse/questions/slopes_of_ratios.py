"""How ratios of QiD or KL move with size and tokens: straight lines through ln ratio, with intervals by training run.

A table of ratios has one row per checkpoint (and bit width) with the columns `ratio`, `run_label`,
`n_params_non_embedding` and `tokens_seen`, as from `twins.qid_ratio` or `ways.at_own_effective_bits`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.by_run import cr2_covariance
from helpers.analyse.questions.twins import qid_ratio
from helpers.analyse.questions.ways import at_own_effective_bits, between_texts
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.table.words import minus_signs

COARSE = "GPTQ, group 128"
BY_WIDTH = {f"RTN / GPTQ, {bits} bits": ("RTN", "GPTQ", bits) for bits in (2, 3, 4)}  # way, the other way, bits
BY_WIDTH |= {
    f"{way} / {other}, 4 bits": (way, other, 4) for way, other in [("AWQ", "GPTQ"), ("NF4", "GPTQ"), ("AWQ", "RTN")]
}
BY_WIDTH |= {f"symmetric grid, {bits} bits": (f"{COARSE}, symmetric", COARSE, bits) for bits in (2, 3, 4)}
GROUPS = {"group 64 / 32": "GPTQ, group 64", "group 128 / 32": COARSE, "row / group 32": "GPTQ, one group a row"}
BY_WIDTH |= {f"{name}, 3 bits": (way, "GPTQ", 3) for name, way in GROUPS.items()}
COLUMNS = {"n_runs": "runs", "ratio": "ratio", "per_byte": "per byte", "smallest": "smallest N", "largest": "largest N"}
COLUMNS |= {"size": "slope in ln N", "tokens": "slope in ln D"}


def compared(table: pd.DataFrame, outcome: Outcome = QID) -> dict[str, pd.DataFrame]:
    """Return the ratios of each comparison of the study, one row per checkpoint: of `BY_WIDTH` and coarse groups.

    Coarse groups of 3 bits are compared with group 32 at equal effective bits too. `table` is of one text and has the
    column `way`; comparisons by width of ways that it lacks are left out.
    """
    cells = dict(list(table.groupby(["way", "bits"])))
    fine = pd.concat([cells["GPTQ", bits] for bits in (2, 3, 4)])
    there = {name: names for name, names in BY_WIDTH.items() if (names[0], names[2]) in cells}
    ratios = {
        name: qid_ratio(cells[way, bits], cells[other, bits], outcome) for name, (way, other, bits) in there.items()
    }
    at_equal = {name: at_own_effective_bits(cells[way, 3], fine, outcome) for name, way in GROUPS.items()}
    return ratios | {f"{name}, equal bits": one for name, one in at_equal.items()}


def log_mean_and_slopes(
    ratios: pd.DataFrame,
    along: Sequence[str],
    cluster: str = "run_label",
    draws: FloatArray | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the mean of ln ratio and its slopes on the ln of the columns `along`: `mean_and_slopes` of ln `ratio`.

    `draws` (rows, n_draws) has ln ratio on draws of documents; the scatter of its coefficients is added in quadrature.
    """
    return mean_and_slopes(ratios.assign(ratio=np.log(ratios["ratio"])), "ratio", along, cluster, draws, level)


def mean_and_slopes(
    table: pd.DataFrame,
    value: str,
    along: Sequence[str],
    cluster: str = "run_label",
    draws: FloatArray | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the mean of the column `value` and its slopes on the ln of the columns `along`, by least squares.

    The index is `mean` (at the mean of each ln) and `along`; columns `value`, `low`, `high`, in the column's unit.
    Intervals count clusters, not rows: CR2 and t with Bell-McCaffrey degrees of freedom, at most clusters - 1. `draws`
    (rows, n_draws) has the values on draws of documents; the scatter of their coefficients is added in quadrature.
    Raises FitError where the clusters give no interval (`by_run.cr2_covariance`).
    """
    measured, labels = table[value].to_numpy(float), table[cluster].to_numpy()
    places = np.log(table[list(along)].to_numpy(float))
    design = np.column_stack([np.ones(len(table)), places - places.mean(axis=0)])
    solve = np.linalg.pinv(design)
    values = solve @ measured
    by_cluster = cr2_covariance(design, measured - design @ values, labels)
    variance = np.diag(by_cluster.covariance) + (0.0 if draws is None else (solve @ draws).var(axis=1))
    freedom = np.minimum(by_cluster.degrees_of_freedom, np.unique(labels).size - 1)
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(variance)
    return pd.DataFrame({"value": values, "low": values - half, "high": values + half}, index=["mean", *along])


def size_and_tokens(ratios: pd.DataFrame) -> dict[str, float]:
    """Return the mean of a table of ratios and its slopes in size and tokens, with 95% intervals by training run.

    `n_runs`; `ratio`, `ratio_low`, `ratio_high`: the geometric mean over rows, taking runs as drawn from their like,
    sizes and all; `smallest` and `largest`: that of the smallest and of the largest size; `size` and `tokens`, each
    with `_low` and `_high`: slope of ln ratio in ln N and in ln D.
    """
    mean = np.exp(log_mean_and_slopes(ratios, []).loc["mean"])
    slopes = log_mean_and_slopes(ratios, [N_PARAMS, TOKENS_SEEN])
    by_size = np.exp(np.log(ratios["ratio"]).groupby(ratios[N_PARAMS]).mean())
    summary = {"n_runs": ratios["run_label"].nunique(), "smallest": by_size.iloc[0], "largest": by_size.iloc[-1]}
    for name, row in (("ratio", mean), ("size", slopes.loc[N_PARAMS]), ("tokens", slopes.loc[TOKENS_SEEN])):
        summary |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    return summary


def texts_compared(
    first: pd.DataFrame,
    second: pd.DataFrame,
    counts: tuple[FloatArray, FloatArray],
    along: dict[str, str],
    cluster: str = "run_label",
    outcome: Outcome = QID,
) -> pd.DataFrame:
    """Return, by bits, the outcome on `second` over that on `first`: the geometric mean and how its ln moves.

    Columns: `ratio`, `per_byte` (of outcomes in nats per byte) and a slope in the ln of each column of `along`, which
    has their names; `_low` and `_high` of all but `per_byte` are 95% intervals. They count the documents of both texts
    and `cluster`: training runs, or, where there is a single run, its checkpoints. Of an outcome that isn't kept by
    document they count `cluster` alone.
    """
    both, draws = between_texts(first, second, counts, outcome)
    by_bits = {}
    for bits, rows in both.groupby("bits"):
        of_documents = draws[rows.index.to_numpy()] if outcome.paired else None
        trend = log_mean_and_slopes(rows, list(along), cluster, of_documents)
        ends = {"ratio": np.exp(trend.loc["mean"])} | {name: trend.loc[column] for column, name in along.items()}
        by_bits[bits] = {"per_byte": ends["ratio"]["value"] * np.exp(np.log(rows["density"]).mean())}
        for name, row in ends.items():
            by_bits[bits] |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    return pd.DataFrame.from_dict(by_bits, orient="index").rename_axis("bits")


def trends_table(trends: pd.DataFrame) -> pd.DataFrame:
    """Return `trends` for people: of the columns in `COLUMNS` those that are there, with their intervals as text."""

    def cell(row: pd.Series, name: str) -> str:
        if pd.isna(row[name]):
            return ""
        ends = f" [{row[f'{name}_low']:.2f},\u202f{row[f'{name}_high']:.2f}]" if f"{name}_low" in row else ""
        return minus_signs(f"{row[name]:.{0 if name == 'n_runs' else 2}f}{ends}")

    shown = {label: trends.apply(cell, axis=1, name=name) for name, label in COLUMNS.items() if name in trends}
    return pd.DataFrame(shown)
