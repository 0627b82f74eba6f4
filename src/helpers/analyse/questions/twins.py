"""Ratios of QiD: one scheme to another, and runs to their twins."""

import numpy as np
import pandas as pd
from scipy import stats

from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.selection import PAIR_KEY
from helpers.table.errors import AnalysisError
from helpers.table.paired_error import paired_error

TWIN_KEY = ["twin", TOKENS_SEEN, "eval_id", "device_type", "bits"]


def qid_ratio(numerator: pd.DataFrame, denominator: pd.DataFrame, outcome: Outcome = QID) -> pd.DataFrame:
    """Return `numerator` where `denominator` has the same checkpoint, evaluation, device and bits, with their ratio.

    Adds `ratio` (QiD over QiD, or of KL likewise) and `ratio_se`, paired by document: the error of the mean of
    a - ratio b, over the mean of b (the delta method for a ratio of means); NaN of an outcome that isn't kept by
    document. Raises AnalysisError where nothing matches.
    """
    other = denominator[[*PAIR_KEY, outcome.column, "document_qid_nats"]]
    joined = numerator.merge(other, on=PAIR_KEY, suffixes=("", "_other"), validate="1:1")
    if joined.empty:
        raise AnalysisError("no checkpoint was measured with both schemes on the same text and device")
    ratio = joined[outcome.column] / joined[f"{outcome.column}_other"]
    triples = zip(joined["document_qid_nats"], joined["document_qid_nats_other"], ratio, strict=True)
    errors = np.array([paired_error(top - one * below) for top, below, one in triples])
    relative = errors / joined[f"{outcome.column}_other"].abs() if outcome.paired else float("nan")
    dropped = [f"{outcome.column}_other", "document_qid_nats_other"]
    return joined.drop(columns=dropped).assign(ratio=ratio, ratio_se=relative)


def differences_of_runs(runs: pd.DataFrame, trunk: pd.DataFrame) -> pd.Series:
    """Return the one thing that sets each row's run apart from the `trunk`, in words.

    `runs` has the column `twin`: the trunk's model it is to be compared with. Raises AnalysisError where a run differs
    in nothing or in several things: a comparison with the trunk wouldn't tell what it is about.
    """
    usual = trunk.iloc[0]

    def difference(row: pd.Series) -> str:
        shape, twin = (name.rsplit("-", 1)[-1] for name in (row["model"], row["twin"]))
        times = row["peak_learning_rate"] / usual["peak_learning_rate"]
        candidates = {
            f"average of {row['n_averaged']} moments": row["n_averaged"] > 1,
            f"{row['schedule']}, at its end": row["schedule"] != usual["schedule"],
            f"{times:g} × the peak rate": times != 1,
            f"weight decay {row['weight_decay']:g}": row["weight_decay"] != usual["weight_decay"],
            "another training seed": row["train_seed"] != usual["train_seed"],
            f"{shape} for {twin}": shape != twin,
        }
        differences = [name for name, holds in candidates.items() if holds]
        if len(differences) != 1:
            raise AnalysisError(
                f"{row['run_label']}@{row['step']} differs from the trunk in {len(differences)} things, not in one"
            )
        return differences[0]

    return runs.apply(difference, axis=1)


def _by_document(rows: pd.DataFrame, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Return QiD relative to its mean and the 16-bit loss in nats per token, both (rows, documents)."""
    qid = np.stack(rows[f"document_qid_nats{suffix}"].to_numpy())
    rounded = np.stack(rows[f"group_loss{suffix}"].to_numpy())
    return qid / rows[f"qid_nats{suffix}"].to_numpy()[:, None], rounded - qid


def ratios_to_twins(runs: pd.DataFrame, trunk: pd.DataFrame, by: list[str], level: float = 0.95) -> pd.DataFrame:
    """Return, by the columns `by`, QiD over that of the trunk's twin: the geometric mean over checkpoints.

    Twins agree in `TWIN_KEY`: both tables have the column `twin`; rows without one are left out. Columns: those of
    `by`, `n_runs`, `n_checkpoints`, `ratio` with `low` and `high` (paired by document: another training run isn't in
    it), `run_lowest` and `run_highest` (the ratio in single runs), and `loss_change_nats` with `loss_change_se_nats`
    (16-bit loss minus that of the twin, mean over checkpoints). The error of ln ratio is that of the mean of
    a / mean(a) - b / mean(b) over documents (delta method). Raises AnalysisError where nothing has a twin or
    something has two, or where a QiD isn't positive.
    """
    if trunk.duplicated(TWIN_KEY).any():
        raise AnalysisError("the trunk has two rows for one twin: several schemes, or several runs")
    columns = ["qid_nats", "document_qid_nats", "baseline_loss_nats", "group_loss"]
    both = runs.merge(trunk[[*TWIN_KEY, *columns]], on=TWIN_KEY, suffixes=("", "_twin"), validate="m:1")
    if both.empty:
        raise AnalysisError("no checkpoint has a twin on the trunk with the same tokens, text, device and bits")
    if (both[["qid_nats", "qid_nats_twin"]] <= 0).any(axis=None):
        raise AnalysisError("a ratio of QiDs that aren't all positive means nothing")
    quantile = stats.norm.ppf((1 + level) / 2)
    rows = []
    for key, pairs in both.groupby(by):
        logs = np.log(pairs["qid_nats"] / pairs["qid_nats_twin"])
        by_run = np.exp(logs.groupby(pairs["run_label"]).mean())
        (ours, our_loss), (theirs, their_loss) = _by_document(pairs, ""), _by_document(pairs, "_twin")
        error = paired_error((ours - theirs).mean(axis=0))
        rows.append(
            dict(zip(by, key, strict=True))
            | {"n_runs": len(by_run), "n_checkpoints": pairs["checkpoint_id"].nunique(), "ratio": np.exp(logs.mean())}
            | {"low": np.exp(logs.mean() - quantile * error), "high": np.exp(logs.mean() + quantile * error)}
            | {"run_lowest": by_run.min(), "run_highest": by_run.max()}
            | {"loss_change_nats": (pairs["baseline_loss_nats"] - pairs["baseline_loss_nats_twin"]).mean()}
            | {"loss_change_se_nats": paired_error((our_loss - their_loss).mean(axis=0))}
        )
    return pd.DataFrame(rows)
