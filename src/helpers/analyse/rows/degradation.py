"""QiD from rows: each quantized row joined with the 16-bit row of the same weights on the same tokens.

QiD (quantization-induced degradation) is the loss of the rounded model minus the loss of the 16-bit model, in nats
a token (Ouyang et al. 2024, arXiv 2411.17691). Both models read the same documents, so its error comes from the
per-document differences: text that is hard for one model is hard for the other, and that cancels.

Tables are pandas DataFrames with the columns of `helpers.table.rows.Measurement`, one row a measurement. The project's
own table and a reader's local one are never concatenated before this step: each brings its own baselines.
"""

import numpy as np
import pandas as pd

from helpers.table.rows import QidError

SIZE, TOKENS = "n_params_non_embedding", "tokens_seen"
BASELINE_KEY = ["checkpoint_id", "eval_id", "device_type"]
AGREEMENT_KEY = ["checkpoint_id", "scheme_id", "eval_id"]
SCHEME_OPTIONS = ["format", "grid_search", "order"]
TRUNK = "tadpole-trunk"  # the family the book's main chapters are about
STUDY = {"device_type": "cuda", "n_sequences": 512}  # other sweeps have another device or less text
HELDOUT = "wheels-heldout"
ONE_VALUE_A_FIT = [
    "device_type",
    "eval_id",
    "method_version",
    "calib_dataset",
    "rel_damp",
    "hessian_dtype",
    "propagate",
    *SCHEME_OPTIONS,
]


class AnalysisError(QidError):
    """The table doesn't hold what an analysis needs: a baseline, per-document losses, one scheme at a time."""


def paired_error(differences: np.ndarray) -> float:
    """Return the standard error of the mean of per-document differences, shape (n_documents,), in their own unit.

    The documents are the clusters: tokens inside one document aren't independent, documents are taken to be.
    Raises AnalysisError below two documents, where no error can be estimated.
    """
    if differences.size < 2:
        raise AnalysisError(f"a paired error needs two documents or more; got {differences.size}")
    return float(differences.std(ddof=1) / np.sqrt(differences.size))


def run_label(rows: pd.DataFrame) -> pd.Series:
    """Return one label a training run: family and run. Rows of a run aren't independent."""
    return rows["family"].astype(str) + "/" + rows["run"].astype(str)


def _name(row: pd.Series) -> str:
    scheme = "16-bit" if row["method"] == "none" else f"{row['method']} {row['bits']:g} bits"
    return f"{row['model']}@{row['step']} {scheme} on {row['device_type']}"


def _refuse(rows: pd.DataFrame, complaint: str) -> None:
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

    Adds `run`, `baseline_loss_nats`, `qid_nats`, `qid_se_nats` (paired, clustered by document), `n_documents` and
    `document_qid_nats` (array, one QiD a document); losses in nats a token. QiD is the difference of the two rows'
    mean losses, which is the mean over documents because every document has the same number of tokens.
    Failed and non-finite rows aren't in the result. Raises AnalysisError, naming rows, where a quantized row has no
    `ok` baseline for its checkpoint, evaluation and device, where there are two, or where documents are missing.
    """
    usable = rows[rows["status"] == "ok"]
    _refuse(usable[usable["group_loss"].isna()], "without losses by document")
    baselines = usable[usable["method"] == "none"]
    quantized = usable[usable["method"] != "none"]
    _refuse(baselines[baselines.duplicated(BASELINE_KEY)], "more than one 16-bit baseline")
    columns = {"loss_nats": "baseline_loss_nats", "group_loss": "baseline_group_loss"}
    joined = quantized.merge(
        baselines[[*BASELINE_KEY, *columns]].rename(columns=columns), on=BASELINE_KEY, how="left", validate="m:1"
    )
    _refuse(joined[joined["baseline_loss_nats"].isna()], "without a 16-bit baseline of the same evaluation and device")
    differences = [_document_differences(row) for _, row in joined.iterrows()]
    return joined.drop(columns="baseline_group_loss").assign(
        run=run_label(joined),
        qid_nats=joined["loss_nats"] - joined["baseline_loss_nats"],
        qid_se_nats=[paired_error(difference) for difference in differences],
        n_documents=[difference.size for difference in differences],
        document_qid_nats=pd.Series(differences, index=joined.index, dtype=object),
    )


def device_agreement(qid_cpu: pd.DataFrame, qid_cuda: pd.DataFrame) -> pd.DataFrame:
    """Return how far the devices agree: two results of `degradation` joined on checkpoint, scheme and evaluation.

    The columns are covariates of the first table, `qid_nats_cpu`, `qid_se_nats_cpu`, `qid_nats_cuda`,
    `qid_se_nats_cuda`, `difference_nats` (CPU minus CUDA), `difference_se_nats` (paired by document, so it is the
    error of the difference itself) and `difference_in_qid_se`: the difference as a multiple of one QiD's paired error
    (root mean square of the two), that is, whether it matters. Raises AnalysisError where nothing matches,
    or where one table holds a measurement twice.
    """
    measured = ["qid_nats", "qid_se_nats", "document_qid_nats"]
    covariates = ["run", "family", "model", "step", TOKENS, SIZE, "method", "bits"]
    for table in (qid_cpu, qid_cuda):
        _refuse(table[table.duplicated(AGREEMENT_KEY)], "measured more than once")
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


def rows_of_every_run(rows: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return the study's measurements on one evaluation text with the first draw of calibration text.

    They are of all families and runs: cooldowns, cosines, averages, other learning rates, depths, weight decays, seeds.
    """
    of_study = (rows[list(STUDY)] == pd.Series(STUDY)).all(axis=1)
    return rows[of_study & (rows["eval_dataset"] == text) & (rows["calib_seed"].fillna(0) == 0)]


def study_rows(rows: pd.DataFrame, text: str = HELDOUT) -> pd.DataFrame:
    """Return of those the trunk's: one run a size, all on the same batches at the same constant learning rate.

    Branches and averages of a run aren't among them.
    """
    every = rows_of_every_run(rows, text)
    return every[(every["family"] == TRUNK) & (every["run"] == every["model"])]


def rows_of_fit(
    table: pd.DataFrame, method: str, group_size: int | None, symmetric: bool, tokens_above: float = 0.0
) -> pd.DataFrame:
    """Return the rows of one scheme family: one method, group size (None: per row) and symmetry, all bit widths.

    `table` comes from `degradation`; only checkpoints with more than `tokens_above` training tokens are kept.
    Raises AnalysisError where nothing is left, or where a column of `ONE_VALUE_A_FIT` has several values: a checkpoint
    counted twice would look like more evidence than it is. Calibration seeds may differ: they are replicates.
    """
    same_group = table["group_size"].isna() if group_size is None else table["group_size"] == group_size
    family = (table["method"] == method) & same_group & (table["symmetric"] == symmetric)
    chosen = table[family & (table[TOKENS] > tokens_above)]
    if chosen.empty:
        raise AnalysisError(f"no {method} row with group size {group_size}, symmetric {symmetric}, is left to fit")
    for column in ONE_VALUE_A_FIT:
        if chosen[column].nunique() > 1:
            values = ", ".join(str(value) for value in chosen[column].unique())
            raise AnalysisError(f"rows of one fit mix several values of {column}: {values}")
    return chosen.reset_index(drop=True)
