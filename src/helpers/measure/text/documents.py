"""Texts as documents: a person's own files and folders, files of the Hub's data sets, and by name the book's texts.

A document is a line of a .jsonl file, a row of a .parquet file (both: the field `text`), or a whole .txt file.
"""

import functools
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from helpers.measure.text import hub_texts, public_texts
from helpers.measure.text.corpus_lock import CALIBRATION_DATASET, DOCUMENT_BYTES, TEXTS, HeldoutFile, read_lock
from helpers.measure.text.heldout import read_heldout
from helpers.measure.text.hub_texts import HubText
from helpers.measure.text.public_texts import PublicText
from helpers.table.errors import CorpusError, SpecError
from helpers.table.names import at_home
from helpers.table.words import shown, visible

FIELD = hub_texts.COLUMN
BATCH = 1024  # rows of a Parquet file that are read at once
SUFFIXES = (".txt", ".jsonl", ".parquet")
MOST_CHARACTERS = 2**23  # of a text: many times what is scored or calibrated on
BOOK_TEXTS = {"prose": "prose", "code": "heldout", "unseen": "unseen"}  # by the names of `corpus_lock.TEXTS`
BOOK_CALIBRATIONS = {"mixed": ("code", "prose"), "code": ("code",), "prose": ("prose",)}
PROSE_CALIBRATION = "wheels-prose-calibration"


@dataclass(frozen=True)
class Documents:
    """A text as documents, in their order: `name` stands in rows, `note` says what was left out, if anything."""

    name: str
    texts: tuple[str, ...]
    note: str = ""


def text_named(place: str) -> Documents:
    """Return a text to score on: by name one of `BOOK_TEXTS` or `public_texts.TEXTS`, else a file or a folder.

    The book's prose is every other of its documents; the rest calibrates. Raises CorpusError for what isn't there or
    can't be read.
    """
    if place not in BOOK_TEXTS:
        return _own(place, BOOK_TEXTS, public_texts.TEXTS)
    text = TEXTS[BOOK_TEXTS[place]]
    files: tuple[HeldoutFile, ...] = getattr(read_lock(), text.split)
    return _of_the_lock(text.dataset, files[::2] if place == "prose" else files)


def refuse_same_names(texts: Sequence[Documents]) -> None:
    """Raise SpecError for two texts of one name: rows and tables tell them apart by nothing else."""
    names = [each.name for each in texts]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"two texts are called {name}; accepted: names that differ")


def calibration_named(place: str) -> tuple[Documents, ...]:
    """Return texts to calibrate on, each for the same share: by name, as for `text_named`, else a file or folder.

    Raises CorpusError for what isn't there or can't be read.
    """
    if place not in BOOK_CALIBRATIONS:
        return (_own(place, BOOK_CALIBRATIONS, public_texts.CALIBRATIONS),)
    lock = read_lock()
    sources = {"code": (CALIBRATION_DATASET, lock.calibration), "prose": (PROSE_CALIBRATION, lock.prose[1::2])}
    return tuple(_of_the_lock(*sources[part]) for part in BOOK_CALIBRATIONS[place])


def _own(place: str, of_the_book: Iterable[str], public: Mapping[str, PublicText]) -> Documents:
    if public_texts.is_of_the_hub(place, public):
        return of_the_hub(public_texts.of_the_hub(place, public))
    return read_documents(at_home(place), f"{', '.join((*of_the_book, *public))}, or ")


@functools.lru_cache(maxsize=4)
def of_the_hub(text: HubText) -> Documents:
    """Return a text of the Hub, downloaded if need be, read once per process.

    Raises CorpusError for what isn't there or can't be read.
    """
    read = _rows if text.file.endswith(hub_texts.PARQUET) else _lines
    rows = read(hub_texts.downloaded(text), text.column, str(text))
    return _taken(str(text), str(text), public_texts.documents_of(text, rows))


def _of_the_lock(name: str, files: Iterable[HeldoutFile]) -> Documents:
    """Return those of the pinned documents that can be read here: installed, in the cache or in a downloaded wheel."""
    texts, files = [], tuple(files)
    missing: CorpusError | None = None
    for file in files:
        try:
            texts.append(read_heldout(file)[:DOCUMENT_BYTES].decode("ascii"))
        except CorpusError as error:
            missing = missing or error
    if missing is not None and not texts:
        raise missing
    left_out = len(files) - len(texts)
    note = f"{left_out} of {len(files)} documents aren't installed here; `make corpus` downloads them"
    return Documents(name, tuple(texts), note if left_out else "")


def read_documents(path: Path, also: str = "") -> Documents:
    """Return a file's documents, or those of a folder's .txt files in the order of their names; empty ones left out.

    No more than `MOST_CHARACTERS` are taken. `also` begins what a message says is accepted. Raises CorpusError, with
    the place in the file, for one that is missing, empty, binary, not UTF-8, of another layout, no file (a pipe) or
    whose name no table could show.
    """
    _refuse_unseen(path)
    accepted = f"accepted: {also}a file that ends in {', '.join(SUFFIXES)}, or a folder of .txt files"
    if path.is_dir():
        files = sorted(path.glob("*.txt"))
        if not files:
            raise CorpusError(f"{path}: no .txt file there; {accepted}")
        return _taken(path, _name_of(path), (text for file in files for text in _whole(file)))
    if path.suffix.lower() not in SUFFIXES:
        missing = "" if path.exists() else "no such text; "
        raise CorpusError(f"{path}: {missing}{accepted}")
    if not path.exists():
        raise CorpusError(f"{path}: no such file; {accepted}")
    read = {".txt": _whole, ".jsonl": _lines, ".parquet": _rows}[path.suffix.lower()]
    return _taken(path, _name_of(path), read(path))


def _refuse_unseen(path: Path) -> None:
    """Raise CorpusError for a name with control characters: it would stand in rows, tables and pages."""
    if visible(path.name) != path.name:
        raise CorpusError(f"{path}: a text is called {shown(path.name)}; accepted: a name without control characters")


def _name_of(path: Path) -> str:
    """Return a path's last part; of `.` and `..` that of the folder they stand for."""
    return path.resolve().name if path.name in ("", "..") else path.name


def _refuse_no_file(path: Path) -> None:
    """Raise CorpusError for what would be waited for, or never ends: a pipe, a device."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise CorpusError(f"{path}: a pipe or a device; accepted: a file")


def _taken(place: Path | str, name: str, texts: Iterable[str]) -> Documents:
    taken, room = [], MOST_CHARACTERS
    for text in texts:
        if not text.strip():
            continue
        if room <= 0:
            break
        taken.append(text[:room])
        room -= len(text)
    if not taken:
        raise CorpusError(f"{place}: empty; accepted: text")
    note = f"the first {MOST_CHARACTERS:,} characters are taken" if room < 0 else ""
    return Documents(name, tuple(taken), note)


def _whole(path: Path) -> Iterator[str]:
    yield _decoded(path, _bytes_of(path)).removeprefix("\ufeff")


def _bytes_of(path: Path, place: str = "") -> bytes:
    _refuse_no_file(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(4 * MOST_CHARACTERS + 3)  # UTF-8 has up to four bytes a character
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(f"{place or path}: not a gzip file, or a part of one ({error})") from None
    except OSError as error:
        raise CorpusError(f"{place or path}: {error.strerror}") from None


def _decoded(path: Path | str, content: bytes) -> str:
    """Return text from UTF-8. Raises CorpusError with the place of the first byte that isn't text."""
    if b"\0" in content:
        raise CorpusError(f"{path}: a zero byte at {content.index(0):,}: binary; accepted: text in UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and len(content) > 4 * MOST_CHARACTERS:
            return content[: error.start].decode()  # cut here, not in the file
        found = f"byte {error.start:,} is 0x{content[error.start]:02x}, not UTF-8"
        raise CorpusError(f"{path}: {found}; accepted: text in UTF-8") from None


def _lines(path: Path, field: str = FIELD, place: str = "") -> Iterator[str]:
    """Yield the texts of JSON lines; a message names the file as `place`, by default its path."""
    place = place or str(path)
    content = _bytes_of(path, place)
    if len(content) > 4 * MOST_CHARACTERS:  # cut here: its last line may not be whole
        content = content[: content.rfind(b"\n") + 1]
    for number, line in enumerate(_decoded(place, content).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)[field]
        except (ValueError, LookupError, TypeError, RecursionError):
            found = None
        if not isinstance(found, str):
            raise CorpusError(f'{place}:{number}: accepted: a JSON object a line, {{"{field}": "..."}}')
        yield _without_half(place, number, found)


def _without_half(place: str, number: int, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"{place}:{number}: half a character at {error.start:,} (a lone surrogate)") from None
    return text


def _rows(path: Path, column: str = FIELD, place: str = "") -> Iterator[str]:
    """Yield the texts of a column, read as they are taken; a message names the file as `place`, by default its path."""
    place = place or str(path)
    _refuse_no_file(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as table:
            _refuse_other_column(table.schema_arrow, column, place)
            for batch in table.iter_batches(BATCH, columns=[column]):
                batch.validate(full=True)  # texts that aren't UTF-8 would be met by whoever takes one
                yield from (str(text) for text in batch.column(0).to_pylist() if text is not None)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{place}: not a Parquet table ({str(error).splitlines()[0]})") from None


def _refuse_other_column(schema: pa.Schema, column: str, place: str) -> None:
    """Raise CorpusError where a table has no column of that name, or one of anything but texts."""
    if column not in schema.names:
        raise CorpusError(f"{place}: columns {', '.join(schema.names) or 'none'}; accepted: one called '{column}'")
    kind = schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise CorpusError(f"{place}: column '{column}' is {kind}; accepted: texts")
