"""Times the pocket sweep from nothing, and our GPTQ beside auto-gptq: `python benchmarks/pocket_sweep.py`.

Every sweep runs in a process of its own, start-up and imports included. `goal_seconds` and `goal_gib` are what the
project promises on two cores.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from report import report

GOAL_SECONDS, GOAL_GIB = 300, 4


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
    return time.perf_counter() - started, pq.read_table(table).to_pylist()


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as name:
        seconds, rows = sweep("pocket", Path(name))
        peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        _, crosscheck = sweep("crosscheck", Path(name))
    quantized = [row for row in rows if row["method"] != "none"]
    shown = [
        {
            "work": f"pocket sweep: {len({r['checkpoint_id'] for r in rows})} checkpoints, {len(rows)} rows",
            "seconds": seconds,
            "seconds_per_quantized_checkpoint": seconds / len(quantized),
            "peak_memory_gib": peak_gib,
            "goal_seconds": GOAL_SECONDS,
            "goal_gib": GOAL_GIB,
        }
    ]
    for method in ("gptq", "autogptq"):
        walls = [row["wall_seconds"] for row in crosscheck if row["method"] == method]
        shown.append(
            {
                "work": f"{method}, one checkpoint, {len(walls)} schemes (rounding, start of a child, evaluation)",
                "seconds": sum(walls),
                "seconds_per_quantized_checkpoint": sum(walls) / len(walls),
                "peak_memory_gib": None,
                "goal_seconds": None,
                "goal_gib": None,
            }
        )
    report("pocket_sweep", shown)


if __name__ == "__main__":
    main()
