"""A fitted law to be asked in the page: predicted QiD by bit width, with its interval for a new training run.

The page carries the coefficients c and their covariance C and computes (`book/_ext/touch/interval.js`) with x, what
multiplies each coefficient in ln QiD: QiD = exp(x'c), its interval QiD (1 -+ t sqrt(x'Cx + tau^2)). That is the
interval of `hold_out_largest` for a row without error of its own.
"""

from typing import Any

from scipy import stats

from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.forms import STEPS
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.variables import LINEAR, LOG, LawError
from helpers.show.touch.widget import Widget

VARIABLES = ("tokens", "n_params", "bits")
SCALES = {LOG: "log", LINEAR: "linear", STEPS: "steps"}  # steps: ln(2^(P-1) - 1)


def columns(law: type[Law]) -> list[list[dict[str, Any]]]:
    """Return what multiplies each coefficient of a law in ln QiD, in their order: a sum of terms, none for one.

    Raises LawError for a law that is more than a product of terms in tokens, size and bits.
    """
    if not law.is_product() or not set(law.needs()) <= set(VARIABLES):
        raise LawError(f"the page asks products of terms in tokens, size and bits; {law.NAME} is none")
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in law.parameter_names()}
    for term in law.TERMS:
        read = {"variable": term.variable, "scale": SCALES[term.scale], "sign": term.sign}
        parts[term.parameter].append(read)
    return list(parts.values())


def fitted_law(fit: FitResult, level: float = 0.90) -> Widget:
    """Return a fitted law to be asked inside the ranges that were fitted. Raises LawError (see `columns`)."""
    box = fit.law.validity
    data = {
        "coefficients": fit.law.coefficients.tolist(),
        "columns": columns(type(fit.law)),
        "covariance": fit.covariance.tolist(),
        "tau": float(fit.tau),
        "quantile": float(stats.t.ppf(0.5 + level / 2, fit.n_runs - 1)),
        "level": level,
        "box": {"tokens": box.tokens, "n_params": box.n_params},
        "bits": [int(bits) for bits in sorted(set(fit.data.bits))],
    }
    return Widget("law", "Predicted QiD by bits, for tokens and size inside what was fitted", data)
