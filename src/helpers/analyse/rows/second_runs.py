"""Second runs: the trunk's sizes trained again with the same seed and batches, joined with the trunk's evaluation.

Only the GPU's non-determinism separates a second run (family `MIXED`) from the trunk's. It was measured on 256 blocks
of the held-out text where the trunk was on 512: the same 128 documents, of each the first two blocks of 512 tokens
instead of the first four (block i comes from document i mod 128, so the shorter evaluation is a part of the longer).
Its outcome is brought to 512 blocks by a factor a bit width that only the *other* sizes give: the geometric mean of the
first run's outcome over the second's. Its scatter over runs is an error that is added to each row.
"""

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import N_PARAMS, degradation
from helpers.analyse.rows.outcomes import KL, QID, Outcome
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import (
    GROUP_SIZE,
    HELDOUT,
    LATE_TOKENS,
    MIXED,
    MOST_EPOCHS,
    STUDY,
    TRUNK,
    agreeing,
    unbranched,
)
from helpers.table.errors import AnalysisError

SECOND = {"device_type": "cuda", "n_sequences": 256}
MOMENT = ["model", "step", "bits"]


def whole_rows(measured: pd.DataFrame, first: bool) -> pd.DataFrame:
    """Return `degradation` of the trunk's rows (`first`) or of the second runs', every matrix rounded.

    They are of GPTQ in asymmetric groups of 32, of the first draw of calibration text, cooldowns included.
    """
    family, values = (TRUNK, STUDY) if first else (MIXED, SECOND)
    one_text = agreeing(measured, values) & (measured["eval_dataset"] == HELDOUT)
    whole = measured["assignment_sha256"].isna() & (measured["calib_seed"].fillna(0) == 0)
    plain = measured["method"].isin(["gptq", "none"]) & measured["outlier_share"].isna()
    rows = measured[one_text & whole & plain & (measured["family"] == family)]
    return rows_of_fit(degradation(rows), "gptq", GROUP_SIZE, symmetric=False)


def both_runs(measured: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return the own checkpoints that both runs of a size have, one row a model, step and bit width.

    Columns: `model`, `step`, `bits`, size, tokens, `first_nats`, `second_nats` (each on its own evaluation) and
    `log_ratio`, ln of the first over the second (NaN where one isn't positive). Raises AnalysisError without any.
    """
    first, second = (rows[unbranched(rows)] for rows in (whole_rows(measured, True), whole_rows(measured, False)))
    kept = [*MOMENT, N_PARAMS, "tokens_seen", outcome.column]
    both = first[kept].merge(second[[*MOMENT, outcome.column]], on=MOMENT, suffixes=("", "_2"), validate="1:1")
    if both.empty:
        raise AnalysisError("no checkpoint was measured in two runs of one size")
    both = both.rename(columns={outcome.column: "first_nats", f"{outcome.column}_2": "second_nats"})
    positive = (both["first_nats"] > 0) & (both["second_nats"] > 0)
    ratio = both["first_nats"].where(positive) / both["second_nats"].where(positive)
    return both.assign(log_ratio=np.log(ratio))


def text_factors(both: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return, by bits, the factor from 256 blocks to 512 that the sizes other than `model` give, of `both_runs`.

    Columns: `factor` (geometric mean over sizes of each size's mean), `relative_error` (of that mean, from the scatter
    between sizes) and `n_sizes`. Raises AnalysisError below two other sizes.
    """
    others = both[both["model"] != model].dropna(subset="log_ratio")
    means = others.groupby(["bits", "model"])["log_ratio"].mean()
    by_bits = means.groupby("bits").agg(["mean", "std", "size"])
    if by_bits.empty or (by_bits["size"] < 2).any():
        raise AnalysisError(f"the factor of {model} needs two other sizes that were trained twice")
    error = by_bits["std"] / np.sqrt(by_bits["size"])
    return pd.DataFrame(
        {"factor": np.exp(by_bits["mean"]), "relative_error": error, "n_sizes": by_bits["size"].astype(int)}
    )


def second_rows(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the second runs and their cooldowns, QiD and KL as they would be on the trunk's 512 blocks.

    Those of `degradation` with `qid_nats`, `qid_se_nats`, `document_qid_nats` and `kl_nats` times the factor of the
    other sizes, `qid_factor`, `kl_factor`, and the factors' own errors in quadrature in `qid_se_nats` and as
    `kl_se_nats` (of KL that is all that is known). Bit widths at which the other sizes give no factor are left out.
    """
    rows = whole_rows(measured, first=False)
    for outcome in (QID, KL):
        both = both_runs(measured, outcome)
        factors = pd.concat({model: text_factors(both, model) for model in rows["model"].unique()}, names=["model"])
        found = rows[["model", "bits"]].join(factors, on=["model", "bits"])
        columns = {"factor": f"{outcome.name}_factor", "relative_error": f"{outcome.name}_factor_error"}
        rows = rows.assign(**{name: found[column] for column, name in columns.items()})
        rows = rows[rows[f"{outcome.name}_factor"].notna()]
    qid, kl = rows["qid_nats"] * rows["qid_factor"], rows["kl_nats"] * rows["kl_factor"]
    documents = [one * by for one, by in zip(rows["document_qid_nats"], rows["qid_factor"], strict=True)]
    return rows.assign(
        qid_nats=qid,
        qid_se_nats=np.hypot(rows["qid_se_nats"] * rows["qid_factor"], qid * rows["qid_factor_error"]),
        document_qid_nats=pd.Series(documents, index=rows.index, dtype=object),
        kl_nats=kl,
        kl_se_nats=kl * rows["kl_factor_error"],
    ).reset_index(drop=True)


def trunk_again(measured: pd.DataFrame) -> pd.DataFrame:
    """Return those of `second_rows` that are as the trunk's fitted rows are: late, few epochs, no cooldown."""
    rows = second_rows(measured)
    return rows[unbranched(rows) & (rows["tokens_seen"] > LATE_TOKENS) & (rows["epochs"] <= MOST_EPOCHS)]


def one_run_scatter(both: pd.DataFrame) -> pd.DataFrame:
    """Return, by bits, how far one run's outcome scatters: the standard deviation of `log_ratio` over sqrt(2).

    The mean of `log_ratio`, which the two evaluations make, is taken out. Columns: `relative_sd`, `n_rows`, `n_sizes`.
    Rows of one size share its luck: the number of sizes says how surely the scatter is known.
    """
    by_bits = both.dropna(subset="log_ratio").groupby("bits")
    return pd.DataFrame(
        {
            "relative_sd": by_bits["log_ratio"].std(ddof=1) / np.sqrt(2),
            "n_rows": by_bits.size(),
            "n_sizes": by_bits["model"].nunique(),
        }
    )
