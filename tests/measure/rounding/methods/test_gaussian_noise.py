"""Gaussian noise of the size of rounding, alike in every column or with loud channels spared."""

import dataclasses
import math

import pytest
import torch
from tests.measure.plain import inputs_of, loaded
from tests.measure.tiny import tiny_model
from torch import Tensor
from transformers import GPTNeoXConfig, PreTrainedModel

from helpers.measure.rounding import methods
from helpers.measure.rounding.methods import gaussian_noise, gaussian_noise_by_input, rtn
from helpers.measure.rounding.rounded import Diagnostics, Rounded
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

PLAIN, BY_INPUT = "gaussian_noise", "gaussian_noise_by_input"
DOWN = "gpt_neox.layers.1.mlp.dense_4h_to_h"


def tokens() -> Tensor:
    return torch.randint(1, 1024, (5, 16), generator=torch.Generator().manual_seed(1))


def scheme(method: str = PLAIN, **changes: object) -> QuantScheme:
    wanted: dict[str, object] = {"method": method, "bits": 3, "group_size": 16, "symmetric": False, "noise_seed": 0}
    if method == BY_INPUT:
        wanted |= {"propagate": "full_precision"}
    return QuantScheme(**(wanted | changes))


def answered(models: PreTrainedModel | list[PreTrainedModel], *schemes: QuantScheme) -> list[list[Rounded]]:
    listed = models if isinstance(models, list) else [models]
    checkpoints = [checkpoint for each in listed for checkpoint in loaded(each)]
    return methods.method_named(schemes[0].method).quantize(checkpoints, list(schemes), tokens(), 0)


def noise_of(answer: Rounded, model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: answer.decoded(name) - model.get_parameter(name).detach() for name in answer.weights}


@pytest.mark.parametrize("method", [PLAIN, BY_INPUT])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_noise_is_as_large_as_the_error_of_rounding_to_nearest_in_every_matrix(model, method, bits):
    """A mean square of n normal numbers scatters by sqrt(2 / n), more where their variances differ: four of these."""
    ((answer,),) = answered(model, scheme(method, bits=bits))
    ((rounded,),) = rtn.quantize(loaded(model), [QuantScheme("rtn", bits, 16, False)], None, 0)
    assert answer.weights.keys() == rounded.weights.keys()
    errors = noise_of(rounded, model)
    for name, noise in noise_of(answer, model).items():
        ratio = float(noise.square().mean() / errors[name].square().mean())
        assert abs(ratio - 1) < 4 * math.sqrt(3 / noise.numel())


def test_the_noise_is_standard_normal_times_the_size_of_rounding(model):
    """Exactly the draw times the error's rms, as a float32 sum; and nothing is said of bits that aren't stored."""
    ((answer,),) = answered(model, scheme(noise_seed=5))
    for name in answer.weights:
        weight = model.get_parameter(name).detach()
        draw = gaussian_noise.standard_normal(5, name.removesuffix(".weight"), weight.shape)
        rms = gaussian_noise.rounding_rms(weight, scheme())
        assert torch.equal(answer.decoded(name), weight + draw * rms)
    assert answer.diagnostics == Diagnostics()


def test_draws_are_normal_and_independent_between_seeds_and_matrices():
    """Kurtosis of 40,000 normal numbers scatters by 0.025, their correlation by 0.005: four of each."""
    shape = torch.Size((200, 200))
    draws = [gaussian_noise.standard_normal(*which, shape) for which in [(0, "a"), (1, "a"), (0, "b"), (10, "a")]]
    assert torch.equal(draws[0], gaussian_noise.standard_normal(0, "a", shape))
    for draw in draws:
        assert abs(float(draw.pow(4).mean()) - 3) < 0.1
    assert float((torch.corrcoef(torch.stack(draws).flatten(1)) - torch.eye(4)).abs().max()) < 0.02


@pytest.mark.parametrize("method", [PLAIN, BY_INPUT])
def test_a_draw_does_not_depend_on_what_is_measured_beside_it_and_moves_no_global_state(method):
    models = [tiny_model(seed) for seed in (0, 1)]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    ((alone,),) = answered(models[1], scheme(method, noise_seed=3))
    many = [scheme(method, bits=bits, noise_seed=seed) for seed in (7, 3) for bits in (2, 3)]
    together = answered(models, *many)[1][many.index(scheme(method, noise_seed=3))]
    assert torch.equal(torch.get_rng_state(), state)
    assert alone.weights.keys() == together.weights.keys()
    assert all(torch.equal(alone.decoded(name), together.decoded(name)) for name in alone.weights)


def test_bit_widths_share_a_draw_and_seeds_do_not(model):
    ((coarse, fine, other),) = answered(model, scheme(bits=2), scheme(bits=4), scheme(bits=2, noise_seed=1))
    a, b, c = (noise_of(answer, model)[f"{DOWN}.weight"].flatten() for answer in (coarse, fine, other))
    assert float(torch.corrcoef(torch.stack([a, b]))[0, 1]) == pytest.approx(1, abs=1e-5)  # of sums in float32
    assert abs(float(torch.corrcoef(torch.stack([a, c]))[0, 1])) < 4 / math.sqrt(a.numel())


@pytest.mark.parametrize("method", [PLAIN, BY_INPUT])
def test_a_matrix_of_zeros_stays_one(model, method):
    model.get_parameter(f"{DOWN}.weight").detach().zero_()
    ((answer,),) = answered(model, scheme(method))
    assert not answer.decoded(f"{DOWN}.weight").any()


def test_loud_channels_are_spared_as_much_as_they_are_loud(model):
    """One input channel thirty times larger than before: its noise against the plain draw's says 1 / rms."""
    model.gpt_neox.layers[0].input_layernorm.weight.data[3] *= 30
    ((shaped,),) = answered(model, scheme(BY_INPUT))
    ((plain,),) = answered(model, scheme())
    name = "gpt_neox.layers.0.attention.query_key_value"
    rms = inputs_of(model, name, tokens()).flatten(0, 1).double().square().mean(0).sqrt()
    expected = 1 / rms.maximum(0.1 * rms.square().mean().sqrt())
    expected /= expected.square().mean().sqrt()
    noise = [noise_of(answer, model)[f"{name}.weight"].double() for answer in (shaped, plain)]
    found = noise[0].square().sum(0).sqrt() / noise[1].square().sum(0).sqrt()
    assert float(expected[3]) < 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)  # noise is a difference of float32 weights


def test_every_column_adds_equally_to_the_outputs_error_but_for_quiet_channels():
    rms = torch.tensor([1.0, 2.0, 4.0, 1e-9], dtype=torch.float64)
    found = gaussian_noise_by_input.profile(rms)
    assert float(found.square().mean()) == pytest.approx(1)
    assert (found[:3] * rms[:3]).tolist() == pytest.approx([float(found[0])] * 3)
    assert float(found[3] / found[0]) == pytest.approx(1 / (0.1 * math.sqrt(21 / 4)))
    assert gaussian_noise_by_input.profile(torch.zeros(3)).tolist() == [1, 1, 1]


def test_inputs_that_are_not_finite_fail_their_checkpoint_alone():
    models = [tiny_model(seed) for seed in (0, 1)]
    models[0].gpt_neox.layers[0].input_layernorm.weight.data[0] = float("inf")
    (failed,), (fine,) = answered(models, scheme(BY_INPUT))
    assert isinstance(failed, QuantizationError)
    where = "gpt_neox.layers.0.attention.query_key_value"
    assert str(failed) == f"{scheme(BY_INPUT).label}: the inputs of '{where}' aren't finite"
    assert isinstance(fine, Rounded)


def test_groups_that_do_not_divide_a_width_are_an_error_of_their_scheme(model):
    ((failed, fine),) = answered(model, scheme(group_size=24), scheme())
    assert isinstance(failed, QuantizationError)
    assert "group_size 24 doesn't divide the input width 32" in str(failed)
    assert isinstance(fine, Rounded)


@pytest.mark.parametrize("method", [PLAIN, BY_INPUT])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"noise_seed": 2**32 - 1, "group_size": None}, None),
        ({"noise_seed": None}, "'noise_seed' is null; accepted: 0 to 4294967295"),
        ({"noise_seed": -1}, "'noise_seed' is -1; accepted: 0 to 4294967295"),
        ({"format": "mxint"}, '\'format\' is "mxint"; accepted: "int"'),
        ({"grid_search": "mse"}, '\'grid_search\' is "mse"; accepted: "minmax"'),
        ({"kept_matrices": ("0.attention.dense",)}, "'kept_matrices' is [\"0.attention.dense\"]; accepted: []"),
    ],
)
def test_what_is_refused(method, changes, message):
    said = methods.method_named(method).refusal(GPTNeoXConfig(), scheme(method, **changes))
    assert said == (None if message is None else f"{method}: {message}")


def test_other_methods_refuse_a_draw_and_a_label_names_it():
    wanted = dataclasses.replace(scheme(), method="rtn")
    assert methods.method_named("rtn").refusal(GPTNeoXConfig(), wanted) == "rtn: 'noise_seed' is 0; accepted: null"
    assert scheme(noise_seed=4).label == "gaussian_noise 3 bits g16 asymmetric, draw 4"
