"""Statistics of a 16-bit model's activations and predictions: inputs of its linear layers, entropy of its answers."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from helpers.measure.models.decoders import Decoder
from helpers.measure.models.streaming.placing import device_of

SEQUENCES_AT_ONCE = {"cpu": 4, "cuda": 32}


class Watcher(Protocol):
    """A watcher that looks at what goes into a linear layer, as a forward pre-hook."""

    def see(self, _layer: nn.Module, args: tuple[Any, ...]) -> None:
        """Look at the layer's arguments; the first of them is its input (..., columns)."""


class _Moments:
    """The sums over tokens of a layer's inputs: of squares by channel, and of fourth powers."""

    def __init__(self) -> None:
        self.n_tokens = 0
        self.squares = torch.zeros((), dtype=torch.float64)
        self.fourths = torch.zeros((), dtype=torch.float64)

    def see(self, _layer: nn.Module, args: tuple[Any, ...]) -> None:
        squares = args[0].detach().flatten(0, -2).double().square()
        self.n_tokens += len(squares)
        self.squares = self.squares + squares.sum(0)
        self.fourths = self.fourths + squares.square().sum()

    def outliers(self) -> Tensor:
        """Return the largest rms of a channel over their mean rms, and the kurtosis: (2,)."""
        channel_rms = (self.squares / self.n_tokens).sqrt()
        mean_square = self.squares.sum() / (self.n_tokens * len(channel_rms))
        mean_fourth = self.fourths / (self.n_tokens * len(channel_rms))
        return torch.stack([channel_rms.max() / channel_rms.mean(), mean_fourth / mean_square.square()])


@torch.no_grad()
def input_norms(decoder: Decoder, tokens: Tensor) -> list[Tensor]:
    """Return the Euclidean norms of the input channels over all of `tokens` (n, L): float64 (columns,) per layer."""
    return [each.squares.sqrt() for each in _moments(decoder, tokens)]


@torch.no_grad()
def input_outliers(decoder: Decoder, tokens: Tensor) -> Tensor:
    """Return how far channels stand out among the inputs of each linear layer, and their kurtosis: float64 (2, layers).

    That is the largest rms of a channel over the channels' mean rms, and the fourth moment over the squared second
    about zero, all channels together (3 for a Gaussian). `tokens` is int64 (n, L).
    """
    return torch.stack([each.outliers() for each in _moments(decoder, tokens)], 1)


def _moments(decoder: Decoder, tokens: Tensor) -> list[_Moments]:
    moments = [_Moments() for _ in decoder.linear_layers()]
    watch(decoder, tokens, moments)
    return moments


def watch(decoder: Decoder, tokens: Tensor, watchers: Sequence[Watcher]) -> None:
    """Let each linear layer's watcher see its inputs for `tokens` (n, L)."""
    decoder.refuse_unfit(tokens)
    with _watched(decoder, watchers):
        for batch in _batches(decoder, tokens):
            decoder.run(batch)


def _batches(decoder: Decoder, tokens: Tensor) -> Sequence[Tensor]:
    device = device_of(decoder.model)
    batches: Sequence[Tensor] = tokens.to(device).split(SEQUENCES_AT_ONCE[device.type])
    return batches


@contextlib.contextmanager
def _watched(decoder: Decoder, watchers: Sequence[Watcher]) -> Iterator[None]:
    layers = decoder.linear_layers().values()
    handles = [layer.register_forward_pre_hook(each.see) for layer, each in zip(layers, watchers, strict=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def mean_entropy(decoder: Decoder, tokens: Tensor) -> float:
    """Return the mean entropy of the prediction after each of `tokens` (n, L), in nats."""
    decoder.refuse_unfit(tokens)
    total = 0.0
    for batch in _batches(decoder, tokens):
        log_p = decoder.run(batch).float().log_softmax(-1)
        total = total - torch.linalg.vecdot(log_p.exp(), log_p).double().sum()
    return float(total) / tokens.numel()
