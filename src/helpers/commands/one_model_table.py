"""The end of `qid measure` as a table in a terminal, and what has to be said beside it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from helpers.analyse.questions.one_model import Finding

FOREIGN = 1.5  # times as many bits a byte, or fewer: another kind of text


def as_table(found: "Sequence[Finding]") -> Table:
    """Return one row per scheme and text: bits, QiD with its error, perplexity, KL, agreement, noise, verdict."""
    several = any(each.n_draws > 1 for each in found)
    table = Table("text", "scheme", "bits stored", "QiD ± error", "perplexity ×", "KL", "top-1 same", box=None)
    if several:
        table.add_column("noise of draws")
    table.add_column("verdict")
    for each in found:
        noise = [_number(each.draws_sd_nats, ".4f")] if several else []
        table.add_row(
            each.text,
            each.scheme,
            _number(each.stored_bits, ".2f"),
            "" if each.qid_nats is None else f"{each.qid_nats:+.4f} ± {each.qid_se_nats:.4f}",
            _number(each.perplexity_ratio, ".3g"),
            _number(each.kl_nats, ".4f"),
            _number(each.top1_agreement, ".1%"),
            *noise,
            each.verdict,
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def notes_of(found: "Sequence[Finding]", calibration_bits_per_byte: float | None) -> list[str]:
    """Return sentences on units, and on texts that are far from what was calibrated on, in bits a byte."""
    return ["QiD and KL in nats a token; ± is one standard error, paired by document"]
