"""GGUF files as checkpoints: config, weights and tokenizer become a folder in Hugging Face layout.

Most GGUF files hold weights that were rounded already, so what is measured of them is a second rounding: a note beside
the weights says which types of blocks they were stored in. Weights and configuration are read by transformers' own
reader with the package `gguf`; the tokenizer isn't, because that reader gives every tokenizer of a Llama Llama 3's way
of splitting text, whatever `tokenizer.ggml.pre` says, and orders SentencePiece's merges in a way of its own.
"""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from helpers.measure.models.decoders import first_line
from helpers.measure.models.failures import said_of
from helpers.measure.models.gguf.vocabularies import SPLITS, byte_level, sentencepiece
from helpers.table import disk
from helpers.table.errors import CheckpointError
from helpers.table.names import refuse_name
from helpers.table.readers import read_json_mapping
from helpers.table.records import summed, verified

MAGIC = b"GGUF"
SUFFIX = ".gguf"
ARCHITECTURE = "general.architecture"  # the key in the header
CACHE = Path(".cache/gguf")
NOTE = "rounded-before.json"
UNROUNDED = ("F64", "F32", "F16", "BF16")  # the types of tensors that nothing was rounded to codes in
ARCHITECTURES = ("gpt2", "llama", "qwen2", "qwen3")  # of llama.cpp, that decoders are taken apart of here
NORMALIZED = ("tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.precompiled_charsmap")
WRONG_KEYS = ("missing_keys", "unexpected_keys", "mismatched_keys")  # of what transformers says of a loading


@dataclass(frozen=True)
class RoundedBefore:
    """The note on how a GGUF file stored its weights: types with their numbers of weights, and mean bits a weight.

    `bits_of_blocks` is the mean over the matrices of the blocks, which are those that a sweep rounds again.
    """

    types: dict[str, int]
    mean_bits: float
    bits_of_blocks: float

    @property
    def rounded(self) -> bool:
        """Return whether some weights were rounded to codes."""
        return any(name not in UNROUNDED for name in self.types)

    def __str__(self) -> str:
        """Return the sentence that stands wherever these weights are measured."""
        total = sum(self.types.values())
        largest_first = sorted(self.types.items(), key=lambda kind: -kind[1])
        shares = ", ".join(f"{name} {n_weights / total:.1%}" for name, n_weights in largest_first)
        return (
            f"weights that were rounded before, to {self.bits_of_blocks:.2f} bits a weight in the blocks"
            f" ({self.mean_bits:.2f} in all; {shares} of the weights): the baseline is the model as stored, not its"
            " 16-bit original, and QiD is of a second rounding"
        )


def cached_checkpoint_of(path: Path, cache: Path) -> Path:
    """Return the folder of a GGUF file's model: by the file's hash in `cache`, made once, whole or not at all.

    Raises SpecError for a name that no folder can have, else as `write_checkpoint_of`, and ResultsError while another
    process makes it.
    """
    refuse_name(path.stem, "the file's name")
    _refuse_no_file(path)
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    folder = cache / sha256[:16] / path.stem
    with disk.exclusive(folder, doing="unpacking into"):
        if not folder.exists():
            write_checkpoint_of(path, folder)
    return folder


def stored_kinds(path: Path, parameters: Iterable[str]) -> dict[str, tuple[str, float]]:
    """Return how a file stores those of a model's parameters that it has: the type's name, and bits a number.

    Scales of a type's blocks are in its bits. Raises CheckpointError as `write_checkpoint_of` does.
    """
    reader = _opened(path)
    import gguf

    kinds = {}
    with _header_of(path):
        named = _said(reader, ARCHITECTURE)
        (architecture,) = [key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == named]
        names = gguf.get_tensor_name_map(architecture, _said(reader, f"{named}.block_count"))
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        for parameter in parameters:
            tensor = tensors.get(names.get_name(parameter, try_suffixes=(".weight", ".bias")))
            if tensor is not None:
                kinds[parameter] = (tensor.tensor_type.name, 8 * int(tensor.n_bytes) / int(tensor.n_elements))
    return kinds


def rounded_before(folder: Path) -> RoundedBefore | None:
    """Return what the note in a folder says, None where there is none or nothing was rounded to codes.

    Raises CheckpointError for a note that was changed.
    """
    path = folder / NOTE
    if not path.exists():
        return None
    try:
        said = verified(read_json_mapping(path))
        types = {str(name): int(n_weights) for name, n_weights in said["types"].items()}
        note = RoundedBefore(types, float(said["mean_bits"]), float(said["bits_of_blocks"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a note on weights that were rounded before ({error})") from None
    return note if note.rounded else None


def write_checkpoint_of(path: Path, out: Path) -> RoundedBefore:
    """Write a GGUF file's model into the folder `out`: config.json, float32 safetensors, tokenizer.json and the note.

    Float32 holds each stored value exactly. Raises CheckpointError in one line for what isn't a whole GGUF file of a
    known architecture and tokenizer, ResultsError when the disk refuses; nothing is left behind then.
    """
    reader = _opened(path)
    with _header_of(path):
        note, tokenizer = _note_of(reader), _tokenizer_of(reader, path)
    with disk.whole_folder(out) as partial, disk.refusals_named(out):
        _model_of(reader, path).save_pretrained(partial)
        tokenizer.save(str(partial / "tokenizer.json"))
        (partial / NOTE).write_text(json.dumps(summed(asdict(note)), indent=1) + "\n", encoding="utf-8")
    return note


def _refuse_no_file(path: Path) -> None:
    """Raise CheckpointError for what would be waited for, or never ends: a pipe, a device."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise CheckpointError(f"{path}: a pipe or a device; accepted: a file")


def _opened(path: Path) -> Any:
    """Return the package's reader of a file whose architecture is known and that holds each tensor its header names."""
    try:
        import gguf
    except ImportError:
        raise CheckpointError(
            f"{path}: a GGUF file needs the package gguf (an extra, `measure`); it isn't installed"
        ) from None
    _refuse_no_file(path)
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    if magic != MAGIC:
        raise CheckpointError(f"{path}: not a GGUF file (it begins with {magic!r}, not {MAGIC!r})")
    with _header_of(path):
        reader = gguf.GGUFReader(path)
        architecture = _said(reader, ARCHITECTURE)
    if architecture not in ARCHITECTURES:
        raise CheckpointError(f"{path}: architecture {architecture!r:.60}; accepted: {', '.join(ARCHITECTURES)}")
    return reader


@contextlib.contextmanager
def _header_of(path: Path) -> Iterator[None]:
    """Turn whatever numpy and the package raise of a header that makes no sense into a CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path}: not a whole GGUF file ({said_of(error):.120})") from None


def _said(reader: Any, key: str) -> Any:
    """Return the value of a key of the header, None where it isn't there."""
    field = reader.fields.get(key)
    return None if field is None else field.contents()


def _note_of(reader: Any) -> RoundedBefore:
    weights = Counter[str]()
    for tensor in reader.tensors:
        weights[tensor.tensor_type.name] += int(tensor.n_elements)
    matrices = [tensor for tensor in reader.tensors if tensor.name.startswith("blk.") and len(tensor.shape) > 1]
    return RoundedBefore(dict(weights), _mean_bits(reader.tensors), _mean_bits(matrices))


def _mean_bits(tensors: Any) -> float:
    return 8 * sum(int(each.n_bytes) for each in tensors) / max(1, sum(int(each.n_elements) for each in tensors))


def _tokenizer_of(reader: Any, path: Path) -> Tokenizer:
    """Return the tokenizer that a file's header holds: byte-level BPE, or SentencePiece's."""
    model, split = _said(reader, "tokenizer.ggml.model"), _said(reader, "tokenizer.ggml.pre")
    if model != "llama" and (model != "gpt2" or split not in SPLITS):
        accepted = f"'gpt2' that splits as one of {', '.join(SPLITS)}, and 'llama'"
        raise CheckpointError(f"{path}: tokenizer {model!r:.60} that splits as {split!r:.60}; accepted: {accepted}")
    tokens, kinds = _said(reader, "tokenizer.ggml.tokens"), _said(reader, "tokenizer.ggml.token_type") or []
    try:
        if model == "gpt2":
            return byte_level(tokens, kinds, _said(reader, "tokenizer.ggml.merges"), SPLITS[split])
        if any(_said(reader, key) for key in NORMALIZED):
            raise ValueError(f"text is changed before it is read; accepted: no {' or '.join(NORMALIZED)}")
        space_before = _said(reader, "tokenizer.ggml.add_space_prefix") is not False
        return sentencepiece(tokens, kinds, _said(reader, "tokenizer.ggml.scores") or [], space_before)
    except Exception as error:  # of the library, in Rust, which raises nothing more special
        raise CheckpointError(f"{path}: not a tokenizer that can be read ({first_line(error):.160})") from None


def _model_of(reader: Any, path: Path) -> Any:
    """Return the model with its weights in float32, every parameter from the file."""
    options = {"gguf_file": path.name, "trust_remote_code": False, "local_files_only": True}
    try:
        _refuse_other_sizes(reader, AutoConfig.from_pretrained(path.parent, **options))
        model, info = AutoModelForCausalLM.from_pretrained(
            path.parent, dtype=torch.float32, output_loading_info=True, **options
        )
        wrong = sorted(str(key) for kind in WRONG_KEYS for key in info[kind])
        if wrong:
            raise CheckpointError(f"parameters missing, unknown or of another shape: {', '.join(wrong)}")
        return _plain(model)
    except Exception as error:  # whatever transformers and torch raise of a file that they can't make a model of
        raise CheckpointError(f"{path}: can't be read ({said_of(error):.300})") from None


def _refuse_other_sizes(reader: Any, config: PretrainedConfig) -> None:
    """Raise CheckpointError where the header says another size than the tensors have, before memory is taken for it."""
    n_blocks = len({tensor.name.split(".")[1] for tensor in reader.tensors if tensor.name.startswith("blk.")})
    if config.num_hidden_layers != n_blocks:
        raise CheckpointError(f"{config.num_hidden_layers} blocks in the header, tensors of {n_blocks}")
    with torch.device("meta"):
        n_params = sum(parameter.numel() for parameter in AutoModelForCausalLM.from_config(config).parameters())
    n_stored = sum(int(tensor.n_elements) for tensor in reader.tensors)
    if n_params != n_stored:
        raise CheckpointError(f"{n_params:,} parameters by the header, {n_stored:,} stored")


def _plain(model: Any) -> Any:
    """Return a model with the same weights that doesn't count as quantized: transformers refuses to save one."""
    config = type(model.config)(**{k: v for k, v in model.config.to_dict().items() if k != "quantization_config"})
    with torch.device("meta"):
        plain = type(model)(config)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    return plain
