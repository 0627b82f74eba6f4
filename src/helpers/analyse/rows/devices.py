"""The same measurements on a CPU and on a GPU, side by side."""

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, refuse_rows
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error

AGREEMENT_KEY = ["checkpoint_id", "scheme_id", "eval_id"]


def device_agreement(qid_cpu: pd.DataFrame, qid_cuda: pd.DataFrame) -> pd.DataFrame:
    """Return how far the devices agree: two results of `degradation` joined on checkpoint, scheme and evaluation.

    The columns are covariates of the first table, `qid_nats_cpu`, `qid_se_nats_cpu`, `qid_nats_cuda`,
    `qid_se_nats_cuda`, `difference_nats` (CPU minus CUDA), `difference_se_nats` (paired by document, so it is the
    error of the difference itself) and `difference_in_qid_se`: the difference as a multiple of one QiD's paired error
    (root mean square of the two), that is, whether it matters. Raises AnalysisError where nothing matches,
    or where one table holds a measurement twice.
    """
    measured = ["qid_nats", "qid_se_nats", "document_qid_nats"]
    covariates = ["run_label", "run", "family", "model", "step", TOKENS_SEEN, N_PARAMS, "method", "bits"]
    for table in (qid_cpu, qid_cuda):
        refuse_rows(table[table.duplicated(AGREEMENT_KEY)], "measured more than once")
    joined = qid_cpu[[*AGREEMENT_KEY, *covariates, *measured]].merge(
        qid_cuda[[*AGREEMENT_KEY, *measured]], on=AGREEMENT_KEY, suffixes=("_cpu", "_cuda"), validate="1:1"
    )
    if joined.empty:
        raise AnalysisError("no checkpoint was measured with the same scheme and evaluation on both devices")
    pairs = zip(joined["document_qid_nats_cpu"], joined["document_qid_nats_cuda"], strict=True)
    difference = joined["qid_nats_cpu"] - joined["qid_nats_cuda"]
    error = np.sqrt((joined["qid_se_nats_cpu"] ** 2 + joined["qid_se_nats_cuda"] ** 2) / 2)
    return joined.drop(columns=["document_qid_nats_cpu", "document_qid_nats_cuda"]).assign(
        difference_nats=difference,
        difference_se_nats=[paired_error(cpu - cuda) for cpu, cuda in pairs],
        difference_in_qid_se=difference / error,
    )


def agreement_in_seeds(agreement: pd.DataFrame, spread: pd.DataFrame) -> pd.DataFrame:
    """Return `device_agreement` with the difference seen against `calibration_spread`.

    Adds `relative_difference` (over the CUDA value), `difference_in_own_se` (over the difference's paired error) and
    `difference_in_seeds`: over what two calibration seeds differ by, sqrt(2) standard deviations; NaN where the
    method or bit width has no spread.
    """
    relative = agreement["difference_nats"] / agreement["qid_nats_cuda"].abs()
    calibrated = agreement["method"] == "gptq"
    yardstick = agreement["bits"].map(spread["relative_sd"]).where(calibrated) * np.sqrt(2)
    return agreement.assign(
        relative_difference=relative,
        difference_in_own_se=agreement["difference_nats"] / agreement["difference_se_nats"],
        difference_in_seeds=relative / yardstick,
    )
