"""A tiny Llama's original, and copies of it packed by this project, all in folders that are made once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tests.measure.packed_models import llama, rounded_by, scheme, written
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.packing import export


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared") / "original"
    written(llama(), folder)
    return folder


@pytest.fixture(scope="session")
def packed(original: Path) -> Path:
    """Return the original at 4 bits, packed."""
    out = original.with_name("packed")
    model = written(llama(), original.with_name("unused"))
    export.export(original, rounded_by(model, scheme(4)), scheme(4), out)
    return out


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies a folder with other tensors, settings or quantization settings."""

    def change(
        folder: Path,
        tensors: Callable[[dict[str, Tensor]], object] | None = None,
        settings: dict | None = None,
        quantization: dict | None = None,
    ) -> Path:
        out = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(folder, out)
        if tensors is not None:
            stored = load_file(out / "model.safetensors")
            tensors(stored)
            save_file(stored, out / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((out / "config.json").read_text()) | (settings or {})
        if quantization is not None:
            config["quantization_config"] = config.get("quantization_config", {}) | quantization
        (out / "config.json").write_text(json.dumps(config))
        return out

    return change


@pytest.fixture(scope="session")
def model(original: Path) -> PreTrainedModel:
    """Return the original as it was saved."""
    return written(llama(), original.with_name("also unused"))
