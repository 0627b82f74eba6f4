"""What a checkpoint's files hold, by name, without reading the numbers: kinds, shapes and bytes."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from helpers.measure.models import checkpoints
from helpers.table.errors import CheckpointError

# What a configuration may not say of files that are compared; they may be quantized
REFUSED = {name: why for name, why in checkpoints.OTHER_WEIGHTS.items() if name != "quantization_config"}
BITS_OF_KIND = {
    **{"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32},
    **{"BF16": 16, "F16": 16, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8},
    **{"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8},
}
PART = re.compile(r"(\.weight\.[^.].*|\.[^.]+)$")  # of a layer's name: `.qweight`, bitsandbytes' `.weight.absmax`


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file: its kind as the file's format names it, and its shape.

    `bits_of_number` is None where the kind says it, as safetensors' do; of GGUF's it has a share of its block's scales.
    """

    kind: str
    shape: tuple[int, ...]
    bits_of_number: float | None = None

    @property
    def n_bits(self) -> int:
        """Return how many bits the tensor takes in the file."""
        bits = BITS_OF_KIND[self.kind] if self.bits_of_number is None else self.bits_of_number
        return round(bits * math.prod(self.shape))


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Return every tensor in a checkpoint's files by name.

    Raises CheckpointError for files that can't be read, a name in two of them, or a kind of number that isn't known.
    """
    tensors: dict[str, StoredTensor] = {}
    for path, name, part in checkpoints.stored_parts(folder, REFUSED):
        tensors[name] = StoredTensor(part.get_dtype(), tuple(part.get_shape()))
        if tensors[name].kind not in BITS_OF_KIND:
            raise CheckpointError(f"{path}: '{name}' is stored as {tensors[name].kind}, whose width isn't known")
    return tensors


def rounded_layers(stored: Mapping[str, StoredTensor]) -> frozenset[str]:
    """Return the layers that aren't stored as a plain 16-bit or wider weight, by name: what was rounded and packed."""
    packed = (
        name
        for name, tensor in stored.items()
        if name.rpartition(".")[2] not in ("weight", "bias") or tensor.kind not in checkpoints.STORED_AS
    )
    return frozenset(PART.sub("", name) for name in packed)


def bits_per_weight(folder: Path, stored: Mapping[str, StoredTensor], layers: Mapping[str, nn.Linear]) -> float:
    """Return the bits that the original's linear layers, by name, take in files, per weight of the original.

    Everything that is stored under a layer's name counts but its bias: codes, scales, zero points, which group a column
    belongs to. Raises CheckpointError, which begins with `folder`, for a layer without any.
    """
    n_bits = n_weights = 0
    for name, layer in layers.items():
        own = [tensor for key, tensor in stored.items() if key.startswith(f"{name}.") and key != f"{name}.bias"]
        if not own:
            raise CheckpointError(f"{folder}: nothing is stored under '{name}', a linear layer of the original")
        n_bits += sum(tensor.n_bits for tensor in own)
        n_weights += layer.weight.numel()
    return n_bits / n_weights
