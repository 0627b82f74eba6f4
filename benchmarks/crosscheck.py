"""Our GPTQ beside three libraries' on the same weights and text: `python benchmarks/crosscheck.py [CHECKPOINT ...]`.

Each checkpoint (the pocket family's last steps, and those named) is rounded to 2, 3 and 4 bits, asymmetric, in groups
of 32 and, where that divides every layer, of 128 (a wide model only of 128: each program takes minutes): by ours, by
auto-gptq 0.7.1, and by GPTQModel 7.6.0 and llm-compressor 0.14 in processes of .venv-peers (`make peers`). All are told
to be plain GPTQ: columns in the given order, damping 0.01, the same 32 x 512 calibration tokens, each layer calibrated
on outputs of the earlier ones rounded. All rounded weights are scored by our evaluator in float32 on the same text.

`difference_nats` is a library's QiD less ours, `paired_error_nats` its standard error over documents.
`first_layer_equal` is the share of weights of the first rounded layer, where all see the same inputs, within a quarter
of a step of ours: codes and grid agree.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from helpers.measure.models import checkpoints, memory
from helpers.measure.rounding import methods
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring import evaluate
from helpers.measure.text import corpus_lock, token_blocks
from helpers.table.errors import QuantizationError
from helpers.table.families import catalogue
from helpers.table.paired_error import paired_error
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme
from report import report

POCKET = "data/tadpole"
BITS, GROUP_SIZES = (2, 3, 4), (32, 128)
WIDE = 1024  # input columns
N_CALIBRATION, N_EVALUATION, SEQ_LEN = 32, 128, 512
PEERS_PYTHON = Path(".venv-peers/bin/python")
CHILDREN = Path(__file__).parent / "peers"
LIBRARIES = {"autogptq": "auto-gptq 0.7.1", "gptqmodel": "GPTQModel 7.6.0", "llmcompressor": "llm-compressor 0.14"}
NOTES = {
    "ours": "",
    "autogptq": "grids of a block of 128 columns fitted before its errors are spread",
    "gptqmodel": "grids as auto-gptq; scales stored in float16",
    "llmcompressor": "grids fitted once, to the weights before any rounding",
}


def main(folders: Sequence[Path]) -> None:
    """Measure and report: the pocket family's last steps, and the folders named."""
    rows = [row for folder in [*pocket_folders(), *folders] for row in compare(folder)]
    report("crosscheck", rows)


def pocket_folders() -> list[Path]:
    """Return the last step of every pocket model."""
    last = {spec.model: Path(spec.location) for spec in catalogue.checkpoints(POCKET, None, None, POCKET)}
    return list(last.values())


def compare(folder: Path) -> list[dict]:
    """Round one checkpoint by every library; return one row a library and scheme."""
    local = checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)
    checkpoint = Checkpoint(checkpoints.load(local, "cpu"), folder)
    lock, tokenizer = corpus_lock.read_lock(), checkpoints.tokenizer_of(folder)
    tokens, _ = token_blocks.calibration_tokens(lock.calibration, tokenizer, N_CALIBRATION, SEQ_LEN, 0)
    blocks = token_blocks.heldout_blocks(lock.evaluation, tokenizer, N_EVALUATION, SEQ_LEN)
    columns = {layer.in_features for layer in checkpoint.decoder.linear_layers().values()}
    wanted = GROUP_SIZES if max(columns) < WIDE else GROUP_SIZES[-1:]
    groups = [group for group in wanted if all(width % group == 0 for width in columns)]
    schemes = [scheme("gptq", bits, group) for group in groups for bits in BITS]
    answers = {"ours": by_method("gptq", checkpoint, schemes, tokens)}
    answers["autogptq"] = by_method("autogptq", checkpoint, schemes, tokens)
    answers |= {name: by_peer(name, folder, schemes, tokens) for name in ("gptqmodel", "llmcompressor")}
    everything = [rounded for each in answers.values() for rounded in each]
    budget = memory.default_budget("cpu")
    baseline, *scores = evaluate.evaluate([checkpoint], [everything], blocks, "float32", budget)[0]
    scored = {name: scores[i * len(schemes) : (i + 1) * len(schemes)] for i, name in enumerate(answers)}
    label = "/".join(folder.parts[-2:])
    return [
        row(label, name, schemes[i], answers[name][i], scored[name][i], answers["ours"][i], scored["ours"][i], baseline)
        for i in range(len(schemes))
        for name in answers
    ]


def scheme(method: str, bits: int, group_size: int) -> QuantScheme:
    """Return the plain scheme that every library is told to follow."""
    return QuantScheme(
        method=method,
        bits=bits,
        group_size=group_size,
        symmetric=False,
        rel_damp=0.01,
        calib_sequences=N_CALIBRATION,
        calib_seq_len=SEQ_LEN,
        calib_seed=0,
    )


def by_method(name: str, checkpoint: Checkpoint, schemes: Sequence[QuantScheme], tokens: Tensor) -> list[Rounded]:
    """Round with one of the project's own methods."""
    wanted = [scheme(name, each.bits, each.group_size) for each in schemes]
    (answers,) = methods.method_named(name).quantize([checkpoint], wanted, tokens, memory.default_budget("cpu"))
    for answer in answers:
        if isinstance(answer, QuantizationError):
            raise answer
    return answers


def by_peer(name: str, folder: Path, schemes: Sequence[QuantScheme], tokens: Tensor) -> list[Rounded]:
    """Round in a process of the peers' environment. Raises QuantizationError with its last words when it fails."""
    if not PEERS_PYTHON.exists():
        raise QuantizationError(f"{PEERS_PYTHON}: missing; `make peers` creates it")
    request = {
        "folder": str(folder.resolve()),
        "threads": torch.get_num_threads(),
        "schemes": [
            {"bits": s.bits, "group_size": s.group_size, "symmetric": s.symmetric, "rel_damp": s.rel_damp}
            for s in schemes
        ],
    }
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as place:
        exchange = Path(place)
        (exchange / "request.json").write_text(json.dumps(request))
        save_file({"tokens": tokens}, exchange / "calibration.safetensors")
        settings = {"TORCHDYNAMO_DISABLE": "1", "GPTQMODEL_CPU_WORKERS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
        child = subprocess.run(
            [str(PEERS_PYTHON.absolute()), str((CHILDREN / f"{name}_child.py").resolve()), place],
            cwd=place,  # GPTQModel writes a folder of logs where it runs
            env=settings | os.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if child.returncode:
            raise QuantizationError(f"{LIBRARIES[name]} ended with {child.returncode}: {child.stderr[-500:]}")
        weights = [load_file(exchange / f"{number}.safetensors") for number in range(len(schemes))]
    return [Rounded(each, Diagnostics()) for each in weights]


def row(
    label: str,
    name: str,
    wanted: QuantScheme,
    rounded: Rounded,
    score: evaluate.Evaluation,
    our_rounded: Rounded,
    our_score: evaluate.Evaluation,
    baseline: evaluate.Evaluation,
) -> dict:
    """Return one line of the table."""
    differences = np.subtract(score.group_loss, our_score.group_loss)
    first, ours = next(iter(our_rounded.weights.items()))
    step = ours.scale[:, ours.group_of_column]
    return {
        "model": label,
        "bits": wanted.bits,
        "group_size": wanted.group_size,
        "library": LIBRARIES.get(name, name),
        "qid_nats": score.loss_nats - baseline.loss_nats,
        "difference_nats": score.loss_nats - our_score.loss_nats,
        "paired_error_nats": paired_error(differences),
        "first_layer_equal": float(((rounded.decoded(first) - ours.decode()).abs() < step / 4).float().mean()),
        "note": NOTES[name],
    }


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
