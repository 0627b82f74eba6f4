"""OLMo 1B (Groeneveld et al. 2024, arXiv 2402.00838), in the layout that transformers knows.

Sources:

- configs/official/OLMo-1B.yaml of allenai/OLMo: widths (gate and up projection are counted together there), vocabulary
  (`embedding_size`), a tied head, norms without gains, batch, rate, warm-up, a cosine to a tenth over 739,328 steps,
  weight decay.
- checkpoints/official/OLMo-1B.csv there: which steps are kept; none between 117,850 and 330,000 (issue 879).
- The revisions' names, which no rule gives (330,000 steps of the batch are 1384 billion tokens, the name says 1383): of
  the Hub's 351 those that scripts in public repositories load from allenai/OLMo-1B-hf.

Left out: 7B, whose revisions in this layout no source lists, and the runs of 2024-04 and 2024-07.
"""

from helpers.table.families.hub import HubFamily
from helpers.table.families.schedules import cosine_phase, cosine_rate
from helpers.table.families.shapes import llama

BILLIONS = {
    1000: 4,
    10_000: 41,
    80_000: 335,
    110_000: 461,
    330_000: 1383,
    343_000: 1438,
    425_000: 1781,
    460_000: 1928,
    509_000: 2134,
    593_000: 2486,
    620_000: 2599,
    720_000: 3018,
    738_020: 3094,
}
WARMUP_STEPS, PLANNED_STEPS, TOKENS_PER_STEP = 2000, 739_328, 2048 * 2048


def n_params_non_embedding(run: llama.LlamaRun) -> int:
    """Return the number of OLMo's parameters without token embedding and output head: its norms have none."""
    return llama.n_params_of_blocks(run, norms=0)


RUN = llama.LlamaRun(
    model="OLMo-1B",
    repository="allenai/OLMo-1B-hf",
    n_layers=16,
    d_model=2048,
    d_mlp=8192,
    n_heads=16,
    n_key_value_heads=16,
    vocabulary_size=50_304,
    tied=True,
    steps=tuple(BILLIONS),
    tokens_per_step=TOKENS_PER_STEP,
    planned_tokens=PLANNED_STEPS * TOKENS_PER_STEP,
    peak_learning_rate=4e-4,
    weight_decay=0.1,
    schedule="cosine",
)
FAMILIES = (
    HubFamily(
        "olmo-1",
        (RUN,),
        n_params_total=lambda run: n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: cosine_rate(run.peak_learning_rate, step, WARMUP_STEPS, PLANNED_STEPS),
        lr_phase=lambda run, step: cosine_phase(step, WARMUP_STEPS),
        revision=lambda run, step: f"step{step}-tokens{BILLIONS[step]}B",
        licence="Apache-2.0",
        source="https://github.com/allenai/OLMo",
    ),
)
