"""Names of the files that are a checkpoint's weights, and the one hash that stands for them all."""

from collections.abc import Callable, Mapping
from pathlib import Path

from helpers.measure.models.decoders import first_line
from helpers.table.errors import CheckpointError
from helpers.table.readers import read_json_mapping
from helpers.table.records import digest

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTERS = ("adapter_config.json", "adapter_model.safetensors")


def weight_names(folder: Path) -> list[str]:
    """Return the names of a checkpoint's weight files: those in its index or, without one, the single file's."""
    index = folder / INDEX
    return shards_of(index) if index.exists() else [SINGLE]


def shards_of(index: Path, suffix: str = ".safetensors") -> list[str]:
    """Return the names of the files in an index of shards, which lie in its folder and end with `suffix`.

    Raises CheckpointError for what isn't an index of such files.
    """
    try:
        names = set(read_json_mapping(index)["weight_map"].values())
    except OSError as error:
        raise CheckpointError(f"{index}: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: not an index of shards ({first_line(error)})") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(suffix):
            kind = suffix.removeprefix(".")
            raise CheckpointError(f"{index}: {name!r:.80}; accepted: names of {kind} files in the same folder")
    if not names:
        raise CheckpointError(f"{index}: no file; accepted: one shard or more")
    return sorted(names)


def refuse_second_answer(folder: Path, names: list[str], lies_there: Callable[[str], bool]) -> None:
    """Raise CheckpointError where other files than those of `names` could be the weights too.

    That is a single file beside the shards of an index, or an adapter beside the model. `lies_there` tells whether
    `folder` has a file.
    """
    if SINGLE not in names and lies_there(SINGLE):
        raise CheckpointError(
            f"{folder}: {SINGLE} beside {INDEX} of {len(names)} other files; accepted: one of the two"
        )
    for name in ADAPTERS:
        if lies_there(name):
            raise CheckpointError(f"{folder / name}: an adapter beside the weights; accepted: one merged into them")


def hash_of_all(hashes: Mapping[str, str]) -> str:
    """Return the SHA-256 of a checkpoint's one weight file, or a digest of those of its shards, by their names."""
    return next(iter(hashes.values())) if len(hashes) == 1 else digest(dict(hashes))
