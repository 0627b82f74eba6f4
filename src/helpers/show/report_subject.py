"""The subject of a report: which model, measured how, with what, as pairs of a name and a value."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.table.ranges import amount_words


@dataclass(frozen=True)
class Subject:
    """The model that a report is on: its name, its facts in order, and sentences that stand below the table."""

    name: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def subject_of(rows: pd.DataFrame, notes: list[str]) -> Subject:
    """Return the subject of rows of `Measurement` of one model. What isn't known is left out."""
    first = rows.iloc[0]
    calibrated = rows.dropna(subset=["calib_dataset"])
    facts = {
        "Weights": f"SHA-256 {first['weights_sha256']}",
        "Read from": _source(first),
        "Parameters": f"{first['n_params_total']:,.0f}, of them {first['n_params_non_embedding']:,.0f} outside of"
        " embedding and head (N)",
        "Training tokens (D)": None if pd.isna(first["tokens_seen"]) else amount_words(first["tokens_seen"]),
        "Scored on": "; ".join(_texts(rows)),
        "Calibrated on": None if calibrated.empty else "; ".join(_calibrations(calibrated)),
        "Measured": f"{rows['measured_at'].min()} to {rows['measured_at'].max()} on {first['device_name']}",
        "With": f"Python {first['python']}, PyTorch {first['torch']}, transformers {first['transformers']}",
    }
    known = tuple((name, str(value)) for name, value in facts.items() if value is not None)
    return Subject(str(first["model"]), known, tuple(notes))


def _source(row: pd.Series) -> str:
    """Return where weights were read from, of a folder only its name: a card is published."""
    return Path(row["repo_id"]).name if pd.isna(row["revision"]) else f"{row['repo_id']} at {row['commit']}"


def _texts(rows: pd.DataFrame) -> list[str]:
    every = rows.drop_duplicates("eval_id")
    return [
        f"{row['eval_dataset']} ({row['n_sequences']:.0f} x {row['seq_len']:.0f} tokens, hash {row['eval_sha256']})"
        for _, row in every.iterrows()
    ]


def _calibrations(rows: pd.DataFrame) -> list[str]:
    every = rows.drop_duplicates("calib_sha256")
    return [
        f"{row['calib_dataset']} ({row['calib_sequences']:.0f} x {row['calib_seq_len']:.0f} tokens,"
        f" draw {row['calib_seed']:.0f}, hash {row['calib_sha256']})"
        for _, row in every.iterrows()
    ]
