"""The Pythia suite (Biderman et al. 2023, arXiv 2304.01373)."""

from helpers.table.families import neox
from helpers.table.families.hub import HubFamily, HubRun
from helpers.table.families.schedules import cosine_phase, cosine_rate

STEPS = (0, *(2**k for k in range(10)), *range(1000, 144000, 1000))
WARMUP_STEPS, TOTAL_STEPS, TOKENS_PER_STEP = 1430, 143_000, 2_097_152
# Name, layers, width, vocabulary after padding, peak learning rate. Rates: the table in the suite's README, and for
# sizes below 160M the training configurations in EleutherAI/pythia. For 1B the table has 3e-4, the configuration
# 2.5e-4. Layers and widths give the sizes of the public evaluations (a test). The vocabularies are from memory: they
# only enter `n_params_total`.
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


def _runs(suffix: str, shapes: tuple) -> tuple[HubRun, ...]:
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
        )
        for size, n_layers, d_model, vocabulary_size, peak in shapes
    )


def _family(name: str, runs: tuple[HubRun, ...]) -> HubFamily[HubRun]:
    return HubFamily(
        name,
        runs,
        n_params_total=lambda run: neox.neox_n_params_total(run.n_layers, run.d_model, run.vocabulary_size),
        n_params_non_embedding=lambda run: neox.neox_n_params_non_embedding(run.n_layers, run.d_model),
        linear_shapes=lambda run: neox.neox_linear_shapes(run.d_model),
        learning_rate=lambda run, step: cosine_rate(run.peak_learning_rate, step, WARMUP_STEPS, TOTAL_STEPS),
        lr_phase=lambda run, step: cosine_phase(step, WARMUP_STEPS),
        revision=lambda run, step: f"step{step}",
    )


FAMILIES = (_family("pythia", _runs("", SHAPES)), _family("pythia-deduped", _runs("-deduped", SHAPES[2:])))
