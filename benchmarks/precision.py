"""Asks what TF32 and bfloat16 do to QiD: `python benchmarks/precision.py [CHECKPOINT_FOLDER ...]`.

GPTQ at 2, 3 and 4 bits, group 32, calibrated in float32 with three seeds and in the other dtypes with the first;
scored in float32, and the first seed's weights in the other dtypes too. A dtype is fit for a sweep where it moves QiD
less than another calibration seed does. The pocket family's middle and last checkpoints, and the folders named.
"""

import itertools
import statistics
import sys
from pathlib import Path

import torch

from helpers.measure.models import checkpoints
from helpers.measure.models.memory import default_budget
from helpers.measure.rounding.methods import gptq
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text import corpus_lock, token_blocks
from helpers.table.families import catalogue
from helpers.table.scheme import QuantScheme
from report import report

BITS = (2, 3, 4)
SEEDS = (0, 1, 2)
FAMILY = Path("data/tadpole")


def qid(checkpoint: Checkpoint, rounded: list, blocks: token_blocks.Blocks, dtype: str) -> list[float]:
    """Return QiD in nats of each rounded model, scored in `dtype`."""
    baseline, *others = evaluate.evaluate([checkpoint], [rounded], blocks, dtype, default_budget("cuda"))[0]
    return [other.loss_nats - baseline.loss_nats for other in others]


def rows_of(folder: Path) -> list[dict]:
    """Measure one checkpoint."""
    local = checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)
    checkpoint = Checkpoint(checkpoints.load(local, "cuda"), folder)
    lock, tokenizer = corpus_lock.read_lock(), checkpoints.tokenizer_of(folder)
    blocks = token_blocks.heldout_blocks(lock.evaluation, tokenizer, 512, 512)
    rounded, scored = {}, {}
    for dtype, seed in [("float32", seed) for seed in SEEDS] + [("tfloat32", 0), ("bfloat16", 0)]:
        text, _ = token_blocks.calibration_tokens(lock.calibration, tokenizer, 128, 512, seed)
        schemes = [
            QuantScheme("gptq", bits=b, group_size=32, symmetric=False, rel_damp=0.01, hessian_dtype=dtype)
            for b in BITS
        ]
        rounded[dtype, seed] = gptq.quantize([checkpoint], schemes, text, default_budget("cuda"))[0]
        scored[dtype, seed] = qid(checkpoint, rounded[dtype, seed], blocks, "float32")
    by_eval = {dtype: qid(checkpoint, rounded["float32", 0], blocks, dtype) for dtype in ("tfloat32", "bfloat16")}
    rows = []
    for i, bits in enumerate(BITS):
        seeds = [scored["float32", seed][i] for seed in SEEDS]
        reference = seeds[0]
        rows.append(
            {
                "work": f"{folder.parent.name} {folder.name}, {bits} bits",
                "qid_nats": reference,
                "between_two_seeds": statistics.mean(abs(a - b) for a, b in itertools.combinations(seeds, 2)),
                "rounding_in_tfloat32": scored["tfloat32", 0][i] - reference,
                "rounding_in_bfloat16": scored["bfloat16", 0][i] - reference,
                "scoring_in_tfloat32": by_eval["tfloat32"][i] - reference,
                "scoring_in_bfloat16": by_eval["bfloat16"][i] - reference,
            }
        )
    return rows


def main(folders: list[str]) -> None:
    """Measure the folders named, or the pocket family's last and middle checkpoints."""
    specs = catalogue.read_manifest(FAMILY)
    steps = sorted({spec.step for spec in specs})
    chosen = [spec.location for spec in specs if spec.step in (steps[len(steps) // 2], steps[-1])]
    report("precision", [row for folder in [*chosen, *folders] for row in rows_of(Path(folder))])


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("benchmarks/precision.py needs a CUDA device")
    main(sys.argv[1:])
