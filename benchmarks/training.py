"""Times training on a GPU: `python benchmarks/training.py [sweeps/train-NAME.yml ...] [--model NAME ...]`.

Each model of the plans makes updates on random tokens; tokens a second are the median over lots of updates, and what
the first update costs beside (compiling, capturing) stands apart.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from engine import matmul_peak
from helpers.measure.training.plan import Run, TrainingPlan, read_plan
from helpers.measure.training.trainer import Batches, Trainer
from report import keep, report

LOTS, UPDATES = 5, 20
VOCABULARY_SIZE = 1024


def row(plan: TrainingPlan, run: Run, peak: float) -> dict:
    """Time one model."""
    tokens = torch.randint(0, VOCABULARY_SIZE, (2**24,), generator=torch.Generator().manual_seed(0))
    batches = Batches(tokens.to("cuda", torch.int16), plan.batch_sequences, plan.seq_len, seed=0)
    trainer = Trainer(plan, run, "cuda", VOCABULARY_SIZE, "")
    started = time.perf_counter()
    trainer.advance(batches.batch(1))
    torch.cuda.synchronize()
    first = time.perf_counter() - started
    seconds = []
    for _ in range(LOTS):
        started = time.perf_counter()
        for _ in range(UPDATES):
            trainer.advance(batches.batch(trainer.step + 1))
        torch.cuda.synchronize()
        seconds.append((time.perf_counter() - started) / UPDATES)
    update = statistics.median(seconds)
    flops = plan.flops(run, VOCABULARY_SIZE) / plan.n_updates(run)
    return {
        "work": f"{run.model.name}: {plan.batch_sequences} x {plan.seq_len} tokens an update",
        "n_params_non_embedding": run.model.n_params_non_embedding,
        "tokens_per_second": plan.tokens_per_step / update,
        "seconds_per_update": update,
        "seconds_first_update": first,
        "share_of_matmul_peak": flops / update / peak,
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def main() -> None:
    """Time the models of the plans named, by default the trunk's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plans", nargs="*", type=Path, default=[Path("sweeps/train-tadpole-trunk.yml")])
    parser.add_argument("--model", action="append")
    asked = parser.parse_args()
    peak, rows = matmul_peak(torch.bfloat16), []
    for plan in map(read_plan, asked.plans):
        for run in plan.runs():
            if asked.model is None or run.model.name in asked.model:
                torch.cuda.reset_peak_memory_stats()
                rows.append(row(plan, run, peak))
                print(rows[-1], flush=True)
                keep("training", rows)
    report("training", rows)


if __name__ == "__main__":
    main()
