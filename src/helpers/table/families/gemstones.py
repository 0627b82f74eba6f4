"""The Gemstones (McLeish et al. 2025, arXiv 2502.06857): 22 shapes, each at a constant rate, at half of it, and cooled.

Sources:

- Cards of tomg-group-umd/Gemstone-256x23, Gemstone-512x16_lr_ablation and Gemstone-3072x12_cooldown: batch, a
  checkpoint every 477 updates, 350 or (at half the rate) 100 billion tokens, cooldowns of a linear decay to zero over a
  tenth of the tokens, from 10 to 90 billion on, of which `main` is the last; Gemma's blocks; licence.
- mcleish7/gemstone-scaling-laws: the shapes (plotters/model_styles.json), heads of 128, two of them to a head of keys
  and values, an MLP four times as wide, embedding and head apart (`param_counter` in plotters/plotting_utils.py), the
  names of revisions (benchmarks/bhagia_task_losses), step 83,475 of `main` (benchmarks/plot_lighteval.py).
- A cooldown's revision: step_00002385_cooldown_00002622 (a name in a notebook on runs of the marin project), the last
  update within 11 billion tokens; `main` ends where the same count puts 99 billion. Of the cooldowns between no source
  has a name, and they are left out, as is `main` of the runs at half the rate.

Unknown, and None: rates (the paper sets them by width and depth), the length of the warm-up, weight decay. The rate is
that of the stable phase from the first cooldown on.
"""

import dataclasses

from helpers.table.families.hub import HubFamily
from helpers.table.families.shapes import llama

SHAPES = (
    *((256, 23), (256, 27), (256, 71), (256, 80), (384, 13), (384, 36), (512, 11), (512, 12), (512, 13), (512, 14)),
    *((512, 16), (768, 3), (768, 45), (1024, 28), (1280, 15), (1280, 36), (1536, 50), (1792, 7), (1792, 18)),
    *((2048, 27), (2560, 8), (3072, 12)),
)
HEAD, BETWEEN, LAST, LAST_AT_HALF = 128, 477, 83_475, 23_850
COOLED = {2385: 2622, 21_465: 23_603}  # from an update on to another
TOKENS_PER_STEP = 2048 * 2048


def _run(width: int, depth: int) -> llama.LlamaRun:
    return llama.LlamaRun(
        model=f"Gemstone-{width}x{depth}",
        repository=f"tomg-group-umd/Gemstone-{width}x{depth}",
        n_layers=depth,
        d_model=width,
        d_mlp=4 * width,
        n_heads=width // HEAD,
        n_key_value_heads=width // HEAD // 2,
        vocabulary_size=50_304,
        tied=False,
        steps=tuple(range(BETWEEN, LAST + 1, BETWEEN)),
        tokens_per_step=TOKENS_PER_STEP,
        planned_tokens=LAST * TOKENS_PER_STEP,
        peak_learning_rate=None,
        weight_decay=None,
        schedule="constant",
    )


def _at_half(run: llama.LlamaRun) -> llama.LlamaRun:
    return dataclasses.replace(
        run,
        run=f"{run.model}_lr_ablation",
        repository=f"{run.repository}_lr_ablation",
        steps=tuple(range(BETWEEN, LAST_AT_HALF, BETWEEN)),
        planned_tokens=LAST_AT_HALF * TOKENS_PER_STEP,
    )


def _cooled(run: llama.LlamaRun, start: int) -> llama.LlamaRun:
    return dataclasses.replace(
        run,
        run=f"{run.model}_cooldown_{start}",
        repository=f"{run.repository}_cooldown",
        steps=(COOLED[start],),
        planned_tokens=COOLED[start] * TOKENS_PER_STEP,
        schedule="cooldown",
        branched_from=run.model,
        branched_at_step=start,
    )


def revision(run: llama.LlamaRun, step: int) -> str:
    """Return the revision of a step: `main` is the end of a run to 350 billion tokens, and of the last cooldown."""
    if step in (LAST, COOLED[max(COOLED)]):
        return "main"
    start = run.branched_at_step
    return f"step_{step:08d}" if start is None else f"step_{start:08d}_cooldown_{step:08d}"


def lr_phase(run: llama.LlamaRun, step: int) -> str | None:
    """Return the phase of a step: cooldowns leave the stable phase, so it has begun where the first one starts."""
    if run.branched_at_step is not None:
        return "decay"
    return "stable" if step >= min(COOLED) else None


RUNS = tuple(_run(width, depth) for width, depth in SHAPES)
FAMILIES = (
    HubFamily(
        "gemstones",
        (*RUNS, *map(_at_half, RUNS), *(_cooled(run, start) for run in RUNS for start in COOLED)),
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=lambda run, step: None if run.branched_at_step is None else 0.0,
        lr_phase=lr_phase,
        revision=revision,
        licence="Apache-2.0",
        source="https://github.com/mcleish7/gemstone-scaling-laws",
    ),
)
