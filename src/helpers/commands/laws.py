"""The commands about laws: `qid fit`, `qid predict`, `qid invert`, `qid laws`, and `qid fits`, which makes their file.

Without `--data` they read `results/fits.json`; with it they fit a person's own rows. JSON goes to stdout, one object;
what was assumed goes to stderr in words, and into the object.
"""

import difflib
import functools
import inspect
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from helpers.commands.console import add, print_table
from helpers.commands.law_answers import (
    answer_to_json,
    beside_to_json,
    fit_to_json,
    print_answer,
    print_beside,
    print_fit,
    print_fits,
    show,
)
from helpers.table.errors import QidError
from helpers.table.ranges import AMOUNT, COUNT, POSITIVE, amount

if TYPE_CHECKING:  # what needs pandas and scipy is loaded when a command runs
    from helpers.analyse.fits.answers import Answer, KnownLaw
    from helpers.analyse.fits.stored import NamedFits

SEED = 0  # of the draws of a person's own fit
DRAWS = 1000
OUTCOME_SYMBOLS = {"qid": "QiD", "kl": "KL"}
VARIABLE_UNITS = {"tokens": "tokens", "n_params": "non-embedding parameters", "bits": "bits a weight"}
ACCEPTED = {"group_size": COUNT, "vocabulary_size": COUNT, "lr_fraction": AMOUNT, "curvature_nats": AMOUNT}

LawName = Annotated[str, typer.Option("--law", help="A law's name; `qid laws` lists them.")]
LawOrDefault = Annotated[
    str | None, typer.Option("--law", help="A law's name; by default the one that `qid laws` names so.")
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Your own rows, .csv or .parquet; by default the project's fits.")
]
OutcomeName = Annotated[
    str,
    typer.Option("--outcome", help="qid: the loss that rounding adds; kl: KL divergence from the 16-bit model."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class CommandError(QidError):
    """A command was asked for something that it can't do; the text says what is accepted."""


_sizes = functools.partial(amount, what="--n-params")
_tokens = functools.partial(amount, what="--tokens")


@dataclass(frozen=True)
class Asked:
    """A question to a law: which law, what is known of a model, and whose fits. Each field is an option."""

    law: LawOrDefault = None
    n_params: Annotated[
        float | None,
        typer.Option(parser=_sizes, metavar="<count>", help="Size N: non-embedding parameters; 7B, 7e9."),
    ] = None
    tokens: Annotated[
        float | None, typer.Option(parser=_tokens, metavar="<count>", help="Training tokens D; 15T, 15e12.")
    ] = None
    bits: Annotated[float | None, typer.Option(help="Bits a weight P.")] = None
    group_size: Annotated[float | None, typer.Option(help="Weights that share a scale.")] = None
    lr_fraction: Annotated[
        float | None, typer.Option(help="What decay has left of the peak rate; law learning-rate.")
    ] = None
    loss: Annotated[
        float | None, typer.Option(help="16-bit loss, nats a token; laws that need it predict it from N and D.")
    ] = None
    vocabulary_size: Annotated[float | None, typer.Option(help="Entries of the vocabulary; law room.")] = None
    curvature_nats: Annotated[
        float | None,
        typer.Option(help="Half the Hessian's trace times the mean squared rounding error; law curvature."),
    ] = None
    data: Data = None
    outcome: OutcomeName = "qid"
    as_json: AsJson = False

    @property
    def given(self) -> dict[str, float]:
        """Return what is known of the model, by the names of `answers`. Raises CommandError for what no model has."""
        values = {
            name: getattr(self, name) for name in (*VARIABLE_UNITS, "group_size", "lr_fraction", "curvature_nats")
        }
        values |= {"loss_nats": self.loss, "vocabulary_size": self.vocabulary_size}
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                raise CommandError(f"{name} is {value}; accepted: a finite number")
            if value is not None and value not in ACCEPTED.get(name, POSITIVE):
                raise CommandError(f"{name} is {value:g}; accepted: {ACCEPTED.get(name, POSITIVE)}")
        return {name: value for name, value in values.items() if value is not None}


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose first parameter, an `Asked`, is one option per field on the command line."""
    shared, (_, *of_command) = inspect.signature(Asked).parameters, inspect.signature(command).parameters.values()

    def run(**options: Any) -> None:
        asked = Asked(**{name: options.pop(name) for name in shared})
        command(asked, **options)

    # the required ones first
    ordered = sorted([*shared.values(), *of_command], key=lambda option: option.default is not option.empty)
    described: Any = functools.update_wrapper(run, command, assigned=("__name__", "__doc__"))
    described.__signature__ = inspect.Signature(ordered)
    return run


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command in (fit, asking(predict), asking(invert), laws):
        add(app, command)
    add(app, make_fits, "fits")


def fit(
    law: LawName,
    data: Data = None,
    by: Annotated[str | None, typer.Option(help="'bits': one fit a bit width.")] = None,
    outcome: OutcomeName = "qid",
    as_json: AsJson = False,
) -> None:
    """Show a fitted law: parameters with standard errors and 95% intervals by training run."""
    from helpers.analyse.laws.names import PER_BIT
    from helpers.analyse.laws.published import PUBLISHED

    _check_name(law, outcome)
    if law in PUBLISHED:
        raise CommandError(f"{law} is published, nothing is fitted; `qid predict` and `qid invert` use its constants")
    if by not in (None, "bits"):
        raise CommandError(f"--by is '{by}'; accepted: bits")
    if by == "bits" or law == PER_BIT:
        by_bits, assumed = _fits_by_bits(law, data, outcome)
        show({"law": law, "outcome": outcome, "by": "bits", "fits": by_bits, "assumed": assumed}, as_json, print_fits)
        return
    fits, assumed = _fits(law, data, 0, outcome)
    show({"law": law, "outcome": outcome, **fit_to_json(fits.fit(law)), "assumed": assumed}, as_json, print_fit)


def predict(asked: Asked) -> None:
    """Predict QiD or KL, in nats a token, with a 90% interval for a new training run.

    Without --law (and --data) the default law answers, beside it all others that can be asked and what was measured
    nearby.
    """
    from helpers.analyse.fits import answers

    given = asked.given
    law = asked.law or _default(asked.outcome)
    beside: dict[str, Any] = {}
    if asked.law is None and asked.data is None:
        answer, assumed, beside = _beside_others(asked.outcome, law, given)
    else:
        known, assumed = _known_law(asked, law, given)
        answer = answers.predict(known, given)
    found = {
        "law": law,
        asked.outcome: answer.value,
        **answer_to_json(answer),
        "unit": "nats a token",
        "given": given,
        **beside,
    }

    def in_words(shown: dict[str, Any]) -> None:
        print_answer(OUTCOME_SYMBOLS[asked.outcome], answer.value, shown)
        if beside:
            print_beside(shown)

    show(found | {"assumed": assumed}, asked.as_json, in_words)


def invert(asked: Asked, qid: Annotated[float, typer.Option(help="QiD (or KL), nats a token.")]) -> None:
    """Solve a law for the one of --tokens, --n-params and --bits that isn't given."""
    from helpers.analyse.fits import answers

    missing = [name for name in VARIABLE_UNITS if getattr(asked, name) is None]
    if len(missing) != 1:
        said = ", ".join(f"--{name.replace('_', '-')}" for name in missing) or "none"
        raise CommandError(f"give two of --tokens, --n-params and --bits; missing: {said}")
    given = asked.given
    law = asked.law or _default(asked.outcome)
    known, assumed = _known_law(asked, law, given)
    answer = answers.invert(known, missing[0], qid, given)
    found = {
        "law": law,
        "outcome": asked.outcome,
        "variable": missing[0],
        "value": answer.value,
        **answer_to_json(answer),
    }
    found |= {"unit": VARIABLE_UNITS[missing[0]], "given": {asked.outcome: qid} | given, "assumed": assumed}
    show(found, asked.as_json, lambda shown: print_answer(missing[0], answer.value, shown))


def laws(outcome: OutcomeName = "qid", as_json: AsJson = False) -> None:
    """List the laws: what each says and which variables it needs, which is the default and why."""
    from helpers.analyse.laws.default import read_default
    from helpers.analyse.laws.names import ELSEWHERE, LAW_NAMES, law_words
    from helpers.analyse.laws.published import PUBLISHED
    from helpers.analyse.rows.outcomes import QID, outcome_named

    names = [name for name in (*LAW_NAMES, *ELSEWHERE) if outcome_named(outcome) == QID or name not in PUBLISHED]
    listed: list[dict[str, Any]] = [law_words(name) for name in names]
    default, ranked = read_default(outcome=outcome)
    if as_json:
        print(json.dumps({"laws": listed, "default": {"law": default.law, **vars(default), "ranked": ranked}}))
        return
    for one in listed:
        print(f"{one['law']} ({one['kind']}; needs {', '.join(one['needs'])})\n    {one['says']}")
    print(f"default: {default.law}\n    judged as {default.name}: {default.reason}")
    table = Table("judged on the smaller sizes", "rms of ln", "se", "constants", "", box=None)
    for row in (one for one in ranked if one["candidate"]):
        tied = "tied with the best" if row["law"] in default.tied[1:] else ""
        table.add_row(row["law"], f"{row['score']:.3f}", f"{row['se']:.3f}", f"{row['constants']:.0f}", tied)
    print_table(table)


def make_fits() -> None:
    """Fit and judge what `results/fits.json` lacks of the laws; all of them after another table."""
    from helpers.analyse.judgement.make_fits import write

    write()


def _fits_by_bits(law: str, data: Path | None, outcome: str) -> tuple[dict[str, Any], list[str]]:
    """Return by bit width a fit, or its status and reason, and what was assumed. Raises FitError if there is no fit."""
    from helpers.analyse.laws.names import PER_BIT

    if law not in ("power", PER_BIT):
        raise CommandError(f"--by bits is for the law power, which is then without P; got {law}")
    fits, assumed = _fits(PER_BIT, data, 0, outcome)
    by_bits = {
        f"{bits:g}": fit_to_json(fits.fits[name])
        if name in fits.fits
        else {"status": str(fits.refused[name].status), "reason": str(fits.refused[name])}
        for bits, name in fits.widths.items()
    }
    if not any("params" in one for one in by_bits.values()):
        raise fits.refused[next(iter(fits.widths.values()))]
    return by_bits, assumed


def _fits(law: str, data: Path | None, n_draws: int, outcome: str) -> "tuple[NamedFits, list[str]]":
    """Return fits that hold `law`, the project's or those of a person's rows, and what was assumed of these."""
    from helpers.analyse.rows.outcomes import outcome_named

    asked = outcome_named(outcome)
    if data is None:
        from helpers.analyse.fits.stored import read_fits

        return read_fits(outcome=asked), []
    import numpy as np

    from helpers.analyse.fits.own_rows import read_own_rows
    from helpers.analyse.fits.with_draws import FitRows, fits_of

    own = read_own_rows(data, asked)
    return fits_of(FitRows(str(data), own.data), law, n_draws, np.random.SeedSequence(SEED)), list(own.assumed)


def _default(outcome: str) -> str:
    """Return the name of the law that is taken where none is named."""
    from helpers.analyse.laws.default import read_default
    from helpers.analyse.rows.outcomes import outcome_named

    return read_default(outcome=outcome_named(outcome).name)[0].law


def _beside_others(outcome: str, law: str, given: dict[str, float]) -> "tuple[Answer, list[str], dict[str, Any]]":
    """Return a law's answer at the groups asked for, what was assumed, and what is said and known beside it."""
    from helpers.analyse.fits.answers import predict
    from helpers.analyse.fits.stored import read_fits
    from helpers.analyse.judgement import band
    from helpers.analyse.rows.outcomes import outcome_named

    fits = read_fits(outcome=outcome_named(outcome))
    known = band.known_law(fits, law, given.get("bits"))
    predict(known, given)  # for its error: `every_answer` leaves out what has no answer
    said = band.every_answer(fits, given)
    own = next(one.answer for one in said if one.law == law)
    beside = beside_to_json(said, band.group_factor(fits, given.get("group_size")), band.nearest_points(given))
    return own, _of_loss(known, given), beside


def _known_law(asked: Asked, law: str, given: dict[str, float]) -> "tuple[KnownLaw, list[str]]":
    """Return a law that can be asked, and what was assumed: of a person's rows, and of a loss that isn't given."""
    from helpers.analyse.fits.answers import fitted_law, published_law
    from helpers.analyse.laws.published import PUBLISHED

    _check_name(law, asked.outcome)
    if law not in PUBLISHED:
        fits, assumed = _fits(law, asked.data, DRAWS, asked.outcome)
        known = fitted_law(fits, law, asked.bits)
        return known, [*assumed, *_of_loss(known, given)]
    if asked.data is not None:
        raise CommandError(f"{law} is published, nothing is fitted: leave --data out")
    return published_law(law, asked.bits), []


def _of_loss(known: "KnownLaw", given: dict[str, float]) -> list[str]:
    """Return what was assumed of a 16-bit loss that isn't given: a sentence, or none."""
    trouble = known.trouble_with_loss(given)
    return [trouble] if trouble else []


def _check_name(law: str, outcome: str) -> None:
    from helpers.analyse.laws.names import ELSEWHERE, LAW_NAMES
    from helpers.analyse.laws.published import PUBLISHED
    from helpers.analyse.rows.outcomes import QID, outcome_named

    if outcome_named(outcome) != QID and law in PUBLISHED:
        raise CommandError(f"{law} is published for QiD; --outcome {outcome} has no published law")
    if law in ELSEWHERE:
        raise CommandError(f"{law} is fitted in the book's chapters only; accepted: {', '.join(LAW_NAMES)}")
    if law not in LAW_NAMES:
        near = difflib.get_close_matches(law, LAW_NAMES, n=1)
        hint = f" (is '{near[0]}' meant?)" if near else ""
        raise CommandError(f"no law is named '{law}'{hint}; accepted: {', '.join(LAW_NAMES)}")
