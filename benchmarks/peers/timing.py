"""What the timed children share: a program's stages, from stored weights to a loss, each timed.

The folder EXCHANGE, their only argument, holds `request.json` (folder, warm_up, device, asked_at, tuned, schemes,
group_size, rel_damp, threads) and `text.safetensors` (calibration (n, L), evaluation (n, L + 1)). `answer.json` there
gets the versions, the settings and, as soon as it is there, a row for each scheme or the reason why there is none.
"""

import gc
import json
import resource
import sys
import tempfile
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

TOKENS_AT_ONCE = {"cuda": 2**14, "cpu": 2**12}  # of a plain forward pass when scoring; more are no faster
TUNED_TOKENS_AT_ONCE = {"cuda": 2**15, "cpu": 2**12}  # of calibration text: 64 sequences of 512, 16 of 2048
ENOUGH_SECONDS = 45  # of one program on one work, after which no further scheme is begun


class Program(ABC):
    """A program that quantizes: the stages that its user goes through for one checkpoint and scheme."""

    package = ""

    def __init__(self, request: dict[str, Any]) -> None:
        self.device, self.tuned = request["device"], request["tuned"]
        self.group_size, self.rel_damp = request["group_size"], request["rel_damp"]

    @abstractmethod
    def settings(self, bits: int, tokens: Tensor) -> dict[str, Any]:
        """Return all that the program is told, for people and for itself."""

    @abstractmethod
    def load(self, folder: str, bits: int, tokens: Tensor) -> Any:
        """Return the stored checkpoint, ready to be quantized."""

    @abstractmethod
    def quantize(self, model: Any, bits: int, tokens: Tensor) -> Any:
        """Return the quantized model."""

    @abstractmethod
    def save(self, model: Any, place: str) -> None:
        """Write the quantized model."""

    @abstractmethod
    def reload(self, place: str) -> nn.Module:
        """Return the written model, ready for a forward pass on the device."""


def at_once(program: Program, tokens: Tensor) -> int:
    """Return how many sequences of calibration text go through a model together: one where nobody says so."""
    most = TUNED_TOKENS_AT_ONCE[program.device] if program.tuned else tokens.shape[1]
    return min(len(tokens), max(1, most // tokens.shape[1]))


def serve(kind: type[Program]) -> None:
    """Answer the request: a warm-up on a small model, then every scheme once, or as many as begin in time."""
    exchange = Path(sys.argv[1])
    request = json.loads((exchange / "request.json").read_text())
    seconds_start = time.time() - request["asked_at"]
    text = load_file(exchange / "text.safetensors")
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    torch.backends.cuda.matmul.allow_tf32 = request["tuned"]
    names = ("torch", "transformers", kind.package)
    rows: list[dict[str, Any]] = []
    answer = {"versions": {name: version(name) for name in names}, "seconds_start": seconds_start, "rows": rows}
    program = kind(request)
    tried = program.settings(request["schemes"][0], text["calibration"])
    answer["settings"] = {key: str(value) for key, value in tried.items() if key != "bits"}
    started = time.perf_counter()
    warm = _row(program, request["warm_up"], request["schemes"][-1], text)
    answer["seconds_warm_up"] = time.perf_counter() - started
    if warm["reason"]:
        answer["warm_up_failed"] = warm["reason"]
    started = time.perf_counter()
    for bits in request["schemes"]:
        if time.perf_counter() - started > ENOUGH_SECONDS:
            break
        clear()
        rows.append(_row(program, request["folder"], bits, text))
        (exchange / "answer.json").write_text(json.dumps(answer))


def _row(program: Program, folder: str, bits: int, text: dict[str, Tensor]) -> dict[str, Any]:
    """Return the seconds of each stage for one scheme, the most memory in use, and the loss or what went wrong."""
    row: dict[str, Any] = {"bits": bits, "reason": None}
    if program.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        with tempfile.TemporaryDirectory() as place:
            _write_quantized(row, program, folder, bits, text["calibration"], place)
            clear()
            model = _timed(row, "reload", program.device, program.reload, place)
            row["loss_nats"] = _timed(row, "score", program.device, mean_loss, model, text["evaluation"])
    except Exception as error:  # whatever a library raises is its row's reason
        traceback.print_exc()
        row["reason"] = f"{row['stage']}: {type(error).__name__}: {' '.join(str(error).split())}"[:300]
    row["peak_memory_gib"] = peak_memory_gib(program.device)
    return row


def _write_quantized(
    row: dict[str, Any], program: Program, folder: str, bits: int, calibration: Tensor, place: str
) -> None:
    """Load, quantize and write a checkpoint."""
    model = _timed(row, "load", program.device, program.load, folder, bits, calibration)
    model = _timed(row, "quantize", program.device, program.quantize, model, bits, calibration)
    _timed(row, "save", program.device, program.save, model, place)


def _timed(row: dict[str, Any], stage: str, device: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `work` returns, the stage and its seconds noted."""
    row["stage"] = stage
    synchronize(device)
    started = time.perf_counter()
    answer = work(*arguments)
    synchronize(device)
    row[f"seconds_{stage}"] = time.perf_counter() - started
    return answer


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_memory_gib(device: str) -> float:
    """Return the most memory in use: of the GPU since it was last reset, of this process on a CPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def clear() -> None:
    """Give back the memory of what is no longer used."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@torch.no_grad()
def mean_loss(model: nn.Module, tokens: Tensor) -> float:
    """Return the mean loss of blocks of L + 1 tokens in nats, as transformers' forward pass gives it."""
    device = next(model.parameters()).device
    total = torch.zeros((), device=device, dtype=torch.float64)
    for batch in tokens.to(device).split(max(1, TOKENS_AT_ONCE[device.type] // tokens.shape[1])):
        logits = model(batch[:, :-1], use_cache=False).logits.flatten(0, 1)
        total += nn.functional.cross_entropy(logits.float(), batch[:, 1:].flatten(), reduction="sum")
    return total.item() / tokens[:, 1:].numel()
