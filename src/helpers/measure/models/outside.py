"""A model that nobody here trained as a checkpoint: a folder, a GGUF file or a Hub revision; the unknown is null."""

import dataclasses
import re
from pathlib import Path

from torch import nn

from helpers.measure.models import checkpoints
from helpers.measure.models.as_linear import with_linear_layers
from helpers.measure.models.decoders import blocks_of, meta_model
from helpers.measure.models.gguf import gguf_files
from helpers.measure.models.hub import having
from helpers.measure.models.shards import ADAPTERS, INDEX, SINGLE
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CheckpointError, SpecError
from helpers.table.families.catalogue import HUB_FAMILIES, MANIFEST, read_manifest
from helpers.table.names import at_home, refuse_name

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "pytorch_model.pt")


def checkpoint_of(model: str, revision: str | None, tokens_seen: int | None) -> tuple[CheckpointSpec, Path]:
    """Return the description of a model, by its folder, GGUF file or Hub repository, and its folder on this disk.

    What a manifest beside it or this package's families say of it is in the description; `tokens_seen` is put in where
    nothing says it. Raises CheckpointError or SpecError where it can't be had or measured.
    """
    place, file = at_home(model), gguf_file(model)
    if file is not None and revision is not None:
        raise SpecError(
            f"{model}: a file has no --revision '{revision}'; accepted: a Hub repository such as owner/name"
        )
    folder = folder_of(model, revision) if file is None else gguf_files.cached_checkpoint_of(file, gguf_files.CACHE)
    if file is not None or folder == place:
        spec = _described(folder) or _counted(folder, None)
    else:
        spec = _published(model, revision) or _counted(folder, (model, revision or "main"))
    if tokens_seen is not None and spec.tokens_seen not in (None, tokens_seen):
        raise SpecError(f"--tokens is {tokens_seen:,}; accepted: {spec.tokens_seen:,}, as is known of {model}, or none")
    return (spec if tokens_seen is None else dataclasses.replace(spec, tokens_seen=tokens_seen)), folder


def gguf_file(model: str) -> Path | None:
    """Return the path of a model that is named by a GGUF file, whether or not it is there; None for any other."""
    place = at_home(model)
    return place if place.suffix.lower() == gguf_files.SUFFIX and not place.is_dir() else None


def folder_of(model: str, revision: str | None) -> Path:
    """Return the folder on this disk of a model, by its folder or Hub repository, downloaded if need be.

    Raises SpecError for what is neither, CheckpointError where the Hub hasn't it.
    """
    folder = at_home(model)
    if folder.is_dir() and revision is None:
        return folder
    if folder.exists() or (revision is None and not REPOSITORY.fullmatch(model)):
        asked = "no such folder" if revision is None else f"a folder has no --revision '{revision}'"
        raise SpecError(f"{model}: {asked}; accepted: a folder, or a Hub repository such as owner/name")
    return having.newest(model, revision or "main")


def _described(folder: Path) -> CheckpointSpec | None:
    """Return what the manifest of a trained family, one or two folders above, says of a folder, if there is one."""
    real = folder.resolve()
    for home in real.parents[:2]:
        if (home / MANIFEST).exists():
            return next((spec for spec in read_manifest(home) if Path(spec.location).resolve() == real), None)
    return None


def _published(repository: str, revision: str | None) -> CheckpointSpec | None:
    """Return what a family on the Hub that this package knows says of a revision, if there is one."""
    known = (family.found(repository, revision) for family in HUB_FAMILIES.values())
    return next((spec for spec in known if spec is not None), None)


def _counted(folder: Path, on_the_hub: tuple[str, str] | None) -> CheckpointSpec:
    """Return the description of a folder that no manifest names: sizes as its configuration makes them, no training."""
    refuse_other_layouts(folder)
    checkpoints.weight_files(folder)
    model = meta_model(checkpoints.config_of(folder))
    with_linear_layers(model)
    name = folder.resolve().name if on_the_hub is None else on_the_hub[0].rpartition("/")[2]
    refuse_name(name, "the folder's name")
    _, blocks = blocks_of(model)
    embedding, total = model.get_input_embeddings().weight, sum(p.numel() for p in model.parameters())
    head = model.get_output_embeddings()
    apart = 0 if head is None or head.weight is embedding else head.weight.numel()
    # of tokens, and of positions where these are learned: N has neither (Kaplan et al. 2020, arXiv 2001.08361)
    looked_up = sum(each.weight.numel() for each in model.modules() if isinstance(each, nn.Embedding))
    return CheckpointSpec(
        family=name,
        model=name,
        run=name,
        location=str(folder) if on_the_hub is None else on_the_hub[0],
        revision=None if on_the_hub is None else on_the_hub[1],
        step=None,
        tokens_seen=None,
        tokens_planned=None,
        learning_rate=None,
        peak_learning_rate=None,
        lr_phase=None,
        schedule=None,
        train_seed=None,
        n_layers=len(blocks),
        d_model=int(getattr(model.config, "hidden_size", embedding.shape[1])),
        vocabulary_size=int(embedding.shape[0]),
        n_params_total=total,
        n_params_non_embedding=total - looked_up - apart,
    )


def refuse_other_layouts(folder: Path) -> None:
    """Raise CheckpointError for an adapter by itself and for weights in a pickle: each has a way out of its own."""
    names = {path.name for path in folder.iterdir()}
    for adapter in ADAPTERS:
        if adapter in names:
            raise CheckpointError(f"{folder / adapter}: an adapter; accepted: a model with it merged in, saved whole")
    if not names & {SINGLE, INDEX}:
        pickle = next((name for name in PICKLES if name in names), None)
        if pickle is not None:
            raise CheckpointError(f"{folder / pickle}: a pickle, which can run code; accepted: safetensors")
