"""The answers of the commands that ask laws, as objects of `--json` and in words."""

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.table import Table

from helpers.commands.console import console, print_table
from helpers.table.paired_error import perplexity_ratio

if TYPE_CHECKING:  # what needs pandas and scipy is loaded when a command runs
    import pandas as pd

    from helpers.analyse.fits.answers import Answer
    from helpers.analyse.fits.stored import StoredFit
    from helpers.analyse.judgement.band import Said


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


def beside_to_json(said: "list[Said]", group_factor: float, nearest: "pd.DataFrame") -> dict[str, Any]:
    """Return what other laws say of the same model, and what was measured near it, under the names of `--json`."""
    from helpers.analyse.judgement.band import span

    low, high = span(said)
    columns = ("model", "bits", "group_size", "dataset", "n_params_non_embedding", "tokens_seen", "qid_nats", "source")
    return {
        "group_factor": group_factor,
        "band": {"low": low, "high": high, "n_laws": sum(not one.fails_outside for one in said)},
        "laws": [
            {
                "law": one.law,
                "value": one.answer.value,
                "low": one.answer.low,
                "high": one.answer.high,
                "typical_miss_outside": one.typical_miss_outside,
                "fails_outside": one.fails_outside,
            }
            for one in said
        ],
        "nearest": [{name: row[name] for name in columns} for row in nearest.to_dict("records")],
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


def print_beside(shown: dict[str, Any]) -> None:
    """Print the band of all laws, each law's answer, and the nearest measured models, in words."""
    is_qid, span = "qid" in shown, shown["band"]
    if is_qid:
        ends = [perplexity_ratio(shown[end]) for end in ("qid", "low", "high")]
        value, low, high = ("more than a float holds" if each is None else f"{each:.3f}" for each in ends)
        print(f"perplexity times {value} ({low} to {high})")
    if shown["group_factor"] != 1:
        factor, group = shown["group_factor"], shown["given"]["group_size"]
        print(f"times {factor:.2f} for groups of {group:g}, by the law group-size: laws are fitted to groups of 32")
    print(f"band of {span['n_laws']} laws that can be asked: {span['low']:.4g} to {span['high']:.4g}")
    if shown["outside"]:
        print(_far_off(shown))
    table = Table("law", "nats a token", "90% interval", "typical miss on models of others", box=None)
    for one in shown["laws"]:
        interval = "" if math.isnan(one["low"]) else f"{one['low']:.4g} to {one['high']:.4g}"
        miss = one["typical_miss_outside"]
        words = "" if math.isnan(miss) else f"{miss:.1f} times{', fails' if one['fails_outside'] else ''}"
        table.add_row(one["law"], f"{one['value']:.4g}", interval, words)
    print_table(table)
    for point in shown["nearest"] if is_qid else ():
        print(
            f"measured by others: {point['model']} ({point['tokens_seen']:.3g} tokens), GPTQ, {point['bits']:g} bits, "
            f"groups of {point['group_size']:g}, {point['dataset']}: {point['qid_nats']:.4f} nats"
        )


def _far_off(shown: dict[str, Any]) -> str:
    """Return what to think of an answer beyond the law's range: its typical miss on models of others, as a range."""
    value = shown["qid" if "qid" in shown else "kl"]
    miss = next(one["typical_miss_outside"] for one in shown["laws"] if one["law"] == shown["law"])
    if math.isnan(miss):
        return "Beyond what was measured the interval takes the law's form for true; nothing of others judges it there."
    return (
        f"Beyond what was measured the interval takes the law's form for true. On models of others this law typically "
        f"misses by {miss:.1f} times: think of {value / miss:.2g} to {value * miss:.2g} nats."
    )
