"""What every benchmark shares: who measured, and a table that is printed and kept as JSON."""

import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def machine() -> dict:
    """Return processor, cores, versions, date and commit."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.machine())
    asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    commit = os.environ.get("QID_COMMIT", asked)  # named where the checkout has no git
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "gpu": _gpu_name(),
        "python": platform.python_version(),
        "versions": _versions("torch", "triton", "transformers", "auto_gptq"),
        "date": datetime.date.today().isoformat(),
        "commit": commit or None,
    }


def _gpu_name() -> str | None:
    """Return the GPU that a benchmark has used, if it has."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None


def _versions(*names: str) -> dict[str, str]:
    """Return the versions of those packages that are there."""
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def report(name: str, rows: list[dict]) -> None:
    """Print `rows` as a table and keep them."""
    printed(name, rows)
    keep(name, rows)


def printed(title: str, rows: list[dict]) -> None:
    """Print `rows` as a table."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=140).print(table)


def keep(name: str, rows: list[dict]) -> None:
    """Write `rows` with the machine's description to benchmarks/results/<name>.json."""
    _write(name, {"benchmark": name, "machine": machine(), "rows": rows})


def merge(name: str, rows: list[dict], key: Sequence[str]) -> None:
    """Write `rows` beside those that are kept already, in place of any with the same values of `key`.

    Every row says when it was measured and by which commit; the machine is that of the last ones.
    """
    described = machine()
    new = [row | {"date": described["date"], "commit": described["commit"]} for row in rows]
    replaced = [[row.get(each) for each in key] for row in new]
    before = [row for row in _kept(name)["rows"] if [row.get(each) for each in key] not in replaced]
    _write(name, {"benchmark": name, "machine": described, "rows": before + new})


def fill_ratios() -> None:
    """Say in engine.json how many times faster each work is than the best peer that did the same on the same device.

    The peers' seconds are those of peers_cuda.json and of nowhere else; null where no peer has done the work.
    """
    peers, engine = _kept("peers_cuda"), _kept("engine")
    for row in engine["rows"]:
        best = best_peer_seconds(peers["rows"], row) if row.get("whole_work") else None
        row["ratio_to_best_peer"] = best and best / row["seconds_per_quantized_checkpoint"]
    if engine["rows"]:
        _write("engine", engine)


def kept_rows(name: str) -> list[dict]:
    """Return the rows of benchmarks/results/<name>.json, none where it isn't there."""
    return _kept(name)["rows"]


def rewrite(name: str, rows: list[dict]) -> None:
    """Write rows in place of the kept ones, whose machine stays: for what is computed of them again."""
    _write(name, _kept(name) | {"rows": rows})


def best_peer_seconds(peers: list[dict], row: dict) -> float | None:
    """Return the fewest seconds a rounded checkpoint took another program that did this row's work on its device."""
    seconds = [
        each["seconds_per_quantized_checkpoint"]
        for each in peers
        if (each["work"], each["device"]) == (row["work"], row["gpu"]) and each["program"] != "ours"
    ]
    return min((each for each in seconds if each is not None), default=None)


def _kept(name: str) -> dict:
    """Return what benchmarks/results/<name>.json holds, nothing where it isn't there."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"benchmark": name, "rows": []}


def _write(name: str, content: dict) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
