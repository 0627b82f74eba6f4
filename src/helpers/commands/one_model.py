"""The command for a model of one's own: `qid measure`."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from helpers.commands.console import Device, MemoryGib, add, console, end_with, in_bytes, print_table
from helpers.commands.several import GroupSize, Spread, Texts
from helpers.measure.sweep.places import Places
from helpers.table import disk
from helpers.table.errors import QidError, ResultsError
from helpers.table.ranges import amount
from helpers.table.records import given

if TYPE_CHECKING:  # what needs pandas and torch is loaded when the command runs
    import pandas as pd

    from helpers.analyse.judgement.one_model import Finding
    from helpers.measure.sweep.one_model import OneModel
    from helpers.measure.sweep.one_model_run import Measured

USUAL = Places()
REPORT_FILES = ("report.html", "quantization-card.md")


def register(app: typer.Typer) -> None:
    """Add the command to the `qid` command."""
    add(app, measure, cls=Spread)


def measure(
    model: Annotated[str, typer.Argument(help="A folder in Hugging Face layout, a .gguf file, or a Hub repository.")],
    revision: Annotated[str | None, typer.Option(help="Of the Hub repository; by default main.")] = None,
    bits: Annotated[list[int], typer.Option(help="Bits of a code, one or several.")] = [2, 3, 4],  # noqa: B006
    method: Annotated[list[str], typer.Option(help="gptq, rtn, awq, nf4 ...; one or several.")] = ["gptq"],  # noqa: B006
    group_size: GroupSize = None,
    text: Texts = ["prose", "code"],  # noqa: B006
    calibration: Annotated[
        list[str], typer.Option(help="mixed, code or prose of the book; wikitext2 or c4; or files as for --text.")
    ] = ["mixed"],  # noqa: B006
    tokens: Annotated[
        str | None, typer.Option(help="Training tokens, such as 2T: then it says what to expect.")
    ] = None,
    seeds: Annotated[list[int], typer.Option(help="Of calibration draws; several tell their noise.")] = [0],  # noqa: B006
    seq_len: Annotated[
        int | None, typer.Option(help="Tokens a sequence; by default 512, or all positions if fewer.")
    ] = None,
    unreached_experts: Annotated[
        str | None,
        typer.Option(help="How experts are rounded that too little calibration text goes to: rtn. By default refused."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Less text in shorter sequences: a first look.")] = False,
    device: Device = "cpu",
    memory_gib: MemoryGib = None,
    table: Annotated[Path, typer.Option(help="The table that rows are added to.")] = USUAL.measurements,
    records: Annotated[Path, typer.Option(help="Where records go, one a measurement.")] = USUAL.records,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[Path | None, typer.Option(help="A folder for report.html and quantization-card.md.")] = None,
) -> None:
    """Measure what rounding does to a model of your own: loss added, how sure that is, whether it is to be expected."""
    from helpers.analyse.judgement.one_model import notes_on
    from helpers.measure.sweep.one_model import Wanted, one_model
    from helpers.measure.sweep.one_model_run import run_one_model
    from helpers.measure.text.extent import FULL, QUICK

    wanted = Wanted(
        model,
        revision,
        tuple(bits),
        tuple(method),
        group_size,
        tuple(text),
        tuple(calibration),
        tuple(seeds),
        seq_len,
        None if tokens is None else amount(tokens, "--tokens"),
        QUICK if quick else FULL,
        unreached_experts,
    )
    if report is not None:
        _refuse_unwritable(report)
    planned = one_model(wanted)
    measured = run_one_model(planned, device, Places(table, records), console, in_bytes(memory_gib))
    rows = _rows(table, measured.ids, wanted.tokens_seen)
    found = _findings(planned, rows)
    notes = [*planned.caveats, *notes_on(found, measured.calibration_bits_per_byte)]
    _say(planned, found, notes, measured, as_json)
    if report is not None and found:
        _write_report(report, planned, found, rows, notes)
    end_with(measured.failures, "not measured")


def _refuse_unwritable(report: Path) -> None:
    """Raise ResultsError, before any work, where a report can't be written into the folder `report`."""
    for name in REPORT_FILES:
        disk.refuse_unwritable(report / name)
        if (report / name).is_dir():
            raise ResultsError(f"{report / name}: a folder; accepted: a place for a file")


def _findings(planned: "OneModel", rows: "pd.DataFrame") -> "list[Finding]":
    """Return the findings of rows, with the matrix to look at where one is more than expected."""
    from helpers.analyse.judgement.one_model import MORE, findings, looked_at

    found = findings(rows, _expectation())
    more = next((each for each in found if each.kind == MORE), None)
    if more is None:
        return found
    from helpers.measure.sweep.one_model_run import suspect

    return looked_at(found, str(suspect(planned, more.bits, more.group_size)))


def _rows(table: Path, ids: tuple[str, ...], tokens: int | None) -> "pd.DataFrame":
    """Return the rows of these ids, with the training tokens that were said now, if any."""
    from helpers.table.files import read_table

    rows = read_table(table).to_pandas()
    rows = rows[rows["measurement_id"].isin(ids)].reset_index(drop=True)
    return rows if tokens is None else rows.assign(tokens_seen=tokens)


def _expectation() -> Any:
    """Return the function that says what is to be expected of a row: of GPTQ, where its training tokens are known."""
    import pandas as pd

    from helpers.analyse.fits.stored import read_fits
    from helpers.analyse.judgement.expected import expected_qid

    try:
        fits = read_fits()
    except QidError as error:
        console.print(f"note: what to expect isn't known ({error})")
        return lambda _row: None
    law = given(fits.default).law

    def expect(row: "pd.Series") -> Any:
        if row["method"] != "gptq" or pd.isna(row["tokens_seen"]):
            return None
        group = None if pd.isna(row["group_size"]) else int(row["group_size"])
        size, loss = row["n_params_non_embedding"], row["baseline_loss_nats"]
        return expected_qid(fits, law, size, row["tokens_seen"], row["bits"], group, loss)

    return expect


def _say(planned: "OneModel", found: "list[Finding]", notes: list[str], measured: "Measured", as_json: bool) -> None:
    """Print the findings: one JSON object, or a table and what has to be said beside it."""
    from helpers.analyse.fits.stored import plain
    from helpers.commands.one_model_table import as_table

    if not as_json:
        print_table(as_table(found))
        for note in notes:
            print(note)
        return
    spec = planned.job.checkpoint
    shown = {
        "model": spec.label,
        "n_params_total": spec.n_params_total,
        "n_params_non_embedding": spec.n_params_non_embedding,
        "tokens_seen": spec.tokens_seen,
        "findings": [dataclasses.asdict(each) for each in found],
        "notes": [*notes, *planned.notes],
        "n_measured": measured.n_measured,
        "n_present": measured.n_present,
        "failures": list(measured.failures),
    }
    print(json.dumps(plain(shown), allow_nan=False))


def _write_report(
    folder: Path, planned: "OneModel", found: "list[Finding]", rows: "pd.DataFrame", notes: list[str]
) -> None:
    """Write the page and the card, each whole or not at all."""
    from helpers.show.report_card import card
    from helpers.show.report_page import page
    from helpers.show.report_subject import subject_of

    spec = planned.job.checkpoint
    subject = subject_of(rows, [*notes, *planned.notes])
    contents = (page(found, subject), card(found, subject, None if spec.revision is None else spec.location))
    for name, content in zip(REPORT_FILES, contents, strict=True):
        with disk.exclusive(folder / name, doing="writing"):  # what a kill left of it goes
            disk.write_atomically(folder / name, content.encode())
        console.print(f"{folder / name}: written")
