"""The commands that compare quantized models with their 16-bit originals: `qid compare`, `qid compare-list`."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from helpers.commands.console import Device, DiskBudget, add, console, end_with, in_bytes, print_table
from helpers.commands.several import Spread, Texts
from helpers.table.words import visible

if TYPE_CHECKING:  # what needs torch is loaded when the command runs
    from helpers.measure.comparing.compare import Line
    from helpers.measure.comparing.released import Finished


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    add(app, compare, cls=Spread)
    add(app, compare_list, name="compare-list", cls=Spread)


def compare(
    base: Annotated[str, typer.Argument(help="The 16-bit original: a folder, or a Hub repository[@revision].")],
    other: Annotated[list[str], typer.Argument(help="Quantized or other copies of it, the same way, or .gguf files.")],
    text: Texts = ["prose", "code"],  # noqa: B006
    seq_len: Annotated[int | None, typer.Option(help="Tokens a window; by default 512 or the model's window.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the text: a first look.")] = False,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare quantized models that any program wrote with their 16-bit original on the same tokens.

    Loss added with its paired error, KL, agreement, and the bits that a weight takes in the files.
    """
    from helpers.measure.comparing.compare import Wanted
    from helpers.measure.comparing.compare import compare as compared
    from helpers.measure.text.extent import FULL, QUICK

    wanted = Wanted(base, tuple(other), tuple(text), QUICK if quick else FULL, seq_len)
    found = compared(wanted, device, console)
    if as_json:
        lines = [dataclasses.asdict(line) for line in found.lines]
        print(json.dumps({"base": base, "lines": lines, "failures": found.failures}, allow_nan=False))
    elif found.lines:
        print_table(_table(found.lines))
        print("QiD and KL in nats a token; ± is one standard error, paired by document; bits counted from the files")
    end_with(found.failures, "not compared")


def _table(lines: "Sequence[Line]") -> Table:
    """Return one row per text and checkpoint, texts together, each after a row of the 16-bit original."""
    table = Table("text", "checkpoint", "format", "bits stored", "loss", "QiD ± error", "perplexity ×", "KL", box=None)
    table.add_column("top-1 same")
    for text in dict.fromkeys(line.text for line in lines):
        here = [line for line in lines if line.text == text]
        bits, loss = here[0].original_bits_per_weight, here[0].original_loss_nats
        table.add_row(text, "16-bit original", "", f"{bits:.2f}", f"{loss:.4f}")
        for line in here:
            table.add_row(
                text,
                visible(line.checkpoint),
                visible(line.format),
                f"{line.bits_per_weight:.2f}",
                f"{line.loss_nats:.4f}",
                f"{line.qid_nats:+.4f} ± {line.paired_error_nats:.4f}",
                "" if line.perplexity_ratio is None else f"{line.perplexity_ratio:.4g}",
                "" if line.kl_nats is None else f"{line.kl_nats:.4f}",
                "" if line.top1_agreement is None else f"{line.top1_agreement:.1%}",
            )
    return table


def compare_list(
    pairs: Annotated[Path, typer.Argument(help="A list of pairs on the Hub, such as data/comparisons/*.yml.")],
    out: Annotated[Path, typer.Option(help="Folder of the records, one a pair; pairs that have one are left out.")],
    text: Texts = ["prose", "code"],  # noqa: B006
    seq_len: Annotated[int | None, typer.Option(help="Tokens a window; by default 512 or the model's window.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the text: a first look.")] = False,
    disk_budget: DiskBudget = None,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare a list of released models on the Hub with their 16-bit originals, each pair recorded when it is done.

    A killed run goes on where it stopped. A pair that fails stops no other; it is named at the end and tried again.
    """
    from helpers.measure.comparing.pairs import read_pairs
    from helpers.measure.comparing.released import Way, compare_all
    from helpers.measure.text.extent import FULL, QUICK

    disk_bytes = in_bytes(disk_budget, "--disk-budget")
    way = Way(tuple(text), QUICK if quick else FULL, seq_len, device, disk_bytes)
    found = compare_all(read_pairs(pairs), way, out, console)
    if as_json:
        finished = [dataclasses.asdict(each) for each in found.finished]
        print(json.dumps({"finished": finished, "failures": found.failures}, allow_nan=False))
    elif found.finished:
        print_table(_pairs_table(found.finished))
        print("QiD and KL in nats a token; ± is one standard error, paired by document; bits counted from the files")
    end_with(found.failures, "not compared")


def _pairs_table(finished: "Sequence[Finished]") -> Table:
    """Return one row per pair and text."""
    table = Table("original", "quantized", "text", "format", "bits stored", "loss", "QiD ± error", "KL", box=None)
    for pair, line in ((each.pair, line) for each in finished for line in each.lines):
        table.add_row(
            visible(pair.base),
            visible(pair.quantized),
            visible(line.text),
            visible(line.format),
            f"{line.bits_per_weight:.2f}",
            f"{line.loss_nats:.4f}",
            f"{line.qid_nats:+.4f} ± {line.paired_error_nats:.4f}",
            "" if line.kl_nats is None else f"{line.kl_nats:.4f}",
        )
    return table
