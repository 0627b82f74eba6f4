"""Results that `benchmarks/` last wrote: a table and who measured it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers.table.errors import ResultsError
from helpers.table.readers import read_json_mapping

FOLDER = Path("benchmarks/results")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark's rows, and its machine, versions, date and commit in a line for people."""

    rows: pd.DataFrame
    measured: str


def read(name: str, folder: Path = FOLDER) -> Benchmark:
    """Read `folder/<name>.json`. Raises ResultsError when it is missing or isn't a benchmark's."""
    path = folder / f"{name}.json"
    try:
        content = read_json_mapping(path)
        machine = content["machine"]
        versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
        device = machine.get("gpu") or f"{machine['processor']}, {machine['cores']} cores"
        measured = f"{device}; {versions}; {machine['date']}, commit {(machine['commit'] or 'unknown')[:7]}"
        return Benchmark(pd.DataFrame(content["rows"]), measured)
    except FileNotFoundError:
        raise ResultsError(f"{path}: missing; `python benchmarks/{name}.py` writes it") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"{path}: not what a benchmark writes ({error})") from None


def read_if_run(name: str, folder: Path = FOLDER) -> Benchmark | None:
    """Return what `read` does, None where the command has never been run. Raises ResultsError for another file."""
    return read(name, folder) if (folder / f"{name}.json").exists() else None
