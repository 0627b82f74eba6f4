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
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from helpers.measure.models import checkpoints
from helpers.measure.models.as_linear import has_experts, has_transposed
from helpers.measure.models.decoders import Decoder, meta_model
from helpers.measure.models.hub.hf_olmo import is_hf_olmo
from helpers.measure.models.stacking import listening
from helpers.measure.packing import provenance
from helpers.measure.packing.gptq_format import BITS, kept_config, packed, quantization_config, refuse_undivided
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.grids import IntegerWeight, consecutive_groups
from helpers.measure.rounding.methods import method_named
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.text.own_texts import OwnTexts
from helpers.table import disk
from helpers.table.errors import CheckpointError, QuantizationError, SpecError
from helpers.table.readers import read_json_mapping
from helpers.table.records import given
from helpers.table.scheme import QuantScheme

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
CHAT_TEMPLATES = "additional_chat_templates"  # a folder that transformers writes
DESCRIPTIONS = ("config.json", "quantize_config.json", "checkpoint.json", provenance.NAME)
WEIGHTS = (".safetensors", ".index.json", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx", ".npz")


def refuse(scheme: QuantScheme, out: Path) -> None:
    """Raise SpecError when the format can't hold `scheme` or `out` exists; nothing is written over."""
    if scheme.format != "int":
        raise SpecError(f"'format' is '{scheme.format}'; accepted in a packed checkpoint: int")
    if scheme.bits not in BITS:
        raise SpecError(f"'bits' is {scheme.bits}; accepted in a packed checkpoint: {', '.join(map(str, BITS))}")
    if method_named(scheme.method).rotated:
        raise SpecError(f"'method' is '{scheme.method}'; accepted in a packed checkpoint: one without a rotation")
    if scheme.activation_format is not None:
        raise SpecError(f"'activation_format' is '{scheme.activation_format}'; accepted in a packed checkpoint: null")
    if out.exists():
        raise SpecError(f"{out}: exists already; accepted: a folder that doesn't")


def refuse_unstorable(checkpoint: Checkpoint, scheme: QuantScheme, out: Path) -> None:
    """Raise, before any layer is rounded, what would be raised after it: what the plan and the stored names tell.

    QuantizationError for a width that the format has no place for, CheckpointError for a layer that isn't stored under
    its name in the model or is stored transposed, ResultsError for a place that can't be written or has no room for
    the packed weights.
    """
    _refuse_unpackable(checkpoint.folder)
    decoder, stored = checkpoint.decoder, {name for _, name, _ in checkpoints.stored_parts(checkpoint.folder)}
    n_bits = 0
    for name, layer in decoder.linear_layers().items():
        if decoder.short_name(name) in scheme.kept_matrices:
            continue
        refuse_undivided(name, *layer.weight.shape)
        if f"{name}.weight" not in stored:
            shape = tuple(layer.weight.shape)
            raise CheckpointError(f"{checkpoint.folder}: '{name}.weight' is {shape} when rounded, no such weight there")
        n_bits += layer.weight.numel() * given(scheme.bits)
    disk.refuse_unwritable(out, n_bits // 8)


def export_rounded(
    folder: Path,
    scheme: QuantScheme,
    out: Path,
    device: str = "cpu",
    own: OwnTexts | None = None,
    tell: Callable[[float], None] = lambda _n_passed: None,
) -> tuple[Rounded, QuantScheme]:
    """Round the checkpoint in `folder` and write it packed to the new folder `out`; return what was rounded, and how.

    It is calibrated on the project's own text, or on `own`; `tell` is called with the number of calibration sequences
    that have passed all blocks so far, a sequence that has passed some of them as that share.
    What can be refused is refused before the work. Raises what `refuse`, `refuse_unstorable`, `one_checkpoint` and
    `export` do, and ResultsError when another process writes `out`.
    """
    refuse(scheme, out)
    disk.refuse_unwritable(out)
    with disk.exclusive(out, doing="writing"):
        checkpoint, weights_sha256 = one_checkpoint.load_folder(folder, device)
        refuse_unstorable(checkpoint, scheme, out)
        scheme, tokens = one_checkpoint.calibrated(checkpoint, scheme, own)
        with _counted_passes(checkpoint.decoder, tell):
            rounded = one_checkpoint.round_checkpoint(checkpoint, scheme, tokens)
        _write(folder, rounded, scheme, out, weights_sha256)
    return rounded, scheme


@contextlib.contextmanager
def _counted_passes(decoder: Decoder, tell: Callable[[float], None]) -> Iterator[None]:
    """Call `tell` with how many sequences have passed all blocks so far, whenever a block has been passed."""
    passed = 0.0
    n_passes = max(1, len(decoder.blocks) - 1)  # nothing needs what the last block puts out

    def count(n_sequences: int) -> None:
        nonlocal passed
        passed += n_sequences / n_passes
        tell(passed)

    with listening(count):
        yield


def export(folder: Path, rounded: Rounded, scheme: QuantScheme, out: Path) -> None:
    """Write the checkpoint in `folder`, its layers rounded, to the new folder `out`: whole or not at all.

    Raises SpecError as `refuse` does, CheckpointError when the checkpoint lacks a rounded or kept layer or is GPT-2's,
    QuantizationError when a layer has no place in the format or nothing is rounded, ResultsError when the disk refuses.
    """
    refuse(scheme, out)
    with disk.exclusive(out, doing="writing"):
        _write(folder, rounded, scheme, out, checkpoints.weights_sha256(folder))


def _write(folder: Path, rounded: Rounded, scheme: QuantScheme, out: Path, weights_sha256: str) -> None:
    if not rounded.weights:
        raise QuantizationError("nothing is rounded; accepted in a packed checkpoint: one matrix or more")
    _refuse_unpackable(folder)
    tensors = _tensors(folder)
    in_order = True
    for parameter, weight in rounded.weights.items():
        original = tensors.pop(parameter, None)
        if original is None or original.shape != weight.shape:
            found = "no such weight" if original is None else f"{tuple(original.shape)} there"
            raise CheckpointError(f"{folder}: '{parameter}' is {tuple(weight.shape)} when rounded, {found}")
        if not isinstance(weight, IntegerWeight):  # where AWQ scales a matrix it is none
            raise QuantizationError(f"'{parameter}' isn't codes on a grid; accepted in a packed checkpoint: only those")
        tensors |= packed(parameter.removesuffix(".weight"), weight, given(scheme.bits))
        expected = consecutive_groups(weight.shape[1], scheme.group_size, weight.codes.device)
        in_order &= torch.equal(weight.group_of_column, expected)
    packed_modules = [parameter.removesuffix(".weight") for parameter in rounded.weights]
    kept_modules = [_stored_module(folder, tensors, name) for name in scheme.kept_matrices]
    quantization = quantization_config(scheme, in_order) | kept_config(packed_modules, kept_modules)
    config = read_json_mapping(folder / "config.json") | {"quantization_config": quantization}
    with disk.whole_folder(out) as unfinished, disk.refusals_named(out):
        (unfinished / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        save_file(tensors, unfinished / "model.safetensors", metadata={"format": "pt"})
        shutil.copymode(unfinished / "config.json", unfinished / "model.safetensors")  # safetensors: the owner's alone
        if not kept_modules:
            (unfinished / "quantize_config.json").write_text(
                json.dumps(quantization, indent=2) + "\n", encoding="utf-8"
            )
        made = provenance.made_of(weights_sha256, scheme, rounded, unfinished / "model.safetensors")
        (unfinished / provenance.NAME).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        _copy_others(folder, unfinished)


def _refuse_unpackable(folder: Path) -> None:
    """Raise CheckpointError for experts, whose packed form isn't tried with any program, and for transposed matrices.

    A square one that is stored as (columns, rows) would be packed as it isn't.
    """
    config = checkpoints.config_of(folder)
    if is_hf_olmo(checkpoints.settings_of(folder)):
        raise CheckpointError(f"{folder}: OLMo's own layout; accepted in a packed checkpoint: transformers' layout")
    if has_experts(config):
        raise CheckpointError(
            f"{folder}: {config.model_type} has experts; accepted in a packed checkpoint: models without"
        )
    if has_transposed(meta_model(config)):
        raise CheckpointError(f"{folder}: stored as Conv1D, (columns, rows); accepted in a packed checkpoint: Linear")


def _stored_module(folder: Path, tensors: dict[str, Tensor], kept: str) -> str:
    """Return the full name of a kept matrix's module, of which `kept` has block and layer; it isn't packed."""
    modules = [name.removesuffix(".weight") for name in tensors if name.endswith(f".{kept}.weight")]
    if len(modules) != 1:
        raise CheckpointError(f"{folder}: {len(modules)} weights in 16 bits that end in '{kept}.weight'; accepted: one")
    return modules[0]


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Return every tensor of a checkpoint by name, as stored."""
    tensors: dict[str, Tensor] = {}
    for path in checkpoints.weight_files(folder):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    return tensors


def _copy_others(folder: Path, out: Path) -> None:
    """Copy all that isn't weights: tokenizer (the family's if need be), chat template, licence, settings."""
    home = checkpoints.tokenizer_folder(folder) or folder
    for path in (*sorted(folder.iterdir()), *(home / name for name in TOKENIZER_FILES)):
        if path.is_file() and not (out / path.name).exists() and not _stays(path):
            shutil.copyfile(path, out / path.name)
    if (folder / CHAT_TEMPLATES).is_dir():
        shutil.copytree(folder / CHAT_TEMPLATES, out / CHAT_TEMPLATES)


def _stays(path: Path) -> bool:
    """Tell whether a file is of the original alone: its weights, what describes them, and what is hidden."""
    return path.name.startswith(".") or path.name in DESCRIPTIONS or path.name.endswith(WEIGHTS)
