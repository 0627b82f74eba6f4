"""The command that plans a sweep: `qid plan`."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from helpers.commands.console import Device, DiskBudget, add, console, end_with, in_bytes, print_table
from helpers.measure.sweep.places import Places

if TYPE_CHECKING:  # it brings torch
    from helpers.measure.planning.plan import Plan, Planned

USUAL = Places()
COLUMNS = ("model", "checkpoints", "stand", "weights", "to download", "rows", "measured", "hours")


def register(app: typer.Typer) -> None:
    """Add the command to the `qid` command."""
    add(app, plan)


def plan(
    sweep_file: Annotated[Path, typer.Argument(help="The sweep's YAML.")],
    device: Device = "cuda",
    table: Annotated[Path, typer.Option(help="The table that rows may be in already.")] = USUAL.measurements,
    records: Annotated[Path, typer.Option(help="Where records are that haven't reached it.")] = USUAL.records,
    disk_budget: DiskBudget = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, every checkpoint in it.")] = False,
) -> None:
    """Say what a sweep needs, weights not downloaded: bytes, disk, device hours, rows, and what isn't there."""
    from helpers.measure.planning.hours import read_clock
    from helpers.measure.planning.plan import plan_sweep

    places = Places(table, records)
    found = plan_sweep(sweep_file, device, places, read_clock(_gpu()), in_bytes(disk_budget, "--disk-budget"))
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        print_table(_by_model(found))
        for line in _in_words(found):
            console.print(line)
    end_with(found.failures, "can't be measured")


def _gpu() -> str | None:
    """Return the name of this machine's GPU; None without one."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _by_model(plan: "Plan") -> Table:
    lines = Table(*COLUMNS, box=None)
    for name, members in itertools.groupby(plan.planned, lambda each: each.job.checkpoint.model):
        lines.add_row(name, *_cells(list(members), plan))
    lines.add_row("in all", *_cells(plan.planned, plan))
    return lines


def _cells(members: Iterable["Planned"], plan: "Plan") -> list[str]:
    each = list(members)
    stand = Counter(one.standing.words for one in each)
    mark = "~" if any(one.standing.estimated for one in each) else ""
    unknown = "?" if any(one.n_present is None and one.standing.usable for one in each) else ""
    hours = "-" if plan.clock is None else f"{sum(one.seconds or 0.0 for one in each) / 3600:.2f}"
    return [
        str(len(each)),
        ", ".join(f"{n} {words}" for words, n in stand.items()),
        mark + gib(sum(one.standing.n_bytes for one in each)),
        mark + gib(sum(one.to_fetch for one in each)),
        str(sum(one.n_rows for one in each)),
        f"{sum(one.n_present or 0 for one in each)}{unknown}",
        hours,
    ]


def _in_words(plan: "Plan") -> list[str]:
    from helpers.measure.planning.hours import RULE

    estimated = "; ~: estimated at 4 bytes a parameter, the Hub can't be reached" if plan.estimated else ""
    said = [
        f"disk: {gib(plan.at_once)} at once with --disk-budget, each checkpoint removed when it is measured; "
        f"{gib(plan.in_all)} where all stay{estimated}"
    ]
    if plan.clock is None:
        return [*said, "time: unknown; `python benchmarks/engine.py` on the GPU times what hours are estimated from"]
    least, most = plan.clock.n_blocks_range
    said.append(f"time: {plan.hours:.2f} hours on one {plan.clock.gpu}, downloads beside them not counted; {RULE}")
    if plan.extrapolated:
        sizes = f"{least / 1e6:,.0f}M to {most / 1e6:,.0f}M parameters without embedding and head"
        said.append(f"time: extrapolated for {', '.join(plan.extrapolated)}; timed were {sizes}")
    return said


def gib(n_bytes: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{n_bytes / 2**30:,.2f} GiB" if n_bytes >= 2**20 * 10 else f"{n_bytes / 2**20:,.2f} MiB"
