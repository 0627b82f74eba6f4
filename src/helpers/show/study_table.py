"""The table of the study's parts: what was trained, for how long, what varies."""

import pandas as pd

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.design import part_of_study
from helpers.show.style import count_label

# Part of the study -> what it moves, the column that says so, how a value reads; in the order of the table.
VARIED = {
    "trunk": ("size N", N_PARAMS, count_label),
    "mixed": ("size N, trained again for chapters 13 to 16", N_PARAMS, count_label),
    "cooldowns": ("a fall to zero over the last fifth, from tokens", "tokens_at_branch", count_label),
    "averages": ("moments in the mean of weights", "n_averaged", "{:g}".format),
    "rates": ("peak learning rate", "peak_learning_rate", "{:g}".format),
    "depth": ("layers at the same N", "n_layers", "{:g}".format),
    "cosine": ("a cosine to a tenth, over tokens", "tokens_planned", count_label),
    "decay": ("weight decay", "weight_decay", "{:g}".format),
    "seeds": ("training seed", "train_seed", "{:g}".format),
    "ninth": ("training seed of the largest size", "train_seed", "{:g}".format),
    "ninth-rate": ("peak learning rate of the largest size", "peak_learning_rate", "{:g}".format),
}
LISTED_AT_MOST = 4  # values; of more the first and the last


def study_table(checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Return one row per part of the study: what it moves, and its models, training runs, checkpoints and tokens.

    Averages are of runs that are there already, so they have no run of their own. Raises ValueError for a part that
    `VARIED` doesn't have.
    """
    tokens_per_step = checkpoints[TOKENS_SEEN] / checkpoints["step"]
    named = checkpoints.assign(tokens_at_branch=checkpoints["branched_at_step"] * tokens_per_step)
    parts = dict(list(named.groupby(part_of_study(named))))
    rows = {part: _summary(part, parts[part]) for part in sorted(parts, key=list(VARIED).index)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _summary(part: str, rows: pd.DataFrame) -> dict[str, object]:
    words, column, label = VARIED[part]
    values = [label(value) for value in sorted(rows[column].unique())]
    listed = ", ".join(values) if len(values) <= LISTED_AT_MOST else f"{values[0]} to {values[-1]}"
    tokens = rows[TOKENS_SEEN]
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
