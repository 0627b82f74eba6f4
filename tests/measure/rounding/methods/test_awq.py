import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.measure.tiny import tiny_model
from torch import Tensor, nn
from transformers import GPTNeoXConfig, LlamaConfig, LlamaForCausalLM

from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import grids, methods, stored_bits
from helpers.measure.rounding.methods import awq, rtn
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

VOCABULARY = 128


def tiny_llama(n_key_value_heads: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=n_key_value_heads,
        intermediate_size=64,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval().requires_grad_(False)


MODELS = {
    "neox": lambda: tiny_model(seed=0, vocabulary_size=VOCABULARY),
    "neox, one residual after the other": lambda: tiny_model(
        seed=0, vocabulary_size=VOCABULARY, use_parallel_residual=False
    ),
    "llama": lambda: tiny_llama(2),
    "llama, shared keys and values": lambda: tiny_llama(1),
}
NEOX_GROUPS = {
    ("attention.query_key_value",): "input_layernorm",
    ("attention.dense",): None,
    ("mlp.dense_h_to_4h",): "post_attention_layernorm",
    ("mlp.dense_4h_to_h",): None,
}
LLAMA_GROUPS = {
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"): "input_layernorm",
    ("self_attn.o_proj",): "self_attn.v_proj",
    ("mlp.gate_proj", "mlp.up_proj"): "post_attention_layernorm",
    ("mlp.down_proj",): "mlp.up_proj",
}
GROUPS = {
    "neox": NEOX_GROUPS,
    "neox, one residual after the other": NEOX_GROUPS,
    "llama": LLAMA_GROUPS,
    "llama, shared keys and values": LLAMA_GROUPS | {("self_attn.o_proj",): None},
}
every_model = pytest.mark.parametrize("name", MODELS)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens(n_sequences: int = 12, seq_len: int = 16) -> Tensor:
    return torch.randint(1, VOCABULARY, (n_sequences, seq_len), generator=generator(1))


def scheme(**changes: object) -> QuantScheme:
    wanted = {"method": "awq", "bits": 3, "group_size": 16, "symmetric": False, "propagate": "full_precision"}
    return QuantScheme(**(wanted | changes))


def rounded_by(method: str, model: nn.Module, wanted: list[QuantScheme]) -> list[Rounded]:
    (answers,) = methods.method_named(method).quantize([Checkpoint(model, None)], wanted, tokens(), 0)
    return answers


def decoded(answer: Rounded) -> dict[str, Tensor]:
    return {name: answer.decoded(name) for name in answer.weights}


def groups_in(model: nn.Module) -> tuple[awq.Group, ...]:
    decoder = decoder_of(model)
    hidden, arguments = decoder.inputs(tokens(1))
    return awq.groups_of(decoder.blocks[0], hidden, arguments[0])


def logits(model: nn.Module, weights: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return torch.func.functional_call(model, weights, (tokens(),)).logits


def random_scale(columns: int, seed: int) -> Tensor:
    return torch.exp(torch.randn(columns, generator=generator(seed)))


@every_model
def test_layers_are_grouped_by_the_input_they_share_and_sources_found(name):
    assert {group.layers: group.source for group in groups_in(MODELS[name]())} == GROUPS[name]


@every_model
def test_a_folded_model_is_the_same_model(name):
    """Any scale, folded everywhere at once: equal logits but for float32's rounding (seen: up to 3e-6 of the largest)."""
    model = MODELS[name]()
    original = logits(model, {})
    twin = copy.deepcopy(model)
    decoder = decoder_of(twin)
    for index, block in enumerate(decoder.blocks):
        for number, group in enumerate(group for group in groups_in(model) if group.source):
            columns = block.get_submodule(group.layers[0]).in_features
            scale = random_scale(columns, 10 * index + number)
            for parameter, value in awq.folded(block, group.layers, group.source, scale).items():
                block.get_parameter(parameter).copy_(value)
    changed = sum(not torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert changed >= 4 * len(decoder.blocks)
    assert (logits(twin, {}) - original).abs().max() < 3e-5 * original.abs().max()


@every_model
@pytest.mark.parametrize("symmetric", [True, False])
def test_what_is_deployed_computes_what_was_measured(name, symmetric, monkeypatch):
    """Folded norms and rows with the codes of W diag(s) in place give the logits of Q(W diag(s)) diag(1/s).

    Where s is folded into a linear layer that is rounded itself, its rows' grids are divided by s, not its codes changed.
    """
    model = MODELS[name]()
    scales = []
    search = awq.search_scale
    monkeypatch.setattr(awq, "search_scale", lambda *arguments: scales.append(search(*arguments)) or scales[-1])
    (answer,) = rounded_by("awq", model, [scheme(symmetric=symmetric)])
    twin = copy.deepcopy(model)
    decoder = decoder_of(twin)
    for layer, weight in decoded(answer).items():
        twin.get_parameter(layer).copy_(weight)
    taken = iter(scales)
    for block in decoder.blocks:
        for group in groups_in(model):
            if group.source:
                for parameter, value in awq.folded(block, group.layers, group.source, next(taken)).items():
                    block.get_parameter(parameter).copy_(value)
    measured = logits(model, decoded(answer))
    assert (logits(twin, {}) - measured).abs().max() < 3e-5 * measured.abs().max()
    for parameter in answer.weights:  # at most 2^3 values in a group of 16: the twin's weights lie on grids
        groups = twin.get_parameter(parameter).unflatten(-1, (-1, 16))
        steps = groups.sort(-1).values.diff(dim=-1)
        step = torch.where(steps > 1e-5 * groups.abs().amax(-1, keepdim=True), steps, torch.inf).amin(-1, keepdim=True)
        codes = (groups - groups.amin(-1, keepdim=True)) / step
        assert codes.max() < 7.5
        assert (codes - codes.round()).abs().max() < 1e-2  # float32 noise of a weight, in steps


@every_model
def test_without_a_choice_of_alpha_it_is_round_to_nearest(name, monkeypatch):
    monkeypatch.setattr(awq, "ALPHAS", (0.0,))
    model = MODELS[name]()
    for options in ({"bits": 2}, {"symmetric": True, "group_size": None}):
        ((ours,), (theirs,)) = (
            rounded_by("awq", model, [scheme(**options)]),
            rounded_by("rtn", model, [scheme(method="rtn", **options)]),
        )
        assert decoded(ours).keys() == decoded(theirs).keys()
        assert all(torch.equal(weight, decoded(theirs)[layer]) for layer, weight in decoded(ours).items())
        assert ours.diagnostics.effective_bits == theirs.diagnostics.effective_bits
        assert ours.diagnostics.n_params_quantized == theirs.diagnostics.n_params_quantized


@every_model
def test_layers_without_a_source_are_round_to_nearest(name):
    """Of the others all but a few differ: an alpha of 0 may be the best."""
    model = MODELS[name]()
    ours, theirs = (decoded(rounded_by(m, model, [scheme(method=m)])[0]) for m in ("awq", "rtn"))
    sources = {layer: source for layers, source in GROUPS[name].items() for layer in layers}
    same = {each: torch.equal(ours[each], theirs[each]) for each in ours}
    assert all(same[each] for each in same if any(each.endswith(f"{n}.weight") and not sources[n] for n in sources))
    scaled = [each for each in same if any(each.endswith(f"{n}.weight") and sources[n] for n in sources)]
    assert sum(not same[each] for each in scaled) > len(scaled) / 2


@given(st.integers(0, 200), st.integers(2, 4), st.booleans())
def test_the_scale_is_the_best_of_all(seed, bits, symmetric):
    """Against outputs computed token by token in float64."""
    inputs = torch.randn(40, 16, generator=generator(seed)) * random_scale(16, seed + 1) ** 2
    weight = torch.randn(8, 16, generator=generator(seed + 2))
    moments = awq.Moments()
    for part in inputs.view(4, 2, 5, 16):
        moments.add(part)
    errors = []
    for step in range(20):
        scale = awq.channel_scale(moments.magnitude / moments.n_tokens, step / 20)
        expected = inputs.abs().mean(0) ** (step / 20)
        torch.testing.assert_close(scale, expected / (expected.max() * expected.min()) ** 0.5)
        rounded = grids.round_to_integer(weight * scale, bits, symmetric, 8).decode() / scale
        errors.append(float((inputs.double() @ (rounded - weight).double().T).square().sum()))
    chosen = awq.search_scale(weight, moments, scheme(bits=bits, symmetric=symmetric, group_size=8))
    rounded = grids.round_to_integer(weight * chosen, bits, symmetric, 8).decode() / chosen
    error = float((inputs.double() @ (rounded - weight).double().T).square().sum())
    assert error <= min(errors) * 1.0001  # the search's own sums are float32
    torch.testing.assert_close(chosen.max() * chosen.min(), torch.tensor(1.0))


def test_a_few_large_channels_are_what_it_is_for(model):
    """Three input channels 50 times larger: rounding to nearest loses several times as much."""
    large = torch.ones(32)
    large[[3, 17, 30]] = 50
    inputs = torch.randn(256, 32, generator=generator(0)) * large
    weight = torch.randn(64, 32, generator=generator(1))
    moments = awq.Moments()
    moments.add(inputs)
    wanted = scheme(group_size=32)
    (ours,) = awq.round_group([weight], moments, wanted)
    scale = awq.search_scale(weight, moments, wanted)
    theirs = grids.round_to_integer(weight, 3, False, 32).decode()
    lost = [float((inputs @ (rounded - weight).T).square().sum()) for rounded in (ours, theirs)]
    assert lost[0] < 0.5 * lost[1]
    assert scale[large == 50].min() > scale[large == 1].max()


@every_model
def test_a_model_with_large_channels_loses_less(name):
    model = MODELS[name]()
    decoder = decoder_of(model)
    for block in decoder.blocks:
        for _, source in GROUPS[name].items():
            if source and "norm" in source:
                block.get_submodule(source).weight[[3, 17, 30]] *= 50
    exact = logits(model, {})
    lost = {}
    for method in ("awq", "rtn"):
        (answer,) = rounded_by(method, model, [scheme(method=method, bits=4, group_size=32)])
        lost[method] = float((logits(model, decoded(answer)) - exact).square().mean())
    assert lost["awq"] < lost["rtn"]


def test_schemes_together_are_what_they_are_alone(model):
    wanted = [scheme(), scheme(bits=2, symmetric=True), scheme(group_size=24), scheme(group_size=None)]
    together = rounded_by("awq", model, wanted)
    assert isinstance(together[2], QuantizationError)
    assert "group_size 24 doesn't divide the input width 32" in str(together[2])
    for index in (0, 1, 3):
        (alone,) = rounded_by("awq", model, [wanted[index]])
        assert all(torch.equal(alone.decoded(each), together[index].decoded(each)) for each in alone.weights)


def test_the_size_of_a_micro_batch_hardly_matters(model, monkeypatch):
    """Sums in another order: the scales move by float32's rounding, and a code flips where a weight lies in a middle."""
    (once,) = rounded_by("awq", model, [scheme()])
    monkeypatch.setattr(awq, "MICRO_BATCH", 5)
    (again,) = rounded_by("awq", model, [scheme()])
    close = [(once.decoded(n) - again.decoded(n)).abs() < 1e-5 for n in once.weights]
    assert torch.cat([each.flatten() for each in close]).float().mean() > 0.999


@every_model
def test_the_model_and_the_random_state_stay_as_they_were(name):
    model = MODELS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    rounded_by("awq", model, [scheme()])
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_what_is_recorded(model):
    (answer,) = rounded_by("awq", model, [scheme()])
    assert answer.diagnostics.effective_bits == 3 + (16 + 3) / 16
    codes = [weight for weight in answer.weights.values() if isinstance(weight, grids.IntegerWeight)]
    assert answer.diagnostics.effective_bits == stored_bits.stored_bits(
        codes, scheme(), stored_bits.grid_bits(scheme())
    )
    assert answer.diagnostics.n_params_quantized == 2 * 12 * 32**2
    assert answer.diagnostics.calib_micro_batch == awq.MICRO_BATCH
    assert {answer.decoded(each).dtype for each in answer.weights} == {torch.float32}


def test_a_channel_that_is_never_active_is_no_trouble():
    moments = awq.Moments()
    moments.add(torch.randn(64, 16, generator=generator(0)) * (torch.arange(16) > 0))
    weight = torch.randn(8, 16, generator=generator(1))
    scale = awq.search_scale(weight, moments, scheme())
    assert torch.isfinite(scale).all()
    assert scale.min() > 0


def test_activations_that_are_not_finite_fail_every_scheme(model):
    model.gpt_neox.layers[0].input_layernorm.weight[0] = torch.nan
    answers = awq.quantize([Checkpoint(model, None)], [scheme(), scheme(bits=2)], tokens(), 0)[0]
    assert [type(answer) for answer in answers] == [QuantizationError] * 2
    assert "aren't finite" in str(answers[1])
    assert str(answers[1]).startswith("awq 2 bits g16 asymmetric: ")


class Block(nn.Module):
    """A block of two layers around what is under test."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.norm, self.first, self.second = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.kind = kind

    def forward(self, hidden: Tensor) -> Tensor:
        if self.kind == "twice":
            return self.second(self.first(self.first(hidden)))
        if self.kind == "without norm":
            return self.second(nn.functional.gelu(self.first(hidden)))
        if self.kind == "norm used elsewhere":
            normed = self.norm(hidden)
            return normed + self.second(self.first(normed))
        middle = {"relu": nn.functional.relu, "gelu": nn.functional.gelu}[self.kind]
        return hidden + self.second(middle(self.first(self.norm(hidden))))


@pytest.mark.parametrize(
    ("kind", "sources"),
    [("relu", ["norm", "first"]), ("gelu", ["norm", None]), ("norm used elsewhere", [None, "first"])],
)
def test_a_source_feeds_the_layers_and_nothing_else(kind, sources):
    groups = awq.groups_of(Block(kind).requires_grad_(False), torch.randn(1, 4, 8, generator=generator(0)), {})
    assert [group.source for group in groups] == sources


def test_a_layer_that_runs_twice_is_refused():
    with pytest.raises(QuantizationError, match="layer 'first' runs 2 times in a block; accepted: once"):
        awq.groups_of(Block("twice").requires_grad_(False), torch.randn(1, 4, 8, generator=generator(0)), {})


def test_a_model_that_cannot_be_scaled_is_not_rounded_to_nearest_instead():
    with pytest.raises(QuantizationError, match="no module of a block can take up the scale"):
        awq.groups_of(Block("without norm").requires_grad_(False), torch.randn(1, 4, 8, generator=generator(0)), {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"bits": 8, "group_size": None, "symmetric": True}, None),
        ({"propagate": "quantized"}, 'awq: \'propagate\' is "quantized"; accepted: "full_precision"'),
        ({"format": "mxint"}, 'awq: \'format\' is "mxint"; accepted: "int"'),
        ({"grid_search": "mse"}, 'awq: \'grid_search\' is "mse"; accepted: "minmax"'),
        ({"order": "activation"}, 'awq: \'order\' is "activation"; accepted: "given"'),
        ({"hessian_dtype": "bfloat16"}, 'awq: \'hessian_dtype\' is "bfloat16"; accepted: "float32"'),
        ({"rel_damp": 0.01}, "awq: 'rel_damp' is 0.01; accepted: null"),
    ],
)
def test_what_is_refused(changes, message):
    assert awq.refusal(GPTNeoXConfig(), scheme(**changes)) == message


def test_round_to_nearest_does_not_need_calibration(model):
    (answer,) = rtn.quantize([Checkpoint(model, None)], [scheme(method="rtn")], None, 0)[0]
    assert isinstance(answer, Rounded)
