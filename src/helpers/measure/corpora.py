"""Text for training, calibration and evaluation: Python sources of pinned wheels, split so that nothing overlaps.

`data/corpus.lock` names every wheel (version, sha256, licence) and every held-out file (package, path, sha256).
Held-out files are read from the installed packages of the project's own environment, so evaluation needs no
download; training text is read from the wheels themselves. None of that text is in the repository.
"""

import hashlib
import importlib.metadata
import json
import logging
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from helpers.specs import CorpusError, digest, from_mapping

LOCK = Path("data/corpus.lock")
CACHE = Path(".cache/corpus")
TADPOLE_TOKENIZER = Path("data/tadpole/tokenizer.json")
HELDOUT_DATASET = "wheels-heldout"  # held-out files of the packages trained on
CALIBRATION_DATASET = "wheels-calibration"
DOCUMENTS_PER_SPLIT = 128
BLOCKS_PER_DOCUMENT = 4
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
    """One source file kept from training; `sha256` is of its bytes."""

    package: str
    version: str
    path: str
    sha256: str


@dataclass(frozen=True)
class CorpusLock:
    """What the text is made of. `training_sha256` covers the training documents in order, after near-duplicates."""

    wheels: tuple[Wheel, ...]
    evaluation: tuple[HeldoutFile, ...]
    calibration: tuple[HeldoutFile, ...]
    training_sha256: str
    n_training_documents: int
    n_training_bytes: int


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
    raw["wheels"] = tuple(from_mapping(Wheel, wheel, f"{path}: wheels") for wheel in raw["wheels"])
    for split in ("evaluation", "calibration"):
        raw[split] = tuple(from_mapping(HeldoutFile, file, f"{path}: {split}") for file in raw[split])
    return CorpusLock(**raw)


def read_heldout(file: HeldoutFile, cache: Path = CACHE) -> bytes:
    """Return a held-out file's bytes, from the cache (named by content) or the installed package.

    A file that differs from the locked one is used as it is, with a warning: the evaluation then has another
    hash, and its rows never mix with others. Raises CorpusError when the package or file is missing.
    """
    cached = cache / "heldout" / file.sha256
    if cached.exists():
        return cached.read_bytes()
    try:
        distribution = importlib.metadata.distribution(file.package)
        content = Path(str(distribution.locate_file(file.path))).read_bytes()
    except importlib.metadata.PackageNotFoundError:
        raise CorpusError(f"{file.package} {file.version} isn't installed; it holds the held-out {file.path}") from None
    except OSError:
        raise CorpusError(
            f"{file.package} {distribution.version} lacks {file.path}, held out of {file.version}"
        ) from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        log.warning(
            "held-out text differs from the locked one: %s of %s %s (locked: %s); rows get another evaluation hash",
            file.path,
            file.package,
            distribution.version,
            file.version,
        )
    return content


def heldout_blocks(
    files: Iterable[HeldoutFile], tokenizer: Tokenizer, n_sequences: int, seq_len: int, cache: Path = CACHE
) -> Blocks:
    """Cut the first blocks of every held-out file, the same number of each: block i comes from document i mod n.

    A block has `seq_len` + 1 tokens, so `seq_len` of them are predicted; blocks overlap by that one token.
    Raises CorpusError when `n_sequences` isn't a multiple of the number of files or a file is too short.
    """
    files = tuple(files)
    per_document, remainder = divmod(n_sequences, len(files))
    if remainder or not 1 <= per_document <= BLOCKS_PER_DOCUMENT:
        accepted = ", ".join(str(len(files) * k) for k in range(1, BLOCKS_PER_DOCUMENT + 1))
        raise CorpusError(f"n_sequences is {n_sequences}; accepted: {accepted} (the same number of each document)")
    rows: list[list[list[int]]] = []
    for file in files:
        text = read_heldout(file, cache)[:DOCUMENT_BYTES].decode("ascii")
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if len(ids) < per_document * seq_len + 1:
            raise CorpusError(f"{file.package} {file.path}: {len(ids)} tokens, {per_document * seq_len + 1} needed")
        rows.append([ids[k * seq_len : (k + 1) * seq_len + 1] for k in range(per_document)])
    tokens = torch.tensor([rows[d][k] for k in range(per_document) for d in range(len(files))])
    documents = tuple(range(len(files))) * per_document
    text_bytes = sum(
        len(tokenizer.decode(block, skip_special_tokens=False)) - len(tokenizer.decode(block[:1]))
        for document in rows
        for block in document
    )
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
