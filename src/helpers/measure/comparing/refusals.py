"""What makes two checkpoints no original and rounded copy of it: each check raises with what differs.

Embeddings, head, norms, biases and kept matrices are the original's in any rounded copy, but for a change of dtype.
Two exceptions: AWQ and SmoothQuant move scales between a block's layers and its norms, so of checkpoints in formats
that may hold their results only what is outside of the blocks is compared; and a copy in 16 bits says nowhere which
matrices were rounded, so its blocks' matrices may differ.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig

from helpers.measure.comparing.loading import FOLDING, Quantized
from helpers.measure.models import checkpoints, outside
from helpers.measure.models.decoders import Decoder
from helpers.table.errors import CheckpointError
from helpers.table.words import shown

# Of a configuration: what changes no logit. Names that begin or end like these, and versions, names, dtypes
NO_MATTER = (*checkpoints.UNDECIDING, "quantization_config", "initializer_range", "pretraining_tp")
NO_MATTER_FIRST = ("_", "output_", "return_", "initializer", "id2label", "label2id", "problem_type", "chunk_size")
NO_MATTER_LAST = ("_token_id", "dropout", "dropout_prob", "_ids")
# bfloat16's rounding, to the nearest of 8 binary digits, before and after; and the smallest steps of float16
RELATIVE, ABSOLUTE = 2.0**-8, 2.0**-24


def refuse_gguf_original(name: str) -> None:
    """Raise CheckpointError where the original is named by a GGUF file."""
    if outside.gguf_file(name) is not None:
        raise CheckpointError(
            f"{name}: a GGUF file, whose weights were rounded before; accepted as BASE: the 16-bit original, a folder"
            " or a Hub repository"
        )


def refuse_same_folder(folders: list[Path]) -> None:
    """Raise CheckpointError where a folder is there twice, under whatever name."""
    seen: dict[Path, Path] = {}
    for folder in folders:
        real = folder.resolve()
        if real in seen:
            raise CheckpointError(f"{folder}: the same folder as {seen[real]}; accepted: each once, BASE too")
        seen[real] = folder


def refuse_another_architecture(config: PretrainedConfig, original: PretrainedConfig, folder: Path) -> None:
    """Raise CheckpointError where the configuration in `folder` makes another model than the original's."""
    own, expected = _deciding(config), _deciding(original)
    if own.get("model_type") != expected.get("model_type"):
        differing = ["model_type"]
    else:
        differing = sorted(name for name in own.keys() | expected.keys() if _changed(own.get(name), expected.get(name)))
    if differing:
        name = differing[0]
        more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
        found = f"'{name}' is {shown(own.get(name))}, the original's is {shown(expected.get(name))}{more}"
        raise CheckpointError(f"{folder / 'config.json'}: another architecture: {found}")


def _deciding(config: PretrainedConfig) -> dict[str, Any]:
    settings = config.to_dict()
    return {
        name: value
        for name, value in settings.items()
        if name not in NO_MATTER and not name.startswith(NO_MATTER_FIRST) and not name.endswith(NO_MATTER_LAST)
    }


def _changed(value: Any, expected: Any) -> bool:
    return bool(_in_float32(value) != _in_float32(expected))


def _in_float32(value: Any) -> Any:
    """Return a setting with its fractions as float32 has them: GGUF stores no more of 1e-5, models compute with it."""
    if isinstance(value, dict):
        return {name: _in_float32(each) for name, each in value.items()}
    return float(np.float32(value)) if isinstance(value, float) else value


def refuse_another_vocabulary(folder: Path, original: Path) -> None:
    """Raise CheckpointError where two checkpoints' tokenizers have different vocabularies, as it names the first token.

    What they make of a text is compared where it is cut. Raises also where one has no tokenizer.
    """
    tokenizer, expected = checkpoints.tokenizer_of(folder), checkpoints.tokenizer_of(original)
    if tokenizer.to_str() == expected.to_str():
        return
    own, theirs = tokenizer.get_vocab(), expected.get_vocab()
    differing = sorted(token for token in own.keys() | theirs.keys() if own.get(token) != theirs.get(token))
    if differing:
        token = differing[0]
        found = f"{len(differing):,} tokens, such as {shown(token)} ({own.get(token)}, not {theirs.get(token)})"
        raise CheckpointError(f"{folder}: another vocabulary than the original's: {found}")


@torch.no_grad()
def refuse_other_weights(quantized: Quantized, original: Decoder) -> None:
    """Raise CheckpointError where what wasn't rounded isn't the original's, or isn't a number; with its name."""
    own, blocks = dict(quantized.model.named_parameters()), f"{original.prefix}."
    matrices = {f"{layer}.weight" for layer in original.linear_layers()}
    packed = {f"{layer}.weight" for layer in quantized.rounded}
    for name, expected in original.model.named_parameters():
        if name in packed or (quantized.method in FOLDING and name.startswith(blocks)):
            continue
        if quantized.method is None and name in matrices:
            continue
        _refuse_other_tensor(quantized.folder, name, own, expected)
    for name, parameter in own.items():
        if parameter.is_floating_point() and parameter.element_size() > 1 and not bool(torch.isfinite(parameter).all()):
            raise CheckpointError(f"{quantized.folder}: nonfinite weights in {name}")


def _refuse_other_tensor(folder: Path, name: str, own: Mapping[str, Tensor], expected: Tensor) -> None:
    found = own.get(name)
    if found is None or found.shape != expected.shape or not found.is_floating_point():
        shape = "missing" if found is None else f"{found.dtype} {tuple(found.shape)}"
        raise CheckpointError(f"{folder}: '{name}' is {shape}, the original's {tuple(expected.shape)}")
    difference = (found.float() - expected.float()).abs()
    if bool((difference > RELATIVE * expected.float().abs() + ABSOLUTE).any()):
        most = float(difference.max())
        raise CheckpointError(
            f"{folder}: not a copy of the original: '{name}' differs by up to {most:.3g}, more than a change of dtype"
        )
