"""The commands that choose what stays in 16 bits and pack: `qid mixed`, `qid export`, `qid release`, `qid push`."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from helpers.commands.console import Device, add, console, print_table
from helpers.commands.several import GroupSize, Spread
from helpers.table import disk
from helpers.table.errors import SpecError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme
from helpers.table.words import visible

if TYPE_CHECKING:  # what needs torch is loaded when a command runs
    from helpers.measure.packing.push import Parcel
    from helpers.measure.text.own_texts import OwnTexts

HELDOUT_SEQUENCES = 128  # one of each document, as the readers' sweeps have
Calibration = Annotated[
    list[str],
    typer.Option(help="mixed, code or prose of the book, or files as for measure. By default what sweeps take."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command, cls in ((mixed, Spread), (export, Spread), (release, None), (push, None)):
        add(app, command, cls=cls)


def mixed(
    checkpoint: Annotated[Path, typer.Argument(help="A folder with config.json and safetensors.")],
    budget: Annotated[float, typer.Option(help="What may be lost: nats a token for qid, else a share.")],
    metric: Annotated[str, typer.Option(help="qid, relative_perplexity or accuracy_drop.")] = "qid",
    bits: Annotated[int, typer.Option(help="Of the matrices in low precision.")] = 3,
    group_size: GroupSize = None,
    symmetric: Annotated[bool, typer.Option(help="Whether grids have their zero in the middle.")] = False,
    granularity: Annotated[str, typer.Option(help="What is assigned as one: layer or matmul.")] = "matmul",
    sequences: Annotated[int, typer.Option(help="Sequences that the search scores on, of up to 512 tokens.")] = 32,
    text: Annotated[
        list[str],
        typer.Option(help="prose, code or unseen of the book, or files as for measure. By default what sweeps take."),
    ] = [],  # noqa: B006
    calibration: Calibration = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="The recipe's file; it must not exist.")] = Path("recipe.json"),
    device: Device = "cpu",
) -> None:
    """Find which matrices must stay in 16 bits for a budget of loss, measure it and save the recipe."""
    from helpers.commands.steps import steps_shown
    from helpers.measure.mixed import budgets, recipes
    from helpers.measure.rounding import one_checkpoint

    allowed = budgets.Budget(budget, metric)
    if out.exists():
        raise SpecError(f"{out}: exists already; accepted: a file that doesn't")
    scheme = one_checkpoint.gptq_scheme_for(checkpoint, bits, group_size, symmetric)
    disk.refuse_unwritable(out)
    own = _own(text, calibration)
    with disk.exclusive(out, doing="writing"):
        loaded, weights_sha256 = one_checkpoint.load_folder(checkpoint, device)
        seed, seq_len = given(scheme.calib_seed), given(scheme.calib_seq_len)
        texts = budgets.texts_for(checkpoint, sequences, HELDOUT_SEQUENCES, seed, seq_len, own)
        with steps_shown(console, len(loaded.decoder.blocks)) as begin:
            recipe = budgets.recipe_within(loaded, weights_sha256, scheme, granularity, allowed, texts, begin)
        recipes.write(recipe, out)
    kept = ", ".join(recipe.scheme.kept_matrices) or "none"
    console.print(f"{out}: {recipe.quantized_ratio:.1%} of the weights at {bits} bits; in 16 bits: {kept}")
    console.print(
        f"QiD {recipe.qid_nats:.4f} ± {recipe.paired_error_nats:.4f} nats a token on held-out text"
        f" (loss {recipe.loss_nats:.4f})"
    )


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A folder with config.json and safetensors.")],
    out: Annotated[Path, typer.Option(help="The packed checkpoint's folder; it must not exist.")],
    bits: Annotated[int | None, typer.Option(help="2, 3, 4 or 8.")] = None,
    group_size: GroupSize = None,
    symmetric: Annotated[
        bool | None, typer.Option(help="Whether grids have their zero in the middle. By default not.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe of this checkpoint, in place of the three options above.")
    ] = None,
    calibration: Calibration = [],  # noqa: B006
    device: Annotated[str, typer.Option(help="Where to round: cpu or cuda.")] = "cpu",
) -> None:
    """Round a checkpoint with GPTQ and write it packed, for auto-gptq, GPTQModel and transformers to load.

    With a recipe some matrices stay in 16 bits, and auto-gptq can't load it.
    """
    from helpers.measure.packing.export import export_rounded

    scheme = _wanted(checkpoint, bits, group_size, symmetric, recipe)
    with _shown(f"{checkpoint}: {scheme.label}", given(scheme.calib_sequences)) as tell:
        rounded, scheme = export_rounded(checkpoint, scheme, out, device, _own([], calibration), tell)
    console.print(f"{out}: {scheme.label}, {rounded.diagnostics.effective_bits:.3f} bits a rounded weight")


@contextlib.contextmanager
def _shown(description: str, n_sequences: int) -> Iterator[Callable[[float], None]]:
    """Show a bar on a terminal, and give the function that is told how many sequences have passed the model so far."""
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=n_sequences)
        yield lambda n_passed: bar.update(task, completed=n_passed)


def _own(text: Sequence[str], calibration: Sequence[str]) -> "OwnTexts | None":
    """Return the texts to judge by and to calibrate on that were named, or None for the sweeps'."""
    from helpers.measure.text.documents import calibration_named, text_named
    from helpers.measure.text.own_texts import OwnTexts

    texts = tuple(text_named(place) for place in text)
    calibrating = tuple(each for place in calibration for each in calibration_named(place))
    return OwnTexts(texts, calibrating) if texts or calibrating else None


def _wanted(
    checkpoint: Path, bits: int | None, group_size: int | None, symmetric: bool | None, recipe: Path | None
) -> QuantScheme:
    """Return the scheme that options or a recipe ask for; they exclude each other."""
    from helpers.measure.mixed import recipes
    from helpers.measure.rounding import one_checkpoint

    if recipe is not None:
        if (bits, group_size, symmetric) != (None, None, None):
            raise SpecError("--recipe beside --bits, --group-size or --symmetric; accepted: it alone, it says them all")
        chosen = recipes.read(recipe)
        recipes.refuse_other_weights(chosen, checkpoint)
        return chosen.scheme
    if bits is None:
        raise SpecError("neither --bits nor --recipe; accepted: one of them")
    return one_checkpoint.gptq_scheme_for(checkpoint, bits, group_size, bool(symmetric))


def release(
    out: Annotated[Path, typer.Option(help="Where the packed models go, a folder each.")] = Path("build/release"),
) -> None:
    """Write the pocket family packed at 2, 3 and 4 bits, with model cards, in place of what `out` holds."""
    from helpers.measure.packing.release import release_family

    release_family(out, console)


def push(
    folder: Annotated[Path, typer.Argument(help="A packed folder, as `qid export` writes it.")],
    repository: Annotated[str, typer.Argument(help="Where on the Hub: owner/name.")],
    base: Annotated[str | None, typer.Option(help="The 16-bit original on the Hub: owner/name[@revision].")] = None,
    table: Annotated[Path, typer.Option(help="Measurements in which QiD is looked up for the card.")] = Path(
        "results/local.parquet"
    ),
    public: Annotated[bool, typer.Option("--public", help="For everybody to see. By default private.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In place of what the repository holds.")] = False,
    really: Annotated[bool, typer.Option("--really", help="Send it. By default it is only shown.")] = False,
) -> None:
    """Send a packed folder with model card and provenance to the Hub in one commit; show it unless told to.

    QiD stands on the card where the table has exactly these weights under exactly this scheme.
    """
    from helpers.measure.packing.push import parcel_of, send

    parcel = parcel_of(folder, repository, base, table)
    sizes = {name: parcel.n_bytes(name) for name in parcel.files}
    access = "public" if public else "private"
    whole = f"{len(sizes)} files, {sum(sizes.values()):,} bytes, {access}, in one commit"
    if not really:
        listed = Table("file", "bytes", box=None)
        for name, n_bytes in sizes.items():
            listed.add_row(visible(name), f"{n_bytes:,}")
        print_table(listed)
        print(f"\n{_card_of(parcel)}")
        console.print(f"{repository}: {whole}; nothing was sent, --really sends it")
        return
    with console.status(f"{repository}: {whole}"):
        address = send(parcel, public, replace)
    console.print(f"{repository}: all of it is there already" if address is None else f"{address}: {whole}")


def _card_of(parcel: "Parcel") -> str:
    """Return the card that a parcel has in it."""
    content = parcel.files["README.md"]
    return content.decode() if isinstance(content, bytes) else content.read_text(encoding="utf-8")
