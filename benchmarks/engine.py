"""Times rounding and scoring on a GPU: `python benchmarks/engine.py [WORK ...]`, the works of `works.py`.

Random weights of the named shapes, random tokens; GPTQ, asymmetric. Seconds are the median of warm repeats and count
everything from loaded models to losses, the 16-bit models' too. Each work has a process of its own with no kernel
compiled beforehand; `seconds_first_result` is what its first call takes, all its schemes together.

`share_of_matmul_peak` is the time that the products would take at the rate of one large product in the arithmetic that
they use (`peak_tflops_*`, measured beside them, of what `peaks_of` says), rounding and scoring each in theirs, over the
time taken; null where the peaks were measured in another arithmetic. `ratio_to_best_peer` comes from
benchmarks/results/peers_cuda.json, null where no peer has done the work there. `python benchmarks/engine.py again`
computes both again for the rows that are kept, and needs no GPU.
"""

import contextlib
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import PretrainedConfig

from helpers.measure.models import memory
from helpers.measure.models.checkpoints import LocalCheckpoint, weights_sha256
from helpers.measure.models.decoders import meta_model
from helpers.measure.models.opening import open_stored
from helpers.measure.models.precision import matrix_products
from helpers.measure.rounding.methods import gptq
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme
from report import fill_ratios, kept_rows, merge, rewrite
from works import (
    FP32,
    REL_DAMP,
    TF32,
    WORKS,
    Work,
    flops_of_rounding,
    flops_of_scoring,
    named,
    random_model,
    random_tokens,
    write_weights,
)

SMALL_BUDGET_GIB = 8  # of memory beside the model: a tenth of what an H200 gives by default
SMALL_BUDGET_FOR = "pythia-1b"


@contextlib.contextmanager
def models(work: Work, n_checkpoints: int) -> Iterator[list[Checkpoint]]:
    """Give random checkpoints: in float32 on the GPU or, where the work bounds memory, in bfloat16 in files."""
    if not work.memory_gib:
        yield [
            Checkpoint(random_model(work.config, torch.float32, "cuda", seed), None) for seed in range(n_checkpoints)
        ]
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_weights(work.config, folder, "cuda")
        local = LocalCheckpoint(folder, weights_sha256(folder), None)
        with memory.held_to(int(work.memory_gib * 2**30), "cuda"):
            torch.cuda.reset_peak_memory_stats()
            yield [Checkpoint(open_stored(local, "cuda"), folder)]


def arithmetic(work: Work, dtype: str) -> tuple[torch.dtype, int]:
    """Return the dtype of a product's operands on a GPU, and how many such products make one.

    Float32's are three of halves in float16; in TF32 the book's own block multiplies in float16.
    """
    if dtype == FP32:
        return torch.float16, 3
    if dtype == TF32:
        return (torch.float16 if work.config.model_type == "gpt_neox" else torch.float32), 1
    return torch.bfloat16, 1


def peaks_of(work: Work, dtypes: tuple[str, str]) -> list[str]:
    """Return the arithmetic of rounding's and of scoring's products in words, such as `3 x float16`."""
    each = [arithmetic(work, dtype) for dtype in dtypes]
    return [("" if n == 1 else f"{n} x ") + (TF32 if kind == torch.float32 else str(kind)[6:]) for kind, n in each]


def share_of_peak(row: dict) -> float | None:
    """Return the share of a row with its peaks; None where these are of another arithmetic than its products'.

    Rows that don't say what their peaks are of have those of their dtypes, TF32's and float32's of large products.
    """
    work, text = WORKS[row["work"]], tuple(row["evaluation"])
    dtypes = (row["hessian_dtype"], row["eval_dtype"])
    if row.get("peaks_of", list(dtypes)) != peaks_of(work, dtypes) or not row["peak_tflops_rounding"]:
        return None
    scored = flops_of_scoring(work, text) * (1 + len(row["bits"])) / len(row["bits"])  # 16 bits beside each
    seconds = flops_of_rounding(work, tuple(row["calibration"])) / (1e12 * row["peak_tflops_rounding"])
    seconds += scored / (1e12 * row["peak_tflops_scoring"])
    return seconds / row["seconds_per_quantized_checkpoint"]


def again() -> None:
    """Compute shares and ratios of the kept rows again."""
    kept = kept_rows("engine")
    rewrite("engine", [row | {"share_of_matmul_peak": share_of_peak(row)} for row in kept])
    fill_ratios()


def matmul_peak(kind: torch.dtype, n_products: int = 1) -> float:
    """Return the FLOP/s of a large matrix product on random data, made of `n_products` of `kind`, as measured here.

    Of float32 it is TF32's.
    """
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=kind) for _ in range(2))
    with matrix_products(TF32):
        for _ in range(3):
            left @ right
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(10):
            left @ right
        torch.cuda.synchronize()
    return 10 * 2 * 8192**3 / (time.perf_counter() - started) / n_products


def sizes_of(config: PretrainedConfig) -> dict[str, int]:
    """Return the parameters without token embedding and output head, and those of the head, tied or not."""
    model = meta_model(config)
    head = config.vocab_size * config.hidden_size
    total = sum(parameter.numel() for parameter in model.parameters())
    return {
        "n_params_non_embedding": total - head * (1 if config.tie_word_embeddings else 2),
        "n_params_head": head,
    }


def seconds_of(
    work: Work,
    checkpoints: list[Checkpoint],
    calibration: torch.Tensor,
    blocks: Blocks,
    dtypes: tuple[str, str],
    memory_bytes: int,
) -> tuple[float, float]:
    """Round and score once; return (seconds of rounding, seconds of scoring)."""
    schemes = [
        QuantScheme(
            "gptq",
            bits=bits,
            group_size=work.group_size,
            symmetric=False,
            rel_damp=REL_DAMP,
            hessian_dtype=dtypes[0],
        )
        for bits in work.bits
    ]
    torch.cuda.synchronize()
    started = time.perf_counter()
    rounded = gptq.quantize(checkpoints, schemes, calibration, memory_bytes)
    torch.cuda.synchronize()
    between = time.perf_counter()
    evaluate.evaluate(checkpoints, rounded, blocks, dtypes[1], memory_bytes)
    torch.cuda.synchronize()
    return between - started, time.perf_counter() - between


def row(
    name: str,
    dtypes: tuple[str, str],
    n_checkpoints: int,
    is_first: bool,
    fewer_tokens: int = 1,
    declared_gib: float | None = None,
) -> dict:
    """Time one piece of work, within what a sweep takes by default or within `declared_gib`."""
    work = WORKS[name]
    calibration_shape, evaluation_shape = (
        (n // fewer_tokens, length) for n, length in (work.calibration, work.evaluation)
    )
    torch.cuda.reset_peak_memory_stats()
    gib = work.memory_gib or declared_gib
    calibration = random_tokens(calibration_shape, work.config.vocab_size)
    n, length = evaluation_shape
    text = Blocks(random_tokens((n, length + 1), work.config.vocab_size), tuple(range(n)), n * length, "random")
    with models(work, n_checkpoints) as checkpoints:
        budget = int(gib * 2**30) if gib else memory.default_budget("cuda")
        first = sum(seconds_of(work, checkpoints, calibration, text, dtypes, budget))
        each = [seconds_of(work, checkpoints, calibration, text, dtypes, budget) for _ in range(work.repeats)]
        peak_memory = torch.cuda.max_memory_allocated()
    n_rounded = n_checkpoints * len(work.bits)
    rounding, scoring = (statistics.median(seconds) / n_rounded for seconds in zip(*each, strict=True))
    peaks = [matmul_peak(*arithmetic(work, dtype)) for dtype in dtypes]
    whole = n_checkpoints == work.n_checkpoints and fewer_tokens == 1 and declared_gib is None
    found = {
        "work": name,
        "n_checkpoints": n_checkpoints,
        "bits": list(work.bits),
        "group_size": work.group_size,
        **sizes_of(work.config),
        "calibration": list(calibration_shape),
        "evaluation": list(evaluation_shape),
        "gpu": torch.cuda.get_device_name(),
        "hessian_dtype": dtypes[0],
        "eval_dtype": dtypes[1],
        "seconds_per_quantized_checkpoint": rounding + scoring,
        "seconds_rounding": rounding,
        "seconds_scoring": scoring,
        "seconds_first_result": first if is_first else None,
        "goal_seconds": work.goals.get(dtypes) if whole else None,
        "ratio_to_best_peer": None,
        "whole_work": whole,
        "declared_gib": gib,
        "memory_budget_gib": budget / 2**30,
        "peak_memory_gib": peak_memory / 2**30,
        "share_of_matmul_peak": None,
        "peak_tflops_rounding": peaks[0] / 1e12,
        "peak_tflops_scoring": peaks[1] / 1e12,
        "peaks_of": peaks_of(work, dtypes),
    }
    return found | {"share_of_matmul_peak": share_of_peak(found)}


def time_work(name: str) -> None:
    """Time one work in all its dtypes, then with fewer checkpoints, less text and less memory; keep every row."""
    work = WORKS[name]
    pieces = [(dtypes, work.n_checkpoints, 1, None) for dtypes in work.goals]
    fastest = next(iter(work.goals))
    if work.n_checkpoints > 1:
        pieces += [(fastest, 1, 1, None), (fastest, 3, 1, None), (fastest, work.n_checkpoints, 2, None)]
    if name == SMALL_BUDGET_FOR:
        pieces.append((fastest, work.n_checkpoints, 1, SMALL_BUDGET_GIB))
    rows: list[dict] = []
    for dtypes, n_checkpoints, fewer_tokens, declared_gib in pieces:
        rows.append(row(name, dtypes, n_checkpoints, not rows, fewer_tokens, declared_gib))
        torch.cuda.empty_cache()
        print({key: value for key, value in rows[-1].items() if value is not None}, flush=True)
        merge("engine", rows, ("work", "gpu"))


def main(names: list[str]) -> None:
    """Time the works named, or all of them, each in a process that finds no kernel compiled."""
    failed = []
    for name in named(names):
        with tempfile.TemporaryDirectory() as empty:
            os.environ |= {"TRITON_CACHE_DIR": f"{empty}/triton", "TORCHINDUCTOR_CACHE_DIR": f"{empty}/inductor"}
            child = multiprocessing.get_context("spawn").Process(target=time_work, args=(name,))
            child.start()
            child.join()
            failed += [name] if child.exitcode else []
    fill_ratios()
    if failed:
        sys.exit(f"not timed: {', '.join(failed)}")


if __name__ == "__main__":
    again() if sys.argv[1:] == ["again"] else main(sys.argv[1:])
