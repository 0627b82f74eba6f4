"""A fitted law as a live chart: sliders for tokens and size, predicted QiD by bit width with its interval.

The chart carries the coefficients and their covariance, and computes in the page: it needs no kernel.
"""

import math

import altair as alt
import pandas as pd
from scipy import stats

from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.forms import STEPS
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.variables import LINEAR, LOG, LawError
from helpers.show.style import BITS_COLOURS

VARIABLES = {"tokens": "D", "n_params": "N", "bits": "datum.bits"}
SCALES = {LOG: "log({})", LINEAR: "({})", STEPS: "log(pow(2, {} - 1) - 1)"}  # log is natural in Vega
LOWEST_NATS = 1e-3


def columns(law: type[Law]) -> list[str]:
    """Return Vega expressions of what multiplies each coefficient of a law in ln QiD, in their order.

    Raises LawError for a law that is more than a product of terms in tokens, size and bits.
    """
    if not law.is_product() or not set(law.needs()) <= set(VARIABLES):
        raise LawError(f"the live chart draws products of terms in tokens, size and bits; {law.NAME} is none")
    parts: dict[str, str] = dict.fromkeys(law.parameter_names(), "")
    for term in law.TERMS:
        column = SCALES[term.scale].format(VARIABLES[term.variable])
        parts[term.parameter] += f"{'+' if term.sign > 0 else '-'} {column}"
    return [parts[name] or "1" for name in law.parameter_names()]


def expressions(fit: FitResult, level: float) -> dict[str, str]:
    """Return Vega expressions in D, N and datum.bits: `qid`, and `low` and `high` of the interval for a new run.

    The interval is that of `hold_out_largest` for a row without error of its own: mu (1 -+ t sqrt(x'Cx + tau^2)).
    Raises LawError (see `columns`).
    """
    names = columns(type(fit.law))
    mean = " + ".join(f"({value!r}) * ({x})" for value, x in zip(fit.law.coefficients.tolist(), names, strict=True))
    covariance = zip(fit.covariance.tolist(), names, strict=True)
    products = [f"({value!r}) * ({x}) * ({y})" for row, x in covariance for value, y in zip(row, names, strict=True)]
    quantile = float(stats.t.ppf(0.5 + level / 2, fit.n_runs - 1))
    reach = f"{quantile!r} * sqrt({' + '.join(products)} + {fit.tau**2!r})"
    return {
        "qid": f"exp({mean})",
        "low": f"max({LOWEST_NATS}, datum.qid * (1 - {reach}))",
        "high": f"datum.qid * (1 + {reach})",
    }


def _slider(name: str, value: float, ends: tuple[float, float], label: str) -> alt.Parameter:
    return alt.param(name=name, value=value, bind=alt.binding_range(min=ends[0], max=ends[1], step=0.01, name=label))


def prediction_chart(fit: FitResult, level: float = 0.90) -> alt.LayerChart:
    """Return predicted QiD against bits for a fitted law, with sliders inside the ranges that were fitted."""
    box = fit.law.validity
    ends = {
        name: (math.ceil(100 * math.log10(low)) / 100, math.floor(100 * math.log10(high)) / 100)
        for name, (low, high) in (("tokens", box.tokens), ("n_params", box.n_params))
    }
    sliders = [
        _slider("log_tokens", ends["tokens"][1], ends["tokens"], "log₁₀ of tokens D"),
        _slider("log_size", ends["n_params"][1], ends["n_params"], "log₁₀ of size N"),
    ]
    widths = [int(bits) for bits in sorted(set(fit.data.bits))]
    chart = alt.Chart(pd.DataFrame({"bits": widths}))
    for name, expression in expressions(fit, level).items():
        in_page = expression.replace("(D)", "(pow(10, log_tokens))").replace("(N)", "(pow(10, log_size))")
        chart = chart.transform_calculate(**{name: in_page})
    title = "'D = ' + format(pow(10, log_tokens), '.3s') + ' tokens, N = ' + format(pow(10, log_size), '.3s')"
    colour = alt.Color("bits:O", legend=None).scale(domain=widths, range=[BITS_COLOURS[bits] for bits in widths])
    qid = (
        alt.Y("qid:Q", title="predicted QiD (nats per token)")
        .scale(type="log", domain=[LOWEST_NATS, 5], nice=False)
        .axis(values=[0.001, 0.01, 0.1, 1])
    )
    across = alt.X("bits:O", title="bit width P (bits per weight)").axis(labelAngle=0)
    shown = [alt.Tooltip(f"{name}:Q", format=".4f") for name in ("qid", "low", "high")]
    bars = chart.mark_rule(strokeWidth=3, opacity=0.5).encode(across, alt.Y("low:Q"), alt.Y2("high:Q"), colour)
    dots = chart.mark_point(filled=True, size=90, opacity=1).encode(across, qid, colour, tooltip=shown)
    texts = chart.mark_text(align="left", dx=9, fontSize=12).encode(
        across, qid, colour, text=alt.Text("qid:Q", format=".2r")
    )
    said = ", ".join(map(str, widths))
    description = f"Predicted QiD at {said} bits with its interval; two sliders choose tokens and size."
    whole: alt.LayerChart = (
        (bars + dots + texts)
        .add_params(*sliders)
        .properties(width="container", height=260, description=description, title=alt.Title(text=alt.ExprRef(title)))
    )
    return whole
