"""The register of predictions, `results/predictions.json`: what a law said of a model before it was measured.

An entry is one question (whose loss, at how many tokens, rounded how, on which text) with a law's answer and its
interval, the date and commit it was made at, and the outcome: "open", or what was measured later. What is written once
stays: an entry with an outcome is never asked again.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd

from helpers.analyse.fits import answers
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation, run_label
from helpers.analyse.rows.outcomes import OUTCOMES
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import GROUP_SIZE, HELDOUT, as_declared
from helpers.table.disk import write_atomically
from helpers.table.errors import AnalysisError, ResultsError, SpecError
from helpers.table.names import refuse_name
from helpers.table.ranges import COUNT, MOST_TOKENS, POSITIVE, Range
from helpers.table.readers import read_json
from helpers.table.records import CHECKSUM, DamagedError, digest, from_mapping, number
from helpers.table.words import shown, visible

REGISTER = Path("results/predictions.json")
OPEN = "open"
BAND = "band"  # in place of a law's name: the default law's answer, between the least and the largest of all laws'
QUESTION = ("law", "run", "tokens", "bits", "scheme", "text", "quantity")
QUANTITIES = tuple(outcome.column for outcome in OUTCOMES.values())
DATE, COMMIT = r"\d{4}-\d\d-\d\d", r"[0-9a-f]{40}"


@dataclass(frozen=True)
class Prediction:
    """A prediction: QiD or KL, nats per token, with an interval of the share `level`, of a model not measured yet."""

    date: str  # of the prediction, YYYY-MM-DD
    commit: str  # that it was made at
    law: str
    run: str  # family/run
    n_params: Annotated[int, COUNT]
    tokens: Annotated[int, Range(1, MOST_TOKENS)]
    bits: Annotated[int, Range(2, 8)]
    scheme: str
    text: str
    predicted: Annotated[float, POSITIVE]
    low: Annotated[float | None, Range(0)]  # null: the law comes without an interval, or this end is open
    high: Annotated[float | None, POSITIVE]
    level: Annotated[float | None, Range(0, 1, open=True)]  # null: the interval is no share's, as a band of laws isn't
    outcome: float | str = OPEN
    quantity: str = "qid_nats"

    def __post_init__(self) -> None:
        for name, pattern in (("date", DATE), ("commit", COMMIT)):
            if not re.fullmatch(pattern, getattr(self, name)):
                accepted = "YYYY-MM-DD" if name == "date" else "40 hexadecimal digits"
                raise SpecError(f"'{name}' is {shown(getattr(self, name))}; accepted: {accepted}")
        for part in self.run.split("/"):
            refuse_name(part, "run")
        for name in ("law", "scheme", "text"):
            if visible(getattr(self, name)) != getattr(self, name):
                raise SpecError(f"'{name}' is {shown(getattr(self, name))}; accepted: no control characters")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise SpecError(f"'low' is {self.low:g}; accepted: at most 'high', {self.high:g}")
        if isinstance(self.outcome, str) and self.outcome != OPEN:
            raise SpecError(f"'outcome' is {shown(self.outcome)}; accepted: a number, or \"{OPEN}\"")
        if self.quantity not in QUANTITIES:
            raise SpecError(f"'quantity' is {shown(self.quantity)}; accepted: {', '.join(QUANTITIES)}")

    @property
    def question(self) -> tuple[object, ...]:
        """Return what no two entries share: the law and what it was asked."""
        return tuple(getattr(self, name) for name in QUESTION)

    @property
    def hit(self) -> bool | None:
        """Return whether the outcome lies in the interval; None where either isn't there."""
        if isinstance(self.outcome, str) or self.low is None or self.high is None:
            return None
        return self.low <= self.outcome <= self.high


@dataclass(frozen=True)
class Ahead:
    """A training run that is to come: family/run, size, and the tokens at which it will be measured."""

    run: str
    n_params: int
    tokens: tuple[int, ...]


def scheme_words(group_size: float | None) -> str:
    """Return how the register names GPTQ on an asymmetric grid in groups of this size; None: one scale a row."""
    return "gptq, asymmetric rows" if group_size is None else f"gptq, asymmetric groups of {group_size:g}"


SCHEME = scheme_words(GROUP_SIZE)


def predictions_of(
    fits: StoredFits, law: str, ahead: Ahead, bits: Sequence[int], date: str, commit: str
) -> list[Prediction]:
    """Return what a law of `fits` says of a run at a constant rate: GPTQ, groups of 32, held-out text.

    The quantity is the outcome that the fits are of.
    The interval is for a new training run (`answers.predict`). Raises FitError or LawError where the law has no answer.
    """
    entries = []
    for tokens in ahead.tokens:
        for width in bits:
            known = answers.fitted_law(fits, law, width)
            asked = {"tokens": tokens, "n_params": ahead.n_params, "bits": width}
            found = answers.predict(known, asked | {"group_size": GROUP_SIZE, "lr_fraction": 1.0})
            low, high = (number(end) for end in (found.low, found.high))
            asked_of = (ahead.run, ahead.n_params, tokens, width, SCHEME, HELDOUT)
            said = (found.value, low, high, answers.LEVEL)
            entries.append(Prediction(date, commit, law, *asked_of, *said, quantity=fits.outcome.column))
    return entries


def added(register: Sequence[Prediction], new: Iterable[Prediction]) -> list[Prediction]:
    """Return the register with `new` entries at its end, in place of open ones about the same questions.

    Raises AnalysisError where one of these has an outcome: a prediction isn't made after the measurement.
    """
    entries = {entry.question: entry for entry in register}
    for entry in new:
        old = entries.pop(entry.question, entry)
        if old.outcome != OPEN:
            raise AnalysisError(f"{_words(old)} was measured: {old.outcome}; accepted: questions that are open")
        entries[entry.question] = entry
    return list(entries.values())


def settled(register: Iterable[Prediction], measurements: pd.DataFrame) -> list[Prediction]:
    """Return the register with the outcome of each open entry that the table of measurements has a row of.

    That row is the study's (GPTQ of the first draw of calibration text, on a GPU, on 512 sequences) or, of a model from
    outside, one of its sweeps (`study.OUTSIDE`); where both have it, the first measured, on two cores.
    """
    of_runs = measurements[run_label(measurements).isin({entry.run for entry in register}) & as_declared(measurements)]
    measured: dict[tuple[object, ...], dict[str, float]] = {}
    for (_, text, _), rows in of_runs.groupby(["family", "eval_dataset", "device_type"]):  # cpu before cuda
        gptq = degradation(rows).query("method == 'gptq'")
        for size in {None if pd.isna(size) else size for size in gptq["group_size"]}:
            chosen = rows_of_fit(gptq, "gptq", size, symmetric=False)
            places = zip(*(chosen[name] for name in ("run_label", TOKENS_SEEN, "bits", N_PARAMS)), strict=True)
            questions = [(*place, scheme_words(size), text) for place in places]
            measured = dict(zip(questions, chosen[list(QUANTITIES)].to_dict("records"), strict=True)) | measured
    return [_settled(entry, measured) for entry in register]


def _settled(entry: Prediction, measured: Mapping[tuple[object, ...], Mapping[str, float]]) -> Prediction:
    key = (entry.run, entry.tokens, entry.bits, entry.n_params, entry.scheme, entry.text)
    if entry.outcome != OPEN or key not in measured:
        return entry
    return dataclasses.replace(entry, outcome=float(measured[key][entry.quantity]))


def reopened(register: Iterable[Prediction]) -> list[Prediction]:
    """Return the register with every entry open, to be settled by other rows than it was."""
    return [dataclasses.replace(entry, outcome=OPEN) for entry in register]


def outcomes_of(register: Iterable[Prediction], run: str) -> pd.DataFrame:
    """Return the entries about one run that have an outcome, a row each, with the entry's fields.

    `hit` says whether the interval holds (null without one), `log_miss` is ln of predicted over measured (no unit; NaN
    where the outcome isn't positive). Raises AnalysisError where there is none.
    """
    settled_entries = [entry for entry in register if entry.run == run and not isinstance(entry.outcome, str)]
    if not settled_entries:
        raise AnalysisError(f"no prediction about {run} has an outcome; `qid settle` writes them")
    table = pd.DataFrame([dataclasses.asdict(entry) | {"hit": entry.hit} for entry in settled_entries])
    measured = table["outcome"].astype(float)
    return table.assign(outcome=measured, log_miss=np.log(table["predicted"] / measured.where(measured > 0)))


def scores(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return by law how many predictions have an outcome, how many intervals there are and hold, and the typical miss.

    The miss is a factor, e to the rms of `log_miss`; sorted by it, the smallest first.
    """
    by_law = outcomes.groupby("law")
    table = pd.DataFrame(
        {
            "predictions": by_law.size(),
            "intervals": by_law["hit"].count(),
            "hold": by_law["hit"].sum().astype(int),
            "miss": np.exp(np.sqrt(by_law["log_miss"].agg(lambda misses: (misses**2).mean()))),
        }
    )
    return table.sort_values("miss", kind="stable")


def read_register(path: Path = REGISTER) -> list[Prediction]:
    """Read the register; an absent file is an empty one. Raises ResultsError for anything else that isn't one."""
    try:
        contents = read_json(path)
        if not isinstance(contents, list):
            raise ValueError(f"{shown(contents)} where a list is expected")
        contents = _verified(contents)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: not a register of predictions ({str(error).splitlines()[0]})") from None
    try:
        entries = [from_mapping(Prediction, one, f"{path}, entry {n}") for n, one in enumerate(contents, 1)]
    except SpecError as error:
        raise ResultsError(str(error)) from None
    seen: set[tuple[object, ...]] = set()
    for place, entry in enumerate(entries, 1):
        if entry.question in seen:
            raise ResultsError(f"{path}, entry {place}: {_words(entry)} is there twice; accepted: once")
        seen.add(entry.question)
    return entries


def _verified(contents: list[object]) -> list[object]:
    """Return the entries without the checksum at their end; a file without one is of an older version.

    Raises DamagedError where it isn't that of the entries.
    """
    last = contents[-1] if contents else None
    if not isinstance(last, dict) or last.keys() != {CHECKSUM}:
        return contents
    found = digest(contents[:-1])
    if last[CHECKSUM] != found:
        raise DamagedError(
            f"damaged, its '{CHECKSUM}' is {shown(last[CHECKSUM])}, not '{found}'; take that line out if you changed"
            " entries yourself"
        )
    return contents[:-1]


def write_register(register: Iterable[Prediction], path: Path = REGISTER) -> None:
    """Write the register as JSON, an entry a line and their checksum. Raises ResultsError if the disk refuses."""
    entries = [dataclasses.asdict(entry) for entry in register]
    lines = ",\n".join(json.dumps(each, allow_nan=False) for each in [*entries, {CHECKSUM: digest(entries)}])
    write_atomically(path, f"[\n{lines}\n]\n".encode())


def _words(entry: Prediction) -> str:
    return f"{entry.law} on {entry.run} after {entry.tokens} tokens, {entry.bits} bits"
