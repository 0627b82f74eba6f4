"""The corpus lock: which files of which wheels are the texts, by hash."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from helpers.table.corpus import LOCK
from helpers.table.errors import CorpusError, SpecError
from helpers.table.readers import read_json_mapping
from helpers.table.records import from_mapping
from helpers.table.words import shown

CACHE = Path(".cache/corpus")
TADPOLE_TOKENIZER = Path("data/tadpole/tokenizer.json")
CALIBRATION_DATASET = "wheels-calibration"
SEARCH_DATASET = "wheels-search"  # the files of calibration, other blocks
DOCUMENTS_PER_SPLIT = 128
BLOCKS_PER_DOCUMENT = 4
PROSE_DOCUMENTS = 64  # no more descriptions of wheels trained on are in ASCII, long enough and a round number
PROSE_BLOCKS_PER_DOCUMENT = 2
DOCUMENT_BYTES = 12_000  # held-out files are at least this long, and no more of them is read
END_OF_TEXT = "<|endoftext|>"
SPLITS = ("evaluation", "calibration", "unseen", "prose")
# What is handed to pip or becomes a path: nothing in these is an option, a second requirement or another folder.
PATTERNS = {
    "package": (re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"), "letters, digits and . _ - between them"),
    "version": (re.compile(r"[0-9][A-Za-z0-9.!+]*"), "a version such as 1.0.2"),
    "filename": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._!+-]*\.whl"), "a wheel's name, without a folder"),
    "sha256": (re.compile(r"[0-9a-f]{64}"), "64 hexadecimal digits in lower case"),
}


def refuse_unnamable(entry: "Wheel | HeldoutFile") -> None:
    """Raise SpecError for a package, version, file name or hash that isn't one."""
    for field, (pattern, accepted) in PATTERNS.items():
        value = getattr(entry, field, None)
        if value is not None and not pattern.fullmatch(value):
            raise SpecError(f"'{field}' is {shown(value)}; accepted: {accepted}")


@dataclass(frozen=True)
class Wheel:
    """One wheel that text is read from; SpecError for a name that can't be one."""

    package: str
    version: str
    filename: str
    sha256: str
    licence: str

    def __post_init__(self) -> None:
        refuse_unnamable(self)


@dataclass(frozen=True)
class HeldoutFile:
    """One document kept from training; `sha256` is of its bytes as `document_in` gives them.

    SpecError for a name that can't be one, or a path out of the package's folder.
    """

    package: str
    version: str
    path: str
    sha256: str

    def __post_init__(self) -> None:
        refuse_unnamable(self)
        path = PurePosixPath(self.path)
        if not path.parts or path.is_absolute() or ".." in path.parts or not self.path.isprintable():
            raise SpecError(f"'path' is {shown(self.path)}; accepted: a path inside of the package, without ..")


@dataclass(frozen=True)
class CorpusLock:
    """The files that texts are made of. `training_sha256` covers the training documents in order, near-duplicates gone.

    `unseen` are files of `unseen_wheels`, which training doesn't read; `prose` are descriptions of `wheels`.
    """

    wheels: tuple[Wheel, ...]
    evaluation: tuple[HeldoutFile, ...]
    calibration: tuple[HeldoutFile, ...]
    training_sha256: str
    n_training_documents: int
    n_training_bytes: int
    unseen_wheels: tuple[Wheel, ...]
    unseen: tuple[HeldoutFile, ...]
    prose: tuple[HeldoutFile, ...]


@dataclass(frozen=True)
class Text:
    """A text that models are scored on: its name in rows, and the field of the lock with its documents."""

    dataset: str
    split: str
    n_documents: int = DOCUMENTS_PER_SPLIT
    blocks_per_document: int = BLOCKS_PER_DOCUMENT

    @property
    def sequences_accepted(self) -> list[int]:
        """Return the numbers of blocks that can be cut from it."""
        return _sequences_accepted(self.n_documents, self.blocks_per_document)


TEXTS = {
    "heldout": Text("wheels-heldout", "evaluation"),  # held-out files of the packages trained on
    "unseen": Text("wheels-unseen", "unseen"),  # files of packages not trained on
    "prose": Text("wheels-prose", "prose", PROSE_DOCUMENTS, PROSE_BLOCKS_PER_DOCUMENT),  # descriptions of packages
}


def read_lock(path: Path = LOCK) -> CorpusLock:
    """Read `data/corpus.lock`. Raises CorpusError when it is missing, SpecError when a field is off."""
    try:
        raw = read_json_mapping(path)
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}; run from the repository's top folder") from None
    except ValueError as error:
        raise CorpusError(f"{path}: not JSON ({error})") from None
    for kind, names in ((Wheel, ("wheels", "unseen_wheels")), (HeldoutFile, SPLITS)):
        for name in names:
            if isinstance(raw.get(name), list):
                raw[name] = tuple(from_mapping(kind, each, f"{path}: {name}") for each in raw[name])
    return from_mapping(CorpusLock, raw, str(path))


def _sequences_accepted(n_documents: int, blocks_per_document: int) -> list[int]:
    return [n_documents * k for k in range(1, blocks_per_document + 1)]
