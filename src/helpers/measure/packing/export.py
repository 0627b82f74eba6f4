"""A rounded model as a packed checkpoint in the GPTQ format, which auto-gptq, GPTQModel and transformers load.

A layer of (rows, columns) is stored as four tensors: `qweight` int32 (columns x bits / 32, rows) and `qzeros` int32
(groups, rows x bits / 32) hold the codes and the zero points less one as streams of `bits` bits, lowest first, 32
values in `bits` words; `scales` float16 (groups, rows); `g_idx` int32 (columns,) is each column's group.

A zero point of 0 has no exact place there: its -1 wraps to the largest code, and adding the one back carries into the
neighbouring field (GPTQModel 7.6 adds 0x11111111 to the words) or gives 8 at 3 bits (auto-gptq 0.7.1). Such a group is
stored mirrored, which is exact: scale x code = -scale x ((max_code - code) - max_code). No field wraps in any loader.

Matrices that a scheme keeps are stored as they were, and the configuration names them twice, because readers differ:
GPTQModel skips a module whose name one of `dynamic`'s expressions beginning with `-:` matches from its start;
transformers (through optimum) knows no `dynamic` and takes as packed what `modules_in_block_to_quantize` lists, by the
ends of names. auto-gptq 0.7.1 knows neither: it would leave the kept matrices at random numbers and say nothing. So
there is no `quantize_config.json` beside, without which it stops; the others read `config.json`.

Scales are rounded to float16, so a weight scale x (code - zero) changes by at most 2^-11 of itself where the scale is
at least 2^-14, and by (code - zero) x 2^-25 below. All else stays bit for bit as in the original checkpoint.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from helpers.measure.models import checkpoints, memory
from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.rounding import methods
from helpers.measure.rounding.grids import IntegerWeight, consecutive_groups
from helpers.measure.rounding.methods import Checkpoint, Rounded
from helpers.measure.rounding.methods.matrices import unknown_matrix
from helpers.measure.text import token_blocks
from helpers.table.rows import CheckpointError, QuantizationError, QuantScheme, SpecError

BITS = (2, 3, 4, 8)
FIELDS_PER_WORDS = 32  # this many values fill whole 32-bit words, `bits` of them
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
OTHER_FILES = ("generation_config.json",)


def pack(values: Tensor, bits: int) -> Tensor:
    """Pack `values` (n, m), whole numbers from 0 to 2^bits - 1, down each column: int32 (n x bits / 32, m).

    Value i takes bits i x bits onwards of its column's stream, lowest first; 32 divides n.
    """
    fields = values.to(torch.int64).unflatten(0, (-1, FIELDS_PER_WORDS))
    words = fields.new_zeros(len(fields), bits, values.shape[1])
    for i in range(FIELDS_PER_WORDS):
        word, shift = divmod(i * bits, 32)
        field = fields[:, i] << shift
        words[:, word] |= field & 0xFFFFFFFF
        if shift + bits > 32:
            words[:, word + 1] |= field >> 32
    return ((words ^ 0x80000000) - 0x80000000).to(torch.int32).flatten(0, 1)  # the same 32 bits, as signed numbers


def mirrored(weight: IntegerWeight, bits: int) -> IntegerWeight:
    """Return the same weights with every group whose zero point is 0 stored from its other end, scale negated."""
    max_code = 2**bits - 1
    at_zero = weight.zero == 0
    return IntegerWeight(
        torch.where(at_zero[:, weight.group_of_column], max_code - weight.codes, weight.codes),
        torch.where(at_zero, -weight.scale, weight.scale),
        torch.where(at_zero, max_code - weight.zero, weight.zero),
        weight.group_of_column,
    )


def packed(name: str, weight: IntegerWeight, bits: int) -> dict[str, Tensor]:
    """Return the four stored tensors of the layer called `name`, on the CPU.

    Raises QuantizationError when a zero point or scale has no place in the format or 32 doesn't divide the shape.
    """
    rows, columns = weight.shape
    if rows % FIELDS_PER_WORDS or columns % FIELDS_PER_WORDS:
        raise QuantizationError(f"'{name}' is {rows} x {columns}; accepted in a packed checkpoint: multiples of 32")
    if not bool(((weight.zero == weight.zero.round()) & (weight.zero >= 0) & (weight.zero < 2**bits)).all()):
        raise QuantizationError(f"'{name}' has a zero point that isn't a code; accepted: 0 to {2**bits - 1}")
    stored = mirrored(weight, bits)
    scales = stored.scale.half()
    unfit = ~scales.isfinite() | (scales == 0)
    if unfit.any():
        found = float(weight.scale[unfit][0])
        raise QuantizationError(f"'{name}' has a scale of {found:.3g}; accepted in float16: 3e-8 to 65504")
    tensors = {
        "qweight": pack(stored.codes.T, bits),
        "qzeros": pack(stored.zero - 1, bits).T,
        "scales": scales.T,
        "g_idx": stored.group_of_column.to(torch.int32),
    }
    return {f"{name}.{field}": tensor.cpu().contiguous() for field, tensor in tensors.items()}


def as_stored(weight: IntegerWeight) -> IntegerWeight:
    """Return the weight as a reader of the packed file sees it: scales rounded to float16."""
    return IntegerWeight(weight.codes, weight.scale.half().float(), weight.zero, weight.group_of_column)


def quantization_config(scheme: QuantScheme, in_order: bool) -> dict:
    """Return what `config.json` and `quantize_config.json` say about the scheme; `in_order`: groups are neighbours."""
    config = {
        "quant_method": "gptq",
        "checkpoint_format": "gptq",
        "bits": scheme.bits,
        "group_size": -1 if scheme.group_size is None else scheme.group_size,
        "sym": scheme.symmetric,
        "desc_act": not in_order,
        "true_sequential": True,
        "meta": {"quantizer": [f"qid-book:{version('qid-book')}"], "method": scheme.method},
    }
    return config if scheme.rel_damp is None else config | {"damp_percent": scheme.rel_damp}


def kept_config(packed_modules: Sequence[str], kept_modules: Sequence[str]) -> dict:
    """Return what the configuration adds where modules, by full name, are kept: for GPTQModel, and for transformers."""
    if not kept_modules:
        return {}
    return {
        "dynamic": {f"-:^{re.escape(name)}$": {} for name in kept_modules},
        "modules_in_block_to_quantize": [list(packed_modules)],
    }


def gptq_scheme(bits: int, group_size: int | None, symmetric: bool) -> QuantScheme:
    """Return GPTQ as this project runs it: damping 0.01, 128 calibration sequences of 512 tokens."""
    return QuantScheme(
        method="gptq",
        bits=bits,
        group_size=group_size,
        symmetric=symmetric,
        rel_damp=0.01,
        calib_sequences=128,
        calib_seq_len=512,
        calib_seed=0,
    )


def load_folder(folder: Path, device: str) -> tuple[Checkpoint, str]:
    """Load the checkpoint in `folder` on `device`; return it and the hash of its weights.

    Raises CheckpointError when the weights aren't those described beside them, SpecError for a device that isn't there.
    """
    refuse_missing_device(device)
    local = checkpoints.LocalCheckpoint(folder, _expected_sha256(folder), None)
    return Checkpoint(checkpoints.load(local, device), folder), local.weights_sha256


def round_folder(folder: Path, scheme: QuantScheme, device: str = "cpu") -> tuple[Rounded, QuantScheme]:
    """Load the checkpoint in `folder` and round it. Raises what `load_folder` and `round_checkpoint` do."""
    checkpoint, _ = load_folder(folder, device)
    scheme, tokens = with_calibration(checkpoint, scheme)
    return round_checkpoint(checkpoint, scheme, tokens), scheme


def with_calibration(checkpoint: Checkpoint, scheme: QuantScheme) -> tuple[QuantScheme, Tensor | None]:
    """Return the scheme with its calibration's hash, and the tokens of the project's own text.

    Raises QuantizationError when the scheme doesn't fit the model or names another calibration text than there is,
    CorpusError without the text.
    """
    unknown = unknown_matrix(checkpoint.decoder, scheme)
    if unknown:
        raise QuantizationError(unknown)
    for name, layer in checkpoint.decoder.linear_layers().items():
        if layer.in_features % (scheme.group_size or 1):
            raise QuantizationError(
                f"'group_size' {scheme.group_size} doesn't divide {name}'s {layer.in_features} columns"
            )
    method = methods.get(scheme.method)
    reason = method.refusal(checkpoint.model.config, scheme)
    if reason:
        raise QuantizationError(reason)
    if not method.calibrated:
        return scheme, None
    tokens, sha256 = token_blocks.calibration_tokens(
        token_blocks.read_lock().calibration,
        checkpoints.tokenizer_of(checkpoint.folder.resolve()),
        scheme.calib_sequences,
        scheme.calib_seq_len,
        scheme.calib_seed,
    )
    if scheme.calib_sha256 not in (None, sha256):
        raise QuantizationError(f"calibration text is {sha256[:16]}; the scheme's is {scheme.calib_sha256[:16]}")
    return dataclasses.replace(scheme, calib_dataset=token_blocks.CALIBRATION_DATASET, calib_sha256=sha256), tokens


def round_checkpoint(checkpoint: Checkpoint, scheme: QuantScheme, tokens: Tensor | None) -> Rounded:
    """Round one checkpoint. Raises QuantizationError when that fails, as where the device lacks the scheme's dtype."""
    method, budget = methods.get(scheme.method), memory.default_budget(checkpoint.model.device.type)
    ((answer,),) = method.quantize([checkpoint], [scheme], tokens, budget)
    if isinstance(answer, QuantizationError):
        raise answer
    return answer


def _expected_sha256(folder: Path) -> str:
    """Return what the description beside the weights says of them; without one, what they are."""
    description = folder / "checkpoint.json"
    found = checkpoints.weights_sha256(folder)  # raises first when there is no checkpoint
    return json.loads(description.read_text())["weights_sha256"] if description.exists() else found


def refuse(scheme: QuantScheme, out: Path) -> None:
    """Raise SpecError when the format can't hold `scheme` or `out` exists; nothing is written over."""
    if scheme.format != "int":
        raise SpecError(f"'format' is '{scheme.format}'; accepted in a packed checkpoint: int")
    if scheme.bits not in BITS:
        raise SpecError(f"'bits' is {scheme.bits}; accepted in a packed checkpoint: {', '.join(map(str, BITS))}")
    if scheme.activation_format is not None:
        raise SpecError(f"'activation_format' is '{scheme.activation_format}'; accepted in a packed checkpoint: null")
    if out.exists():
        raise SpecError(f"{out}: exists already; accepted: a folder that doesn't")


def export(folder: Path, rounded: Rounded, scheme: QuantScheme, out: Path) -> None:
    """Write the checkpoint in `folder`, its layers rounded, to the new folder `out`: whole or not at all.

    Raises SpecError as `refuse` does, CheckpointError when the checkpoint lacks a rounded or kept layer,
    QuantizationError when a layer has no place in the format or nothing is rounded.
    """
    refuse(scheme, out)
    if not rounded.weights:
        raise QuantizationError("nothing is rounded; accepted in a packed checkpoint: one matrix or more")
    tensors = _tensors(folder)
    in_order = True
    for parameter, weight in rounded.weights.items():
        original = tensors.pop(parameter, None)
        if original is None or original.shape != weight.shape:
            found = "no such weight" if original is None else f"{tuple(original.shape)} there"
            raise CheckpointError(f"{folder}: '{parameter}' is {tuple(weight.shape)} when rounded, {found}")
        tensors |= packed(parameter.removesuffix(".weight"), weight, scheme.bits)
        expected = consecutive_groups(weight.shape[1], scheme.group_size, weight.codes.device)
        in_order &= torch.equal(weight.group_of_column, expected)
    packed_modules = [parameter.removesuffix(".weight") for parameter in rounded.weights]
    kept_modules = [_stored_module(folder, tensors, name) for name in scheme.kept_matrices]
    quantization = quantization_config(scheme, in_order) | kept_config(packed_modules, kept_modules)
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": quantization}
    with whole_folder(out) as unfinished:
        (unfinished / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(tensors, unfinished / "model.safetensors", metadata={"format": "pt"})
        shutil.copymode(unfinished / "config.json", unfinished / "model.safetensors")  # safetensors: the owner's alone
        if not kept_modules:
            (unfinished / "quantize_config.json").write_text(json.dumps(quantization, indent=2) + "\n")
        _copy_others(folder, unfinished)


def _stored_module(folder: Path, tensors: dict[str, Tensor], kept: str) -> str:
    """Return the full name of a kept matrix's module, of which `kept` has block and layer; it isn't packed."""
    found = [name.removesuffix(".weight") for name in tensors if name.endswith(f".{kept}.weight")]
    if len(found) != 1:
        raise CheckpointError(f"{folder}: {len(found)} weights in 16 bits that end in '{kept}.weight'; accepted: one")
    return found[0]


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Return every tensor of a checkpoint by name, as stored."""
    tensors = {}
    for path in checkpoints.weight_files(folder):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    return tensors


def _copy_others(folder: Path, out: Path) -> None:
    """Copy the tokenizer, from the checkpoint's folder or its family's, and settings for generation, if there."""
    places = (folder, *folder.resolve().parents[:2])
    home = next((place for place in places if (place / "tokenizer.json").exists()), folder)
    for path in (*(home / name for name in TOKENIZER_FILES), *(folder / name for name in OTHER_FILES)):
        if path.exists():
            shutil.copyfile(path, out / path.name)


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a neighbouring folder to write into and rename it to `out` at the end; an error leaves neither.

    What a killed writer left of the same name is removed first.
    """
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        for path in filter(Path.is_file, unfinished.rglob("*")):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        unfinished.rename(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
