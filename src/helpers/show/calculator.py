"""All laws as a band over training tokens, in units people think in: a live chart with sliders for size, tokens, bits.

The page carries every law's constants as a table and computes with one formula, so it needs no kernel:

    ln q = c + beta ln max(D - D0 M^-nu, 0) + a ln N - lambda L - ln(1 + (D1 M^-nu / D)^s),
    QiD = (G / 32)^eta / (1 / q + room),    M = N / 10^6,    L the 16-bit loss that the fits' loss law predicts,

in which a law has the constants that it has and 0 for the others; c holds the bit width. QiD is in nats per token.
"""

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.judgement.band import GROUPED, fails_outside, known_law
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import OuyangLossLaw
from helpers.analyse.laws.names import FORMS, PER_BIT
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.laws.variables import LawError, ValidityRange
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import GROUP_SIZE
from helpers.table.records import given

WIDTHS = (2, 3, 4)
GROUPS = (32, 64, 128)
KNOWN = ("tokens", "n_params", "bits", "loss_nats", "group_size")  # what the formula has a place for
SHAPES = ("D0", "nu", "D1", "s", "room")
TOKENS = (8.0, 14.0)  # log10, of the chart
SIZES = (5.0, 12.0)
GRID_POINTS = 61
LIKE = 3.0  # a measured model is drawn where its size is at most so many times the one asked for, or times less
QID_DOMAIN = (1e-3, 5.0)
OUTSIDE_COLOUR, INSIDE_COLOUR, BAND_COLOUR, DOT_COLOUR = "#d1495b", "#0072b2", "#9aa0a8", "#e69f00"
LOSS = "pow(pow({N_c!r} / N, {ratio!r}) + {D_c!r} / {D}, {alpha_D!r})"
LOG_Q = (
    "datum.c + datum.beta * log(max({D} - datum.D0 * pow(N / 1e6, -datum.nu), 1e-300)) + datum.a * log(N)"
    " - datum.lambda_ * {loss} - log(1 + pow(datum.D1 * pow(N / 1e6, -datum.nu) / {D}, datum.s))"
)
QID = "pow(G / {group}, datum.eta) / (1 / exp({log_q}) + datum.room)"
READ = "replace(format({}, '.3~s'), 'G', 'B')"  # 7B, 15T: Vega's own suffix of 10^9 is G


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


def qid_expression(loss_law: OuyangLossLaw, tokens: str = "D") -> str:
    """Return the formula of this module as a Vega expression in N, G, the columns of `law_rows`, and `tokens`."""
    ratio = loss_law.alpha_N / loss_law.alpha_D
    loss = LOSS.format(N_c=loss_law.N_c, ratio=ratio, D_c=loss_law.D_c, alpha_D=loss_law.alpha_D, D=tokens)
    return QID.format(group=GROUP_SIZE, log_q=LOG_Q.format(loss=loss, D=tokens))


def calculator(fits: StoredFits, measured: pd.DataFrame, start: dict[str, float]) -> alt.LayerChart:
    """Return QiD against training tokens for a model that the reader chooses: a band of laws, and what was measured.

    `measured` has `N_PARAMS`, `TOKENS_SEEN`, `bits`, `qid_nats` and `model`; `start` gives n_params, tokens, bits and
    group_size. Laws that fail on models of others aren't in the band. The default law is red where it extrapolates.
    """
    rows = law_rows(fits)
    if not isinstance(fits.loss_law, OuyangLossLaw):
        raise LawError("the calculator predicts the 16-bit loss by Kaplan's form; the fits have another")
    along = _along_tokens(rows, qid_expression(fits.loss_law, "datum.tokens"))
    band = (
        along.transform_filter("!datum.fails")
        .transform_aggregate(least="min(qid)", most="max(qid)", groupby=["tokens"])
        .mark_area(clip=True, opacity=0.3, color=BAND_COLOUR)
        .encode(_tokens_axis(), _qid_axis("least"), alt.Y2("most:Q"))
    )
    dots = _default_dots(along, fits.fits[given(fits.default).law].law.validity)
    rule = alt.Chart(pd.DataFrame({"at": [0]})).transform_calculate(tokens="D").mark_rule(strokeDash=[4, 3])
    layers: alt.LayerChart = band + _seen(measured) + dots + rule.encode(_tokens_axis())
    said = _sentence(rows[rows["is_default"]], qid_expression(fits.loss_law))
    whole: alt.LayerChart = layers.add_params(*_inputs(start), *said).properties(
        width="container",
        height=320,
        description=(
            "QiD against training tokens for a model of a size that a slider chooses: a band of all laws, the "
            "default law as dots, red where it extrapolates, and measured models of like size as diamonds."
        ),
    )
    return whole


def _along_tokens(rows: pd.DataFrame, qid: str) -> alt.Chart:
    """Return the laws of `law_rows` at the bits chosen: for each token count of the chart its `qid`, an expression."""
    step = (TOKENS[1] - TOKENS[0]) / (GRID_POINTS - 1)
    return (
        alt.Chart(rows)
        .transform_filter("datum.bits == P")
        .transform_calculate(grid=f"sequence({TOKENS[0]}, {TOKENS[1] + step / 2}, {step})")
        .transform_flatten(["grid"])
        .transform_calculate(tokens="pow(10, datum.grid)")
        .transform_calculate(qid=qid)
    )


def _tokens_axis() -> alt.X:
    decades = [10**k for k in range(8, 15)]
    axis = alt.Axis(labelExpr=READ.format("datum.value"), values=decades)
    ends = [10 ** TOKENS[0], 10 ** TOKENS[1]]
    return alt.X("tokens:Q", title="training tokens D", axis=axis).scale(type="log", domain=ends, nice=False)


def _qid_axis(column: str) -> alt.Y:
    axis = alt.Axis(values=[0.001, 0.01, 0.1, 1])
    place = alt.Y(f"{column}:Q", title="QiD (nats per token)", axis=axis)
    return place.scale(type="log", domain=list(QID_DOMAIN), nice=False)


def _default_dots(along: alt.Chart, box: ValidityRange) -> alt.Chart:
    """Return the default law's answers as dots, in another colour beyond the tokens and sizes that were fitted."""
    inside = (
        f"datum.tokens >= {box.tokens[0]!r} && datum.tokens <= {box.tokens[1]!r}"
        f" && N >= {box.n_params[0]!r} && N <= {box.n_params[1]!r}"
    )
    colour = alt.condition("datum.inside", alt.value(INSIDE_COLOUR), alt.value(OUTSIDE_COLOUR))
    default = along.transform_filter("datum.is_default").transform_calculate(inside=inside)
    dots: alt.Chart = default.mark_point(filled=True, clip=True, size=22).encode(
        _tokens_axis(), _qid_axis("qid"), color=colour
    )
    return dots


def _seen(measured: pd.DataFrame) -> alt.Chart:
    """Return the measured models of like size at the bits chosen, as diamonds."""
    points = measured.rename(columns={N_PARAMS: "n", TOKENS_SEEN: "tokens", "qid_nats": "qid"})
    seen: alt.Chart = (
        alt.Chart(points[["model", "n", "tokens", "bits", "qid"]])
        .transform_filter(f"datum.bits == P && abs(log(datum.n / N)) <= log({LIKE})")
        .mark_point(shape="diamond", filled=True, clip=True, size=60, color=DOT_COLOUR, opacity=0.8)
        .encode(_tokens_axis(), _qid_axis("qid"), tooltip=["model:N", alt.Tooltip("qid:Q", format=".4f")])
    )
    return seen


def _inputs(start: dict[str, float]) -> list[alt.Parameter]:
    """Return sliders for size and tokens, buttons for bits and group, and the numbers they stand for: N, D, P, G."""
    sizes, tokens = (
        alt.binding_range(min=ends[0], max=ends[1], step=0.01, name=label)
        for ends, label in ((SIZES, "size N (parameters), log₁₀"), (TOKENS, "training tokens D, log₁₀"))
    )
    return [
        alt.param(name="log_size", value=round(math.log10(start["n_params"]), 2), bind=sizes),
        alt.param(name="log_tokens", value=round(math.log10(start["tokens"]), 2), bind=tokens),
        alt.param(name="P", value=start["bits"], bind=alt.binding_radio(options=list(WIDTHS), name="bits a weight")),
        alt.param(
            name="G", value=start["group_size"], bind=alt.binding_radio(options=list(GROUPS), name="weights a scale")
        ),
        alt.param(name="N", expr="pow(10, log_size)"),
        alt.param(name="D", expr="pow(10, log_tokens)"),
    ]


def _sentence(default: pd.DataFrame, qid: str) -> list[alt.Parameter]:
    """Return the parameters that say the default law's answer in words; `live-chart.js` speaks the one named `said`."""
    by_bits = {bits: _filled(qid, row) for bits, row in ((int(row["bits"]), row) for row in default.to_dict("records"))}
    chosen = " : ".join(f"P == {bits} ? {expression}" for bits, expression in by_bits.items()) + " : NaN"
    words = (
        f"{READ.format('N')} + ' parameters, ' + {READ.format('D')} + ' tokens, ' + P + ' bits, groups of ' + G + ': '"
        " + format(answer, '.2r') + ' nats per token, perplexity times ' + format(exp(answer), '.3f')"
    )
    return [
        alt.param(name="answer", expr=chosen),
        alt.param(name="said", expr=words),
    ]


def _filled(expression: str, row: dict[str, Any]) -> str:
    for name, value in sorted(row.items(), key=lambda item: -len(item[0])):
        expression = expression.replace(f"datum.{name}", f"({value!r})") if isinstance(value, float) else expression
    return expression
