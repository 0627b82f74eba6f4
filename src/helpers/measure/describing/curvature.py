"""The trace of a loss's Hessian in a model's matrices, from products of the Hessian with random vectors.

For a vector v of independent signs the mean of v^T H v is tr H (Hutchinson 1990, doi 10.1080/03610919008812866), and
the part of the sum that belongs to one matrix has the trace of that matrix's own block of H as its mean. The products
are exact, by differentiating the gradient once more: central differences of gradients in float32 take as long, were
off by 0.4% on a tadpole, and their step would be one more number to choose.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from helpers.measure.models.decoders import Decoder

SEQUENCES_AT_ONCE = {"cpu": 4, "cuda": 64}  # larger is slower on a CPU; a GPU waits for its next kernel


@dataclass(frozen=True)
class Trace:
    """A Hessian's trace in nats per squared weight: by block, in all, and its standard error over the probes."""

    by_block: tuple[float, ...]
    total: float
    standard_error: float


def quadratic_forms(
    loss_of: Callable[[Sequence[Tensor]], Tensor], weights: Sequence[Tensor], probes: Sequence[Tensor]
) -> Tensor:
    """Return v_i^T (H v)_i for every probe v and weight i, float64 (n_probes, n_weights).

    H is the Hessian of `loss_of(weights)`, a number; `probes[i]` (n_probes, *shape of weight i) may be of any dtype. A
    row's sum is v^T H v.
    """
    leaves = [weight.detach().requires_grad_() for weight in weights]
    with torch.enable_grad():
        gradient = torch.autograd.grad(loss_of(leaves), leaves, create_graph=True)
    forms = []
    for index in range(len(probes[0])):
        vector = [probe[index].to(leaf) for probe, leaf in zip(probes, leaves, strict=True)]
        product = torch.autograd.grad(gradient, leaves, vector, retain_graph=True)
        each = zip(vector, product, strict=True)
        forms.append(torch.stack([(v.double() * h.double()).sum() for v, h in each]))
    return torch.stack(forms)


def signs(shapes: Sequence[torch.Size], n_probes: int, generator: torch.Generator) -> list[Tensor]:
    """Return probes of independent, equally likely -1 and 1 for weights of these shapes, int8 (n_probes, *shape).

    They are drawn where `generator` is: one on the CPU gives every device the same probes.
    """
    draw = functools.partial(torch.randint, generator=generator, dtype=torch.int8, device=generator.device)
    return [draw(0, 2, (n_probes, *shape)) * 2 - 1 for shape in shapes]


def hessian_trace(decoder: Decoder, tokens: Tensor, n_probes: int, generator: torch.Generator) -> Trace:
    """Estimate the Hessian trace of the mean loss on `tokens` (n, L + 1) in all linear layers' weights together.

    The loss is in nats per predicted token, in the model's own dtype. The model stays as it is.
    Two or more probes are needed for a standard error.
    """
    names = [f"{name}.weight" for name in decoder.linear_layers()]
    weights = [decoder.model.get_parameter(name) for name in names]
    device = decoder.model.device
    probes = [probe.to(device) for probe in signs([w.shape for w in weights], n_probes, generator)]
    forms = torch.zeros(n_probes, len(weights), dtype=torch.float64, device=device)
    for batch in tokens.to(device).split(SEQUENCES_AT_ONCE[device.type]):

        def loss_of(leaves: Sequence[Tensor], batch: Tensor = batch) -> Tensor:
            return _mean_loss(decoder, dict(zip(names, leaves, strict=True)), batch)

        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels can't be differentiated twice
            forms += quadratic_forms(loss_of, weights, probes) * (len(batch) / len(tokens))
    totals = forms.sum(1)
    by_block = forms.mean(0).view(len(decoder.blocks), -1).sum(1)
    return Trace(tuple(by_block.tolist()), totals.mean().item(), totals.std().item() / math.sqrt(n_probes))


def _mean_loss(decoder: Decoder, weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
    logits = functional_call(decoder.model, weights, (tokens[:, :-1],), {"use_cache": False}).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
