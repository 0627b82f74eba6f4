"""The commands that choose what stays in 16 bits and pack: `qid mixed`, `qid export`, `qid release`."""

from pathlib import Path
from typing import Annotated

import typer

from helpers.commands.console import Device, add, console
from helpers.table import disk
from helpers.table.errors import SpecError
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

HELDOUT_SEQUENCES = 128  # one of each document, as the readers' sweeps have


def register(app: typer.Typer) -> None:
    """Add the commands to the `qid` command."""
    for command in (mixed, export, release):
        add(app, command)


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
    device: Device = "cpu",
) -> None:
    """Find which matrices must stay in 16 bits for a budget of loss, measure it and save the recipe."""
    from helpers.measure.mixed import budgets, recipes
    from helpers.measure.rounding import one_checkpoint

    allowed = budgets.Budget(budget, metric)
    scheme = one_checkpoint.gptq_scheme(bits, None if group_size == -1 else group_size, symmetric)
    if out.exists():
        raise SpecError(f"{out}: exists already; accepted: a file that doesn't")
    disk.refuse_unwritable(out)
    with disk.exclusive(out, doing="writing"):
        loaded, weights_sha256 = one_checkpoint.load_folder(checkpoint, device)
        texts = budgets.texts_for(checkpoint, sequences, HELDOUT_SEQUENCES, given(scheme.calib_seed))
        recipe = budgets.recipe_within(loaded, weights_sha256, scheme, granularity, allowed, texts)
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
    from helpers.measure.packing.export import export_rounded

    scheme = _wanted(checkpoint, bits, group_size, symmetric, recipe)
    rounded, scheme = export_rounded(checkpoint, scheme, out, device)
    console.print(f"{out}: {scheme.label}, {rounded.diagnostics.effective_bits:.3f} bits a rounded weight")


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
    columns = 128 if group_size is None else group_size
    return one_checkpoint.gptq_scheme(bits, None if columns == -1 else columns, bool(symmetric))


def release(
    out: Annotated[Path, typer.Option(help="Where the packed models go, a folder each.")] = Path("build/release"),
) -> None:
    """Write the pocket family packed at 2, 3 and 4 bits, with model cards, in place of what `out` holds."""
    from helpers.measure.packing.release import release_family

    release_family(out, console)
