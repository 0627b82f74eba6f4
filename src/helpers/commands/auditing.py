"""The command that audits: `qid audit`, a family's checkpoints by what the Hub lists of them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from helpers.commands.console import add, console


def register(app: typer.Typer) -> None:
    """Add the command to the `qid` command."""
    add(app, audit)


def audit(
    family: Annotated[str, typer.Argument(help="A family on the Hub, such as pythia, or a trained family's folder.")],
    model: Annotated[list[str] | None, typer.Option(help="Only these models.")] = None,
    run: Annotated[list[str] | None, typer.Option(help="Only these training runs.")] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for the dated page and its JSON.")] = None,
    table: Annotated[Path, typer.Option(help="Measurements whose losses are looked at.")] = Path(
        "results/measurements.parquet"
    ),
    checkpoints: Annotated[Path, typer.Option(help="Checkpoints whose weights' sizes are looked at.")] = Path(
        "results/checkpoints.parquet"
    ),
    since: Annotated[Path | None, typer.Option(help="An earlier audit's JSON: what was replaced since?")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find checkpoints that aren't what they are called: equal, mixed, missing, off their run's curve.

    No weights are downloaded. Exit code 1 where something is found that nothing explains.
    """
    from helpers.measure.auditing import audit as auditing
    from helpers.measure.auditing import earlier, page
    from helpers.table import disk

    if report is not None:
        disk.refuse_unwritable(report / "audit.json")
    before = None if since is None else earlier.read(since)
    found = auditing.audit(family, model, run, (table, checkpoints), console, before)
    if as_json:
        print(json.dumps(page.as_json(found), allow_nan=False))
    else:
        for finding in found.findings:
            console.print(finding.line, style="red" if finding.explained is None else "dim")
        console.print(page.summary(found))
    if report is not None:
        for path in page.write(found, report):
            console.print(f"{path}: written")
    if found.unexplained:
        raise typer.Exit(1)
