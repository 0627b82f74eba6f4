"""The command that compares: `qid compare`, any quantized model beside its 16-bit original."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from helpers.commands.console import Device, add, console, end_with, print_table


def register(app: typer.Typer) -> None:
    """Add the command to the `qid` command."""
    add(app, compare)


def compare(
    base: Annotated[Path, typer.Argument(help="The 16-bit original: a folder with config.json and safetensors.")],
    other: Annotated[list[Path], typer.Argument(help="Quantized or other 16-bit copies of it, a folder each.")],
    text: Annotated[list[str], typer.Option(help="What to score on.")] = ["heldout"],  # noqa: B006
    tokens_limit: Annotated[int, typer.Option(help="Tokens of each text, about.")] = 65_536,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
) -> None:
    """Compare quantized models with their 16-bit original on the same tokens: QiD, KL, agreement, bits stored."""
    from helpers.measure.comparing.compare import compare as compared

    found = compared(base, other, text, tokens_limit, device, lambda _n: None)
    if as_json:
        lines = [dataclasses.asdict(line) for line in found.lines]
        print(json.dumps({"original": str(base), "lines": lines, "failures": found.failures}, indent=1))
    elif found.lines:
        print_table(_table(found.lines))
    end_with(found.failures, "not compared")


def _table(lines) -> Table:
    table = Table(box=None)
    for name in ("checkpoint", "format", "text", "bits", "loss of 16 bits", "QiD ± error (nats)", "perplexity ×", "KL", "same top token"):
        table.add_column(name)
    for line in lines:
        table.add_row(
            line.checkpoint, line.format, line.text,
            f"{line.bits_per_weight:.2f}",
            f"{line.original_loss_nats:.4f}",
            f"{line.qid_nats:.4f} ± {line.paired_error_nats:.4f}",
            f"{line.perplexity_ratio:.3f}",
            "-" if line.kl_nats is None else f"{line.kl_nats:.4f}",
            "-" if line.top1_agreement is None else f"{line.top1_agreement:.1%}",
        )
    return table
