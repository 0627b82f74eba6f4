"""Times a model larger than its budget: `python benchmarks/large.py [--shape llama-7b] [--blocks N] [--gib 24]`.

A random Llama in bf16 is written into a temporary folder, one shard a block (every block has the same numbers), opened
as any checkpoint is, and worked at by a device that never holds more than the block at work and the next one. One
scheme, GPTQ at 4 bits in groups of 128, is rounded and scored within the budget, which is held to. With fewer blocks
than the shape has, figures stand for these blocks; what the whole shape takes of the device is the same.
"""

import argparse
import json
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig

from helpers.measure.models import checkpoints, memory, opening
from helpers.measure.models.decoders import meta_model
from helpers.measure.models.shards import INDEX
from helpers.measure.models.streaming.placing import put
from helpers.measure.rounding import layerwise
from helpers.measure.rounding.methods import gptq
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme
from report import RESULTS, keep

GIB = 2**30
SPREAD = 0.02  # of random weights, as models begin with
ENDS = "ends"  # what lies outside of blocks


@dataclass(frozen=True)
class Shape:
    """A Llama's shape, and the budget that it is to be measured in."""

    d_model: int
    d_mlp: int
    n_blocks: int
    n_heads: int
    n_key_value_heads: int
    vocabulary_size: int
    gib: float

    def config(self, n_blocks: int, seq_len: int) -> LlamaConfig:
        """Return the configuration with so many blocks."""
        return LlamaConfig(
            vocab_size=self.vocabulary_size,
            hidden_size=self.d_model,
            intermediate_size=self.d_mlp,
            num_hidden_layers=n_blocks,
            num_attention_heads=self.n_heads,
            num_key_value_heads=self.n_key_value_heads,
            max_position_embeddings=seq_len,
            architectures=["LlamaForCausalLM"],
            bos_token_id=0,
            eos_token_id=0,
        )


SHAPES = {
    "tiny": Shape(128, 384, 4, 4, 2, 512, 1),
    "llama-7b": Shape(4096, 11008, 32, 32, 32, 32000, 24),
    "llama-2-70b": Shape(8192, 28672, 80, 64, 8, 32000, 80),
}


def write(folder: Path, config: LlamaConfig) -> None:
    """Write a random checkpoint in bf16: a shard a block, and one for embedding, head and last norm."""
    config.save_pretrained(folder)
    generator = torch.Generator().manual_seed(0)
    numbers: dict[str, Tensor] = {}  # by name, without the block's index
    shards: dict[str, dict[str, Tensor]] = {}
    for name, parameter in meta_model(config).named_parameters():
        parts = name.split(".")
        place = parts[2] if parts[1] == "layers" else ENDS
        known = ".".join(part for part in parts if part != place)
        if known not in numbers:
            drawn = torch.randn(parameter.shape, generator=generator).mul_(SPREAD)
            numbers[known] = (drawn + (parameter.ndim == 1)).bfloat16()
        shards.setdefault(f"model-{place}.safetensors", {})[name] = numbers[known]
    for shard, tensors in shards.items():
        save_file(tensors, folder / shard, metadata={"format": "pt"})
    where = {name: shard for shard, tensors in shards.items() for name in tensors}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))


def opened(folder: Path, device: str) -> Checkpoint:
    """Return a folder's checkpoint, streamed, its parts tried where it works."""
    local = checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)
    model = opening.open_stored(local, device)
    put(model, device, streamed=True)
    checkpoint = Checkpoint(model, folder)
    print(f"{len(checkpoint.decoder.blocks)} blocks opened", flush=True)
    return checkpoint


def random_tokens(n: int, length: int, vocabulary_size: int) -> Tensor:
    """Return random tokens (n, length)."""
    return torch.randint(0, vocabulary_size, (n, length), generator=torch.Generator().manual_seed(0))


def operations(checkpoint: Checkpoint, n_calibration: int, n_evaluation: int) -> float:
    """Return the floating-point operations of products, second moments and logits, each done once."""
    layers = checkpoint.decoder.linear_layers()
    products = 2 * sum(layer.weight.numel() for layer in layers.values())
    shared = ("k_proj", "v_proj", "up_proj")  # their input's moments are another's
    moments = 2 * sum(layer.in_features**2 for name, layer in layers.items() if not name.endswith(shared))
    head = 2 * checkpoint.model.get_output_embeddings().weight.numel()
    return n_calibration * (products + moments) + 2 * n_evaluation * (products + head)


def seconds_of(work, device: str) -> tuple[float, object]:
    """Return the seconds that work takes until the device has done it, and its answer."""
    started = time.perf_counter()
    answer = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, answer


def host() -> dict:
    """Return the host's peak memory, mapped pages included, its own memory now, and what came from the disk, GiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    own = [int(line.split()[1]) / 2**20 for line in status if line.startswith("RssAnon")]
    counted = Path("/proc/self/io")
    lines = counted.read_text().splitlines() if counted.exists() else []
    read = [int(line.split()[1]) / GIB for line in lines if line.startswith("read_bytes")]
    return {
        "peak_rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "own_memory_gib": own[0] if own else None,
        "read_from_disk_gib": read[0] if read else None,
    }


def row(asked: argparse.Namespace) -> dict:
    """Measure one scheme of one shape; return what it took."""
    shape = SHAPES[asked.shape]
    n_blocks, gib = asked.blocks or shape.n_blocks, asked.gib or shape.gib
    budget = int(gib * GIB)
    n_evaluation = asked.evaluation_tokens // asked.seq_len
    calibration = random_tokens(asked.sequences, asked.seq_len, shape.vocabulary_size)
    tokens = random_tokens(n_evaluation, asked.seq_len + 1, shape.vocabulary_size)
    blocks = Blocks(tokens, tuple(range(n_evaluation)), tokens.numel(), "random")
    scheme = QuantScheme("gptq", 4, 128, False, rel_damp=0.01, hessian_dtype=asked.dtype)
    with tempfile.TemporaryDirectory() as name, memory.held_to(budget, asked.device):
        writing, _ = seconds_of(lambda: write(Path(name), shape.config(n_blocks, asked.seq_len)), "cpu")
        opening_seconds, checkpoint = seconds_of(lambda: opened(Path(name), asked.device), asked.device)
        decoders = [checkpoint.decoder]
        rounding = layerwise.share_of(decoders, asked.sequences, asked.seq_len, asked.dtype, 1, budget)
        scoring = evaluate.share_of(decoders, n_evaluation, asked.seq_len, asked.dtype, 2, budget)
        print(f"written in {writing:.0f} s, opened in {opening_seconds:.0f} s; {rounding}; {scoring}", flush=True)
        if asked.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        quantizing, answers = seconds_of(
            lambda: gptq.quantize([checkpoint], [scheme], calibration, budget), asked.device
        )
        print(f"rounded in {quantizing:.1f} s", flush=True)
        evaluating, scores = seconds_of(
            lambda: evaluate.evaluate([checkpoint], answers, blocks, asked.dtype, budget), asked.device
        )
        weights = sum(parameter.nbytes for parameter in checkpoint.model.parameters())
    seen = dict.fromkeys(("peak_memory_gib", "peak_reserved_gib", "gpu"))
    if asked.device == "cuda":
        peaks = torch.cuda.max_memory_allocated() / GIB, torch.cuda.max_memory_reserved() / GIB
        seen = dict(zip(seen, (*peaks, torch.cuda.get_device_name()), strict=True))
    total = quantizing + evaluating
    return {
        "work": f"{asked.shape}, {n_blocks} of {shape.n_blocks} blocks",
        "tokens": f"{asked.sequences} x {asked.seq_len} and {n_evaluation} x {asked.seq_len}",
        "dtype": asked.dtype,
        "weights_gib": weights / GIB,
        "seconds_opening": opening_seconds,
        "seconds_rounding": quantizing,
        "seconds_scoring": evaluating,
        "seconds_per_quantized_checkpoint": total,
        "tflops_per_second": operations(checkpoint, calibration.numel(), n_evaluation * asked.seq_len) / total / 1e12,
        "memory_budget_gib": gib,
        "planned_rounding_gib": rounding.n_bytes / GIB,
        "planned_scoring_gib": scoring.n_bytes / GIB,
        "sequences_at_once": f"{answers[0][0].diagnostics.calib_micro_batch} and {scores[0][0].micro_batch}",
        "hidden_states_on_host": f"{rounding.offloaded} and {scoring.offloaded}",
        **seen,
        **host(),
        "loss_nats": [score.loss_nats for score in scores[0]],
    }


def main() -> None:
    """Measure what is asked for; a row takes the place of the last one of its work, dtype and budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="llama-7b")
    parser.add_argument("--blocks", type=int, help="fewer than the shape has")
    parser.add_argument("--gib", type=float, help="the device's budget")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "tfloat32", "float32"))
    parser.add_argument("--sequences", type=int, default=128, help="of calibration")
    parser.add_argument("--seq-len", type=int, default=2048)
    parser.add_argument("--evaluation-tokens", type=int, default=131_072)
    asked = parser.parse_args()
    measured = row(asked)
    for key, value in measured.items():
        print(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")
    if asked.device == "cuda":
        path, same = RESULTS / "large.json", ("work", "tokens", "dtype", "memory_budget_gib")
        earlier = json.loads(path.read_text())["rows"] if path.exists() else []
        rows = [each for each in earlier if any(each[key] != measured[key] for key in same)]
        keep("large", [*rows, measured])


if __name__ == "__main__":
    main()
