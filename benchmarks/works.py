"""Works that the GPU's benchmarks time: shapes, text and schemes, with random weights and random tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

FP32, TF32, BF16 = "float32", "tfloat32", "bfloat16"
REL_DAMP = 0.01


@dataclass(frozen=True)
class Work:
    """A model's shape, how it is rounded, and how much text goes through it.

    `calibration` and `evaluation` are (sequences, tokens each); `goals` has the seconds aimed at for one rounded
    checkpoint, by the dtypes of rounding and of scoring, None where none is; `memory_gib` bounds everything on the
    device: the weights stay in their files, in bfloat16. `repeats` are the warm runs.
    """

    config: PretrainedConfig
    calibration: tuple[int, int]
    evaluation: tuple[int, int]
    goals: dict[tuple[str, str], float | None]
    n_checkpoints: int = 1
    bits: tuple[int, ...] = (2, 3, 4)
    group_size: int = 128
    memory_gib: float | None = None
    repeats: int = 3


def neox(n_layers: int, d_model: int, n_heads: int, vocabulary_size: int) -> GPTNeoXConfig:
    """Return a GPT-NeoX of this shape."""
    return GPTNeoXConfig(
        vocab_size=vocabulary_size,
        hidden_size=d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        intermediate_size=4 * d_model,
        max_position_embeddings=2048,
    )


def llama(
    n_layers: int, d_model: int, n_heads: tuple[int, int], d_mlp: int, vocabulary_size: int, tied: bool
) -> LlamaConfig:
    """Return a Llama of this shape; `n_heads` are those of queries and of keys and values."""
    return LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads[0],
        num_key_value_heads=n_heads[1],
        intermediate_size=d_mlp,
        max_position_embeddings=2048,
        tie_word_embeddings=tied,
    )


LONG, LONG_TEXT = (128, 2048), (256, 2048)
WORKS = {
    "tadpole-14m": Work(
        neox(8, 384, 12, 4096),
        (128, 512),
        (512, 512),
        {(BF16, BF16): 0.045, (FP32, TF32): 0.09, (TF32, BF16): None, (BF16, TF32): None, (TF32, TF32): None},
        n_checkpoints=7,
    ),
    "pythia-410m": Work(neox(24, 1024, 16, 50304), LONG, LONG_TEXT, {(BF16, BF16): 1.6, (TF32, BF16): None}),
    "pythia-1b": Work(neox(16, 2048, 8, 50304), LONG, LONG_TEXT, {(BF16, BF16): 3.6, (TF32, BF16): None}),
    "smollm2-135m": Work(
        llama(30, 576, (9, 3), 1536, 49152, tied=True),
        (128, 512),
        (256, 512),
        {(BF16, BF16): 0.9, (TF32, BF16): None},
        group_size=64,
    ),
    "llama-7b": Work(
        llama(32, 4096, (32, 32), 11008, 32000, tied=False),
        LONG,
        (64, 2048),
        {(BF16, BF16): 60},
        bits=(4,),
        memory_gib=24,
        repeats=1,
    ),
    # for trying the commands themselves on any machine, asked for by name only
    "tiny-neox": Work(neox(2, 64, 2, 512), (16, 64), (16, 64), {(FP32, FP32): None}, group_size=32),
    "tiny-llama": Work(
        llama(2, 64, (4, 2), 128, 512, tied=True), (16, 64), (16, 64), {(FP32, FP32): None}, group_size=32
    ),
}
TIMED = [name for name in WORKS if not name.startswith("tiny")]


def named(names: Sequence[str]) -> list[str]:
    """Return the works asked for, or all that are timed. Raises SystemExit for a name that isn't one."""
    for name in names:
        if name not in WORKS:
            raise SystemExit(f"work '{name}'; accepted: {', '.join(WORKS)}")
    return list(names) or TIMED


def random_model(config: PretrainedConfig, dtype: torch.dtype, device: str, seed: int = 0) -> PreTrainedModel:
    """Return a model of random weights on the device."""
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.eval().requires_grad_(False)


def random_tokens(shape: tuple[int, int], vocabulary_size: int) -> Tensor:
    """Return random tokens, int64 of that shape."""
    return torch.randint(0, vocabulary_size, shape, generator=torch.Generator().manual_seed(0))


def write_weights(config: PretrainedConfig, folder: Path, device: str) -> None:
    """Write a checkpoint of random bfloat16 weights as a model comes from the Hub.

    Its tokenizer, which knows numbers alone, is there because peers load one; texts are tokens already.
    """
    random_model(config, torch.bfloat16, device).save_pretrained(folder)
    words = {str(number): number for number in range(config.vocab_size)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="0"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="0", pad_token="1", eos_token="2").save_pretrained(
        folder
    )


def linear_shapes(config: PretrainedConfig) -> list[tuple[int, int]]:
    """Return (rows, columns) of the linear layers of one block."""
    d, d_mlp = config.hidden_size, config.intermediate_size
    if config.model_type == "gpt_neox":
        return [(3 * d, d), (d, d), (d_mlp, d), (d, d_mlp)]
    d_key_value = d // config.num_attention_heads * config.num_key_value_heads
    return [(d, d), (d_key_value, d), (d_key_value, d), (d, d), (d_mlp, d), (d_mlp, d), (d, d_mlp)]


def hessian_widths(config: PretrainedConfig) -> list[int]:
    """Return the width of each Hessian of a block: layers that share their input share it."""
    d, d_mlp = config.hidden_size, config.intermediate_size
    return [d, d, d, d_mlp]


def flops_of_rounding(work: Work, text: tuple[int, int]) -> float:
    """Return the floating-point operations of products of layers, Hessians and attention over calibration text."""
    hessians = 2 * work.config.num_hidden_layers * sum(width**2 for width in hessian_widths(work.config))
    return text[0] * text[1] * hessians + _flops_of_blocks(work, text)


def flops_of_scoring(work: Work, text: tuple[int, int]) -> float:
    """Return the floating-point operations of products of layers, attention and head over evaluation text."""
    return text[0] * text[1] * 2 * work.config.hidden_size * work.config.vocab_size + _flops_of_blocks(work, text)


def _flops_of_blocks(work: Work, text: tuple[int, int]) -> float:
    layers = 2 * sum(rows * columns for rows, columns in linear_shapes(work.config))
    attention = 2 * work.config.hidden_size * text[1]  # causal: half of the scores
    return text[0] * text[1] * work.config.num_hidden_layers * (layers + attention)
