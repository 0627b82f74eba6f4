"""llm-compressor from stored weights to a loss, timed: at its defaults, or tuned. See `timing`.

Told in both cases: bits, group size, an asymmetric grid, every linear layer but the head. Tuned: plain GPTQ (columns in
the given order), large batches, and activations that stay on the device.
"""

from typing import Any

import torch
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from timing import Program, at_once, serve
from torch import Tensor, nn
from transformers import AutoModelForCausalLM


class LLMCompressorProgram(Program):
    """The way of llm-compressor's examples: transformers loads, oneshot rounds, transformers writes and loads again."""

    package = "llmcompressor"

    def settings(self, bits: int, tokens: Tensor) -> dict[str, Any]:
        """Return what the modifier and oneshot get beside the grid."""
        tuned = {"actorder": None, "dampening_frac": self.rel_damp, "sequential_offload_device": self.device}
        told = {"bits": bits, "group_size": self.group_size, "symmetric": False, "ignore": ["lm_head", "embed_out"]}
        return told | (tuned if self.tuned else {}) | {"batch_size": at_once(self, tokens)}

    def load(self, folder: str, bits: int, tokens: Tensor) -> nn.Module:
        """Return transformers' model, in the dtype of its weights, where its examples leave it."""
        model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
        return model

    def quantize(self, model: Any, bits: int, tokens: Tensor) -> Any:
        """Return the model, its weights rounded in place."""
        settings = self.settings(bits, tokens)
        grid = QuantizationArgs(
            num_bits=bits, type="int", symmetric=settings["symmetric"], strategy="group", group_size=self.group_size
        )
        modifier = GPTQModifier(
            config_groups={"all": QuantizationScheme(targets=["Linear"], weights=grid)},
            ignore=settings["ignore"],
            **{name: settings[name] for name in ("actorder", "dampening_frac") if name in settings},
        )
        examples = Dataset.from_dict({"input_ids": tokens.tolist(), "attention_mask": torch.ones_like(tokens).tolist()})
        oneshot(
            model=model,
            dataset=examples,
            recipe=[modifier],
            num_calibration_samples=len(tokens),
            max_seq_length=tokens.shape[1],
            batch_size=settings["batch_size"],
            **{name: settings[name] for name in ("sequential_offload_device",) if name in settings},
        )
        return model

    def save(self, model: Any, place: str) -> None:
        """Write the packed checkpoint."""
        model.save_pretrained(place, save_compressed=True)

    def reload(self, place: str) -> nn.Module:
        """Return the packed checkpoint loaded."""
        model: nn.Module = AutoModelForCausalLM.from_pretrained(
            place, dtype="auto", device_map=self.device, local_files_only=True
        )
        return model


if __name__ == "__main__":
    serve(LLMCompressorProgram)
