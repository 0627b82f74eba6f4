"""What appendix D says of the files that come with the book: the pocket family, its twin, the splits of the text.

Losses are in nats per token, intervals are 95%, over documents. A ValueError says which sentence doesn't hold.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.analyse.rows.study import on_trunk, rows_of_every_run
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.show.numbers.trust.checkpoints import half_interval
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.records import given

Place = tuple[str, str]  # a package and a path in it
SAME_LOSS = 1e-4  # nats per token between machines, for one checkpoint on one text
OTHER_TEXT = "has none on this text, because the packages installed here are not the locked ones"


def of_files(pocket: Sequence[CheckpointSpec], hashes: Sequence[str], n_bytes: int, trained: pd.DataFrame) -> Numbers:
    """Return how many files there are and how many have the hash that manifest and `trained` give."""
    right = [spec.weights_sha256 == sha256 for spec, sha256 in zip(pocket, hashes, strict=True)]
    models = {spec.model for spec in pocket}
    claim(all(right), "every file is what the manifest says")
    claim(set(hashes) <= set(trained["weights_sha256"]), "the files are the study's")
    claim(len({(spec.n_layers, spec.vocabulary_size) for spec in pocket}) == 1, "one depth, one tokenizer")
    claim(len({spec.d_model for spec in pocket}) == len(models), "models are widths")
    return {
        "n_pocket": len(pocket),
        "n_right": sum(right),
        "pocket_models": len(models),
        "pocket_steps": len({spec.step for spec in pocket}),
        "pocket_megabytes": n_bytes / 1e6,
    }


def of_twin(pocket: Sequence[CheckpointSpec], measured: pd.DataFrame) -> Numbers:
    """Return by how much the loss of the one decayed checkpoint is lower than the trunk's at the same tokens."""
    (twin,) = [spec for spec in pocket if spec.branched_from is not None]
    beside = {(spec.model, spec.step) for spec in pocket if spec is not twin}
    claim((twin.model, twin.step) in beside, "the twin stands beside a checkpoint of the trunk")
    baselines = rows_of_every_run(measured).query("method == 'none' and n_averaged == 1")
    decayed = baselines[baselines["weights_sha256"] == twin.weights_sha256].iloc[0]
    at_step = (baselines["model"] == twin.model) & (baselines["step"] == twin.step)
    constant = baselines[on_trunk(baselines) & at_step].iloc[0]
    by_document = np.subtract(constant["group_loss"], decayed["group_loss"], dtype=float)
    gain = float(by_document.mean())
    half = half_interval(by_document)
    claim(gain > half, "the twin's loss is lower")
    claim(decayed["learning_rate"] == 0, "the twin's rate fell to zero")
    return {
        "twin_model": twin.model,
        "twin_step": given(twin.step),
        "twin_gain": gain,
        "twin_low": gain - half,
        "twin_high": gain + half,
    }


def of_splits(evaluation: set[Place], calibration: set[Place], contents: tuple[set[str], set[str]]) -> Numbers:
    """Return how many files each split of the text has; `contents` are their hashes, split by split."""
    claim(not evaluation & calibration, "no file is in both splits")
    claim(not contents[0] & contents[1], "no content is in both splits")
    return {
        "n_evaluation": len(evaluation),
        "n_calibration": len(calibration),
        "n_packages": len({package for package, _ in evaluation}),
        "n_both": len(evaluation & calibration),
    }


def of_loss(checked: CheckpointSpec, loss_nats: float, eval_sha256: str, measured: pd.DataFrame) -> Numbers:
    """Return the loss that was measured here and how the GPU's row of the same checkpoint and text compares."""
    of_checkpoint = (measured["method"] == "none") & (measured["weights_sha256"] == checked.weights_sha256)
    rows = measured[of_checkpoint & (measured["device_type"] == "cuda") & (measured["eval_sha256"] == eval_sha256)]
    comparison = OTHER_TEXT
    if len(rows):
        stored = rows["loss_nats"].item()
        apart = abs(loss_nats - stored)
        claim(apart < SAME_LOSS, "the loss that was measured here is the stored one")
        comparison = f"has {stored:.6f}, which is {apart:.0e} away"
    return {
        "loss_here": loss_nats,
        "comparison": comparison,
        "checked_model": checked.model,
        "checked_step": given(checked.step),
    }
