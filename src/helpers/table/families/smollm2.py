"""SmolLM2 (Ben Allal et al. 2025, arXiv 2502.02737): the intermediate checkpoints of three sizes.

Sources:

- Configurations config_smollm2_135M.yaml, config_smollm2_360M.yaml and config_smollm2_1B.yaml of huggingface/smollm
  (text/pretraining/smollm2; read in the copy yakupemresahin/smolvlm_temporal, pre-training/smollm2): widths,
  vocabulary, tied embeddings, rate, warm-up, start and length of the linear decay to zero, steps planned, weight
  decay, and the batch, which is dp x micro_batch_size x sequence_length.
- Cards of HuggingFaceTB/SmolLM2-135M-intermediate-checkpoints and its two siblings: the revisions' names, one
  per 240,000, 160,000 and 125,000 steps, and the tokens per step (the same as the batch's).

The last steps are those that public lists of the revisions end with. What is published as SmolLM2-135M and so on is
no revision of these repositories and isn't here.
"""

from dataclasses import dataclass
from typing import Any

from helpers.table.families.hub import HubFamily
from helpers.table.families.schedules import trapezoid_phase, trapezoid_rate
from helpers.table.families.shapes import llama

SEQUENCE = 2048
WARMUP_STEPS = 2000


@dataclass(frozen=True, kw_only=True)
class Smollm2Run(llama.LlamaRun):
    """A run at a constant rate that ends with a linear decay to zero."""

    decay_from_step: int
    planned_steps: int
    weight_decay: float = 0.01
    vocabulary_size: int = 49_152
    tied: bool = True
    schedule: str = "warmup_stable_decay"


def _run(size: str, steps_apart: int, last: int, sequences: int, planned_steps: int, **facts: Any) -> Smollm2Run:
    return Smollm2Run(
        model=f"SmolLM2-{size}",
        repository=f"HuggingFaceTB/SmolLM2-{size}-intermediate-checkpoints",
        steps=tuple(range(steps_apart, last + 1, steps_apart)),
        tokens_per_step=sequences * SEQUENCE,
        planned_tokens=planned_steps * sequences * SEQUENCE,
        planned_steps=planned_steps,
        **facts,
    )


RUNS = (
    _run(
        "135M",
        steps_apart=240_000,
        last=1_920_000,
        sequences=64 * 8,
        planned_steps=2_000_000,
        decay_from_step=1_600_000,
        peak_learning_rate=3e-3,
        n_layers=30,
        d_model=576,
        d_mlp=1536,
        n_heads=9,
        n_key_value_heads=3,
    ),
    _run(
        "360M",
        steps_apart=160_000,
        last=2_560_000,
        sequences=128 * 6,
        planned_steps=2_600_000,
        decay_from_step=2_080_000,
        peak_learning_rate=3e-3,
        n_layers=32,
        d_model=960,
        d_mlp=2560,
        n_heads=15,
        n_key_value_heads=5,
    ),
    _run(
        "1.7B",
        steps_apart=125_000,
        last=5_125_000,
        sequences=256 * 4,
        planned_steps=5_240_000,
        decay_from_step=4_716_000,
        peak_learning_rate=5e-4,
        n_layers=24,
        d_model=2048,
        d_mlp=8192,
        n_heads=32,
        n_key_value_heads=32,
    ),
)
FAMILIES = (
    HubFamily(
        "smollm2",
        RUNS,
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: trapezoid_rate(
            run.peak_learning_rate, step, WARMUP_STEPS, run.decay_from_step, run.planned_steps
        ),
        lr_phase=lambda run, step: trapezoid_phase(step, WARMUP_STEPS, run.decay_from_step),
        revision=lambda run, step: f"step-{step}",
        licence="Apache-2.0",
        source="https://github.com/huggingface/smollm",
    ),
)
