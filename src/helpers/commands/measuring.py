"""The commands that measure: `qid sweep`, `qid search`, `qid study`, `qid checkpoints`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from helpers.commands.console import Device, DiskBudget, MemoryGib, add, console, end_with, in_bytes
from helpers.measure.sweep.places import Places
from helpers.table.errors import SpecError

if TYPE_CHECKING:
    from helpers.measure.cluster.clusters import Cluster

USUAL = Places()
Where = Annotated[
    str | None,
    typer.Option(
        help="Measure on Dask's workers: local, ssh, slurm, or a scheduler's tcp://HOST:PORT. Searches stay here."
    ),
]
Workers = Annotated[int | None, typer.Option(help="How many workers, local or of slurm. By default one a GPU or core.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="A host of ssh: NAME, or NAME:WORKERS.")]
Shared = Annotated[
    str | None,
    typer.Option(help="Where workers that share no folder put records: s3://BUCKET/FOLDER, gs:// or abfs://."),
]


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
    disk_budget: DiskBudget = None,
    cluster: Where = None,
    workers: Workers = None,
    host: Hosts = None,
    shared: Shared = None,
) -> None:
    """Measure what a sweep declares and the table doesn't hold yet, here or on a cluster."""
    from helpers.measure.cluster.run import run_sweep_on
    from helpers.measure.sweep.run import run_sweep

    asked, places, memory_bytes = _cluster(cluster, workers, host, shared), Places(table, records), in_bytes(memory_gib)
    disk_bytes = in_bytes(disk_budget, "--disk-budget")
    if asked is None:
        report = run_sweep(sweep_file, device, places, console, memory_bytes, disk_bytes=disk_bytes)
    elif disk_bytes is None:
        report = run_sweep_on(asked, sweep_file, device, places, console, memory_bytes)
    else:
        raise SpecError("--disk-budget and --cluster: accepted: one of the two, as workers' disks are their own")
    console.print(f"{table}: {report.n_measured} rows measured, {report.n_present} already there")
    end_with(report.failures, "not measured")


def _cluster(where: str | None, workers: int | None, hosts: list[str] | None, shared: str | None) -> "Cluster | None":
    """Return the cluster that is asked for, if any. Raises SpecError for one that isn't accepted."""
    if where is None:
        if workers or hosts or shared:
            raise SpecError("--workers, --host and --shared say how a cluster is; accepted: with --cluster")
        return None
    from helpers.measure.cluster.clusters import Cluster

    return Cluster(where, workers, tuple(hosts or ()), shared)


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
    cluster: Where = None,
    workers: Workers = None,
    host: Hosts = None,
    shared: Shared = None,
) -> None:
    """Train models, measure them and search them, unit by unit, each while the next is trained.

    With --cluster the sweep's rows are measured there; training, searches and descriptions stay on this machine.
    """
    from helpers.measure.study import Study, run_study
    from helpers.measure.training.unit import Unit

    places = Places(table, records, trials, trial_records, checkpoint_table)
    asked = _cluster(cluster, workers, host, shared)
    declared = Study(sweep_file, device, places, in_bytes(memory_gib), asked)
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
