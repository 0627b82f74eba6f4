"""One model of a person's own as a sweep of one checkpoint: schemes, texts and amounts, checked before any work."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import linear_shapes, positions_of
from helpers.measure.models.gguf.gguf_files import rounded_before
from helpers.measure.models.outside import checkpoint_of
from helpers.measure.rounding import methods
from helpers.measure.rounding.group_size import WHOLE_ROW, default_group_size
from helpers.measure.sweep.declaration import Part, Sweep
from helpers.measure.sweep.entries import CalibrationEntry, EvaluationEntry
from helpers.measure.sweep.jobs import Job
from helpers.measure.sweep.structures import Structure, refuse_impossible
from helpers.measure.text.documents import calibration_named, text_named
from helpers.measure.text.extent import FULL, Amounts, window_length
from helpers.measure.text.own_texts import OwnTexts, refuse_same
from helpers.table.errors import SpecError
from helpers.table.scheme import QuantScheme

REL_DAMP = 0.01
MOST_SEED = 2**31 - 1  # every generator of numbers takes that
# what some methods are fixed to; the others round to any bits in groups with zero points
FIXED: dict[str, dict[str, object]] = {
    "nf4": {"bits": 4, "format": "nf4", "symmetric": True},
    "int8": {"bits": 8, "group_size": None, "symmetric": True},
}


@dataclass(frozen=True)
class Wanted:
    """What a person asks of a model; `group_size` None takes the default, `WHOLE_ROW` one scale a row."""

    model: str
    revision: str | None = None
    bits: tuple[int, ...] = (2, 3, 4)
    methods: tuple[str, ...] = ("gptq",)
    group_size: int | None = None
    texts: tuple[str, ...] = ("prose", "code")
    calibration: tuple[str, ...] = ("mixed",)
    seeds: tuple[int, ...] = (0,)
    seq_len: int | None = None
    tokens_seen: int | None = None
    amounts: Amounts = FULL
    unreached_experts: str | None = None


@dataclass(frozen=True)
class OneModel:
    """A model's sweep, its folder, and what was chosen for the person, in sentences.

    `caveats` are sentences without which the figures would be misread: that the weights were rounded before.
    """

    sweep: Sweep
    folder: Path
    notes: tuple[str, ...]
    caveats: tuple[str, ...] = ()

    @property
    def job(self) -> Job:
        """Return the one job: the model and every scheme."""
        (part,) = self.sweep.parts
        return Job(part.checkpoints[0], part.schemes)


def one_model(wanted: Wanted) -> OneModel:
    """Return the sweep that measures what is wanted.

    Raises SpecError, CheckpointError, CorpusError or QuantizationError, one line, for a model, text or scheme that
    can't be measured; nothing is loaded for that.
    """
    asked = {"bits": wanted.bits, "method": wanted.methods, "text": wanted.texts}
    for option, values in (asked | {"calibration": wanted.calibration, "seeds": wanted.seeds}).items():
        _refuse_repeated(option, values)
    _refuse_widths(wanted.bits)
    _refuse_seeds(wanted.seeds)
    spec, folder = checkpoint_of(wanted.model, wanted.revision, wanted.tokens_seen)
    config = checkpoints.config_of(folder)
    checkpoints.tokenizer_of(folder)  # raises where there is none, or another model's
    shapes = linear_shapes(config)
    seq_len = window_length(wanted.seq_len, wanted.amounts.seq_len, positions_of(config))
    calibration = CalibrationEntry(wanted.amounts.calibration, seq_len)
    group_size, notes = _group_size(wanted.group_size, [columns for _, columns in shapes.values()])
    chosen = itertools.product(wanted.methods, wanted.bits, wanted.seeds)
    schemes = tuple(dict.fromkeys(_scheme(*each, group_size, calibration, wanted) for each in chosen))
    refuse_impossible([Structure(spec.model, shapes, config)], list(schemes), wanted.model)
    own = _texts(wanted)
    texts = tuple(each.name for each in own.texts)
    evaluation = EvaluationEntry(wanted.amounts.sequences, seq_len, texts=texts)
    notes += [f"{each.name}: {each.note}" for each in (*own.texts, *own.calibration) if each.note]
    before = rounded_before(folder)
    caveats = () if before is None else (f"{spec.label}: {before}",)
    sweep = Sweep(spec.model, evaluation, calibration, (Part((spec,), schemes),), own)
    return OneModel(sweep, folder, tuple(notes), caveats)


def _refuse_repeated(name: str, values: Sequence[object]) -> None:
    twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
    if twice is not None:
        raise SpecError(f"--{name} has {twice} twice; accepted: each once")


def _refuse_widths(bits: Sequence[int]) -> None:
    """Raise SpecError for bits that no code has."""
    for width in bits:
        if not 2 <= width <= 8:
            why = " (the 16-bit model is measured beside every other)" if width == 16 else ""
            raise SpecError(f"--bits is {width}; accepted: 2 to 8{why}")


def _refuse_seeds(seeds: Sequence[int]) -> None:
    """Raise SpecError for a seed that no generator takes."""
    for seed in seeds:
        if not 0 <= seed <= MOST_SEED:
            raise SpecError(f"--seeds is {seed}; accepted: 0 to {MOST_SEED}")


def _group_size(asked: int | None, widths: Sequence[int]) -> tuple[int | None, list[str]]:
    """Return the group size, None for a whole row, and a sentence where it was chosen here."""
    if asked == WHOLE_ROW:
        return None, []
    if asked is not None:
        common = math.gcd(*widths)
        if asked < 1 or common % asked:
            raise SpecError(
                f"--group-size is {asked}; accepted: a divisor of {common} (of every input width of the model), or"
                f" {WHOLE_ROW} for one scale a row"
            )
        return asked, []
    size = default_group_size(widths)
    return size, [f"groups of {size}: the largest of the usual ones that divides every input width"]


def _scheme(
    method: str, bits: int, seed: int, group_size: int | None, calibration: CalibrationEntry, wanted: Wanted
) -> QuantScheme:
    """Return the scheme of a method at a bit width; one that is fixed to a width is measured at that one."""
    known = methods.method_named(method)
    fields: dict[str, object] = {"bits": bits, "group_size": group_size, "symmetric": False, **FIXED.get(method, {})}
    if known.damped:
        fields["rel_damp"] = REL_DAMP
    if "unreached_experts" in known.options:
        fields["unreached_experts"] = wanted.unreached_experts
    if known.calibrated:
        fields |= {
            "calib_sequences": known.calib_sequences or calibration.sequences,
            "calib_seq_len": calibration.seq_len,
            "calib_seed": seed,
            "hessian_dtype": calibration.dtype,
            "propagate": known.propagate,
        }
    return QuantScheme(method=method, **fields)  # type: ignore[arg-type]  # a mapping's values have one type


def _texts(wanted: Wanted) -> OwnTexts:
    texts = tuple(text_named(place) for place in wanted.texts)
    calibration = tuple(each for place in wanted.calibration for each in calibration_named(place))
    refuse_same(texts, calibration)
    return OwnTexts(texts, calibration)
