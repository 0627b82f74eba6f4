"""Commands on tiny families, run in children forked from a process that has imported everything once."""

import dataclasses
import hashlib
import importlib.util
import itertools
import json
import multiprocessing
import os
import random
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.faults.child import ROOT, Fault, Request, perform
from tests.faults.released import LIST, OnTheStandIn, released
from tests.measure.foreign import passages, texts, write_texts
from tests.measure.sweep.test_run import MEASURED_EACH_TIME_ANEW, SCHEMES
from tests.measure.sweep.test_search_run import SWEEP
from tests.measure.tiny import write_family, write_sweep
from tests.measure.training.test_trainer import BRANCHED

from helpers.analyse.questions import register
from helpers.measure.text import corpus_lock, token_blocks
from helpers.table.families import outside
from helpers.table.records import CHECKSUM, digest

PATIENCE_SECONDS = 300
LOCK = threading.Lock()
GGUF = importlib.util.find_spec("gguf") is not None
OF_GGUF = ("gguf", "outside")  # works that need the package gguf
WORKS = (
    *("sweep", "measure", "report", "search", "mixed", "export", "pocket", "train", "foretell", "settle", "audit"),
    "compare-list",
    *(OF_GGUF if GGUF else ()),
)
REFUSED_AGAIN = ("export", "mixed")  # what is there isn't written once more
RETRIED = ("compare-list",)  # a download that the disk refuses is tried once more
MADE_AT = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.+Z]+")
SEARCH = "{sequences: 8, seq_len: 16, ratios: [0.5], trials: 2, granularity: [layer]}"
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.child", "tests.faults.readers", "tests.faults.hub"])


def count_of(name: str, usual: int) -> int:
    """Return how often something is tried: FAULTS_<NAME> in the environment, else what `make test` has time for."""
    return int(os.environ.get(f"FAULTS_{name.upper()}", usual))


def generator(what: str) -> random.Random:
    """Return the generator of one test's choices, a function of FAULTS_SEED."""
    return random.Random(f"{os.environ.get('FAULTS_SEED', 0)} {what}")


def each(trial: Callable[..., None], choices: Iterable[tuple[object, ...]]) -> None:
    """Make a trial of each of the choices, as many at once as there are cores: their children do the work."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(trial, *choice) for choice in choices]:
            done.result()


@dataclass
class Tally:
    """What was tried and what was seen, one row of benchmarks/results/faults.json."""

    fault: str
    where: str
    tried: int = 0
    fired: int = 0
    swallowed: int = 0  # a fault, and exit code 0
    tracebacks: int = 0
    left_behind: int = 0  # files that an unbroken run doesn't leave
    different: int = 0  # the end isn't that of an unbroken run
    other_values: int = 0  # a damaged file read as other values
    partial: int = 0  # a record or a table that can't be read, or isn't whole
    lost: int = 0  # what was measured before the fault is gone, or measured again, after the rerun
    places: dict[str, int] = field(default_factory=dict)  # where faults fell, for works that have stages
    examples: list[str] = field(default_factory=list)

    def faults(self) -> dict[str, int]:
        """Return the counts that should be 0, where they aren't."""
        names = ("swallowed", "tracebacks", "left_behind", "different", "other_values", "partial", "lost")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def met(self, name: str, example: str) -> None:
        """Count one fault, with how to see it again."""
        self.add(name)
        self.examples.append(f"{name}: {example}")

    def at(self, place: str) -> None:
        """Count where a fault fell, from any thread."""
        with LOCK:
            self.places[place] = self.places.get(place, 0) + 1

    def add(self, name: str, n: int = 1) -> None:
        """Count, from any thread."""
        with LOCK:
            setattr(self, name, getattr(self, name) + n)


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, its words, whether the fault was met, calls by kind."""

    code: int
    said: str
    fired: bool
    calls: dict[str, int]
    at: str = ""  # the call that met the fault, and its path


class Bench:
    """A folder with inputs of every kind of work, and the ends of unbroken runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.numbers = folder, itertools.count(1)
        self.corpus = folder / "corpus"
        self._write_corpus()
        self.family = write_family(folder / "family")
        self.long = self._with_positions(512)
        self.sweep = write_sweep(folder / "sweep.yml", self.family, SCHEMES)
        (folder / "search.yml").write_text(SWEEP.format(family=self.family, search=SEARCH))
        (folder / "plan.yml").write_text(BRANCHED.replace("[2, 4, 8, 16]", "[4, 8]"))
        self.scored = write_texts(folder / "scored.jsonl", passages(24))
        self.calibrating = write_texts(folder / "calibrating.jsonl", texts())
        if GGUF:
            self.gguf = write_gguf(folder / "tiny.Q4_0.gguf")
            self.wheel = write_wheel(folder, self.gguf)
        self.hub = released(folder)
        self.unbroken: dict[str, tuple[dict[str, object], Ended, float]] = {}

    def _write_corpus(self) -> None:
        """Write a short training text, as the fixture `text` of the measuring side does."""
        lock = corpus_lock.read_lock(ROOT / "data/corpus.lock")
        tokenizer = token_blocks.Tokenizer.from_file(str(ROOT / "data/tadpole/tokenizer.json"))
        self.corpus.mkdir()
        tokens = np.arange(20_000, dtype=np.uint16) % 97 + 100
        np.save(self.corpus / f"training-{digest([lock.training_sha256, tokenizer.to_str()])}.npy", tokens)

    def _with_positions(self, n_positions: int) -> Path:
        """Return a checkpoint that can be calibrated as an export does: rotary positions need no weights."""
        folder = self.folder / "long"
        shutil.copytree(self.family / "tiny/step-000002", folder)
        shutil.copyfile(self.family / "tokenizer.json", folder / "tokenizer.json")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": n_positions}))
        return folder

    def _given(self, work: str, out: Path) -> None:
        """Put into `out` what a kind of work changes or unpacks, if it isn't there yet."""
        if work == "settle" and not (out / "register.json").exists():
            entries = register.read_register(ROOT / "results/predictions.json")
            register.write_register(
                [dataclasses.replace(each, outcome="open") for each in entries], out / "register.json"
            )
        if work == "outside":
            (out / "outside/wheels").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.wheel, out / "outside/wheels" / self.wheel.name)

    def arguments(self, work: str, out: Path) -> tuple[str, ...]:
        """Return the `qid` command of a kind of work that writes below `out`, with all that it needs there."""
        self._given(work, out)
        short = ("--seq-len", "16", "--quick", "--text", str(self.scored), "--calibration", str(self.calibrating))
        report = ("--report", f"{out}/report")
        table = ("--table", f"{out}/table.parquet", "--records", f"{out}/records")
        trials = ("--trials", f"{out}/trials.parquet", "--trial-records", f"{out}/searches")
        steps = ("--run", "tiny", "--step", "1", "--step", "2")
        return {
            "sweep": ("sweep", str(self.sweep), *table),
            "measure": ("measure", str(ROOT / "data/tadpole/tadpole-64x3/step-007275"), "--bits", "2", "--seq-len", "16", "--text", "code", "--calibration", "code", *table),
            "report": ("measure", str(ROOT / "data/tadpole/tadpole-64x3/step-007275"), "--bits", "3", *short, *report, *table),
            "gguf": ("measure", f"{self.folder}/tiny.Q4_0.gguf", "--bits", "3", *short, *report, *table),
            "mixed": ("mixed", str(self.long), "--budget", "0.5", "--granularity", "layer", "--sequences", "4", "--text", "code", "--calibration", "code", "--out", f"{out}/recipe.json"),
            "settle": ("settle", "--register", f"{out}/register.json"),
            "outside": ("outside", f"{self.folder}/outside.yml", "--folder", f"{out}/outside"),
            "audit": ("audit", str(self.family), "--report", f"{out}/report", "--table", f"{out}/none.parquet", "--checkpoints", f"{out}/none.parquet"),
            "compare-list": ("compare-list", f"{self.folder}/{LIST}", "--out", f"{out}/compared", "--text", str(self.scored), "--seq-len", "16", "--quick", "--disk-budget", "1"),
            "search": ("search", f"{self.folder}/search.yml", *table, *trials),
            "export": ("export", str(self.long), "--out", f"{out}/packed", "--bits", "4", "--group-size", "32"),
            "pocket": ("pocket", str(self.family), *steps, "--out", f"{out}/pocket"),
            "foretell": ("foretell", f"{self.folder}/plan.yml", "--law", "steps", "--step", "8", "--bits", "3", "--register", f"{out}/register.json"),
            "train": ("train", f"{self.folder}/plan.yml", "--out", f"{out}/family", "--device", "cpu"),
        }[work]  # fmt: skip

    def new(self) -> Path:
        """Return a folder for one trial."""
        out = self.folder / f"out-{next(self.numbers)}"
        out.mkdir()
        return out

    def start(self, arguments: tuple[str, ...], out: Path, fault: Fault | None = None) -> "Child":
        """Start a command."""
        said = self.folder / f"said-{next(self.numbers)}"
        before = OnTheStandIn(self.hub.address, out / "cache/hub") if arguments[0] == "compare-list" else None
        return Child(Request(arguments, out, self.corpus, said, fault, before))

    def run(self, work: str, out: Path, fault: Fault | None = None) -> Ended:
        """Run a command to its end."""
        return self.start(self.arguments(work, out), out, fault).ended()

    def whole(self, work: str) -> tuple[dict[str, object], Ended, float]:
        """Return the end of an unbroken run: its files, how it ended, its seconds."""
        if work not in self.unbroken:
            out = self.new()
            started = time.perf_counter()
            ended = self.run(work, out)
            seconds = time.perf_counter() - started
            assert ended.code == 0, ended.said
            self.unbroken[work] = tree_of(out), ended, seconds
        return self.unbroken[work]

    def resumed(self, work: str, out: Path, tally: Tally, how: str) -> None:
        """Run a broken command again, compare its end with an unbroken one, and count what differs."""
        expected, again = self.whole(work)[0], self.run(work, out)
        found = tree_of(out)
        if "Traceback" in again.said:
            tally.met("tracebacks", f"{how}, then rerun: {again.said.splitlines()[-1]}")
        finished_before = work in REFUSED_AGAIN and "exists already" in again.said
        if more := sorted(found.keys() - expected.keys()):
            tally.met("left_behind", f"{how}: {more[:3]}")
        if any(found.get(name) != value for name, value in expected.items()) or (again.code and not finished_before):
            changed = [name for name, value in expected.items() if found.get(name) != value]
            tally.met("different", f"{how}: exit {again.code}, {changed[:3]}, {again.said[-300:]}")
        shutil.rmtree(out)


class Child:
    """A command at work in a process of its own."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.process = CONTEXT.Process(target=perform, args=(request,))
        self.process.start()

    def ended(self) -> Ended:
        """Wait for its end; a child that takes too long is killed and fails the test."""
        self.process.join(PATIENCE_SECONDS)
        late = self.process.is_alive()
        if late:
            self.process.kill()
            self.process.join()
        said = self.request.said
        assert not late, f"{self.request}: still at work after {PATIENCE_SECONDS} s"
        calls, fired = Path(f"{said}.calls"), Path(f"{said}.fired")
        return Ended(
            self.process.exitcode,
            said.read_text(encoding="utf-8") if said.exists() else "",
            fired.exists(),
            json.loads(calls.read_text()) if calls.exists() else {},
            fired.read_text().partition("\n")[0] if fired.exists() else "",
        )


def write_gguf(path: Path) -> Path:
    """Write a tiny Llama as a GGUF file, its head small enough for a loss below that of a blind guess."""
    from tests.measure.models.gguf import test_gguf_files as tiny

    model = tiny.llama()
    model.get_input_embeddings().weight.mul_(0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "llama", lambda width: model)
        return tiny.write(path, "Q4_0")


def write_wheel(folder: Path, file: Path) -> Path:
    """Write a wheel with a GGUF file in it, and `outside.yml`, which describes the model; return the wheel."""
    described = outside.read_outside(ROOT / "data/outside/smollm2-wheel.yml")
    with zipfile.ZipFile(folder / described.filename, "w") as archive:
        archive.write(file, described.file)
    sha256 = hashlib.sha256((folder / described.filename).read_bytes()).hexdigest()
    sizes = {
        "n_layers": 2,
        "d_model": 64,
        "vocabulary_size": 1024,
        "n_params_total": 127_296,
        "n_params_non_embedding": 61_760,
    }
    fields = dataclasses.asdict(dataclasses.replace(described, sha256=sha256, **sizes))
    (folder / "outside.yml").write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items()))
    return folder / described.filename


def in_child(function: Callable[..., None], *arguments: object) -> int:
    """Run a function in a child process; return its exit code."""
    process = CONTEXT.Process(target=function, args=arguments)
    process.start()
    process.join(PATIENCE_SECONDS * 4)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def tree_of(folder: Path) -> dict[str, object]:
    """Return every file below a folder by name: its bytes, or its rows without what differs between any two runs."""
    found = {str(path.relative_to(folder)): content_of(path) for path in folder.rglob("*") if path.is_file()}
    return {name: placeless(content, str(folder)) for name, content in found.items()}


def placeless(content: object, folder: str) -> object:
    """Return rows without the folder that a run wrote into."""
    if isinstance(content, list):
        return [placeless(each, folder) for each in content]
    if isinstance(content, dict):
        return {name: placeless(each, folder) for name, each in content.items()}
    return content.replace(folder, "") if isinstance(content, str) else content


def content_of(path: Path) -> object:
    """Return what two runs must agree in."""
    if path.suffix in (".html", ".md"):
        return MADE_AT.sub(b"", path.read_bytes())
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return table.drop_columns([name for name in MEASURED_EACH_TIME_ANEW if name in table.schema.names]).to_pylist()
    if path.parent.name == "records" and path.suffix == ".json":
        anew = {*MEASURED_EACH_TIME_ANEW, CHECKSUM}  # a record's checksum is one of its times, too
        return {k: v for k, v in json.loads(path.read_text()).items() if k not in anew}
    if path.name.startswith("audit-") and path.suffix == ".json":
        return {k: v for k, v in json.loads(path.read_text()).items() if k not in ("made_at", CHECKSUM)}
    return path.read_bytes()
