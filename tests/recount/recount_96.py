"""The page on this machine counted again: its rows, two protocols of one checkpoint."""

import json
import math

import numpy as np
from tests.recount.recount import ROOT, distinct, label, measurements, where
from tests.recount.recount_04 import EARLY, D, in_errors, interval, late, local, moves, of_trunk, rounded, walks

EXCEPTED = {"sweep_minutes": "timed by the reader's machine", "same": "the page's own limit"}
TOLERANCES = {}


def numbers() -> dict:
    parts = [sweep(), mine(), protocols(), first_block(), fitted(), programs()]
    return {key: value for part in parts for key, value in part.items()}


def sweep() -> dict:
    baselines, codes = local("none"), [*local("gptq"), *local("rtn")]
    manifest = json.loads((ROOT / "data/tadpole/manifest.json").read_text())["checkpoints"]
    assert distinct(baselines, "weights_sha256") == distinct(manifest, "weights_sha256")
    return {
        "sweep_checkpoints": len(distinct(codes, "weights_sha256")),
        "sweep_models": len(distinct(codes, "model")),
        "early_tokens": label(EARLY),
    }


def mine() -> dict:
    rows = local("gptq")
    series = walks(where(rows, branched_from=None), D, "run", "bits")
    return {
        "mine_series": len(series),
        "mine_rising": sum(in_errors(one) > 2 for one in series),
        "mine_steps": len(moves(series)),
        "mine_up": moves(series).count(1),
        "mine_low": label(min(row[D] for row in rows)),
        "mine_high": label(max(row[D] for row in rows)),
    }


def protocols() -> dict:
    """Return QiD of one checkpoint at 3 bits: one block of each document on a CPU, and four blocks on a GPU."""
    model, (*_, end) = "tadpole-128x3", sorted(distinct(of_trunk(), "step"))
    text = where(measurements(), run=model, step=end, eval_dataset="wheels-heldout")
    found = {"protocol_model": model}
    for name, device, sequences in (("pocket", "cpu", 128), ("study", "cuda", 512)):
        rows = rounded(where(text, device_type=device, n_sequences=sequences), widths={3})
        (first,) = where(rows, calib_seed=0)
        found[f"protocol_{name}"] = first["qid"]
        found[f"protocol_{name}_mean"] = math.fsum(row["qid"] for row in rows) / len(rows)
        found[f"protocol_{name}_calibration"] = first["calib_sequences"]
        found[f"protocol_{name}_blocks"] = sequences // len(first["group_loss"])
        found |= {"protocol_draws": len(distinct(rows, "calib_seed")), "protocol_documents": len(first["group_loss"])}
    for end in ("", "_mean"):
        found[f"protocol_ratio{end}"] = found[f"protocol_pocket{end}"] / found[f"protocol_study{end}"]
    return found


def first_block() -> dict:
    """Return QiD of RTN on the first block of each document over that on four, with intervals over runs."""
    rows = late(where(measurements(), device_type="cuda", eval_dataset="wheels-heldout", assignment_sha256=None))
    little, much = (rounded(where(rows, n_sequences=blocks), "rtn") for blocks in (128, 512))
    four = {(row["weights_sha256"], row["bits"]): row["qid"] for row in much}
    logs: dict = {}
    for row in little:
        if (row["weights_sha256"], row["bits"]) in four:
            ratio = row["qid"] / four[row["weights_sha256"], row["bits"]]
            logs.setdefault(row["bits"], {}).setdefault((row["family"], row["run"]), []).append(math.log(ratio))
    found = {}
    for width, runs in logs.items():
        ends = interval([np.mean(values) for values in runs.values()], "all", math.exp)
        names = {"all_mean": "ratio", "all_low": "low", "all_high": "high"}
        found |= {f"protocol_{name}_{width:g}": ends[key] for key, name in names.items()}
        found["protocol_runs"] = len(runs)
    return found


def fitted() -> dict:
    rows = [row for row in late(local("gptq")) if row["run"] == row["model"]]
    return {"machine_rows": len(rows), "machine_models": len(distinct(rows, "model"))}


def programs() -> dict:
    """Return how far auto-gptq and our GPTQ lie apart on the last checkpoint of the widest pocket model."""
    rows = where(measurements("local"), run="tadpole-128x3", device_type="cpu", bits={2, 3, 4}, calib_seed={0, None})
    rows = where(rows, step=max(row["step"] for row in rows))
    schemes = [(group, width) for group in (32, 128) for width in (2, 3, 4)]
    apart, relative = [], []
    for group, width in schemes:
        alike = {"group_size": group, "bits": width, "symmetric": False}
        (ours,), (theirs,) = (where(rows, method=method, **alike) for method in ("gptq", "autogptq"))
        apart.append(theirs["group_loss"] - ours["group_loss"])
        relative.append(abs(float(np.mean(apart[-1]))) / ours["qid"])
    return {
        "n_pairs": len(schemes),
        "relative_highest": max(relative),
        "n_beyond": sum(abs(np.mean(one)) > 2 * np.std(one, ddof=1) / math.sqrt(len(one)) for one in apart),
        "n_same": sum(abs(np.mean(one)) < 1e-6 for one in apart),
    }
