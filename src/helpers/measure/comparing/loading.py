"""A checkpoint that any program wrote as a model that runs: packed GPTQ decoded here, the rest through transformers.

What was quantized apart, everything is float32. Packed GPTQ, GGUF and bitsandbytes' 4 bits are decoded to float32,
so no kernel's arithmetic is in the comparison; other formats run as transformers runs them, inputs rounded where the
format rounds them (LLM.int8, activations of compressed-tensors). Safetensors only, and never code from a checkpoint.
"""

import copy
import importlib.metadata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from helpers.measure.comparing.stored import REFUSED, StoredTensor, rounded_layers, stored_tensors
from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.failures import refusals_named
from helpers.measure.models.gguf import gguf_files
from helpers.measure.packing.gptq_format import BITS, unpacked
from helpers.measure.rounding.libraries import imported, without_remarks
from helpers.table.errors import CheckpointError, QuantizationError
from helpers.table.words import shown

METHOD = "quant_method"
FORMATS = ("gptq", "gptq_v2")
# Packages that transformers loads a method's files with, beside itself: each by the name it is installed by
PACKAGES = {
    "bitsandbytes": ("bitsandbytes", "accelerate"),
    "compressed-tensors": ("compressed-tensors",),
    "awq": ("gptqmodel", "accelerate"),
}
GPTQ = "gptq"
GGUF = "gguf"
FOLDING = ("awq", "compressed-tensors")  # what may move scales from a layer's inputs into the norm or layer before it


@dataclass(frozen=True)
class Quantized:
    """A loaded checkpoint to be compared: `method` is None for one in 16 bits, `rounded` has its packed layers.

    `label` says the format in a few words.
    """

    folder: Path
    model: PreTrainedModel
    stored: dict[str, StoredTensor]
    method: str | None
    label: str
    rounded: frozenset[str]


def load(folder: Path, original: PreTrainedModel, device: str) -> Quantized:
    """Load the checkpoint in `folder` to be compared with `original`, whose class it has.

    Raises CheckpointError for files that can't be loaded, with the package that is missing where one is.
    """
    method, quantization = method_of(folder)
    stored = stored_tensors(folder)
    if method is None:
        local = checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)
        return Quantized(folder, checkpoints.load(local, device), stored, None, "16 bits", frozenset())
    rounded = rounded_layers(stored)
    if not rounded:
        raise CheckpointError(f"{folder}: 'quantization_config' but every weight in 16 bits or more; accepted: packed")
    if method == GPTQ:
        model = _decoded(folder, quantization, original).to(device)
    else:
        model = _through_transformers(folder, method, device)
        _decode_4bit(model)
        _in_float32(model, rounded)
    return Quantized(folder, model.eval().requires_grad_(False), stored, method, _label(method, quantization), rounded)


def load_file(file: Path, folder: Path, device: str) -> Quantized:
    """Load a GGUF file to be compared, whose weights `folder` has decoded to float32.

    Raises CheckpointError where the file can't be read, or the package that reads it isn't installed.
    """
    local = checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)
    model = checkpoints.load(local, device)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    kinds = gguf_files.stored_kinds(file, shapes)
    stored = {name: StoredTensor(kind, shapes[name], bits) for name, (kind, bits) in kinds.items()}
    rounded = rounded_layers(stored)
    of_matrices = Counter(stored[f"{layer}.weight"].kind for layer in decoder_of(model).linear_layers())
    label = f"{GGUF} {'+'.join(kind for kind, _ in of_matrices.most_common())}"
    return Quantized(folder, model, stored, GGUF if rounded else None, label, rounded)


def method_of(folder: Path) -> tuple[str | None, dict[str, Any]]:
    """Return the method that config.json says, None for 16 bits, and its settings.

    Raises CheckpointError for one that isn't accepted, or for bits and groups that no packed layer has.
    """
    quantization = checkpoints.settings_of(folder, REFUSED).get("quantization_config")
    if quantization is None:
        return None, {}
    method = quantization.get(METHOD) if isinstance(quantization, dict) else None
    if method is None and isinstance(quantization, dict) and (quantization.keys() & {"load_in_4bit", "load_in_8bit"}):
        method = "bitsandbytes"  # as its first files were written
    if method not in (GPTQ, *PACKAGES):
        accepted = ", ".join((GPTQ, *PACKAGES))
        raise CheckpointError(f"{folder}: '{METHOD}' is {shown(method)}; accepted: {accepted}, or 16 bits")
    if method == GPTQ:
        _refuse_impossible(folder, quantization)
    return str(method), quantization


def _refuse_impossible(folder: Path, quantization: dict[str, Any]) -> None:
    """Raise CheckpointError for settings of packed GPTQ that would stand in a table and that no file can have."""
    bits, group = quantization.get("bits"), quantization.get("group_size", -1)
    if type(bits) is not int or bits not in BITS:
        raise CheckpointError(f"{folder}: 'bits' is {shown(bits)}; accepted: {', '.join(map(str, BITS))}")
    if type(group) is not int or not (group == -1 or group > 0):
        raise CheckpointError(f"{folder}: 'group_size' is {shown(group)}; accepted: 1 or more, or -1")


def _refuse_other_bits(folder: Path, quantization: dict[str, Any], layer: str, tensors: dict[str, Tensor]) -> None:
    """Raise CheckpointError where a layer is packed at other bits than the settings say of all layers."""
    bits = 32 * tensors[f"{layer}.qweight"].shape[0] // len(tensors[f"{layer}.g_idx"])
    if bits != quantization["bits"] and not quantization.get("dynamic"):
        raise CheckpointError(f"{folder}: 'bits' is {quantization['bits']}, but '{layer}' is packed at {bits}")


def _label(method: str, quantization: dict[str, Any]) -> str:
    """Return a quantization's name for people, such as `gptq 4 bits`."""
    if method == "bitsandbytes":
        kind = str(quantization.get("bnb_4bit_quant_type", "fp4")) if quantization.get("load_in_4bit") else "int8"
        return f"{method} {kind}"
    if method == "compressed-tensors":
        return f"{method} {quantization.get('format', '')}".strip()
    bits, group = quantization.get("bits"), quantization.get("group_size")
    grouped = f", groups of {group}" if isinstance(group, int) and group > 0 else ""
    return f"{method} {bits} bits{grouped}"


def _through_transformers(folder: Path, method: str, device: str) -> PreTrainedModel:
    for package in PACKAGES[method]:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise CheckpointError(
                f"{folder}: '{METHOD}' is {method}, and {package} isn't installed: pip install {package}"
            ) from None
    with without_remarks():
        config = checkpoints.config_of(folder, REFUSED)
        return checkpoints.model_from(folder, config, device_map={"": torch.device(device)})


def _decode_4bit(model: PreTrainedModel) -> None:
    """Put decoded float32 weights in place of bitsandbytes' 4-bit layers: its products differ between machines."""
    for name, module in list(model.named_modules()):
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is None:
            continue
        state.dtype = torch.float32
        decoded = imported("bitsandbytes.functional").dequantize_4bit(module.weight.data, state)
        plain = nn.Linear(decoded.shape[1], decoded.shape[0], bias=module.bias is not None, device="meta")
        plain.weight = nn.Parameter(decoded, requires_grad=False)
        plain.bias = module.bias
        model.set_submodule(name, plain)


def _in_float32(model: PreTrainedModel, rounded: frozenset[str]) -> None:
    """Put into float32 what transformers left in another dtype beside the packed layers, such as an output head."""
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            if (name not in rounded or type(module) is nn.Linear) and parameter.is_floating_point():
                parameter.data = parameter.data.float()


def _decoded(folder: Path, quantization: dict[str, Any], original: PreTrainedModel) -> PreTrainedModel:
    """Return the model of a packed GPTQ checkpoint, every packed layer decoded to float32."""
    layout = quantization.get("checkpoint_format") or quantization.get("format") or FORMATS[0]
    if layout not in FORMATS:
        raise CheckpointError(f"{folder}: 'checkpoint_format' is {shown(layout)}; accepted: {', '.join(FORMATS)}")
    tensors: dict[str, Tensor] = {}
    for path in checkpoints.weight_files(folder, REFUSED):
        with refusals_named(folder), safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    meta = quantization.get("meta")
    writer = str(meta.get("quantizer")) if isinstance(meta, dict) else ""
    known = dict(original.named_parameters())
    for layer in sorted(name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")):
        try:
            weight = unpacked(layer, tensors, layout == FORMATS[0], "gptqmodel" in writer)
        except QuantizationError as error:
            raise CheckpointError(f"{folder}: {error}") from None
        _refuse_other_bits(folder, quantization, layer, tensors)
        for field in ("qweight", "qzeros", "scales", "g_idx"):
            del tensors[f"{layer}.{field}"]
        bias = tensors.get(f"{layer}.bias")
        if bias is not None and f"{layer}.bias" not in known and not bool(bias.any()):
            del tensors[f"{layer}.bias"]  # the first programs wrote zeros where there is no bias
        tensors[f"{layer}.weight"] = weight.decode()
    config = copy.deepcopy(checkpoints.config_of(folder, REFUSED))
    del config.quantization_config
    return checkpoints.model_from(folder, config, type(original), state_dict=tensors)
