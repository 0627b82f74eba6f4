"""Times the pocket sweep, and the same work by auto-gptq and a plain evaluation: `python benchmarks/pocket_sweep.py`.

Our sweep runs in a process of its own, start-up and imports included. The peer rounds and scores the last checkpoint
of each size, and its time is scaled to all of them. Its rounding is auto-gptq as released, at 2, 3 and 4 bits, the
start of its process and its imports taken off; its scoring is transformers' forward pass and cross-entropy, one model
after the other; round-to-nearest costs it nothing.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from helpers.measure.models import checkpoints, memory
from helpers.measure.rounding.methods import autogptq, gptq
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.text import corpus_lock, token_blocks
from helpers.table.families import catalogue
from helpers.table.files import read_table
from helpers.table.scheme import QuantScheme
from report import report

GOAL_SECONDS, GOAL_GIB = 180, 2
BITS = (2, 3, 4)
MICRO_BATCH = 8  # the fastest of 4, 8 and 16 for a plain forward pass on two cores


def sweep(name: str, folder: Path) -> tuple[float, list[dict]]:
    """Run a sweep from nothing; return its wall time and its rows."""
    table = folder / f"{name}.parquet"
    command = [sys.executable, "-m", "helpers.cli", "sweep", f"sweeps/{name}.yml"]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--table", str(table), "--records", str(folder / name)],
        check=True,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
    )
    return time.perf_counter() - started, read_table(table).to_pylist()


def seconds(work) -> float:
    """Return the wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@torch.no_grad()
def score_plainly(model, tokens: torch.Tensor) -> float:
    """Return the mean loss of a model as transformers computes it."""
    losses = []
    for batch in tokens.split(MICRO_BATCH):
        logits = model(batch[:, :-1], use_cache=False).logits
        losses.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()))
    return statistics.mean(loss.item() for loss in losses)


def one_size(spec) -> dict[str, float]:
    """Time ours and the peer's rounding at all bit widths, and a plain evaluation, on one checkpoint."""
    local = checkpoints.fetch(spec)
    checkpoint = Checkpoint(checkpoints.load(local, "cpu"), local.folder)
    lock, tokenizer = corpus_lock.read_lock(), checkpoints.tokenizer_of(local.folder)
    text, _ = token_blocks.calibration_tokens(lock.calibration, tokenizer, 32, 512, 0)
    tokens = token_blocks.heldout_blocks(lock.evaluation, tokenizer, 128, 512).tokens
    schemes = [QuantScheme("gptq", bits=b, group_size=32, symmetric=False, rel_damp=0.01) for b in BITS]
    refused = [QuantScheme("autogptq", bits=5, group_size=32, symmetric=False, rel_damp=0.01)]  # at once: it has no 5
    start_up = seconds(lambda: autogptq.quantize([checkpoint], refused, text[:1], 0))
    return {
        "ours": seconds(lambda: gptq.quantize([checkpoint], schemes, text, memory.CPU_BYTES)),
        "peer": seconds(lambda: autogptq.quantize([checkpoint], schemes, text, 0)) - start_up,
        "scoring": seconds(lambda: score_plainly(checkpoint.model, tokens)),
    }


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as name:
        whole, rows = sweep("pocket", Path(name))
        peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    specs = catalogue.read_manifest(Path("data/tadpole"))
    last = [spec for spec in specs if spec.step == max(each.step for each in specs)]
    times = [one_size(spec) for spec in last]
    ours, peer, scoring = (sum(each[key] for each in times) for key in ("ours", "peer", "scoring"))
    n_steps = len(specs) / len(last)
    n_scored = 1 + 2 * len(BITS)
    peer_whole = n_steps * (peer + n_scored * scoring)
    n_quantized = sum(row["method"] != "none" for row in rows)
    table = [
        ("pocket sweep, ours, start-up included", whole, n_quantized, peer_whole / whole, peak_gib, GOAL_SECONDS),
        ("pocket sweep, auto-gptq + plain evaluation, start-up left out", peer_whole, n_quantized, 1.0, None, None),
        ("GPTQ alone, ours", n_steps * ours, n_quantized / 2, peer / ours, None, None),
        ("GPTQ alone, auto-gptq", n_steps * peer, n_quantized / 2, 1.0, None, None),
        ("plain evaluation of one pass, all checkpoints", n_steps * scoring, len(specs), None, None, None),
    ]
    report(
        "pocket_sweep",
        [
            {
                "work": f"{work}: {len(specs)} checkpoints",
                "seconds": total,
                "seconds_per_quantized_checkpoint": total / count,
                "ratio_to_best_peer": ratio,
                "peak_memory_gib": peak,
                "goal_seconds": goal,
                "goal_gib": GOAL_GIB if peak else None,
            }
            for work, total, count, ratio, peak, goal in table
        ],
    )


if __name__ == "__main__":
    main()
