"""Files that GPTQModel and llm-compressor write, and AWQ's, are compared: the loss that their own readers have."""

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
from tests.measure.packed_models import HALF_SCALES, llama, rounded_by, scheme, written
from tests.peers.test_peers import PEERS_PYTHON

from helpers.measure.comparing.compare import Wanted, compare
from helpers.measure.models import checkpoints
from helpers.measure.packing import export
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
    original = place / "original"
    local = checkpoints.LocalCheckpoint(original, checkpoints.weights_sha256(original), None)
    model = checkpoints.load(local, "cpu")
    layers = [name.removesuffix(".weight_packed") for name in stored if name.endswith(".weight_packed")]
    weights = {f"{layer}.weight": decoded(stored, layer) for layer in layers}
    assert len(weights) == 14
    tokenizer = checkpoints.tokenizer_of(place / "compressed")
    tokens = torch.tensor(windows_of(read_documents(place / "text.jsonl"), tokenizer, QUICK.sequences, SEQ_LEN).rows)
    logits = torch.func.functional_call(model, weights, (tokens[:, :-1],), {"use_cache": False}).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item()
    assert abs(line["loss_nats"] - loss) < SAME_LOSS
    assert 4.5 <= line["bits_per_weight"] < 5


ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # of eight codes in a word of AWQ's layout called gemm


def in_words(values: torch.Tensor) -> torch.Tensor:
    """Return (n, m) codes of 4 bits as AWQ packs them, int32 (n, m / 8)."""
    eights = values.long().unflatten(1, (-1, 8))
    words = sum(eights[..., place] << 4 * i for i, place in enumerate(ORDER))
    return ((words ^ 0x80000000) - 0x80000000).to(torch.int32).contiguous()


def test_a_file_in_awqs_layout_has_the_loss_of_the_same_codes_packed_here(place):
    """GPTQModel writes AWQ's files on a GPU only; its kernel for them computes in 16 bits."""
    model = written(llama(), place / "again")
    rounded = rounded_by(model, scheme(4))
    export.export(place / "original", rounded, scheme(4), place / "gptq")
    tensors = load_file(place / "original/model.safetensors")
    for name, weight in rounded.weights.items():
        layer = name.removesuffix(".weight")
        del tensors[name]
        tensors |= {
            f"{layer}.qweight": in_words(weight.codes.T),
            f"{layer}.qzeros": in_words(weight.zero.T),
            f"{layer}.scales": weight.scale.half().T.contiguous(),
        }
    shutil.copytree(place / "original", place / "awq")
    save_file(tensors, place / "awq/model.safetensors", metadata={"format": "pt"})
    config = json.loads((place / "awq/config.json").read_text())
    said = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}
    (place / "awq/config.json").write_text(json.dumps(config | {"quantization_config": said}))
    folders = [str(place / name) for name in ("original", "awq", "gptq")]
    options = ["--text", str(place / "text.jsonl"), "--seq-len", str(SEQ_LEN), "--json"]
    awq, gptq = json.loads(peer(ROOT, "-m", "helpers.cli", "compare", *folders, *options))["lines"]
    assert abs(awq["loss_nats"] - gptq["loss_nats"]) < HALF_SCALES
    assert awq["bits_per_weight"] == pytest.approx(4 + 20 / 32)
