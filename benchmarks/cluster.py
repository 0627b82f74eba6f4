"""Times a sweep on one and on two GPUs: `python benchmarks/cluster.py gpus`.

`gpus`: random GPT-NeoX checkpoints of one shape, rounded by GPTQ and scored as in the study, on one and on two GPUs of
this machine by `--cluster local`, a worker each. A first sweep of lots of the same size lets every worker compile and
cut the text; its time stands beside. `gpus tiny` is the same on two CPU workers, for trying the command anywhere.
"""

import dataclasses
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import torch
from distributed import get_task_stream
from helpers.table.families.neox import neox_n_params_non_embedding
from rich.console import Console

from helpers.measure.cluster import run
from helpers.measure.cluster.clusters import Cluster, address_of, opened
from helpers.measure.sweep.declaration import Sweep, read_sweep
from helpers.measure.sweep.places import Places
from helpers.measure.text.documents import Documents
from helpers.measure.text.own_texts import OwnTexts
from helpers.measure.training.folder import write_manifest
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.files import read_table
from report import report
from works import neox, random_model

TOKENIZER = Path("data/tadpole/tokenizer.json")
MEASURED_EACH_TIME_ANEW = ["measured_at", "wall_seconds", "peak_memory_gib", "git_commit"]
SWEEP = """\
name: {name}
evaluation: {{sequences: {sequences}, dtype: {dtype}, seq_len: {seq_len}}}
calibration: {{sequences: {calibration}, seq_len: {seq_len}}}
parts:
  - family: {family}
    steps: {steps}
    schemes: [{{method: [gptq, rtn], bits: [2, 3, 4], group_size: 32, symmetric: false}}]
"""


@dataclasses.dataclass(frozen=True)
class Size:
    """The size of the work: a model's shape, how many checkpoints, text to score on, calibration, device and dtype."""

    n_layers: int
    d_model: int
    n_heads: int
    n_checkpoints: int
    sequences: int
    seq_len: int
    calibration: int
    device: str
    dtype: str


SIZES = {
    "14m": Size(8, 384, 12, 96, 512, 512, 128, "cuda", "tfloat32"),
    "tiny": Size(2, 32, 2, 4, 128, 16, 4, "cpu", "float32"),
}


def write_family(folder: Path, size: Size, n_checkpoints: int) -> None:
    """Write random checkpoints of one run in the layout of trained families."""
    config = neox(size.n_layers, size.d_model, size.n_heads, 4096)
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
    for step in range(1, n_checkpoints + 1):
        model = random_model(config, torch.bfloat16, size.device, step)
        place = folder / "run" / f"step-{step:06d}"
        model.save_pretrained(place)
        sha256 = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
        n_params = sum(each.numel() for each in model.parameters())
        (place / "checkpoint.json").write_text(json.dumps(described(size, step, n_params, sha256)))
    write_manifest(folder)


def described(size: Size, step: int, n_params: int, sha256: str) -> dict:
    """Return the fields that training writes beside a checkpoint."""
    spec = CheckpointSpec(
        family="random",
        model="random",
        run="run",
        location=f"run/step-{step:06d}",
        step=step,
        tokens_seen=step * 1000,
        tokens_planned=10**6,
        learning_rate=0.001,
        peak_learning_rate=0.001,
        lr_phase="stable",
        schedule="constant",
        n_layers=size.n_layers,
        d_model=size.d_model,
        vocabulary_size=4096,
        n_params_total=n_params,
        n_params_non_embedding=neox_n_params_non_embedding(size.n_layers, size.d_model),
        weights_sha256=sha256,
        unique_tokens=10**6,
        weight_decay=0.1,
    )
    return dataclasses.asdict(spec) | {"loss_nats": 8.3}


def documents(name: str, n_documents: int, n_characters: int, seed: int) -> Documents:
    """Return a text of random digits and spaces: what is timed doesn't depend on what it says."""
    draw = random.Random(seed)
    return Documents(name, tuple("".join(draw.choices("0123456789 ", k=n_characters)) for _ in range(n_documents)))


def sweep_of(folder: Path, size: Size, name: str, steps: list[int]) -> Sweep:
    """Return a sweep over some steps of the family, on random texts in place of the book's."""
    path = folder / f"{name}.yml"
    fields = {
        "dtype": size.dtype,
        "sequences": size.sequences,
        "seq_len": size.seq_len,
        "calibration": size.calibration,
    }
    path.write_text(SWEEP.format(name=name, family=folder / "family", steps=steps, **fields))
    sweep = read_sweep(path)
    length = 8 * size.seq_len  # characters: more than two windows of tokens
    own = OwnTexts((documents("heldout", 256, length, 1),), (documents("calibrating", 256, length, 2),))
    return dataclasses.replace(sweep, own_texts=own)


def device_of_worker(device: str) -> str:
    """Return what tells a worker's device from another's: a GPU's own name, or the process on a CPU."""
    return str(torch.cuda.get_device_properties(0).uuid) if device == "cuda" else str(os.getpid())


def timed(folder: Path, size: Size, n_workers: int, console: Console) -> dict:
    """Run the sweep on so many workers; return the seconds, and those of what comes before."""
    started = time.perf_counter()
    with opened(Cluster("local", n_workers), size.device, console) as client:
        cluster, opening = Cluster(address_of(client)), time.perf_counter() - started
        devices = client.run(device_of_worker, size.device)
        per_lot = max(1, size.n_checkpoints // (run.LOTS_PER_WORKER * n_workers))
        with mock.patch.object(run, "LOTS_PER_WORKER", 1):  # a lot of the same size for every worker
            warm_up, _ = swept(folder, size, cluster, "warm-up", per_lot * n_workers, console)
        with get_task_stream(client) as stream:
            seconds, n_rows = swept(folder, size, cluster, "timed", size.n_checkpoints, console)
    return {
        "workers": n_workers,
        "device": torch.cuda.get_device_name() if size.device == "cuda" else "cpu",
        "devices": len(set(devices.values())),
        "checkpoints": size.n_checkpoints,
        "rows": n_rows,
        "lots_by_worker": sorted(Counter(task["worker"] for task in stream.data).values()),
        "seconds_opening": opening,
        "seconds_warm_up": warm_up,
        "seconds": seconds,
    }


def swept(
    folder: Path, size: Size, cluster: Cluster, name: str, n_checkpoints: int, console: Console
) -> tuple[float, int]:
    """Run a sweep over the first checkpoints, from nothing; return its seconds and how many rows it measured."""
    sweep = sweep_of(folder, size, name, list(range(1, n_checkpoints + 1)))
    with tempfile.TemporaryDirectory(dir=folder) as records:
        places = Places(folder / f"{name}.parquet", Path(records))
        places.measurements.unlink(missing_ok=True)
        started = time.perf_counter()
        done = run.measure_on(cluster, sweep, size.device, places, console)
        seconds = time.perf_counter() - started
    if done.failures:
        sys.exit("\n".join(done.failures))
    return seconds, done.n_measured


def rows_of(path: Path) -> list[dict]:
    """Return a table's rows without what differs between any two runs."""
    return read_table(path).drop_columns(MEASURED_EACH_TIME_ANEW).to_pylist()


def gpus(name: str) -> None:
    """Time one worker and two, and say how many times faster two are and whether their tables are identical."""
    size, console = SIZES[name], Console(stderr=True, markup=False, soft_wrap=True)
    rows, tables = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_family(folder / "family", size, size.n_checkpoints)
        for n_workers in (1, 2):
            rows.append(timed(folder, size, n_workers, console))
            tables.append(rows_of(folder / "timed.parquet"))
    for row in rows:
        row["times_faster"] = rows[0]["seconds"] / row["seconds"]
        row["identical_rows"] = tables[0] == tables[1]
    report("cluster_gpus" if size.device == "cuda" else "cluster_tiny", rows)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["gpus"]:
            gpus("14m")
        case ["gpus", "tiny"]:
            gpus("tiny")
        case words:
            sys.exit(f"'{' '.join(words)}'; accepted: gpus, gpus tiny")
