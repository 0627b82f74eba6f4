"""What rounding costs by all laws, in units people use: the data of a calculator that needs no kernel.

The page carries every law's constants as a table and computes with one formula (`book/_ext/touch/laws.js`):

    ln q = c + beta ln max(D - D0 M^-nu, 0) + a ln N - lambda L - ln(1 + (D1 M^-nu / D)^s),
    QiD = (G / 32)^eta / (1 / q + room),    M = N / 10^6,    L the 16-bit loss that the fits' loss law predicts,

in which a law has the constants that it has and 0 for the others; c holds the bit width. QiD is in nats per token.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.judgement.band import GROUPED, fails_outside, known_law
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.names import FORMS, PER_BIT
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import SEARCHED, LawError
from helpers.analyse.mixed.largest_ratio_law import CAO_2024_LAWS, RatioFit
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import GROUP_SIZE
from helpers.show.touch.presets import presets
from helpers.show.touch.widget import Widget
from helpers.table.records import given

WIDTHS = (2, 3, 4)
GROUPS = (32, 64, 128)
KNOWN = ("tokens", "n_params", "bits", "loss_nats", "group_size")  # what the formula has a place for
SHAPES = ("D0", "nu", "D1", "s", "room")
BUDGETS = (0.05, 0.1, 0.2)  # share by which perplexity may rise: those of Cao et al. (2024, arXiv 2410.06722)


def constants(law: Law, bits: float) -> dict[str, float]:
    """Return a law's constants at one bit width for the formula of this module; those it doesn't have are 0.

    Raises LawError for a law of other variables than `KNOWN`.
    """
    if not set(law.needs()) <= set(KNOWN):
        raise LawError(f"the calculator knows {', '.join(KNOWN)}; {law.NAME} needs more")
    value_of = dict(zip(law.term_parameters(), law.coefficients[1:], strict=False))
    slope = dict.fromkeys(KNOWN, 0.0)
    found = {"c": float(law.coefficients[0])}
    for term in law.TERMS:
        if term.variable == "bits":
            found["c"] += term.sign * value_of[term.parameter] * float(term.scale.of(np.asarray(bits, float)))
        else:
            slope[term.variable] += term.sign * value_of[term.parameter]
    found["c"] += slope["group_size"] * math.log(GROUP_SIZE)
    found |= {
        "beta": slope["tokens"],
        "a": slope["n_params"],
        "eta": slope["group_size"],
        "lambda_": -slope["loss_nats"],
    }
    return found | _shape(law)


def _shape(law: Law) -> dict[str, float]:
    """Return what a law has beyond its terms: a threshold, an onset, a ceiling."""
    own = {name: float(getattr(law, name, 0.0)) for name in ("D0", "nu", "s")}
    if own["s"]:  # a smooth onset
        own |= {"D1": own["D0"], "D0": 0.0}
    else:  # any power of 0 but its zeroth
        own["s"] = 1.0
    ceiling = getattr(law, "ceiling", None)
    return dict.fromkeys(SHAPES, 0.0) | own | {"room": 0.0 if ceiling is None else 1 / ceiling}


def law_rows(fits: StoredFits) -> pd.DataFrame:
    """Return a row per law and bit width of `WIDTHS`: `law`, `bits`, `is_default`, `fails`, and `constants`.

    Laws fitted to groups of 32 have the exponent of the law `group-size`; published constants have none.
    """
    fails, default = fails_outside(fits), given(fits.default).law
    eta = fits.fits[GROUPED].coefficients["eta"] if GROUPED in fits.fits else 0.0
    rows: list[dict[str, Any]] = []
    for name in (*FORMS, PER_BIT, *PUBLISHED):
        for bits in WIDTHS:
            try:
                row = constants(known_law(fits, name, bits).law, bits)
            except (LawError, FitError):
                continue
            if name not in PUBLISHED:
                row["eta"] = eta
            rows.append({"law": name, "bits": bits, "is_default": name == default, "fails": name in fails} | row)
    return pd.DataFrame(rows)


def calculator(
    fits: StoredFits, measured: pd.DataFrame, kept: Mapping[float, RatioFit], start: Mapping[str, float]
) -> Widget:
    """Return the calculator: all laws and the models that were measured, beginning with the model `start`.

    `measured` has `N_PARAMS`, `TOKENS_SEEN`, `bits` and `qid_nats`; `kept` has by budget the law of size and tokens of
    the share that stays in 16 bits, for each budget that is offered; `start` gives n_params, tokens, bits and
    group_size. Raises LawError where the fits' loss law isn't Kaplan's form.
    """
    loss = fits.loss_law
    if not isinstance(loss, OuyangLossLaw):
        raise LawError("the calculator predicts the 16-bit loss by Kaplan's form; the fits have another")
    dots = measured[[N_PARAMS, TOKENS_SEEN, "bits", "qid_nats"]]
    box = fits.fits[given(fits.default).law].law.validity
    data = {
        "laws": law_rows(fits).to_dict("records"),
        "loss": {"N_c": loss.N_c, "ratio": loss.alpha_N / loss.alpha_D, "D_c": loss.D_c, "alpha_D": loss.alpha_D},
        "group_fitted": GROUP_SIZE,
        "box": {"n_params": box.n_params, "tokens": box.tokens},
        "searched": SEARCHED["tokens"],
        "measured": [_dot(*row) for row in dots.itertuples(index=False)],
        "shares": [_share(budget, kept[budget]) for budget in BUDGETS],
        "presets": presets(),
        "start": dict(start) | {"budget": BUDGETS[1]},
        "offered": {"bits": WIDTHS, "group_size": GROUPS, "budget": BUDGETS},
    }
    return Widget("calculator", "What rounding costs a model, by all laws", data)


def _dot(n_params: float, tokens: float, bits: float, qid_nats: float) -> list[float]:
    """Return a measured model as the page draws it, to four digits."""
    return [float(f"{value:.4g}") for value in (n_params, tokens, bits, qid_nats)]


def _share(budget: float, own: RatioFit) -> dict[str, float]:
    """Return the share that stays in 16 bits: this book's law of N and D in billions, and the printed one of N."""
    printed = CAO_2024_LAWS[budget]
    slopes = {"size": own.size_slope.value, "tokens": given(own.token_slope).value}
    return {"budget": budget, "k": printed.k, "c": printed.c, "intercept": own.intercept.value} | slopes
