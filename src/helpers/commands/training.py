"""The commands that make text and models: `qid corpus`, `lock`, `tokenizer`, `train`, `pocket`."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from helpers.commands.console import Device, add, console
from helpers.table.disk import write_atomically
from helpers.table.errors import CorpusError

TOKENIZER_TAKES_EVERY = 10  # training documents: in the first family's time enough, and kept since
Wheels = Annotated[Path, typer.Option(help="The folder of wheels.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command in (corpus, lock, tokenizer, train, pocket):
        add(app, command)


def corpus(
    folder: Wheels = Path(".cache/corpus/wheels"),
) -> None:
    """Download the wheels that `data/corpus.lock` names, by exact hash, with pip; keep the held-out files beside."""
    from helpers.measure.text.corpus_lock import read_lock
    from helpers.measure.text.heldout import keep_heldout

    folder.mkdir(parents=True, exist_ok=True)
    pins = folder.parent / "wheels.txt"
    lock = read_lock()
    missing = [w for w in (*lock.wheels, *lock.unseen_wheels) if not (folder / w.filename).exists()]
    pins.write_text("".join(f"{w.package}=={w.version} --hash=sha256:{w.sha256}\n" for w in missing), encoding="utf-8")
    if missing:
        _download(pins, folder)
    console.print(f"{folder.parent / 'heldout'}: {keep_heldout(lock, folder.parent)} files")


def _download(pins: Path, folder: Path) -> None:
    tags = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any"]
    options = [option for tag in tags for option in ("--platform", tag)]
    options += ["--python-version", "3.11", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    # pip says on the terminal what was wrong
    if status := subprocess.run([*command, *options, "-d", str(folder), "-r", str(pins)]).returncode:
        raise CorpusError(f"{pins}: pip couldn't download these wheels (it ended with {status}); try again when it can")


def lock(
    wheels: Wheels = Path(".cache/corpus/wheels"),
    packages: Annotated[Path, typer.Option(help="YAML with the packages `held_out` and `unseen`.")] = Path(
        "data/corpus-packages.yml"
    ),
    tokenizer_file: Annotated[
        Path, typer.Option("--tokenizer", help="Says how many tokens a description of a package has.")
    ] = Path("data/tadpole/tokenizer.json"),
    out: Annotated[Path, typer.Option(help="The lock to write.")] = Path("data/corpus.lock"),
) -> None:
    """Choose held-out documents among a folder's wheels, digest the training text, and write the corpus lock."""
    from helpers.measure.models.checkpoints import read_tokenizer
    from helpers.measure.training.corpus import make_lock, read_packages, write_lock

    made = make_lock(wheels, read_packages(packages), read_tokenizer(tokenizer_file))
    write_lock(made, out)
    console.print(f"{out}: {len(made.wheels)} wheels, {made.n_training_documents} training documents")


def tokenizer(
    wheels: Wheels = Path(".cache/corpus/wheels"),
    out: Annotated[Path, typer.Option(help="The tokenizer's file to write.")] = Path("data/tadpole/tokenizer.json"),
) -> None:
    """Train the tadpoles' tokenizer on every tenth training document of the corpus lock."""
    from helpers.measure.text.corpus_lock import read_lock
    from helpers.measure.training.corpus import train_tokenizer, training_documents

    made = train_tokenizer(training_documents(read_lock(), wheels)[::TOKENIZER_TAKES_EVERY])
    write_atomically(out, made.to_str(pretty=True).encode())
    console.print(f"{out}: {made.get_vocab_size()} entries")


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
