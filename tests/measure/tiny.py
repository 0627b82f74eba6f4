"""Tiny GPT-NeoX models and folders of them for the tests of the measuring side."""

import dataclasses
import hashlib
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.measure.training.folder import write_manifest
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families.shapes import neox

ROOT = Path(__file__).parents[2]
SHAPE = {"d_model": 32, "n_layers": 2}
VOCABULARY_SIZE = 1024


def tiny_model(
    seed: int, d_model: int = 32, n_layers: int = 2, vocabulary_size: int = VOCABULARY_SIZE, **settings
) -> GPTNeoXForCausalLM:
    """Return a random float32 model whose weights are large enough for its losses to differ."""
    config = GPTNeoXConfig(
        vocab_size=vocabulary_size,
        hidden_size=d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=2,
        intermediate_size=4 * d_model,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
        initializer_range=0.2,
        **settings,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GPTNeoXForCausalLM(config).eval().requires_grad_(False)


def describe(model: GPTNeoXForCausalLM, family: str, name: str, step: int, location: str, sha256: str) -> dict:
    """Return the fields training writes beside a checkpoint."""
    config = model.config
    spec = CheckpointSpec(
        family=family,
        model=name,
        run=name,
        location=location,
        step=step,
        tokens_seen=step * 1000,
        tokens_planned=10_000,
        learning_rate=0.001,
        peak_learning_rate=0.002,
        lr_phase="stable",
        schedule="constant",
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        vocabulary_size=config.vocab_size,
        n_params_total=sum(p.numel() for p in model.parameters()),
        n_params_non_embedding=neox.neox_n_params_non_embedding(config.num_hidden_layers, config.hidden_size),
        weights_sha256=sha256,
        unique_tokens=50_000,
        weight_decay=0.1,
    )
    return dataclasses.asdict(spec) | {"loss_nats": 7.0}


def write_family(folder: Path, steps: tuple[int, ...] = (1, 2)) -> Path:
    """Write a family of one model with a checkpoint at each of `steps`; return its folder."""
    folder.mkdir(parents=True)
    shutil.copyfile(ROOT / "data/tadpole/tokenizer.json", folder / "tokenizer.json")
    for step in steps:
        write_checkpoint(folder, "tiny", step, seed=step)
    write_manifest(folder)
    return folder


def write_checkpoint(folder: Path, run: str, step: int, seed: int, **described) -> None:
    """Write one random checkpoint of a family, without the manifest; `described` are fields that differ."""
    model = tiny_model(seed=seed, **SHAPE).to(torch.bfloat16)
    place = folder / run / f"step-{step:06d}"
    model.save_pretrained(place)
    sha256 = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
    entry = describe(model, "tiny", "tiny", step, f"{run}/{place.name}", sha256) | {"run": run} | described
    (place / "checkpoint.json").write_text(json.dumps(entry))


def write_sweep(
    path: Path, family: str | Path, schemes: str, evaluation: str = "{sequences: 128, seq_len: 16}"
) -> Path:
    """Write a sweep over every checkpoint of a family; `schemes` is a YAML list in flow style."""
    path.write_text(
        f"name: tiny\nevaluation: {evaluation}\ncalibration: {{sequences: 4, seq_len: 32}}\n"
        f"parts:\n  - family: {family}\n    schemes: {schemes}\n"
    )
    return path


def out_of_memory_at(number: int, real: Callable) -> Callable:
    """Return `real`, except that its call of that number (from 1) finds a GPU's memory full."""
    calls = itertools.count(1)

    def maybe(*arguments):
        if next(calls) == number:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand more")
        return real(*arguments)

    return maybe
