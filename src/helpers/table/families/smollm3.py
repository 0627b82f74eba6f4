"""SmolLM3-3B (Hugging Face 2025): the checkpoints of its three stages of pretraining.

Sources:

- text/pretraining/smollm3/stage3_9T_11T.yaml of huggingface/smollm (read in the copy junzheyi/smollm): widths,
  vocabulary, tied embeddings, rate, warm-up, a linear decay to zero over 522,000 steps from 4,198,001 on, weight decay
  (not of the embedding), the batch of 192 x 3 sequences of 4096. The files of stages 1 and 2 have the same schedule.
- Card of HuggingFaceTB/SmolLM3-3B-checkpoints: a checkpoint every 40,000 steps (86, 19 and 13 of the stages), the
  tokens per step (the same as the batch's), licence. Names of revisions: config/gptq of
  aldakata/TrainingDynamicsQuantizationRobustness.

Left out: the two stages that lengthen the context, which count their steps anew, and what was tuned afterwards.
"""

from helpers.table.families.hub import HubFamily
from helpers.table.families.schedules import trapezoid_phase, trapezoid_rate
from helpers.table.families.shapes import llama

WARMUP_STEPS, DECAY_FROM_STEP, PLANNED_STEPS, DECAY_STEPS = 2000, 4_198_001, 4_720_000, 522_000
STAGES_END = (3_450_000, 4_200_000, PLANNED_STEPS)
TOKENS_PER_STEP = 192 * 3 * 4096


def revision(_run: llama.LlamaRun, step: int) -> str:
    """Return the revision of a step: steps are counted through, a stage begins after the end of the one before."""
    stage = next(number for number, end in enumerate(STAGES_END, start=1) if step <= end)
    return f"stage{stage}-step-{step}"


RUN = llama.LlamaRun(
    model="SmolLM3-3B",
    repository="HuggingFaceTB/SmolLM3-3B-checkpoints",
    n_layers=36,
    d_model=2048,
    d_mlp=11_008,
    n_heads=16,
    n_key_value_heads=4,
    vocabulary_size=128_256,
    tied=True,
    steps=tuple(range(40_000, PLANNED_STEPS + 1, 40_000)),
    tokens_per_step=TOKENS_PER_STEP,
    planned_tokens=PLANNED_STEPS * TOKENS_PER_STEP,
    peak_learning_rate=2e-4,
    weight_decay=0.1,
    schedule="warmup_stable_decay",
)
FAMILIES = (
    HubFamily(
        "smollm3",
        (RUN,),
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: trapezoid_rate(
            run.peak_learning_rate, step, WARMUP_STEPS, DECAY_FROM_STEP, DECAY_FROM_STEP + DECAY_STEPS
        ),
        lr_phase=lambda run, step: trapezoid_phase(step, WARMUP_STEPS, DECAY_FROM_STEP),
        revision=revision,
        licence="Apache-2.0",
        source="https://huggingface.co/HuggingFaceTB/SmolLM3-3B-checkpoints",
    ),
)
