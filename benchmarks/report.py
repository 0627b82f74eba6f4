"""What every benchmark shares: who measured, and a table that is printed and kept as JSON."""

import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
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
    table = Table(title=name)
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=140).print(table)
    keep(name, rows)


def keep(name: str, rows: list[dict]) -> None:
    """Write `rows` with the machine's description to benchmarks/results/<name>.json."""
    RESULTS.mkdir(exist_ok=True)
    content = {"benchmark": name, "machine": machine(), "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
