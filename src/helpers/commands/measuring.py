"""The commands that measure: `qid sweep`, `qid search`, `qid study`, `qid checkpoints`."""

from pathlib import Path
from typing import Annotated

import typer

from helpers.commands.console import Device, MemoryGib, add, console, end_with, in_bytes
from helpers.measure.sweep.places import Places

USUAL = Places()


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command in (sweep, search, study, checkpoints):
        add(app, command)


def sweep(
    sweep_file: Annotated[Path, typer.Argument(help="The sweep's YAML.")],
    device: Device = "cpu",
    table: Annotated[Path, typer.Option(help="The table to write.")] = USUAL.measurements,
    records: Annotated[Path, typer.Option(help="Where records go, one a measurement.")] = USUAL.records,
    memory_gib: MemoryGib = None,
) -> None:
    """Measure what a sweep declares and the table doesn't hold yet."""
    from helpers.measure.sweep.run import run_sweep

    report = run_sweep(sweep_file, device, Places(table, records), console, in_bytes(memory_gib))
    console.print(f"{table}: {report.n_measured} rows measured, {report.n_present} already there")
    end_with(report.failures, "not measured")


def search(
    sweep_file: Annotated[Path, typer.Argument(help="The sweep's YAML, with parts that say `search`.")],
    device: Device = "cpu",
    table: Annotated[Path, typer.Option(help="The table of measurements, for recipes.")] = USUAL.measurements,
    trials: Annotated[Path, typer.Option(help="The table of trials to write.")] = USUAL.trials,
    records: Annotated[Path, typer.Option(help="Where records of recipes go.")] = USUAL.records,
    trial_records: Annotated[Path, typer.Option(help="Where finished searches go.")] = USUAL.trial_records,
    memory_gib: MemoryGib = None,
) -> None:
    """Search which matrices can go to low precision, and measure the recipes found."""
    from helpers.measure.sweep.search_run import run_search

    places = Places(table, records, trials, trial_records)
    report = run_search(sweep_file, device, places, console, in_bytes(memory_gib))
    console.print(f"{trials}: {report.n_searched} searches made, {report.n_present} already there")
    console.print(f"{table}: {report.n_recipes} rows measured")
    end_with(report.failures, "not searched")


def study(
    sweep_file: Annotated[Path, typer.Argument(help="The study's YAML; train-FAMILY.yml lie beside it.")],
    unit: Annotated[list[str], typer.Argument(help="What to train and measure, in order: FAMILY/MODEL ...")],
    device: Device = "cuda",
    families: Annotated[Path, typer.Option(help="Where trained families go, a folder each.")] = Path(".cache"),
    table: Annotated[Path, typer.Option(help="The table of measurements to write.")] = USUAL.measurements,
    checkpoint_table: Annotated[Path, typer.Option(help="The table of checkpoints to write.")] = USUAL.checkpoints,
    records: Annotated[Path, typer.Option(help="Where records go, one a measurement.")] = USUAL.records,
    trials: Annotated[
        Path, typer.Option(help="The table of trials to write, where the sweep has searches.")
    ] = USUAL.trials,
    trial_records: Annotated[Path, typer.Option(help="Where finished searches go.")] = USUAL.trial_records,
    memory_gib: MemoryGib = None,
) -> None:
    """Train models, measure them and search them, unit by unit, each while the next is trained."""
    from helpers.measure.study import Study, run_study
    from helpers.measure.training.unit import Unit

    places = Places(table, records, trials, trial_records, checkpoint_table)
    declared = Study(sweep_file, device, places, in_bytes(memory_gib))
    failures = run_study(declared, [Unit.parse(text, families) for text in unit], console)
    end_with(failures, "not measured")


def checkpoints(
    family: Annotated[Path, typer.Argument(help="A trained family's folder.")],
    table: Annotated[Path, typer.Option(help="The table to write.")] = Path("results/checkpoints.parquet"),
    device: Device = "cpu",
) -> None:
    """Describe a family's checkpoints apart from any rounding: weights, activations, curvature."""
    from helpers.measure.describing.checkpoint_rows import describe_family

    report = describe_family(family, table, device, console)
    console.print(f"{table}: {report.n_described} rows made, {report.n_present} already there")
    end_with(report.failures, "not described")
