"""llm-compressor 0.14 as plain GPTQ: no order by activation, layers calibrated one after the other. See `exchange`."""

import torch
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from datasets import Dataset
from exchange import load_model, serve
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from torch import Tensor


def round_model(folder: str, scheme: dict, tokens: Tensor) -> dict[str, Tensor]:
    """Return the weights that llm-compressor leaves in the rounded layers; grids are float32, as the model is."""
    whole_row = scheme["group_size"] == -1
    grid = QuantizationArgs(
        num_bits=scheme["bits"],
        type="int",
        symmetric=scheme["symmetric"],
        strategy="channel" if whole_row else "group",
        group_size=None if whole_row else scheme["group_size"],
        observer="minmax",
    )
    modifier = GPTQModifier(
        config_groups={"all": QuantizationScheme(targets=["Linear"], weights=grid)},
        ignore=["lm_head"],
        actorder=None,
        dampening_frac=scheme["rel_damp"],
    )
    model = load_model(folder)
    examples = Dataset.from_dict({"input_ids": tokens.tolist(), "attention_mask": torch.ones_like(tokens).tolist()})
    oneshot(
        model=model,
        dataset=examples,
        recipe=[modifier],
        num_calibration_samples=len(tokens),
        max_seq_length=tokens.shape[1],
        shuffle_calibration_samples=False,
        pipeline="sequential",
        sequential_targets=["Linear"],
    )
    return {f"{name}.weight": layer.weight for name, layer in model.named_modules() if hasattr(layer, "weight_scale")}


if __name__ == "__main__":
    serve(round_model)
