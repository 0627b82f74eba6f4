"""The child in the peers' environment: loads packed checkpoints through transformers and GPTQModel and scores them.

Run as `python gptqmodel_child.py EXCHANGE`: `request.json` there is a list of folders and `tokens.safetensors` holds the
blocks, int64 (n, L + 1); `losses.safetensors` gets each folder's mean loss a block in nats, float64 (n,), under its index.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPTQConfig


@torch.no_grad()
def losses(folder: str, tokens: torch.Tensor) -> torch.Tensor:
    """Return each block's loss in float32, the scales' float16 values included."""
    bits = json.loads(Path(folder, "config.json").read_text())["quantization_config"]["bits"]
    model, info = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        output_loading_info=True,
        quantization_config=GPTQConfig(
            bits=bits, backend="torch"
        ),  # the kernel it picks by itself computes in bfloat16
    )
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    if wrong:
        raise ValueError(f"{folder}: loaded with {wrong}")
    torch.nn.Module.float(model)  # scales and biases were loaded in float16, the head in the checkpoint's dtype
    return mean_losses(model, tokens)


def mean_losses(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Return each block's mean loss in nats, float64 (n,)."""
    logits = model.eval()(tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return loss.view(len(tokens), -1).double().mean(-1)


def main(exchange: Path, score: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    """Answer the request in the folder `exchange`."""
    torch.set_num_threads(1)
    tokens = load_file(exchange / "tokens.safetensors")["tokens"]
    folders = json.loads((exchange / "request.json").read_text())
    save_file({str(i): score(folder, tokens) for i, folder in enumerate(folders)}, exchange / "losses.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), losses)
