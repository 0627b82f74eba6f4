"""QiD from rows: each quantized row joined with the 16-bit row of the same weights on the same tokens.

QiD (quantization-induced degradation) is the loss of the rounded model minus the loss of the 16-bit model, in nats
a token (Ouyang et al. 2024, arXiv 2411.17691). Both models read the same documents, so its error comes from the
per-document differences: text that is hard for one model is hard for the other, and that cancels.

Tables are pandas DataFrames with the columns of `helpers.table.rows.Measurement`, one row a measurement. The project's
own table and a reader's local one are never concatenated before this step: each brings its own baselines.
"""

import numpy as np
import pandas as pd

from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error

N_PARAMS, TOKENS_SEEN = "n_params_non_embedding", "tokens_seen"
BASELINE_KEY = ["checkpoint_id", "eval_id", "device_type"]
DRAWN_NOISE = ("gaussian_noise", "gaussian_noise_by_input")  # methods; their rows keep no losses by document
SCHEME_OPTIONS = ["format", "grid_search", "order"]


def run_label(rows: pd.DataFrame) -> pd.Series:
    """Return one label per training run: family and run. Rows of a run aren't independent."""
    return rows["family"].astype(str) + "/" + rows["run"].astype(str)


def _name(row: pd.Series) -> str:
    scheme = "16-bit" if row["method"] == "none" else f"{row['method']} {row['bits']:g} bits"
    return f"{row['model']}@{row['step']} {scheme} on {row['device_type']}"


def refuse_rows(rows: pd.DataFrame, complaint: str) -> None:
    """Raise AnalysisError with the names of the first three `rows`, unless there are none."""
    if rows.empty:
        return
    names = "; ".join(_name(row) for _, row in rows.head(3).iterrows())
    more = f"; and {len(rows) - 3} more" if len(rows) > 3 else ""
    raise AnalysisError(f"{complaint}: {names}{more}")


def _document_differences(row: pd.Series) -> np.ndarray:
    quantized, baseline = np.asarray(row["group_loss"], float), np.asarray(row["baseline_group_loss"], float)
    if quantized.shape != baseline.shape:
        raise AnalysisError(
            f"{_name(row)}: {quantized.size} documents, but its baseline has {baseline.size}: not the same text"
        )
    return quantized - baseline


def degradation(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per quantized `ok` row, with its baseline joined and QiD computed.

    Adds `run_label`, `baseline_loss_nats`, `qid_nats`, `qid_se_nats` (paired, clustered by document), `n_documents` and
    `document_qid_nats` (array, one QiD per document); losses in nats per token. QiD is the difference of the two rows'
    mean losses, which is the mean over documents because every document has the same number of tokens. `kl_nats`, the
    second outcome (`outcomes.KL`), stays as measured: rows hold no KL by document, so it has no paired error.
    Failed and non-finite rows and draws of noise (`rows.weight_noise`) aren't in the result. Raises AnalysisError,
    naming rows, where a quantized row has no `ok` baseline for its checkpoint, evaluation and device, where there are
    two, or where documents are missing.
    """
    usable = rows[(rows["status"] == "ok") & ~rows["method"].isin(DRAWN_NOISE)]
    refuse_rows(usable[usable["group_loss"].isna()], "without losses by document")
    baselines = usable[usable["method"] == "none"]
    quantized = usable[usable["method"] != "none"]
    refuse_rows(baselines[baselines.duplicated(BASELINE_KEY)], "more than one 16-bit baseline")
    columns = {"loss_nats": "baseline_loss_nats", "group_loss": "baseline_group_loss"}
    joined = quantized.merge(
        baselines[[*BASELINE_KEY, *columns]].rename(columns=columns), on=BASELINE_KEY, how="left", validate="m:1"
    )
    refuse_rows(
        joined[joined["baseline_loss_nats"].isna()], "without a 16-bit baseline of the same evaluation and device"
    )
    differences = [_document_differences(row) for _, row in joined.iterrows()]
    return joined.drop(columns="baseline_group_loss").assign(
        run_label=run_label(joined),
        qid_nats=joined["loss_nats"] - joined["baseline_loss_nats"],
        qid_se_nats=[paired_error(difference) for difference in differences],
        n_documents=[difference.size for difference in differences],
        document_qid_nats=pd.Series(differences, index=joined.index, dtype=object),
    )
