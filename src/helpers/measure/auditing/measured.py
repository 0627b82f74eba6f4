"""Curves of a family's runs from the tables: 16-bit losses and sizes of weights, whatever was measured."""

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from helpers.measure.auditing.findings import Finding, Moment
from helpers.measure.auditing.trajectories import off_curve
from helpers.table import files

LEAST_NATS = 0.05  # of a loss: less is noise of training
LEAST_LOG = 0.02  # of the logarithm of weights' size: two percent
LOSS = ("run", "step", "loss_nats", "eval_dataset", "eval_id")
Curves = dict[tuple[str, str], dict[int, float]]  # by run and what was measured


def loss_curves(table: Path, family: str) -> Curves:
    """Return the losses of a family's 16-bit models in nats a token, by run and evaluation. Raises ResultsError."""
    rows = files.read_table(table)
    baseline = pc.and_(pc.equal(rows["method"], "none"), pc.equal(rows["status"], "ok"))
    wanted = pc.and_(pc.and_(baseline, pc.equal(rows["family"], family)), pc.is_null(rows["activation_format"]))
    curves: Curves = defaultdict(dict)
    for row in rows.filter(pc.and_(wanted, pc.equal(rows["n_averaged"], 1))).select([*LOSS]).to_pylist():
        if row["step"] is not None and row["loss_nats"] is not None:
            curves[row["run"], f"loss on {row['eval_dataset']} ({row['eval_id'][:8]})"][row["step"]] = row["loss_nats"]
    return dict(curves)


def weight_curves(table: Path, family: str) -> Curves:
    """Return the mean logarithm of the matrices' root mean squares, by run. Raises ResultsError."""
    rows = files.read_checkpoints(table)
    wanted = pc.and_(pc.equal(rows["family"], family), pc.equal(rows["n_averaged"], 1))
    curves: Curves = defaultdict(dict)
    for row in rows.filter(wanted).select(["run", "step", "weight_rms"]).to_pylist():
        sizes = [each for each in row["weight_rms"] if each is not None and each > 0]
        if sizes:
            curves[row["run"], "size of weights"][row["step"]] = sum(map(math.log, sizes)) / len(sizes)
    return dict(curves)


def outliers(curves: Curves, moments: Iterable[Moment]) -> list[Finding]:
    """Return the steps of these moments that lie off their run's curves."""
    at = {(moment.run, moment.step): moment for moment in moments}
    findings = []
    for (run, what), curve in curves.items():
        least = LEAST_LOG if what == "size of weights" else LEAST_NATS
        for step, by in off_curve(curve, least).items():
            moment = at.get((run, step))
            if moment is not None:
                far = f"{math.expm1(by):+.1%}" if what == "size of weights" else f"{by:+.3f} nats"
                said = f"{moment.revision}: {what} is {far} outside what the steps before and after span"
                findings.append(Finding("outlier", moment.repository, (moment.revision,), said))
    return findings


def curves_of(family: str, table: Path, checkpoints: Path) -> Curves:
    """Return all curves of a family that two tables hold; a table that isn't there holds none."""
    found: dict[Any, Any] = {}
    if table.exists():
        found |= loss_curves(table, family)
    if checkpoints.exists():
        found |= weight_curves(checkpoints, family)
    return found
