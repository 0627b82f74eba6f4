"""Asks where along a model's depth the error of rounding arises: `python benchmarks/error_by_depth.py`.

The pocket family's own runs early, in the middle and late, by GPTQ and round-to-nearest at 2 to 5 bits in groups of 32:
the error of the hidden states after each block, that of each block alone at the end, and the cosine of what the head
reads (`helpers.measure.describing.error_by_depth`), on the first block of 32 held-out documents. A CPU's minutes.
"""

import dataclasses
from pathlib import Path

from helpers.measure.describing.error_by_depth import error_by_depth
from helpers.measure.models import checkpoints
from helpers.measure.models.memory import default_budget
from helpers.measure.rounding.methods import method_named
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.text import corpus_lock, token_blocks
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.families import catalogue
from helpers.table.scheme import QuantScheme
from report import report

FAMILY = Path("data/tadpole")
STEPS = (500, 1907, 7275)
BITS = (2, 3, 4, 5)
SEQUENCES, SEQ_LEN = 32, 128
CALIBRATION = (32, 512, 0)  # sequences, tokens a sequence, seed: those of the pocket sweep
OWN = {"rtn": {}, "gptq": {"rel_damp": 0.01}}


def rows_of(spec: CheckpointSpec) -> list[dict]:
    """Measure one checkpoint by every method and bit width."""
    local = checkpoints.fetch(spec)
    checkpoint = Checkpoint(checkpoints.load(local, "cpu"), Path(spec.location))
    lock, tokenizer = corpus_lock.read_lock(), checkpoints.tokenizer_of(FAMILY)
    tokens = token_blocks.heldout_blocks(lock.evaluation, tokenizer, 128, SEQ_LEN).tokens[:SEQUENCES, :-1]
    text, _ = token_blocks.calibration_tokens(lock.calibration, tokenizer, *CALIBRATION)
    rows = []
    for method, own in OWN.items():
        schemes = [QuantScheme(method, bits=bits, group_size=32, symmetric=False, **own) for bits in BITS]
        answers = method_named(method).quantize([checkpoint], schemes, text, default_budget("cpu"))[0]
        for bits, rounded in zip(BITS, answers, strict=True):
            described = {"model": spec.model, "step": spec.step, "tokens_seen": spec.tokens_seen}
            described |= {"n_params_non_embedding": spec.n_params_non_embedding, "method": method, "bits": bits}
            described |= {"weights_sha256": local.weights_sha256}
            rows.append(described | dataclasses.asdict(error_by_depth(checkpoint.decoder, rounded, tokens)))
    return rows


if __name__ == "__main__":
    chosen = [spec for spec in catalogue.read_manifest(FAMILY) if spec.run == spec.model and spec.step in STEPS]
    report("error_by_depth", [row for spec in chosen for row in rows_of(spec)])
