"""OLMo-2 (OLMo team 2024, arXiv 2501.00656): stage 1 of four sizes, and stage 2 of the smallest.

Sources, files of allenai/OLMo unless said otherwise:

- configs/official-0425/OLMo2-1B-stage1.yaml, configs/official-1124/OLMo2-7B-stage1.yaml, OLMo2-13B-stage1.yaml: widths
  (gate and up projection are counted together there), vocabulary (`embedding_size`), batch, rate, warm-up, a cosine
  over 5e12 tokens to a tenth, weight decay (not of the embedding).
- allenai/OLMo-core, src/scripts/official/OLMo2/OLMo-2-0325-32B-train.py: the same for 32B, over 6.5e12 tokens; its
  widths are in `config.json` of allenai/OLMo-2-0325-32B.
- configs/official-0425/OLMo-2-0425-1B.csv and OLMo-2-0425-1B-stage2.csv: steps of 1B. Of the others every
  thousandth step is saved (`save_interval`); README.md and OLMo-core's README.md name the last. A step that the Hub
  lacks after all is named when it is fetched.
- configs/official-0425/OLMo2-1B-stage2-seed42.yaml: stage 2 starts anew at 7.4487e-5, where the cosine stood (a test),
  and falls linearly to zero over 5e10 tokens; it goes on for ten steps.

Left out: stage 2 of the larger models, whose last revisions break the rule that the others' names follow (7B has
step11931-tokens50B where the rule says 51B), and `main`, which of 7B and up is an average of stage 2's ends.

Weights that public threads of allenai/OLMo report as others than their step's: issue 915 (7B: steps 101000, 175000 and
300000 are the same), 842 (13B: steps below 102500 aren't on the Hub).

Unknown: the rates of 13B. The YAML of stage 1 has a peak of 3e-4, those of stage 2, which go on from its last step,
start at 9e-5: three times what is left of 3e-4 there. 32B has no such second source.
"""

import dataclasses
import math
from dataclasses import dataclass

from helpers.table.families.hub import HubFamily
from helpers.table.families.reports import KnownBad
from helpers.table.families.schedules import cosine_phase, cosine_rate
from helpers.table.families.shapes import llama

SEQUENCE = 4096
FIRST_OF_13B = 102_500  # that the Hub was seen to have, see KNOWN_BAD
LAST_OF_1B = 1_907_359
STAGE_2_STEPS = (*range(1000, 24_000, 1000), 23_852)
STAGE_2_RATE, STAGE_2_TOKENS = 7.4487e-5, 5e10


@dataclass(frozen=True, kw_only=True)
class Olmo2Run(llama.LlamaRun):
    """A run of stage 1 or, if it goes on from one, of stage 2."""

    weight_decay: float = 0.1
    vocabulary_size: int = 100_352
    tied: bool = False
    warmup_tokens: int = 8_388_608_000
    planned_tokens: int = 5_000_000_000_000
    schedule: str = "cosine"


def n_params_non_embedding(run: Olmo2Run) -> int:
    """Return the number of OLMo-2's parameters without token embedding and output head: N as the QiD law counts it.

    Counted are, per layer, the linear layers, a norm after attention and one after the MLP (none before), one of all
    queries and one of all keys; and one last norm.
    """
    return llama.n_params_of_blocks(run, norms=3 * run.d_model + run.d_key_value) + run.d_model


def learning_rate(run: Olmo2Run, step: int) -> float | None:
    """Return the learning rate of the update that made `step`; None for a run whose peak isn't known."""
    if run.branched_at_step is not None:
        since = (step - run.branched_at_step) * run.tokens_per_step
        return STAGE_2_RATE * max(0.0, 1 - since / STAGE_2_TOKENS)
    return cosine_rate(run.peak_learning_rate, step * run.tokens_per_step, run.warmup_tokens, run.planned_tokens)


def revision(run: Olmo2Run, step: int) -> str:
    """Return the revision of a step; names count from the start of the stage, in billions of tokens rounded up."""
    stage = "stage1" if run.branched_at_step is None else f"stage2-{run.name.removeprefix(f'{run.model}-')}"
    since = step - (run.branched_at_step or 0)
    return f"{stage}-step{since}-tokens{math.ceil(since * run.tokens_per_step / 1e9)}B"


SMALLEST = Olmo2Run(
    model="OLMo-2-0425-1B",
    repository="allenai/OLMo-2-0425-1B",
    n_layers=16,
    d_model=2048,
    d_mlp=8192,
    n_heads=16,
    n_key_value_heads=16,
    steps=tuple(sorted((0, 300, *range(10_000, LAST_OF_1B, 10_000), 23_100, 66_200, LAST_OF_1B))),
    tokens_per_step=512 * SEQUENCE,
    peak_learning_rate=4e-4,
)
STAGE_1 = (
    SMALLEST,
    Olmo2Run(
        model="OLMo-2-1124-7B",
        repository="allenai/OLMo-2-1124-7B",
        n_layers=32,
        d_model=4096,
        d_mlp=11_008,
        n_heads=32,
        n_key_value_heads=32,
        steps=(*range(1000, 928_646, 1000), 928_646),
        tokens_per_step=1024 * SEQUENCE,
        peak_learning_rate=3e-4,
    ),
    Olmo2Run(
        model="OLMo-2-1124-13B",
        repository="allenai/OLMo-2-1124-13B",
        n_layers=40,
        d_model=5120,
        d_mlp=13_824,
        n_heads=40,
        n_key_value_heads=40,
        steps=(*range(0, 596_057, 1000), 596_057),
        tokens_per_step=2048 * SEQUENCE,
        peak_learning_rate=None,
    ),
    Olmo2Run(
        model="OLMo-2-0325-32B",
        repository="allenai/OLMo-2-0325-32B",
        n_layers=64,
        d_model=5120,
        d_mlp=27_648,
        n_heads=40,
        n_key_value_heads=8,
        steps=(*range(1000, 721_901, 1000), 721_901),
        tokens_per_step=2048 * SEQUENCE,
        peak_learning_rate=6e-4,
        warmup_tokens=2000 * 2048 * SEQUENCE,
        planned_tokens=6_500_000_000_000,
    ),
)
STAGE_2 = tuple(
    dataclasses.replace(
        SMALLEST,
        run=f"{SMALLEST.model}-ingredient{number}",
        steps=tuple(LAST_OF_1B + step for step in STAGE_2_STEPS),
        planned_tokens=LAST_OF_1B * SMALLEST.tokens_per_step + int(STAGE_2_TOKENS),
        schedule="cooldown",
        branched_from=SMALLEST.model,
        branched_at_step=LAST_OF_1B,
    )
    for number in (1, 2, 3)
)
KNOWN_BAD = (
    KnownBad(
        frozenset(revision(STAGE_1[1], step) for step in (101_000, 175_000, 300_000)),
        "identical",
        "all six shards are the same in these three revisions; which of them they belong to isn't known",
        "allenai/OLMo#915",
        "2026-08-17",
        STAGE_1[1].repository,
    ),
    KnownBad(
        frozenset(revision(STAGE_1[2], step) for step in STAGE_1[2].steps if step < FIRST_OF_13B),
        "missing",
        f"no revision is older than step {FIRST_OF_13B}",
        "allenai/OLMo#842",
        "2025-05-27",
        STAGE_1[2].repository,
    ),
)
FAMILIES = (
    HubFamily(
        "olmo-2",
        (*STAGE_1, *STAGE_2),
        n_params_total=lambda run: n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=learning_rate,
        lr_phase=lambda run, step: cosine_phase(step * run.tokens_per_step, run.warmup_tokens),
        revision=revision,
        licence="Apache-2.0",
        source="https://github.com/allenai/OLMo",
        known_bad=KNOWN_BAD,
    ),
)
