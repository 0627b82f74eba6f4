"""The run of a sweep's searches: trials of each checkpoint and low scheme, then the recipes, measured as rows.

A unit of work is one checkpoint, low scheme and plan; its trials are written as one Parquet file when it is done, and a
unit whose trials are all there isn't searched again. The best assignment found for each granularity and target is a
recipe: rounded sequentially, scored on the sweep's evaluation texts and written as a measurement.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from helpers.measure.describing.sizes import refuse_other_sizes
from helpers.measure.mixed import searches as mixed
from helpers.measure.mixed.assignments import Units
from helpers.measure.mixed.searches import Plan, Trial
from helpers.measure.models import checkpoints, memory, opening
from helpers.measure.models.failures import failure_of
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.sweep.declaration import Sweep, read_sweep
from helpers.measure.sweep.engine import Engine, measuring
from helpers.measure.sweep.entries import SearchEntry
from helpers.measure.sweep.jobs import Job
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.rows import provenance
from helpers.measure.text import corpus_lock
from helpers.measure.text.tokenized import Source, search_blocks, with_calibration
from helpers.measure.training.unit import Unit
from helpers.table import disk, files
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.records import digest, given, key_of, number
from helpers.table.rows import EvalSpec
from helpers.table.scheme import QuantScheme
from helpers.table.trial_rows import TrialRow


@dataclass(frozen=True)
class SearchReport:
    """The report of searches: how many ran now, how many existed, the recipes measured, and one line per failure."""

    n_searched: int
    n_present: int
    n_recipes: int
    failures: tuple[str, ...]


@dataclass(frozen=True)
class _Wanted:
    """One checkpoint's searches: low schemes, each with a plan and the entry it came from."""

    spec: CheckpointSpec
    searches: tuple[tuple[QuantScheme, SearchEntry], ...]


def run_search(
    sweep_path: Path,
    device: str,
    places: Places,
    console: Console,
    memory_bytes: int | None = None,
    unit: Unit | None = None,
) -> SearchReport:
    """Search what a sweep's parts with `search` declare and `places` don't hold yet; measure the recipes.

    Raises SpecError before any work as `run_sweep` does; a checkpoint that can't be searched is named in the report.
    """
    sweep = read_sweep(sweep_path, unit)
    for place in (places.trials, places.trial_records / "any"):
        disk.refuse_unwritable(place)
    with (
        measuring(sweep, device, places, console, memory_bytes) as engine,
        disk.exclusive(places.trial_records),
    ):
        disk.clear_unfinished(places.trial_records, "*.parquet")
        run = _Run(engine, device, places.trial_records)
        try:
            for wanted in _plan(sweep):
                console.print(f"{wanted.spec.label}: {len(wanted.searches)} searches")
                run.checkpoint(wanted)
        finally:
            finished = sorted(places.trial_records.glob("*.parquet"))
            if finished:
                files.gather(finished, places.trials)
    failures = (*sweep.failures, *run.failures, *engine.failures)
    return SearchReport(run.n_searched, run.n_present, engine.n_measured, failures)


def _plan(sweep: Sweep) -> list[_Wanted]:
    """Return the searches of each checkpoint, smallest models first."""
    searches: dict[CheckpointSpec, dict[tuple[QuantScheme, SearchEntry], None]] = defaultdict(dict)
    for part in sweep.parts:
        for spec in part.checkpoints if part.search else ():
            searches[spec] |= dict.fromkeys((scheme, given(part.search)) for scheme in part.schemes)
    ordered = sorted(searches, key=lambda spec: (spec.n_params_total, spec.model, spec.run, spec.step))
    return [_Wanted(spec, tuple(searches[spec])) for spec in ordered]


class _Run:
    """A run that searches checkpoint by checkpoint and keeps count."""

    def __init__(self, engine: Engine, device: str, records: Path) -> None:
        self.engine, self.device, self.records = engine, device, records
        self.n_searched = self.n_present = 0
        self.failures: list[str] = []

    def checkpoint(self, wanted: _Wanted) -> None:
        """Search one checkpoint; what fails is named and doesn't stop the others."""
        try:
            loaded = _Loaded(wanted.spec, self.device, self.engine)
            recipes: dict[QuantScheme, None] = {}
            for scheme, entry in wanted.searches:
                rows = self._rows(loaded, scheme, entry)
                recipes |= dict.fromkeys(_recipes(loaded.checkpoint, scheme, entry, rows))
            prepared = self.engine.prepare([Job(wanted.spec, tuple(recipes))])
            del loaded
            self.engine.measure(prepared, lambda n: None)
        except Exception as error:
            self.failures.append(failure_of(error, wanted.spec.label, self.device))

    def _rows(self, loaded: "_Loaded", scheme: QuantScheme, entry: SearchEntry) -> list[TrialRow]:
        """Return a unit's trials: those of its file, or the search's."""
        path = self.records / f"{loaded.unit_id(scheme, entry)}.parquet"
        if path.exists():
            self.n_present += 1
            return [TrialRow(**row) for row in files.read_trials(path).to_pylist()]
        rows = list(loaded.searched(scheme, entry))
        files.write_table(path, [dataclasses.asdict(row) for row in rows], TrialRow)
        self.n_searched += 1
        return rows


class _Loaded:
    """A checkpoint on the device with the text that its searches score on."""

    def __init__(self, spec: CheckpointSpec, device: str, engine: Engine) -> None:
        self.spec, self.device, self.engine = spec, device, engine
        self.local = checkpoints.fetch(spec)
        self.source = Source(engine.lock, checkpoints.tokenizer_of(self.local.folder).to_str())
        self.checkpoint = Checkpoint(opening.open_stored(self.local).to(device), self.local.folder)
        refuse_other_sizes(spec, self.checkpoint.decoder)
        self.memory_bytes = memory.default_budget(device) if engine.memory_bytes is None else engine.memory_bytes

    def unit_id(self, scheme: QuantScheme, entry: SearchEntry) -> str:
        """Return the name of a unit's file, a digest of weights, low scheme, what is searched, how and where."""
        evaluation = self.engine.sweep.evaluation
        named, _ = with_calibration(scheme, self.source)
        parts = [self.local.weights_sha256, key_of(named), dataclasses.asdict(entry), evaluation.dtype, self.device]
        beside = key_of(self.local.beside)
        return digest([*parts, beside] if beside else parts)

    def searched(self, scheme: QuantScheme, entry: SearchEntry) -> Iterator[TrialRow]:
        """Search for every granularity; yield the trials as rows."""
        dtype = self.engine.sweep.evaluation.dtype
        blocks = search_blocks(self.source, entry.sequences, entry.seq_len, entry.seed)
        scheme, calibration = with_calibration(scheme, self.source)
        (rounded,) = mixed.rounded_alone(self.checkpoint, [scheme], calibration, self.memory_bytes)
        scorer = mixed.Scorer(self.checkpoint, rounded, blocks, dtype, self.memory_bytes)
        scored = EvalSpec(corpus_lock.SEARCH_DATASET, blocks.sha256, entry.sequences, entry.seq_len, dtype)
        origin = provenance(self.device)
        for granularity in entry.granularity:
            plan = Plan(granularity, entry.ratios, entry.searches, entry.trials, entry.seed)
            for trial in mixed.search(scorer, plan):
                yield self._row(scheme, entry, scored, trial, origin)

    def _row(
        self, scheme: QuantScheme, entry: SearchEntry, scored: EvalSpec, trial: Trial, origin: dict[str, Any]
    ) -> TrialRow:
        names = {field.name for field in dataclasses.fields(TrialRow)}
        known = (dataclasses.asdict(self.spec), dataclasses.asdict(scheme), dataclasses.asdict(scored), origin)
        values = {name: value for part in known for name, value in part.items() if name in names}
        return TrialRow(
            **values
            | dataclasses.asdict(trial)
            | {"loss_nats": number(trial.loss_nats), "estimated_nats": number(trial.estimated_nats)}
            | {"weights_sha256": self.local.weights_sha256, "lr_fraction": self.spec.lr_fraction},
            checkpoint_id=self.local.weights_sha256[:16],
            scheme_id=scheme.scheme_id,
            eval_id=scored.eval_id,
            device_type=self.device,
            search_seed=entry.seed,
        )


def _recipes(
    checkpoint: Checkpoint, scheme: QuantScheme, entry: SearchEntry, rows: Sequence[TrialRow]
) -> list[QuantScheme]:
    """Return the recipe of each granularity and target: the scheme that keeps what the best trial left high."""
    sizes = mixed.sizes(checkpoint)
    schemes = [scheme]  # everything low
    for granularity in entry.granularity if entry.recipes else ():
        units, of_it = Units.of(granularity, sizes), [row for row in rows if row.granularity == granularity]
        schemes += [mixed.recipe(scheme, units, mixed.best(of_it, target).assignment) for target in entry.ratios]
    return schemes
