"""What a rounded model writes: the same prompt continued greedily by one checkpoint at several bit widths."""

import contextlib
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer

from helpers.measure.rounding.rounded import Checkpoint, Rounded


@contextlib.contextmanager
def rounded_in_place(checkpoint: Checkpoint, rounded: Rounded) -> Iterator[None]:
    """Give the checkpoint's model the rounded weights while the block runs, then its own again, to the bit."""
    weights = dict(checkpoint.model.named_parameters())
    own = {name: weights[name].detach().clone() for name in rounded.weights}
    with torch.no_grad():
        for name in rounded.weights:
            weights[name].copy_(rounded.decoded(name))
        try:
            yield
        finally:
            for name, values in own.items():
                weights[name].copy_(values)


@torch.no_grad()
def continuation(checkpoint: Checkpoint, tokenizer: Tokenizer, prompt: str, n_tokens: int) -> str:
    """Return the `n_tokens` likeliest next tokens, one after the other, as text; nothing is drawn at random."""
    device = checkpoint.model.device
    tokens = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids], device=device)
    start = tokens.shape[1]
    for _ in range(n_tokens):
        next_token = checkpoint.model(tokens, use_cache=False).logits[:, -1].argmax(dim=-1, keepdim=True)
        tokens = torch.cat([tokens, next_token], dim=1)
    return tokenizer.decode(tokens[0, start:].tolist(), skip_special_tokens=False)
