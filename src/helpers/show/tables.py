"""Tables for people: what a fit or a comparison says, as text in the cells. Not for further computing."""

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitStatus
from helpers.analyse.fits.paired import PairedFits
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.law import Law
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.style import count_label
from helpers.table.words import minus_signs

NBSP = "\u202f"  # narrow; keeps together what stands on both sides
SAME_BELOW_NATS = 1e-5  # differences smaller than that are those of single precision
GREEK = {"beta": "β", "alpha": "α", "gamma": "γ"}


def _exponents(law: Law, intervals: dict[str, tuple[float, float]]) -> dict[str, str]:
    cells = {}
    for name, symbol in GREEK.items():
        value = f"{getattr(law, name):.2f}" if name in law.parameter_names() else ""
        ends = f"{NBSP}[{{:.2f}},{NBSP}{{:.2f}}]".format(*intervals[name]) if name in intervals else ""
        cells[symbol] = value + ends
    return cells


def fits_table(fits: dict[str, FitResult], published: dict[str, Law] | None = None) -> pd.DataFrame:
    """Return one row per fit: exponents with intervals (only those by training run), tau and rows.

    A fit that ended at a bound says so in its label. `published` laws come after, with their exponents alone.
    """
    rows = {}
    for label, fit in fits.items():
        by_run = np.all(np.isfinite(fit.degrees_of_freedom))
        known = dict(zip(fit.coefficient_names, map(tuple, fit.intervals), strict=True)) if by_run else {}
        counts = {"τ": f"{fit.tau:.2f}", "rows": str(fit.n_rows)}
        bound = ", at a bound" if fit.status is FitStatus.BOUND_HIT else ""
        rows[f"{label}{bound}".replace(" ", NBSP)] = _exponents(fit.law, known) | counts
    for label, law in (published or {}).items():
        rows[label.replace(" ", NBSP)] = _exponents(law, {}) | {"τ": "", "rows": ""}
    return pd.DataFrame.from_dict(rows, orient="index")


def differences_table(pairs: dict[str, PairedFits]) -> pd.DataFrame:
    """Return one row per pair: by how much each exponent of the second fit is larger, with intervals; rows of a fit."""
    rows = {}
    for label, pair in pairs.items():
        cells = {
            GREEK[name]: minus_signs(f"{row['value']:+.3f}{NBSP}[{row['low']:+.3f},{NBSP}{row['high']:+.3f}]")
            for name, row in pair.differences.iterrows()
        }
        rows[label.replace(" ", NBSP)] = dict.fromkeys(GREEK.values(), "") | cells | {"rows": str(pair.first.n_rows)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _agreement_cell(row: pd.Series) -> str:
    same = abs(row["difference_nats"]) < SAME_BELOW_NATS
    difference = "same" if same else f"{row['difference_nats']:+.4f} ({row['difference_in_own_se']:+.0f})"
    return minus_signs(f"{row['qid_nats_cpu']:.4f}, {difference}").replace(" ", NBSP)


def agreement_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """Return one row per checkpoint of `agreement_in_seeds`, named by its training run, and one column per bit width.

    A cell says QiD on the CPU, then CPU minus CUDA, both in nats per token, then in brackets the difference over its
    own paired error; or `same` instead of the two where the difference is below SAME_BELOW_NATS.
    """
    order = agreement.sort_values([N_PARAMS, "run_label", TOKENS_SEEN])
    columns = {}
    for bits, rows in order.groupby("bits"):
        runs = rows["run"].str.replace("-", "\u2011")
        index = [runs, rows[TOKENS_SEEN].map(count_label).rename("D")]
        columns[f"{bits:g} bits"] = rows.apply(_agreement_cell, axis=1).set_axis(pd.MultiIndex.from_arrays(index))
    return pd.DataFrame(columns)


def ways_table(ratios: pd.DataFrame) -> pd.DataFrame:
    """Return one row per way of rounding and one column per bit width, from the functions of `ways`.

    A cell says the ratio and its interval; the best way of the first column stands first.
    """
    cells = [f"{row.ratio:.2f} [{row.low:.2f},{NBSP}{row.high:.2f}]" for row in ratios.itertuples()]
    table = ratios.assign(cell=cells, bits=ratios["bits"].map("{:g} bits".format))
    order = ratios.groupby("way")["ratio"].first().sort_values().index
    wide = table.pivot(index="way", columns="bits", values="cell").loc[order]
    return wide.fillna("").rename_axis(index=None, columns=None)


def ways_and_kl_table(ratios: pd.DataFrame, of_kl: pd.DataFrame) -> pd.DataFrame:
    """Return `ways_table` of ratios of QiD, with one column a bit width for those of KL, without intervals."""
    wide = of_kl.pivot(index="way", columns="bits", values="ratio").rename(columns="KL, {:g} bits".format)
    return ways_table(ratios).join(wide.map("{:.2f}".format, na_action="ignore").fillna(""))


def kept_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Return `keeping.pooled` for people: one row per way and setting, by way and stored bits."""

    def cell(row: pd.Series, name: str, ends: tuple[str, str]) -> str:
        if pd.isna(row[name]):
            return ""
        return minus_signs(f"{row[name]:.2f} [{row[ends[0]]:.2f},{NBSP}{row[ends[1]]:.2f}]")

    rows = summary.sort_values(["way", "stored_bits"], kind="stable")
    places = pd.MultiIndex.from_arrays([rows["way"], rows["setting"].str.replace(" ", NBSP)], names=[None, None])
    cells = {"stored bits": rows["stored_bits"].map("{:.2f}".format), "sizes": rows["n_models"].astype(str)}
    cells["ratio"] = rows.apply(cell, axis=1, name="ratio", ends=("low", "high"))
    for name, label in (("size", "slope in ln N"), ("tokens", "slope in ln D")):
        cells[label] = rows.apply(cell, axis=1, name=name, ends=(f"{name}_low", f"{name}_high"))
    return pd.DataFrame({label: column.to_numpy() for label, column in cells.items()}, index=places)


def ratio_table(ratios: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row for each of several results of `qid_ratio`: median and 10% and 90% quantiles by bit width."""
    cells = {}
    for label, rows in ratios.items():
        quantiles = rows.groupby("bits")["ratio"].quantile([0.5, 0.1, 0.9]).unstack()
        cells[label] = {
            f"{bits:g} bits": "{:.2f} ({:.2f} to {:.2f})".format(*row) for bits, row in quantiles.iterrows()
        }
    return pd.DataFrame.from_dict(cells, orient="index")


def twins_table(ratios: pd.DataFrame) -> pd.DataFrame:
    """Return one row per difference between runs (column `way`) from `ratios_to_twins`, the highest ratio first.

    Cells: counts of runs and checkpoints, ratio and interval at each bit width, change of the 16-bit loss with its
    error.
    """
    counts = ratios.groupby("way")[["n_runs", "n_checkpoints"]].first().astype(str)
    changed = ratios.groupby("way")[["loss_change_nats", "loss_change_se_nats"]].first()
    losses = [f"{row.loss_change_nats:+.3f} ±{NBSP}{row.loss_change_se_nats:.3f}" for row in changed.itertuples()]
    counts = counts.set_axis(["runs", "checkpoints"], axis=1)
    table = counts.join(ways_table(ratios)).assign(**{"16-bit loss": losses}).map(minus_signs)
    order = np.log(ratios["ratio"]).groupby(ratios["way"]).mean().sort_values(ascending=False).index
    return table.loc[order].rename_axis(index=None, columns=None)
