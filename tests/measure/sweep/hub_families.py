"""Families of the catalogue made small, and a stand-in of the Hub that has their revisions with random weights.

A small family is the real one, with its repositories, its revisions, its steps and its tokens; its runs are as small
as a test can measure.
"""

import dataclasses
import json
import re
from pathlib import Path

import torch
from safetensors.torch import save
from tests.hub.small import small_family
from tests.hub.stand_in import StandIn
from tests.measure.hf_olmo import fused
from tests.measure.sweep.test_run import MEASURED_EACH_TIME_ANEW, QUIET, places_in
from tests.measure.tiny import ROOT, tiny_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from helpers.measure.sweep import run as sweep
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.jobs import plan
from helpers.table import files
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families import catalogue
from helpers.table.families.shapes.llama import LlamaRun

TOKENIZER = (ROOT / "data/tadpole/tokenizer.json").read_bytes()
# columns that say where weights were read from, not what they are; a manifest knows every seed
PLACE = ("repo_id", "revision", "commit", "train_seed")


def made_small(monkeypatch, name: str) -> None:
    """Let a family of the catalogue have small runs."""
    monkeypatch.setitem(catalogue.HUB_FAMILIES, name, small_family(name))


def small_model(spec: CheckpointSpec, seed: int) -> PreTrainedModel:
    """Return a random model of a small run's shape."""
    run = next(run for run in catalogue.HUB_FAMILIES[spec.family].runs if run.model == spec.model)
    if not isinstance(run, LlamaRun):
        return tiny_model(seed, d_model=spec.d_model, n_layers=spec.n_layers)
    config = LlamaConfig(
        vocab_size=run.vocabulary_size,
        hidden_size=run.d_model,
        intermediate_size=run.d_mlp,
        num_hidden_layers=run.n_layers,
        num_attention_heads=run.n_heads,
        num_key_value_heads=run.n_key_value_heads,
        max_position_embeddings=512,
        tie_word_embeddings=run.tied,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def files_of(spec: CheckpointSpec, seed: int) -> dict[str, bytes]:
    """Return the files of a random checkpoint of a small run, as its revision has them."""
    model = small_model(spec, seed).to(torch.float16)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    config = json.dumps(model.config.to_dict(), default=str).encode()
    files = {"config.json": config, "tokenizer.json": TOKENIZER, "model.safetensors": save(weights, {"format": "pt"})}
    return fused(files) if spec.family == "datadecide" else files


def published(hub: StandIn, specs: list[CheckpointSpec]) -> dict[CheckpointSpec, dict[str, bytes]]:
    """Put random weights of small checkpoints on the stand-in, one seed a checkpoint; return their files."""
    files = {spec: files_of(spec, seed) for seed, spec in enumerate(specs)}
    for spec, content in files.items():
        hub.repository(spec.location).commit(content, spec.revision)
    return files


def small_sweep(path: Path) -> Path:
    """Write the project's own sweep of Pythia with few tokens of the book's texts, two sizes and two steps."""
    text = (ROOT / "sweeps/pythia.yml").read_text()
    for line, smaller in (
        (r"evaluation: \{.*", "evaluation: {sequences: 128, seq_len: 16}"),
        (r"calibration: \{.*", "calibration: {sequences: 4, seq_len: 32}"),
        (r" {6}- pythia-(1b|1\.4b|2\.8b|6\.9b|12b)-deduped\n", ""),
        (r"steps: \[512, 1000, .*\]", "steps: [512, 1000]"),
        (r"bits: \[2, 3, 4\]", "bits: [3]"),
    ):
        text, n_found = re.subn(line, smaller, text)
        assert n_found, line
    path.write_text(text)
    return path


def run(declared: Path, place: Path, **more) -> sweep.Report:
    return sweep.run_sweep(declared, "cpu", places_in(place), QUIET, **more)


def rows(place: Path, *left_out: str) -> dict[str, dict]:
    """Return rows by id, without what differs between any two runs and what is left out."""
    table = files.read_table(place / "table.parquet").drop_columns([*MEASURED_EACH_TIME_ANEW, *left_out])
    return {row["measurement_id"]: row for row in table.to_pylist()}


def specs_of(declared: Path) -> list[CheckpointSpec]:
    return [job.checkpoint for job in plan(read_sweep(declared))]


def rows_of_folders(declared: Path, published: dict, place: Path) -> dict[str, dict]:
    """Return what a sweep of the same weights in folders with a manifest measures, without `PLACE`; once each."""
    text = declared.read_text()
    if text not in _SWEPT:
        family = place / next(iter(published)).family
        entries = []
        for spec, content in published.items():
            location = f"{spec.run}/step-{spec.step:06d}"
            (family / location).mkdir(parents=True)
            for name, body in content.items():
                (family / location / name).write_bytes(body)
            entries.append(dataclasses.asdict(spec) | {"location": location, "revision": None, "train_seed": 0})
        (family / "manifest.json").write_text(json.dumps({"checkpoints": entries}))
        (place / "sweep.yml").write_text(text.replace(f"family: {family.name}", f"family: {family}"))
        assert run(place / "sweep.yml", place).failures == ()
        _SWEPT[text] = rows(place, *PLACE)
    return _SWEPT[text]


_SWEPT: dict[str, dict[str, dict]] = {}
