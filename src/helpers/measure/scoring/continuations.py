"""What a rounded model writes: the same prompt continued greedily by one checkpoint at several bit widths."""

import contextlib
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer

from helpers.measure.rounding.rounded import Checkpoint, Rounded


@contextlib.contextmanager
def rounded_in_place(checkpoint: Checkpoint, rounded: Rounded) -> Iterator[None]:
    """Give the checkpoint's model the rounded weights, in float32, while the block runs, then its own again."""
    weights = dict(checkpoint.model.named_parameters())
    own = {name: weights[name].data for name in rounded.weights}
    try:
        for name in rounded.weights:
            # put in place, not copied into: a weight kept in 16 bits would round them once more
            weights[name].data = rounded.decoded(name)
        yield
    finally:
        for name, values in own.items():
            weights[name].data = values


@torch.no_grad()
def continuation(checkpoint: Checkpoint, tokenizer: Tokenizer, prompt: str, n_tokens: int) -> str:
    """Return the `n_tokens` likeliest next tokens in float32, one after the other, as text; none is drawn at random."""
    device = checkpoint.model.device
    tokens = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids], device=device)
    start = tokens.shape[1]
    for _ in range(n_tokens):
        next_token = checkpoint.decoder.run(tokens)[:, -1].argmax(dim=-1, keepdim=True)
        tokens = torch.cat([tokens, next_token], dim=1)
    return tokenizer.decode(tokens[0, start:].tolist(), skip_special_tokens=False)
