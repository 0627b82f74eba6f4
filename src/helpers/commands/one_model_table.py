"""The end of `qid measure` as a table in a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from helpers.analyse.judgement.one_model import Finding


def as_table(found: "Sequence[Finding]") -> Table:
    """Return one row per scheme and text: bits, QiD with its error, perplexity, KL, agreement, noise, verdict."""
    from helpers.show.report_cells import cells, headings

    table = Table(*headings(found), box=None)
    for row in cells(found):
        table.add_row(*row)
    return table
