"""This project's engine from stored weights to losses, timed. See `timing`.

All schemes are rounded and scored in one call, the 16-bit model scored beside them, and nothing has to be written:
seconds are a scheme's share.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from timing import peak_memory_gib, synchronize
from torch import Tensor
from transformers import PreTrainedModel

from helpers.measure.models import checkpoints, opening
from helpers.measure.models.memory import default_budget
from helpers.measure.rounding.methods import gptq
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme

REPEATS = 3


def loaded(folder: Path, request: dict[str, Any]) -> PreTrainedModel:
    """Return the checkpoint in float32 on the device, or streamed to it as it is stored where memory is bounded."""
    local = checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)
    if request["memory_gib"]:
        return opening.open_stored(local, request["device"])
    return checkpoints.load(local, request["device"])


def cycle(folder: Path, request: dict[str, Any], text: dict[str, Tensor]) -> dict[str, Any]:
    """Return a scheme's share of the seconds of each stage, the most memory in use and the losses."""
    device, (rounding, scoring) = request["device"], request["dtypes"]
    schemes = [
        QuantScheme(
            "gptq",
            bits=bits,
            group_size=request["group_size"],
            symmetric=False,
            rel_damp=request["rel_damp"],
            hessian_dtype=rounding,
        )
        for bits in request["schemes"]
    ]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    checkpoint = Checkpoint(loaded(folder, request), folder)
    declared = request["memory_gib"]
    memory_bytes = int(declared * 2**30) if declared else default_budget(device)
    synchronize(device)
    ready = time.perf_counter()
    rounded = gptq.quantize([checkpoint], schemes, text["calibration"], memory_bytes)
    synchronize(device)
    between = time.perf_counter()
    tokens = text["evaluation"]
    blocks = Blocks(tokens, tuple(range(len(tokens))), tokens[:, 1:].numel(), "random")
    (scores,) = evaluate.evaluate([checkpoint], rounded, blocks, scoring, memory_bytes)
    synchronize(device)
    return {
        "bits": request["schemes"],
        "reason": None,
        "seconds_load": ready - started,
        "seconds_quantize": (between - ready) / len(schemes),
        "seconds_save": 0.0,
        "seconds_reload": 0.0,
        "seconds_score": (time.perf_counter() - between) / len(schemes),
        "loss_nats": [score.loss_nats for score in scores[1:]],
        "peak_memory_gib": peak_memory_gib(device),
    }


def main() -> None:
    """Answer the request: a warm-up on a model of one block, then the whole several times."""
    exchange = Path(sys.argv[1])
    request = json.loads((exchange / "request.json").read_text())
    seconds_start = time.time() - request["asked_at"]
    text = load_file(exchange / "text.safetensors")
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    started = time.perf_counter()
    cycle(Path(request["warm_up"]), request, text)
    answer = {
        "versions": {"torch": torch.__version__},
        "settings": {"dtypes": str(request["dtypes"]), "memory_gib": str(request["memory_gib"])},
        "seconds_start": seconds_start,
        "seconds_warm_up": time.perf_counter() - started,
        "rows": [],
    }
    for _ in range(1 if request["memory_gib"] else REPEATS):
        answer["rows"].append(cycle(Path(request["folder"]), request, text))
        (exchange / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
