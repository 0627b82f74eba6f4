"""The commands that make models and their text: `qid corpus`, `qid train`, `qid pocket`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from helpers.commands.console import Device, console


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command in (corpus, train, pocket):
        app.command()(command)


def corpus(
    folder: Annotated[Path, typer.Option(help="Where wheels go.")] = Path(".cache/corpus/wheels"),
) -> None:
    """Download the wheels that `data/corpus.lock` names, by exact hash, with pip; keep the held-out files beside."""
    from helpers.measure.text.corpus_lock import read_lock
    from helpers.measure.text.heldout import keep_heldout

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


def train(
    plan_file: Annotated[Path, typer.Argument(help="The family's YAML.")],
    out: Annotated[
        Path | None, typer.Option(help="The family's folder; by default .cache/NAME for train-NAME.yml.")
    ] = None,
    device: Device = "cuda",
    model: Annotated[list[str] | None, typer.Option(help="A model to train; repeat for more. All by default.")] = None,
) -> None:
    """Train a family of models, or go on where a killed run stopped."""
    from helpers.measure.training.trainer import train_family

    out = Path(".cache") / plan_file.stem.removeprefix("train-") if out is None else out
    console.print(f"{train_family(plan_file, out, device, console, model)}: written")


def pocket(
    source: Annotated[Path, typer.Argument(help="A trained family's folder.")],
    run: Annotated[list[str], typer.Option(help="A run to take; repeat for more.")],
    step: Annotated[list[int], typer.Option(help="A step to take; repeat for more.")],
    out: Annotated[Path, typer.Option(help="The pocket family's folder.")] = Path("data/tadpole"),
) -> None:
    """Copy some checkpoints of a trained family into the repository's pocket family."""
    from helpers.measure.training.folder import select

    select(source, run, step, out)
