"""Times the scoring of assignments to low and high precision: `python benchmarks/mixed.py [cpu|cuda]`.

On a GPU a random model of the 14M tadpole's shape, 32,768 tokens; on a CPU the pocket family's largest checkpoint,
16,384 tokens. Assignments are drawn as random search draws them; the second row's low precision rounds activations as
well. A plain loop is beside it: one swapped copy of the model after another, through its own forward pass.
"""

import copy
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import GPTNeoXForCausalLM

from engine import WORKS, models, tokens
from helpers.measure.mixed import assignments, searches
from helpers.measure.mixed.assignments import Units
from helpers.measure.models.memory import default_budget
from helpers.measure.models.precision import matrix_products
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme
from report import report

POCKET = Path("data/tadpole/tadpole-128x3/step-007275")
SEQ_LEN, REPEATS = 512, 3
SEQUENCES = {"cpu": 32, "cuda": 64}
N_ASSIGNMENTS = {"cpu": 24, "cuda": 256}
N_PLAIN = 4
DTYPE = {"cpu": "float32", "cuda": "tfloat32"}
GOAL_A_MINUTE = {"cpu": 60, "cuda": 1000}
INPUTS = {"activation_format": "mxint", "activation_bits": 4, "activation_group_size": 32}
SCHEMES = {
    "FP4 weights": QuantScheme("rtn", bits=4, group_size=32, symmetric=True, format="mxfp"),
    "MXINT4 weights and activations": QuantScheme(
        "rtn", bits=4, group_size=32, symmetric=True, format="mxint", **INPUTS
    ),
}


def checkpoint_on(device: str) -> tuple[str, Checkpoint]:
    """Return the model that is timed, and its name."""
    if device == "cuda":
        return "tadpole-14m", Checkpoint(models(WORKS["tadpole-14m"], 1)[0], None)
    model = GPTNeoXForCausalLM.from_pretrained(POCKET, dtype=torch.float32).eval().requires_grad_(False)
    return POCKET.parent.name, Checkpoint(model, POCKET)


def wait(device: str) -> None:
    """Let the device finish."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_scoring(scorer: searches.Scorer, digits: list[str], device: str) -> float:
    """Score every assignment anew."""
    scorer.known.clear()
    wait(device)
    started = time.perf_counter()
    scorer.score(digits)
    wait(device)
    return time.perf_counter() - started


@torch.no_grad()
def seconds_plainly(scorer: searches.Scorer, digits: str, device: str) -> float:
    """Swap one assignment into a copy of the model and score that, sequence batches as large as the engine's."""
    wait(device)
    started = time.perf_counter()
    model = copy.deepcopy(scorer.checkpoint.model)
    low = {name for name, digit in zip(scorer.names, digits, strict=True) if digit == "1"}
    for name, layer in [(f"{n}.weight", m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]:
        if name in low:
            layer.weight.copy_(scorer.rounded.weights[name])
            if scorer.rounded.inputs:
                layer.register_forward_pre_hook(lambda _m, args: (scorer.rounded.inputs(args[0]),))
    losses = []
    with matrix_products(scorer.dtype):
        for batch in scorer.blocks.tokens.to(device).split(4 if device == "cpu" else 64):
            logits = model(batch[:, :-1], use_cache=False).logits.flatten(0, 1).float()
            losses.append(nn.functional.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum"))
    float(torch.stack(losses).sum())
    return time.perf_counter() - started


def row(device: str, label: str) -> dict:
    """Time one low scheme."""
    name, checkpoint = checkpoint_on(device)
    n, vocabulary_size = SEQUENCES[device], checkpoint.model.config.vocab_size
    blocks = Blocks(tokens((n, SEQ_LEN + 1), vocabulary_size), tuple(range(n)), n * SEQ_LEN, "random")
    (rounded,) = searches.rounded_alone(checkpoint, [SCHEMES[label]], None, default_budget(device))
    scorer = searches.Scorer(checkpoint, rounded, blocks, DTYPE[device], default_budget(device))
    units = Units.of("matmul", searches.sizes(checkpoint))
    drawn = assignments.drawn(units, 0.7, N_ASSIGNMENTS[device], np.random.default_rng(0))
    digits = [units.digits(low) for low in drawn]
    seconds_scoring(scorer, digits, device)
    each = [seconds_scoring(scorer, digits, device) for _ in range(REPEATS)]
    plainly = [seconds_plainly(scorer, assignment, device) for assignment in digits[:N_PLAIN]]
    took = statistics.median(each) / len(digits)
    return {
        "work": f"{name}, {label}: {len(digits)} assignments, {n} x {SEQ_LEN} tokens",
        "device": torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "assignments_per_minute": 60 / took,
        "goal": GOAL_A_MINUTE[device],
        "seconds_an_assignment": took,
        "seconds_plain_loop": statistics.median(plainly),
        "ratio_to_plain_loop": statistics.median(plainly) / took,
    }


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    report(f"mixed_{asked}", [row(asked, label) for label in SCHEMES])
