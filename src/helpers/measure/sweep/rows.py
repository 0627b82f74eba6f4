"""Rows of the table of measurements, made from what was measured: covariates, outcome, diagnostics, provenance."""

import dataclasses
import datetime
import functools
import os
import platform
import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from helpers.measure.models.checkpoints import LocalCheckpoint
from helpers.measure.models.precision import reach_of
from helpers.measure.rounding import methods
from helpers.measure.rounding.rounded import Rounded
from helpers.measure.scoring.evaluate import Evaluation
from helpers.measure.text.token_blocks import Blocks
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import QuantizationError
from helpers.table.families.catalogue import report_on
from helpers.table.families.reports import MEANING
from helpers.table.records import given, number
from helpers.table.rows import SCHEMA_VERSION, Diagnostics, EvalSpec, Measurement, measurement_id
from helpers.table.scheme import QuantScheme

BASELINE_VERSION = 1


@dataclass(frozen=True)
class Subject:
    """A checkpoint with what its rows share: its description, its files, the evaluation and where it runs."""

    spec: CheckpointSpec
    local: LocalCheckpoint
    evaluation: EvalSpec
    blocks: Blocks
    device: str

    def row_id(self, scheme: QuantScheme) -> str:
        """Return the key of this checkpoint's row for a scheme."""
        local, version = self.local, method_version(scheme)
        return measurement_id(local.weights_sha256, scheme, self.evaluation, self.device, version, local.beside)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one scheme: `status` is ok, failed or nonfinite, and only ok has an evaluation."""

    status: str
    reason: str | None = None
    evaluation: Evaluation | None = None
    diagnostics: Diagnostics = dataclasses.field(default_factory=Diagnostics)

    @classmethod
    def of(cls, answer: Rounded | QuantizationError, evaluation: Evaluation | None, dtype: str) -> "Outcome":
        """Return the outcome of a scheme from the method's answer and, if there are rounded weights, their score.

        `dtype` is the evaluation's.
        """
        if isinstance(answer, QuantizationError):
            return cls("failed", str(answer))
        if not given(evaluation).finite:
            return cls("nonfinite", f"nonfinite loss{reach_of(dtype)}", None, answer.diagnostics)
        return cls("ok", None, evaluation, answer.diagnostics)


def method_version(scheme: QuantScheme) -> int:
    """Return the version of the method that a scheme names."""
    return BASELINE_VERSION if scheme.method == "none" else methods.method_named(scheme.method).version


def make_row(subject: Subject, scheme: QuantScheme, outcome: Outcome, wall_seconds: float) -> Measurement:
    """Return the row of one scheme on one checkpoint."""
    spec = subject.spec
    recorded = {f.name for f in dataclasses.fields(Measurement)} - {"weights_sha256"}  # the spec's is the expected hash
    return Measurement(  # a column that two of these had would be an error
        **{f.name: getattr(spec, f.name) for f in dataclasses.fields(spec) if f.name in recorded},
        **dataclasses.asdict(scheme),
        **dataclasses.asdict(subject.evaluation),
        **dataclasses.asdict(subject.local.beside),
        **_numbers(outcome.diagnostics),
        **_scores(outcome.evaluation, scheme),
        **provenance(subject.device),
        weights_sha256=subject.local.weights_sha256,
        measurement_id=subject.row_id(scheme),
        checkpoint_id=subject.local.weights_sha256[:16],
        scheme_id=scheme.scheme_id,
        assignment_sha256=scheme.assignment_sha256,
        eval_id=subject.evaluation.eval_id,
        method_version=method_version(scheme),
        device_type=subject.device,
        repo_id=spec.location,
        commit=subject.local.commit,
        pickle_sha256=subject.local.pickle_sha256,
        known_bad=reported(spec),
        epochs=spec.epochs,
        lr_fraction=spec.lr_fraction,
        status=outcome.status,
        reason=outcome.reason,
        n_tokens=subject.blocks.tokens[:, 1:].numel(),
        n_bytes=subject.blocks.n_bytes,
        wall_seconds=wall_seconds,
        peak_memory_gib=_peak_memory_gib(subject.device),
    )


def reported(spec: CheckpointSpec) -> str | None:
    """Return what the catalogue knows against a checkpoint of the Hub, in a clause with its source; None: nothing."""
    bad = report_on(spec)
    return None if bad is None else f"{MEANING[bad.kind]} ({bad.source})"


def _scores(evaluation: Evaluation | None, scheme: QuantScheme) -> dict[str, Any]:
    """Return the columns that scoring fills, all null where there is no score; tokens are counted in any case.

    A draw of noise keeps no losses by document: its intervals run over draws and runs.
    """
    names = [f.name for f in dataclasses.fields(Evaluation) if f.name != "n_tokens"]
    scores = _numbers(evaluation, names) if evaluation else dict.fromkeys(names)
    return scores if scheme.noise_seed is None else scores | {"group_loss": None}


def _numbers(record: Diagnostics | Evaluation, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return fields of a record, all by default; one that isn't a number, such as 0/0 of a zero matrix, is null."""
    values = {name: getattr(record, name) for name in names or [f.name for f in dataclasses.fields(record)]}
    return {name: number(value) if isinstance(value, float) else value for name, value in values.items()}


def provenance(device: str) -> dict[str, Any]:
    """Return the columns that say when, where and with what a row was measured."""
    return {
        "schema_version": SCHEMA_VERSION,
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cuda": torch.version.cuda if device == "cuda" else None,
        "device_name": torch.cuda.get_device_name() if device == "cuda" else _processor_name(),
    }


@functools.cache
def _git_commit() -> str | None:
    """Return the commit of this checkout; where there is no git, the one that QID_COMMIT names."""
    if "QID_COMMIT" in os.environ:
        return os.environ["QID_COMMIT"]
    try:
        answer = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


@functools.cache
def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {torch.get_num_threads()} threads"


def _peak_memory_gib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
