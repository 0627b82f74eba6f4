"""Searches for the matrices that can go to low precision, on one checkpoint under one low scheme.

Every matrix is rounded once, on the 16-bit model's activations, and assignments swap them in: many are scored as one
batch. Random search as in Cao et al. 2024 (arXiv 2410.06722); beside it, at the cost of one score per unit, orders by
measured sensitivity and an exact programme on sensitivities taken to add up, and a second-order estimate that scores
nothing. A recipe is an assignment that was chosen, rounded anew as the engine rounds (sequentially) and measured apart.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from helpers.measure.mixed import assignments, sensitivity
from helpers.measure.mixed.assignments import Units
from helpers.measure.models.as_linear import has_experts
from helpers.measure.rounding import methods
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring import evaluate
from helpers.measure.scoring.evaluate import Evaluation
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import QuantizationError, SpecError
from helpers.table.records import given, number
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme
from helpers.table.trial_rows import TrialRow

SEARCHES = ("random", "greedy", "second_order", "integer_programme", "exhaustive")
MOST_EXHAUSTIVE = 256  # assignments; larger spaces have no exhaustive search


@dataclass(frozen=True)
class Plan:
    """The plan of a search: granularity, target ratios, searches, random trials per target, seed of the draws."""

    granularity: str
    ratios: tuple[float, ...]
    searches: tuple[str, ...] = SEARCHES
    trials: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.granularity not in assignments.GRANULARITIES:
            accepted = ", ".join(assignments.GRANULARITIES)
            raise SpecError(f"'granularity' is '{self.granularity}'; accepted: {accepted}")
        for ratio in self.ratios:
            assignments.refuse_target(ratio)
        unknown = sorted(set(self.searches) - set(SEARCHES))
        if unknown:
            raise SpecError(f"unknown search '{unknown[0]}'; accepted: {', '.join(SEARCHES)}")
        if self.trials < 1:
            raise SpecError(f"'trials' is {self.trials}; accepted: 1 or more")


@dataclass(frozen=True)
class Trial:
    """One assignment as a search scored it; names of fields as in `helpers.table.trial_rows.TrialRow`."""

    granularity: str
    search: str
    target_ratio: float | None
    number: int
    assignment: str
    quantized_ratio: float
    estimated_nats: float | None
    loss_nats: float
    top1_accuracy: float


Scored = TypeVar("Scored", Trial, TrialRow)


@dataclass(frozen=True)
class _Wish:
    """An assignment that is to be scored, and why."""

    search: str
    target_ratio: float | None
    number: int
    low: np.ndarray
    estimated_nats: float | None = None


def sizes(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the number of weights of every linear layer of a model's blocks, by block and layer, in order."""
    decoder = checkpoint.decoder
    return {decoder.short_name(name): layer.weight.numel() for name, layer in decoder.linear_layers().items()}


def rounded_alone(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor | None, memory_bytes: int
) -> list[Rounded]:
    """Round every matrix as if it were the only one, for schemes of one method; weights come back in float32.

    Raises QuantizationError when a scheme fails, and for experts, whose second order isn't estimated.
    """
    config = checkpoint.model.config
    if has_experts(config):
        raise QuantizationError(f"{config.model_type} has experts; accepted in a search: models without")
    method = methods.method_named(schemes[0].method)
    alone = [dataclasses.replace(scheme, propagate="full_precision") for scheme in schemes]
    wanted = alone if method.calibrated else list(schemes)  # without calibration there is nothing to propagate
    (answers,) = method.quantize([checkpoint], wanted, calibration, memory_bytes)
    rounded: list[Rounded] = []
    for answer in answers:
        if isinstance(answer, QuantizationError):
            raise answer
        rounded.append(dataclasses.replace(answer, weights={name: answer.decoded(name) for name in answer.weights}))
    return rounded


class Scorer:
    """A scorer of one checkpoint's assignments under one low scheme on one text; it scores each once."""

    def __init__(self, checkpoint: Checkpoint, rounded: Rounded, blocks: Blocks, dtype: str, memory_bytes: int) -> None:
        self.checkpoint, self.rounded, self.blocks = checkpoint, rounded, blocks
        self.dtype, self.memory_bytes = dtype, memory_bytes
        self.names = [f"{name}.weight" for name in checkpoint.decoder.linear_layers()]
        self.known: dict[str, Evaluation] = {}

    @functools.cached_property
    def estimates(self) -> list[float]:
        """Return what rounding each matrix alone is expected to cost on this text, nats per token: `sensitivity`."""
        return sensitivity.second_order(self.checkpoint.decoder, self.rounded, self.blocks.tokens)

    def score(self, digits: Sequence[str]) -> list[Evaluation]:
        """Return the model's scores under each assignment (one digit per matrix, 1 for low precision)."""
        unscored = [each for each in dict.fromkeys(digits) if each not in self.known]
        swapped = [self._swapped(each) for each in unscored]
        if unscored:
            ((baseline, *scores),) = evaluate.evaluate(
                [self.checkpoint], [swapped], self.blocks, self.dtype, self.memory_bytes
            )
            self.known["0" * len(self.names)] = baseline
            self.known |= dict(zip(unscored, scores, strict=True))
        return [self.known[each] for each in digits]

    def _swapped(self, digits: str) -> Rounded:
        low = [name for name, digit in zip(self.names, digits, strict=True) if digit == "1"]
        return Rounded({name: self.rounded.weights[name] for name in low}, Diagnostics(), self.rounded.inputs)


def search(scorer: Scorer, plan: Plan) -> list[Trial]:
    """Return every trial of a plan: the 16-bit model, everything low, each unit alone, and what the searches tried.

    Searches that need no scores are scored together; those that build on the units' own follow.
    """
    units = Units.of(plan.granularity, sizes(scorer.checkpoint))
    estimates = [sum(scorer.estimates[place] for place in members) for members in units.members]
    first = _without_scores(units, plan, estimates)
    trials = _scored(scorer, units, first)
    base = trials[0].loss_nats
    costs = [trial.loss_nats - base for trial in trials if trial.search == "single"]
    return trials + _scored(scorer, units, _on_sensitivities(units, plan, costs))


def _without_scores(units: Units, plan: Plan, estimates: Sequence[float]) -> list[_Wish]:
    wishes = [_Wish("none", None, 0, units.nothing(), 0.0), _Wish("all", None, 0, units.everything(), sum(estimates))]
    wishes += [
        _Wish("single", None, n, low, estimate)
        for n, (low, estimate) in enumerate(zip(units.single(), estimates, strict=True))
    ]
    if "exhaustive" in plan.searches and 2 ** len(units) <= MOST_EXHAUSTIVE:
        wishes += [_Wish("exhaustive", None, n, low) for n, low in enumerate(assignments.every(units))]
    generator = np.random.default_rng(plan.seed)
    for target in plan.ratios:
        if "random" in plan.searches:
            drawn = assignments.drawn(units, target, plan.trials, generator)
            wishes += [_Wish("random", target, n, low) for n, low in enumerate(drawn)]
        if "second_order" in plan.searches:
            low = assignments.cheapest(units, estimates, target)
            wishes.append(_Wish("second_order", target, 0, low, float(np.dot(low, estimates))))
    return wishes


def _on_sensitivities(units: Units, plan: Plan, costs: Sequence[float]) -> list[_Wish]:
    ways = {"greedy": assignments.greedy, "integer_programme": assignments.cheapest}
    wishes = []
    for target in plan.ratios:
        for name, choose in ways.items():
            if name in plan.searches:
                low = choose(units, costs, target)
                wishes.append(_Wish(name, target, 0, low, float(np.dot(low, costs))))
    return wishes


def _scored(scorer: Scorer, units: Units, wishes: Sequence[_Wish]) -> list[Trial]:
    digits = [units.digits(wish.low) for wish in wishes]
    return [
        Trial(
            units.granularity,
            wish.search,
            wish.target_ratio,
            wish.number,
            assignment,
            units.ratio(wish.low),
            wish.estimated_nats,
            evaluation.loss_nats,
            evaluation.top1_accuracy,
        )
        for wish, assignment, evaluation in zip(wishes, digits, scorer.score(digits), strict=True)
    ]


def best(trials: Sequence[Scored], target: float) -> Scored:
    """Return the trial of the least loss among those that meet `target`; of equals the first.

    Raises SpecError for a ratio outside 0 to 1, QuantizationError when no loss of them is a number.
    """
    assignments.refuse_target(target)
    meeting = [trial for trial in trials if trial.quantized_ratio >= target - assignments.ROUNDING]
    losses = [math.inf if number(trial.loss_nats) is None else given(trial.loss_nats) for trial in meeting]
    if min(losses, default=math.inf) == math.inf:
        raise QuantizationError(f"no trial of a quantization ratio of {target:g} or more has a loss that is a number")
    return meeting[losses.index(min(losses))]


def recipe(scheme: QuantScheme, units: Units, assignment: str) -> QuantScheme:
    """Return the scheme that keeps what an assignment leaves in high precision."""
    return dataclasses.replace(scheme, kept_matrices=units.kept(assignment))


__all__ = ["SEARCHES", "Plan", "Scorer", "Trial", "best", "recipe", "rounded_alone", "search", "sizes"]
