"""A tiny model of a person's own and what is wanted of it, on small texts of its own."""

from pathlib import Path

import pytest
from tests.measure.foreign import passages, texts, write_model, write_texts

from helpers.measure.sweep.one_model import Wanted
from helpers.measure.text.extent import Amounts

SMALL = Amounts(sequences=20, calibration=8)
SEQ_LEN = 32


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "llama", "llama")


@pytest.fixture
def wanted(tmp_path):
    """Return a function that says what is wanted of a model, on small texts of its own."""
    scored = write_texts(tmp_path / "scored.jsonl", passages(24))
    calibrating = write_texts(tmp_path / "calibrating.jsonl", texts())

    def of(model: Path, **other) -> Wanted:
        said = {"bits": (2, 4), "texts": (str(scored),), "calibration": (str(calibrating),)}
        return Wanted(str(model), seq_len=SEQ_LEN, amounts=SMALL, **(said | other))

    return of
