"""The packed format of GPTQ checkpoints: codes in 32-bit words, scales, zero points, their configuration."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from helpers.measure.rounding.grids import IntegerWeight
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

BITS = (2, 3, 4, 8)
FIELDS_PER_WORDS = 32  # this many values fill whole 32-bit words, `bits` of them


def pack(values: Tensor, bits: int) -> Tensor:
    """Pack `values` (n, m), whole numbers from 0 to 2^bits - 1, down each column: int32 (n x bits / 32, m).

    Value i takes bits i x bits onwards of its column's stream, lowest first; 32 divides n.
    """
    fields: Tensor = values.to(torch.int64).unflatten(0, (-1, FIELDS_PER_WORDS))
    words = fields.new_zeros(len(fields), bits, values.shape[1])
    for i in range(FIELDS_PER_WORDS):
        word, shift = divmod(i * bits, 32)
        field = fields[:, i] << shift
        words[:, word] |= field & 0xFFFFFFFF
        if shift + bits > 32:
            words[:, word + 1] |= field >> 32
    return ((words ^ 0x80000000) - 0x80000000).to(torch.int32).flatten(0, 1)  # the same 32 bits, as signed numbers


def unpack(words: Tensor, bits: int) -> Tensor:
    """Return the values (n, m), int64, of which `pack` makes the int32 `words` (n x bits / 32, m)."""
    stream = (words.to(torch.int64) & 0xFFFFFFFF).unflatten(0, (-1, bits))
    fields = []
    for i in range(FIELDS_PER_WORDS):
        word, shift = divmod(i * bits, 32)
        field = stream[:, word] >> shift
        if shift + bits > 32:
            field = field | stream[:, word + 1] << (32 - shift)
        fields.append(field & (2**bits - 1))
    return torch.stack(fields, 1).flatten(0, 1)


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


def refuse_undivided(name: str, rows: int, columns: int) -> None:
    """Raise QuantizationError when 32 doesn't divide the shape of the layer called `name`."""
    if rows % FIELDS_PER_WORDS or columns % FIELDS_PER_WORDS:
        raise QuantizationError(f"'{name}' is {rows} x {columns}; accepted in a packed checkpoint: multiples of 32")


def packed(name: str, weight: IntegerWeight, bits: int) -> dict[str, Tensor]:
    """Return the four stored tensors of the layer called `name`, on the CPU.

    Raises QuantizationError when a zero point or scale has no place in the format or 32 doesn't divide the shape.
    """
    refuse_undivided(name, *weight.shape)
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


def unpacked(name: str, tensors: Mapping[str, Tensor], less_one: bool, carries: bool) -> IntegerWeight:
    """Return the weight of the layer called `name` from its four stored tensors, at whatever bits they have.

    `less_one`: zero points are stored less one, as in the format's first version; `carries`: its writer took the one
    off whole words, so that adding it to whole words gives back a zero point of 0. Elsewhere readers differ on such a
    field. Raises QuantizationError for tensors of another layout, or with a field on which readers differ.
    """
    missing = [field for field in ("qweight", "qzeros", "scales", "g_idx") if f"{name}.{field}" not in tensors]
    if missing:
        raise QuantizationError(f"'{name}' has no {', '.join(missing)}; accepted: qweight, qzeros, scales and g_idx")
    words, zeros, scales, groups = (tensors[f"{name}.{field}"] for field in ("qweight", "qzeros", "scales", "g_idx"))
    if [each.dim() for each in (words, zeros, scales, groups)] != [2, 2, 2, 1]:
        found = ", ".join(str(tuple(each.shape)) for each in (words, zeros, scales, groups))
        raise QuantizationError(f"'{name}' is stored as {found}; accepted: matrices and, of g_idx, a row")
    if groups.is_floating_point() or groups.dtype == torch.bool or not scales.is_floating_point():
        raise QuantizationError(f"'{name}' has {scales.dtype} scales, {groups.dtype} g_idx; accepted: floats, integers")
    (n_groups, rows), n_words = scales.shape, words.shape[0]
    bits, left = divmod(32 * n_words, max(1, len(groups)))
    if left or bits not in BITS or words.dtype != torch.int32 or words.shape[1] != rows:
        found = f"{words.dtype} {tuple(words.shape)} for {rows} x {len(groups)} weights"
        raise QuantizationError(f"'{name}.qweight' is {found}; accepted: int32, {', '.join(map(str, BITS))} bits each")
    inside = bool(((groups >= 0) & (groups < n_groups)).all())
    if zeros.dtype != torch.int32 or zeros.shape != (n_groups, rows * bits // 32) or not inside:
        found = f"{zeros.dtype} {tuple(zeros.shape)}, groups up to {int(groups.max())}"
        raise QuantizationError(f"'{name}.qzeros' is {found}; accepted: int32 ({n_groups}, {rows * bits // 32})")
    zero = _zero_points(name, zeros.T, bits, carries) if less_one else unpack(zeros.T, bits)
    codes = unpack(words, bits).T.to(torch.uint8)
    return IntegerWeight(codes, scales.T.float(), zero.float(), groups.to(torch.int64))


def _zero_points(name: str, words: Tensor, bits: int, carries: bool) -> Tensor:
    """Return zero points (rows, groups) from words that hold them less one."""
    fields = unpack(words, bits)
    if not bool((fields == 2**bits - 1).any()):
        return fields + 1
    if not carries or bits == 3:  # a field that lies in two words has no carry that writers agree on
        found = f"a zero point stored as {2**bits - 1}, which readers take for 0 or {2**bits}"
        raise QuantizationError(f"'{name}' has {found}; accepted: up to {2**bits - 2} (zero points less one)")
    ones = pack(torch.ones_like(fields), bits)
    return unpack(words + ones, bits)


def as_stored(weight: IntegerWeight) -> IntegerWeight:
    """Return the weight as a reader of the packed file sees it: scales rounded to float16."""
    return IntegerWeight(weight.codes, weight.scale.half().float(), weight.zero, weight.group_of_column)


def quantization_config(scheme: QuantScheme, in_order: bool) -> dict[str, Any]:
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


def kept_config(packed_modules: Sequence[str], kept_modules: Sequence[str]) -> dict[str, Any]:
    """Return what the configuration adds where modules, by full name, are kept: for GPTQModel, and for transformers."""
    if not kept_modules:
        return {}
    return {
        "dynamic": {f"-:^{re.escape(name)}$": {} for name in kept_modules},
        "modules_in_block_to_quantize": [list(packed_modules)],
    }
