"""Files that GPTQModel and llm-compressor write are compared with their original: the loss that their own readers have."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tests.measure.packed_models import llama, written
from tests.peers.test_peers import PEERS_PYTHON

from helpers.measure.comparing.compare import Wanted, compare
from helpers.measure.models import checkpoints
from helpers.measure.rounding import one_checkpoint
from helpers.measure.text.documents import read_documents
from helpers.measure.text.extent import QUICK, Amounts
from helpers.measure.text.own_texts import windows_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# GPTQModel's reference kernel in float32 does the same operations: see test_peers.
SAME_LOSS = 1e-5
N_WINDOWS, SEQ_LEN = 40, 16

pytestmark = pytest.mark.peers


def peer(place: Path, *command: str) -> str:
    """Run the peers' Python in a folder; return what it prints."""
    environment = os.environ | {
        "TORCHDYNAMO_DISABLE": "1",
        "GPTQMODEL_CPU_WORKERS": "2",
        "PYTHONPATH": str(ROOT / "src"),
    }
    done = subprocess.run(
        [str(PEERS_PYTHON), *command], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an original, calibration tokens and a text."""
    assert PEERS_PYTHON.exists(), "`make peers` creates .venv-peers"
    place = tmp_path_factory.mktemp("others")
    written(llama(), place / "original")
    tokens = torch.randint(1024, (8, 64), generator=torch.Generator().manual_seed(1))
    save_file({"tokens": tokens}, place / "tokens.safetensors")
    words = np.random.default_rng(0).choice(["one", "two_", "\n", "(3)", "four "], (20, 80))
    (place / "text.jsonl").write_text("\n".join(json.dumps({"text": " ".join(row)}) for row in words))
    return place


def wanted(place: Path, *others: Path) -> Wanted:
    return Wanted(
        str(place / "original"), tuple(map(str, others)), (str(place / "text.jsonl"),), Amounts(N_WINDOWS, 0), SEQ_LEN
    )


@pytest.mark.parametrize("program", ["gptqmodel", "gptqmodel-asymmetric"])
def test_gptqmodels_file_has_the_loss_that_gptqmodel_finds(place, program):
    out = place / program
    peer(place, str(HERE / "writer_child.py"), program, "original", program)
    found = compare(wanted(place, out), "cpu", Console(quiet=True))
    assert not found.failures
    tokenizer = checkpoints.tokenizer_of(out)
    windows = windows_of(read_documents(place / "text.jsonl"), tokenizer, N_WINDOWS, SEQ_LEN)
    exchange = place / f"{program}-exchange"
    exchange.mkdir()
    save_file({"tokens": torch.tensor(windows.rows)}, exchange / "tokens.safetensors")
    (exchange / "request.json").write_text(json.dumps([str(out)]))
    peer(exchange, str(HERE / "gptqmodel_child.py"), str(exchange))
    theirs = load_file(exchange / "losses.safetensors")["0"].mean().item()
    (line,) = found.lines
    assert abs(line.loss_nats - theirs) < SAME_LOSS
    assert line.qid_nats != 0
    assert 4 < line.bits_per_weight < 6


def decoded(stored: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
    """Return a packed layer's float32 weights by hand: eight codes a word, lowest first, 8 is zero; scales by group."""
    words = stored[f"{layer}.weight_packed"].long() & 0xFFFFFFFF
    codes = torch.stack([words >> shift & 15 for shift in range(0, 32, 4)], -1).flatten(1) - 8
    scales = stored[f"{layer}.weight_scale"].float().repeat_interleave(codes.shape[1] // scale_groups(stored, layer), 1)
    return codes * scales


def scale_groups(stored: dict[str, torch.Tensor], layer: str) -> int:
    return stored[f"{layer}.weight_scale"].shape[1]


def test_a_file_of_compressed_tensors_has_the_loss_of_its_codes_and_scales(place):
    """The package is in the peers' environment, so the command runs there."""
    peer(place, str(HERE / "writer_child.py"), "compressed-tensors", "original", "compressed")
    shutil.copy(place / "original/tokenizer.json", place / "compressed")
    asked = ["compare", str(place / "original"), str(place / "compressed"), "--text", str(place / "text.jsonl")]
    said = peer(ROOT, "-m", "helpers.cli", *asked, "--seq-len", str(SEQ_LEN), "--quick", "--json")
    (line,) = json.loads(said)["lines"]
    stored = load_file(place / "compressed/model.safetensors")
    model, _ = one_checkpoint.load_folder(place / "original", "cpu")
    layers = [name.removesuffix(".weight_packed") for name in stored if name.endswith(".weight_packed")]
    weights = {f"{layer}.weight": decoded(stored, layer) for layer in layers}
    assert len(weights) == 14
    tokenizer = checkpoints.tokenizer_of(place / "compressed")
    tokens = torch.tensor(windows_of(read_documents(place / "text.jsonl"), tokenizer, QUICK.sequences, SEQ_LEN).rows)
    logits = torch.func.functional_call(model.model, weights, (tokens[:, :-1],), {"use_cache": False}).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item()
    assert abs(line["loss_nats"] - loss) < SAME_LOSS
    assert 4.5 <= line["bits_per_weight"] < 5
