"""The offset of the block size: d of (Qb + d)^kappa, on QiD and on the relative increase of perplexity.

Cao et al.'s later law (second-hand; see `laws.joint`) has such a d. Where increases are large, exp(q) - 1 bends upward
in ln Qb, and so does (Qb + d)^kappa: a d can stand for that bend alone. Here every checkpoint has a level of its own
and kappa moves with ln N and ln D, so that d isn't there to mend either.
"""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.joint import REFERENCE_TOKENS
from helpers.analyse.laws.shapes import REFERENCE_SIZE
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN

DRAWS = 2000
LEVEL = 0.95
FINE, COARSE = 60.0, 500.0  # ends of the search, values per scale


def offset_of_blocks(table: pd.DataFrame, generator: np.random.Generator) -> dict[str, float]:
    """Return `d` of least squares in ln of the increase, values per scale, with `low` and `high` (95%) over runs drawn.

    `table` has rows of one Qr in the columns of `degradation`; all increases are positive. `gain` is the share of the
    squares without d that d takes away. An end at the end of the search says that there is none.
    """
    grid = np.concatenate([np.arange(-0.9 * table["group_size"].min(), FINE, 0.2), np.arange(FINE, COARSE, 2.0)])
    sums = np.stack([_sums(table, offset) for offset in [*grid, 0.0]])  # (offsets + 1, runs, 4, 4)
    n_runs = sums.shape[1]
    drawn = generator.multinomial(n_runs, np.full(n_runs, 1 / n_runs), DRAWS)
    squares = _squares(sums.sum(axis=1))
    best = grid[[_squares(np.tensordot(counts, sums[:-1], (0, 1))).argmin() for counts in drawn]]
    low, high = np.quantile(best, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    found = {"d": grid[squares[:-1].argmin()], "low": low, "high": high, "gain": 1 - squares[:-1].min() / squares[-1]}
    return {name: float(value) for name, value in found.items()}


def _sums(table: pd.DataFrame, offset: float) -> FloatArray:
    """Return by run the sums of products of ln(Qb + d), times 1, ln N and ln D, and ln of the increase: (runs, 4, 4).

    All are less their checkpoint's mean, which is what a level of its own comes to.
    """
    shifted = np.log(table["group_size"].to_numpy(float) + offset)
    size, tokens = np.log(table[N_PARAMS] / REFERENCE_SIZE), np.log(table[TOKENS_SEEN] / REFERENCE_TOKENS)
    increase = np.log(table["qid_nats"])
    columns = pd.DataFrame({"one": shifted, "size": shifted * size, "tokens": shifted * tokens, "increase": increase})
    centred = columns - columns.groupby(table["checkpoint_id"]).transform("mean")
    return np.stack([part.T @ part for _, part in centred.groupby(table["run_label"])])


def _squares(sums: FloatArray) -> FloatArray:
    """Return the residual sums of squares of regressions with these sums of products, shape (...,)."""
    design, crossed = sums[..., :3, :3], sums[..., :3, 3]
    solved = np.linalg.pinv(design, hermitian=True) @ crossed[..., None]
    squares: FloatArray = sums[..., 3, 3] - (crossed[..., None, :] @ solved)[..., 0, 0]
    return squares
