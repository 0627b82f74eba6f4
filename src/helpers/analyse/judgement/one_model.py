"""What rounding did to one model: a row for each scheme and text, with a verdict in words."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.judgement.expected import Expected
from helpers.analyse.rows.degradation import degradation
from helpers.table.paired_error import perplexity_ratio
from helpers.table.ranges import amount_words

CLEAR = 2.0  # paired errors: a QiD below so many is indistinguishable from nothing
NOTHING, AS_EXPECTED, MORE, LESS, UNKNOWN, FAILED = "nothing", "as expected", "more", "less", "unknown", "failed"
FOREIGN = 1.5  # times as many bits a byte, or fewer: another kind of text
SCHEME = ["method", "bits", "group_size", "symmetric", "format"]


@dataclass(frozen=True)
class Finding:
    """One scheme on one text. Losses in nats a token; what isn't known, or can't be, is None.

    With several calibration draws the figures are means over them, and `draws_sd_nats` is the standard deviation of
    one draw's QiD. `qid_se_nats` is paired by document.
    """

    scheme: str
    text: str
    method: str
    bits: int
    group_size: int | None
    stored_bits: float | None
    loss_nats: float | None
    baseline_loss_nats: float | None
    baseline_bits_per_byte: float | None
    qid_nats: float | None
    qid_se_nats: float | None
    perplexity_ratio: float | None
    kl_nats: float | None
    top1_agreement: float | None
    n_documents: int
    n_draws: int
    draws_sd_nats: float | None
    expected: Expected | None
    kind: str  # one of the six above
    verdict: str


def findings(rows: pd.DataFrame, expect: Callable[[pd.Series], Expected | None]) -> list[Finding]:
    """Return the findings of one model's rows, those of `Measurement`: by text, then in the order of bits and method.

    `expect` says what is to be expected of a row of `degradation`. Raises AnalysisError as `degradation` does.
    """
    measured = degradation(rows)
    found = []
    if not measured.empty:
        for _, draws in measured.groupby(["eval_dataset", *SCHEME], dropna=False, sort=True):
            found.append(_finding(draws, expect(draws.iloc[0])))
    failed = rows[(rows["status"] != "ok") & (rows["method"] != "none")]
    found += [_failure(row) for _, row in failed.drop_duplicates(["eval_dataset", *SCHEME]).iterrows()]
    return sorted(found, key=lambda each: (each.text, each.method, each.bits))


def _finding(draws: pd.DataFrame, expected: Expected | None) -> Finding:
    """Return what the rows of one scheme on one text say, one row a calibration draw."""
    by_document = np.mean(np.stack(draws["document_qid_nats"].to_list()), 0)
    first, qid = draws.iloc[0], float(draws["qid_nats"].mean())
    error = float(by_document.std(ddof=1) / math.sqrt(by_document.size))
    kind, words = verdict(qid, error, expected, first["n_params_non_embedding"], first["tokens_seen"])
    return Finding(
        scheme=_scheme_cell(first),
        text=str(first["eval_dataset"]),
        method=str(first["method"]),
        bits=int(first["bits"]),
        group_size=None if pd.isna(first["group_size"]) else int(first["group_size"]),
        stored_bits=_mean(draws["effective_bits"]),
        loss_nats=_mean(draws["loss_nats"]),
        baseline_loss_nats=_mean(draws["baseline_loss_nats"]),
        baseline_bits_per_byte=float(first["bits_per_byte"] * first["baseline_loss_nats"] / first["loss_nats"]),
        qid_nats=qid,
        qid_se_nats=error,
        perplexity_ratio=perplexity_ratio(qid),
        kl_nats=_mean(draws["kl_nats"]),
        top1_agreement=_mean(draws["top1_agreement"]),
        n_documents=by_document.size,
        n_draws=len(draws),
        draws_sd_nats=float(draws["qid_nats"].std(ddof=1)) if len(draws) > 1 else None,
        expected=expected,
        kind=kind,
        verdict=words,
    )


def _failure(row: pd.Series) -> Finding:
    empty = {f.name: None for f in dataclasses.fields(Finding)}
    known = {
        "scheme": _scheme_cell(row),
        "text": str(row["eval_dataset"]),
        "method": str(row["method"]),
        "bits": int(row["bits"]),
        "n_documents": 0,
        "n_draws": 0,
        "kind": FAILED,
        "verdict": f"{row['status']}: {row['reason']}",
    }
    return Finding(**(empty | known))  # type: ignore[arg-type]  # a mapping's values have one type


def _scheme_cell(row: pd.Series) -> str:
    """Return a scheme as a table shows it, such as `gptq 3 bits g64`."""
    group = "per row" if pd.isna(row["group_size"]) else f"g{row['group_size']:.0f}"
    return f"{row['method']} {row['bits']:.0f} bits {group}{' symmetric' if row['symmetric'] else ''}"


def _mean(values: pd.Series) -> float | None:
    return None if values.isna().any() else float(values.mean())


def verdict(
    qid: float, error: float, expected: Expected | None, n_params: float, tokens: float | None
) -> tuple[str, str]:
    """Return the kind of a QiD, in nats a token with its paired error, and its verdict in words.

    A QiD is as expected where its interval of `CLEAR` errors touches the law's.
    """
    if abs(qid) < CLEAR * error:
        return NOTHING, "loss indistinguishable from the original's"
    if qid < 0:
        return LESS, "better than 16 bits on this text: fewer nats, by more than its error"
    if tokens is None or math.isnan(tokens):
        return UNKNOWN, "clear; what to expect isn't known without --tokens"
    if expected is None or math.isnan(expected.low_nats):
        return UNKNOWN, "clear; no law is fitted to that"
    of_model = f"{amount_words(n_params)} parameters after {amount_words(tokens)} tokens"
    beyond = f", beyond the fitted {' and '.join(expected.outside)}" if expected.outside else ""
    band = f"{expected.low_nats:.2g} to {expected.high_nats:.2g} nats by the law {expected.law}{beyond}"
    if qid + CLEAR * error < expected.low_nats:
        return LESS, f"{qid / expected.qid_nats:.2g} of what is expected of {of_model} ({band})"
    if qid - CLEAR * error > expected.high_nats:
        return MORE, f"{qid / expected.qid_nats:.2g} times what is expected of {of_model} ({band})"
    return AS_EXPECTED, f"as expected of {of_model} ({band})"


def looked_at(found: Sequence[Finding], suspect: str) -> list[Finding]:
    """Return the findings, those that are more than expected with the matrix to look at in their verdict."""
    return [
        dataclasses.replace(each, verdict=f"{each.verdict}: look at {suspect}") if each.kind == MORE else each
        for each in found
    ]


def notes_on(found: Sequence[Finding], calibration_bits_per_byte: float | None) -> list[str]:
    """Return sentences on units, and on texts of another kind than the calibration's, by the 16-bit model's loss."""
    notes = ["QiD and KL in nats a token; ± is one standard error, paired by document"]
    calibrated = {each.text for each in found if each.n_draws and each.method in ("gptq", "awq", "gptq_hadamard")}
    of_text = {each.text: each.baseline_bits_per_byte for each in found if each.baseline_bits_per_byte is not None}
    for text, bits in of_text.items():
        if calibration_bits_per_byte is None or text not in calibrated:
            continue
        if not 1 / FOREIGN < bits / calibration_bits_per_byte < FOREIGN:
            notes.append(
                f"{text}: {bits:.2f} bits a byte, the calibration text {calibration_bits_per_byte:.2f}: another kind of"
                " text; --calibration with text like it tells more"
            )
    return notes
