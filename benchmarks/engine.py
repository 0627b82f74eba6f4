"""Times rounding and scoring on a GPU: `python benchmarks/engine.py [tadpole-14m|pythia-410m|pythia-1b ...]`.

Random weights of the named shapes, random tokens; GPTQ at 2, 3 and 4 bits, group 128, asymmetric. Seconds are the
median of warm repeats and count everything from loaded models to losses, the 16-bit models' too; what the first call
costs beside (compiling kernels) stands apart.
"""

import statistics
import sys
import time
from dataclasses import dataclass

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.measure.models.memory import default_budget
from helpers.measure.models.precision import matrix_products
from helpers.measure.rounding.methods import gptq
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.families.neox import neox_linear_shapes
from helpers.table.scheme import QuantScheme
from report import keep, report

BITS = (2, 3, 4)
REPEATS = 3
SMALL_BUDGET = 8 * 2**30  # of memory beside the model: a tenth of what an H200 gives by default


@dataclass(frozen=True)
class Work:
    """A model's shape, how much text goes through it, and the tuned best peer's seconds a rounded checkpoint."""

    n_layers: int
    d_model: int
    n_heads: int
    vocabulary_size: int
    n_checkpoints: int
    calibration: tuple[int, int]
    evaluation: tuple[int, int]
    peer_seconds: float
    goals: dict[tuple[str, str], float]


# Peers were timed on an H200 beforehand (llm-compressor 0.14, batch 64 or 8, sequential_offload_device="cuda", TF32
# allowed; quantizing + saving and reloading + scoring); pythia-1b's is extrapolated from pythia-410m's.
FP32, TF32, BF16 = "float32", "tfloat32", "bfloat16"
WORKS = {
    "tadpole-14m": Work(
        8,
        384,
        12,
        4096,
        7,
        (128, 512),
        (512, 512),
        0.57,
        {(BF16, BF16): 0.06, (TF32, BF16): 0.06, (BF16, TF32): 0.10, (TF32, TF32): 0.10, (FP32, TF32): 0.10},
    ),
    "pythia-410m": Work(24, 1024, 16, 50304, 1, (128, 2048), (256, 2048), 10.5, {(TF32, BF16): 2.5, (BF16, BF16): 2.5}),
    "pythia-1b": Work(16, 2048, 8, 50304, 1, (128, 2048), (256, 2048), 12.0, {(TF32, BF16): 8.0, (BF16, BF16): 5.0}),
}


def models(work: Work, n_checkpoints: int) -> list[GPTNeoXForCausalLM]:
    """Return random checkpoints on the GPU."""
    config = GPTNeoXConfig(
        vocab_size=work.vocabulary_size,
        hidden_size=work.d_model,
        num_hidden_layers=work.n_layers,
        num_attention_heads=work.n_heads,
        intermediate_size=4 * work.d_model,
        max_position_embeddings=max(work.calibration[1], work.evaluation[1]),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with torch.device("cuda"):
            return [GPTNeoXForCausalLM(config).eval().requires_grad_(False) for _ in range(n_checkpoints)]


def tokens(shape: tuple[int, int], vocabulary_size: int) -> torch.Tensor:
    """Return random tokens."""
    return torch.randint(0, vocabulary_size, shape, generator=torch.Generator().manual_seed(0))


def flops(work: Work, calibration: tuple[int, int], evaluation: tuple[int, int]) -> float:
    """Return the floating-point operations of one rounded checkpoint: products of layers, Hessians, attention, head."""
    shapes = neox_linear_shapes(work.d_model).values()
    forward = 2 * work.n_layers * sum(rows * columns for rows, columns in shapes)
    hessians = 2 * work.n_layers * sum(columns**2 for _, columns in shapes)
    head = 2 * work.d_model * work.vocabulary_size
    n_calibration, n_evaluation = (a * b for a, b in (calibration, evaluation))
    attention = 2 * work.n_layers * work.d_model * (n_calibration * calibration[1] + n_evaluation * evaluation[1])
    return n_calibration * (forward + hessians) + n_evaluation * (forward + head) + attention


def matmul_peak(dtype: str) -> float:
    """Return the FLOP/s of a large matrix product on random data, as measured here."""
    kind = torch.bfloat16 if dtype == BF16 else torch.float32
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=kind) for _ in range(2))
    with matrix_products(dtype):
        for _ in range(3):
            left @ right
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(10):
            left @ right
        torch.cuda.synchronize()
    return 10 * 2 * 8192**3 / (time.perf_counter() - started)


def seconds_of(
    checkpoints, calibration, blocks, hessian_dtype: str, eval_dtype: str, memory_bytes: int
) -> tuple[float, float]:
    """Round and score once; return (seconds of rounding, seconds of scoring)."""
    schemes = [
        QuantScheme("gptq", bits=b, group_size=128, symmetric=False, rel_damp=0.01, hessian_dtype=hessian_dtype)
        for b in BITS
    ]
    torch.cuda.synchronize()
    started = time.perf_counter()
    rounded = gptq.quantize(checkpoints, schemes, calibration, memory_bytes)
    torch.cuda.synchronize()
    between = time.perf_counter()
    evaluate.evaluate(checkpoints, rounded, blocks, eval_dtype, memory_bytes)
    torch.cuda.synchronize()
    return between - started, time.perf_counter() - between


def row(
    name: str,
    work: Work,
    dtypes: tuple[str, str],
    n_checkpoints: int,
    fewer_tokens: int = 1,
    memory_bytes: int | None = None,
) -> dict:
    """Time one piece of work, within what a sweep takes by default or within `memory_bytes`."""
    budget = memory_bytes or default_budget("cuda")
    calibration_shape, evaluation_shape = (
        (n // fewer_tokens, length) for n, length in (work.calibration, work.evaluation)
    )
    checkpoints = [Checkpoint(model, None) for model in models(work, n_checkpoints)]
    calibration = tokens(calibration_shape, work.vocabulary_size)
    n, length = evaluation_shape
    text = Blocks(tokens((n, length + 1), work.vocabulary_size), tuple(range(n)), n * length, "random")
    torch.cuda.reset_peak_memory_stats()
    first = sum(seconds_of(checkpoints, calibration, text, *dtypes, budget))
    each = [seconds_of(checkpoints, calibration, text, *dtypes, budget) for _ in range(REPEATS)]
    n_rounded = n_checkpoints * len(BITS)
    rounding, scoring = (statistics.median(seconds) / n_rounded for seconds in zip(*each, strict=True))
    total = rounding + scoring
    peak = flops(work, calibration_shape, evaluation_shape) / total / matmul_peak(dtypes[0])
    same_size = n_checkpoints == work.n_checkpoints and fewer_tokens == 1 and memory_bytes is None
    return {
        "work": f"{name}: {n_checkpoints} checkpoints x {BITS} bits, {calibration_shape} and {evaluation_shape} tokens",
        "gpu": torch.cuda.get_device_name(),
        "hessian_dtype": dtypes[0],
        "eval_dtype": dtypes[1],
        "seconds_per_quantized_checkpoint": total,
        "seconds_rounding": rounding,
        "seconds_scoring": scoring,
        "seconds_first_call_beside": first - total * n_rounded,
        "goal_seconds": work.goals.get(dtypes) if same_size else None,
        "ratio_to_best_peer": work.peer_seconds / total if same_size else None,
        "memory_budget_gib": budget / 2**30,
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30,
        "share_of_matmul_peak": peak,
    }


def main(names: list[str]) -> None:
    """Time the works named, or all of them; every row is kept as soon as it is there."""
    rows = []

    def add(*arguments) -> None:
        rows.append(row(*arguments))
        torch.cuda.empty_cache()
        print({key: value for key, value in rows[-1].items() if value is not None}, flush=True)
        keep("engine", rows)

    for name in names or list(WORKS):
        work = WORKS[name]
        for dtypes in work.goals:
            add(name, work, dtypes, work.n_checkpoints)
        if work.n_checkpoints > 1:
            for n_checkpoints in (1, 3):
                add(name, work, dtypes, n_checkpoints)
            add(name, work, dtypes, work.n_checkpoints, 2)
    add(name, work, dtypes, work.n_checkpoints, 1, SMALL_BUDGET)
    report("engine", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
