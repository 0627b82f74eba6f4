"""DataDecide (Magnusson et al. 2025, arXiv 2504.11393): 14 sizes on each of 25 texts, small ones by three seeds.

Sources:

- allenai/DataDecide: sizes, batches in sequences of 2048 tokens, number of updates and parameters with the output head
  (scaling_laws/utils/constants/constants_models.py), names of repositories (release/repo_names.txt) and of revisions
  (release/check_repo_status.py), a checkpoint every 1250 updates (checkpoints/weka_paths.jsonl), where the runs end
  (release/final_weka_paths.txt), licence (release/model_card.md).
- scripts/ladder.py of allenai/OLMo, branch DataDecide, as the package datadec carries it on: layers, widths, heads, the
  peak rate 0.0047 (size / 1.08e8)^(-1/3), a cosine to a hundredth of it; an embedding of 50,304 rows, the head apart,
  norms with gains, an MLP four times as wide. These shapes give the numbers of parameters above exactly (a test).

What a law should know: the seeds called small-aux-2 and 3 are 14 and 15; that called default is 6198 by the script that
names revisions and 2 by the folders from 150M up, so None. From 300M on the other seeds stop early and are left out. Of
some texts 4M, 20M and 60M end ten or twenty updates later than the table of updates says. Where sources disagree on the
end, which is of 530M and of the texts and sizes in `ENDS_ELSEWHERE`, it is left out.

Unknown, and None: rates before the end, for the sources read the length of the warm-up in two ways, thousands of
updates apart (`lr_phase` says decay after the later one); weight decay.

The repositories hold OLMo's own layout (hf_olmo), with queries, keys and values in one matrix, up and gate projection
in another, which `measure/models/hub/hf_olmo.py` takes apart. `linear_shapes` are Llama's, as what is computed.
"""

from dataclasses import dataclass

from helpers.table.families.hub import HubFamily
from helpers.table.families.shapes import llama

TEXTS = (
    *("dolma1_7", "dolma1_7-no-code", "dolma1_7-no-math-code", "dolma1_7-no-reddit", "dolma1_7-no-flan"),
    *("dolma1_6plus", "c4", "fineweb-pro", "fineweb-edu", "falcon", "falcon-and-cc", "falcon-and-cc-qc-10p"),
    *("falcon-and-cc-qc-20p", "falcon-and-cc-qc-orig-10p", "falcon-and-cc-qc-tulu-10p", "dclm-baseline"),
    *("dclm-baseline-qc-10p", "dclm-baseline-qc-20p", "dclm-baseline-qc-7p-fw2", "dclm-baseline-qc-7p-fw3"),
    *("dclm-baseline-qc-fw-3p", "dclm-baseline-qc-fw-10p", "dclm-baseline-25p-dolma1.7-75p"),
    *("dclm-baseline-50p-dolma1.7-50p", "dclm-baseline-75p-dolma1.7-25p"),
)
# Name, size as the rate's rule has it, layers, width, heads, sequences an update, updates of the whole run
SIZES = (
    ("4M", 3_744_832, 8, 64, 8, 32, 5725),
    ("6M", 6_010_464, 8, 96, 8, 32, 9182),
    ("8M", 8_538_240, 8, 128, 8, 32, 13_039),
    ("10M", 9_900_432, 8, 144, 8, 32, 15_117),
    ("14M", 14_380_224, 8, 192, 8, 32, 21_953),
    ("16M", 16_004_560, 8, 208, 8, 32, 24_432),
    ("20M", 19_101_888, 16, 192, 8, 64, 14_584),
    ("60M", 57_078_144, 16, 384, 12, 96, 29_042),
    ("90M", 97_946_640, 16, 528, 12, 160, 29_901),
    ("150M", 150_000_000, 12, 768, 12, 192, 38_157),
    ("300M", 300_000_000, 16, 1024, 16, 320, 45_787),
    ("530M", 530_000_000, 16, 1344, 16, 448, 57_786),
    ("750M", 750_000_000, 16, 1536, 16, 576, 63_589),
    ("1B", 1_000_000_000, 16, 2048, 16, 704, 69_369),
)
SEEDED = 10  # sizes whose three seeds all reach the end
SEEDS = {"default": None, "small-aux-2": 14, "small-aux-3": 15}
SEQUENCE, BETWEEN = 2048, 1250
ENDS_ELSEWHERE = {
    "falcon-and-cc-qc-orig-10p": ("150M",),
    "dclm-baseline-qc-10p": ("150M", "300M", "750M"),
    "dclm-baseline-qc-20p": ("150M", "300M", "750M"),
    "dclm-baseline-qc-fw-10p": ("750M",),
}


@dataclass(frozen=True, kw_only=True)
class DataDecideRun(llama.LlamaRun):
    """A run on one of the texts: `seed` is its name in revisions, `warm_by` the later reading of its warm-up's end."""

    seed: str
    last_step: int
    warm_by: float
    tied: bool = False
    vocabulary_size: int = 50_304
    weight_decay: float | None = None
    schedule: str | None = "cosine"


def _run(text: str, row: int, seed: str) -> DataDecideRun:
    size, nominal, n_layers, d_model, n_heads, batch, last = SIZES[row]
    ends = size != "530M" and size not in ENDS_ELSEWHERE.get(text, ())
    model = f"DataDecide-{text}-{size}"
    return DataDecideRun(
        model=model,
        run=None if seed == "default" else f"{model}-{seed}",
        repository=f"allenai/{model}",
        n_layers=n_layers,
        d_model=d_model,
        d_mlp=4 * d_model,
        n_heads=n_heads,
        n_key_value_heads=n_heads,
        steps=(*range(0, last, BETWEEN), *((last,) if ends else ())),
        tokens_per_step=batch * SEQUENCE,
        planned_tokens=last * batch * SEQUENCE,
        peak_learning_rate=0.0047 * (nominal / 1.08e8) ** (-1 / 3),
        train_seed=SEEDS[seed],
        seed=seed,
        last_step=last,
        warm_by=nominal / batch**2,
    )


def learning_rate(run: DataDecideRun, step: int) -> float | None:
    """Return the learning rate of the update that made `step`: of the first and the last alone, see above."""
    if run.peak_learning_rate is None or step not in (0, run.last_step):
        return None
    return 0.01 * run.peak_learning_rate if step else 0.0


FAMILIES = (
    HubFamily(
        "datadecide",
        tuple(
            _run(text, row, seed)
            for text in TEXTS
            for row in range(len(SIZES))
            for seed in SEEDS
            if row < SEEDED or seed == "default"
        ),
        n_params_total=lambda run: llama.llama_n_params_non_embedding(run) + llama.n_params_of_embeddings(run),
        n_params_non_embedding=llama.llama_n_params_non_embedding,
        linear_shapes=llama.llama_linear_shapes,
        learning_rate=learning_rate,
        lr_phase=lambda run, step: "decay" if step > run.warm_by else None,
        revision=lambda run, step: f"step{step}-seed-{run.seed}",
        licence="Apache-2.0",
        source="https://github.com/allenai/DataDecide",
    ),
)
