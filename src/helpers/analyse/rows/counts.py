"""Counts of what was measured, each thing counted once."""

from dataclasses import dataclass

import pandas as pd

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import FITTED_BITS, LATE_TOKENS

QUANTIZED_KEY = ["weights_sha256", "method", "format", "bits", "group_size", "symmetric"]
BASELINE_KEY = ["weights_sha256", "eval_id", "device_type"]
DESCRIBED = ["weights_sha256", "family", "run", "n_averaged", TOKENS_SEEN, N_PARAMS]


@dataclass(frozen=True)
class Counts:
    """Counts of tables of measurements and checkpoints. But for `rows_by_status` only rows that are `ok` count.

    A quantized checkpoint is one that differs in weights, method, format, bits (2 to 4), group size or symmetry; other
    calibration seeds, devices and texts are replicates of it. Weights are those of either table, known by their hash:
    a copy in another family isn't counted, and a mean of several moments of a run is no trained checkpoint.
    """

    rows_by_status: dict[str, int]
    quantized_checkpoints: int
    gptq_beyond_60m_tokens: int  # of those: rounded by GPTQ, seen more than LATE_TOKENS
    rows_without_baseline: int  # quantized, without a 16-bit row of the same weights, evaluation and device
    evaluation_texts: tuple[str, ...]
    trained_checkpoints: int
    averaged_checkpoints: int
    training_runs: int
    sizes: tuple[int, ...]  # non-embedding parameters of trained checkpoints


def count(measurements: pd.DataFrame, checkpoints: pd.DataFrame | None = None) -> Counts:
    """Count what rows of `Measurement` and, if there are any, of `CheckpointRow` hold."""
    usable = measurements[measurements["status"] == "ok"]
    rounded = usable[usable["method"] != "none"]
    quantized = rounded[rounded["bits"].between(min(FITTED_BITS), max(FITTED_BITS))].drop_duplicates(QUANTIZED_KEY)
    late = (quantized["method"] == "gptq") & (quantized[TOKENS_SEEN] > LATE_TOKENS)
    weights = pd.concat([frame[DESCRIBED] for frame in (usable, checkpoints) if frame is not None])
    weights = weights[weights[TOKENS_SEEN] > 0].drop_duplicates("weights_sha256")
    trained = weights[weights["n_averaged"] == 1]
    return Counts(
        rows_by_status={status: int(n) for status, n in measurements["status"].value_counts().sort_index().items()},
        quantized_checkpoints=len(quantized),
        gptq_beyond_60m_tokens=int(late.sum()),
        rows_without_baseline=_without_baseline(rounded, usable[usable["method"] == "none"]),
        evaluation_texts=tuple(sorted(usable["eval_dataset"].unique())),
        trained_checkpoints=len(trained),
        averaged_checkpoints=len(weights) - len(trained),
        training_runs=len(trained[["family", "run"]].drop_duplicates()),
        sizes=tuple(int(n) for n in sorted(trained[N_PARAMS].unique())),
    )


def _without_baseline(rounded: pd.DataFrame, baselines: pd.DataFrame) -> int:
    wanted, there = (pd.MultiIndex.from_frame(frame[BASELINE_KEY]) for frame in (rounded, baselines))
    return int((~wanted.isin(there)).sum())
