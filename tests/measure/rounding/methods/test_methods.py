"""How methods are found, and what every one says at plan time of kept matrices, rounded inputs and options."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from tests.measure.plain import OF_EXPERTS, build, loaded
from transformers import GPTNeoXConfig, OlmoeConfig

from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import grids, methods
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.table.errors import QuantizationError, SpecError
from helpers.table.scheme import QuantScheme

MIXED = {"rtn", "gptq", "crossquant"}  # of the first methods; a new one says it of itself
ACTIVATIONS = {
    "mxint": {"activation_format": "mxint", "activation_bits": 4, "activation_group_size": 16},
    "int": {"activation_format": "int", "activation_bits": 8, "activation_exponent": 0.15},
}
ROUNDS_INPUTS = {"rtn": {"mxint", "int"}, "crossquant": {"int"}}  # likewise

OPTIONS = {option for method in methods.every_method().values() for option in method.options}
HALVED = """
from helpers.measure.rounding.method import Method
from helpers.measure.rounding.methods.matrices import by_matrix

METHOD = Method(version=1, calibrated=False, options=("average_bits",))


def refusal(config, scheme):
    return None


quantize = by_matrix(lambda weight, scheme: weight / 2, lambda scheme: 0)
"""


def scheme_of(name: str, **options: object) -> QuantScheme:
    """Return a scheme that this method's own file accepts, where its library is installed."""
    return QuantScheme(name, bits=4, group_size=32, symmetric=True, **options)


@pytest.fixture(autouse=True)
def _own_refusals(monkeypatch):
    """Let methods' own files accept everything, installed or not: what is asked here comes before."""
    for method in methods.every_method().values():
        monkeypatch.setattr(method.module, "refusal", lambda config, scheme: None)


def test_every_file_that_declares_a_method_is_one_of_its_name():
    files = Path(methods.__file__).parent.glob("*.py")
    assert methods.every_method().keys() == {file.stem for file in files if "\nMETHOD = " in file.read_text()}
    assert all(method.name == name for name, method in methods.every_method().items())


def test_a_new_file_is_found_and_its_option_refused_by_the_others(tmp_path, monkeypatch, model):
    """Nothing is edited beside it. `average_bits` stands for a new field: CMPQ has it as well."""
    (tmp_path / "halved.py").write_text(HALVED)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    methods.every_method.cache_clear()
    try:
        assert "halved" in methods.every_method()
        wanted = scheme_of("halved", average_bits=2.0)
        assert methods.method_named("halved").refusal(GPTNeoXConfig(), wanted) is None
        ((answer,),) = methods.method_named("halved").quantize(loaded(model), [wanted], None, 0)
        before = dict(model.named_parameters())
        assert answer.weights
        assert all(torch.equal(answer.decoded(name), before[name] / 2) for name in answer.weights)
    finally:
        methods.every_method.cache_clear()
        sys.modules.pop(f"{methods.__name__}.halved")


def test_an_unknown_method_is_refused_with_those_known():
    with pytest.raises(
        SpecError, match=f"^unknown method 'no'; accepted: {', '.join(sorted(methods.every_method()))}$"
    ):
        methods.method_named("no")


@pytest.mark.parametrize("name", methods.every_method())
def test_an_option_is_a_field_of_a_scheme_that_methods_without_it_refuse(name):
    method = methods.method_named(name)
    assert {*method.options, *method.options_of_others} == OPTIONS <= {f.name for f in dataclasses.fields(QuantScheme)}
    assert not {*method.options} & method.options_of_others
    for option in OPTIONS:
        said = method.refusal(GPTNeoXConfig(), scheme_of(name, **{option: 0.5}))
        assert said == (None if option in method.options else f"{name}: '{option}' is 0.5; accepted: null")
        assert method.uses(option) == (option in method.options)


@pytest.mark.parametrize("name", methods.every_method())
def test_only_mixed_methods_keep_matrices(name):
    method = methods.method_named(name)
    wanted = scheme_of(name, kept_matrices=("0.attention.dense",))
    refused = f"{name}: 'kept_matrices' is [\"0.attention.dense\"]; accepted: []"
    assert method.refusal(GPTNeoXConfig(), wanted) == (None if method.mixed else refused)
    assert method.refusal(GPTNeoXConfig(), scheme_of(name)) is None


@pytest.mark.parametrize("name", methods.every_method())
@pytest.mark.parametrize("format_", ACTIVATIONS)
def test_only_methods_that_say_so_round_inputs(name, format_):
    accepted = ", ".join(["null", *(f'"{each}"' for each in methods.method_named(name).activations)])
    refused = f"{name}: 'activation_format' is \"{format_}\"; accepted: {accepted}"
    takes = format_ in methods.method_named(name).activations
    assert methods.method_named(name).refusal(GPTNeoXConfig(), scheme_of(name, **ACTIVATIONS[format_])) == (
        None if takes else refused
    )


def test_the_first_methods_still_say_what_they_can():
    known = methods.every_method()
    assert all(known[name].mixed for name in MIXED)
    assert {name: {*known[name].activations} for name in ROUNDS_INPUTS} == ROUNDS_INPUTS
    assert not known["awq"].mixed
    assert not known["gptq"].activations


def test_a_methods_own_refusal_comes_after(monkeypatch):
    monkeypatch.setattr(methods.method_named("rtn").module, "refusal", lambda config, scheme: "own words")
    assert methods.method_named("rtn").refusal(GPTNeoXConfig(), scheme_of("rtn")) == "own words"


def test_an_answer_carries_how_inputs_are_rounded(model):
    plain = scheme_of("rtn")
    schemes = [plain, *(dataclasses.replace(plain, **options) for options in ACTIVATIONS.values())]
    ((none, mxint, crossed),) = methods.method_named("rtn").quantize(loaded(model), schemes, None, 0)
    assert none.inputs is None
    assert mxint.inputs == InputRounding("mxint", 4, 16, None)
    assert crossed.inputs == InputRounding("int", 8, None, 0.15)
    for name in none.weights:
        assert torch.equal(none.decoded(name), mxint.decoded(name))


def test_blocks_of_inputs_that_do_not_divide_a_width_are_an_error_of_their_scheme(model):
    wanted = dataclasses.replace(scheme_of("rtn"), **ACTIVATIONS["mxint"] | {"activation_group_size": 24})
    ((answer, fine),) = methods.method_named("rtn").quantize(loaded(model), [wanted, scheme_of("rtn")], None, 0)
    assert isinstance(answer, QuantizationError)
    assert "activation_group_size 24 doesn't divide the input width 32 of 'gpt_neox.layers.0.attention" in str(answer)
    assert not isinstance(fine, QuantizationError)


EXPERTS = {"rtn", "nf4", "int8", "gptq", "gptq_hadamard"}


@pytest.mark.parametrize("name", methods.every_method())
def test_experts_are_refused_by_name_where_a_method_does_not_say_that_it_knows_them(name):
    method, config = methods.method_named(name), OlmoeConfig()
    refused = method.refusal(config, scheme_of(name))
    assert refused == (None if name in EXPERTS else f"{name}: olmoe has experts; accepted: models without")


@pytest.mark.parametrize("inputs", ACTIVATIONS)
def test_inputs_of_experts_are_not_rounded(inputs):
    refused = methods.method_named("rtn").refusal(OlmoeConfig(), scheme_of("rtn", **ACTIVATIONS[inputs]))
    assert refused == f"rtn: 'activation_format' is \"{ACTIVATIONS[inputs]['activation_format']}\"; accepted: null"


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_every_expert_is_rounded_to_nearest_by_itself(name):
    """Bit for bit, and nothing but the blocks' linear layers: no router."""
    model = build(name)
    ((answer,),) = methods.method_named("rtn").quantize(loaded(model), [QuantScheme("rtn", 3, 8, False)], None, 0)
    layers = decoder_of(model).linear_layers()
    assert answer.weights.keys() == {f"{layer}.weight" for layer in layers}
    assert not any(".mlp.gate." in weight for weight in answer.weights)
    for layer, module in layers.items():
        expected = grids.round_to_integer(module.weight.detach().clone(), 3, False, 8)
        assert torch.equal(answer.weights[f"{layer}.weight"].codes, expected.codes)
        assert torch.equal(answer.decoded(f"{layer}.weight"), expected.decode())
