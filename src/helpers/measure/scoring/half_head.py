"""The head of a model in TF32, with operands in float16, which has TF32's ten bits of mantissa; on a GPU only."""

import torch
from torch import Tensor, nn

from helpers.measure.models.precision import LARGEST_HALF


def fits(head: nn.Linear) -> bool:
    """Tell whether float16 holds every weight of a head: one token's infinite ones may leave the loss a number."""
    largest: float = torch.linalg.vector_norm(head.weight.detach(), float("inf")).item()  # NaN where a weight is
    return largest <= LARGEST_HALF


class HalfHead(nn.Module):
    """A head's product: hidden states (..., d), whatever their dtype, to logits (..., rows) in float32."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = head.weight.detach().half(), head.bias

    def forward(self, hidden: Tensor) -> Tensor:
        """Multiply."""
        flat = hidden.reshape(-1, hidden.shape[-1]).half()
        logits = torch.mm(flat, self.weight.mT, out_dtype=torch.float32)
        if self.bias is not None:
            logits += self.bias
        return logits.view(*hidden.shape[:-1], -1)
