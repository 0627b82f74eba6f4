"""Sweeps of a family from a stand-in of the Hub under a budget of disk, and what must hold after each fault."""

import contextlib
import dataclasses
import datetime
import itertools
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.faults.child import Fault, Request
from tests.faults.harness import Child, Ended, Tally, tree_of
from tests.hub.faults import Faults
from tests.hub.stand_in import StandIn, take_for_the_hub
from tests.measure.sweep.hub_families import made_small, published, specs_of

from helpers.measure.sweep import rows
from helpers.measure.text import token_blocks
from helpers.table import files
from helpers.table.errors import ResultsError
from helpers.table.families import catalogue

GIB = 2**30
FAMILY, MODEL = "pythia-deduped", "pythia-160m-deduped"
N_ROWS = 9  # of the sweep below: the model and two methods at three steps
# three revisions of one repository: while one is measured the next one comes, and the one before is removed
SWEEP = f"""name: hub
evaluation: {{sequences: 128, seq_len: 4}}
calibration: {{sequences: 2, seq_len: 16}}
parts:
  - family: {FAMILY}
    models: [{MODEL}]
    steps: [512, 1000, 2000]
    schemes:
      - {{method: [gptq, rtn], bits: [3], group_size: 128, symmetric: true}}
"""


@dataclass(frozen=True)
class OfTheHub:
    """What a child does before its command: it takes the stand-in for the Hub; `clock` is the seed of its jumps."""

    address: str
    cache: Path
    clock: int | None = None

    def __call__(self) -> None:
        patch, sleep = pytest.MonkeyPatch(), time.sleep
        one_small_run(patch)
        take_for_the_hub(patch, self.address, self.cache)
        patch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))
        if self.clock is not None:
            jumping(patch, random.Random(self.clock))


def one_small_run(patch: pytest.MonkeyPatch) -> None:
    """Let the family have one run, a small one, and texts be short: most of a sweep's seconds would go into these."""
    made_small(patch, FAMILY)
    family = catalogue.HUB_FAMILIES[FAMILY]
    runs = tuple(run for run in family.runs if run.model == MODEL)
    patch.setitem(catalogue.HUB_FAMILIES, FAMILY, dataclasses.replace(family, runs=runs))
    patch.setattr(token_blocks, "DOCUMENT_BYTES", 2_000)


def jumping(patch: pytest.MonkeyPatch, choose: random.Random) -> None:
    """Let the wall clock jump up to ten years back or forth at each look; what measures durations goes on evenly."""
    real = time.time

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(time.time(), tz)

    patch.setattr(time, "time", lambda: real() + choose.uniform(-3650, 3650) * 86_400)
    patch.setattr(rows, "datetime", SimpleNamespace(datetime=Jumping, UTC=datetime.UTC))


class HubBench:
    """A stand-in of the Hub with a small family, a sweep of it under the least budget, and an unbroken one's end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.numbers = folder, itertools.count(1)
        self.sweep, self.hub = folder / "hub.yml", StandIn()
        self.sweep.write_text(SWEEP)
        with pytest.MonkeyPatch.context() as patch:
            one_small_run(patch)
            contents = published(self.hub, specs_of(self.sweep))
        two_largest = sorted(len(content["model.safetensors"]) for content in contents.values())[-2:]
        self.budget = sum(two_largest) * 1.001 / GIB
        self.unbroken: tuple[dict[str, object], Ended, float] | None = None

    def new(self) -> Path:
        """Return a folder for one trial, with the cache of its own Hub below it."""
        out = self.folder / f"out-{next(self.numbers)}"
        out.mkdir()
        return out

    def start(
        self, out: Path, fault: Fault | None = None, hub: StandIn | None = None, clock: int | None = None
    ) -> Child:
        """Start the sweep."""
        arguments = (
            "--table",
            f"{out}/table.parquet",
            "--records",
            f"{out}/records",
            "--disk-budget",
            str(self.budget),
        )
        before = OfTheHub((hub or self.hub).address, out / "cache/hub", clock)
        said = self.folder / f"said-{next(self.numbers)}"
        return Child(Request(("sweep", str(self.sweep), *arguments), out, self.folder, said, fault, before))

    @contextlib.contextmanager
    def failing(self, faults: Faults) -> Iterator[StandIn]:
        """Serve the same repositories with faults meanwhile, for one trial."""
        hub = StandIn(self.hub.repositories, faults)
        with hub.serving():
            yield hub

    def whole(self) -> tuple[dict[str, object], Ended, float]:
        """Return the end of an unbroken run: its files, how it ended, its seconds."""
        if self.unbroken is None:
            out, started = self.new(), time.perf_counter()
            ended = self.start(out).ended()
            assert ended.code == 0, ended.said
            self.unbroken = tree_of(out), ended, time.perf_counter() - started
        return self.unbroken

    def resumed(self, out: Path, seen: Tally, how: str) -> None:
        """Run a broken sweep again; count what was read in part, measured and lost, left behind or is different."""
        expected, before = self.whole()[0], measured_in(out, seen, how)
        again = self.start(out).ended()
        found = tree_of(out)
        if "Traceback" in again.said:
            seen.met("tracebacks", f"{how}, then rerun: {again.said.splitlines()[-1]}")
        if more := sorted(found.keys() - expected.keys()):
            seen.met("left_behind", f"{how}: {more[:3]}")
        changed = [name for name, value in expected.items() if found.get(name) != value]
        if changed or again.code:
            seen.met("different", f"{how}: exit {again.code}, {changed[:3]}, {again.said[-300:]}")
        after = measured_in(out, seen, f"{how}, then rerun")
        if lost := [name for name, row in before.items() if after.get(name) != row]:
            seen.met("lost", f"{how}: {lost[:3]}")
        shutil.rmtree(out)


def place_of(out: Path, ended: Ended) -> str:
    """Return the stage that a killed sweep was in, from the call that it met or from what it left."""
    call, _, path = ended.at.partition(" ")
    if call == "remove" and "/downloads/" in path:
        return "eviction"
    if (out / "table.parquet").exists():
        return "after compaction"
    if list(out.glob("*table.parquet*unfinished*")) or len(list(out.glob("records/*.json"))) == N_ROWS:
        return "compaction"
    if "/records/" in path or list(out.glob("records/*unfinished*")):
        return "records"
    weights = list(out.glob("cache/qid/downloads/*/*/*/hub/models--*/blobs/*"))
    if any(each.suffix == ".incomplete" for each in weights) or "/downloads/" in path:
        return "download"
    return "rounding and scoring" if weights else "asking the Hub"


def measured_in(out: Path, seen: Tally, how: str) -> dict[str, dict[str, object]]:
    """Return what a sweep has measured by id, times and all, from its records and its table; count what is partial."""
    found: dict[str, dict[str, object]] = {}
    try:
        if (out / "table.parquet").exists():
            found = {row["measurement_id"]: row for row in files.read_table(out / "table.parquet").to_pylist()}
        records = files.read_records(out / "records")
    except ResultsError as error:
        seen.met("partial", f"{how}: {error}")
        return found
    return found | {row.measurement_id: dataclasses.asdict(row) for row in records}
