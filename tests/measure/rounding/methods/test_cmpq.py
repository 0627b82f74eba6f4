import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.measure.plain import inputs_of
from torch import Tensor
from transformers import GPTNeoXConfig

from helpers.measure.models import activations
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import methods
from helpers.measure.rounding.methods import cmpq
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.table.scheme import QuantScheme


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens() -> Tensor:
    return torch.randint(1, 1024, (6, 16), generator=generator(1))


def scheme(**changes: object) -> QuantScheme:
    wanted = {
        "method": "cmpq",
        "bits": 4,
        "symmetric": False,
        "format": "codebook",
        "average_bits": 2.5,
        "outlier_share": 0.01,
        "propagate": "full_precision",
    }
    return QuantScheme(**(wanted | changes))


def rounded(model: torch.nn.Module, *wanted: QuantScheme) -> list[Rounded]:
    (answers,) = cmpq.quantize([Checkpoint(model, None)], list(wanted), tokens(), 0)
    return answers


def test_norms_are_of_the_inputs_of_each_layer(model):
    """Sums in float64 of the same float32 inputs; batches of another size move these by float32's rounding."""
    decoder = decoder_of(model)
    for name, norm in zip(decoder.linear_layers(), activations.input_norms(decoder, tokens()), strict=True):
        torch.testing.assert_close(
            norm, inputs_of(model, name, tokens()).double().flatten(0, 1).norm(dim=0), rtol=1e-5, atol=0
        )


@given(st.integers(0, 200), st.integers(2, 4), st.integers(0, 10))
def test_bits_are_the_best_of_all_assignments(seed, most, further):
    """Five channels: every assignment with the same sum is tried; norms in powers of two make ties that are equal."""
    norm = torch.exp2(torch.randint(-3, 4, (5,), generator=generator(seed)).double())
    further = min(further, 5 * (most - 2))
    bits = cmpq.channel_bits(norm, 2 + further / 5, most)
    assert int(bits.sum()) == 10 + further
    assert int(bits.min()) >= 2
    assert int(bits.max()) <= most
    each = itertools.product(range(2, most + 1), repeat=5)
    costs = [float((norm**2 * 4.0 ** -torch.tensor(b)).sum()) for b in each if sum(b) == 10 + further]
    assert float((norm**2 * 4.0**-bits).sum()) == min(costs)


def test_channels_with_large_inputs_get_more_bits_and_the_mean_is_what_was_asked():
    norm = torch.rand(64, generator=generator(0)) + 0.01
    for average in (2.0, 2.25, 2.5, 3.0, 3.5, 4.0):
        bits = cmpq.channel_bits(norm, average, 4)
        assert float(bits.double().mean()) == average  # multiples of 1 / 64
        by_norm = bits[norm.argsort()]
        assert bool((by_norm.diff() >= 0).all())


def best_clusters(values: list[float], n_entries: int) -> float:
    """Return the least squared error of clusters of neighbours, every way to cut tried."""
    ordered, least = sorted(values), float("inf")
    for cuts in itertools.combinations(range(1, len(ordered)), n_entries - 1):
        parts = [ordered[a:b] for a, b in itertools.pairwise((0, *cuts, len(ordered)))]
        least = min(least, sum(sum((v - sum(p) / len(p)) ** 2 for v in p) for p in parts))
    return least


def test_codebooks_are_local_optima_and_together_near_the_best():
    """Twelve values, four entries: each entry is the mean of what is nearest to it, in float32.

    Lloyd's iterations may stop short of the best of all cuts; the errors of 200 rows together are 1.15 times the least.
    """
    values = torch.randn(200, 12, generator=generator(0))
    entries = cmpq.codebooks(values, torch.ones_like(values, dtype=torch.bool), 4)
    nearest = cmpq.nearest(values, entries)
    assert bool((entries.diff(dim=1) >= 0).all())
    for row in range(len(values)):
        distance = (values[row][:, None] - entries[row]).abs()
        torch.testing.assert_close((nearest[row] - values[row]).abs(), distance.amin(1))
        chosen = distance.argmin(1)
        for entry in chosen.unique():
            torch.testing.assert_close(entries[row, entry], values[row][chosen == entry].mean())
    least = sum(best_clusters(row.tolist(), 4) for row in values)
    assert float((nearest - values).square().sum()) < 1.25 * least


@pytest.mark.parametrize(("n_entries", "distortion"), [(4, 0.1175), (8, 0.03454), (16, 0.009497)])
def test_gaussian_weights_get_the_best_quantizer_for_a_gaussian(n_entries, distortion):
    """Its mean squared error is known (Max 1960, doi 10.1109/TIT.1960.1057548); 16384 values fit theirs a bit closer."""
    values = torch.randn(16, 16384, generator=generator(0))
    entries = cmpq.codebooks(values, torch.ones_like(values, dtype=torch.bool), n_entries)
    assert float((cmpq.nearest(values, entries) - values).square().mean()) == pytest.approx(distortion, rel=0.03)


def test_planted_clusters_are_found_and_what_does_not_count_moves_nothing():
    """Four tight clusters of equal size, and values far off that don't count: entries within the clusters' width."""
    centres = torch.tensor([-3.0, -1.0, 0.5, 2.0])
    inside = (centres[:, None] + 0.01 * torch.randn(4, 25, generator=generator(0))).flatten()
    values = torch.cat([inside, torch.tensor([100.0, -50.0])])[None]
    counted = torch.arange(102)[None] < 100
    entries = cmpq.codebooks(values, counted, 4)
    assert (entries[0] - centres).abs().max() < 0.01
    assert torch.equal(entries, cmpq.codebooks(inside[None], counted[:, :100], 4))


def test_a_channel_with_as_few_values_as_entries_is_exact():
    """Also one of equal values, and one in which nothing counts."""
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0, 4.0, 1.0], [7.0] * 6, [5.0] * 6])
    counted = torch.tensor([[True] * 6, [True] * 6, [False] * 6])
    entries = cmpq.codebooks(values, counted, 4)
    assert torch.equal(cmpq.nearest(values, entries)[:2], values[:2])
    assert torch.equal(entries[2], torch.zeros(4))


def test_columns_have_codebooks_of_their_own_and_outliers_stay(model):
    decoder = decoder_of(model)
    norms = activations.input_norms(decoder, tokens())
    (answer,) = rounded(model, scheme())
    for (name, layer), norm in zip(decoder.linear_layers().items(), norms, strict=True):
        weight, found = layer.weight, answer.weights[f"{name}.weight"]
        bits = cmpq.channel_bits(norm, 2.5, 4)
        half = round(0.005 * weight.numel())
        important = (weight.abs() * norm).flatten().topk(half).indices
        same = (found == weight).flatten()
        assert same[important].all()
        assert int(same.sum()) >= 2 * half
        for column in range(weight.shape[1]):
            others = found[:, column][~same.view(weight.shape)[:, column]]
            assert len(others.unique()) <= 2 ** int(bits[column])


def test_the_second_half_of_the_outliers_is_where_rounding_errs_most():
    weight = torch.randn(64, 32, generator=generator(0))
    norm, bits = torch.ones(32), torch.full((32,), 2)
    found, n_outliers = cmpq.round_matrix(weight, norm, bits, 0.02)
    assert n_outliers == 2 * 20
    first = cmpq.largest(weight.abs(), 20)
    error = (cmpq.round_channels(weight, ~first, bits) - weight).abs().masked_fill(first, -1)
    second = cmpq.largest(error, 20)
    assert not (first & second).any()
    assert torch.equal(found[first | second], weight[first | second])
    assert torch.equal(found, torch.where(first | second, weight, cmpq.round_channels(weight, ~(first | second), bits)))


def test_more_bits_lose_less(model):
    wanted = [scheme(average_bits=average) for average in (2.0, 2.5, 3.0, 4.0)]
    exact, lost = model(tokens()).logits, []
    for answer in rounded(model, *wanted):
        logits = torch.func.functional_call(model, dict(answer.weights), (tokens(),)).logits
        lost.append(float((logits - exact).square().mean()))
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < 0.3 * lost[0]


def test_what_is_stored(model):
    """At 2 bits everywhere: four 16-bit values and 2 bits for the width a column, 32 x 32 and 96 (or 128) x 32 matrices.

    In a block of 12 x 32^2 weights these are 32 + 32 + 32 + 128 columns.
    """
    (answer,) = rounded(model, scheme(average_bits=2.0))
    columns, n_weights = 32 + 32 + 32 + 128, 12 * 32**2
    outliers = sum(2 * round(0.005 * n) * (16 + place) for n, place in ((3072, 12), (1024, 10), (4096, 12), (4096, 12)))
    assert answer.diagnostics.effective_bits == (2 * n_weights + columns * (4 * 16 + 2) + outliers) / n_weights
    assert answer.diagnostics.n_params_quantized == 2 * n_weights
    assert answer.diagnostics.quantized_ratio == 1.0


def test_schemes_together_are_what_they_are_alone_and_the_model_stays(model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wanted = [scheme(), scheme(average_bits=3.25, bits=5), scheme(outlier_share=0.002)]
    for one, answer in zip(wanted, rounded(model, *wanted), strict=True):
        (alone,) = rounded(model, one)
        assert all(torch.equal(alone.weights[each], answer.weights[each]) for each in alone.weights)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_inputs_that_are_not_finite_fail_every_scheme(model):
    model.gpt_neox.layers[0].input_layernorm.weight[0] = torch.nan
    assert [str(answer) for answer in rounded(model, scheme())] == [
        "cmpq 4 bits per row codebook, mean 2.5 bits: calibration gives inputs that aren't finite"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"average_bits": 4.0}, None),
        ({"average_bits": None}, "cmpq: 'average_bits' is null; accepted: 2 to 'bits', 4"),
        ({"average_bits": 4.5}, "cmpq: 'average_bits' is 4.5; accepted: 2 to 'bits', 4"),
        ({"average_bits": 1.5}, "cmpq: 'average_bits' is 1.5; accepted: 2 to 'bits', 4"),
        ({"outlier_share": 0.0}, "cmpq: 'outlier_share' is 0.0; accepted: more than 0, less than 1"),
        ({"group_size": 32}, "cmpq: 'group_size' is 32; accepted: null"),
        ({"symmetric": True}, "cmpq: 'symmetric' is true; accepted: false"),
        ({"format": "int"}, 'cmpq: \'format\' is "int"; accepted: "codebook"'),
        ({"rel_damp": 0.01}, "cmpq: 'rel_damp' is 0.01; accepted: null"),
        (
            {"kept_matrices": ("0.mlp.dense_4h_to_h",)},
            "cmpq: 'kept_matrices' is [\"0.mlp.dense_4h_to_h\"]; accepted: []",
        ),
    ],
)
def test_what_is_refused(changes, message):
    assert methods.method_named("cmpq").refusal(GPTNeoXConfig(), scheme(**changes)) == message
