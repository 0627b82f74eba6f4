"""The cost of rounding one matrix, estimated without scoring: its output's error, weighed by the loss's gradients.

Second order: a small change dy of a matrix's outputs at every position changes the summed loss by about 1/2 of the mean
over positions of (g dy)^2 for g the gradient of the summed loss (the Fisher information in place of the Hessian). With
the coordinates of g taken to be uncorrelated and equally large, as here, that is 1/2 mean(g^2) |dy|^2 per token; for
weights alone |dy|^2 is tr(dW H dW^T) with H the second moments of the inputs, GPTQ's objective. The estimate is ours;
Kronecker factors are those of K-FAC (Martens and Grosse 2015, arXiv 1503.05671) with the output's factor a multiple of
the identity.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from helpers.measure.models.decoders import Decoder
from helpers.measure.models.stored import widened
from helpers.measure.rounding.rounded import Rounded

SEQUENCES_AT_ONCE = {"cpu": 4, "cuda": 16}


class _Watch:
    """The sums over positions of one matrix: of squared gradients of its outputs, and of squared errors of them."""

    def __init__(self, layer: nn.Linear, rounded: Rounded, name: str, seq_len: int) -> None:
        self.weight, self.inputs = rounded.decoded(name), rounded.inputs
        self.seq_len = seq_len  # some models' layers get all tokens in one dimension
        self.n_positions = 0
        self.gradients = torch.zeros((), dtype=torch.float64)
        self.errors = torch.zeros((), dtype=torch.float64)
        self.handle = layer.register_forward_hook(self.see)

    def see(self, layer: nn.Linear, args: tuple[Tensor], output: Tensor) -> None:
        with torch.no_grad():
            inputs = args[0]
            seen = self.inputs(inputs.view(-1, self.seq_len, inputs.shape[-1])) if self.inputs else inputs
            seen = seen.view(inputs.shape)
            errors = nn.functional.linear(seen, self.weight) - nn.functional.linear(inputs, layer.weight)
            self.errors = self.errors + errors.double().square().sum()
            self.n_positions += inputs[..., 0].numel()
        if not output.requires_grad:
            output.requires_grad_()
        output.register_hook(self.see_gradient)

    def see_gradient(self, gradient: Tensor) -> None:
        self.gradients = self.gradients + gradient.double().square().mean(-1).sum()

    def estimate(self) -> Tensor:
        """Return what rounding this matrix alone is expected to add to the loss, nats per token."""
        return 0.5 * (self.gradients / self.n_positions) * (self.errors / self.n_positions)


def second_order(decoder: Decoder, rounded: Rounded, tokens: Tensor) -> list[float]:
    """Return what rounding each matrix alone is expected to add to the mean loss, nats per token, in model order.

    `rounded` has every matrix; `tokens` is int64 (n, L + 1), each token but the first of a row predicted. One forward
    and one backward pass with the whole model in float32; parameters get no gradients.
    """
    model = decoder.model
    with widened(model), _watched(decoder, rounded, tokens.shape[1] - 1) as watches, torch.enable_grad():
        for batch in tokens.to(model.device).split(SEQUENCES_AT_ONCE[model.device.type]):
            logits = model(batch[:, :-1], use_cache=False).logits.flatten(0, 1).float()
            nn.functional.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum").backward()
    return torch.stack([watch.estimate() for watch in watches]).tolist()


@contextlib.contextmanager
def _watched(decoder: Decoder, rounded: Rounded, seq_len: int) -> Iterator[list[_Watch]]:
    watches = [_Watch(layer, rounded, f"{name}.weight", seq_len) for name, layer in decoder.linear_layers().items()]
    try:
        yield watches
    finally:
        for watch in watches:
            watch.handle.remove()
