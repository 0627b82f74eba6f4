"""The Pythia suite (Biderman et al. 2023, arXiv 2304.01373), and the seeds of its small sizes.

Sources:

- README.md of EleutherAI/pythia and the training configurations there: layers, widths, rates, steps, licence. The
  cards' numbers of parameters, with and without embeddings, are those of these layers, widths and vocabularies (tests).
- PolyPythias (van der Wal et al. 2025, arXiv 2503.09543) and the cards of its repositories: five sizes, seeds 1 to 9
  beside the suite's 1234; of 160M three runs that move the seed of the data alone, three that of the weights alone; the
  same 154 steps.
- Since February 2026 the names pythia-14m and pythia-31m are those of runs on the whole Pile; the runs that had them
  are called -deduped (card of pythia-14m).

What public threads report of weights that are others than their step's is in `pythia_reports.py`.
"""

import dataclasses
from collections.abc import Iterator

from helpers.table.families.hub import HubFamily, HubRun
from helpers.table.families.pythia_reports import KNOWN_BAD, KNOWN_BAD_SEEDS, TWINS
from helpers.table.families.reports import KnownBad
from helpers.table.families.schedules import cosine_phase, cosine_rate
from helpers.table.families.shapes import neox

STEPS = (0, *(2**k for k in range(10)), *range(1000, 144000, 1000))
WARMUP_STEPS, TOTAL_STEPS, TOKENS_PER_STEP = 1430, 143_000, 2_097_152
LICENCE, SOURCE = "Apache-2.0", "https://github.com/EleutherAI/pythia"
# Name, layers, width, vocabulary after padding, peak learning rate. Rates: the table in the suite's README, and for
# sizes below 160M the training configurations in EleutherAI/pythia. For 1B the table has 3e-4, the configuration
# 2.5e-4.
SHAPES = (
    ("14m", 6, 128, 50304, 1e-3),
    ("31m", 6, 256, 50304, 1e-3),
    ("70m", 6, 512, 50304, 1e-3),
    ("160m", 12, 768, 50304, 6e-4),
    ("410m", 24, 1024, 50304, 3e-4),
    ("1b", 16, 2048, 50304, 3e-4),
    ("1.4b", 24, 2048, 50304, 2e-4),
    ("2.8b", 32, 2560, 50304, 1.6e-4),
    ("6.9b", 32, 4096, 50432, 1.2e-4),
    ("12b", 36, 5120, 50688, 1.2e-4),
)


SEEDED, FIRST_SEED = ("14m", "31m", "70m", "160m", "410m"), 1234


def _runs(suffix: str) -> tuple[HubRun, ...]:
    return tuple(
        HubRun(
            model=f"pythia-{size}{suffix}",
            repository=f"EleutherAI/pythia-{size}{suffix}",
            n_layers=n_layers,
            d_model=d_model,
            vocabulary_size=vocabulary_size,
            steps=STEPS,
            tokens_per_step=TOKENS_PER_STEP,
            planned_tokens=TOTAL_STEPS * TOKENS_PER_STEP,
            peak_learning_rate=peak,
            weight_decay=0.1,
            schedule="cosine",
            train_seed=FIRST_SEED if size in SEEDED and not suffix else None,
        )
        for size, n_layers, d_model, vocabulary_size, peak in SHAPES
    )


def _seeds() -> Iterator[HubRun]:
    """Yield the runs beside the suite's own, of other seeds: which seed, where both of data and weights have it."""
    for run in _runs("")[: len(SEEDED)]:
        seeds: dict[str, int | None] = {f"seed{seed}": seed for seed in range(1, 10)}
        if run.model == "pythia-160m":
            seeds |= {f"{part}-seed{seed}": None for part in ("data", "weight") for seed in (1, 2, 3)}
        for name, seed in seeds.items():
            label = f"{run.model}-{name}"
            yield dataclasses.replace(run, run=label, repository=f"EleutherAI/{label}", train_seed=seed)


def _family(name: str, runs: tuple[HubRun, ...], known_bad: tuple[KnownBad, ...]) -> HubFamily[HubRun]:
    return HubFamily(
        name,
        runs,
        n_params_total=lambda run: neox.neox_n_params_total(run.n_layers, run.d_model, run.vocabulary_size),
        n_params_non_embedding=lambda run: neox.neox_n_params_non_embedding(run.n_layers, run.d_model),
        linear_shapes=lambda run: neox.neox_linear_shapes(run.d_model),
        learning_rate=lambda run, step: cosine_rate(run.peak_learning_rate, step, WARMUP_STEPS, TOTAL_STEPS),
        lr_phase=lambda run, step: cosine_phase(step, WARMUP_STEPS),
        revision=lambda run, step: f"step{step}",
        licence=LICENCE,
        source=SOURCE,
        known_bad=known_bad,
        twins=TWINS,
    )


FAMILIES = (
    _family("pythia", _runs(""), KNOWN_BAD),
    _family("pythia-deduped", _runs("-deduped"), KNOWN_BAD),
    _family("polypythias", tuple(_seeds()), KNOWN_BAD_SEEDS),
)
