"""From a checkpoint's description to a model whose weights are known to be the right ones.

Any decoder that transformers itself knows is taken; safetensors only, and never code that comes with a checkpoint. A
checkpoint is a local folder or a revision of a Hub repository.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from helpers.measure.models.as_linear import OF_EXPERTS, has_experts, in_parts, loaded_in_parts, with_linear_layers
from helpers.measure.models.decoders import caps_attention, decoder_of
from helpers.measure.models.failures import refusals_named, said_of
from helpers.measure.models.hub import having, hf_olmo
from helpers.measure.models.hub.storage import SHARED, Storage
from helpers.measure.models.shards import SINGLE, hash_of_all, refuse_second_answer, weight_names
from helpers.measure.models.trial import refuse_another_walk
from helpers.table.checkpoint import NOTHING_BESIDE, Beside, CheckpointSpec
from helpers.table.errors import CheckpointError
from helpers.table.families.catalogue import MANIFEST
from helpers.table.readers import read_json_mapping
from helpers.table.records import digest

# What a configuration may say that makes its weights others than those the two names above hold
OTHER_WEIGHTS = {
    "auto_map": "needs code of its own ('auto_map'); accepted: what transformers itself knows",
    "quantization_config": "the weights are quantized already ('quantization_config'); accepted: a 16-bit original",
    "compression_config": "the weights are compressed ('compression_config'); accepted: a 16-bit original",
    "transformers_weights": f"names another file of weights ('transformers_weights'); accepted: {SINGLE} or its shards",
}
UNDECIDING = ("transformers_version", "architectures", "_name_or_path", "dtype", "torch_dtype", "use_cache")
STORED_AS = ("BF16", "F16", "F32", "F64")
LAYER_COUNTS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
MOST_LAYERS = 1_000  # more are a damaged file: nobody has so many, and planning them would take minutes
POSITIONS = ("max_position_embeddings", "n_positions")
# Buffers that checkpoints of older transformers carry and newer ones compute
OBSOLETE_KEYS = (
    *("attention.bias", "attention.masked_bias", "rotary_emb.inv_freq"),
    *("attn.bias", "attn.masked_bias"),  # GPT-2's masks
)


@dataclass(frozen=True)
class LocalCheckpoint:
    """A checkpoint on this disk: its folder, the content address of its weights, the commit if it has one.

    `beside` is what else its rows' keys need; `pickle_sha256` stands for the pickles that it was converted from.
    """

    folder: Path
    weights_sha256: str
    commit: str | None
    beside: Beside = NOTHING_BESIDE
    pickle_sha256: str | None = None


def describe(spec: CheckpointSpec, from_pickle: bool = False, storage: Storage = SHARED) -> LocalCheckpoint:
    """Return a checkpoint as far as its rows' keys need it: of a Hub revision no weights are downloaded.

    Its folder has the configuration and the tokenizer. Where the Hub doesn't say the weights' hash they are fetched.
    Raises as `fetch` does.
    """
    if spec.revision is None:
        return fetch(spec)
    return _local(spec, having.described(spec.location, spec.revision, from_pickle, storage))


def fetch(spec: CheckpointSpec, from_pickle: bool = False, storage: Storage = SHARED) -> LocalCheckpoint:
    """Return the checkpoint's folder on this disk, downloading a Hub revision into `storage` first if need be.

    Weights are hashed only where neither the description nor the Hub says what they must be; `load` verifies them.
    Raises CheckpointError when it is missing, has no safetensors, or another configuration than is described: a row's
    id has the weights, not what is computed with them.
    """
    here = having.Here(Path(spec.location))
    if spec.revision is not None:
        here = having.with_weights(spec.location, spec.revision, from_pickle, storage)
    weight_files(here.folder)
    return _local(spec, here)


def _local(spec: CheckpointSpec, here: having.Here) -> LocalCheckpoint:
    refuse_another_architecture(here.folder, spec.architecture)
    sha256 = spec.weights_sha256 or here.weights_sha256 or weights_sha256(here.folder)
    beside = NOTHING_BESIDE if spec.architecture is not None else beside_of(here.folder)
    return LocalCheckpoint(here.folder, sha256, here.commit, beside, here.pickle_sha256)


def weight_files(folder: Path, refused: Mapping[str, str] = OTHER_WEIGHTS) -> list[Path]:
    """Return the files that are a checkpoint's weights: those that are hashed, loaded and packed.

    Raises CheckpointError when one is missing, when the folder has two answers (a single file beside the shards of
    an index, an adapter beside the model), and as `config_of` does where the configuration names others.
    """
    names = weight_names(folder)
    for name in ("config.json", *names):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name}: missing (accepted: a folder with config.json and safetensors)")
    refuse_second_answer(folder, names, lambda name: (folder / name).exists())
    settings_of(folder, refused)
    return [folder / name for name in names]


def settings_of(folder: Path, refused: Mapping[str, str] = OTHER_WEIGHTS) -> dict[str, Any]:
    """Return what config.json holds. Raises CheckpointError where it says what is in `refused`, with the reason there.

    By default that is what makes the weights others than those of a 16-bit original in `weight_files`.
    """
    path = folder / "config.json"
    try:
        settings = read_json_mapping(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from None
    known = ("auto_map",) if hf_olmo.is_hf_olmo(settings) else ()  # that code isn't run: its layout is read here
    for part in (settings, *(value for value in settings.values() if isinstance(value, dict))):
        for name, complaint in refused.items():
            if part.get(name) is not None and name not in known:
                raise CheckpointError(f"{path}: {complaint}")
        for name in LAYER_COUNTS:
            if isinstance(part.get(name), int) and part[name] > MOST_LAYERS:
                raise CheckpointError(f"{path}: '{name}' is {part[name]}; accepted: at most {MOST_LAYERS}")
        for name in POSITIONS:
            if isinstance(part.get(name), int) and part[name] < 1:
                raise CheckpointError(f"{path}: '{name}' is {part[name]}; accepted: 1 or more")
    return settings


def architecture_of(folder: Path) -> str:
    """Return the hash of what a checkpoint's config.json decides: all but versions, names and how it was stored."""
    settings = {name: value for name, value in settings_of(folder).items() if name not in UNDECIDING}
    return digest(json.dumps(settings, sort_keys=True))


def beside_of(folder: Path) -> Beside:
    """Return the hashes of what lies beside a checkpoint's weights: its configuration and, if any, its tokenizer."""
    home = tokenizer_folder(folder)
    of_tokenizer = None if home is None else hashlib.sha256((home / "tokenizer.json").read_bytes()).hexdigest()
    return Beside(architecture_of(folder), of_tokenizer)


def refuse_another_architecture(folder: Path, described: str | None) -> None:
    """Raise CheckpointError where config.json decides something else than the hash that describes it."""
    if described is not None and (found := architecture_of(folder)) != described:
        path = folder / "config.json"
        raise CheckpointError(f"{path}: not the configuration described (hash {found}, not {described})")


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of a checkpoint's one weight file, or a digest of those of its shards."""
    hashes = {}
    for path in weight_files(folder):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hash_of_all(hashes)


def config_of(folder: Path, refused: Mapping[str, str] = OTHER_WEIGHTS) -> PretrainedConfig:
    """Return a checkpoint's configuration, with the attention that does all it says.

    Raises CheckpointError when it is missing, of a type that transformers doesn't know, names code of its own, or says
    that the weights are quantized or elsewhere.
    """
    path = folder / "config.json"
    settings = settings_of(folder, refused)
    if hf_olmo.is_hf_olmo(settings):
        return hf_olmo.config_of(settings, path)
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever transformers and its checks raise of a file that they can't use
        raise CheckpointError(f"{path}: {said_of(error)}") from None
    if caps_attention(config):
        config._attn_implementation = "eager"
    return config


def load(checkpoint: LocalCheckpoint, device: str) -> PreTrainedModel:
    """Load a decoder's checkpoint in float32 for evaluation, every parameter from the file.

    Raises CheckpointError when the weights aren't those described, the structure isn't known, or a parameter would
    stay at its random start (the output head of renamed keys is the classic case).
    """
    refuse_other_weights(checkpoint)
    refuse_other_numbers(checkpoint.folder)
    model = ready(model_from(checkpoint.folder, config_of(checkpoint.folder))).to(device)
    refuse_another_walk(decoder_of(model))
    return model


def refuse_other_weights(checkpoint: LocalCheckpoint) -> None:
    """Raise CheckpointError where a checkpoint's files aren't the weights that describe it."""
    folder, expected = checkpoint.folder, checkpoint.weights_sha256
    sha256 = weights_sha256(folder)
    if sha256 != expected:
        raise CheckpointError(f"{folder}: weights are altered or truncated (sha256 {sha256[:16]}, not {expected[:16]})")


def ready(model: PreTrainedModel) -> PreTrainedModel:
    """Return a loaded model for evaluation, its matrices linear layers."""
    model.eval().requires_grad_(False)
    with_linear_layers(model)
    return model


def model_from(
    folder: Path, config: PretrainedConfig, kind: Any = AutoModelForCausalLM, **more: Any
) -> PreTrainedModel:
    """Return transformers' model of the files in `folder` or of a `state_dict`, every parameter from there.

    `more` is what else `from_pretrained` takes; a state dict needs the model's own class as `kind`.
    Raises CheckpointError that begins with `folder`.
    """
    if has_experts(config):
        kind = in_parts(AutoModelForCausalLM._model_mapping[type(config)] if kind is AutoModelForCausalLM else kind)
        more["key_mapping"] = OF_EXPERTS[config.model_type]
    with refusals_named(folder):
        if "state_dict" not in more and hf_olmo.is_hf_olmo(settings_of(folder, refused={})):
            kind = AutoModelForCausalLM._model_mapping[type(config)] if kind is AutoModelForCausalLM else kind
            more["state_dict"] = hf_olmo.tensors_of(folder, config)
        model, info = kind.from_pretrained(
            None if "state_dict" in more else folder,
            **more,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    unexpected = [key for key in info["unexpected_keys"] if not key.endswith(OBSOLETE_KEYS)]
    wrong = sorted({*info["missing_keys"], *unexpected, *(str(key) for key in info["mismatched_keys"])})
    if wrong:
        raise CheckpointError(f"{folder}: parameters missing, unknown or of another shape: {', '.join(wrong)}")
    loaded: PreTrainedModel = model
    loaded_in_parts(loaded)
    return loaded


def refuse_other_numbers(folder: Path) -> None:
    """Raise CheckpointError for stored numbers of other kinds than a 16-bit original's, or a name in two shards."""
    for path, name, part in stored_parts(folder):
        kind = part.get_dtype()
        if kind not in STORED_AS and not name.endswith(OBSOLETE_KEYS):
            raise CheckpointError(f"{path}: '{name}' is stored as {kind}; accepted: {', '.join(STORED_AS)}")


def stored_parts(folder: Path, refused: Mapping[str, str] = OTHER_WEIGHTS) -> Iterator[tuple[Path, str, Any]]:
    """Yield the file, name and header (safetensors' slice) of each tensor that a checkpoint stores; no number is read.

    Raises CheckpointError as `weight_files` does, for files that can't be read, or for a name in two shards.
    """
    seen: set[str] = set()
    for path in weight_files(folder, refused):
        with refusals_named(folder), safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                if name in seen:
                    raise CheckpointError(f"{path}: '{name}' is in another shard too; accepted: one of them")
                seen.add(name)
                yield path, name, file.get_slice(name)


def nonfinite_weights(model: PreTrainedModel) -> list[str]:
    """Return the names of the parameters that hold something that isn't a number."""
    return [name for name, parameter in model.named_parameters() if not bool(torch.isfinite(parameter).all())]


def all_finite(model: PreTrainedModel) -> bool:
    """Tell whether every weight is a number."""
    return not nonfinite_weights(model)


def tokenizer_folder(folder: Path) -> Path | None:
    """Return where a checkpoint's tokenizer is: its own folder or, where that has none, its family's.

    A family's folder has a manifest and is one or two above. None where there is no tokenizer.
    """
    above = [*Path(os.path.abspath(folder)).parents[:2], *folder.resolve().parents[:2]]
    places = (folder, *(each for each in above if (each / MANIFEST).exists()))
    return next((place for place in places if (place / "tokenizer.json").is_file()), None)


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer that a file holds, as it stands there. Raises CheckpointError where it can't be read."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise CheckpointError(f"{path}: not a tokenizer ({said_of(error)})") from None


def tokenizer_of(folder: Path) -> Tokenizer:
    """Return the tokenizer of a checkpoint, without what encoding must not do: padding, cutting, dropout.

    Text is encoded as it is: no start token is put before it. Raises CheckpointError when there is none (see
    `tokenizer_folder`), it can't be read, or its ids go beyond the embedding of the checkpoint in `folder`.
    """
    home = tokenizer_folder(folder)
    if home is None:
        raise CheckpointError(f"{folder}: no tokenizer.json there or in the family's folder")
    path = home / "tokenizer.json"
    tokenizer = read_tokenizer(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if getattr(tokenizer.model, "dropout", None) is not None:
        tokenizer.model.dropout = None
    if (folder / "config.json").exists():
        rows = settings_of(folder, {}).get("vocab_size")
        highest = max(tokenizer.get_vocab(with_added_tokens=False).values(), default=0)
        if isinstance(rows, int) and highest >= rows:
            raise CheckpointError(f"{path}: ids up to {highest}, more than the model's embedding of {rows} rows")
    return tokenizer
