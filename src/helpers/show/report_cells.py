"""The table of findings as texts, the same in a terminal, on a page and on a card."""

from collections.abc import Sequence

from helpers.analyse.judgement.one_model import Finding

HEADINGS = ("text", "scheme", "bits stored", "QiD ± error", "perplexity ×", "KL", "top-1 same")
NOISE, VERDICT = "noise of draws", "verdict"


def headings(found: Sequence[Finding]) -> list[str]:
    """Return the headings; the noise of calibration draws is among them where there are several."""
    return [*HEADINGS, *([NOISE] if _several(found) else []), VERDICT]


def cells(found: Sequence[Finding]) -> list[list[str]]:
    """Return one row of texts per finding, in the order of `headings`; what isn't known is empty."""
    several = _several(found)
    return [
        [*_numbers(each), *([_number(each.draws_sd_nats, ".4f")] if several else []), each.verdict] for each in found
    ]


def _several(found: Sequence[Finding]) -> bool:
    return any(each.n_draws > 1 for each in found)


def _numbers(each: Finding) -> list[str]:
    return [
        each.text,
        each.scheme,
        _number(each.stored_bits, ".2f"),
        "" if each.qid_nats is None else f"{each.qid_nats:+.4f} ± {each.qid_se_nats:.4f}",
        _number(each.perplexity_ratio, ".4g"),
        _number(each.kl_nats, ".4f"),
        _number(each.top1_agreement, ".1%"),
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
