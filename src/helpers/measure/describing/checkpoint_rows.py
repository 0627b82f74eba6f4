"""Rows of the table of checkpoints, made for a trained family: what doesn't depend on a rounding scheme."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from helpers.measure.describing import curvature, weight_statistics
from helpers.measure.describing.sizes import refuse_other_sizes
from helpers.measure.models import activations, checkpoints
from helpers.measure.models.decoders import Decoder, decoder_of
from helpers.measure.models.failures import failure_of
from helpers.measure.models.precision import matrix_products, refuse_missing_device
from helpers.measure.text import corpus_lock, token_blocks
from helpers.table import disk
from helpers.table import files as results
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.errors import CheckpointError, CorpusError
from helpers.table.families import catalogue
from helpers.table.records import given, number

GROUP_SIZE = 32  # of the grids whose rounding errors a row has
STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "rtn_error_2_bits": lambda weight: weight_statistics.rounding_error(weight, 2, GROUP_SIZE),
    "rtn_error_3_bits": lambda weight: weight_statistics.rounding_error(weight, 3, GROUP_SIZE),
    "rtn_error_4_bits": lambda weight: weight_statistics.rounding_error(weight, 4, GROUP_SIZE),
    "weight_rms": weight_statistics.rms,
    "weight_kurtosis": weight_statistics.kurtosis,
    "weight_max_over_rms": weight_statistics.max_over_rms,
}


@dataclass(frozen=True)
class Sample:
    """The amount of text that is read, in sequences of so many tokens, and the number of probes of the curvature.

    The held-out blocks are those training scores a checkpoint on; the curvature reads the beginnings of some of them.
    """

    heldout_sequences: int = 128
    heldout_seq_len: int = 512
    calib_sequences: int = 32
    calib_seq_len: int = 512
    calib_seed: int = 0
    hessian_sequences: int = 16
    hessian_seq_len: int = 256
    hessian_probes: int = 8
    hessian_seed: int = 0


DEFAULT_SAMPLE = Sample()


@dataclass(frozen=True)
class Report:
    """The report of describing: rows made now, checkpoints that had theirs, and those that couldn't be described."""

    n_described: int
    n_present: int
    failures: tuple[str, ...]


def describe_family(
    folder: Path, table_path: Path, device: str, console: Console, sample: Sample = DEFAULT_SAMPLE
) -> Report:
    """Add the rows that `table_path` lacks of the checkpoints in a family's folder, and write it after every run.

    A row belongs to its weights: those described already, whatever the family, aren't described again. The table is
    sorted by family, size, run and step. Raises SpecError when the manifest or the device is off, CorpusError when text
    is missing, ResultsError when another process holds the table; a checkpoint that can't be described is left out and
    named in the report.
    """
    refuse_missing_device(device)
    specs = sorted(catalogue.read_manifest(folder), key=lambda s: (s.n_params_total, s.run, s.step))
    disk.refuse_unwritable(table_path)
    describer = _Describer(folder, specs, device, sample)
    n_described, failures = 0, []
    with disk.exclusive(table_path), Progress(console=console, disable=not console.is_terminal) as progress:
        rows = {row["weights_sha256"]: row for row in _rows_of(table_path)}
        task = progress.add_task(folder.name, total=len(specs))
        for _, of_run in itertools.groupby(specs, key=lambda spec: spec.run):
            before = len(rows)
            for spec in of_run:
                try:
                    local = checkpoints.fetch(spec)
                    if local.weights_sha256 not in rows:
                        rows[local.weights_sha256] = dataclasses.asdict(describer.row(spec, local))
                except CorpusError:  # the text is every checkpoint's
                    raise
                except Exception as error:
                    failures.append(failure_of(error, spec.label, device))
                progress.advance(task)
            if len(rows) > before:
                ordered = sorted(rows.values(), key=lambda row: [row[name] for name in results.ORDER[CheckpointRow]])
                results.write_table(table_path, ordered, CheckpointRow)
                n_described += len(rows) - before
    return Report(n_described, len(specs) - n_described - len(failures), tuple(failures))


def _rows_of(path: Path) -> list[dict[str, Any]]:
    return results.read_checkpoints(path).to_pylist() if path.exists() else []


def previous_of(spec: CheckpointSpec, specs: list[CheckpointSpec]) -> CheckpointSpec | None:
    """Return the checkpoint before this one in its run, or the one of the trunk that the run was branched from.

    An average's run begins where its trunk is, so its first checkpoint has none before it.
    """
    earlier = [other for other in specs if given(other.step) < given(spec.step)]
    own = [other for other in earlier if other.run == spec.run]
    trunk = [o for o in earlier if (o.run, o.step) == (spec.branched_from, spec.branched_at_step)]
    return max(own or trunk, key=lambda other: given(other.step), default=None)


class _Describer:
    """A describer of a family's checkpoints, one after the other, that keeps the matrices of the last for the next."""

    def __init__(self, folder: Path, specs: list[CheckpointSpec], device: str, sample: Sample) -> None:
        self.folder, self.specs, self.device, self.sample = folder, specs, device, sample
        self.losses = catalogue.read_losses(folder)
        self.last: tuple[CheckpointSpec, list[Tensor]] | None = None

    @functools.cached_property
    def heldout(self) -> token_blocks.Blocks:
        """Return the held-out blocks; like the calibration text, read only when there is something to describe."""
        extent = self.sample.heldout_sequences, self.sample.heldout_seq_len
        return token_blocks.heldout_blocks(
            corpus_lock.read_lock().evaluation, checkpoints.tokenizer_of(self.folder), *extent
        )

    @functools.cached_property
    def calibration(self) -> tuple[Tensor, str]:
        """Return the calibration tokens and their hash."""
        extent = self.sample.calib_sequences, self.sample.calib_seq_len, self.sample.calib_seed
        files = corpus_lock.read_lock().calibration
        return token_blocks.calibration_tokens(files, checkpoints.tokenizer_of(self.folder), *extent)

    def row(self, spec: CheckpointSpec, local: checkpoints.LocalCheckpoint) -> CheckpointRow:
        """Return a checkpoint's row. Raises CheckpointError, and QuantizationError for widths that aren't rounded."""
        decoder = self._decoder(spec, local)
        names = tuple(name.removeprefix(f"{decoder.prefix}.") for name in decoder.linear_layers())
        recorded = {f.name for f in dataclasses.fields(CheckpointRow)}
        covariates = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec) if f.name in recorded}
        heldout = self.heldout  # what is wrong with the text is so for every checkpoint, and said first
        with matrix_products("float32"):
            measured = self._weights(spec, decoder) | self._outliers(decoder) | self._curvature(decoder)
            entropy = activations.mean_entropy(decoder, heldout.tokens[:, :-1])
        return CheckpointRow(
            **covariates | {"weights_sha256": local.weights_sha256} | _as_stored(measured),
            checkpoint_id=local.weights_sha256[:16],
            epochs=spec.epochs,
            lr_fraction=spec.lr_fraction,
            loss_nats=self.losses.get(spec.location),
            logit_entropy_nats=number(entropy),
            matrices=names,
            eval_sha256=self.heldout.sha256,
            calib_sha256=self.calibration[1],
            device_type=self.device,
        )

    def _decoder(self, spec: CheckpointSpec, local: checkpoints.LocalCheckpoint) -> Decoder:
        model = checkpoints.load(local, self.device)
        if not checkpoints.all_finite(model):
            raise CheckpointError(f"{spec.location}: nonfinite weights")
        decoder = decoder_of(model)
        refuse_other_sizes(spec, decoder)
        return decoder

    def _weights(self, spec: CheckpointSpec, decoder: Decoder) -> dict[str, Any]:
        previous, before = self._before(spec)
        matrices = _matrices(decoder)
        self.last = spec, matrices
        change = before and _numbers(map(weight_statistics.relative_distance, matrices, before))
        statistics = {name: _numbers(map(function, matrices)) for name, function in STATISTICS.items()}
        return statistics | {"previous_step": previous and previous.step, "weight_change": change}

    def _before(self, spec: CheckpointSpec) -> tuple[CheckpointSpec | None, list[Tensor] | None]:
        """Return the checkpoint before this one and its matrices; one that can't be used is its own failure alone."""
        specs = self.specs
        while (previous := previous_of(spec, specs)) is not None:
            try:
                return previous, self._matrices_of(previous)
            except CheckpointError:
                specs = [other for other in specs if other != previous]
        return None, None

    def _matrices_of(self, spec: CheckpointSpec) -> list[Tensor]:
        if self.last is not None and self.last[0] == spec:
            return self.last[1]
        return _matrices(self._decoder(spec, checkpoints.fetch(spec)))

    def _outliers(self, decoder: Decoder) -> dict[str, Any]:
        stand_out, kurtosis = activations.input_outliers(decoder, self.calibration[0]).tolist()
        return {"input_max_over_rms": tuple(stand_out), "input_kurtosis": tuple(kurtosis)}

    def _curvature(self, decoder: Decoder) -> dict[str, Any]:
        sample = self.sample
        every = len(self.heldout.tokens) // sample.hessian_sequences
        tokens = self.heldout.tokens[::every][: sample.hessian_sequences, : sample.hessian_seq_len + 1]
        generator = torch.Generator().manual_seed(sample.hessian_seed)
        trace = curvature.hessian_trace(decoder, tokens, sample.hessian_probes, generator)
        return {
            "hessian_trace": trace.total,
            "hessian_trace_se": trace.standard_error,
            "hessian_trace_by_block": trace.by_block,
            "hessian_probes": sample.hessian_probes,
            "hessian_sequences": len(tokens),
            "hessian_seq_len": sample.hessian_seq_len,
            "hessian_seed": sample.hessian_seed,
        }


def _matrices(decoder: Decoder) -> list[Tensor]:
    return [layer.weight.detach() for layer in decoder.linear_layers().values()]


def _numbers(tensors: Iterable[Tensor]) -> tuple[float, ...]:
    return tuple(torch.stack(list(tensors)).tolist())


def _as_stored(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as the table has them: a float that isn't a number is null, in lists too."""
    return {
        name: tuple(map(number, value)) if isinstance(value, tuple) else number(value) for name, value in values.items()
    }
