"""A sweep as its YAML declares it: which checkpoints, rounded how, scored on what. Errors name the line."""

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from helpers.measure.rounding import methods
from helpers.measure.sweep.entries import (
    MEASURE,
    REFUSE,
    CalibrationEntry,
    EvaluationEntry,
    SchemeEntry,
    SearchEntry,
    _PartEntry,
    _record,
    _SweepEntry,
    as_in_scheme,
)
from helpers.measure.sweep.structures import refuse_impossible, structures_of
from helpers.measure.text import public_texts
from helpers.measure.text.corpus_lock import BLOCKS_PER_DOCUMENT, DOCUMENTS_PER_SPLIT, TEXTS
from helpers.measure.text.hub_texts import FORM
from helpers.measure.text.own_texts import OwnTexts
from helpers.measure.text.public_texts import PublicText
from helpers.measure.training.unit import Unit
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import SpecError
from helpers.table.families import catalogue as families
from helpers.table.families.hub import refusal
from helpers.table.readers import Located, read_yaml
from helpers.table.records import from_mapping
from helpers.table.scheme import QuantScheme
from helpers.table.words import shown

Value = TypeVar("Value")


@dataclass(frozen=True)
class Part:
    """Some checkpoints of a family, and the schemes each is rounded by.

    `failures` are lines about checkpoints that the plan names and can't look into. `from_pickle` accepts weights that
    the Hub has only as pickles.
    """

    checkpoints: tuple[CheckpointSpec, ...]
    schemes: tuple[QuantScheme, ...]
    search: SearchEntry | None = None
    failures: tuple[str, ...] = ()
    from_pickle: bool = False


@dataclass(frozen=True)
class Sweep:
    """A declared experiment. Schemes lack the hash of their calibration text until a tokenizer is known."""

    name: str
    evaluation: EvaluationEntry
    calibration: CalibrationEntry
    parts: tuple[Part, ...]
    own_texts: OwnTexts | None = None  # in place of the book's

    @property
    def failures(self) -> list[str]:
        """Return what is known before any work about checkpoints that can't be measured, each once."""
        return list(dict.fromkeys(failure for part in self.parts for failure in part.failures))


def read_sweep(path: Path, unit: Unit | None = None) -> Sweep:
    """Read and check a sweep, or the part of it that is about one unit's trained checkpoints, wherever these lie.

    Raises SpecError with file, line and accepted values for anything that is off, for a unit it doesn't name, and for a
    part without one checkpoint that can be looked into.
    """
    entry = _read_entry(path)
    calibration = _read_calibration(entry.calibration, path)
    named = [(_record(_PartEntry, raw, path), raw.lines["family"]) for raw in entry.parts]
    wanted = [(part, f"{path}:{line}") for part, line in named if unit is None or Path(part.family).name == unit.family]
    read = [_read_part(part, where, entry, path, unit) for part, where in wanted]
    parts = tuple(part for part in read if part.checkpoints)
    if unit and not parts:
        raise SpecError(f"{path}: nothing to measure of model '{unit.model}' of family '{unit.family}'")
    return Sweep(entry.name, _read_evaluation(entry.evaluation, path), calibration, parts)


def family_names(path: Path) -> list[str]:
    """Return the names of the families' folders that a sweep measures. Raises SpecError as `read_sweep` does."""
    parts = [_record(_PartEntry, part, path) for part in _read_entry(path).parts]
    return list(dict.fromkeys(Path(part.family).name for part in parts))


def _read_entry(path: Path) -> _SweepEntry:
    return _record(_SweepEntry, read_yaml(path), path)


def _read_evaluation(raw: Located, path: Path) -> EvaluationEntry:
    entry = _record(EvaluationEntry, raw, path)
    texts, n_sequences = entry.texts, entry.sequences
    public = {name for name in texts if public_texts.is_of_the_hub(name, public_texts.TEXTS)}
    if not texts or len(set(texts)) < len(texts) or not set(texts) - public <= TEXTS.keys():
        accepted = f"one or more of {', '.join((*TEXTS, *public_texts.TEXTS))}, each once"
        raise SpecError(f"{path}:{raw.lines['texts']}: 'texts' is {list(texts)!r}; accepted: {accepted}, or {FORM}")
    for name in texts:
        if name in public:
            _refuse_unknown_address(name, public_texts.TEXTS, f"{path}:{raw.lines['texts']}")
            fits, accepted = n_sequences >= 1, "1 or more"
        else:
            numbers = TEXTS[name].sequences_accepted
            fits, accepted = n_sequences in numbers, ", ".join(map(str, numbers))
        if not fits:
            where = f"{path}:{raw.lines['sequences']}"
            raise SpecError(f"{where}: 'sequences' is {n_sequences}; accepted: {accepted} (of the text {name})")
    return entry


def _read_calibration(raw: Located, path: Path) -> CalibrationEntry:
    entry = _record(CalibrationEntry, raw, path)
    if entry.text is None:
        return entry
    where = f"{path}:{raw.lines['text']}"
    if not public_texts.is_of_the_hub(entry.text, public_texts.CALIBRATIONS):
        accepted = ", ".join(public_texts.CALIBRATIONS)
        raise SpecError(f"{where}: 'text' is {shown(entry.text)}; accepted: {accepted}, {FORM}, or none for the book's")
    _refuse_unknown_address(entry.text, public_texts.CALIBRATIONS, where)
    return entry


def _refuse_unknown_address(place: str, named: Mapping[str, PublicText], where: str) -> None:
    """Raise SpecError, beginning with `where`, for an address on the Hub of another form or without a commit."""
    try:
        public_texts.of_the_hub(place, named)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None


def _read_part(entry: _PartEntry, where: str, sweep: _SweepEntry, path: Path, unit: Unit | None) -> Part:
    calibration = _record(CalibrationEntry, sweep.calibration, path)
    specs = _chosen(entry, where, unit)
    expanded = [(_expand(item, calibration, path), f"{path}:{item.lines['method']}") for item in entry.schemes]
    schemes = [scheme for wanted, _ in expanded for scheme in wanted]
    search = _read_search(entry.search, schemes, path)
    structures, unknown = structures_of(specs, _longest(sweep, search, schemes, path))
    unknown |= _known_bad(specs) if entry.known_bad == REFUSE else {}
    if specs and len(unknown) == len(specs):
        raise SpecError(f"{where}: {next(iter(unknown.values()))}")
    for wanted, line in expanded:
        refuse_impossible(structures, wanted, line)
    usable = tuple(spec for spec in specs if spec not in unknown)
    return Part(usable, tuple(schemes), search, tuple(unknown.values()), entry.from_pickle)


def _longest(sweep: _SweepEntry, search: SearchEntry | None, schemes: list[QuantScheme], path: Path) -> int:
    """Return the most tokens a sequence that a part asks for, whether to score, to calibrate or to search."""
    lengths = [_record(EvaluationEntry, sweep.evaluation, path).seq_len]
    lengths += [scheme.calib_seq_len for scheme in schemes if scheme.calib_seq_len]
    lengths += [search.seq_len] if search is not None else []
    return max(lengths)


def _read_search(raw: Located | None, schemes: list[QuantScheme], path: Path) -> SearchEntry | None:
    """Return the entry of a part's search, if any. Raises SpecError where it would score on what calibration sees."""
    if raw is None:
        return None
    entry = _record(SearchEntry, raw, path)
    where = f"{path}:{raw.lines['sequences']}"
    for scheme in schemes:
        if not methods.method_named(scheme.method).mixed:
            accepted = ", ".join(name for name, method in methods.every_method().items() if method.mixed)
            raise SpecError(f"{where}: '{scheme.method}' can't keep matrices; accepted in a search: {accepted}")
        if scheme.calib_seed not in (None, entry.seed):
            raise SpecError(f"{where}: 'calib_seed' is {scheme.calib_seed}; accepted: {entry.seed}, the search's")
        most = DOCUMENTS_PER_SPLIT * BLOCKS_PER_DOCUMENT - (scheme.calib_sequences or 0)
        if not 1 <= entry.sequences <= most:
            raise SpecError(f"{where}: 'sequences' is {entry.sequences}; accepted: 1 to {most}, beside calibration's")
    return entry


def _chosen(entry: _PartEntry, where: str, unit: Unit | None) -> list[CheckpointSpec]:
    """Return the checkpoints of a part; for a unit those that exist, as the others may not be trained yet."""
    if unit is None:
        models, steps, runs = _listed(entry.models), _listed(entry.steps), _listed(entry.runs)
        return families.checkpoints(entry.family, models, steps, where, runs)
    wanted = {"model": entry.models, "step": entry.steps, "run": entry.runs}
    return [
        spec
        for spec in families.checkpoints(str(unit.folder), [unit.model], None, where)
        if all(not values or getattr(spec, name) in values for name, values in wanted.items())
    ]


def _known_bad(specs: list[CheckpointSpec]) -> dict[CheckpointSpec, str]:
    """Return the checkpoints that others reported not to be what their revisions say, with a line for each."""
    reports = {spec: families.report_on(spec) for spec in specs}
    accepted = f"accepted: 'known_bad: {MEASURE}' in the sweep's part, which rows then say"
    return {spec: f"{spec.label}: {refusal(bad, spec)}; {accepted}" for spec, bad in reports.items() if bad is not None}


def _listed(values: tuple[Value, ...] | None) -> list[Value] | None:
    return list(values) if values else None


def _expand(raw: Located, calibration: CalibrationEntry, path: Path) -> list[QuantScheme]:
    entry = dataclasses.asdict(_record(SchemeEntry, raw, path))
    where = f"{path}:{raw.lines['method']}"
    choices = [value if isinstance(value, (list, tuple)) else [value] for value in entry.values()]
    combined = (dict(zip(entry, values, strict=True)) for values in itertools.product(*choices))
    return [from_mapping(QuantScheme, _scheme_fields(one, calibration, where), where) for one in combined]


def _scheme_fields(chosen: dict[str, Any], calibration: CalibrationEntry, where: str) -> dict[str, Any]:
    """Return the fields of a scheme, without those that its method makes no use of: they aren't in its key."""
    try:
        method = methods.method_named(chosen["method"])
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    fields = {name: as_in_scheme(name, value) for name, value in chosen.items() if method.uses(name)}
    if method.calibrated:
        fields |= {
            "calib_dataset": calibration.text,
            "calib_sequences": method.calib_sequences or calibration.sequences,
            "calib_seq_len": calibration.seq_len,
            "hessian_dtype": calibration.dtype,
            "propagate": method.propagate,
        }
    return fields
