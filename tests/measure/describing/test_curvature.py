import math

import pytest
import torch
from tests.measure.tiny import tiny_model
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from helpers.measure.describing import curvature
from helpers.measure.models.decoders import Decoder, decoder_of

SMALL = {
    "d_model": 8,
    "n_layers": 2,
    "vocabulary_size": 16,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 1.0},
}
TOKENS = torch.randint(0, 16, (6, 7), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    """A model fitted to the text for some steps: at a random start the Hessian's trace is nearly zero."""
    model = tiny_model(seed=0, **SMALL).double().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        model(TOKENS, labels=TOKENS, use_cache=False).loss.backward()
        optimizer.step()
    return decoder_of(model.requires_grad_(False))


def exact_trace(decoder: Decoder, layer: str) -> float:
    """The trace of one matrix's own Hessian, from central differences of float64 gradients.

    A step of 1e-4 leaves 1e-8 times the fourth derivatives, and 1e-12 of rounding.
    """
    name, step = f"{layer}.weight", 1e-4
    weight = decoder.model.get_parameter(name)

    def loss(changed: torch.Tensor) -> torch.Tensor:
        logits = functional_call(decoder.model, {name: changed}, (TOKENS[:, :-1],), {"use_cache": False}).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten())

    units = torch.eye(weight.numel(), dtype=torch.float64).view(-1, *weight.shape)
    with sdpa_kernel(SDPBackend.MATH):  # vmap has no rule for the fused kernels
        difference = vmap(grad(loss))(weight + step * units) - vmap(grad(loss))(weight - step * units)
    return (difference * units).sum().item() / (2 * step)


@pytest.fixture(scope="module")
def exact(decoder) -> dict[str, float]:
    return {name: exact_trace(decoder, name) for name in decoder.linear_layers()}


def test_a_quadratic_forms_products_are_exact():
    """The loss is w^T A w / 2 with A joining two weights: v^T A v by parts, for one-hot vectors and for signs."""
    matrix = torch.tensor([[2.0, 1.0, 0.5], [1.0, -3.0, 4.0], [0.5, 4.0, 7.0]])

    def loss(weights):
        w = torch.cat([weight.flatten() for weight in weights])
        return w @ matrix @ w / 2

    weights = [torch.ones(1, 2), torch.ones(1)]
    probes = [torch.tensor([[[1, 0]], [[0, 0]], [[1, -1]]]), torch.tensor([[0], [1], [1]])]
    forms = curvature.quadratic_forms(loss, weights, probes)
    assert forms.tolist() == [[2, 0], [0, 7], [-3 - 3.5, 7 - 3.5]]
    assert not any(weight.requires_grad for weight in weights)


def test_signs_are_equally_often_of_both_kinds_and_follow_the_seed():
    shapes = [torch.Size((40, 50)), torch.Size((10,))]
    one, same, other = (curvature.signs(shapes, 8, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert [probe.shape for probe in one] == [(8, 40, 50), (8, 10)]
    assert set(one[0].unique().tolist()) == {-1, 1}
    assert abs(one[0].double().mean().item()) < 4 / math.sqrt(16000)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], other[0])


def test_the_trace_is_within_its_error_of_the_exact_one(decoder, exact):
    trace = curvature.hessian_trace(decoder, TOKENS, 256, torch.Generator().manual_seed(0))
    truth = sum(exact.values())
    assert 0 < trace.standard_error < 0.05 * truth
    assert abs(trace.total - truth) < 3 * trace.standard_error
    assert sum(trace.by_block) == pytest.approx(trace.total, rel=1e-12)
    for index, estimate in enumerate(trace.by_block):
        of_block = sum(value for name, value in exact.items() if name.startswith(f"{decoder.prefix}.{index}."))
        # a block's estimate has the products with the other block's signs in it: no more than the whole
        assert abs(estimate - of_block) < 4 * trace.standard_error


def test_one_hot_probes_give_a_matrix_exactly(decoder, exact):
    """Without the luck of signs: the quadratic forms of all unit vectors add up to the trace."""
    name = next(iter(exact))
    weight = decoder.model.get_parameter(f"{name}.weight")
    units = torch.eye(weight.numel(), dtype=torch.float64).view(-1, *weight.shape)

    def loss(leaves):
        return curvature._mean_loss(decoder, {f"{name}.weight": leaves[0]}, TOKENS)

    with sdpa_kernel(SDPBackend.MATH):
        forms = curvature.quadratic_forms(loss, [weight], [units])
    assert forms.sum().item() == pytest.approx(exact[name], rel=1e-6)


def test_the_model_stays_as_it_is_and_parts_of_the_text_are_averaged(decoder, monkeypatch):
    before = {name: value.clone() for name, value in decoder.model.state_dict().items()}
    together = curvature.hessian_trace(decoder, TOKENS, 4, torch.Generator().manual_seed(3))
    monkeypatch.setattr(curvature, "SEQUENCES_AT_ONCE", {"cpu": 5})  # 5 and 1: parts of unequal weight
    apart = curvature.hessian_trace(decoder, TOKENS, 4, torch.Generator().manual_seed(3))
    assert together.total == pytest.approx(apart.total, rel=1e-9)
    assert together.standard_error == pytest.approx(apart.standard_error, rel=1e-9)
    assert all(torch.equal(value, before[name]) for name, value in decoder.model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in decoder.model.parameters())


def test_the_standard_error_is_of_a_mean_over_probes(decoder):
    """Eight estimates from one probe each give the mean and the standard error of eight probes together."""
    shapes = [decoder.model.get_parameter(f"{name}.weight").shape for name in decoder.linear_layers()]
    trace = curvature.hessian_trace(decoder, TOKENS, 8, torch.Generator().manual_seed(5))
    probes = curvature.signs(shapes, 8, torch.Generator().manual_seed(5))
    names = [f"{name}.weight" for name in decoder.linear_layers()]
    weights = [decoder.model.get_parameter(name) for name in names]

    def loss(leaves):
        return curvature._mean_loss(decoder, dict(zip(names, leaves, strict=True)), TOKENS)

    with sdpa_kernel(SDPBackend.MATH):
        each = [curvature.quadratic_forms(loss, weights, [p[i : i + 1] for p in probes]).sum().item() for i in range(8)]
    mean = sum(each) / 8
    variance = sum((value - mean) ** 2 for value in each) / 7
    assert trace.total == pytest.approx(mean, rel=1e-9)
    assert trace.standard_error == pytest.approx(math.sqrt(variance / 8), rel=1e-9)
