"""The child in the peers' environment that loads packed checkpoints with GPTQModel's own loader and scores them.

Run as `python gptqmodel_alone_child.py EXCHANGE`, with the exchange of `gptqmodel_child.py`.
"""

import sys
from pathlib import Path

import gptqmodel_child
import torch
from gptqmodel import BACKEND, GPTQModel


@torch.no_grad()
def losses(folder: str, tokens: torch.Tensor) -> torch.Tensor:
    """Return each block's loss in float32 from weights that it loads in float16 only: bfloat16's smallest lose digits."""
    model = GPTQModel.load(folder, device="cpu", backend=BACKEND.TORCH, dtype=torch.float16).model
    torch.nn.Module.float(model)
    return gptqmodel_child.mean_losses(model, tokens)


if __name__ == "__main__":
    gptqmodel_child.main(Path(sys.argv[1]), losses)
