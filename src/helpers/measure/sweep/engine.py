"""The engine that measures lots of checkpoints of one shape: each is rounded once and scored on every text."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.console import Console
from torch import Tensor

from helpers.measure.describing.sizes import refuse_other_sizes
from helpers.measure.models import checkpoints, memory, opening
from helpers.measure.models.decoders import Decoder
from helpers.measure.models.failures import failure_of
from helpers.measure.models.hub.storage import SHARED, Storage
from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.models.streaming.placing import is_streamed, put
from helpers.measure.rounding import layerwise, methods
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring import evaluate
from helpers.measure.sweep.declaration import Sweep
from helpers.measure.sweep.jobs import BASELINE, Job, Prepared
from helpers.measure.sweep.keeping import kept
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.rows import Outcome, Subject, make_row
from helpers.measure.sweep.subjects import missing, prepared_of
from helpers.measure.text import corpus_lock
from helpers.table import files
from helpers.table.errors import CheckpointError, QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics, Measurement
from helpers.table.scheme import QuantScheme

UNROUNDED = Rounded({}, Diagnostics())


@contextmanager
def measuring(
    sweep: Sweep,
    device: str,
    places: Places,
    console: Console,
    memory_bytes: int | None = None,
    storage: Storage = SHARED,
) -> Iterator["Engine"]:
    """Hold the records, yield an engine that knows what is measured, and compact into the table, whatever happens.

    Raises SpecError when the device isn't there, ResultsError when another process holds the records or the places
    can't be written.
    """
    refuse_missing_device(device)
    with kept(places) as done, memory.held_to(memory_bytes, device):
        keep = partial(files.write_record, folder=places.records)
        yield Engine(sweep, device, memory_bytes, done, console, keep, storage)


class Engine:
    """An engine that measures lots of checkpoints; another thread may prepare the next lot while the device works."""

    def __init__(
        self,
        sweep: Sweep,
        device: str,
        memory_bytes: int | None,
        done: set[str],
        console: Console,
        keep: Callable[[Measurement], None],
        storage: Storage = SHARED,
    ) -> None:
        self.sweep, self.device, self.done, self.console, self.keep = sweep, device, done, console, keep
        self.memory_bytes, self.storage = memory_bytes, storage
        self.lock = corpus_lock.read_lock() if sweep.own_texts is None else None
        self.n_measured = self.n_present = 0
        self.failures: list[str] = []
        self.announced: set[str] = set()

    def prepare(self, lot: list[Job]) -> list[Prepared]:
        """Fetch, verify and load the checkpoints that lack rows; one that can't be had is a failure in the report."""
        prepared = []
        for job in lot:
            try:
                prepared.append(self._prepare(job))
            except Exception as error:
                self.failures.append(failure_of(error, job.checkpoint.label, self.device))
        return prepared

    def _prepare(self, job: Job) -> Prepared:
        spec = job.checkpoint
        local = checkpoints.describe(spec, job.from_pickle, self.storage)
        prepared = prepared_of(job, local, self.sweep, self.lock, self.device, self.done)
        if any(prepared.missing):
            if spec.revision is not None:  # a folder has its weights
                local = checkpoints.fetch(spec, job.from_pickle, self.storage)
            prepared.checkpoint = Checkpoint(opening.open_stored(local), local.folder)
            refuse_other_sizes(spec, prepared.checkpoint.decoder)
            _refuse_unknown_tokens(prepared)
        return prepared

    def measure(self, lot: list[Prepared], advance: Callable[[int], None]) -> None:
        """Measure the missing rows; keep one record per row; call `advance` with how many rows more there are."""
        for prepared in lot:
            self._forget_what_is_done(prepared)
            self.n_present += prepared.n_present
            advance(prepared.n_present)
        for row in self._rows(lot):
            self.keep(row)
            self.done.add(row.measurement_id)  # a later job may have the same weights
            self.n_measured += 1
            advance(1)

    def _forget_what_is_done(self, prepared: Prepared) -> None:
        """Leave out rows that were measured since a checkpoint was prepared: an earlier one had the same weights."""
        prepared.missing = missing(prepared.subjects, prepared.schemes, self.done)
        if not any(prepared.missing):
            prepared.checkpoint = None

    def _rows(self, lot: list[Prepared]) -> Iterator[Measurement]:
        """Yield the rows that a lot lacks; what is measured together is configured alike and lacks the same schemes."""
        together: dict[tuple[bool, str, tuple[object, ...]], list[Prepared]] = defaultdict(list)
        for prepared in lot:
            if prepared.checkpoint is not None:
                model = prepared.checkpoint.model
                finite, config = checkpoints.all_finite(model), model.config.to_json_string()
                together[finite, config, tuple(prepared.to_round)].append(prepared)
        for (finite, *_), members in together.items():
            yield from self._rows_together(members) if finite else _nonfinite_rows(members)

    def _rows_together(self, members: list[Prepared]) -> Iterator[Measurement]:
        """Round checkpoints by the same schemes and score them.

        What goes wrong with several is tried again with each half of them, so that one spoils no other's rows; what
        goes wrong with one is its failure in the report.
        """
        try:
            yield from self._measured(members)
            return
        except Exception as error:
            label = ", ".join(member.subjects[0].spec.label for member in members)
            failure = failure_of(error, label, self.device)
        if len(members) == 1:
            self.failures.append(failure)
            members[0].checkpoint = None
            return
        for half in (members[: len(members) // 2], members[len(members) // 2 :]):
            for member in half:
                self._forget_what_is_done(member)
            yield from self._rows(half)

    def _measured(self, members: list[Prepared]) -> Iterator[Measurement]:
        """Round `members` once, then score them on every text that lacks a row, and yield the rows text by text."""
        loaded = [given(member.checkpoint) for member in members]
        self.place(members)
        memory_bytes = self._planned(members)
        answers, seconds = self._rounded(loaded, members[0].to_round, memory_bytes)
        texts = [text for text in range(len(members[0].subjects)) if any(member.missing[text] for member in members)]
        for text in texts:
            started = time.perf_counter()
            outcomes, n_scored = _outcomes(loaded, answers, members[0].subjects[text], memory_bytes)
            scoring = (time.perf_counter() - started) / n_scored
            for member, of_member in zip(members, outcomes, strict=True):
                for scheme in member.missing[text]:
                    took = seconds.get(scheme, 0.0) / len(texts) + scoring  # texts share the rounding
                    yield make_row(member.subjects[text], scheme, of_member[scheme], took)
        for member in members:
            member.checkpoint = None

    def _rounded(
        self, loaded: list[Checkpoint], missing: dict[QuantScheme, Tensor | None], memory_bytes: int
    ) -> tuple[list[dict[QuantScheme, Rounded | QuantizationError]], dict[QuantScheme, float]]:
        """Return the methods' answers for every checkpoint, by scheme, and each scheme's seconds per checkpoint."""
        alike = defaultdict(list)
        for scheme in missing:
            alike[scheme.method, scheme.calib_seed, scheme.hessian_dtype].append(scheme)
        answers: list[dict[QuantScheme, Any]] = [dict.fromkeys(missing) for _ in loaded]
        seconds: dict[QuantScheme, float] = {}
        for (method, *_), schemes in alike.items():
            started = time.perf_counter()
            by_checkpoint = methods.method_named(method).quantize(loaded, schemes, missing[schemes[0]], memory_bytes)
            share = (time.perf_counter() - started) / (len(loaded) * len(schemes))
            seconds |= dict.fromkeys(schemes, share)
            for of_checkpoint, answered in zip(answers, by_checkpoint, strict=True):
                of_checkpoint.update(zip(schemes, answered, strict=True))
        return answers, seconds

    def place(self, members: list[Prepared]) -> None:
        """Let models work on the device: as a whole where a small part of the budget holds them, else streamed."""
        decoders = [given(member.checkpoint).decoder for member in members]
        n_variants = sum(len(member.to_round) for member in members)
        streamed = memory.is_too_large(decoders, n_variants, self.device, self.memory_bytes)
        for decoder in decoders:
            put(decoder.model, self.device, streamed)

    def _planned(self, members: list[Prepared]) -> int:
        """Return the bytes that rounding and scoring may take at once; say once per model, before, what is expected.

        A declared budget holds what lies beside them too. Raises QuantizationError where it is too small, with the
        least that would do.
        """
        spec, to_round = members[0].subjects[0].spec, members[0].to_round
        decoders, n_variants = [given(member.checkpoint).decoder for member in members], len(members) * len(to_round)
        if self.memory_bytes is None:
            memory_bytes, beside = memory.default_budget(self.device), 0
        else:
            memory_bytes, beside = self.memory_bytes, memory.bytes_beside(decoders, n_variants)
        shares = self._shares(members[0], decoders, n_variants, memory_bytes, beside)
        if spec.model not in self.announced:
            self.announced.add(spec.model)
            estimates = [
                f"{name} {now.n_bytes / 2**30:.2g} GiB ({now.variants} x {now.sequences} sequences at once"
                f"{', hidden states on the host' if now.offloaded else ''})"
                for name, now in shares.items()
            ]
            where = ", weights on the host" if is_streamed(decoders[0].model) else ""
            budget = f"of {memory_bytes / 2**30:.3g} GiB{where}"
            self.console.print(f"{spec.model}: {len(members)} at once, expected {', '.join(estimates)} {budget}")
        return memory_bytes - beside

    def _shares(
        self, member: Prepared, decoders: list[Decoder], n_variants: int, budget: int, beside: int
    ) -> dict[str, memory.Share]:
        """Return the shares of scoring and, where something is calibrated, of rounding that are done at once."""
        scored = member.subjects[0].evaluation  # every text has the same number of tokens
        n_scored = n_variants + len(decoders)
        shares = {
            "scoring": evaluate.share_of(
                decoders, scored.n_sequences, scored.seq_len, scored.eval_dtype, n_scored, budget, beside
            )
        }
        calibrated = [scheme for scheme in member.to_round if scheme.calib_sequences]
        if calibrated:
            scheme = calibrated[0]
            n_sequences, seq_len = given(scheme.calib_sequences), given(scheme.calib_seq_len)
            shares["rounding"] = layerwise.share_of(
                decoders, n_sequences, seq_len, scheme.hessian_dtype, n_variants, budget, beside
            )
        return shares


def _refuse_unknown_tokens(prepared: Prepared) -> None:
    """Raise CheckpointError for a text with a token that the model has no embedding for: it would end a GPU's work."""
    n_known = given(prepared.checkpoint).model.get_input_embeddings().weight.shape[0]
    texts = [*(subject.blocks.tokens for subject in prepared.subjects), *prepared.schemes.values()]
    largest = max(int(tokens.max()) for tokens in texts if tokens is not None)
    if largest >= n_known:
        raise CheckpointError(
            f"its tokenizer gives token {largest}; accepted: 0 to {n_known - 1}, as it has embeddings"
        )


def _nonfinite_rows(members: list[Prepared]) -> list[Measurement]:
    outcome = Outcome("nonfinite", "nonfinite weights")
    of_texts = [pair for member in members for pair in zip(member.subjects, member.missing, strict=True)]
    return [make_row(subject, scheme, outcome, 0.0) for subject, missing in of_texts for scheme in missing]


def _outcomes(
    loaded: list[Checkpoint],
    answers: list[dict[QuantScheme, Rounded | QuantizationError]],
    subject: Subject,
    memory_bytes: int,
) -> tuple[list[dict[QuantScheme, Outcome]], int]:
    """Score checkpoints and their rounded weights on a subject's text; return the outcomes by scheme, and how many."""
    kept = [[answer for answer in each.values() if isinstance(answer, Rounded)] for each in answers]
    dtype = subject.evaluation.eval_dtype
    scores = evaluate.evaluate(loaded, kept, subject.blocks, dtype, memory_bytes)
    outcomes = []
    for of_checkpoint, (baseline, *others) in zip(answers, scores, strict=True):
        remaining = iter(others)
        rounded = {
            scheme: Outcome.of(answer, next(remaining) if isinstance(answer, Rounded) else None, dtype)
            for scheme, answer in of_checkpoint.items()
        }
        outcomes.append({BASELINE: Outcome.of(UNROUNDED, baseline, dtype)} | rounded)
    return outcomes, sum(map(len, scores))
