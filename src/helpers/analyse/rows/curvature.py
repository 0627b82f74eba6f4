"""What curvature says that rounding costs: half the Hessian's trace times the rounding's mean squared error.

A random change of every weight of a block with variance s^2 raises the loss by about half of s^2 times the trace of
the block's Hessian. Both are known before any rounded model is run. A table of checkpoints has the columns of
`helpers.table.checkpoint_rows.CheckpointRow`, whose errors are those of rounding to nearest in asymmetric groups of 32.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.rows.study import GROUP_SIZE
from helpers.table.errors import AnalysisError

DESCRIBED_BITS = (2, 3, 4)  # those that rounding errors are stored of
SHARES = np.array([3.0, 1.0, 4.0, 4.0]) / 12  # of a block's weights, in the order of `matrices` of a GPT-NeoX block
MATRICES = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")


def by_block(values: Sequence[float]) -> FloatArray:
    """Return one number per matrix as (blocks, 4)."""
    return np.asarray(values, float).reshape(-1, len(MATRICES))


def refuse_other_blocks(checkpoints: pd.DataFrame) -> None:
    """Raise AnalysisError for blocks other than GPT-NeoX's."""
    for names in checkpoints["matrices"]:
        if tuple(name.split(".", 1)[1] for name in names) != MATRICES * (len(names) // len(MATRICES)):
            raise AnalysisError(f"only blocks of GPT-NeoX are described; got {', '.join(names)}")


def rounding_variances(checkpoint: pd.Series, bits: int) -> FloatArray:
    """Return the mean squared error of rounding to nearest of each block, in squared weights, shape (blocks,)."""
    errors = by_block(checkpoint["weight_rms"]) * by_block(checkpoint[f"rtn_error_{bits}_bits"])
    variances: FloatArray = (errors**2 * SHARES).sum(axis=1)
    return variances


def cost_by_curvature(checkpoint: pd.Series, bits: int) -> float:
    """Return what rounding costs by curvature, block by block, in nats per token."""
    return float(np.asarray(checkpoint["hessian_trace_by_block"], float) @ rounding_variances(checkpoint, bits) / 2)


def with_curvature(table: pd.DataFrame, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `curvature_nats`, what curvature says of their weights at their bits, in nats per token.

    NaN where it isn't known: weights that aren't described, other bit widths, other grids than asymmetric groups of 32.
    `table` holds measurements or QiDs. Raises AnalysisError for blocks other than GPT-NeoX's.
    """
    refuse_other_blocks(checkpoints)
    described = checkpoints.drop_duplicates("weights_sha256").set_index("weights_sha256")
    plain = (table["group_size"] == GROUP_SIZE) & ~table["symmetric"].astype("boolean").fillna(value=True)
    costs = pd.Series(np.nan, table.index)
    for bits in DESCRIBED_BITS:
        of_weights = pd.Series({name: cost_by_curvature(row, bits) for name, row in described.iterrows()}, dtype=float)
        rows = plain & (table["bits"] == bits)
        costs[rows] = table.loc[rows, "weights_sha256"].map(of_weights)
    return table.assign(curvature_nats=costs)
