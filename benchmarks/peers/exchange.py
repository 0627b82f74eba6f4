"""What the peers' children share: they read a request, round a checkpoint once a scheme, and write float32 weights.

The folder EXCHANGE, their only argument, holds `request.json` (folder, threads, schemes) and `calibration.safetensors`;
each scheme's weights go to NUMBER.safetensors there, by parameter name.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM


def load_model(folder: str) -> nn.Module:
    """Return the checkpoint in `folder` in float32."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()


def serve(round_model: Callable[[str, dict, Tensor], dict[str, Tensor]]) -> None:
    """Answer the request with `round_model(folder, scheme, tokens)`."""
    exchange = Path(sys.argv[1])
    request = json.loads((exchange / "request.json").read_text())
    tokens = load_file(exchange / "calibration.safetensors")["tokens"]
    torch.set_num_threads(request["threads"])
    for number, scheme in enumerate(request["schemes"]):
        weights = round_model(request["folder"], scheme, tokens)
        whole = {name: weight.detach().float().contiguous() for name, weight in weights.items()}
        save_file(whole, exchange / f"{number}.safetensors")
