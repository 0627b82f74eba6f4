"""Many released checkpoints beside their originals, pair after pair: fetched, compared, recorded, removed."""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from helpers.measure.comparing.compare import Line, Wanted, compare
from helpers.measure.comparing.pairs import Pair, PairList, parts_of
from helpers.measure.models import failures
from helpers.measure.models.hub import having, kept
from helpers.measure.models.hub.revisions import HubError
from helpers.measure.models.hub.standing import Asked, Standing, standings
from helpers.measure.models.hub.storage import SHARED, Storage
from helpers.measure.text.documents import text_named
from helpers.measure.text.extent import FULL, Amounts
from helpers.table import disk
from helpers.table.errors import CheckpointError, SpecError
from helpers.table.readers import read_json_mapping
from helpers.table.records import digest, from_mapping, summed, verified

GIB = 2**30


@dataclass(frozen=True)
class Way:
    """How every pair is compared: on which texts, how much of each, on which device, in how many bytes of disk.

    Without `disk_bytes` weights stay in the Hub's cache; with it they lie in a folder of this run's own and go.
    """

    texts: tuple[str, ...]
    amounts: Amounts = FULL
    seq_len: int | None = None
    device: str = "cpu"
    disk_bytes: int | None = None

    def key(self, pair: Pair) -> str:
        """Return the content address of a pair's record: pair, texts with their words, windows, kind of device."""
        texts = [(text.name, text.texts) for text in map(text_named, self.texts)]
        amounts = [self.amounts.sequences, self.amounts.seq_len, self.seq_len]
        return digest([pair.base, pair.quantized, texts, amounts, self.device.partition(":")[0]])


@dataclass(frozen=True)
class Finished:
    """A compared pair: the commits that its revisions were then, and its lines, one a text."""

    pair: Pair
    base_commit: str
    quantized_commit: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Released:
    """What a list came to: the finished pairs in the list's order, how many of them before, and why others failed."""

    finished: tuple[Finished, ...]
    n_before: int
    failures: tuple[str, ...]


def compare_all(listed: PairList, way: Way, out: Path, console: Console) -> Released:
    """Compare every pair of a list that `out` has no record of, and say on `console` what is done.

    A record is written when its pair is compared, whole or not at all; a pair that fails stops no other one and is
    tried again the next time. Raises DeviceError and ResultsError where the device or the disk fails, SpecError or
    CorpusError for texts that can't be used.
    """
    disk.refuse_unwritable(out)
    keys = {pair: way.key(pair) for pair in listed.pairs}
    with disk.exclusive(out, doing="comparing into"):
        disk.clear_unfinished(out, "*.json")
        finished = {pair: read for pair in listed.pairs if (read := _read(out / f"{keys[pair]}.json", pair))}
        n_before, failed = len(finished), []
        console.print(f"{listed.name}: {len(listed.pairs)} pairs, {n_before} of them compared before")
        storage = SHARED if way.disk_bytes is None else Storage(_own_folder(out))
        for pair in (each for each in listed.pairs if each not in finished):
            try:
                finished[pair] = _compared(pair, way, storage, console)
            except Exception as error:  # of one pair: failure_of raises what isn't
                line = failures.failure_of(error, pair.label, way.device)
                failed.append(line.replace(f"{storage.own}{os.sep}", ""))  # that folder goes
                continue
            _write(out / f"{keys[pair]}.json", finished[pair])
        if storage.own is not None:
            shutil.rmtree(storage.own, ignore_errors=True)
    return Released(tuple(finished[pair] for pair in listed.pairs if pair in finished), n_before, tuple(failed))


def _own_folder(out: Path) -> Path:
    """Return the folder of this run's downloads, beside the Hub's cache: who holds `out` holds it too."""
    return kept.home() / "downloads" / digest(os.path.realpath(out))


def _compared(pair: Pair, way: Way, storage: Storage, console: Console) -> Finished:
    """Return a pair compared, after what earlier pairs left is removed. Raises what keeps it from being compared."""
    _make_room(pair, way, storage)
    base, quantized = (having.with_weights(*parts_of(place), storage=storage) for place in (pair.base, pair.quantized))
    places = {pair.base: base.folder, pair.quantized: quantized.folder}
    wanted = Wanted(pair.base, (pair.quantized,), way.texts, way.amounts, way.seq_len)
    found = compare(wanted, way.device, console, places.__getitem__)
    if found.failures:
        raise CheckpointError(found.failures[0].removeprefix(f"{pair.quantized}: "))
    return Finished(pair, str(base.commit), str(quantized.commit), found.lines)


def _make_room(pair: Pair, way: Way, storage: Storage) -> None:
    """Remove from the run's own folder all that isn't this pair's. Raises CheckpointError where a pair doesn't fit."""
    if way.disk_bytes is None:
        return
    standing = standings([Asked(*parts_of(place), n_params=0) for place in (pair.base, pair.quantized)], storage)
    _refuse_absent(standing)
    storage.clear({each.commit for each in standing if each.commit is not None})
    n_bytes = sum(each.n_bytes for each in standing)
    if n_bytes > way.disk_bytes:
        asked = f"--disk-budget is {way.disk_bytes / GIB:.3g} GiB"
        raise CheckpointError(f"takes {n_bytes / GIB:.3g} GiB together, and {asked}; accepted: so much or more")


def _refuse_absent(standing: Sequence[Standing]) -> None:
    for each in standing:
        if not each.usable:
            raise HubError(each.reason or each.words, each.words)


def _write(path: Path, finished: Finished) -> None:
    content = summed(dataclasses.asdict(finished))
    disk.write_atomically(path, f"{json.dumps(content, indent=1, allow_nan=False)}\n".encode())


def _read(path: Path, pair: Pair) -> Finished | None:
    """Return a pair's record; None where there is none, or a damaged one, whose pair is compared again."""
    try:
        content = verified(read_json_mapping(path))
        lines = tuple(_lines(content.pop("lines"), str(path)))
        read = Finished(from_mapping(Pair, content.pop("pair"), str(path)), **content, lines=lines)
    except (OSError, ValueError, LookupError, TypeError, SpecError):
        return None
    return read if read.pair == pair else None


def _lines(listed: list[Any], where: str) -> Iterator[Line]:
    return (from_mapping(Line, line, where) for line in listed)
