"""The plan of a training: a family's YAML, the runs it stands for, and the learning rate of each update."""

import dataclasses
import itertools
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from helpers.measure.training.branches import STEPS, AverageEntry, ContinuationEntry, CooldownEntry, continuations_of
from helpers.measure.training.low_bits import LowBits, listed, named
from helpers.table.errors import SpecError
from helpers.table.families.shapes.neox import neox_n_params_non_embedding
from helpers.table.names import refuse_name
from helpers.table.ranges import MOST_TOKENS, Range
from helpers.table.readers import read_yaml
from helpers.table.records import digest, from_mapping, given

COSINE_FLOOR = 0.1  # of the peak, at the end of a cosine
SCHEDULES = ("constant", "cosine")
CONTINUED_AS = {"constant": "on", "cooldown": "down"}  # in a continuation's name
LATER = ("unique_tokens", "low_bits", "sharpness_radius")  # a run without one is described as before there was it
MOST_PARAMS = 10**11
MOST_RUNS = 1000


@dataclass(frozen=True)
class ModelEntry:
    """One shape of a family."""

    name: str
    d_model: Annotated[int, Range(1, 65_536)]
    n_layers: Annotated[int, Range(1, 1000)]
    n_heads: Annotated[int, Range(1, 1024)]
    last_step: Annotated[int | None, STEPS] = None  # where its runs end, if before the plan's

    def __post_init__(self) -> None:
        refuse_name(self.name, "name")
        if self.d_model % self.n_heads:
            raise SpecError(f"'n_heads' is {self.n_heads}; accepted: what divides 'd_model', {self.d_model}")
        if self.n_params_non_embedding > MOST_PARAMS:
            raise SpecError(f"{self.name} has {self.n_params_non_embedding:,} parameters; accepted: {MOST_PARAMS:,}")

    @property
    def n_params_non_embedding(self) -> int:
        """Return N as the QiD law counts it."""
        return neox_n_params_non_embedding(self.n_layers, self.d_model)


@dataclass(frozen=True)
class Run:
    """One training run: AdamW, linear warm-up, then a schedule; a checkpoint at each of `steps`."""

    name: str
    model: ModelEntry
    steps: tuple[int, ...]
    peak_learning_rate: float
    warmup_steps: int
    weight_decay: float
    seed: int
    schedule: str  # constant, cosine or cooldown
    branched_from: str | None = None
    branched_at_step: int | None = None
    unique_tokens: int | None = None  # how much of the text is read, again and again; all of it, if None
    low_bits: LowBits | None = None  # 16 bits, if None
    sharpness_radius: float | None = None  # of SAM's step uphill before each gradient; no such step, if None

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of the update that makes `step`, the first being step 1."""
        if step <= self.warmup_steps:
            return self.peak_learning_rate * step / self.warmup_steps
        if self.phase(step) == "stable":
            return self.peak_learning_rate
        start = self.warmup_steps if self.schedule == "cosine" else given(self.branched_at_step)
        left = 1 - (step - start) / (self.steps[-1] - start)
        if self.schedule == "cooldown":
            return self.peak_learning_rate * left
        return self.peak_learning_rate * (COSINE_FLOOR + (1 - COSINE_FLOOR) * (1 - math.cos(math.pi * left)) / 2)

    def phase(self, step: int) -> str:
        """Return the phase of the learning rate: warmup, stable or decay."""
        if step <= self.warmup_steps:
            return "warmup"
        decays = self.schedule == "cosine" or (self.schedule == "cooldown" and step > given(self.branched_at_step))
        return "decay" if decays else "stable"


@dataclass(frozen=True)
class TrainingPlan:
    """A family: every model with every value of what may be a list is a run.

    `steps` are the checkpoints; a cosine of a shorter horizon has those up to its end. `unique_tokens` says how many
    tokens of the text a run reads, over and over (`Batches` says which); without it, all. With `sharpness_radius` the
    gradient is that of sharpness-aware minimisation (`updates.uphill`). Without `low_bits` every run has 16 bits.
    """

    family: str
    models: tuple[ModelEntry, ...]
    steps: Annotated[tuple[int, ...], STEPS]
    peak_learning_rate: Annotated[float | tuple[float, ...], Range(0, 100, open=True)]
    weight_decay: Annotated[float | tuple[float, ...], Range(0, 1000)] = 0.1
    seed: Annotated[int | tuple[int, ...], Range(0, 2**32 - 1)] = 0
    schedule: str = "constant"
    horizons: Annotated[tuple[int, ...], STEPS] = ()
    cooldowns: CooldownEntry | None = None
    continuations: ContinuationEntry | None = None
    averages: AverageEntry | None = None
    batch_sequences: Annotated[int, Range(1, 10**6)] = 256
    seq_len: Annotated[int, Range(1, 10**6)] = 512
    warmup_steps: Annotated[int, Range(0, 10**9)] = 200
    betas: Annotated[tuple[float, ...], Range(0, 0.999999)] = (0.9, 0.95)
    clip_norm: Annotated[float, Range(0, 10**6, open=True)] = 1.0
    unique_tokens: Annotated[int | tuple[int, ...] | None, Range(1, MOST_TOKENS)] = None
    low_bits: tuple[LowBits, ...] = (LowBits("none"),)
    sharpness_radius: Annotated[float | tuple[float, ...] | None, Range(0, 100, open=True)] = None

    def __post_init__(self) -> None:
        refuse_name(self.family, "family")
        if self.schedule not in SCHEDULES:
            raise SpecError(f"'schedule' is '{self.schedule}'; accepted: {', '.join(SCHEDULES)}")
        if not self.steps or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1:
            raise SpecError("'steps' must rise and begin at 1 or later")
        if (self.schedule == "cosine") != bool(self.horizons):
            raise SpecError("'horizons' are the last steps of cosine runs, one or more; a constant run has none")
        if self.schedule == "cosine" and (self.cooldowns or self.continuations or self.averages):
            raise SpecError("'cooldowns', 'continuations' and 'averages' go with schedule constant")
        branching = {name: getattr(getattr(self, name), "at", ()) for name in ("cooldowns", "continuations")}
        for name, wanted in {"horizons": self.horizons, **branching}.items():
            missing = sorted(set(wanted) - set(self.steps))
            if missing:
                raise SpecError(f"'{name}' has {missing[0]}, which isn't one of 'steps'")
        ends = [model.last_step for model in self.models if model.last_step is not None]
        missing = sorted(set(ends) - set(self.steps))
        if missing or (ends and self.schedule == "cosine"):
            raise SpecError("'last_step' of a model is one of 'steps'; cosine runs have 'horizons' instead")
        for name in ("cooldowns", "continuations", "averages"):
            unknown = sorted(set(getattr(getattr(self, name), "models", ())) - {model.name for model in self.models})
            if unknown:
                raise SpecError(f"'{name}' names model '{unknown[0]}', which isn't one of 'models'")
        for model in self.models:
            for low_bits in (*self.low_bits, *(self.continuations.low_bits if self.continuations else ())):
                low_bits.refuse_undivided(model.name, model.d_model)
        self._refuse_long_averages()
        self._refuse_sizes()

    def _refuse_sizes(self) -> None:
        """Raise SpecError for what no machine trains, and for two runs that would write into one folder."""
        if len(self.betas) != 2:
            raise SpecError(f"'betas' is {list(self.betas)}; accepted: two")
        tokens = self.steps[-1] * self.tokens_per_step
        if tokens > MOST_TOKENS:
            raise SpecError(f"'steps' are {tokens:,} tokens a run; accepted: up to {MOST_TOKENS:,}")
        amounts = _values(self.unique_tokens)
        for amount in () if self.unique_tokens is None else amounts:
            if amount < self.tokens_per_step or amount % self.seq_len:
                raise SpecError(
                    f"'unique_tokens' is {amount:,}; accepted: multiples of 'seq_len' ({self.seq_len:,}),"
                    f" at least one update's ({self.tokens_per_step:,})"
                )
        n_values = math.prod(len(_values(each)) for each in (*self._varied, self.horizons or (0,)))
        n_runs = len(self.models) * len(self.low_bits) * n_values
        if not 0 < n_runs <= MOST_RUNS:
            raise SpecError(f"{n_runs:,} runs; accepted: 1 to {MOST_RUNS:,}")
        for step in self.cooldowns.at if self.cooldowns else ():
            if self.cooldowns and self.cooldowns.last_step(step) < step + 2:
                raise SpecError(f"'cooldowns': the one at {step} has no two updates; accepted: a larger 'share'")
        for step in self.continuations.at if self.continuations else ():
            if self.continuations and self.continuations.last_step(step, min(self.continuations.shares)) < step + 2:
                raise SpecError(f"'continuations': one at {step} has no two updates; accepted: larger 'shares'")
        _refuse_twice([name for trunk in self.runs() for name in self._folders(trunk)])

    def _folders(self, trunk: Run) -> list[str]:
        """Return the names of the folders that a run's checkpoints, its branches' and its averages' go to."""
        averages = [f"{trunk.name}-average{given(self.averages).n}"] if self.moments(trunk) else []
        return [trunk.name, *(branch.name for branch in self.branches(trunk)), *averages]

    def _refuse_long_averages(self) -> None:
        if self.averages is None:
            return
        for before, step in itertools.pairwise((0, *self.steps)):
            first = self.averages.moments(step)[0]
            if step >= self.averages.from_step and first <= before:
                raise SpecError(
                    f"'averages': the one at step {step} begins at {first}, not after the checkpoint before ({before})"
                )

    @property
    def _varied(self) -> tuple[object, ...]:
        """Return what a run has one value of, in the order of its name."""
        return self.peak_learning_rate, self.weight_decay, self.seed, self.unique_tokens, self.sharpness_radius

    @property
    def tokens_per_step(self) -> int:
        """Return the number of tokens that one update sees."""
        return self.batch_sequences * self.seq_len

    def runs(self) -> list[Run]:
        """Return the runs that begin at step 0, in the order of the YAML."""
        peaks, decays, seeds, amounts, radii = map(_values, self._varied)
        return [
            Run(
                name=named(self._run_name(model, peak, decay, seed, horizon, amount, radius), low_bits),
                model=model,
                steps=tuple(step for step in self.steps if step <= (horizon or model.last_step or self.steps[-1])),
                peak_learning_rate=peak,
                warmup_steps=self.warmup_steps,
                weight_decay=decay,
                seed=seed,
                schedule=self.schedule,
                unique_tokens=amount,
                low_bits=low_bits.below_16,
                sharpness_radius=radius,
            )
            for model, peak, decay, seed, horizon, amount, radius, low_bits in itertools.product(
                self.models, peaks, decays, seeds, self.horizons or (None,), amounts, radii, self.low_bits
            )
        ]

    def _run_name(
        self,
        model: ModelEntry,
        peak: float,
        decay: float,
        seed: int,
        horizon: int | None,
        amount: int | None,
        radius: float | None,
    ) -> str:
        """Return the model's name with what this plan varies."""
        parts = [model.name]
        parts += [f"lr{peak:g}"] if isinstance(self.peak_learning_rate, (tuple, list)) else []
        parts += [f"wd{decay:g}"] if isinstance(self.weight_decay, (tuple, list)) else []
        parts += [f"seed{seed}"] if isinstance(self.seed, (tuple, list)) else []
        parts += [f"cosine{horizon}"] if horizon is not None else []
        parts += [f"unique{amount / 1e6:.3g}M"] if amount is not None else []
        parts += [f"sam{radius:g}"] if radius is not None else []
        return "-".join(parts)

    def branches(self, trunk: Run) -> list[Run]:
        """Return the cooldowns and continuations of a constant run: a checkpoint halfway and one at the end of each."""
        cooldowns, continuations = self.cooldowns, self.continuations
        branches = []
        if cooldowns is not None and trunk.model.name in (cooldowns.models or (trunk.model.name,)):
            branches += [
                _branch(trunk, f"{trunk.name}-cooldown{at}", at, cooldowns.last_step(at), "cooldown", trunk.low_bits)
                for at in cooldowns.at
            ]
        if continuations is not None and trunk.model.name in (continuations.models or (trunk.model.name,)):
            branches += [
                _branch(
                    trunk,
                    named(f"{trunk.name}-{CONTINUED_AS[schedule]}{at}by{share:g}", low_bits),
                    at,
                    continuations.last_step(at, share),
                    schedule,
                    low_bits.below_16,
                )
                for at, share, schedule, low_bits in itertools.product(
                    continuations.at, continuations.shares, continuations.schedules, continuations.low_bits
                )
            ]
        return branches

    def moments(self, run: Run) -> frozenset[int]:
        """Return the steps of a run whose weights go into averages."""
        averages = self.averages
        if averages is None or run.branched_from is not None:
            return frozenset()
        if run.model.name not in (averages.models or (run.model.name,)):
            return frozenset()
        return frozenset(m for step in run.steps if step >= averages.from_step for m in averages.moments(step))

    def digest_of(self, run: Run) -> str:
        """Return what names a run and its branches with all that decides their weights and what is written of them.

        A branch has its trunk's: it goes on from the trunk's state. Other runs of the plan aren't in it.
        """
        trunk = next((each for each in self.runs() if each.name == (run.branched_from or run.name)), run)
        shared = (self.family, self.batch_sequences, self.seq_len, self.betas, self.clip_norm)
        runs = [
            {name: value for name, value in dataclasses.asdict(each).items() if name not in LATER or value is not None}
            for each in (trunk, *self.branches(trunk))
        ]
        return digest([shared, runs, sorted(self.moments(trunk))])

    def n_updates(self, run: Run) -> int:
        """Return the number of updates that a run makes itself."""
        return run.steps[-1] - (run.branched_at_step or 0)

    def flops(self, run: Run, vocabulary_size: int) -> float:
        """Return the floating-point operations of a run: 6 per parameter and token, and attention's; SAM's are two."""
        model = run.model
        products = 6 * (model.n_params_non_embedding + model.d_model * vocabulary_size)
        attention = 12 * model.n_layers * model.d_model * self.seq_len
        gradients = 1 if run.sharpness_radius is None else 2
        return self.n_updates(run) * self.tokens_per_step * gradients * (products + attention)


def _branch(trunk: Run, name: str, at: int, last: int, schedule: str, low_bits: LowBits | None) -> Run:
    """Return a run that goes on from a trunk's state at step `at` to step `last`."""
    return dataclasses.replace(
        trunk,
        name=name,
        steps=((at + last) // 2, last),
        schedule=schedule,
        branched_from=trunk.name,
        branched_at_step=at,
        low_bits=low_bits,
    )


def _refuse_twice(runs: list[str]) -> None:
    twice = [name for name, count in Counter(runs).items() if count > 1]
    if twice:
        raise SpecError(f"two runs are called '{twice[0]}'; accepted: names, rates and the like that differ")


def _values(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def read_plan(path: Path) -> TrainingPlan:
    """Read a family's YAML. Raises SpecError with the file's name for anything that is off."""
    raw = read_yaml(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("models"), list):
        raise SpecError(f"{path}: a mapping with a list 'models' is expected")
    values = dict(raw)
    values["models"] = tuple(from_mapping(ModelEntry, entry, f"{path}: models") for entry in raw["models"])
    if "low_bits" in raw:
        values["low_bits"] = listed(raw["low_bits"], f"{path}: low_bits")
    for name, kind in (("cooldowns", CooldownEntry), ("averages", AverageEntry)):
        if name in raw:
            values[name] = from_mapping(kind, raw[name], f"{path}: {name}")
    if "continuations" in raw:
        values["continuations"] = continuations_of(raw["continuations"], f"{path}: continuations")
    return from_mapping(TrainingPlan, values, str(path))
