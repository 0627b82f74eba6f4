"""The commands about the register of predictions: `qid foretell`, `qid foretell-outside`, `qid settle`."""

import datetime
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from helpers.commands.console import add, console
from helpers.commands.laws import OutcomeName
from helpers.table.disk import exclusive, refuse_unwritable
from helpers.table.errors import ResultsError, SpecError
from helpers.table.records import given

if TYPE_CHECKING:
    from helpers.table.checkpoint import CheckpointSpec

RegisterFile = Annotated[Path, typer.Option("--register", help="The register's file.")]
USUAL = Path("results/predictions.json")


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    add(app, foretell)
    add(app, foretell_outside, "foretell-outside")
    add(app, settle)


def foretell(
    plan_file: Annotated[Path, typer.Argument(help="The plan of a training that is to come.")],
    law: Annotated[str, typer.Option(help="The law that is asked; `qid laws` lists them.")],
    step: Annotated[list[int], typer.Option(help="A checkpoint to be measured; repeat for more.")],
    bits: Annotated[list[int], typer.Option(help="A bit width; repeat for more.")],
    outcome: OutcomeName = "qid",
    path: RegisterFile = USUAL,
) -> None:
    """Write into the register what a law says of a plan's runs before they are trained, with its 90% interval."""
    from helpers.analyse.fits.stored import read_fits
    from helpers.analyse.questions.register import Ahead, added, predictions_of, read_register, write_register
    from helpers.analyse.rows.outcomes import outcome_named
    from helpers.measure.training.plan import read_plan

    refuse_unwritable(path)
    asked_of = outcome_named(outcome)
    plan = read_plan(plan_file)
    missing = sorted({*step} - {*plan.steps})
    if missing:
        raise SpecError(f"{plan_file}: no checkpoint at step {missing[0]}; accepted: {', '.join(map(str, plan.steps))}")
    tokens = tuple(each * plan.tokens_per_step for each in step)
    runs = [Ahead(f"{plan.family}/{run.name}", run.model.n_params_non_embedding, tokens) for run in plan.runs()]
    fits, today, commit = read_fits(outcome=asked_of), _today(), _commit()
    new = [entry for ahead in runs for entry in predictions_of(fits, law, ahead, bits, today, commit)]
    with exclusive(path, doing="writing"):
        write_register(added(read_register(path), new), path)
    console.print(f"{path}: {len(new)} predictions of {outcome} by {law}")


def foretell_outside(
    model: Annotated[
        str, typer.Argument(help="A model from outside: its description, data/outside/NAME.yml, or a Hub repository.")
    ],
    bits: Annotated[list[int], typer.Option(help="A bit width; repeat for more.")],
    group_size: Annotated[list[int], typer.Option(help="Weights that share a scale; repeat for more.")],
    revision: Annotated[str | None, typer.Option(help="Of the Hub repository, of a family that is known.")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Ask about one scale a row too.")] = False,
    path: RegisterFile = USUAL,
) -> None:
    """Write into the register what every law says of a model from outside: QiD and KL, on code and on prose.

    Of a revision on the Hub it is asked on code, which sweeps score on.
    """
    from helpers.analyse.fits.stored import read_fits
    from helpers.analyse.judgement.foretold import Questions, foretold, known_of
    from helpers.analyse.questions.register import added, read_register, write_register
    from helpers.analyse.rows.outcomes import OUTCOMES
    from helpers.analyse.rows.study import HELDOUT, PROSE
    from helpers.table.families.outside import read_outside

    refuse_unwritable(path)
    described = read_outside(Path(model)) if revision is None else known_of(_published(model, revision))
    texts, today, commit = (HELDOUT, PROSE) if revision is None else (HELDOUT,), _today(), _commit()
    questions = Questions(bits, [*group_size, *([None] if rows else [])], texts)
    new = []
    for outcome in OUTCOMES.values():
        fits = read_fits(outcome=outcome)
        new += foretold(fits, given(fits.default).law, described, questions, today, commit)
    with exclusive(path, doing="writing"):
        write_register(added(read_register(path), new), path)
    console.print(f"{path}: {len(new)} predictions of {len({entry.law for entry in new})} laws")


def settle(
    path: RegisterFile = USUAL,
    table: Annotated[Path, typer.Option(help="The table of measurements.")] = Path("results/measurements.parquet"),
) -> None:
    """Write measured outcomes beside the predictions that are open."""
    from helpers.analyse.questions.register import OPEN, read_register, settled, write_register
    from helpers.table.files import read_table

    if not path.exists():
        raise ResultsError(f"{path}: no such register; accepted: one that `qid foretell` wrote")
    refuse_unwritable(path)
    with exclusive(path, doing="writing"):
        before = read_register(path)
        after = settled(before, read_table(table).to_pandas())
        write_register(after, path)
    n_open = sum(entry.outcome == OPEN for entry in after)
    known = [entry.hit for entry in after if entry.hit is not None and entry.level is not None]  # a band is no interval
    console.print(f"{path}: {len(after)} predictions, {n_open} open; {sum(known)} of {len(known)} intervals hold")


def _published(repository: str, revision: str) -> "CheckpointSpec":
    """Return a checkpoint of a family on the Hub. Raises SpecError where none is known, or it is known to be bad."""
    from helpers.table.families.catalogue import HUB_FAMILIES
    from helpers.table.families.hub import known_bad, refusal

    for family in HUB_FAMILIES.values():
        spec = family.found(repository, revision)
        if spec is not None:
            bad = known_bad(family, spec)
            if bad is not None:
                raise SpecError(refusal(bad, spec))
            return spec
    accepted = f"a revision of {', '.join(HUB_FAMILIES)}"
    raise SpecError(f"{repository} at {revision}: of no family that is known; accepted: {accepted}")


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _commit() -> str:
    """Return the commit of this checkout. Raises SpecError where there is none: then nothing dates a prediction."""
    try:
        answer = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise SpecError("no git commit to date a prediction by; accepted: a checkout of the repository") from None
    return answer.stdout.strip()
