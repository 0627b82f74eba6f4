"""From a checkpoint's description to a model whose weights are known to be the right ones.

Any decoder that transformers itself knows; safetensors only, and never code that comes with a checkpoint. A checkpoint
is a local folder or a revision of a Hub repository.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.trial import refuse_another_walk
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CheckpointError
from helpers.table.records import digest

HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer.json")
# Buffers that checkpoints of older transformers carry and newer ones compute
OBSOLETE_KEYS = ("attention.bias", "attention.masked_bias", "rotary_emb.inv_freq")


@dataclass(frozen=True)
class LocalCheckpoint:
    """A checkpoint on this disk: its folder, the content address of its weights, the commit if it has one."""

    folder: Path
    weights_sha256: str
    commit: str | None


def fetch(spec: CheckpointSpec) -> LocalCheckpoint:
    """Return the checkpoint's folder on this disk, downloading a Hub revision first if need be.

    Weights are hashed only where the description doesn't say what they must be; `load` verifies them.
    Raises CheckpointError when it is missing or has no safetensors.
    """
    if spec.revision is None:
        folder, commit = Path(spec.location), None
    else:
        folder = _download(spec)
        commit = folder.name
    weight_files(folder)
    return LocalCheckpoint(folder, spec.weights_sha256 or weights_sha256(folder), commit)


def _download(spec: CheckpointSpec) -> Path:
    name = f"{spec.location} at {spec.revision}"
    try:
        return Path(
            huggingface_hub.snapshot_download(spec.location, revision=spec.revision, allow_patterns=[*HUB_FILES])
        )
    except LocalEntryNotFoundError:
        raise CheckpointError(f"{name}: not in the local cache, and the Hub can't be reached") from None
    except (HfHubHTTPError, OSError) as error:
        raise CheckpointError(f"{name}: {str(error).splitlines()[0]}") from None


def weight_files(folder: Path) -> list[Path]:
    """Return a checkpoint's safetensors files. Raises CheckpointError when one is missing."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        names = ["model.safetensors"]
    for name in ("config.json", *names):
        if not (folder / name).exists():
            raise CheckpointError(f"{folder / name}: missing (accepted: a folder with config.json and safetensors)")
    return [folder / name for name in names]


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of a checkpoint's one weight file, or a digest of those of its shards."""
    hashes = {}
    for path in weight_files(folder):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return next(iter(hashes.values())) if len(hashes) == 1 else digest(hashes)


def config_of(folder: Path) -> PretrainedConfig:
    """Return a checkpoint's configuration.

    Raises CheckpointError when it is missing, of a type that transformers doesn't know, or names code of its own.
    """
    path = folder / "config.json"
    try:
        settings = json.loads(path.read_text())
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from None
    if "auto_map" in settings:
        raise CheckpointError(f"{path}: needs code of its own ('auto_map'); accepted: what transformers itself knows")
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: {str(error).splitlines()[0]}") from None


def load(checkpoint: LocalCheckpoint, device: str) -> PreTrainedModel:
    """Load a decoder's checkpoint in float32 for evaluation, every parameter from the file.

    Raises CheckpointError when the weights aren't those described, the structure isn't known, or a parameter would
    stay at its random start (the output head of renamed keys is the classic case).
    """
    folder = checkpoint.folder
    found = weights_sha256(folder)
    if found != checkpoint.weights_sha256:
        expected = checkpoint.weights_sha256
        raise CheckpointError(f"{folder}: weights are altered or truncated (sha256 {found[:16]}, not {expected[:16]})")
    model = _from_files(folder, config_of(folder)).eval().requires_grad_(False).to(device)
    refuse_another_walk(decoder_of(model))
    return model


def _from_files(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: can't be loaded ({str(error).splitlines()[0]})") from None
    unexpected = [key for key in info["unexpected_keys"] if not key.endswith(OBSOLETE_KEYS)]
    wrong = sorted({*info["missing_keys"], *unexpected, *(str(key) for key in info["mismatched_keys"])})
    if wrong:
        raise CheckpointError(f"{folder}: parameters missing, unknown or of another shape: {', '.join(wrong)}")
    return model


def all_finite(model: PreTrainedModel) -> bool:
    """Tell whether every weight is a number."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def tokenizer_of(folder: Path) -> Tokenizer:
    """Return the tokenizer of a checkpoint: in its folder or, for a family, in a folder above.

    Raises CheckpointError when there is none.
    """
    for place in (folder, *folder.parents[:2]):
        if (place / "tokenizer.json").exists():
            return Tokenizer.from_file(str(place / "tokenizer.json"))
    raise CheckpointError(f"{folder}: no tokenizer.json there or in the family's folder")
