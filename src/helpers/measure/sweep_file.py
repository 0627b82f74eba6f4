"""Reads a sweep's YAML: which checkpoints, rounded how, scored on what. Errors name the line."""

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path

import yaml

from helpers import families
from helpers.measure import methods
from helpers.measure.corpora import BLOCKS_PER_DOCUMENT, DOCUMENTS_PER_SPLIT
from helpers.specs import CheckpointSpec, QuantScheme, SpecError, from_mapping


@dataclass(frozen=True)
class EvaluationEntry:
    """How checkpoints are scored: `sequences` blocks of `seq_len` predicted tokens each."""

    sequences: int
    seq_len: int = 512

    def __post_init__(self) -> None:
        accepted = [DOCUMENTS_PER_SPLIT * k for k in range(1, BLOCKS_PER_DOCUMENT + 1)]
        if self.sequences not in accepted:
            raise SpecError(f"evaluation: 'sequences' is {self.sequences}; accepted: {', '.join(map(str, accepted))}")


@dataclass(frozen=True)
class CalibrationEntry:
    """How much text a calibrated method sees."""

    sequences: int
    seq_len: int = 512

    def __post_init__(self) -> None:
        most = DOCUMENTS_PER_SPLIT * BLOCKS_PER_DOCUMENT
        if not 1 <= self.sequences <= most:
            raise SpecError(f"calibration: 'sequences' is {self.sequences}; accepted: 1 to {most}")


@dataclass(frozen=True)
class SchemeEntry:
    """One or several schemes: every list stands for each of its values, combined with the others."""

    method: str | tuple[str, ...]
    bits: int | tuple[int, ...]
    group_size: int | tuple[int | None, ...] | None
    symmetric: bool | tuple[bool, ...]
    rel_damp: float = 0.01
    calib_seed: int | tuple[int, ...] = 0


@dataclass(frozen=True)
class Part:
    """Some checkpoints of a family, and the schemes each is rounded by."""

    checkpoints: tuple[CheckpointSpec, ...]
    schemes: tuple[QuantScheme, ...]


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


def read_sweep(path: Path) -> Sweep:
    """Read and check a sweep. Raises SpecError with file, line and accepted values for anything that is off."""
    try:
        raw = yaml.load(path.read_text(), _Loader)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(f"{path}:{error.problem_mark.line + 1}: not YAML ({error.problem})") from None
    entry = _record(_SweepEntry, raw, path)
    calibration = _record(CalibrationEntry, entry.calibration, path)
    parts = tuple(_read_part(part, calibration, path) for part in entry.parts)
    return Sweep(entry.name, _record(EvaluationEntry, entry.evaluation, path), calibration, parts)


def _record(cls: type, raw: object, path: Path):
    return from_mapping(cls, raw, str(path), getattr(raw, "lines", None))


def _read_part(raw: dict, calibration: CalibrationEntry, path: Path) -> Part:
    entry = _record(_PartEntry, raw, path)
    specs = families.checkpoints(
        entry.family,
        list(entry.models) if entry.models else None,
        list(entry.steps) if entry.steps else None,
        f"{path}:{raw.lines['family']}",
    )
    schemes = tuple(scheme for item in entry.schemes for scheme in _expand(item, calibration, path))
    _refuse_undivided(specs, schemes, f"{path}:{raw.lines['schemes']}")
    return Part(tuple(specs), schemes)


def _expand(raw: dict, calibration: CalibrationEntry, path: Path) -> list[QuantScheme]:
    entry = _record(SchemeEntry, raw, path)
    where = f"{path}:{raw.lines['method']}"
    choices = [value if isinstance(value, (list, tuple)) else [value] for value in dataclasses.astuple(entry)]
    schemes = []
    for method, bits, group_size, symmetric, rel_damp, calib_seed in itertools.product(*choices):
        values = {"method": method, "bits": bits, "group_size": group_size, "symmetric": symmetric}
        if _is_calibrated(method, where):
            values |= {
                "rel_damp": float(rel_damp),
                "calib_seed": calib_seed,
                "calib_sequences": calibration.sequences,
                "calib_seq_len": calibration.seq_len,
            }
        schemes.append(from_mapping(QuantScheme, values, where))
    return schemes


def _is_calibrated(method: str, where: str) -> bool:
    try:
        return methods.get(method).calibrated
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None


def _refuse_undivided(specs: list[CheckpointSpec], schemes: tuple[QuantScheme, ...], where: str) -> None:
    for width, group_size in itertools.product(
        sorted({spec.d_model for spec in specs}), sorted({s.group_size for s in schemes if s.group_size})
    ):
        shapes = families.neox_linear_shapes(width)
        undivided = [f"{name} ({columns})" for name, (_, columns) in shapes.items() if columns % group_size]
        if undivided:
            names = ", ".join(sorted({spec.model for spec in specs if spec.d_model == width}))
            raise SpecError(
                f"{where}: group_size {group_size} doesn't divide the input width of {', '.join(undivided)} "
                f"in {names}; accepted there: a divisor of {width}, or null for one scale a row"
            )
