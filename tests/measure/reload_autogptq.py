"""The child of `test_export`: loads packed checkpoints with auto-gptq, through the project's shim, and scores them.

Run as `python reload_autogptq.py EXCHANGE`: `request.json` there is a list of folders and `tokens.safetensors` holds
the blocks, int64 (n, L + 1). `losses.safetensors` gets each folder's mean loss a block in nats, float64 (n,), under its
index.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from helpers.measure.rounding.autogptq_child import import_auto_gptq


@torch.no_grad()
def losses(folder: str, tokens: torch.Tensor) -> torch.Tensor:
    from auto_gptq import AutoGPTQForCausalLM

    model = AutoGPTQForCausalLM.from_quantized(folder, device="cpu", torch_dtype=torch.float32).model
    stored = load_file(Path(folder, "model.safetensors"))
    if "embed_out.weight" in stored:  # auto-gptq loads by module name, and transformers 5 renamed this module
        model.get_output_embeddings().weight.copy_(stored["embed_out.weight"])
    logits = model.eval()(tokens[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return loss.view(len(tokens), -1).double().mean(-1)


def main(exchange: Path) -> None:
    torch.set_num_threads(1)
    import_auto_gptq(torch.device("cpu"))
    tokens = load_file(exchange / "tokens.safetensors")["tokens"]
    folders = json.loads((exchange / "request.json").read_text())
    save_file({str(i): losses(folder, tokens) for i, folder in enumerate(folders)}, exchange / "losses.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
