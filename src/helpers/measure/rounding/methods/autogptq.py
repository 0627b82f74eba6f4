"""auto-gptq 0.7.1, as released, in a child process: a second opinion on our own GPTQ.

The child (`autogptq_child`) loads the checkpoint, lets auto-gptq round it, and hands the rounded float32 weights
back through safetensors files; importing auto-gptq changes torch and transformers, and this process stays clean.

What is the same as in `methods.gptq`: the column solver with a lower and upper Cholesky factor, damping as a share
of the mean Hessian diagonal, min-max grids (their scales float32, as the model is), no reordering of columns, the
output of a rounded block as input of the next, and the Hessian up to a factor that cancels (2 X^T X / sequences).
`true_sequential`, its default, rounds a block's layers in the order query_key_value, dense, dense_h_to_4h,
dense_4h_to_h, each seeing inputs computed with the earlier ones rounded: ours too, in two stages where attention and
MLP are parallel and so don't see each other.

What differs:

- Blocks of 128 columns: a group that begins inside one gets its grid from weights not yet corrected for the errors
  of the same block (ours: always corrected). Same results where the group is a multiple of 128 or the whole row.
- One damping, no ladder: a Hessian that isn't positive definite is an error.
- A symmetric group without a negative weight gets a grid half as wide as its largest weight needs; a row's only grid
  counts columns whose input is always zero (they are zeroed afterwards).
- Its packed file format isn't used: the weights are read before packing, so the codes' float32 meaning is exact. (The
  format stores zero point - 1 in an unsigned field: a zero point of 0 wraps and damages its neighbours.)
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from helpers.measure.models.streaming.placing import device_of, home_of
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import one_by_one
from helpers.measure.rounding.refusals import not_accepted
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.rounding.stored_bits import grid_bits, stored_bits
from helpers.table.errors import QuantizationError
from helpers.table.records import given
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

METHOD = Method(version=1, calibrated=True, damped=True)

CHILD = "helpers.measure.rounding.autogptq_child"
PACKAGE = "auto_gptq"
DEVICES = ("cpu", "cuda")
LINES_OF_STDERR = 3


def refusal(config: PretrainedConfig, scheme: QuantScheme) -> str | None:
    """Return why auto-gptq can't do exactly what `scheme` says, or None; the child names models it doesn't know."""
    if scheme.rel_damp is None:
        return "auto-gptq needs 'rel_damp'"
    return not_accepted(
        scheme,
        format=("int",),
        grid_search=("minmax",),
        order=("given",),
        propagate=("quantized",),
        hessian_dtype=("float32",),
    )


@one_by_one
def quantize(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor | None
) -> list[Rounded | QuantizationError]:
    """Round a checkpoint's files once per scheme with auto-gptq, on the kind of device that the model is on.

    The model tells names, shapes and device and isn't touched; `calibration` is int64 (n_sequences, seq_len). The
    answer has one entry per scheme, in order; whatever goes wrong, in the child too, is a QuantizationError there.
    """
    model = checkpoint.model
    reason = _unusable(model, calibration)
    if reason:
        return [QuantizationError(reason) for _ in schemes]
    refusals = [refusal(model.config, scheme) for scheme in schemes]
    accepted = [scheme for scheme, refused in zip(schemes, refusals, strict=True) if refused is None]
    answers = iter(_ask_child(checkpoint, accepted, given(calibration)) if accepted else [])
    return [next(answers) if refused is None else QuantizationError(refused) for refused in refusals]


def _unusable(model: PreTrainedModel, calibration: Tensor | None) -> str | None:
    """Return why auto-gptq can't run at all here, or None."""
    if importlib.util.find_spec(PACKAGE) is None:
        return (
            "auto-gptq isn't installed: pip install auto-gptq==0.7.1"
            " (Python 3.12: BUILD_CUDA_EXT=0 pip install --no-build-isolation auto-gptq==0.7.1)"
        )
    if calibration is None:
        return "auto-gptq needs calibration tokens"
    if (device := device_of(model)).type not in DEVICES:
        return f"auto-gptq can't run on '{device.type}'; accepted: {', '.join(DEVICES)}"
    return None


def _config_of(scheme: QuantScheme) -> dict[str, object]:
    """Return the fields of auto-gptq's BaseQuantizeConfig that say what `scheme` says."""
    return {
        "bits": scheme.bits,
        "group_size": -1 if scheme.group_size is None else scheme.group_size,
        "sym": scheme.symmetric,
        "damp_percent": scheme.rel_damp,  # a share in spite of its name
        "desc_act": False,
        "true_sequential": True,
    }


def _ask_child(
    checkpoint: Checkpoint, schemes: Sequence[QuantScheme], calibration: Tensor
) -> list[Rounded | QuantizationError]:
    """Run the child once for all `schemes`; return its answers in their order."""
    model = checkpoint.model
    request = {
        "folder": str(checkpoint.folder.resolve()),
        "device": str(device_of(model)),
        "threads": torch.get_num_threads(),
        "schemes": [_config_of(scheme) for scheme in schemes],
    }
    with tempfile.TemporaryDirectory(prefix="autogptq-") as name:
        exchange = Path(name)
        (exchange / "request.json").write_text(json.dumps(request))
        save_file({"tokens": calibration.detach().cpu().contiguous()}, exchange / "calibration.safetensors")
        child = subprocess.run(
            [sys.executable, "-m", CHILD, str(exchange)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={"OMP_WAIT_POLICY": "PASSIVE"} | os.environ,  # threads that spin while they wait cost 3x on busy cores
        )
        expected = {f"{name}.weight": layer.weight.shape for name, layer in checkpoint.decoder.linear_layers().items()}
        answers = [_answer(exchange, number, scheme, expected, child) for number, scheme in enumerate(schemes)]
    return [_on_device(answer, home_of(model)) for answer in answers]


def _answer(
    exchange: Path,
    number: int,
    scheme: QuantScheme,
    expected: dict[str, torch.Size],
    child: subprocess.CompletedProcess[str],
) -> Rounded | QuantizationError:
    """Read what the child left for scheme `number`."""
    weights_file, error_file = exchange / f"{number}.safetensors", exchange / f"{number}.error"
    if error_file.exists():
        return QuantizationError(f"{scheme.label}: {error_file.read_text()}")
    if not weights_file.exists():
        said = [line.strip() for line in child.stderr.splitlines() if line.strip()][-LINES_OF_STDERR:]
        return QuantizationError(
            f"{scheme.label}: auto-gptq's process ended with status {child.returncode}: {' | '.join(said)}"
        )
    weights = load_file(weights_file)
    fault = _fault(weights, expected)
    if fault:
        return QuantizationError(f"{scheme.label}: {fault}")
    diagnostics = Diagnostics(
        max_rel_damp_used=scheme.rel_damp,
        n_layers_redamped=0,
        n_params_quantized=sum(weight.numel() for weight in weights.values()),
        effective_bits=stored_bits(list(weights.values()), scheme, grid_bits(scheme)),
    )
    return Rounded({name: weights[name] for name in expected}, diagnostics)


def _fault(weights: dict[str, Tensor], expected: dict[str, torch.Size]) -> str | None:
    """Return what is wrong with rounded weights, or None: names, then shapes, then values."""
    differing = sorted(weights.keys() ^ expected.keys())
    if differing:
        return f"auto-gptq and the model differ in which layers are rounded: {', '.join(differing)}"
    for name, shape in expected.items():
        if weights[name].shape != shape:
            return f"'{name}' has shape {tuple(weights[name].shape)} instead of {tuple(shape)}"
        if not torch.isfinite(weights[name]).all():
            return f"auto-gptq gave weights that aren't finite for '{name}'"
    return None


def _on_device(answer: Rounded | QuantizationError, device: torch.device) -> Rounded | QuantizationError:
    if isinstance(answer, QuantizationError):
        return answer
    return Rounded({name: answer.decoded(name).to(device) for name in answer.weights}, answer.diagnostics)
