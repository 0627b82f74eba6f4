"""The `qid` command: train a family, run a sweep, count rows, export what was rounded, rebuild the text, ask a law."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from helpers.commands import laws
from helpers.table.rows import QidError, QuantScheme, SpecError

HELDOUT_SEQUENCES = 128  # one of each document, as the readers' sweeps have

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True)


@app.callback()
def main() -> None:
    """Measure how much a language model loses when its weights are rounded."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # one progress bar, ours
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=console)])


@app.command()
def sweep(
    sweep_file: Annotated[Path, typer.Argument(help="The sweep's YAML.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    table: Annotated[Path, typer.Option(help="The table to write.")] = Path("results/local.parquet"),
    records: Annotated[Path, typer.Option(help="Where records go, one a measurement.")] = Path("results/measurements"),
    memory_gib: Annotated[
        float | None,
        typer.Option(
            help="Memory for rounding and scoring, beside the models. By default 1, on a GPU 0.6 of what is free."
        ),
    ] = None,
) -> None:
    """Measure what a sweep declares and the table doesn't hold yet."""
    from helpers.measure.sweep.run import run_sweep

    memory_bytes = None if memory_gib is None else int(memory_gib * 2**30)
    report = run_sweep(sweep_file, device, table, records, console, memory_bytes)
    console.print(f"{table}: {report.n_measured} rows measured, {report.n_present} already there")
    for failure in report.failures:
        console.print(f"not measured: {failure}", style="red")
    if report.failures:
        raise typer.Exit(1)


@app.command()
def search(
    sweep_file: Annotated[Path, typer.Argument(help="The sweep's YAML, with parts that say `search`.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    table: Annotated[Path, typer.Option(help="The table of measurements, for recipes.")] = Path(
        "results/local.parquet"
    ),
    trials: Annotated[Path, typer.Option(help="The table of trials to write.")] = Path("results/local-trials.parquet"),
    records: Annotated[Path, typer.Option(help="Where records of recipes go.")] = Path("results/measurements"),
    trial_records: Annotated[Path, typer.Option(help="Where finished searches go.")] = Path("results/trials"),
    memory_gib: Annotated[
        float | None, typer.Option(help="Memory for rounding and scoring, beside the models.")
    ] = None,
) -> None:
    """Search which matrices can go to low precision, and measure the recipes found."""
    from helpers.measure.sweep.search_run import SearchPlaces, run_search

    places = SearchPlaces(table, trials, records, trial_records)
    memory_bytes = None if memory_gib is None else int(memory_gib * 2**30)
    report = run_search(sweep_file, device, places, console, memory_bytes)
    console.print(f"{trials}: {report.n_searched} searches made, {report.n_present} already there")
    console.print(f"{table}: {report.n_recipes} rows measured")
    for failure in report.failures:
        console.print(f"not searched: {failure}", style="red")
    if report.failures:
        raise typer.Exit(1)


@app.command()
def mixed(
    checkpoint: Annotated[Path, typer.Argument(help="A folder with config.json and safetensors.")],
    budget: Annotated[float, typer.Option(help="What may be lost: nats a token for qid, else a share.")],
    metric: Annotated[str, typer.Option(help="qid, relative_perplexity or accuracy_drop.")] = "qid",
    bits: Annotated[int, typer.Option(help="Of the matrices in low precision.")] = 3,
    group_size: Annotated[int, typer.Option(help="Columns that share a scale; -1 for the whole row.")] = 32,
    symmetric: Annotated[bool, typer.Option(help="Whether grids have their zero in the middle.")] = False,
    granularity: Annotated[str, typer.Option(help="What is assigned as one: layer or matmul.")] = "matmul",
    sequences: Annotated[int, typer.Option(help="Sequences of 512 tokens that the search scores on.")] = 32,
    out: Annotated[Path, typer.Option(help="The recipe's file; it must not exist.")] = Path("recipe.json"),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Find which matrices must stay in 16 bits for a budget of loss, measure it and save the recipe."""
    from helpers.measure.mixed import budgets, recipes
    from helpers.measure.packing import export

    allowed = budgets.Budget(budget, metric)
    scheme = export.gptq_scheme(bits, None if group_size == -1 else group_size, symmetric)
    if out.exists():
        raise SpecError(f"{out}: exists already; accepted: a file that doesn't")
    loaded, weights_sha256 = export.load_folder(checkpoint, device)
    texts = budgets.texts_for(checkpoint, sequences, HELDOUT_SEQUENCES, scheme.calib_seed)
    found = budgets.recipe_within(loaded, weights_sha256, scheme, granularity, allowed, texts)
    recipes.write(found, out)
    kept = ", ".join(found.scheme.kept_matrices) or "none"
    console.print(
        f"{out}: {found.quantized_ratio:.1%} of the weights at {bits} bits; in 16 bits: {kept}", soft_wrap=True
    )
    console.print(
        f"QiD {found.qid_nats:.4f} ± {found.paired_error_nats:.4f} nats a token on held-out text"
        f" (loss {found.loss_nats:.4f})"
    )


@app.command()
def train(
    plan_file: Annotated[Path, typer.Argument(help="The family's YAML.")],
    out: Annotated[
        Path | None, typer.Option(help="The family's folder; by default .cache/NAME for train-NAME.yml.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cuda",
    model: Annotated[list[str] | None, typer.Option(help="A model to train; repeat for more. All by default.")] = None,
) -> None:
    """Train a family of models, or go on where a killed run stopped."""
    from helpers.measure.training.trainer import train_family

    out = Path(".cache") / plan_file.stem.removeprefix("train-") if out is None else out
    console.print(f"{train_family(plan_file, out, device, console, model)}: written")


@app.command()
def study(
    sweep_file: Annotated[Path, typer.Argument(help="The study's YAML; train-FAMILY.yml lie beside it.")],
    unit: Annotated[list[str], typer.Argument(help="What to train and measure, in order: FAMILY/MODEL ...")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cuda",
    families: Annotated[Path, typer.Option(help="Where trained families go, a folder each.")] = Path(".cache"),
    table: Annotated[Path, typer.Option(help="The table of measurements to write.")] = Path("results/local.parquet"),
    checkpoint_table: Annotated[Path, typer.Option(help="The table of checkpoints to write.")] = Path(
        "results/local-checkpoints.parquet"
    ),
    records: Annotated[Path, typer.Option(help="Where records go, one a measurement.")] = Path("results/measurements"),
    trials: Annotated[Path, typer.Option(help="The table of trials to write, where the sweep has searches.")] = Path(
        "results/local-trials.parquet"
    ),
    trial_records: Annotated[Path, typer.Option(help="Where finished searches go.")] = Path("results/trials"),
    memory_gib: Annotated[
        float | None, typer.Option(help="Memory for rounding and scoring, beside the models.")
    ] = None,
) -> None:
    """Train models, measure them and search them, unit by unit, each while the next is trained."""
    from helpers.measure.study import Study, run_study
    from helpers.measure.sweep.declaration import Unit

    memory_bytes = None if memory_gib is None else int(memory_gib * 2**30)
    declared = Study(sweep_file, device, table, checkpoint_table, records, trials, trial_records, memory_bytes)
    failures = run_study(declared, [Unit.parse(text, families) for text in unit], console)
    for failure in failures:
        console.print(f"not measured: {failure}", style="red")
    if failures:
        raise typer.Exit(1)


@app.command()
def gather(
    tables: Annotated[list[Path], typer.Argument(help="Tables, or folders of records that a kill left.")],
    table: Annotated[Path, typer.Option(help="The table to join them into.")] = Path("results/measurements.parquet"),
) -> None:
    """Join measurements made on several machines into one table."""
    from helpers.table.files import gather as join

    console.print(f"{table}: {join(tables, table)} rows")


@app.command()
def pocket(
    source: Annotated[Path, typer.Argument(help="A trained family's folder.")],
    run: Annotated[list[str], typer.Option(help="A run to take; repeat for more.")],
    step: Annotated[list[int], typer.Option(help="A step to take; repeat for more.")],
    out: Annotated[Path, typer.Option(help="The pocket family's folder.")] = Path("data/tadpole"),
) -> None:
    """Copy some checkpoints of a trained family into the repository's pocket family."""
    from helpers.measure.training.folder import select

    select(source, run, step, out)


@app.command()
def checkpoints(
    family: Annotated[Path, typer.Argument(help="A trained family's folder.")],
    table: Annotated[Path, typer.Option(help="The table to write.")] = Path("results/checkpoints.parquet"),
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Describe a family's checkpoints apart from any rounding: weights, activations, curvature."""
    from helpers.measure.describing.checkpoint_rows import describe_family

    report = describe_family(family, table, device, console)
    console.print(f"{table}: {report.n_described} rows made, {report.n_present} already there")
    for failure in report.failures:
        console.print(f"not described: {failure}", style="red")
    if report.failures:
        raise typer.Exit(1)


@app.command()
def corpus(
    folder: Annotated[Path, typer.Option(help="Where wheels go.")] = Path(".cache/corpus/wheels"),
) -> None:
    """Download the wheels that `data/corpus.lock` names, by exact hash, with pip; keep the held-out files beside."""
    from helpers.measure.text.token_blocks import keep_heldout, read_lock

    folder.mkdir(parents=True, exist_ok=True)
    pins = folder.parent / "wheels.txt"
    lock = read_lock()
    missing = [w for w in (*lock.wheels, *lock.unseen_wheels) if not (folder / w.filename).exists()]
    pins.write_text("".join(f"{w.package}=={w.version} --hash=sha256:{w.sha256}\n" for w in missing))
    if missing:
        _download(pins, folder)
    console.print(f"{folder.parent / 'heldout'}: {keep_heldout(lock, folder.parent)} files")


def _download(pins: Path, folder: Path) -> None:
    tags = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any"]
    options = [option for tag in tags for option in ("--platform", tag)]
    options += ["--python-version", "3.11", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    subprocess.run([*command, *options, "-d", str(folder), "-r", str(pins)], check=True)


@app.command()
def status(
    table: Annotated[Path, typer.Option(help="The table of measurements.")] = Path("results/measurements.parquet"),
    checkpoints: Annotated[Path, typer.Option(help="The table of checkpoints, if there is one.")] = Path(
        "results/checkpoints.parquet"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count what the tables hold, each thing once."""
    from helpers.analyse.rows.counts import count
    from helpers.table import files

    measured = files.read_table(table).to_pandas()
    described = files.read_checkpoints(checkpoints).to_pandas() if checkpoints.exists() else None
    counts = dataclasses.asdict(count(measured, described))
    if as_json:
        print(json.dumps(counts))
        return
    lines = Table(box=None, show_header=False)
    for name, value in counts.items():
        lines.add_row(name.replace("_", " "), _in_words(value))
    Console().print(lines)


def _in_words(value: int | dict | tuple) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n:,} {name}" for name, n in value.items())
    if isinstance(value, tuple):
        return "; ".join(f"{each:,}" if isinstance(each, int) else each for each in value)
    return f"{value:,}"


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A folder with config.json and safetensors.")],
    out: Annotated[Path, typer.Option(help="The packed checkpoint's folder; it must not exist.")],
    bits: Annotated[int | None, typer.Option(help="2, 3, 4 or 8.")] = None,
    group_size: Annotated[
        int | None, typer.Option(help="Columns that share a scale; -1 for the whole row. 128 by default.")
    ] = None,
    symmetric: Annotated[
        bool | None, typer.Option(help="Whether grids have their zero in the middle. By default not.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe of this checkpoint, in place of the three options above.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to round: cpu or cuda.")] = "cpu",
) -> None:
    """Round a checkpoint with GPTQ and write it packed, for auto-gptq, GPTQModel and transformers to load.

    With a recipe some matrices stay in 16 bits, and auto-gptq can't load it.
    """
    from helpers.measure.packing.export import export, refuse, round_folder

    scheme = _wanted(checkpoint, bits, group_size, symmetric, recipe)
    refuse(scheme, out)
    rounded, scheme = round_folder(checkpoint, scheme, device)
    export(checkpoint, rounded, scheme, out)
    console.print(
        f"{out}: {scheme.label}, {rounded.diagnostics.effective_bits:.3f} bits a rounded weight", highlight=False
    )


def _wanted(
    checkpoint: Path, bits: int | None, group_size: int | None, symmetric: bool | None, recipe: Path | None
) -> QuantScheme:
    """Return the scheme that options or a recipe ask for; they exclude each other."""
    from helpers.measure.mixed import recipes
    from helpers.measure.packing import export

    if recipe is not None:
        if (bits, group_size, symmetric) != (None, None, None):
            raise SpecError("--recipe beside --bits, --group-size or --symmetric; accepted: it alone, it says them all")
        chosen = recipes.read(recipe)
        recipes.refuse_other_weights(chosen, checkpoint)
        return chosen.scheme
    if bits is None:
        raise SpecError("neither --bits nor --recipe; accepted: one of them")
    columns = 128 if group_size is None else group_size
    return export.gptq_scheme(bits, None if columns == -1 else columns, bool(symmetric))


laws.register(app)


def run() -> None:
    """Run the command; an error this package raises on purpose ends it with one line and exit code 1."""
    try:
        app()
    except QidError as error:
        console.print(f"error: {error}", style="bold red", highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    run()
