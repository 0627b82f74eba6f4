"""A packed folder sent to the Hub in one commit, with its card and provenance: `qid push`."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from safetensors import SafetensorError, safe_open

from helpers.measure.models.hub import revisions
from helpers.measure.models.hub.downloads import damage_of
from helpers.measure.models.hub.revisions import HubError, HubFile, Revision
from helpers.measure.models.outside import REPOSITORY
from helpers.measure.models.shards import SINGLE
from helpers.measure.packing import card, provenance
from helpers.measure.packing.gptq_format import BITS
from helpers.table import files
from helpers.table.errors import CheckpointError, SpecError
from helpers.table.readers import read_json_mapping

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
HUBS_OWN = (".gitattributes",)  # the Hub puts it into a new repository
REVISION = "@"
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Parcel:
    """What would be sent: a repository, and every file of it by name, on the disk or made for the occasion."""

    repository: str
    files: Mapping[str, Path | bytes]

    def n_bytes(self, name: str) -> int:
        """Return a file's size in bytes."""
        content = self.files[name]
        return len(content) if isinstance(content, bytes) else content.stat().st_size


def parcel_of(folder: Path, repository: str, base: str | None, table: Path) -> Parcel:
    """Return what `qid push` would send of a packed folder, whose QiD is looked up in `table` if that is there.

    `base` is the original, OWNER/NAME or OWNER/NAME@REVISION. Nothing is sent and nobody is asked.
    Raises SpecError for a name that is none, CheckpointError for a folder that isn't packed or has pickles in it.
    """
    for name in (repository, *([] if base is None else [base.partition(REVISION)[0]])):
        if not REPOSITORY.fullmatch(name):
            raise SpecError(f"{name}: no name of a repository; accepted: owner/name")
    quantization = _quantization(folder)
    contents = _contents(folder)
    made = _made(folder)
    qid = [] if not made else _measured(made, table)
    original = card.base_of(*((None, None) if base is None else _at(base)))
    words = card.card(repository, original, quantization, made, qid)
    contents[card.NAME] = words.encode()
    if made:
        named = {} if base is None else {"base": base}
        contents[provenance.NAME] = (json.dumps({**named, **made, "measured": qid}, indent=1) + "\n").encode()
    return Parcel(repository, dict(sorted(contents.items())))


def send(parcel: Parcel, public: bool = False, replace: bool = False) -> str | None:
    """Send a parcel in one commit and return the commit's address; None where all of it is there already.

    The repository is made if need be, private unless `public`; `replace` removes what else it holds. A large file that
    breaks on the way is sent again by huggingface_hub, and nothing is in the repository before the one commit.
    Raises HubError without a token, where the Hub refuses or can't be reached, for a repository that holds other files,
    and for a public one that wasn't asked for.
    """
    if huggingface_hub.get_token() is None:
        raise HubError(f"{parcel.repository}: no token; accepted: one in HF_TOKEN or by `hf auth login`")
    api = HfApi(library_name="qid-book", library_version=version("qid-book"))
    with _in_one_line(parcel.repository):
        present = _present(api, parcel.repository, public)
        others = [] if present is None else _others(parcel, present)
        if others and not replace:
            names = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
            raise HubError(f"{parcel.repository}: has files already ({names}); accepted: an empty one, or --replace")
        if present is None:
            api.create_repo(parcel.repository, private=not public)
            present = revisions.ask(parcel.repository, "main")
        changed = [name for name, content in parcel.files.items() if _differs(content, present.file(name))]
        gone = [file.name for file in present.files if file.name not in (*parcel.files, *HUBS_OWN)]
        if not changed and not gone:
            return None
        operations = [CommitOperationAdd(name, parcel.files[name]) for name in changed]
        deletions = [CommitOperationDelete(name, is_folder=False) for name in gone]
        done = api.create_commit(
            parcel.repository,
            [*operations, *deletions],
            commit_message="A packed checkpoint, by qid push",
            parent_commit=present.commit,
        )
    return done.commit_url


def _present(api: HfApi, repository: str, public: bool) -> Revision | None:
    """Return what a repository holds; None where there is none. Raises HubError for a public one, unless wanted."""
    try:
        present = revisions.ask(repository, "main")
    except HubError as error:
        if error.standing == revisions.NO_REPOSITORY:
            return None
        raise
    if not public and not api.model_info(repository).private:
        raise HubError(f"{repository}: is public; accepted: a private repository, or --public")
    return present


def _others(parcel: Parcel, present: Revision) -> list[str]:
    """Return the names of files in a repository that a commit would change or remove."""
    return [
        file.name
        for file in present.files
        if file.name not in HUBS_OWN and (file.name not in parcel.files or _differs(parcel.files[file.name], file))
    ]


def _differs(content: Path | bytes, file: HubFile | None) -> bool:
    """Tell whether a file isn't what the repository has under its name."""
    if file is None:
        return True
    if isinstance(content, Path):
        return damage_of(content, file) is not None
    found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return found != file.git_sha1


@contextlib.contextmanager
def _in_one_line(repository: str) -> Iterator[None]:
    """Let what the Hub and its client raise be a HubError."""
    try:
        yield
    except (HubError, KeyboardInterrupt):
        raise
    except Exception as error:
        refusal = revisions.refusal(error, repository)
        if refusal.standing != revisions.UNREACHABLE:
            raise refusal from None
        advice = "run again: what arrived isn't sent twice"
        raise HubError(f"{repository}: the Hub can't be reached; {advice}", revisions.UNREACHABLE) from None


def _quantization(folder: Path) -> dict[str, Any]:
    """Return what the configuration of a packed folder says of its weights. Raises CheckpointError where it is none."""
    accepted = "accepted: a folder that `qid export` or `qid release` wrote"
    path = folder / "config.json"
    said = _read(path).get("quantization_config") if path.is_file() else None
    if not isinstance(said, dict) or said.get("quant_method") != "gptq" or said.get("bits") not in BITS:
        raise CheckpointError(f"{folder}: no packed checkpoint; {accepted}")
    try:
        with safe_open(folder / SINGLE, framework="pt") as opened:
            packed = any(name.endswith(".qweight") for name in opened.keys())  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder / SINGLE}: can't be read ({error}); {accepted}") from None
    if not packed:
        raise CheckpointError(f"{folder / SINGLE}: has no packed layer; {accepted}")
    return said


def _contents(folder: Path) -> dict[str, Path | bytes]:
    """Return a folder's files by name, hidden ones apart. Raises CheckpointError for a pickle, and for a link."""
    contents: dict[str, Path | bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        if path.suffix.lower() in PICKLES:
            raise CheckpointError(f"{path}: a pickle, which can run code; accepted: a folder without")
        if path.is_symlink():
            raise CheckpointError(f"{path}: a link; accepted: a folder of files")
        if path.is_file():
            contents[name.as_posix()] = path
    return contents


def _made(folder: Path) -> dict[str, Any]:
    """Return the provenance beside packed weights, nothing where none lies there.

    Raises CheckpointError where it is another file's.
    """
    path = folder / provenance.NAME
    if not path.is_file():
        return {}
    made = _read(path)
    for name in ("weights_sha256", "packed_sha256"):
        if not SHA256.fullmatch(str(made.get(name))):
            raise CheckpointError(f"{path}: '{name}' is no SHA-256; accepted: a file that `qid export` wrote")
    found = provenance.sha256_of(folder / SINGLE)
    if made["packed_sha256"] != found:
        raise CheckpointError(
            f"{path}: is of {made['packed_sha256'][:16]}, {SINGLE} is {found[:16]}; accepted: its own"
        )
    return made


def _read(path: Path) -> dict[str, Any]:
    """Return the mapping of a JSON file. Raises CheckpointError where it can't be read."""
    try:
        return read_json_mapping(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: can't be read ({error})") from None


def _measured(made: Mapping[str, Any], table: Path) -> list[dict[str, Any]]:
    """Return QiD of packed weights from a table, or as their provenance has it where the table hasn't."""
    rows = files.read_table(table).to_pylist() if table.exists() else []
    found = provenance.measured(made["weights_sha256"], str(made.get("scheme_id")), rows)
    return found or list(made.get("measured") or [])


def _at(base: str) -> tuple[str, str | None]:
    """Return a repository and its revision, None where none is named."""
    name, _, revision = base.partition(REVISION)
    return name, revision or None
