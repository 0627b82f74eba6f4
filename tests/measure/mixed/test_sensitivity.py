"""Estimates of what rounding one matrix costs: by hand from gradients and errors, and of each sequence by itself."""

import pytest
import torch
from tests.measure.plain import WITHOUT_EXPERTS, build, loaded
from torch.nn import functional

from helpers.measure.mixed import searches, sensitivity
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import methods
from helpers.measure.rounding.rounded import Rounded
from helpers.table.errors import QuantizationError
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

TOKENS = torch.randint(0, 256, (6, 17), generator=torch.Generator().manual_seed(0))
WEIGHTS = {"method": "rtn", "bits": 3, "group_size": 16, "symmetric": True}
SCHEMES = [
    QuantScheme(**WEIGHTS),
    QuantScheme(**WEIGHTS, activation_format="mxint", activation_bits=4, activation_group_size=16),
    QuantScheme(**WEIGHTS, activation_format="int", activation_bits=4, activation_exponent=0.15),
]


def rounded_by(model, scheme: QuantScheme) -> Rounded:
    return methods.method_named("rtn").quantize(loaded(model), [scheme], None, 0)[0][0]


def by_hand(model, rounded: Rounded, name: str) -> float:
    """Return 1/2 mean(g^2) |dy|^2 a token, sequence by sequence in float64; g is the gradient of a sequence's loss."""
    seen, gradients, errors = {}, [], []

    def watch(layer, args, output):
        seen.update(inputs=args[0].detach(), output=output.requires_grad_())
        output.retain_grad()

    layer = model.get_submodule(name)
    handle = layer.register_forward_hook(watch)
    for row in TOKENS:
        with torch.enable_grad():
            logits = model(row[None, :-1]).logits[0]
            functional.cross_entropy(logits, row[1:], reduction="sum").backward()
        inputs = seen["inputs"].view(16, -1)
        own = functional.linear(inputs.double(), layer.weight.double())
        changed = rounded.inputs(inputs) if rounded.inputs else inputs
        other = functional.linear(changed.double(), rounded.decoded(f"{name}.weight").double())
        gradients.append(seen["output"].grad.view(16, -1).double())
        errors.append(other - own)
    handle.remove()
    return (0.5 * torch.cat(gradients).square().mean() * torch.cat(errors).square().sum(-1).mean()).item()


@pytest.mark.parametrize("name", WITHOUT_EXPERTS)
@pytest.mark.parametrize("scheme", SCHEMES, ids=["weights", "mxint inputs", "crossed inputs"])
def test_an_estimate_is_that_of_its_definition(name, scheme):
    """Batches of four sequences against one at a time; float32 sums, and now and then an input at a boundary: 1e-3."""
    model = build(name)
    rounded = rounded_by(model, scheme)
    found = sensitivity.second_order(decoder_of(model), rounded, TOKENS)
    layers = list(decoder_of(model).linear_layers())
    assert len(found) == len(layers)
    for layer, estimate in zip(layers, found, strict=True):
        assert estimate == pytest.approx(by_hand(model, rounded, layer), rel=1e-3)


def test_weights_as_they_are_cost_nothing_and_the_model_stays_as_it_was():
    model = build("neox, parallel")
    names = [f"{name}.weight" for name in decoder_of(model).linear_layers()]
    own = Rounded({name: model.get_parameter(name).detach() for name in names}, Diagnostics())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert sensitivity.second_order(decoder_of(model), own, TOKENS) == [0.0] * len(names)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_search_of_a_mixture_of_experts_is_refused_by_name():
    """An expert sees some tokens only: the mean over them is no cost a token."""
    (checkpoint,) = loaded(build("olmoe"))
    with pytest.raises(QuantizationError, match="olmoe has experts; accepted in a search: models without"):
        searches.rounded_alone(checkpoint, SCHEMES[:1], None, 0)
