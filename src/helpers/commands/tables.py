"""The commands about tables: `qid gather`, `qid status`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from helpers.commands.console import add, console, print_table


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command in (gather, status):
        add(app, command)


def gather(
    tables: Annotated[list[Path], typer.Argument(help="Tables, or folders of records that a kill left.")],
    table: Annotated[Path, typer.Option(help="The table to join them into.")] = Path("results/measurements.parquet"),
) -> None:
    """Join measurements made on several machines into one table."""
    from helpers.table.files import gather as join

    console.print(f"{table}: {join(tables, table)} rows")


def status(
    table: Annotated[Path, typer.Option(help="The table of measurements.")] = Path("results/measurements.parquet"),
    checkpoints: Annotated[Path, typer.Option(help="The table of checkpoints, if there is one.")] = Path(
        "results/checkpoints.parquet"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count what the tables hold, each thing once."""
    from helpers.analyse.rows.counts import count
    from helpers.table import files

    measured = files.read_table(table).to_pandas()
    described = files.read_checkpoints(checkpoints).to_pandas() if checkpoints.exists() else None
    counts = dataclasses.asdict(count(measured, described))
    if as_json:
        print(json.dumps(counts))
        return
    lines = Table(box=None, show_header=False)
    for name, value in counts.items():
        lines.add_row(name.replace("_", " "), _in_words(value))
    print_table(lines)


def _in_words(value: int | dict[str, int] | tuple[int | str, ...]) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n:,} {name}" for name, n in value.items())
    if isinstance(value, tuple):
        return "; ".join(f"{each:,}" if isinstance(each, int) else each for each in value)
    return f"{value:,}"
