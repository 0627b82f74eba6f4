"""Text for training, calibration and evaluation: sources and descriptions of pinned wheels, so that nothing overlaps.

`data/corpus.lock` names every wheel (version, sha256, licence) and every held-out document (package, path, sha256).
Those of `heldout` and of calibration are read from the installed packages of the project's own environment, so they
need no download; the other texts and the training text are read from the wheels. None of it is in the repository.
"""

import hashlib
import importlib.metadata
import json
import logging
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from helpers.table.files import write_atomically
from helpers.table.rows import CorpusError, digest, from_mapping

LOCK = Path("data/corpus.lock")
CACHE = Path(".cache/corpus")
TADPOLE_TOKENIZER = Path("data/tadpole/tokenizer.json")
CALIBRATION_DATASET = "wheels-calibration"
SEARCH_DATASET = "wheels-search"  # the same files, other blocks
DOCUMENTS_PER_SPLIT = 128
BLOCKS_PER_DOCUMENT = 4
PROSE_DOCUMENTS = 64  # no more descriptions of wheels trained on are in ASCII, long enough and a round number
PROSE_BLOCKS_PER_DOCUMENT = 2
DOCUMENT_BYTES = 12_000  # held-out files are at least this long, and no more of them is read
END_OF_TEXT = "<|endoftext|>"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wheel:
    """One wheel training text is read from."""

    package: str
    version: str
    filename: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class HeldoutFile:
    """One document kept from training; `sha256` is of its bytes as `document_in` gives them."""

    package: str
    version: str
    path: str
    sha256: str


@dataclass(frozen=True)
class CorpusLock:
    """What the text is made of. `training_sha256` covers the training documents in order, after near-duplicates.

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
        """Return how many blocks can be cut from it."""
        return _sequences_accepted(self.n_documents, self.blocks_per_document)


TEXTS = {
    "heldout": Text("wheels-heldout", "evaluation"),  # held-out files of the packages trained on
    "unseen": Text("wheels-unseen", "unseen"),  # files of packages not trained on
    "prose": Text("wheels-prose", "prose", PROSE_DOCUMENTS, PROSE_BLOCKS_PER_DOCUMENT),  # descriptions of packages
}


@dataclass(frozen=True)
class Blocks:
    """Held-out blocks: `tokens` (n, seq_len + 1) int64; `documents[i]` is the document block i was cut from.

    `n_bytes` counts the text of the predicted tokens (all but the first of each block).
    """

    tokens: Tensor
    documents: tuple[int, ...]
    n_bytes: int
    sha256: str


def read_lock(path: Path = LOCK) -> CorpusLock:
    """Read `data/corpus.lock`. Raises CorpusError when it is missing, SpecError when a field is off."""
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}; run from the repository's top folder") from None
    for name in ("wheels", "unseen_wheels"):
        raw[name] = tuple(from_mapping(Wheel, wheel, f"{path}: {name}") for wheel in raw[name])
    for split in ("evaluation", "calibration", "unseen", "prose"):
        raw[split] = tuple(from_mapping(HeldoutFile, file, f"{path}: {split}") for file in raw[split])
    return CorpusLock(**raw)


def document_in(path: str, content: bytes) -> bytes:
    """Return the document that a wheel's file holds: all of it, or of METADATA the description after the headers.

    Some descriptions have Windows line ends, which neither the sources nor other descriptions have.
    """
    if not path.endswith(".dist-info/METADATA"):
        return content
    return content.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def read_heldout(file: HeldoutFile, cache: Path = CACHE) -> bytes:
    """Return a held-out document's bytes, from the cache (named by content), the installed package or a wheel.

    An installed file that differs from the locked one is used as it is where no downloaded wheel has that one, with a
    warning: the evaluation then has another hash, and its rows never mix with others. Raises CorpusError when the
    document is nowhere.
    """
    cached = cache / "heldout" / file.sha256
    if cached.exists():
        return cached.read_bytes()
    version, installed = _installed(file)
    if installed is not None and _is_locked(file, installed):
        return installed
    downloaded = _downloaded(file, cache / "wheels")
    if downloaded is not None:
        return downloaded
    if version is None:
        missing = f"{file.package} {file.version} isn't installed; it holds the held-out {file.path}"
        raise CorpusError(f"{missing}; `make corpus` downloads it")
    if installed is None:
        missing = f"{file.package} {version} lacks {file.path}, held out of {file.version}"
        raise CorpusError(f"{missing}; `make corpus` downloads that")
    log.warning(
        "held-out text differs from the locked one: %s of %s %s (locked: %s); rows get another evaluation hash",
        file.path,
        file.package,
        version,
        file.version,
    )
    return installed


def keep_heldout(lock: CorpusLock, cache: Path = CACHE) -> int:
    """Copy every held-out document into the cache, where a machine without these packages can read it; return how many.

    Raises CorpusError for one that is nowhere or isn't the locked one.
    """
    files = (*lock.evaluation, *lock.calibration, *lock.unseen, *lock.prose)
    for file in files:
        content = read_heldout(file, cache)
        if not _is_locked(file, content):
            raise CorpusError(f"{file.package} {file.path}: installed in another version than {file.version}")
        path = cache / "heldout" / file.sha256
        if not path.exists():
            write_atomically(path, content)
    return len(files)


def _is_locked(file: HeldoutFile, document: bytes) -> bool:
    return hashlib.sha256(document).hexdigest() == file.sha256


def _installed(file: HeldoutFile) -> tuple[str | None, bytes | None]:
    """Return the installed version of a document's package and the document there; None is what there isn't."""
    try:
        distribution = importlib.metadata.distribution(file.package)
    except importlib.metadata.PackageNotFoundError:
        return None, None
    try:
        content = Path(str(distribution.locate_file(file.path))).read_bytes()
    except OSError:
        return distribution.version, None
    return distribution.version, document_in(file.path, content)


def _downloaded(file: HeldoutFile, folder: Path) -> bytes | None:
    """Return the locked document from a wheel of its package and version in `folder`, or None."""
    for path in folder.glob(f"*-{file.version}-*.whl"):
        if _normalized(path.name.partition("-")[0]) != _normalized(file.package):
            continue
        with zipfile.ZipFile(path) as archive:
            if file.path in archive.namelist():
                document = document_in(file.path, archive.read(file.path))
                if _is_locked(file, document):
                    return document
    return None


def _normalized(package: str) -> str:
    """Return a package's name as wheels are compared: `Sphinx_Design` and `sphinx-design` are one."""
    return re.sub("[-_.]+", "-", package).lower()


def text_blocks(
    name: str, lock: CorpusLock, tokenizer: Tokenizer, n_sequences: int, seq_len: int, cache: Path = CACHE
) -> tuple[str, Blocks]:
    """Return the dataset a row of the text called `name` carries, and its blocks as `heldout_blocks` cuts them.

    Raises CorpusError for a name that isn't in `TEXTS` and as `heldout_blocks` does.
    """
    if name not in TEXTS:
        raise CorpusError(f"unknown text '{name}'; accepted: {', '.join(TEXTS)}")
    text = TEXTS[name]
    files, most = getattr(lock, text.split), text.blocks_per_document
    return text.dataset, heldout_blocks(files, tokenizer, n_sequences, seq_len, cache, most)


def _sequences_accepted(n_documents: int, blocks_per_document: int) -> list[int]:
    return [n_documents * k for k in range(1, blocks_per_document + 1)]


def heldout_blocks(
    files: Iterable[HeldoutFile],
    tokenizer: Tokenizer,
    n_sequences: int,
    seq_len: int,
    cache: Path = CACHE,
    blocks_per_document: int = BLOCKS_PER_DOCUMENT,
) -> Blocks:
    """Cut the first blocks of every held-out file, the same number of each: block i comes from document i mod n.

    A block has `seq_len` + 1 tokens, so `seq_len` of them are predicted; blocks overlap by that one token.
    Raises CorpusError when `n_sequences` isn't a multiple of the number of files, is more than `blocks_per_document` of
    each, or a file is too short.
    """
    files = tuple(files)
    if n_sequences not in _sequences_accepted(len(files), blocks_per_document):
        accepted = ", ".join(map(str, _sequences_accepted(len(files), blocks_per_document)))
        raise CorpusError(f"n_sequences is {n_sequences}; accepted: {accepted} (the same number of each document)")
    per_document = n_sequences // len(files)
    rows: list[list[list[int]]] = []
    for file in files:
        text = read_heldout(file, cache)[:DOCUMENT_BYTES].decode("ascii")
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) < per_document * seq_len + 1:
            raise CorpusError(f"{file.package} {file.path}: {len(ids)} tokens, {per_document * seq_len + 1} needed")
        rows.append([ids[k * seq_len : (k + 1) * seq_len + 1] for k in range(per_document)])
    tokens = torch.tensor([rows[d][k] for k in range(per_document) for d in range(len(files))])
    documents = tuple(range(len(files))) * per_document
    text_bytes = _text_bytes(tokenizer, (block for document in rows for block in document))
    sha256 = digest([hashlib.sha256(tokens.numpy().tobytes()).hexdigest(), documents, seq_len])
    return Blocks(tokens, documents, text_bytes, sha256)


def calibration_tokens(
    files: Iterable[HeldoutFile], tokenizer: Tokenizer, n_sequences: int, seq_len: int, seed: int, cache: Path = CACHE
) -> tuple[Tensor, str]:
    """Return `n_sequences` calibration blocks (n_sequences, seq_len) drawn with `seed`, and their hash.

    They are drawn without replacement from the first blocks of every calibration file.
    Raises CorpusError when fewer exist.
    """
    files = tuple(files)
    pool = heldout_blocks(files, tokenizer, len(files) * BLOCKS_PER_DOCUMENT, seq_len, cache).tokens[:, :seq_len]
    if n_sequences > len(pool):
        raise CorpusError(f"calibration sequences: {n_sequences}; accepted: 1 to {len(pool)}")
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    tokens = pool[order[:n_sequences]].contiguous()
    return tokens, digest(hashlib.sha256(tokens.numpy().tobytes()).hexdigest())


def search_blocks(
    files: Iterable[HeldoutFile],
    tokenizer: Tokenizer,
    n_sequences: int,
    seq_len: int,
    seed: int,
    cache: Path = CACHE,
) -> Blocks:
    """Return `n_sequences` blocks that searches score on: those that `calibration_tokens` draws last with `seed`.

    A block counts as a document of its own. Raises CorpusError when fewer exist.
    """
    files = tuple(files)
    pool = heldout_blocks(files, tokenizer, len(files) * BLOCKS_PER_DOCUMENT, seq_len, cache).tokens
    if not 1 <= n_sequences <= len(pool):
        raise CorpusError(f"search sequences: {n_sequences}; accepted: 1 to {len(pool)}")
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
    tokens = pool[order[-n_sequences:]].contiguous()
    documents = tuple(range(n_sequences))
    sha256 = digest([hashlib.sha256(tokens.numpy().tobytes()).hexdigest(), documents, seq_len])
    return Blocks(tokens, documents, _text_bytes(tokenizer, tokens.tolist()), sha256)


def _text_bytes(tokenizer: Tokenizer, blocks: Iterable[list[int]]) -> int:
    """Return how many bytes the predicted tokens of blocks stand for: all but the first of each."""
    return sum(
        len(tokenizer.decode(block, skip_special_tokens=False)) - len(tokenizer.decode(block[:1])) for block in blocks
    )


def wheel_documents(wheel: Wheel, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of every Python source in a wheel, in the order of their paths.

    Raises CorpusError when the wheel is missing or isn't the locked one.
    """
    path = folder / wheel.filename
    if not path.exists():
        raise CorpusError(f"{path}: missing; `make corpus` downloads the wheels that {LOCK} names")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != wheel.sha256:
            raise CorpusError(f"{path}: sha256 differs from {LOCK}")
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".py"):
                yield name, archive.read(name)
