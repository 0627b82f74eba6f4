"""What some models do to their logits after the head: steps of a formula, no modules in transformers."""

from collections.abc import Callable

from torch import Tensor, nn
from transformers import PretrainedConfig


class SoftCap(nn.Module):
    """A soft cap on logits, c tanh(z / c): Gemma 2 (arXiv 2408.00118, section 2)."""

    def __init__(self, cap: float) -> None:
        super().__init__()
        self.cap = cap

    def forward(self, logits: Tensor) -> Tensor:
        """Return capped logits of the same shape; the operations are transformers' own, in its order."""
        return (logits / self.cap).tanh_().mul_(self.cap)


class Divided(nn.Module):
    """Logits divided by a constant: Granite's `logits_scaling`."""

    def __init__(self, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor

    def forward(self, logits: Tensor) -> Tensor:
        """Return divided logits of the same shape."""
        return logits / self.divisor


STEPS: dict[str, Callable[[float], nn.Module]] = {"final_logit_softcapping": SoftCap, "logits_scaling": Divided}


def steps_of(config: PretrainedConfig) -> tuple[nn.Module, ...]:
    """Return the modules that turn the head's output (..., vocabulary) into the model's logits; mostly there are none.

    A model whose configuration has such a number and does something else with it isn't known: its trial says so.
    """
    said = {name: getattr(config, name, None) for name in STEPS}
    return tuple(STEPS[name](value) for name, value in said.items() if value is not None)
