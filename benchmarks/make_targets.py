"""Times what a newcomer types, in a fresh clone with an environment of its own: `python benchmarks/make_targets.py`.

Order: make env (package download), make book, make book again, make test. Some twelve minutes.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import report

STEPS = (
    ("make env (package download)", "env", None),
    ("make book, first", "book", 600),
    ("make book, nothing changed", "book", 15),
    ("make test", "test", 600),
)


def timed(target: str, folder: Path) -> float:
    """Run a target in a clone; return its wall time."""
    left_out = ("VIRTUAL_ENV", "MAKEFLAGS", "PYTHONPATH")
    clean = {name: value for name, value in os.environ.items() if name not in left_out}
    started = time.perf_counter()
    subprocess.run(["make", target], cwd=folder, check=True, env=clean, stdout=sys.stderr)
    return time.perf_counter() - started


def main() -> None:
    """Clone the commit that is checked out here, run the targets, report."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["git", "clone", "--quiet", ".", name], check=True)
        rows = [
            {"work": work, "seconds": timed(target, Path(name)), "goal_seconds": goal} for work, target, goal in STEPS
        ]
    report("make_targets", rows)


if __name__ == "__main__":
    main()
