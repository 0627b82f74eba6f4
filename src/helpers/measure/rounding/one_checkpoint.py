"""One checkpoint's folder, loaded, calibrated and rounded: what `qid export` and budgets of loss begin with."""

from pathlib import Path

from torch import Tensor

from helpers.measure.models import checkpoints, memory, opening
from helpers.measure.models.decoders import linear_shapes, positions_of
from helpers.measure.models.precision import refuse_missing_device
from helpers.measure.rounding import methods
from helpers.measure.rounding.group_size import WHOLE_ROW, default_group_size
from helpers.measure.rounding.refusals import unknown_matrix
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.text.corpus_lock import read_lock
from helpers.measure.text.extent import window_length
from helpers.measure.text.own_texts import OwnTexts
from helpers.measure.text.tokenized import Source, with_calibration
from helpers.table.errors import CheckpointError, QuantizationError
from helpers.table.readers import read_json_mapping
from helpers.table.records import verified
from helpers.table.scheme import QuantScheme
from helpers.table.words import shown

SEQ_LEN = 512  # tokens of a calibration sequence, where the model's window has so many


def gptq_scheme(bits: int, group_size: int | None, symmetric: bool, seq_len: int = SEQ_LEN) -> QuantScheme:
    """Return GPTQ's scheme as this project runs it: damping 0.01, 128 calibration sequences, `seq_len` tokens each."""
    return QuantScheme(
        method="gptq",
        bits=bits,
        group_size=group_size,
        symmetric=symmetric,
        rel_damp=0.01,
        calib_sequences=128,
        calib_seq_len=seq_len,
        calib_seed=0,
    )


def load_folder(folder: Path, device: str) -> tuple[Checkpoint, str]:
    """Load the checkpoint in `folder` on `device`; return it and the hash of its weights.

    Raises CheckpointError when weights or configuration aren't those described beside them or weights aren't numbers,
    SpecError for a device that isn't there.
    """
    refuse_missing_device(device)
    checkpoints.weight_files(folder)  # raises first when there is no checkpoint
    described = _description(folder)
    checkpoints.refuse_another_architecture(folder, described.get("architecture"))
    sha256 = described.get("weights_sha256") or checkpoints.weights_sha256(folder)
    local = checkpoints.LocalCheckpoint(folder, sha256, None)
    model = opening.open_stored(local).to(device)
    nonfinite = checkpoints.nonfinite_weights(model)
    if nonfinite:
        raise CheckpointError(f"{folder}: nonfinite weights in {', '.join(nonfinite)}")
    return Checkpoint(model, folder), local.weights_sha256


def gptq_scheme_for(folder: Path, bits: int, group_size: int | None, symmetric: bool) -> QuantScheme:
    """Return `gptq_scheme` for the model in `folder`: its `group_size_for`, sequences no longer than its window.

    Raises CheckpointError where there is no model, QuantizationError where no usual group divides its layers.
    """
    checkpoints.weight_files(folder)
    seq_len = window_length(None, SEQ_LEN, positions_of(checkpoints.config_of(folder)))
    return gptq_scheme(bits, group_size_for(folder, group_size), symmetric, seq_len)


def group_size_for(folder: Path, asked: int | None) -> int | None:
    """Return the group size that is asked for, None for one scale a row, else the default of the model in `folder`.

    Raises CheckpointError where there is no model, QuantizationError where no usual group divides its layers.
    """
    if asked is not None:
        return None if asked == WHOLE_ROW else asked
    checkpoints.weight_files(folder)
    shapes = linear_shapes(checkpoints.config_of(folder))
    return default_group_size(columns for _, columns in shapes.values())


def calibrated(
    checkpoint: Checkpoint, scheme: QuantScheme, own: OwnTexts | None = None
) -> tuple[QuantScheme, Tensor | None]:
    """Return the scheme with its calibration's hash, and the tokens: of the project's own text, or of a person's.

    Raises QuantizationError when the scheme doesn't fit the model or names another calibration text than there is,
    CorpusError without the text.
    """
    _refuse_what_does_not_fit(checkpoint, scheme)
    if not methods.method_named(scheme.method).calibrated:
        return scheme, None
    tokenizer = checkpoints.tokenizer_of(checkpoint.folder)
    lock = read_lock() if own is None else None
    return with_calibration(scheme, Source(lock, tokenizer.to_str(), own))


def _refuse_what_does_not_fit(checkpoint: Checkpoint, scheme: QuantScheme) -> None:
    unknown = unknown_matrix(checkpoint.decoder, scheme)
    if unknown:
        raise QuantizationError(unknown)
    for name, layer in checkpoint.decoder.linear_layers().items():
        if layer.in_features % (scheme.group_size or 1):
            raise QuantizationError(
                f"'group_size' {scheme.group_size} doesn't divide {name}'s {layer.in_features} columns"
            )
    reason = methods.method_named(scheme.method).refusal(checkpoint.model.config, scheme)
    if reason:
        raise QuantizationError(reason)


def round_checkpoint(checkpoint: Checkpoint, scheme: QuantScheme, tokens: Tensor | None) -> Rounded:
    """Round one checkpoint. Raises QuantizationError when that fails, as where the device lacks the scheme's dtype."""
    method, budget = methods.method_named(scheme.method), memory.default_budget(checkpoint.model.device.type)
    ((answer,),) = method.quantize([checkpoint], [scheme], tokens, budget)
    if isinstance(answer, QuantizationError):
        raise answer
    return answer


def _description(folder: Path) -> dict[str, str | None]:
    """Return the hashes that the description beside the weights has, or an empty mapping where there is none."""
    path = folder / "checkpoint.json"
    if not path.exists():
        return {}
    try:
        described = verified(read_json_mapping(path))
        said = {"weights_sha256": described["weights_sha256"], "architecture": described.get("architecture")}
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: not a checkpoint's description ({error})") from None
    for name, value in said.items():
        if not isinstance(value, str) and (name, value) != ("architecture", None):
            raise CheckpointError(f"{path}: '{name}' is {shown(value)}; accepted: hexadecimal digits")
    return said
