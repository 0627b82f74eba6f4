"""Amber (LLM360: Liu et al. 2023, arXiv 2312.06550): one 7B model, a checkpoint after each part of its text.

Sources:

- README.md of LLM360/amber-train: widths, vocabulary, tokens of each source (1259 billion together), licence.
- main.py and run.sh there: the text in 360 parts of 1,706,976 sequences of 2048 tokens, a checkpoint after each, 20 x 4
  processes that take 7 sequences 4 times an update, rate, a cosine to a tenth after 2000 updates, weight decay. The
  sequences of a part that fill no update are left out: 762 updates a part.
- Revisions: ckpt_000 to ckpt_358, as public scripts list them (the checkpoints of TransformerLens); of the last part
  there is `main`, of which no source says that it is that.
"""

from helpers.table.families.hub import HubFamily
from helpers.table.families.schedules import cosine_phase, cosine_rate
from helpers.table.families.shapes import llama

SEQUENCE, BATCH = 2048, 20 * 4 * 7 * 4
PARTS, SEQUENCES_A_PART = 360, 1_706_976
UPDATES_A_PART = SEQUENCES_A_PART // (20 * 4 * 7) // 4
WARMUP_STEPS, PLANNED_STEPS = 2000, PARTS * UPDATES_A_PART

RUN = llama.LlamaRun(
    model="Amber",
    repository="LLM360/Amber",
    n_layers=32,
    d_model=4096,
    d_mlp=11_008,
    n_heads=32,
    n_key_value_heads=32,
    vocabulary_size=32_000,
    tied=False,
    steps=tuple(UPDATES_A_PART * (part + 1) for part in range(PARTS - 1)),
    tokens_per_step=BATCH * SEQUENCE,
    planned_tokens=PLANNED_STEPS * BATCH * SEQUENCE,
    peak_learning_rate=3e-4,
    weight_decay=0.1,
    schedule="cosine",
)
FAMILIES = (
    HubFamily(
        "amber",
        (RUN,),
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: cosine_rate(run.peak_learning_rate, step, WARMUP_STEPS, PLANNED_STEPS),
        lr_phase=lambda run, step: cosine_phase(step, WARMUP_STEPS),
        revision=lambda run, step: f"ckpt_{step // UPDATES_A_PART - 1:03d}",
        licence="Apache-2.0",
        source="https://github.com/LLM360/amber-train",
    ),
)
