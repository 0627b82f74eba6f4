"""The answers of the commands that ask laws, as objects of `--json` and in words."""

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.table import Table

from helpers.commands.console import console, print_table

if TYPE_CHECKING:  # what needs pandas and scipy is loaded when a command runs
    from helpers.analyse.fits.answers import Answer
    from helpers.analyse.fits.stored import StoredFit


def answer_to_json(answer: "Answer") -> dict[str, Any]:
    """Return what an answer has beside its value, under the names of `--json`."""
    return {
        "low": answer.low,
        "high": answer.high,
        "extrapolates": bool(answer.outside),
        "outside": list(answer.outside),
        "range": answer.ranges,
        "interval": answer.interval,
    }


def fit_to_json(fit: "StoredFit") -> dict[str, Any]:
    """Return a fit under the names of `--json`."""
    from helpers.analyse.fits.stored import estimate_to_json

    shown = ("n_rows", "n_runs", "condition_number", "tau", "aic", "bic", "level", "no_interval_because", "rows")
    return {
        "status": str(fit.status),
        **{name: getattr(fit, name) for name in shown},
        "params": {name: estimate_to_json(one) for name, one in fit.params.items()},
        "exponents_of_tokens": [term.parameter for term in fit.law.TERMS if term.variable == "tokens"],
        "coefficients": fit.coefficients,
        "range": {name: fit.law.validity.of(name) for name in fit.law.needs()},
    }


def show(shown: dict[str, Any], as_json: bool, in_words: Callable[[dict[str, Any]], None]) -> None:
    """Print an object as JSON, or in words; what was assumed goes to stderr."""
    from helpers.analyse.fits.stored import plain

    for sentence in shown["assumed"]:
        console.print(f"note: {sentence}")
    if as_json:
        print(json.dumps(plain(shown), allow_nan=False))
    else:
        in_words(shown)


def print_fit(shown: dict[str, Any]) -> None:
    """Print a fit in words."""
    print(f"{shown['law']}: {shown['status']}, {shown['n_rows']} rows of {shown['n_runs']} runs ({shown['rows']})")
    table = Table("", "estimate", "se", f"{shown['level']:.0%} interval", box=None)
    window = shown["range"].get("tokens")
    for name, one in shown["params"].items():
        ends = "" if math.isnan(one["low"]) else f"{one['low']:.4g} to {one['high']:.4g}"
        label = f"{name}, D {window[0]:.3g} to {window[1]:.3g}" if name in shown["exponents_of_tokens"] else name
        table.add_row(label, f"{one['estimate']:.4g}", "" if math.isnan(one["se"]) else f"{one['se']:.2g}", ends)
    print_table(table)
    if shown["no_interval_because"]:
        print(f"no interval: {shown['no_interval_because']}")
    print(f"relative spread tau {shown['tau']:.3f}, condition number {shown['condition_number']:.3g}")
    print("D in tokens, N in non-embedding parameters, P in bits a weight, QiD in nats a token")


def print_fits(shown: dict[str, Any]) -> None:
    """Print a fit a bit width, or why there is none, in words."""
    for bits, outcome in shown["fits"].items():
        if "params" in outcome:
            print_fit({"law": f"{shown['law']}, {bits} bits"} | outcome)
        else:
            print(f"{shown['law']}, {bits} bits: {outcome['status']}, {outcome['reason']}")


def print_answer(name: str, value: float, shown: dict[str, Any]) -> None:
    """Print an answer with its unit, interval and what it extrapolates in, in words."""
    print(f"{shown['law']}: {name} = {value:.4g} {shown['unit']}")
    if math.isnan(shown["low"]) and math.isnan(shown["high"]):
        print(f"no interval: {shown['interval']}")
    else:
        low, high = ("open" if math.isnan(shown[end]) else f"{shown[end]:.4g}" for end in ("low", "high"))
        print(f"interval ({shown['interval']}): {low} to {high}")
    for variable in shown["outside"]:
        low, high = shown["range"][variable]
        fitted = "no range is known" if math.isnan(low) else f"fitted from {low:.4g} to {high:.4g}"
        print(f"extrapolates: {variable}, {fitted}")
