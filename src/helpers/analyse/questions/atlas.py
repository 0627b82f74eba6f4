"""The atlas of laws: what each law says in one notation, where it comes from, what it was fitted to be, how it did.

Everything but the formulas and their sources is read from `results/fits.json` by name. A law that has no entry here is
still listed, in the words of its own docstring, and counts as this project's.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.answers import Given, KnownLaw, fitted_law, published_law
from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.result import Estimate
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.names import FORMS, PER_BIT, law_words
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import OWN_VARIABLES, VARIABLES, LawError
from helpers.table.words import minus_signs

OURS = "this book"
OUYANG, KUMAR = "Ouyang et al. 2024", "Kumar et al. 2024"
PREDICTED = ", loss predicted"  # the end of the name of a law whose 16-bit loss is predicted
AS_OURS = {"lr_fraction": 1.0, "group_size": 32.0, "vocabulary_size": 1024.0}  # of the trunk's models


@dataclass(frozen=True)
class Entry:
    """What is written of a law: its right-hand side as HTML, whose it is, and how it is known."""

    formula: str
    source: str = OURS
    known: str = "ours"


def _power(base: str, exponent: str) -> str:
    return f"{base}<sup>{exponent}</sup>"


POWER = f"k {_power('D', 'β')} {_power('N', '−α')}"
OF_BITS, OF_STEPS = _power("P", "−γ"), _power("s", "−γ")
ENTRIES = {
    "power": Entry(f"{POWER} {OF_BITS}", OUYANG, "in part"),
    "one-bit-width": Entry(POWER, OUYANG, "in part"),
    "power-per-bit": Entry(f"{POWER}, one a width", OUYANG, "in part"),
    "tokens": Entry(f"b {_power('D', 'β')}", OUYANG, "in part"),
    "size": Entry(f"a {_power('N', '−α')}", OUYANG, "in part"),
    "bits": Entry(f"p {OF_BITS}", OUYANG, "in part"),
    "exponential": Entry(
        f"C {_power('D', 'g<sub>D</sub>')} {_power('N', '−g<sub>N</sub>')} {_power('e', '−P/g')}", KUMAR, "in full"
    ),
    "steps": Entry(f"{POWER} {OF_STEPS}"),
    "tokens-per-parameter": Entry(f"c {_power('(D/N)', 'b')} {OF_STEPS}"),
    "free-bits": Entry(f"{POWER} × one factor a width"),
    "loss": Entry(f"{POWER} {OF_STEPS} {_power('e', '−λL')}"),
    "loss-power-bits": Entry(f"{POWER} {OF_BITS} {_power('e', '−λL')}"),
    "room": Entry(f"{POWER} {OF_BITS} {_power('(ln V − L)', 'δ')}"),
    "learning-rate": Entry(f"{POWER} {OF_BITS} {_power('e', 'κ(1 − r)')}"),
    "group-size": Entry(f"{POWER} {OF_BITS} {_power('G', 'η')}"),
    "saturating": Entry(f"1 / (1/q + 1/ceiling), q = {POWER} {OF_BITS}"),
    "threshold": Entry(f"k {_power('(D − D<sub>0</sub>)', 'β')} {_power('N', '−α')} {OF_BITS}"),
    "threshold-by-size": Entry(f"the same, D<sub>0</sub> {_power('N', '−ν')} for D<sub>0</sub>"),
    "onset": Entry(f"{POWER} {OF_BITS} / (1 + {_power('(D<sub>0</sub>N<sup>−ν</sup>/D)', 's')})"),
    "curvature": Entry("c<sub>P</sub> × ½ tr(H) σ²"),
    "ouyang2024": Entry(f"{POWER} {OF_BITS}", OUYANG, "in part"),
    "ouyang2024-per-bit": Entry(f"{POWER}, one a width", OUYANG, "in part"),
    "kumar2024": Entry(
        f"C {_power('D', 'g<sub>D</sub>')} {_power('N', '−g<sub>N</sub>')} {_power('e', '−P/g')}", KUMAR, "in full"
    ),
}


def written(estimate: Estimate) -> str:
    """Return an estimate with its interval for people; without one where there is none."""
    if np.isnan(estimate.low):
        return f"{estimate.value:.3g}"
    return minus_signs(f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]")


def n_constants(name: str, stored: StoredFits) -> int:
    """Return how many constants a law has; a printed law's are printed, a law whose loss is predicted has its too."""
    if name in PUBLISHED:
        laws = PUBLISHED[name]
        return sum(len(law.parameter_names()) for law in ([laws] if isinstance(laws, Law) else laws.values()))
    if name == PER_BIT:
        return len(stored.widths) * len(FORMS["one-bit-width"].parameter_names())
    stem = name.removesuffix(PREDICTED)
    of_loss = len(stored.loss_law.parameter_names()) if stem != name and stored.loss_law else 0
    return len(FORMS[stem].parameter_names()) + of_loss


def constants(name: str, stored: StoredFits) -> str:
    """Return a law's constants on this project's rows with 95% intervals by training run, in words."""
    stem = name.removesuffix(PREDICTED)
    if name in PUBLISHED:
        return "as printed"
    if name in stored.refused:
        return "not on these rows"
    names = list(stored.widths.values()) if name == PER_BIT else [stem]
    parts = [
        ", ".join(f"{parameter} {written(one)}" for parameter, one in stored.fits[one].params.items())
        for one in names
        if one in stored.fits
    ]
    return html.escape("; ".join(parts).replace("lambda_", "λ"))


def atlas(stored: StoredFits, hold_outs: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row per judged law, in the order of the file: what it says, whose it is, what it is, how it did.

    Columns: `formula` (HTML), `constants` (their number), `told` (beside D, N, P), `source`, `known`, `fitted`, and the
    rms of ln(predicted / measured QiD) on each of `hold_outs`, by default all; NaN where a law says nothing.
    """
    rms = stored.judged.pivot(index="law", columns="hold_out", values="log_rms")
    rows = {}
    for name in stored.judged["law"].unique():
        stem = name.removesuffix(PREDICTED)
        words = law_words(stem)
        told = [variable for variable in words["needs"] if variable not in OWN_VARIABLES]
        entry = ENTRIES.get(stem, Entry(html.escape(words["says"])))
        rows[name] = {
            "formula": entry.formula,
            "constants": n_constants(name, stored),
            "told": "" if stem != name else "; ".join(VARIABLES[variable] for variable in told),
            "source": entry.source,
            "known": entry.known,
            "fitted": constants(name, stored),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("law")
    wanted = list(hold_outs) or list(stored.judged["hold_out"].unique())
    return table.join(rms.reindex(columns=wanted))


def scored(stored: StoredFits, hold_outs: Sequence[str]) -> pd.DataFrame:
    """Return, by law and hold-out, rms of ln(predicted / measured QiD) in words: "0.13 ± 0.02 =", NaN where it is n/a.

    The error is that over training runs, left out on one run; "=" marks a law that is tied with the hold-out's best.
    """
    judged = stored.judged.dropna(subset="log_rms")
    words = [
        f"{row.log_rms:.3f}{'' if np.isnan(row.log_rms_se) else f' ± {row.log_rms_se:.3f}'}{' =' if row.tied else ''}"
        for row in judged.itertuples()
    ]
    table = judged.assign(words=words).pivot(index="law", columns="hold_out", values="words")
    return table.reindex(index=stored.judged["law"].unique(), columns=list(hold_outs))


def curves(stored: StoredFits, tokens: FloatArray, n_params: float, bits: float) -> pd.DataFrame:
    """Return QiD of one size and bit width over training tokens by every law that can say it.

    Columns: `law`, `tokens`, `qid_nats` in nats per token. The models are as the trunk's are (`AS_OURS`), and a 16-bit
    loss that a law needs is predicted. Laws that have to be told anything else, or don't have this bit width, are left
    out.
    """
    parts = []
    for name in [*(one for one in FORMS if one in stored.fits), PER_BIT, *PUBLISHED]:
        try:
            known = _known(name, stored, bits)
            given: Given = {"tokens": tokens, "n_params": n_params, "bits": bits, **AS_OURS}
            qid = np.broadcast_to(np.exp(known.log_qid(given)), tokens.shape)
        except (LawError, FitError):
            continue
        parts.append(pd.DataFrame({"law": name, "tokens": tokens, "qid_nats": qid}))
    return pd.concat(parts, ignore_index=True)


def _known(name: str, stored: StoredFits, bits: float) -> KnownLaw:
    return published_law(name, bits) if name in PUBLISHED else fitted_law(stored, name, bits)


def spread(table: pd.DataFrame) -> pd.Series:
    """Return by tokens the largest over the smallest QiD of `curves`, no unit."""
    by_tokens = table.groupby("tokens")["qid_nats"]
    return by_tokens.max() / by_tokens.min()
