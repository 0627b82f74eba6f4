"""Which runs a study has, which are missing, and whether size, tokens, learning rate and its decay can be told apart.

Tables have the columns of `helpers.table.rows.CheckpointRow`, one row a checkpoint. Nothing here looks at a loss.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import SIZE, TOKENS
from helpers.show.style import count_label

# Part of the study -> what it moves, the column that says so, how a value reads; in the order of the table.
VARIED = {
    "trunk": ("size N", SIZE, count_label),
    "mixed": ("size N, trained again for chapters 13 to 16", SIZE, count_label),
    "cooldowns": ("a fall to zero over the last fifth, from tokens", "tokens_at_branch", count_label),
    "averages": ("moments in the mean of weights", "n_averaged", "{:g}".format),
    "rates": ("peak learning rate", "peak_learning_rate", "{:g}".format),
    "depth": ("layers at the same N", "n_layers", "{:g}".format),
    "cosine": ("a cosine to a tenth, over tokens", "tokens_planned", count_label),
    "decay": ("weight decay", "weight_decay", "{:g}".format),
    "seeds": ("training seed", "train_seed", "{:g}".format),
}
LISTED_AT_MOST = 4  # values; of more the first and the last


@dataclass(frozen=True)
class Design:
    """What checkpoints can tell apart: rank of the standardised variables and their condition number.

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
            "ln N": np.log(after[SIZE].astype(float)),
            "ln D": np.log(after[TOKENS].astype(float)),
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


def study_table(checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return one row a part of the study: what it moves, and its models, training runs, checkpoints and tokens.

    Averages are of runs that are there already, so they have no run of their own. Raises ValueError for a part that
    `VARIED` doesn't have.
    """
    tokens_per_step = checkpoints[TOKENS] / checkpoints["step"]
    named = checkpoints.assign(tokens_at_branch=checkpoints["branched_at_step"] * tokens_per_step)
    parts = dict(list(named.groupby(part_of_study(named))))
    rows = {part: _summary(part, parts[part]) for part in sorted(parts, key=list(VARIED).index)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _summary(part: str, rows: pd.DataFrame) -> dict:
    words, column, label = VARIED[part]
    values = [label(value) for value in sorted(rows[column].unique())]
    listed = ", ".join(values) if len(values) <= LISTED_AT_MOST else f"{values[0]} to {values[-1]}"
    tokens = rows[TOKENS]
    return {
        "what it moves": f"{words}: {listed}",
        "models": rows["model"].nunique(),
        "training runs": rows.loc[rows["n_averaged"] == 1, ["family", "run"]].drop_duplicates().shape[0],
        "checkpoints": rows["weights_sha256"].nunique(),
        "tokens": f"{count_label(tokens.min())} to {count_label(tokens.max())}",
    }


def outstanding(planned: pd.DataFrame, trained: pd.DataFrame) -> str:
    """Return a sentence that names the planned runs of which `trained` lacks a checkpoint; both: family, run, step."""
    keys = ["family", "run", "step"]
    compared = planned[keys].merge(trained[keys].drop_duplicates(), how="left", indicator=True)
    missing = compared.loc[compared["_merge"] == "left_only", "run"].drop_duplicates().tolist()
    if not missing:
        return "Every run that is planned has been trained."
    words = "one run is" if len(missing) == 1 else f"{len(missing)} runs are"
    return f"Of the runs that are planned, {words} still to be trained: {', '.join(missing)}."
