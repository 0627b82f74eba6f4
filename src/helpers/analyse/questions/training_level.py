"""QiD as a gauge of training: laws read backwards, from what was measured to the training tokens D it stands for.

A reading is an estimate of D from one checkpoint's QiD (or 16-bit loss) and its size. Where a law never comes up to
what was measured the reading is infinite, where it is above everywhere it is zero: both say "off the scale". Intervals
invert the prediction interval (Fieller 1954, Journal of the Royal Statistical Society B 16): they hold every D at
which the measured value lies inside the interval for a new training run.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.loss import fit_loss_law
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.law import Law, bisect
from helpers.analyse.laws.loss import SizeAndTokensLaw
from helpers.analyse.questions.decay import LOSS
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.table.errors import AnalysisError

OFF_SCALE = (2.0, 5e23)  # tokens: a reading at or beyond these ends is zero or infinite
LEAST_NATS = 1e-12  # what a QiD that isn't positive counts as, so that a line in logarithms can start there


def tokens_where(reached: Callable[[FloatArray], NDArray[np.bool_]], shape: tuple[int, ...]) -> FloatArray:
    """Return the tokens D from which on `reached` holds, shape `shape`: 0 where it always does, infinity where never.

    `reached` takes and returns arrays of `shape`; where it changes several times, the last change counts.
    """
    few, many = OFF_SCALE
    found = bisect(lambda tokens: (tokens > few) & (reached(tokens) | (tokens > many)), "tokens", shape)
    return np.where(found > 0.999 * many, np.inf, np.where(found < 1.001 * few, 0.0, found))


def readings(fit: FitResult, data: FitData, level: float = 0.90) -> pd.DataFrame:
    """Return the tokens that a law of QiD reads off each row's QiD: columns `read`, `low`, `high`, tokens.

    Other variables of the law than D are taken as they are in the rows. The interval is for a new training run: errors
    of the coefficients, the spread tau and the row's paired error, on ln QiD, with t(runs - 1). Raises AnalysisError
    where a QiD isn't positive: it has no logarithm.
    """
    if np.any(data.outcome_nats <= 0):
        raise AnalysisError("tokens are read off a positive QiD only")
    target, noise = np.log(data.outcome_nats), (data.outcome_se_nats / data.outcome_nats) ** 2 + fit.tau**2
    x, quantile = data.asked(fit.law), stats.t.ppf(0.5 + level / 2, fit.n_runs - 1)

    def above(tokens: FloatArray, quantiles: float) -> NDArray[np.bool_]:
        log_mean, slopes = fit.law.evaluate(fit.law.coefficients, x | {"tokens": tokens})
        spread = np.sqrt(np.einsum("ni,ij,nj->n", slopes, fit.covariance, slopes) + noise)
        return log_mean + quantiles * spread > target

    ends = {"read": 0.0, "low": quantile, "high": -quantile}
    return pd.DataFrame(
        {name: tokens_where(functools.partial(above, quantiles=q), target.shape) for name, q in ends.items()}
    )


def readings_of_loss(
    law: SizeAndTokensLaw, n_params: FloatArray, loss_nats: FloatArray, half_width: float
) -> pd.DataFrame:
    """Return the tokens that a law of the 16-bit loss reads off losses: columns `read`, `low`, `high`, tokens.

    `half_width`: how far ln L may be off, for the interval.
    """
    target = np.log(loss_nats)
    shifts = {"read": 0.0, "low": half_width, "high": -half_width}

    def above(tokens: FloatArray, shift: float) -> NDArray[np.bool_]:
        return np.log(law.predict(tokens, n_params)) < target + shift

    return pd.DataFrame(
        {name: tokens_where(functools.partial(above, shift=s), target.shape) for name, s in shifts.items()}
    )


def without_own_run(law_type: type[Law], table: pd.DataFrame, level: float = 0.90) -> pd.DataFrame:
    """Return `readings` of every row by the law fitted to the other runs: the columns of `_judged`, and `bits`.

    `table`: rows of `degradation`, one run per size. Raises FitError where the other runs can't identify the law.
    """
    parts = []
    for run, rows in table.groupby("run_label"):
        fit, _ = fit_by_run(law_type, FitData.from_table(table[table["run_label"] != run]))
        parts.append(_judged(rows, readings(fit, FitData.from_table(rows), level)).assign(bits=rows["bits"]))
    return pd.concat(parts)


def loss_without_own_run(law_type: type[SizeAndTokensLaw], table: pd.DataFrame, level: float = 0.90) -> pd.DataFrame:
    """Return `readings_of_loss` of every checkpoint by the loss law of the other runs: the columns of `_judged`.

    The interval takes the root mean square of the law's own misses, and t(runs - 1) of the other runs.
    """
    table, parts = table.drop_duplicates(["run_label", TOKENS_SEEN]), []
    for run, rows in table.groupby("run_label"):
        others = table[table["run_label"] != run]
        tokens, n_params, losses = (others[name].to_numpy(float) for name in (TOKENS_SEEN, N_PARAMS, LOSS))
        law = fit_loss_law(law_type, tokens, n_params, losses, source="fitted to the other runs")
        miss = np.sqrt(np.mean(np.log(law.predict(tokens, n_params) / losses) ** 2))
        half = stats.t.ppf(0.5 + level / 2, others["run_label"].nunique() - 1) * miss
        read = readings_of_loss(law, rows[N_PARAMS].to_numpy(float), rows[LOSS].to_numpy(float), half)
        parts.append(_judged(rows, read))
    return pd.concat(parts)


def _judged(rows: pd.DataFrame, read: pd.DataFrame) -> pd.DataFrame:
    """Return readings beside the truth: `run_label`, size, tokens, `read`, `low`, `high`, `ratio`, `covered`.

    `ratio`: tokens read over true tokens; `covered`: whether the truth lies inside the interval.
    """
    both = rows[["run_label", N_PARAMS, TOKENS_SEEN]].join(read.set_index(rows.index))
    inside = (both["low"] <= both[TOKENS_SEEN]) & (both[TOKENS_SEEN] <= both["high"])
    return both.assign(ratio=both["read"] / both[TOKENS_SEEN], covered=inside)


def tokens_at_levels(table: pd.DataFrame, levels: Mapping[float, float]) -> pd.DataFrame:
    """Return the tokens at which the measured QiD of each size first reaches a level, read off between two checkpoints.

    `table`: rows of `degradation`, one run per size; `levels`: nats per token by bits. Columns: size, `bits`,
    `qid_nats` (the level), `tokens` (on a straight line of ln QiD over ln D; NaN where `crossed` isn't "here"),
    `loss_nats` (16 bits, there), `first_tokens` and `last_tokens` of the run, and `crossed`: "here", "before" the
    first checkpoint, or "not yet" at the last.
    """
    crossings = []
    asked = table[table["bits"].isin(list(levels))].sort_values(TOKENS_SEEN)
    for (size, bits), rows in asked.groupby([N_PARAMS, "bits"]):
        places, reached = np.log(rows[TOKENS_SEEN].to_numpy(float)), (rows["qid_nats"] >= levels[bits]).to_numpy()
        crossed = "before" if reached[0] else "here" if reached.any() else "not yet"
        place = np.nan
        if crossed == "here":
            pair = slice(reached.argmax() - 1, reached.argmax() + 1)
            qid = np.log(np.maximum(rows["qid_nats"].to_numpy()[pair], LEAST_NATS))
            place = np.interp(np.log(levels[bits]), qid, places[pair])
        there = {"tokens": np.exp(place), "loss_nats": np.interp(place, places, rows[LOSS])}
        ends = {"first_tokens": rows[TOKENS_SEEN].min(), "last_tokens": rows[TOKENS_SEEN].max(), "crossed": crossed}
        crossings.append({N_PARAMS: size, "bits": bits, "qid_nats": levels[bits]} | there | ends)
    return pd.DataFrame(crossings)


def gains_of_doubling(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose run has half their tokens too, with the loss that the last doubling of tokens gained.

    Adds `gain_nats`, the 16-bit loss at half of the tokens (on a straight line over ln D) minus that at all of them,
    and `doublings`, QiD over it: how many such doublings rounding takes back (no unit).
    """
    parts = []
    for _, rows in table.groupby(["run_label", "bits"]):
        rows = rows.sort_values(TOKENS_SEEN)
        places = np.log(rows[TOKENS_SEEN].to_numpy(float))
        half = np.interp(places - np.log(2), places, rows[LOSS], left=np.nan)
        parts.append(rows.assign(gain_nats=half - rows[LOSS]).dropna(subset="gain_nats"))
    gains = pd.concat(parts)
    return gains.assign(doublings=gains["qid_nats"] / gains["gain_nats"])


def tokens_of_lost_doubling(law: Law, loss_law: SizeAndTokensLaw, n_params: ArrayLike, bits: ArrayLike) -> FloatArray:
    """Return the tokens D from which on QiD exceeds what the last doubling of D gained in 16 bits, by two laws."""
    size, width = np.broadcast_arrays(np.asarray(n_params, float), np.asarray(bits, float))

    def lost(tokens: FloatArray) -> NDArray[np.bool_]:
        gain = loss_law.predict(tokens / 2, size) - loss_law.predict(tokens, size)
        return law.predict(tokens, size, width) > gain

    return tokens_where(lost, size.shape)


def apparent_tokens(compared: pd.DataFrame, trunk: pd.DataFrame, law: Law) -> pd.DataFrame:
    """Return how many more tokens runs seem to have than they have, by two gauges, beside the trunk of their size.

    `compared`: rows of `decay.compared_with_trunk` at equal tokens; `trunk`: what they were compared with. Adds
    `log_by_qid`, ln of the tokens that `law` reads off the run's QiD over those it reads off its trunk's; and
    `log_by_loss`, ln of the tokens at which the trunk itself has the run's 16-bit loss over the run's own, NaN beyond
    the trunk's ends. Zero: the run looks as trained as it is.
    """
    by_qid = [law.tokens_at(compared[name], compared[N_PARAMS], compared["bits"]) for name in ("qid_nats", "twin_nats")]
    by_loss = pd.Series(np.nan, compared.index)
    for model, rows in compared.groupby("model"):
        line = trunk[trunk["model"] == model].drop_duplicates(TOKENS_SEEN).sort_values(TOKENS_SEEN)
        lowest = np.minimum.accumulate(line[LOSS])
        places = np.interp(-rows[LOSS], -lowest, np.log(line[TOKENS_SEEN]), left=np.nan, right=np.nan)
        by_loss[rows.index] = places - np.log(rows[TOKENS_SEEN])
    return compared.assign(log_by_qid=np.log(by_qid[0] / by_qid[1]), log_by_loss=by_loss)


def concordance(table: pd.DataFrame, gauge: str, truth: str) -> float:
    """Return the share of pairs of rows of different sizes that two columns put in the same order; a tie counts half.

    Half: one column says nothing of the other. One: the same order throughout.
    """
    size, first, second = (table[name].to_numpy(float) for name in (N_PARAMS, gauge, truth))
    one, other = np.triu_indices(size.size, 1)
    apart = size[one] != size[other]
    agree = np.sign(first[one] - first[other]) * np.sign(second[one] - second[other])
    return float((agree[apart].mean() + 1) / 2)
