"""Which runs a study has, which are missing, and whether size, tokens, learning rate and its decay can be told apart.

Tables have the columns of `helpers.table.checkpoint_rows.CheckpointRow`, one row per checkpoint. Nothing here looks at
a loss.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN


@dataclass(frozen=True)
class Design:
    """The variables that checkpoints can tell apart: rank of the standardised variables and their condition number.

    The condition number is the largest singular value over the smallest; 1 if all are uncorrelated, infinite if
    one doesn't vary or is a combination of the others. `held_fixed` are those that don't vary.
    """

    n_checkpoints: int
    variables: tuple[str, ...]
    held_fixed: tuple[str, ...]
    rank: int
    condition_number: float


def design_of(checkpoints: pd.DataFrame) -> Design:
    """Return the design of checkpoints after warm-up, one row each, in ln N, ln D, ln peak learning rate and phase.

    Phase is the learning rate's share of its peak: 1 while it is constant.
    """
    after = checkpoints[checkpoints["lr_phase"] != "warmup"]
    variables = pd.DataFrame(
        {
            "ln N": np.log(after[N_PARAMS].astype(float)),
            "ln D": np.log(after[TOKENS_SEEN].astype(float)),
            "ln peak learning rate": np.log(after["peak_learning_rate"].astype(float)),
            "phase": (after["learning_rate"] / after["peak_learning_rate"]).astype(float),
        }
    )
    centred = variables - variables.mean()
    spread = np.sqrt((centred**2).mean())
    varies = spread > 1e-12
    values = np.linalg.svd((centred / spread.where(varies, 1.0)).to_numpy(), compute_uv=False)
    rank = int((values > 1e-9 * values[0]).sum())
    full = rank == variables.shape[1]
    return Design(
        n_checkpoints=len(after),
        variables=tuple(variables),
        held_fixed=tuple(variables.columns[~varies]),
        rank=rank,
        condition_number=float(values[0] / values[-1]) if full else float("inf"),
    )


def part_of_study(checkpoints: pd.DataFrame) -> pd.Series:
    """Return which part of the study each checkpoint belongs to: its family's, or cooldowns or averages of it."""
    part = checkpoints["family"].str.removeprefix("tadpole-")
    return part.mask(checkpoints["schedule"] == "cooldown", "cooldowns").mask(checkpoints["n_averaged"] > 1, "averages")
