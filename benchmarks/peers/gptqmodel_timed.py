"""GPTQModel from stored weights to a loss, timed: at its defaults, or tuned. See `timing`.

Told in both cases: bits, group size, an asymmetric grid, and to pack and reload by its PyTorch kernel, which unpacks
a layer once a batch; the kernels that it would otherwise build take minutes and are made for generation. Tuned: plain
GPTQ (columns in the given order, one damping), large batches, nothing offloaded, calibration text on the device.
"""

from typing import Any

import torch
from gptqmodel import BACKEND, GPTQModel, QuantizeConfig
from timing import Program, at_once, serve
from torch import Tensor, nn


class GPTQModelProgram(Program):
    """GPTQModel's own way: load, quantize, save, load."""

    package = "gptqmodel"

    def settings(self, bits: int, tokens: Tensor) -> dict[str, Any]:
        """Return what QuantizeConfig gets, the batch of `quantize`, the kernel, and the model's dtype."""
        told = {"bits": bits, "group_size": self.group_size, "sym": False, "backend": BACKEND.GPTQ_TORCH}
        tuned = {
            "format": "gptq_v2",
            "desc_act": False,
            "act_group_aware": False,
            "damp_percent": self.rel_damp,
            "damp_auto_increment": 0.0,
            "fallback": None,
            "offload_to_disk": False,
            "calibration_data_device": self.device,
            "device": self.device,
        }
        dtype = "auto" if self.device == "cuda" else torch.float32  # few processors are fast in 16 bits
        return told | (tuned if self.tuned else {}) | {"batch_size": at_once(self, tokens), "dtype": dtype}

    def load(self, folder: str, bits: int, tokens: Tensor) -> Any:
        """Return its model of the checkpoint."""
        settings = self.settings(bits, tokens)
        beside = ("batch_size", "backend", "dtype")
        told = {name: value for name, value in settings.items() if name not in beside}
        return GPTQModel.load(folder, QuantizeConfig(**told), dtype=settings["dtype"])

    def quantize(self, model: Any, bits: int, tokens: Tensor) -> Any:
        """Return the model, quantized in place."""
        rows = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in tokens]
        model.quantize(rows, batch_size=at_once(self, tokens), backend=BACKEND.GPTQ_TORCH)
        return model

    def save(self, model: Any, place: str) -> None:
        """Write the packed checkpoint."""
        model.save(place)

    def reload(self, place: str) -> nn.Module:
        """Return the packed checkpoint loaded."""
        model: nn.Module = GPTQModel.load(place, device=self.device, backend=BACKEND.GPTQ_TORCH).model
        return model


if __name__ == "__main__":
    serve(GPTQModelProgram)
