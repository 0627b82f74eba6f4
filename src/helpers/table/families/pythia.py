"""The Pythia suite (Biderman et al. 2023, arXiv 2304.01373)."""

from helpers.table.families.hub import HubFamily, HubModel

PYTHIA_STEPS = (0, *(2**k for k in range(10)), *range(1000, 144000, 1000))
# Name, layers, width, vocabulary after padding, peak learning rate. Rates: the table in the suite's README, and for
# sizes below 160M the training configurations in EleutherAI/pythia. For 1B the table has 3e-4, the configuration
# 2.5e-4. Layers and widths give the sizes of the public evaluations (a test). The vocabularies are from memory: they
# only enter `n_params_total`.
PYTHIA_SHAPES = (
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


def _pythia(name: str, suffix: str, shapes: tuple) -> HubFamily:
    models = tuple(
        HubModel(f"pythia-{size}{suffix}", f"EleutherAI/pythia-{size}{suffix}", *rest) for size, *rest in shapes
    )
    return HubFamily(
        name, models, PYTHIA_STEPS, tokens_per_step=2_097_152, warmup_steps=1430, total_steps=143_000, weight_decay=0.1
    )
