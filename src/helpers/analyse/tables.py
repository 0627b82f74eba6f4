"""Tables for people: what a fit or a comparison says, as text in the cells. Not for further computing."""

import numpy as np
import pandas as pd

from helpers.analyse.fit_records import FitResult
from helpers.analyse.laws import LogLinearLaw
from helpers.analyse.style import count_label

GREEK = {"beta": "β", "alpha": "α", "gamma": "γ"}


def _exponents(law: LogLinearLaw, intervals: dict[str, tuple[float, float]]) -> dict[str, str]:
    cells = {}
    for name, symbol in GREEK.items():
        value = f"{getattr(law, name):.2f}" if name in law.PARAMETERS else ""
        ends = "[{:.2f}, {:.2f}]".format(*intervals[name]) if name in intervals else ""
        cells[symbol] = f"{value} {ends}".strip()
    return cells


def fits_table(fits: dict[str, FitResult], published: dict[str, LogLinearLaw] | None = None) -> pd.DataFrame:
    """Return one row a fit: exponents with intervals (only those by training run), tau, rows, runs and status.

    `published` laws come after, with their exponents alone.
    """
    rows = {}
    for label, fit in fits.items():
        by_run = np.all(np.isfinite(fit.degrees_of_freedom))
        known = dict(zip(fit.parameter_names, map(tuple, fit.intervals), strict=True)) if by_run else {}
        counts = {"τ": f"{fit.tau:.2f}", "rows": str(fit.n_rows), "runs": str(fit.n_runs), "status": str(fit.status)}
        rows[label] = _exponents(fit.law, known) | counts
    for label, law in (published or {}).items():
        rows[label] = _exponents(law, {}) | {"τ": "", "rows": "", "runs": "", "status": "published"}
    return pd.DataFrame.from_dict(rows, orient="index")


def agreement_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """Return one row a checkpoint of `agreement_in_seeds`: for each bit width QiD and the difference.

    Columns have two levels: the bit width; QiD on the CPU in nats per token, CPU minus CUDA in nats per token, and that
    over its own paired error.
    """
    order = agreement.sort_values(["n_params_non_embedding", "tokens_seen"])
    blocks = {}
    for bits, rows in order.groupby("bits"):
        index = [rows["model"], rows["tokens_seen"].map(count_label).rename("D")]
        shown = rows.set_index(index)
        blocks[f"{bits:g} bits"] = pd.DataFrame(
            {
                "QiD": shown["qid_nats_cpu"].map("{:.4f}".format),
                "here − stored": shown["difference_nats"].map("{:+.4f}".format),
                "in its errors": shown["difference_in_own_se"].map("{:+.1f}".format),
            }
        )
    return pd.concat(blocks, axis=1)


def ratio_table(ratios: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row for each of several results of `qid_ratio`: median and 10% and 90% quantiles by bit width."""
    cells = {}
    for label, rows in ratios.items():
        quantiles = rows.groupby("bits")["ratio"].quantile([0.5, 0.1, 0.9]).unstack()
        cells[label] = {
            f"{bits:g} bits": "{:.2f} ({:.2f} to {:.2f})".format(*row) for bits, row in quantiles.iterrows()
        }
    return pd.DataFrame.from_dict(cells, orient="index")
