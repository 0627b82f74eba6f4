"""The child process of `methods.autogptq`: the only place where auto-gptq is imported.

auto-gptq 0.7.1 is archived and was written for transformers 4: `import_auto_gptq` puts back the names it misses
and `_Quantizer` feeds it what it expects. Both change torch and transformers for the whole process, hence a
process of its own. Run as `python -m helpers.measure.rounding.autogptq_child EXCHANGE`, where the folder
EXCHANGE holds `request.json` and `calibration.safetensors`; each scheme's weights are written there as
NUMBER.safetensors or, if auto-gptq couldn't do it, its reason as NUMBER.error.
"""

import contextlib
import functools
import json
import logging
import operator
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

if TYPE_CHECKING:  # at run time only after `import_auto_gptq` has begun
    from transformers import PreTrainedModel

# Sequences that go through a block together: memory and speed only, the Hessian is a mean over all of them.
MICRO_BATCH = 8


def import_auto_gptq(device: torch.device) -> Any:
    """Import auto-gptq, which has no types, under a current transformers; return its module `modeling._base`.

    Four names that it imports, but doesn't need for rounding, are gone from transformers 5 and peft. Without a GPU
    it still moves every block to "cuda:0" and synchronizes: on the CPU both are made to mean the CPU.
    """
    import peft.peft_model
    import transformers.modeling_utils
    import transformers.utils.hub

    transformers.modeling_utils.no_init_weights = contextlib.nullcontext
    transformers.utils.hub.create_commit = transformers.utils.hub.create_repo = None
    peft.peft_model.PEFT_TYPE_TO_MODEL_MAPPING = {}  # type: ignore[attr-defined]  # gone from peft
    from auto_gptq.modeling import _base

    logging.getLogger("auto_gptq").setLevel(logging.ERROR)
    _base.logger.setLevel(logging.ERROR)
    if device.type == "cpu":
        _base.CUDA_0 = device
        torch.cuda.synchronize = lambda *_: None
    return _base


class _Quantizer:
    """auto-gptq's `quantize`, with what it does to the weights kept and its packing left out."""

    def __init__(self, folder: str, device: torch.device) -> None:
        self.base = import_auto_gptq(device)
        self.folder = folder
        self.device = device
        self.rounded: list[str] = []
        self.base.pack_model = self._take_names

    def _take_names(self, quantizers: dict[str, tuple[object, ...]], **_: object) -> None:
        """Stand in for packing: note which modules were rounded (their weights are the decoded float32 codes)."""
        self.rounded = list(quantizers)

    def quantize(self, scheme: dict[str, object], tokens: Tensor) -> dict[str, Tensor]:
        """Round a fresh copy of the checkpoint; return its rounded weights, float32 on the CPU, by parameter name."""
        from auto_gptq.modeling import GPTQ_CAUSAL_LM_MODEL_MAP, BaseQuantizeConfig

        config = BaseQuantizeConfig(**scheme)
        model = load_model(self.folder).to(self.device)
        if model.config.model_type not in GPTQ_CAUSAL_LM_MODEL_MAP:
            raise ValueError(f"auto-gptq doesn't know models of type '{model.config.model_type}'")
        wrapped = GPTQ_CAUSAL_LM_MODEL_MAP[model.config.model_type](model, False, config)
        for block in model.get_submodule(wrapped.layers_block_name):
            block.register_forward_hook(lambda _module, _inputs, output: (output,))  # transformers 4 returned a tuple
        examples = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in tokens]
        wrapped.quantize(examples, batch_size=MICRO_BATCH)
        return {f"{name}.weight": _weight_of(model, name) for name in self.rounded}


def _weight_of(model: "PreTrainedModel", name: str) -> Tensor:
    weight: Tensor = model.get_submodule(name).weight
    return weight.detach().float().cpu().contiguous()


def load_model(folder: str) -> "PreTrainedModel":
    """Return the checkpoint in `folder` in float32, in evaluation mode.

    Raises ValueError when a weight other than the output head's is missing: it would silently be random.
    """
    from transformers import AutoModelForCausalLM

    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    head = model.get_output_embeddings()
    of_head = {name for name, parameter in model.named_parameters() if parameter is getattr(head, "weight", None)}
    missing = sorted(set(info["missing_keys"]) - of_head)
    if missing:
        raise ValueError(f"the checkpoint has no weight '{missing[0]}'")
    return model.eval()


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write through a neighbouring file, so that a file of the final name is always whole."""
    unfinished = path.with_suffix(".unfinished")
    write(unfinished)
    os.replace(unfinished, path)


def main(exchange: Path) -> None:
    """Answer the request in the folder `exchange`: one file per scheme."""
    request = json.loads((exchange / "request.json").read_text())
    tokens = load_file(exchange / "calibration.safetensors")["tokens"]
    torch.set_num_threads(request["threads"])
    quantizer = _Quantizer(request["folder"], torch.device(request["device"]))
    for number, scheme in enumerate(request["schemes"]):
        try:
            weights = quantizer.quantize(scheme, tokens)
        except (ValueError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}"
            _write(exchange / f"{number}.error", operator.methodcaller("write_text", reason))
        else:
            _write(exchange / f"{number}.safetensors", functools.partial(save_file, weights))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
