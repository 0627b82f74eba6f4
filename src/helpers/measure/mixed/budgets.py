"""The recipe of the highest quantization ratio that keeps a checkpoint within a budget of loss.

Each unit is scored alone in low precision; an exact programme on these costs proposes an assignment for every ratio;
the proposals are scored as swaps, on text that calibration doesn't see; then, from the highest ratio whose swap keeps
the budget downwards, proposals are rounded sequentially and measured on held-out text until one keeps it there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.measure.mixed import assignments, searches
from helpers.measure.mixed.assignments import Units
from helpers.measure.mixed.recipes import METRICS, Recipe
from helpers.measure.models import checkpoints, memory
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.scoring.evaluate import Evaluation
from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.text.own_texts import OwnTexts, refuse_same
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import QuantizationError, SpecError
from helpers.table.paired_error import paired_error
from helpers.table.records import given
from helpers.table.rows import EvalSpec
from helpers.table.scheme import QuantScheme

STEP = 0.05  # between the ratios that are proposed
MOST_PROPOSALS = round(1 / STEP)
DTYPE = "float32"
# What is told as a step begins: the step in words, the sequences that it passes, and those that are to pass after it
Begin = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Budget:
    """A budget of loss: how much of `metric` may be lost, nats per token for qid, else a share."""

    value: float
    metric: str = "qid"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise SpecError(f"metric '{self.metric}'; accepted: {', '.join(METRICS)}")
        if not (math.isfinite(self.value) and self.value >= 0):
            raise SpecError(f"budget {self.value:g}; accepted: 0 or more, nats a token for qid, else a share")

    def spent(self, baseline: Evaluation, measured: Evaluation) -> float:
        """Return how much a rounded model loses against its 16-bit one."""
        qid = measured.loss_nats - baseline.loss_nats
        if self.metric == "qid":
            return qid
        if self.metric == "relative_perplexity":
            return math.expm1(qid)
        return baseline.top1_accuracy - measured.top1_accuracy


@dataclass(frozen=True)
class Texts:
    """The texts that a budget is kept on: blocks for the search and held-out ones for the recipe, each with its name.

    `calibration` are a person's own texts to round on, None for the project's.
    """

    search: Blocks
    heldout: Blocks
    search_dataset: str = corpus_lock.SEARCH_DATASET
    heldout_dataset: str = corpus_lock.TEXTS["heldout"].dataset
    calibration: OwnTexts | None = None

    def of(self, blocks: Blocks, dataset: str) -> EvalSpec:
        """Return the description of one of the texts, as a row has it."""
        return EvalSpec(dataset, blocks.sha256, len(blocks.tokens), blocks.tokens.shape[1] - 1, DTYPE)


def texts_for(
    folder: Path,
    search_sequences: int,
    heldout_sequences: int,
    seed: int,
    seq_len: int,
    own: OwnTexts | None = None,
) -> Texts:
    """Return the texts of a checkpoint's tokenizer, `seq_len` tokens a sequence: the project's, or `own`'s if any.

    Of own texts every other document is searched on, the rest is held out. Raises CorpusError for numbers of sequences
    it can't cut, SpecError for a text that is calibrated on too.
    """
    tokenizer = checkpoints.tokenizer_of(folder)
    calibration = own if own is not None and own.calibration else None
    if own is not None and own.texts:
        refuse_same(own.texts, own.calibration)
        name = "+".join(each.name for each in own.texts)
        return Texts(*own.halves(tokenizer, search_sequences, heldout_sequences, seq_len), name, name, calibration)
    lock = corpus_lock.read_lock()
    return Texts(
        token_blocks.search_blocks(lock.calibration, tokenizer, search_sequences, seq_len, seed),
        token_blocks.heldout_blocks(lock.evaluation, tokenizer, heldout_sequences, seq_len),
        calibration=calibration,
    )


def _ignored(step: str, n_sequences: int, n_after: int) -> None:
    """Ignore what begins."""


def recipe_within(
    checkpoint: Checkpoint,
    weights_sha256: str,
    scheme: QuantScheme,
    granularity: str,
    budget: Budget,
    texts: Texts,
    begin: Begin = _ignored,
) -> Recipe:
    """Return the recipe of the highest ratio that keeps `budget` on both texts; `begin` is told of each step.

    Raises SpecError for an unknown granularity, QuantizationError when no proposal with anything in low precision keeps
    it, and what `one_checkpoint.calibrated` raises.
    """
    units = Units.of(granularity, searches.sizes(checkpoint))
    scheme, tokens = one_checkpoint.calibrated(checkpoint, scheme, texts.calibration)
    n_calibrating, n_searched = scheme.calib_sequences or 0, len(texts.search.tokens)
    n_trial = n_calibrating + 2 * len(texts.heldout.tokens)  # a recipe's rounding and its two scores
    n_scores = 1 + len(units) + MOST_PROPOSALS
    begin(f"{len(searches.sizes(checkpoint))} matrices rounded alone", n_calibrating, n_scores * n_searched + n_trial)
    memory_bytes = memory.default_budget(checkpoint.model.device.type)
    (alone,) = searches.rounded_alone(checkpoint, [scheme], tokens, memory_bytes)
    scorer = searches.Scorer(checkpoint, alone, texts.search, DTYPE, memory_bytes)
    least = math.inf
    for digits, spent in _proposals(scorer, units, budget, begin, n_trial):
        least = min(least, spent)
        if spent > budget.value:
            continue
        wanted = searches.recipe(scheme, units, digits)
        begin(f"recipe that keeps {len(wanted.kept_matrices)} matrices rounded and measured", n_trial, 0)
        rounded = one_checkpoint.round_checkpoint(checkpoint, wanted, tokens)
        ((baseline, measured),) = evaluate.evaluate([checkpoint], [[rounded]], texts.heldout, DTYPE, memory_bytes)
        spent = budget.spent(baseline, measured)
        if spent <= budget.value:
            return Recipe(
                weights_sha256=weights_sha256,
                scheme=wanted,
                granularity=granularity,
                search="integer_programme",
                quantized_ratio=given(rounded.diagnostics.quantized_ratio),
                loss_nats=measured.loss_nats,
                qid_nats=measured.loss_nats - baseline.loss_nats,
                paired_error_nats=paired_error(np.subtract(measured.group_loss, baseline.group_loss)),
                eval_id=texts.of(texts.heldout, texts.heldout_dataset).eval_id,
                search_eval_id=texts.of(texts.search, texts.search_dataset).eval_id,
                device_type=checkpoint.model.device.type,
                budget=budget.value,
                metric=budget.metric,
            )
        least = min(least, spent)
    raise QuantizationError(
        f"no assignment keeps {budget.metric} within {budget.value:g} with {scheme.label};"
        f" the least of those tried: {least:.3g}"
    )


def _proposals(
    scorer: searches.Scorer, units: Units, budget: Budget, begin: Begin, n_trial: int
) -> list[tuple[str, float]]:
    """Return the cheapest assignments, the highest ratio first, and what each spends on the search's text."""
    nothing, n_searched = units.digits(units.nothing()), len(scorer.blocks.tokens)
    n_alone = (1 + len(units)) * n_searched
    begin(f"each of {len(units)} in low precision alone scored", n_alone, MOST_PROPOSALS * n_searched + n_trial)
    baseline, *singles = scorer.score([nothing, *(units.digits(low) for low in units.single())])
    costs = [single.loss_nats - baseline.loss_nats for single in singles]
    targets = np.arange(1, MOST_PROPOSALS + 1) * STEP
    chosen = {units.digits(low): units.ratio(low) for low in (assignments.cheapest(units, costs, t) for t in targets)}
    ordered = sorted(chosen, key=chosen.__getitem__, reverse=True)
    begin(f"{len(ordered)} proposals scored", len(ordered) * n_searched, n_trial)
    return [
        (digits, budget.spent(baseline, score)) for digits, score in zip(ordered, scorer.score(ordered), strict=True)
    ]
