"""Times the pocket sweep, and the same work by two peers and a plain evaluation: `python benchmarks/pocket_sweep.py`.

Our sweep runs in a process of its own, start-up and imports included. A peer rounds the last checkpoint of each size,
and its time is scaled to all of them: auto-gptq as released, and GPTQModel of .venv-peers (`make peers`), tuned, at 2,
3 and 4 bits, the start of their processes taken off. Scoring is for both transformers' forward pass and cross-entropy,
one model after the other; round-to-nearest costs them nothing. A peer that isn't there is a row with its reason.
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
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import QuantizationError
from helpers.table.families import catalogue
from helpers.table.files import read_table
from helpers.table.scheme import QuantScheme
from peers_cuda import timed
from report import report

GOAL_SECONDS, GOAL_GIB = 180, 2
BITS, GROUP_SIZE, REL_DAMP = (2, 3, 4), 32, 0.01
AUTO_GPTQ, GPTQ_MODEL = "auto-gptq", "GPTQModel tuned"
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


def one_size(spec: CheckpointSpec) -> dict[str, float | str]:
    """Time ours and the peers' rounding at all bit widths, and a plain evaluation, on one checkpoint.

    A peer that can't do it has its reason in place of seconds.
    """
    local = checkpoints.fetch(spec)
    checkpoint = Checkpoint(checkpoints.load(local, "cpu"), local.folder)
    lock, tokenizer = corpus_lock.read_lock(), checkpoints.tokenizer_of(local.folder)
    text, _ = token_blocks.calibration_tokens(lock.calibration, tokenizer, 32, 512, 0)
    tokens = token_blocks.heldout_blocks(lock.evaluation, tokenizer, 128, 512).tokens
    schemes = [QuantScheme("gptq", bits=b, group_size=GROUP_SIZE, symmetric=False, rel_damp=REL_DAMP) for b in BITS]
    return {
        "ours": seconds(lambda: gptq.quantize([checkpoint], schemes, text, memory.CPU_BYTES)),
        AUTO_GPTQ: seconds_of_autogptq(checkpoint, text),
        GPTQ_MODEL: seconds_of_gptqmodel(local.folder, text, tokens),
        "scoring": seconds(lambda: score_plainly(checkpoint.model, tokens)),
    }


def seconds_of_autogptq(checkpoint: Checkpoint, text: torch.Tensor) -> float | str:
    """Return the seconds that auto-gptq takes at all bit widths but for its process's start, or why there are none."""
    schemes = [
        QuantScheme("autogptq", bits=b, group_size=GROUP_SIZE, symmetric=False, rel_damp=REL_DAMP) for b in (5, *BITS)
    ]
    start_up = seconds(lambda: autogptq.quantize([checkpoint], schemes[:1], text[:1], 0))  # at once: it has no 5 bits
    started = time.perf_counter()
    (answers,) = autogptq.quantize([checkpoint], schemes[1:], text, 0)
    whole = time.perf_counter() - started - start_up
    return next((str(answer) for answer in answers if isinstance(answer, QuantizationError)), whole)


def seconds_of_gptqmodel(folder: Path, text: torch.Tensor, tokens: torch.Tensor) -> float | str:
    """Return the seconds that GPTQModel, tuned, takes at all bit widths, or why there are none."""
    request = {
        "folder": str(folder.resolve()),
        "warm_up": str(folder.resolve()),
        "device": "cpu",
        "schemes": list(BITS),
        "group_size": GROUP_SIZE,
        "rel_damp": REL_DAMP,
        "threads": torch.get_num_threads(),
    }
    answer = timed(GPTQ_MODEL, request, {"calibration": text, "evaluation": tokens[:MICRO_BATCH]})
    reasons = [answer["reason"], *(row["reason"] for row in answer.get("rows", []))]
    n_missing = len(BITS) - len(answer.get("rows", []))
    reasons.append(f"{n_missing} of {len(BITS)} schemes not begun in time" if n_missing else None)
    whole = sum(row.get("seconds_quantize", 0.0) for row in answer.get("rows", []))
    return next((reason for reason in reasons if reason), whole)


def row(
    work: str, total: float | str, n_quantized: float | None, ratio: float | None = None, peak_gib: float | None = None
) -> dict:
    """Return one line of the table; `total` is seconds, or the reason why there are none."""
    there = not isinstance(total, str)
    return {
        "work": work,
        "seconds": total if there else None,
        "seconds_per_quantized_checkpoint": total / n_quantized if there and n_quantized else None,
        "ratio_to_best_peer": ratio,
        "peak_memory_gib": peak_gib,
        "goal_seconds": GOAL_SECONDS if peak_gib else None,
        "goal_gib": GOAL_GIB if peak_gib else None,
        "reason": None if there else total,
    }


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as name:
        whole, rows = sweep("pocket", Path(name))
        peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    specs = catalogue.read_manifest(Path("data/tadpole"))
    last = [spec for spec in specs if spec.step == max(each.step for each in specs)]
    n_steps, n_scored = len(specs) / len(last), 1 + 2 * len(BITS)
    times = [one_size(spec) for spec in last]
    totals = {key: total_of([each[key] for each in times], n_steps) for key in times[0]}
    scoring, ours = totals["scoring"], totals["ours"]
    alone = {name: totals[name] for name in (AUTO_GPTQ, GPTQ_MODEL)}
    sweeps = {name: each if isinstance(each, str) else each + n_scored * scoring for name, each in alone.items()}
    n_quantized = sum(row["method"] != "none" for row in rows)
    table = [
        row("pocket sweep, ours, start-up included", whole, n_quantized, ratio_to_best(sweeps, whole), peak_gib),
        *(
            row(f"pocket sweep, {name} + plain evaluation, start-up left out", sweeps[name], n_quantized)
            for name in sweeps
        ),
        row("GPTQ alone, ours", ours, n_quantized / 2, ratio_to_best(alone, ours)),
        *(row(f"GPTQ alone, {name}", alone[name], n_quantized / 2) for name in alone),
        row("plain evaluation of one pass, all checkpoints", scoring, None),
    ]
    report("pocket_sweep", [each | {"work": f"{each['work']}: {len(specs)} checkpoints"} for each in table])


def total_of(each: list[float | str], n_steps: float) -> float | str:
    """Return the seconds of all checkpoints from those of the last ones, or the first reason why there are none."""
    return next((reason for reason in each if isinstance(reason, str)), None) or n_steps * sum(each)


def ratio_to_best(peers: dict[str, float | str], ours: float) -> float | None:
    """Return how many times as long as ours the fastest peer takes, None where none did it."""
    return min((each / ours for each in peers.values() if not isinstance(each, str)), default=None)


if __name__ == "__main__":
    main()
