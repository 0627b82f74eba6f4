"""The child in the peers' environment that rounds a model with a program of its own and writes it as that program does.

Run as `python writer_child.py PROGRAM FOLDER OUT`: `tokens.safetensors` in the current folder holds the calibration
tokens, int64 (n, L).
"""

import sys

import torch
from safetensors.torch import load_file

BITS, GROUP = 4, 32


def gptqmodel(folder: str, out: str, tokens: torch.Tensor, symmetric: bool) -> None:
    """Write GPTQModel's own packed file, in the first version of its format."""
    from gptqmodel import GPTQModel, QuantizeConfig

    config = QuantizeConfig(
        bits=BITS, group_size=GROUP, sym=symmetric, desc_act=False, offload_to_disk=False, device="cpu"
    )
    model = GPTQModel.load(folder, config, dtype=torch.float32)
    model.quantize([{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in tokens], batch_size=4)
    model.save(out)


def compressed(folder: str, out: str, tokens: torch.Tensor) -> None:
    """Write a packed file of compressed-tensors by llm-compressor."""
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    modifier = GPTQModifier(
        config_groups={
            "all": {
                "targets": ["Linear"],
                "weights": {
                    "num_bits": BITS,
                    "type": "int",
                    "symmetric": True,
                    "strategy": "group",
                    "group_size": GROUP,
                },
            }
        },
        ignore=["lm_head"],
    )
    examples = Dataset.from_dict({"input_ids": tokens.tolist(), "attention_mask": torch.ones_like(tokens).tolist()})
    oneshot(
        model=model,
        dataset=examples,
        recipe=[modifier],
        num_calibration_samples=len(tokens),
        max_seq_length=tokens.shape[1],
    )
    model.save_pretrained(out, save_compressed=True)


if __name__ == "__main__":
    program, folder, out = sys.argv[1:]
    torch.set_num_threads(1)
    tokens = load_file("tokens.safetensors")["tokens"]
    if program == "compressed-tensors":
        compressed(folder, out, tokens)
    else:
        gptqmodel(folder, out, tokens, symmetric=program == "gptqmodel")
