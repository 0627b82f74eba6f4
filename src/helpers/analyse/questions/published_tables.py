"""Numbers that papers printed, computed again: cells of a table, losses of rounded models, and projections far out.

Cells are rows of `data/published/ouyang2024_table1.csv` (Ouyang et al. 2024, arXiv 2411.17691, Table 1): size, bits, a
QiD in nats per token, and the training tokens, in units of 10^12 as printed, at which QiD reaches it. Laws come as a
record by bit width, so that one law for all and one law per bit width look the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.law import Law, bisect
from helpers.analyse.laws.loss import SizeAndTokensLaw
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.laws.variables import ValidityRange
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.resampling import document_counts
from helpers.table.errors import QidError
from helpers.table.paired_error import paired_error

TRILLION = 1e12
HALF_DIGIT = 0.5e-4  # half a unit of the last printed digit of Table 1, in 10^12 tokens
# The coefficients that round to equation 8 as printed: k has three decimals, the exponents have four.
PRINTED_UNIFIED = {
    "ln_k": (math.log(OUYANG_2024.k - 5e-4), math.log(OUYANG_2024.k + 5e-4)),
    **{name: (getattr(OUYANG_2024, name) - 5e-5, getattr(OUYANG_2024, name) + 5e-5) for name in ("beta", "alpha")},
    "gamma": (OUYANG_2024.gamma - 5e-5, OUYANG_2024.gamma + 5e-5),
}
KUMAR_B = 1.1277  # table 2 of Kumar et al. 2024, arXiv 2411.04330; its place in their formula isn't spelt out
LOG_STEP = 1e-4  # of ln D, for the slope of a loss


def tokens_of_cells(cells: pd.DataFrame, laws: Mapping[int, Law]) -> pd.Series:
    """Return the tokens, in 10^12, at which QiD of each cell is reached by the law of its bit width."""
    parts = [
        pd.Series(laws[bits].tokens_at(rows["qid_nats"], rows["n_params"], bits) / TRILLION, rows.index)
        for bits, rows in cells.groupby("bits")
    ]
    return pd.concat(parts).reindex(cells.index)


def prints(cells: pd.DataFrame, tokens_trillions: pd.Series) -> pd.Series:
    """Return which cells `tokens_trillions` rounds to, digit by digit as printed."""
    return (tokens_trillions - cells["tokens_trillions"]).abs() <= HALF_DIGIT


@dataclass(frozen=True)
class PrintedFit:
    """The law of one form that comes nearest to printed cells, in the worst of them."""

    law: Law
    worst: float  # its largest miss of ln QiD over what half a printed digit allows: at most 1, and it prints them all
    ranges: dict[str, tuple[float, float]]  # of each coefficient among all laws that print the cells; empty if none


def law_through_cells(
    law_type: type[Law], cells: pd.DataFrame, within: Mapping[str, tuple[float, float]] | None = None
) -> PrintedFit:
    """Return the law of `law_type` (a product of powers) whose worst miss of the cells is least: a linear program.

    A printed D stands for the interval of half a digit around it; a law prints it if ln QiD at the lower end is at
    most, and at the upper end at least, that of the cell. Both are linear in the coefficients, so that the answer is
    exact: where `worst` is above 1, no law of this form prints all cells. `within` bounds coefficients by name.
    """
    names, target = law_type.coefficient_names(), np.log(cells["qid_nats"].to_numpy(float))
    low, middle, high = (
        law_type.design_matrix((cells["tokens_trillions"] + shift) * TRILLION, cells["n_params"], cells["bits"])
        for shift in (-HALF_DIGIT, 0.0, HALF_DIGIT)
    )
    centre = np.linalg.lstsq(middle, target)[0]
    allowed = (high - low) @ centre / 2
    unit = allowed.min()  # what coefficients may move by, more or less: keeps the program's numbers in bounds
    rows = np.concatenate([low, -high]) / np.tile(allowed, 2)[:, None]
    right = np.concatenate([target, -target]) / np.tile(allowed, 2) - rows @ centre - 1
    free = dict.fromkeys(names, (-np.inf, np.inf)) | dict(within or {})
    ends = [tuple((np.array(free[name]) - start) / unit) for name, start in zip(names, centre, strict=True)]
    program = np.column_stack([rows * unit, -np.ones(right.size)])

    def solve(cost: FloatArray, most: float) -> FloatArray:
        solution = optimize.linprog(cost, program, right, bounds=[*ends, (0, most)], method="highs")
        if solution.status != 0:
            raise QidError(f"no {law_type.__name__} could be held against these cells: {solution.message}")
        return solution.x

    best = solve(np.eye(len(names) + 1)[-1], np.inf)
    law = law_type.from_coefficients(centre + unit * best[:-1], "nearest to printed cells", _box(cells))
    ranges = {}
    if best[-1] <= 1:
        for index, name in enumerate(names):
            cost = np.eye(len(names) + 1)[index]
            reach = [centre[index] + unit * solve(sign * cost, 1.0)[index] for sign in (1, -1)]
            ranges[name] = (float(reach[0]), float(reach[1]))
    return PrintedFit(law, float(best[-1]), ranges)


def _box(cells: pd.DataFrame) -> ValidityRange:
    columns = (cells["tokens_trillions"] * TRILLION, cells["n_params"], cells["bits"])
    tokens, n_params, bits = ((float(values.min()), float(values.max())) for values in columns)
    return ValidityRange(tokens, n_params, bits)


def rounded_loss(
    law: Law, loss_law: SizeAndTokensLaw, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike
) -> FloatArray:
    """Return the loss of the rounded model, L16 + QiD, in nats per token, in the broadcast shape."""
    return loss_law.predict(tokens, n_params) + law.predict(tokens, n_params, bits)


def turning_tokens(law: Law, loss_law: SizeAndTokensLaw, n_params: float, bits: float) -> float:
    """Return the tokens D beyond which more training makes the rounded model worse: where dL/d(ln D) = 0.

    Raises LawError where the loss doesn't turn.
    """

    def rising(tokens: FloatArray) -> NDArray[np.bool_]:
        after, before = (
            rounded_loss(law, loss_law, tokens * math.exp(h), n_params, bits) for h in (LOG_STEP, -LOG_STEP)
        )
        return after > before

    return float(bisect(rising, "tokens", ()))


def guessing_tokens(law: Law, loss_law: SizeAndTokensLaw, n_params: float, bits: float, guessing_nats: float) -> float:
    """Return the tokens D beyond which the rounded model is worse than uniform guessing, ln V = `guessing_nats`.

    Raises LawError where it never is.
    """
    return float(
        bisect(lambda tokens: rounded_loss(law, loss_law, tokens, n_params, bits) > guessing_nats, "tokens", ())
    )


def projections(
    laws: Mapping[str, Mapping[int, Law]],
    loss_law: SizeAndTokensLaw,
    guessing_nats: float,
    tokens: float,
    sizes: ArrayLike,
) -> pd.DataFrame:
    """Return QiD at `tokens` by each law, size and bit width, beside the 16-bit loss and the room to guessing.

    Columns `law`, `n_params`, `bits`, `qid_nats`, `loss_nats` (16 bits), `room_nats` (ln V - loss), and `beyond`:
    "guessing" where QiD exceeds the room, "loss" where it exceeds the loss only, else empty.
    """
    rows = [
        {"law": name, "n_params": size, "bits": bits, "qid_nats": float(law.predict(tokens, size, bits))}
        for name, by_bits in laws.items()
        for size in np.asarray(sizes)
        for bits, law in by_bits.items()
    ]
    table = pd.DataFrame(rows)
    loss = loss_law.predict(tokens, table["n_params"])
    room = guessing_nats - loss
    beyond = np.where(table["qid_nats"] > room, "guessing", np.where(table["qid_nats"] > loss, "loss", ""))
    return table.assign(loss_nats=loss, room_nats=room, beyond=beyond)


def projected(
    fit: FitResult, tokens: ArrayLike, n_params: ArrayLike, bits: ArrayLike, level: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return QiD of a new run far outside of the data by `fit`, and low and high of its interval, in nats per token.

    It is the interval of `predictions.predictions` for a row without error of its own, laid on ln QiD: far out the
    relative error isn't small, and one laid on QiD would reach below zero. It takes the form of the law to be true.
    """
    x = fit.law.ask({"tokens": tokens, "n_params": n_params, "bits": bits})
    log_mean, slopes = fit.law.evaluate(fit.law.coefficients, x)
    variance = np.einsum("...i,ij,...j->...", slopes, fit.covariance, slopes) + fit.tau**2
    half = stats.t.ppf(0.5 + level / 2, fit.n_runs - 1) * np.sqrt(variance)
    return np.exp(log_mean), np.exp(log_mean - half), np.exp(log_mean + half)


def turning_points(table: pd.DataFrame, generator: np.random.Generator, level: float = 0.95) -> pd.DataFrame:
    """Return the tokens at which the measured loss of rounded models is lowest: one row per size and bit width.

    Columns `tokens` at the lowest loss with `low` and `high` (quantiles over resampled documents, the same in all
    checkpoints), `rise_nats` from there to the last checkpoint with its paired error `rise_se_nats`, and `turned`:
    whether the last is the lowest in less than 1 - `level` of the draws. Runs must be one per size.
    """
    rows = []
    for (size, bits), part in table.sort_values(TOKENS_SEEN).groupby([N_PARAMS, "bits"]):
        losses, tokens = np.stack(part["group_loss"]).astype(float), part[TOKENS_SEEN].to_numpy(float)
        lowest = losses.mean(axis=1).argmin()
        places = (losses @ document_counts(losses.shape[1], generator)).argmin(axis=0)
        low, high = np.quantile(tokens[places], [(1 - level) / 2, (1 + level) / 2], method="nearest")
        rise = losses[-1] - losses[lowest]
        rows.append(
            {"n_params": size, "bits": bits, "tokens": tokens[lowest], "low": low, "high": high}
            | {"rise_nats": rise.mean(), "rise_se_nats": paired_error(rise), "last_tokens": tokens[-1]}
            | {"turned": bool((places == tokens.size - 1).mean() < 1 - level)}
        )
    return pd.DataFrame(rows)
