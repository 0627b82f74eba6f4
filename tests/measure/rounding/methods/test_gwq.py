import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.measure.tiny import tiny_model
from torch import Tensor
from transformers import GPTNeoXConfig

from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import grids, methods
from helpers.measure.rounding.methods import gwq, matrices
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme


def generator(seed: int) -> Tensor:
    return torch.Generator().manual_seed(seed)


def tokens() -> Tensor:
    return torch.randint(1, 1024, (1, 24), generator=generator(1))


def scheme(**changes: object) -> QuantScheme:
    wanted = {
        "method": "gwq",
        "bits": 3,
        "group_size": 16,
        "symmetric": False,
        "outlier_share": 0.01,
        "calib_sequences": 1,
        "propagate": "full_precision",
    }
    return QuantScheme(**(wanted | changes))


def rounded(model: torch.nn.Module, *wanted: QuantScheme) -> list[Rounded]:
    (answers,) = methods.method_named(wanted[0].method).quantize([Checkpoint(model, None)], list(wanted), tokens(), 0)
    return answers


def test_the_gradient_is_the_slope_of_the_loss(model):
    """Central differences in float64, where a step of 1e-5 leaves 1e-9; the float32 gradient itself is off by 1e-6."""
    gradients = gwq.loss_gradients(decoder_of(model), tokens())
    twin = tiny_model(seed=0).double()
    assert list(gradients) == list(decoder_of(twin).linear_layers())

    def loss() -> float:
        logits = twin(tokens()[:, :-1]).logits
        return float(torch.nn.functional.cross_entropy(logits[0], tokens()[0, 1:]))

    for name in ("gpt_neox.layers.0.attention.query_key_value", "gpt_neox.layers.1.mlp.dense_4h_to_h"):
        weight = twin.get_submodule(name).weight
        for row, column in ((0, 0), (7, 3), (31, 29)):
            before, values = weight[row, column].item(), []
            for step in (1e-5, -1e-5):
                weight[row, column] = before + step
                values.append(loss())
            weight[row, column] = before
            slope = (values[0] - values[1]) / 2e-5
            assert math.isclose(slope, float(gradients[name][row, column]), rel_tol=1e-3, abs_tol=1e-6)


def test_the_largest_gradients_stay_and_the_rest_is_rounded_on_its_own_grid(model):
    gradients = gwq.loss_gradients(decoder_of(model), tokens())
    (answer,) = rounded(model, scheme())
    for name, gradient in gradients.items():
        weight, found = model.get_submodule(name).weight, answer.weights[f"{name}.weight"]
        n_kept = round(0.01 * weight.numel())
        limit = gradient.abs().flatten().sort(descending=True).values[n_kept - 1]
        kept = gradient.abs() >= limit
        assert int(kept.sum()) == n_kept  # no ties in random gradients
        assert torch.equal(found[kept], weight[kept])
        for row in (0, 5):
            for group in range(weight.shape[1] // 16):
                part = slice(16 * group, 16 * group + 16)
                rest = weight[row, part][~kept[row, part]]
                grid = grids.fit(rest[None], 3, False)
                assert torch.equal(found[row, part][~kept[row, part]], grid.decode(grid.encode(rest[None]))[0])


@given(st.integers(0, 100), st.integers(0, 2**9))
def test_the_largest_are_as_many_as_asked_and_none_left_out_is_larger(seed, n):
    scores = torch.randint(0, 50, (16, 32), generator=generator(seed)).float()  # with ties
    mask = matrices.largest(scores, n)
    assert int(mask.sum()) == n
    if 0 < n < scores.numel():
        assert scores[mask].min() >= scores[~mask].max()


def test_with_a_share_too_small_for_one_weight_it_is_round_to_nearest(model):
    (ours,) = rounded(model, scheme(outlier_share=1e-6))
    (theirs,) = rounded(model, QuantScheme("rtn", 3, 16, False))
    assert all(torch.equal(ours.decoded(name), theirs.decoded(name)) for name in theirs.weights)
    assert ours.diagnostics.effective_bits == theirs.diagnostics.effective_bits


def test_what_is_stored(model):
    """A matrix of 32 x 32 numbers its weights with 10 bits, of 96 x 32 or 128 x 32 with 12; shares are whole weights."""
    (answer,) = rounded(model, scheme())
    outliers = [(16 + 12, 31), (16 + 10, 10), (16 + 12, 41), (16 + 12, 41)]
    of_block = sum(bits * n for bits, n in outliers)
    assert answer.diagnostics.effective_bits == pytest.approx(3 + 19 / 16 + of_block / (12 * 32**2), rel=1e-12)
    assert answer.diagnostics.n_params_quantized == 2 * 12 * 32**2
    assert answer.diagnostics.quantized_ratio == 1.0


def test_a_few_weights_that_matter_are_what_it_is_for(model):
    """Weights with large gradients, made large: they widen a grid for everything unless they stay."""
    gradients = gwq.loss_gradients(decoder_of(model), tokens())
    for name, gradient in gradients.items():
        weight = model.get_submodule(name).weight
        weight[matrices.largest(gradient.abs(), 10)] *= 20
    exact = model(tokens()).logits
    lost = {}
    for method in ("gwq", "rtn"):
        changes = {} if method == "gwq" else {"outlier_share": None, "calib_sequences": None, "propagate": "quantized"}
        (answer,) = rounded(model, scheme(method=method, **changes))
        weights = {name: answer.decoded(name) for name in answer.weights}
        lost[method] = float((torch.func.functional_call(model, weights, (tokens(),)).logits - exact).square().mean())
    assert lost["gwq"] < lost["rtn"]


def test_schemes_together_are_what_they_are_alone(model):
    wanted = [scheme(), scheme(bits=2, symmetric=True), scheme(group_size=24), scheme(group_size=None)]
    together = rounded(model, *wanted)
    assert isinstance(together[2], QuantizationError)
    assert "group_size 24 doesn't divide the input width 32" in str(together[2])
    for index in (0, 1, 3):
        (alone,) = rounded(model, wanted[index])
        assert all(torch.equal(alone.weights[each], together[index].weights[each]) for each in alone.weights)


def test_the_model_stays_as_it_was(model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rounded(model, scheme())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.parameters())


def test_a_gradient_that_is_not_finite_fails_every_scheme(model):
    model.gpt_neox.layers[0].input_layernorm.weight[0] = torch.nan
    answers = rounded(model, scheme(), scheme(bits=2))
    assert [str(answer) for answer in answers] == [
        "gwq 3 bits g16 asymmetric: the loss's gradient isn't finite",
        "gwq 2 bits g16 asymmetric: the loss's gradient isn't finite",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"symmetric": True, "group_size": None}, None),
        ({"outlier_share": None}, "gwq: 'outlier_share' is null; accepted: more than 0, less than 1"),
        ({"outlier_share": 1.0}, "gwq: 'outlier_share' is 1.0; accepted: more than 0, less than 1"),
        ({"average_bits": 3.0}, "gwq: 'average_bits' is 3.0; accepted: null"),
        ({"calib_sequences": 128}, "gwq: 'calib_sequences' is 128; accepted: 1"),
        ({"propagate": "quantized"}, 'gwq: \'propagate\' is "quantized"; accepted: "full_precision"'),
        ({"hessian_dtype": "bfloat16"}, 'gwq: \'hessian_dtype\' is "bfloat16"; accepted: "float32"'),
        ({"format": "mxint"}, 'gwq: \'format\' is "mxint"; accepted: "int"'),
        (
            {"kept_matrices": ("0.mlp.dense_4h_to_h",)},
            "gwq: 'kept_matrices' is [\"0.mlp.dense_4h_to_h\"]; accepted: []",
        ),
        (
            {"activation_format": "mxint", "activation_bits": 8},
            "gwq: 'activation_format' is \"mxint\"; accepted: null",
        ),
    ],
)
def test_what_is_refused(changes, message):
    assert methods.method_named("gwq").refusal(GPTNeoXConfig(), scheme(**changes)) == message
