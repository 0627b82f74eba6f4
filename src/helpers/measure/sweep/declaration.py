"""Reads a sweep's YAML: which checkpoints, rounded how, scored on what. Errors name the line."""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path

import yaml

from helpers.measure.mixed.assignments import GRANULARITIES
from helpers.measure.mixed.searches import SEARCHES, Plan
from helpers.measure.rounding import methods
from helpers.measure.sweep.structures import refuse_impossible, structures_of
from helpers.measure.text.token_blocks import BLOCKS_PER_DOCUMENT, DOCUMENTS_PER_SPLIT, TEXTS
from helpers.table.families import catalogue as families
from helpers.table.rows import ACTIVATION_FIELDS, DTYPES, CheckpointSpec, QuantScheme, SpecError, from_mapping


@dataclass(frozen=True)
class EvaluationEntry:
    """How checkpoints are scored: on `sequences` blocks of `seq_len` predicted tokens of each text, in `dtype`."""

    sequences: int
    seq_len: int = 512
    dtype: str = "float32"
    texts: tuple[str, ...] = ("heldout",)


@dataclass(frozen=True)
class CalibrationEntry:
    """How much text a calibrated method sees, and the dtype of its forward pass and Hessians."""

    sequences: int
    seq_len: int = 512
    dtype: str = "float32"


@dataclass(frozen=True)
class SearchEntry:
    """How a part's schemes are searched for what can be low in them: see `helpers.measure.mixed.searches.Plan`.

    Assignments are scored on `sequences` blocks of `seq_len` predicted tokens that calibration with the same `seed`
    doesn't see. Where `recipes` is false the best assignments aren't rounded again and measured.
    """

    sequences: int
    ratios: tuple[float, ...]
    granularity: tuple[str, ...] = GRANULARITIES
    searches: tuple[str, ...] = SEARCHES
    trials: int = 50
    seed: int = 0
    seq_len: int = 512
    recipes: bool = True

    def __post_init__(self) -> None:
        for granularity in self.granularity:
            Plan(granularity, self.ratios, self.searches, self.trials, self.seed)  # refuses what it can't be


ACCEPTED = {
    EvaluationEntry: {"dtype": DTYPES},
    CalibrationEntry: {"sequences": range(1, DOCUMENTS_PER_SPLIT * BLOCKS_PER_DOCUMENT + 1), "dtype": DTYPES},
}


@dataclass(frozen=True)
class SchemeEntry:
    """One or several schemes: every list stands for each of its values, combined with the others.

    `rel_damp` is for methods that damp, `calib_seed` for methods that calibrate, and what is null by default for
    methods that make use of it; others don't carry them.
    """

    method: str | tuple[str, ...]
    bits: int | tuple[int, ...]
    group_size: int | tuple[int | None, ...] | None
    symmetric: bool | tuple[bool, ...]
    rel_damp: float = 0.01
    calib_seed: int | tuple[int, ...] = 0
    format: str | tuple[str, ...] = "int"
    grid_search: str | tuple[str, ...] = "minmax"
    order: str | tuple[str, ...] = "given"
    outlier_share: float | tuple[float, ...] | None = None
    average_bits: float | tuple[float, ...] | None = None
    activation_format: str | tuple[str, ...] | None = None
    activation_bits: int | tuple[int, ...] | None = None
    activation_group_size: int | tuple[int | None, ...] | None = None
    activation_exponent: float | tuple[float, ...] | None = None


ACTIVATIONS = ("activation_format", *ACTIVATION_FIELDS)
FRACTIONS = ("rel_damp", "outlier_share", "average_bits", "activation_exponent")
SHARED = {f.name for f in dataclasses.fields(SchemeEntry)} - {"rel_damp", "calib_seed", *methods.OPTIONS, *ACTIVATIONS}


@dataclass(frozen=True)
class Part:
    """Some checkpoints of a family, and the schemes each is rounded by."""

    checkpoints: tuple[CheckpointSpec, ...]
    schemes: tuple[QuantScheme, ...]
    search: SearchEntry | None = None


@dataclass(frozen=True)
class Sweep:
    """A declared experiment. Schemes lack the hash of their calibration text until a tokenizer is known."""

    name: str
    evaluation: EvaluationEntry
    calibration: CalibrationEntry
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class _PartEntry:
    family: str
    schemes: tuple[dict, ...]
    models: tuple[str, ...] | None = None
    steps: tuple[int, ...] | None = None
    runs: tuple[str, ...] | None = None
    search: dict | None = None


@dataclass(frozen=True)
class _SweepEntry:
    name: str
    evaluation: dict
    calibration: dict
    parts: tuple[dict, ...]


class _Mapping(dict):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[str, int]


class _Loader(yaml.SafeLoader):
    def construct_located(self, node: yaml.MappingNode) -> _Mapping:
        mapping = _Mapping(self.construct_mapping(node, deep=True))
        mapping.lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
        return mapping


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _Loader.construct_located)


@dataclass(frozen=True)
class Unit:
    """One model of one trained family: what is trained, then measured, before the next."""

    folder: Path  # of the family; its name is the family's
    model: str

    @classmethod
    def parse(cls, text: str, families: Path) -> "Unit":
        """Read FAMILY/MODEL, trained in a folder of `families`. Raises SpecError for anything else."""
        family, slash, model = text.partition("/")
        if not slash or not family or not model or "/" in model:
            raise SpecError(f"'{text}' isn't a unit; accepted: FAMILY/MODEL, for example tadpole-trunk/tadpole-64x3")
        return cls(families / family, model)

    @property
    def family(self) -> str:
        """Return the family's name."""
        return self.folder.name


def read_sweep(path: Path, unit: Unit | None = None) -> Sweep:
    """Read and check a sweep, or what of it concerns one unit and is trained, wherever that unit's family lies.

    Raises SpecError with file, line and accepted values for anything that is off, and for a unit it doesn't name.
    """
    entry = _read_entry(path)
    calibration = _record(CalibrationEntry, entry.calibration, path)
    parts = [_read_part(part, calibration, path, unit) for part in entry.parts if _concerns(part, unit)]
    parts = tuple(part for part in parts if part.checkpoints)
    if unit and not parts:
        raise SpecError(f"{path}: nothing to measure of model '{unit.model}' of family '{unit.family}'")
    return Sweep(entry.name, _read_evaluation(entry.evaluation, path), calibration, parts)


def family_names(path: Path) -> list[str]:
    """Return the names of the families' folders that a sweep measures. Raises SpecError as `read_sweep` does."""
    parts = [_record(_PartEntry, part, path) for part in _read_entry(path).parts]
    return list(dict.fromkeys(Path(part.family).name for part in parts))


def _read_entry(path: Path) -> _SweepEntry:
    try:
        raw = yaml.load(path.read_text(), _Loader)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(f"{path}:{error.problem_mark.line + 1}: not YAML ({error.problem})") from None
    return _record(_SweepEntry, raw, path)


def _record(cls: type, raw: object, path: Path):
    record = from_mapping(cls, raw, str(path), getattr(raw, "lines", None))
    for name, accepted in ACCEPTED.get(cls, {}).items():
        value = getattr(record, name)
        if value not in accepted:
            listed = f"1 to {accepted[-1]}" if isinstance(accepted, range) else ", ".join(map(str, accepted))
            raise SpecError(f"{path}:{raw.lines[name]}: '{name}' is {value!r}; accepted: {listed}")
    return record


def _read_evaluation(raw: dict, path: Path) -> EvaluationEntry:
    entry = _record(EvaluationEntry, raw, path)
    texts, n_sequences = entry.texts, entry.sequences
    if not texts or len(set(texts)) < len(texts) or not set(texts) <= TEXTS.keys():
        accepted = f"one or more of {', '.join(TEXTS)}, each once"
        raise SpecError(f"{path}:{raw.lines['texts']}: 'texts' is {list(texts)!r}; accepted: {accepted}")
    for name in texts:
        if n_sequences not in TEXTS[name].sequences_accepted:
            accepted = ", ".join(map(str, TEXTS[name].sequences_accepted))
            where = f"{path}:{raw.lines['sequences']}"
            raise SpecError(f"{where}: 'sequences' is {n_sequences}; accepted: {accepted} (of the text {name})")
    return entry


def _concerns(part: object, unit: Unit | None) -> bool:
    return unit is None or not isinstance(part, dict) or Path(str(part.get("family"))).name == unit.family


def _read_part(raw: dict, calibration: CalibrationEntry, path: Path, unit: Unit | None) -> Part:
    entry = _record(_PartEntry, raw, path)
    where = f"{path}:{raw.lines['family']}"
    specs = _chosen(entry, where, unit)
    structures = structures_of(specs, where)
    schemes = []
    for item in entry.schemes:
        wanted = _expand(item, calibration, path)
        refuse_impossible(structures, wanted, f"{path}:{item.lines['method']}")
        schemes += wanted
    return Part(tuple(specs), tuple(schemes), _read_search(entry.search, schemes, path))


def _read_search(raw: dict | None, schemes: list[QuantScheme], path: Path) -> SearchEntry | None:
    """Return how a part is searched. Raises SpecError where the search would score on what calibration sees."""
    if raw is None:
        return None
    entry = _record(SearchEntry, raw, path)
    where = f"{path}:{raw.lines['sequences']}"
    for scheme in schemes:
        if not methods.get(scheme.method).mixed:
            accepted = ", ".join(name for name, method in methods.METHODS.items() if method.mixed)
            raise SpecError(f"{where}: '{scheme.method}' can't keep matrices; accepted in a search: {accepted}")
        if scheme.calib_seed not in (None, entry.seed):
            raise SpecError(f"{where}: 'calib_seed' is {scheme.calib_seed}; accepted: {entry.seed}, the search's")
        most = DOCUMENTS_PER_SPLIT * BLOCKS_PER_DOCUMENT - (scheme.calib_sequences or 0)
        if not 1 <= entry.sequences <= most:
            raise SpecError(f"{where}: 'sequences' is {entry.sequences}; accepted: 1 to {most}, beside calibration's")
    return entry


def _chosen(entry: _PartEntry, where: str, unit: Unit | None) -> list[CheckpointSpec]:
    """Return the checkpoints of a part; of a unit, those that are there: the others may not be trained yet."""
    wanted = {"model": entry.models, "step": entry.steps, "run": entry.runs}
    if unit is None:
        models, steps, runs = (list(values) if values else None for values in wanted.values())
        return families.checkpoints(entry.family, models, steps, where, runs)
    return [
        spec
        for spec in families.checkpoints(str(unit.folder), [unit.model], None, where)
        if all(not values or getattr(spec, name) in values for name, values in wanted.items())
    ]


def _expand(raw: dict, calibration: CalibrationEntry, path: Path) -> list[QuantScheme]:
    entry = dataclasses.asdict(_record(SchemeEntry, raw, path))
    where = f"{path}:{raw.lines['method']}"
    choices = [value if isinstance(value, (list, tuple)) else [value] for value in entry.values()]
    combined = (dict(zip(entry, values, strict=True)) for values in itertools.product(*choices))
    return [from_mapping(QuantScheme, _scheme_fields(one, calibration, where), where) for one in combined]


def _scheme_fields(chosen: dict, calibration: CalibrationEntry, where: str) -> dict:
    """Return the fields of a scheme; what its method makes no use of isn't in its key."""
    try:
        method = methods.get(chosen["method"])
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
    carried = SHARED | set(method.options) | set(ACTIVATIONS if method.activations else ())
    carried |= {"rel_damp"} if method.damped else set()
    fields = {name: _as_float(name, value) for name, value in chosen.items() if name in carried}
    if method.calibrated:
        fields |= {
            "calib_seed": chosen["calib_seed"],
            "calib_sequences": method.calib_sequences or calibration.sequences,
            "calib_seq_len": calibration.seq_len,
            "hessian_dtype": calibration.dtype,
            "propagate": method.propagate,
        }
    return fields


def _as_float(name: str, value: object) -> object:
    """Return a fraction as a float: 1 and 1.0 would be different keys."""
    return float(value) if name in FRACTIONS and value is not None else value
