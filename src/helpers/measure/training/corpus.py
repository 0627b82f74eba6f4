"""The making of `data/corpus.lock` and of the training text: which wheels, which files, no near-duplicates."""

import dataclasses
import email.parser
import functools
import hashlib
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from helpers.measure.text.corpus_lock import (
    CACHE,
    DOCUMENT_BYTES,
    DOCUMENTS_PER_SPLIT,
    END_OF_TEXT,
    PROSE_BLOCKS_PER_DOCUMENT,
    PROSE_DOCUMENTS,
    CorpusLock,
    HeldoutFile,
    Wheel,
)
from helpers.measure.text.heldout import document_in, opened_wheel, wheel_documents
from helpers.table import disk
from helpers.table.errors import CorpusError, SpecError
from helpers.table.readers import read_yaml
from helpers.table.records import digest, from_mapping

SIMILARITY = 0.6  # two files whose sets of lines overlap more than this (Jaccard) are near-duplicates
PERMUTATIONS = 64
TRAINING_BYTES = (200, 1_000_000)
HELDOUT_BYTES = (DOCUMENT_BYTES, 200_000)
PROSE_TOKENS = PROSE_BLOCKS_PER_DOCUMENT * 512 + 1  # descriptions have at least so many tokens
VOCABULARY_SIZE = 1024


class NearDuplicates:
    """A memory of documents, by a MinHash of their lines, that tells when a new one is nearly one of them."""

    def __init__(self) -> None:
        import datasketch  # needed only where text is made; a GPU machine gets the finished tokens

        self._sketch = functools.partial(datasketch.MinHash, num_perm=PERMUTATIONS, seed=1)
        self._index = datasketch.MinHashLSH(threshold=SIMILARITY, num_perm=PERMUTATIONS)
        self._count = 0

    def add_if_new(self, content: bytes) -> bool:
        """Remember `content` unless it is a near-duplicate; return whether it was new."""
        sketch = self._sketch()
        sketch.update_batch(list({line.strip() for line in content.splitlines()}))
        if self._index.query(sketch):
            return False
        self._index.insert(self._count, sketch, check_duplication=False)
        self._count += 1
        return True


def describe_wheel(path: Path) -> Wheel:
    """Return name, version, sha256 and licence of a wheel file, read from its own metadata.

    Raises CorpusError when it is damaged, has no metadata or unpacks to too much.
    """
    with opened_wheel(path) as archive:
        metadata = email.parser.BytesParser().parsebytes(archive.read(_metadata_path(archive)), headersonly=True)
    classifiers = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    licence = metadata["License-Expression"] or ", ".join(classifiers) or (metadata["License"] or "see the wheel")
    return Wheel(
        package=metadata["Name"],
        version=metadata["Version"],
        filename=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence=licence.splitlines()[0][:80],
    )


def _metadata_path(archive: zipfile.ZipFile) -> str:
    found = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1]
    if not found:
        raise CorpusError(f"{archive.filename}: no .dist-info/METADATA; accepted: a wheel")
    return found[0]


def source_files(wheel: Wheel, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of the Python sources that may be held out: in ASCII, neither short nor huge."""
    for path, content in wheel_documents(wheel, folder):
        if HELDOUT_BYTES[0] <= len(content) <= HELDOUT_BYTES[1] and content.isascii():
            yield path, content


def description(wheel: Wheel, folder: Path, tokenizer: Tokenizer) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of a wheel's long description if it is in ASCII and of `PROSE_TOKENS` tokens or more."""
    with opened_wheel(folder / wheel.filename) as archive:
        path = _metadata_path(archive)
        content = document_in(path, archive.read(path))
    if content.isascii():
        tokens = tokenizer.encode(content[:DOCUMENT_BYTES].decode("ascii"), add_special_tokens=False).ids
        if len(tokens) >= PROSE_TOKENS:
            yield path, content


Documents = Callable[[Wheel, Path], Iterable[tuple[str, bytes]]]


def choose_heldout(
    wheels: Iterable[Wheel],
    folder: Path,
    near_duplicates: NearDuplicates,
    count: int,
    documents: Documents = source_files,
) -> list[HeldoutFile]:
    """Choose `count` of the wheels' `documents`, package after package in turn, in the order of their content's hash.

    Raises CorpusError when the wheels don't hold that many.
    """
    queues: dict[Wheel, list[tuple[str, str, bytes]]] = {}
    for wheel in wheels:
        found = documents(wheel, folder)
        queues[wheel] = sorted(((hashlib.sha256(c).hexdigest(), path, c) for path, c in found), reverse=True)
    chosen: list[HeldoutFile] = []
    while any(queues.values()):
        for wheel, queue in queues.items():
            while queue:
                sha256, path, content = queue.pop()
                if near_duplicates.add_if_new(content):
                    chosen.append(HeldoutFile(wheel.package, wheel.version, path, sha256))
                    break
            if len(chosen) == count:
                return chosen
    raise CorpusError(f"{len(chosen)} held-out documents found, {count} needed")


@dataclass(frozen=True)
class Packages:
    """The packages that held-out documents are chosen from, and those training never reads: names in lower case."""

    held_out: tuple[str, ...]
    unseen: tuple[str, ...]


def read_packages(path: Path) -> Packages:
    """Read the two lists of packages from YAML. Raises CorpusError that names what is wrong."""
    try:
        return from_mapping(Packages, read_yaml(path), str(path))
    except SpecError as error:
        raise CorpusError(f"{path}: not the two lists `held_out` and `unseen` ({str(error).splitlines()[0]})") from None


def make_lock(folder: Path, packages: Packages, tokenizer: Tokenizer) -> CorpusLock:
    """Describe every wheel in `folder`, choose the held-out documents, digest what is left for training.

    Training reads no wheel of the unseen packages; of the packages that held-out documents come from it reads the
    files that evaluation and calibration don't take. `tokenizer` says how long a description is. Raises CorpusError
    when the wheels don't hold enough documents that are no near-duplicates.
    """
    all_wheels = sorted((describe_wheel(path) for path in folder.glob("*.whl")), key=lambda wheel: wheel.filename)
    unseen_wheels = [wheel for wheel in all_wheels if wheel.package.lower() in packages.unseen]
    wheels = [wheel for wheel in all_wheels if wheel not in unseen_wheels]
    pure = [w for w in wheels if w.package.lower() in packages.held_out and w.filename.endswith("-none-any.whl")]
    heldout = choose_heldout(pure, folder, NearDuplicates(), 2 * DOCUMENTS_PER_SPLIT)
    splits = tuple(heldout[0::2]), tuple(heldout[1::2])
    draft = CorpusLock(tuple(wheels), *splits, "", 0, 0, tuple(unseen_wheels), (), ())
    near_duplicates = NearDuplicates()
    documents = list(_unique_documents(draft, folder, near_duplicates))
    describe = functools.partial(description, tokenizer=tokenizer)
    return dataclasses.replace(
        draft,
        training_sha256=_digest_documents(documents),
        n_training_documents=len(documents),
        n_training_bytes=sum(map(len, documents)),
        unseen=tuple(choose_heldout(unseen_wheels, folder, near_duplicates, DOCUMENTS_PER_SPLIT)),
        prose=tuple(choose_heldout(wheels, folder, near_duplicates, PROSE_DOCUMENTS, describe)),
    )


def write_lock(lock: CorpusLock, path: Path) -> None:
    """Write the lock as JSON, one wheel or file per line."""
    parts = []
    for name, value in dataclasses.asdict(lock).items():
        if isinstance(value, (list, tuple)):
            lines = ",\n  ".join(json.dumps(item, ensure_ascii=True) for item in value)
            parts.append(f' "{name}": [\n  {lines}\n ]')
        else:
            parts.append(f' "{name}": {json.dumps(value)}')
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def training_documents(lock: CorpusLock, folder: Path) -> list[str]:
    """Return the training documents in order. Raises CorpusError when they aren't the locked ones."""
    documents = list(_unique_documents(lock, folder, NearDuplicates()))
    if _digest_documents(documents) != lock.training_sha256:
        raise CorpusError("the training text differs from data/corpus.lock although the wheels are the same")
    return [document.decode() for document in documents]


def _digest_documents(documents: list[bytes]) -> str:
    whole = hashlib.sha256()
    for document in documents:
        whole.update(hashlib.sha256(document).digest())
    return whole.hexdigest()


def _unique_documents(lock: CorpusLock, folder: Path, near_duplicates: NearDuplicates) -> Iterator[bytes]:
    """Yield the documents left for training: no held-out file, nothing near one, no near-duplicate, valid UTF-8.

    `near_duplicates`, empty before, remembers the held-out files and all of these.
    """
    exact: set[bytes] = set()
    held = {(file.package, file.path) for file in (*lock.evaluation, *lock.calibration)}
    wheels: dict[str, Wheel] = {wheel.package: wheel for wheel in lock.wheels}
    paths = defaultdict(set)
    for package, path in held:
        paths[package].add(path)
    for package, wanted in sorted(paths.items()):
        for path, content in wheel_documents(wheels[package], folder):
            if path in wanted:
                near_duplicates.add_if_new(content)
                exact.add(hashlib.sha256(content).digest())
    for wheel in lock.wheels:
        for _, content in wheel_documents(wheel, folder):
            key = hashlib.sha256(content).digest()
            if key in exact or not TRAINING_BYTES[0] <= len(content) <= TRAINING_BYTES[1] or not _is_utf8(content):
                continue
            exact.add(key)
            if near_duplicates.add_if_new(content):
                yield content


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def training_tokens(lock: CorpusLock, tokenizer: Tokenizer, cache: Path = CACHE) -> np.ndarray:
    """Return the training text as one array of token ids (uint16), documents separated by end-of-text.

    It is built from the wheels once and kept in the cache under the digests of text and tokenizer.
    """
    key = digest([lock.training_sha256, tokenizer.to_str()])
    path = cache / f"training-{key}.npy"
    if not path.exists():
        end = tokenizer.token_to_id(END_OF_TEXT)
        texts = training_documents(lock, cache / "wheels")
        pieces = [np.array([*ids, end], dtype=np.uint16) for ids in _encode_all(tokenizer, texts)]
        with disk.replacing(path) as partial, partial.open("wb") as file:
            np.save(file, np.concatenate(pieces))
    tokens: np.ndarray = np.load(path)
    return tokens


def _encode_all(tokenizer: Tokenizer, texts: Iterable[str], batch: int = 1000) -> Iterator[list[int]]:
    texts = list(texts)
    for start in range(0, len(texts), batch):
        for encoding in tokenizer.encode_batch_fast(texts[start : start + batch], add_special_tokens=False):
            yield encoding.ids


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Train the one tokenizer of every tadpole: byte-level BPE of 1,024 entries, end-of-text first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
