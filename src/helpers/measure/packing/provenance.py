"""The provenance of a packed checkpoint: a JSON file beside it that says by hashes and versions what it was made of."""

import hashlib
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from helpers.measure.rounding.rounded import Rounded
from helpers.table.paired_error import paired_error
from helpers.table.records import key_of
from helpers.table.scheme import QuantScheme

NAME = "provenance.json"
PACKAGES = ("qid-book", "torch", "transformers", "safetensors", "tokenizers")
HERE = Path(__file__)


def made_of(weights_sha256: str, scheme: QuantScheme, rounded: Rounded, packed: Path) -> dict[str, Any]:
    """Return what the packed file was made of: the 16-bit weights, the scheme, the text, this program."""
    return {
        "weights_sha256": weights_sha256,
        "packed_sha256": sha256_of(packed),
        "scheme": key_of(scheme),
        "scheme_id": scheme.scheme_id,
        "calib_sha256": scheme.calib_sha256,
        "effective_bits": rounded.diagnostics.effective_bits,
        "git_commit": commit(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def measured(weights_sha256: str, scheme_id: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return QiD of a checkpoint under a scheme for every evaluation in `rows`: nats per token, with paired error."""
    mine = [row for row in rows if row["weights_sha256"] == weights_sha256 and row["status"] == "ok"]
    baselines = {(r["eval_id"], r["device_type"]): r for r in mine if r["method"] == "none"}
    measurements = []
    for row in mine:
        baseline = baselines.get((row["eval_id"], row["device_type"]))
        if row["scheme_id"] != scheme_id or baseline is None:
            continue
        measurements.append(
            {
                "measurement_id": row["measurement_id"],
                "baseline_id": baseline["measurement_id"],
                "qid_nats": row["loss_nats"] - baseline["loss_nats"],
                "paired_error_nats": paired_error(np.subtract(row["group_loss"], baseline["group_loss"])),
                "loss_nats": row["loss_nats"],
                "n_tokens": row["n_tokens"],
                "eval_dataset": row["eval_dataset"],
                "eval_sha256": row["eval_sha256"],
                "device_type": row["device_type"],
            }
        )
    return measurements


def commit() -> str | None:
    """Return the commit of the checkout that this program runs from, `-dirty` where it is changed; None outside one."""
    tracked = ["git", "-C", str(HERE.parent), "ls-files", "--error-unmatch", HERE.name]
    described = ["git", "-C", str(HERE.parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        subprocess.run(tracked, capture_output=True, check=True)
        return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
