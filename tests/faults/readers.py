"""Readers of every file that a person or a disk may damage, tried in a child: a value, or one line."""

import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from tests.faults.child import ROOT
from tests.faults.harness import GGUF, Bench, Tally
from tests.measure.mixed.test_recipes import RECIPE
from tests.measure.packed_models import llama, rounded_by, scheme, written
from tests.table.test_readers import CHANGES, message_of, mutated

from helpers.analyse.fits import own_rows, stored
from helpers.analyse.questions import register
from helpers.measure.auditing import earlier, page
from helpers.measure.auditing.audit import Audit
from helpers.measure.comparing import loading, pairs
from helpers.measure.comparing import stored as stored_files
from helpers.measure.mixed import recipes
from helpers.measure.models import checkpoints
from helpers.measure.models.gguf import gguf_files
from helpers.measure.models.hub.revisions import HubFile, Revision
from helpers.measure.packing import export
from helpers.measure.sweep import declaration
from helpers.measure.text import corpus_lock, documents
from helpers.measure.training import plan
from helpers.measure.training.folder import write_manifest
from helpers.table import files
from helpers.table.checkpoint_rows import CheckpointRow
from helpers.table.families import catalogue, outside
from helpers.table.records import summed

SECONDS_PER_READ = 20
TABLE = ROOT / "results/measurements.parquet"
CSV = "n_params_non_embedding,tokens_seen,bits,qid_nats,qid_se,run\n" + "".join(
    f"{n},{d},{bits},{0.01 * bits + n / d:.6f},0.001,run-{n}\n"
    for n in (10_000, 20_000, 40_000)
    for d in (10**6, 10**7, 10**8)
    for bits in (2, 3, 4)
)


@dataclass(frozen=True)
class Reader:
    """A file, and a function that reads it as the commands do; its result is compared with `==`."""

    path: Path
    read: Callable[[Path], object]


def _fits(path: Path) -> bytes:
    """Return the fits of a file as they would be written again: frames have no `==`."""
    again = path.with_suffix(".again")
    stored.write_fits(again, stored.read_fits(path, TABLE))
    return again.read_bytes()


def _own_rows(path: Path) -> str:
    return repr(own_rows.read_own_rows(path))


def _manifest(path: Path) -> object:
    return catalogue.read_manifest(path.parent), catalogue.read_losses(path.parent)


def _described(path: Path) -> object:
    """Return what a family's manifest says of a checkpoint, made of the description beside the weights."""
    family = path.parents[2]
    write_manifest(family)
    return catalogue.read_manifest(family), catalogue.read_losses(family)


def _unpacked(path: Path) -> dict[str, bytes]:
    """Return the files that a GGUF file becomes."""
    out = path.with_suffix(".out")
    shutil.rmtree(out, ignore_errors=True)
    gguf_files.write_checkpoint_of(path, out)
    return {each.name: each.read_bytes() for each in out.iterdir()}


def _quantized(path: Path) -> object:
    """Return what a packed checkpoint's configuration says, as `qid compare` reads it."""
    folder = path.parent
    return loading.method_of(folder), checkpoints.config_of(folder, stored_files.REFUSED).to_dict()


def _packed(path: Path) -> dict[str, bytes]:
    """Return the weights of a packed checkpoint as `qid compare` decodes them."""
    found = loading.load(path.parent, ORIGINAL, "cpu")
    return {name: each.numpy().tobytes() for name, each in found.model.state_dict().items()}


ORIGINAL = llama()
AUDITED = Revision("a/b", "step1", "c" * 40, (HubFile("model.safetensors", 9, "1" * 40, "2" * 64),))
BINARY = ("text table", "packed weights", "gguf")  # mutated byte by byte
COUNTS = [0, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1]  # what a damaged header may say there is
PATCHES = st.lists(
    st.tuples(
        st.floats(0, 0.3) | st.floats(0, 1),
        st.binary(min_size=1, max_size=4) | st.sampled_from(COUNTS).map(lambda n: n.to_bytes(8, "little")),
    ),
    min_size=1,
    max_size=4,
)

READ: dict[str, tuple[str, Callable[[Path], object]]] = {
    "record": ("record.json", lambda path: files.read_records(path.parent)),
    "manifest": ("manifest.json", _manifest),
    "fits": ("fits.json", _fits),
    "table": ("table.parquet", lambda path: files.read_table(path).to_pylist()),
    "checkpoints": ("checkpoints.parquet", lambda path: files.read_checkpoints(path).to_pylist()),
    "trials": ("trials.parquet", lambda path: files.read_trials(path).to_pylist()),
    "description": ("run/step-000001/checkpoint.json", _described),
    "sweep": ("sweep.yml", declaration.read_sweep),
    "search": ("search.yml", declaration.read_sweep),
    "plan": ("plan.yml", plan.read_plan),
    "corpus lock": ("corpus.lock", corpus_lock.read_lock),
    "config": ("config.json", lambda path: checkpoints.config_of(path.parent).to_dict()),
    "tokenizer": ("tokenizer.json", lambda path: checkpoints.tokenizer_of(path.parent).to_str()),
    "recipe": ("recipe.json", recipes.read),
    "own rows": ("mine.csv", _own_rows),
    "register": ("predictions.json", register.read_register),
    "outside": ("outside.yml", outside.read_outside),
    "audit": ("audit.json", earlier.read),
    "pairs": ("pairs.yml", pairs.read_pairs),
    "note": (gguf_files.NOTE, lambda path: gguf_files.rounded_before(path.parent)),
    "text": ("mine.jsonl", documents.read_documents),
    "text table": ("mine.parquet", documents.read_documents),
    "packed config": ("config.json", _quantized),
    "packed weights": ("model.safetensors", _packed),
    **({"gguf": ("mine.gguf", _unpacked)} if GGUF else {}),
}


def write_sound_files(folder: Path, bench: Bench) -> None:
    """Write a sound file for each reader into `folder/<name>/`."""
    out = bench.new()
    assert bench.run("search", out).code == bench.run("train", out).code == 0
    trained = out / "family"
    some = files.read_checkpoints(ROOT / "results/checkpoints.parquet")[:20].to_pylist()
    files.write_table(out / "checkpoints.parquet", some, CheckpointRow)
    sources = {
        "record": max((out / "records").glob("*.json"), key=lambda path: path.stat().st_size),
        "manifest": trained / "manifest.json",
        "description": next(trained.glob("*/step-*/checkpoint.json")),
        "fits": ROOT / "results/fits.json",
        "table": out / "table.parquet",
        "checkpoints": out / "checkpoints.parquet",
        "trials": out / "trials.parquet",
        "sweep": bench.sweep,
        "search": bench.folder / "search.yml",
        "plan": bench.folder / "plan.yml",
        "corpus lock": ROOT / "data/corpus.lock",
        "config": bench.long / "config.json",
        "tokenizer": ROOT / "data/tadpole/tokenizer.json",
        "register": ROOT / "results/predictions.json",
        "outside": ROOT / "data/outside/smollm2-wheel.yml",
        "pairs": ROOT / "data/comparisons/ouyang-release.yml",
        "text": bench.scored,
    }
    model = written(llama(), out / "original")
    export.export(out / "original", rounded_by(model, scheme(4)), scheme(4), out / "packed")
    for name in ("packed config", "packed weights"):
        shutil.copytree(out / "packed", folder / name)
    if GGUF:
        sources["gguf"] = bench.gguf
    for name, (file, _) in READ.items():
        (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
        if name in sources:
            shutil.copyfile(sources[name], folder / name / file)
    recipes.write(RECIPE, folder / "recipe/recipe.json")
    (folder / "own rows/mine.csv").write_text(CSV)
    told = page.as_json(Audit("family", "2026-11-30T00:00:00+00:00", 1, 1, 0, (AUDITED,), ()))
    (folder / "audit/audit.json").write_text(json.dumps(summed(told), indent=1))
    note = gguf_files.RoundedBefore({"Q4_0": 1000, "F32": 10}, 4.6, 4.5)
    (folder / "note" / gguf_files.NOTE).write_text(json.dumps(summed(asdict(note)), indent=1))
    pq.write_table(
        pa.table({"text": [json.loads(line)["text"] for line in bench.scored.read_text().splitlines()]}),
        folder / "text table/mine.parquet",
    )


def reader_of(folder: Path, name: str) -> Reader:
    """Return the reader of that name, whose file lies below `folder`."""
    file, read = READ[name]
    return Reader(folder / name / file, read)


def _try(reader: Reader, content: bytes, sound: object, seen: Tally, how: str) -> None:
    """Read a damaged file and count how that ends."""
    reader.path.write_bytes(content)
    values: list[object] = []
    seen.tried += 1
    signal.alarm(SECONDS_PER_READ)
    try:
        said = message_of(lambda: values.append(reader.read(reader.path)))
    except Exception as error:
        seen.met("tracebacks", f"{how}: {type(error).__name__}: {str(error)[:200]}")
    else:
        seen.fired += bool(said)
        if values and values[0] != sound:
            seen.met("other_values", how)
    finally:
        signal.alarm(0)


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS_PER_READ} s")


def flip(folder: Path, name: str, n_flips: int, seed: str, result: Path) -> None:
    """Flip one bit of a file, again and again; write the tally."""
    os.chdir(ROOT)
    signal.signal(signal.SIGALRM, _too_slow)
    reader, choose, seen = reader_of(folder, name), random.Random(seed), Tally("a flipped bit", name)
    whole, sound = reader.path.read_bytes(), reader.read(reader.path)
    for _ in range(n_flips):
        at, bit = choose.randrange(len(whole)), choose.randrange(8)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        _try(reader, bytes(damaged), sound, seen, f"bit {bit} of byte {at}")
    write(seen, result)


def fuzz(folder: Path, name: str, n_mutations: int, seed: str, result: Path) -> None:
    """Mutate a file's text as the readers' own tests do, and its bytes; write the tally."""
    os.chdir(ROOT)
    signal.signal(signal.SIGALRM, _too_slow)
    reader, seen = reader_of(folder, name), Tally("mutations", name)
    if name in BINARY:
        write(replace(_patched(reader, n_mutations, seed, seen), other_values=0), result)
        return
    whole, sound = reader.path.read_text(encoding="utf-8"), reader.read(reader.path)
    raw = st.none() | st.tuples(st.floats(0, 1), st.binary(max_size=3))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=n_mutations, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(changes=CHANGES, raw=raw)
    def tried(changes: list[tuple[float, int, str]], raw: tuple[float, bytes] | None) -> None:
        content = mutated(whole, changes)
        if raw is not None:
            at = round(raw[0] * len(content))
            content = content[:at] + raw[1] + content[at:]
        _try(reader, content, sound, seen, f"{changes!r}, {raw!r}"[:500])

    tried()
    # a person's other text is another value, not a fault
    write(replace(seen, other_values=0, examples=[one for one in seen.examples if "other_values" not in one]), result)


def _patched(reader: Reader, n_mutations: int, seed: str, seen: Tally) -> Tally:
    """Write other bytes over a binary file's, or cut it, again and again; return the tally."""
    whole, sound = reader.path.read_bytes(), reader.read(reader.path)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=n_mutations, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(patches=PATCHES, kept=st.none() | st.none() | st.floats(0, 1))
    def tried(patches: list[tuple[float, bytes]], kept: float | None) -> None:
        content = bytearray(whole)
        for share, new in patches:
            at = round(share * (len(whole) - len(new)))
            content[at : at + len(new)] = new
        if kept is not None:
            del content[round(kept * len(content)) :]
        _try(reader, bytes(content), sound, seen, f"{patches!r}, {kept!r}"[:500])

    tried()
    return replace(seen, examples=[each for each in seen.examples if "other_values" not in each])


def write(seen: Tally, result: Path) -> None:
    """Write a tally for the parent, its examples by kind cut to what a person reads."""
    kept = [
        *[e for e in seen.examples if e.startswith("traceback")][:20],
        *[e for e in seen.examples if "other_" in e][:3],
    ]
    result.write_text(json.dumps(vars(seen) | {"examples": kept}))
