"""TinyLlama-1.1B (Zhang et al. 2024, arXiv 2401.02385): seven checkpoints of one run, each a repository of its own.

Sources, files of jzhang38/TinyLlama:

- README.md: widths, batch of 1024 sequences of 2048 tokens, rate, warm-up, which repository has which step.
- pretrain/tinyllama.py: 1,430,512 updates, a cosine to a tenth, weight decay, Llama 2's blocks and vocabulary.

The last repository is called after step 1431k; its step is the last of the schedule.
"""

from helpers.table.families.hub import HubFamily
from helpers.table.families.schedules import cosine_phase, cosine_rate
from helpers.table.families.shapes import llama

WARMUP_STEPS, PLANNED_STEPS, TOKENS_PER_STEP = 2000, 1_430_512, 1024 * 2048
REPOSITORIES = {
    50_000: "PY007/TinyLlama-1.1B-step-50K-105b",
    240_000: "PY007/TinyLlama-1.1B-intermediate-step-240k-503b",
    480_000: "PY007/TinyLlama-1.1B-intermediate-step-480k-1T",
    715_000: "PY007/TinyLlama-1.1B-intermediate-step-715k-1.5T",
    955_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-955k-token-2T",
    1_195_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-1195k-token-2.5T",
    PLANNED_STEPS: "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T",
}

RUN = llama.LlamaRun(
    model="TinyLlama-1.1B",
    repository=REPOSITORIES[PLANNED_STEPS],
    n_layers=22,
    d_model=2048,
    d_mlp=5632,
    n_heads=32,
    n_key_value_heads=4,
    vocabulary_size=32_000,
    tied=False,
    steps=tuple(REPOSITORIES),
    tokens_per_step=TOKENS_PER_STEP,
    planned_tokens=PLANNED_STEPS * TOKENS_PER_STEP,
    peak_learning_rate=4e-4,
    weight_decay=0.1,
    schedule="cosine",
)
FAMILIES = (
    HubFamily(
        "tinyllama",
        (RUN,),
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: cosine_rate(run.peak_learning_rate, step, WARMUP_STEPS, PLANNED_STEPS),
        lr_phase=lambda run, step: cosine_phase(step, WARMUP_STEPS),
        revision=lambda run, step: "main",
        licence="Apache-2.0",
        source="https://github.com/jzhang38/TinyLlama",
        repository=lambda run, step: REPOSITORIES[step],
    ),
)
