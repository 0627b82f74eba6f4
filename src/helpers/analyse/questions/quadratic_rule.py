"""The quadratic rule: small errors of the weights make KL grow as their square, so bits act on it in a known way.

KL(p || q) has its minimum, zero, where the rounded model's predictions q are the 16-bit model's p. Its first
derivative in the weights is zero there, and to second order KL = 1/2 e' F e with the error e of the weights and
Fisher's information F. An asymmetric grid of P bits has 2^P - 1 steps between a group's least and largest weight, so e
is proportional to 1 / (2^P - 1) with the same directions on average, and KL to its square. Nothing is fitted in that.
QiD has a term of first order, the loss's gradient times e, which is noise of either sign beside the second-order term.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from helpers.analyse.arrays import FloatArray
from helpers.analyse.questions.slopes_of_ratios import mean_and_slopes
from helpers.analyse.questions.trends import slope
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL, Outcome
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.table.errors import AnalysisError

QUADRATIC_BITS = (4, 5, 6, 8)
CHECKPOINT = ["run_label", N_PARAMS, TOKENS_SEEN, "step"]


def expected_ratio(bits: ArrayLike, more_bits: ArrayLike) -> FloatArray:
    """Return KL at `bits` over KL at `more_bits` by the rule, ((2^P' - 1) / (2^P - 1))^2: asymmetric grids, no unit."""
    few, many = np.asarray(bits, float), np.asarray(more_bits, float)
    return ((2.0**many - 1) / (2.0**few - 1)) ** 2


def by_width(table: pd.DataFrame, outcome: Outcome = KL) -> pd.DataFrame:
    """Return the outcome in nats, one row a checkpoint (indexed by `CHECKPOINT`), one column a bit width.

    `table` has one row a checkpoint and bit width; a checkpoint that lacks a width is left out. Raises AnalysisError
    where a checkpoint is there twice at a width.
    """
    if table.duplicated([*CHECKPOINT, "bits"]).any():
        raise AnalysisError("a checkpoint is there twice at one bit width")
    return table.pivot(index=CHECKPOINT, columns="bits", values=outcome.column).dropna()


def exponents(table: pd.DataFrame, outcome: Outcome = KL) -> tuple[dict[str, float], pd.Series]:
    """Return the exponent g in outcome ~ (2^P - 1)^-g from 4 to 8 bits: its mean over runs, and each run's.

    The first has `mean`, `low`, `high` (95%, t over runs) and `n_runs`. A run's is the mean of its checkpoints'.
    Checkpoints with a value that isn't positive have none. The rule says 2.
    """
    wide = by_width(table[table["bits"].isin(QUADRATIC_BITS)], outcome)
    steps = 2.0 ** wide.columns.to_numpy(float) - 1
    own = pd.Series([-slope(steps, row) for row in wide.to_numpy()], index=wide.index)
    runs = own.dropna().groupby("run_label").mean()
    return mean_over_runs(runs), runs


def from_one_width(table: pd.DataFrame, known_bits: float = 4.0, outcome: Outcome = KL) -> pd.DataFrame:
    """Return, by bit width, the outcome over what a checkpoint's own value at `known_bits` and the rule say of it.

    Nothing is fitted. Columns: `ratio` (geometric mean), `lowest`, `highest`, `log_rms` (of ln measured over expected)
    and `n_rows`, over checkpoints at which both are positive.
    """
    wide = by_width(table, outcome)
    rows = {}
    for bits in wide.columns.drop(known_bits):
        both = wide[(wide[bits] > 0) & (wide[known_bits] > 0)]
        away = np.log(both[bits] / both[known_bits] / expected_ratio(bits, known_bits))
        ends = {"ratio": np.exp(away.mean()), "lowest": np.exp(away.min()), "highest": np.exp(away.max())}
        rows[bits] = ends | {"log_rms": np.sqrt((away**2).mean()), "n_rows": len(away)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("bits")


def exponents_by_width(table: pd.DataFrame, outcome: Outcome = KL) -> pd.DataFrame:
    """Return, by bit width, beta and alpha: slopes of ln outcome in ln D and in -ln N, with 95% intervals by run.

    Columns `beta`, `alpha`, each with `_low` and `_high`. Where the rule holds they are the same at every width. Rows
    that aren't positive are left out.
    """
    rows = {}
    for bits, one in table[table[outcome.column] > 0].groupby("bits"):
        logs = one.assign(log_outcome=np.log(one[outcome.column]))
        slopes = mean_and_slopes(logs, "log_outcome", [TOKENS_SEEN, N_PARAMS])
        tokens, size = slopes.loc[TOKENS_SEEN], -slopes.loc[N_PARAMS]
        rows[bits] = {"beta": tokens["value"], "beta_low": tokens["low"], "beta_high": tokens["high"]}
        rows[bits] |= {"alpha": size["value"], "alpha_low": size["high"], "alpha_high": size["low"]}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("bits")


def on_another_text(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return by size and bits how KL and QiD on the text of `second` stand to those on the text of `first`.

    Columns: `kl_ratio` and `qid_ratio` (sums over checkpoints, second over first), `qid_over_kl_first` and
    `qid_over_kl_second`. Where rounded models lose less than they diverge (QiD over KL below 1), the 16-bit model was
    surer of that text than it is right. Rows are joined by checkpoint and bits.
    """
    key = ["checkpoint_id", "bits"]
    columns = ["qid_nats", "kl_nats"]
    both = first[[*key, N_PARAMS, *columns]].merge(
        second[[*key, *columns]], on=key, suffixes=("", "_second"), validate="1:1"
    )
    sums = both.groupby([N_PARAMS, "bits"])[[*columns, "qid_nats_second", "kl_nats_second"]].sum()
    return pd.DataFrame(
        {
            "kl_ratio": sums["kl_nats_second"] / sums["kl_nats"],
            "qid_ratio": sums["qid_nats_second"] / sums["qid_nats"],
            "qid_over_kl_first": sums["qid_nats"] / sums["kl_nats"],
            "qid_over_kl_second": sums["qid_nats_second"] / sums["kl_nats_second"],
        }
    )
