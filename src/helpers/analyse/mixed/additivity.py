"""Whether losses add up: those of a model's parts, and those of its weights and of its inputs.

*Compounding* is the loss of everything rounded over the sum of the losses of each part rounded alone, no unit. At one
they add up: each part does its damage whatever the others do. Above one a part costs more where others are rounded too.
Below one the loss runs out of room: a model that has lost nearly everything can't lose it again.
"""

import numpy as np
import pandas as pd

from helpers.analyse.mixed.trials import SERIES
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation
from helpers.table.errors import AnalysisError

CHECKPOINT = ["run_label", N_PARAMS, TOKENS_SEEN]
KINDS = ("weights", "inputs", "both")


def of_parts(scored: pd.DataFrame) -> pd.DataFrame:
    """Return one row a search problem (SERIES): `whole_nats`, `sum_nats` of its parts alone, `ratio` and `n_parts`.

    `scored` comes from `trials.with_metrics`; QiD in nats per token. Beside them stand `CHECKPOINT`, `bits` and
    `granularity`. Raises AnalysisError where a problem has no trial of the whole, or several that differ.
    """
    whole = scored[scored["search"] == "all"].drop_duplicates([*SERIES, "qid_nats"])
    alone = scored[scored["search"] == "single"].groupby(SERIES)["qid_nats"].agg(sum_nats="sum", n_parts="size")
    if whole.duplicated(SERIES).any():
        raise AnalysisError("two trials of a whole model in low precision differ")
    names = list(dict.fromkeys([*SERIES, *CHECKPOINT, "bits"]))
    table = whole[[*names, "qid_nats"]].rename(columns={"qid_nats": "whole_nats"})
    table = table.merge(alone.reset_index(), on=SERIES, how="right", validate="1:1")
    if table["whole_nats"].isna().any():
        raise AnalysisError(f"no trial of the whole model beside its parts: {int(table['whole_nats'].isna().sum())}")
    return table.assign(ratio=table["whole_nats"] / table["sum_nats"])


def of_weights_and_inputs(measured: pd.DataFrame) -> pd.DataFrame:
    """Return one row a checkpoint and bit width: QiD of `weights`, `inputs` and `both` (nats per token) and `ratio`.

    `measured` has the columns of `Measurement`: round-to-nearest of one format with and without rounded inputs, and
    `inputs_only`. `share` is the weights' part of the sum. A checkpoint that lacks one of the three is left out; raises
    AnalysisError where one is there twice.
    """
    rows = degradation(measured)
    both = np.where(rows["activation_format"].isna(), "weights", "both")
    rows = rows.assign(kind=np.where(rows["method"] == "inputs_only", "inputs", both))
    key = [*CHECKPOINT, "bits"]
    if rows.duplicated([*key, "kind"]).any():
        raise AnalysisError("a checkpoint is there twice with the same matrices and bits rounded")
    table = rows.pivot(index=key, columns="kind", values="qid_nats").reindex(columns=KINDS).dropna().reset_index()
    total = table["weights"] + table["inputs"]
    return table.assign(ratio=table["both"] / total, share=table["weights"] / total)
