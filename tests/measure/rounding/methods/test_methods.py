"""What every method says at plan time of kept matrices and of rounded inputs."""

import dataclasses

import pytest
import torch
from tests.measure.plain import loaded
from transformers import GPTNeoXConfig

from helpers.measure.rounding import methods
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

MIXED = {"rtn", "gptq", "crossquant"}
ACTIVATIONS = {
    "mxint": {"activation_format": "mxint", "activation_bits": 4, "activation_group_size": 16},
    "int": {"activation_format": "int", "activation_bits": 8, "activation_exponent": 0.15},
}
ROUNDS_INPUTS = {"rtn": {"mxint", "int"}, "crossquant": {"int"}}  # others round none


def scheme_of(name: str, **options: object) -> QuantScheme:
    """Return a scheme that this method's own file accepts, where its library is installed."""
    return QuantScheme(name, bits=4, group_size=32, symmetric=True, **options)


@pytest.fixture(autouse=True)
def _own_refusals(monkeypatch):
    """Let methods' own files accept everything, installed or not: what is asked here comes before."""
    for method in methods.METHODS.values():
        monkeypatch.setattr(method.module, "refusal", lambda config, scheme: None)


@pytest.mark.parametrize("name", methods.METHODS)
def test_only_mixed_methods_keep_matrices(name):
    method = methods.get(name)
    assert method.mixed == (name in MIXED)
    wanted = scheme_of(name, kept_matrices=("0.attention.dense",))
    refused = f"{name}: 'kept_matrices' is [\"0.attention.dense\"]; accepted: []"
    assert method.refusal(GPTNeoXConfig(), wanted) == (None if name in MIXED else refused)
    assert method.refusal(GPTNeoXConfig(), scheme_of(name)) is None


@pytest.mark.parametrize("name", methods.METHODS)
@pytest.mark.parametrize("format_", ACTIVATIONS)
def test_only_methods_that_say_so_round_inputs(name, format_):
    accepted = ", ".join(["null", *(f'"{each}"' for each in methods.get(name).activations)])
    refused = f"{name}: 'activation_format' is \"{format_}\"; accepted: {accepted}"
    takes = format_ in ROUNDS_INPUTS.get(name, ())
    assert methods.get(name).refusal(GPTNeoXConfig(), scheme_of(name, **ACTIVATIONS[format_])) == (
        None if takes else refused
    )


def test_a_methods_own_refusal_comes_after(monkeypatch):
    monkeypatch.setattr(methods.get("rtn").module, "refusal", lambda config, scheme: "own words")
    assert methods.get("rtn").refusal(GPTNeoXConfig(), scheme_of("rtn")) == "own words"


def test_an_answer_carries_how_inputs_are_rounded(model):
    plain = scheme_of("rtn")
    schemes = [plain, *(dataclasses.replace(plain, **options) for options in ACTIVATIONS.values())]
    ((none, mxint, crossed),) = methods.get("rtn").quantize(loaded(model), schemes, None, 0)
    assert none.inputs is None
    assert mxint.inputs == InputRounding("mxint", 4, 16, None)
    assert crossed.inputs == InputRounding("int", 8, None, 0.15)
    for name in none.weights:
        assert torch.equal(none.decoded(name), mxint.decoded(name))


def test_blocks_of_inputs_that_do_not_divide_a_width_are_an_error_of_their_scheme(model):
    wanted = dataclasses.replace(scheme_of("rtn"), **ACTIVATIONS["mxint"] | {"activation_group_size": 24})
    ((answer, fine),) = methods.get("rtn").quantize(loaded(model), [wanted, scheme_of("rtn")], None, 0)
    assert isinstance(answer, QuantizationError)
    assert "activation_group_size 24 doesn't divide the input width 32 of 'gpt_neox.layers.0.attention" in str(answer)
    assert not isinstance(fine, QuantizationError)
