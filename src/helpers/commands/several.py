"""Options that several commands on one model take, and those of them that take several values: `--bits 2 3 4`."""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

GroupSize = Annotated[
    int | None,
    typer.Option(help="Columns that share a scale; -1 for the whole row. By default 128 or what else divides."),
]
Texts = Annotated[
    list[str],
    typer.Option(
        help="prose, code or unseen of the book; refinedweb, wikitext2 or c4; .txt, .jsonl or .parquet files, folders"
        " of .txt files, or of the Hub hf://datasets/OWNER/NAME@COMMIT/FILE.parquet#COLUMN."
    ),
]
SEVERAL = ("--bits", "--method", "--text", "--calibration", "--seeds")


class Spread(TyperCommand):
    """A command whose options of `SEVERAL` take more than one value: `--bits 2 3 4` is `--bits 2 --bits 3 --bits 4`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spread the values, then parse."""
        return super().parse_args(ctx, spread(args))


def spread(args: list[str]) -> list[str]:
    """Return arguments with each further value of an option of `SEVERAL` behind a repetition of the option."""
    found: list[str] = []
    option, values = None, 0
    for argument in args:
        if argument.startswith("--"):
            option, values = (argument if argument in SEVERAL else None), 0
        elif option is not None:
            found += [option] if values else []
            values += 1
        found.append(argument)
    return found
