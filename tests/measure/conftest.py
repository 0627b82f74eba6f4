"""A family of two tiny random models, laid out as training lays out a real one, and a short training text."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.hub.stand_in import StandIn, take_for_the_hub
from tests.measure.sweep import hub_families
from tests.measure.tiny import ROOT, SHAPE, tiny_model, write_family
from transformers import GPTNeoXForCausalLM

from helpers.measure.text import corpus_lock, token_blocks
from helpers.table.records import digest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums are taken in one order, whatever the machine."""
    torch.set_num_threads(1)


@pytest.fixture
def model() -> GPTNeoXForCausalLM:
    return tiny_model(seed=0, **SHAPE)


@pytest.fixture
def family(tmp_path: Path) -> Path:
    return write_family(tmp_path / "family")


@pytest.fixture
def text(tmp_path, monkeypatch) -> Path:
    """A cache with a short training text, so that no wheel is read."""
    monkeypatch.chdir(ROOT)
    lock = corpus_lock.read_lock()
    tokenizer = token_blocks.Tokenizer.from_file("data/tadpole/tokenizer.json")
    cache = tmp_path / "corpus"
    cache.mkdir()
    tokens = np.arange(20_000, dtype=np.uint16) % 97 + 100
    np.save(cache / f"training-{digest([lock.training_sha256, tokenizer.to_str()])}.npy", tokens)
    monkeypatch.setattr("helpers.measure.training.corpus.training_tokens.__defaults__", (cache,))
    return cache


@pytest.fixture
def pythia_sweep(tmp_path, monkeypatch) -> Path:
    """The project's own sweep of Pythia made small, and the catalogue's family as small."""
    monkeypatch.chdir(ROOT)
    hub_families.made_small(monkeypatch, "pythia-deduped")
    return hub_families.small_sweep(tmp_path / "pythia.yml")


@pytest.fixture
def family_hub(tmp_path, monkeypatch) -> Iterator[StandIn]:
    """An empty stand-in of the Hub that this process takes for the Hub."""
    stand_in = StandIn()
    with stand_in.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache/hub")
        yield stand_in
