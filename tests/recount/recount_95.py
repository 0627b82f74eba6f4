"""The page on files and curvature counted again: traces, hashes of the pocket family, what the lock of the corpus names."""

import hashlib
import json
import math

import numpy as np
from scipy import stats
from tests.recount.recount import ROOT, distinct, label, table, trunk, where
from tests.recount.recount_03 import D, N, by_size, cooldowns, decay, parameters, published, trained
from tests.recount.recount_12 import live, yardstick

EXCEPTED = {"comparison": "measured by the reader's machine", "live_apart": "to a model that the page runs"}
TOLERANCES = {"loss_here": 1e-4}  # the reader's processor against a GPU in TF32: the chapter allows 1e-4 nats


def numbers() -> dict:
    return curvature() | pocket() | lock() | decay() | published() | parameters() | live() | yardstick()


def curvature() -> dict:
    of_trunk = {(row["model"], row["step"]): row for row in by_size(trunk(trained()))}
    largest = max(of_trunk.values(), key=lambda row: row[N])["model"]
    late_ones = [row for (model, _), row in of_trunk.items() if model == largest and row[D] > 60e6]
    early, late = late_ones[0], late_ones[-1]
    fall = late["hessian_trace"] / early["hessian_trace"]
    error = math.hypot(*(row["hessian_trace_se"] / row["hessian_trace"] for row in (early, late)))
    width = math.exp(stats.t.ppf(0.975, late["hessian_probes"] - 1) * error)
    ends = where(trained(), family="tadpole-trunk", schedule="cooldown", learning_rate=0)
    sharper = [row["hessian_trace"] / of_trunk[row["model"], row["step"]]["hessian_trace"] for row in ends]
    return {
        "n_probes": late["hessian_probes"],
        "trace_early": label(early[D]),
        "trace_fall": fall,
        "trace_low": fall / width,
        "trace_high": fall * width,
        "rms_growth": np.median(late["weight_rms"]) / np.median(early["weight_rms"]),
        "rtn_error": np.median(late["rtn_error_3_bits"]),
        "n_sharper": sum(ratio > 1 for ratio in sharper),
        "sharper_lowest": min(sharper),
        "sharper_highest": max(sharper),
    }


def pocket() -> dict:
    folder = ROOT / "data/tadpole"
    manifest = json.loads((folder / "manifest.json").read_text())["checkpoints"]
    contents = [(folder / spec["location"] / "model.safetensors").read_bytes() for spec in manifest]
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    (twin,) = [spec for spec in manifest if spec["branched_from"]]
    ((_, gain, half),) = [found for found in cooldowns() if found[0]["weights_sha256"] == twin["weights_sha256"]]
    widest = max(manifest, key=lambda spec: (spec["d_model"], spec["step"]))
    stored = where(table("measurements"), weights_sha256=widest["weights_sha256"], method="none", n_sequences=128)
    (stored,) = where(stored, device_type="cuda", eval_dataset="wheels-heldout")
    return {
        "n_pocket": len(manifest),
        "n_right": sum(spec["weights_sha256"] == sha256 for spec, sha256 in zip(manifest, hashes, strict=True)),
        "pocket_models": len(distinct(manifest, "model")),
        "pocket_steps": len(distinct(manifest, "step")),
        "twin_model": twin["model"],
        "twin_step": twin["step"],
        "twin_gain": gain,
        "twin_low": gain - half,
        "twin_high": gain + half,
        "pocket_megabytes": sum(map(len, contents)) / 1e6,
        "loss_here": stored["loss_nats"],
        "checked_model": widest["model"],
        "checked_step": widest["step"],
    }


def lock() -> dict:
    read = json.loads((ROOT / "data/corpus.lock").read_text())
    evaluation, calibration = (distinct(read[split], "package", "path") for split in ("evaluation", "calibration"))
    return {
        "n_evaluation": len(evaluation),
        "n_calibration": len(calibration),
        "n_packages": len(distinct(read["evaluation"], "package")),
        "n_both": len(evaluation & calibration),
        "n_wheels": len(distinct(read["wheels"], "sha256")),
        "n_training_documents": read["n_training_documents"],
        "training_megabytes": read["n_training_bytes"] / 1e6,
    }
