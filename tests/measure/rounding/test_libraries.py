"""The methods of other people's libraries, and NF4 as one of them does it: values lie on the grids that schemes name.

hqq and torchao aren't in requirements.lock (see their files); their tests run where they are installed.
"""

import importlib.metadata
import sys
from pathlib import Path

import pytest
import torch
from tests.measure.rounding.methods.test_awq import MODELS, decoded
from tests.measure.tiny import tiny_model
from torch import Tensor
from transformers import GPTNeoXConfig

from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import grids, libraries, methods
from helpers.measure.rounding.methods import hqq, int8, nf4, torchao
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

FROM_FULL_PRECISION = ("awq", "gwq", "cmpq", "gaussian_noise_by_input")  # inputs of the model as it was
LIBRARY = {"int8": int8, "hqq": hqq, "torchao": torchao}
METHODS = {"nf4": nf4, **LIBRARY}
SCHEMES = {
    "nf4": {"bits": 4, "group_size": 64, "symmetric": True, "format": "nf4"},
    "int8": {"bits": 8, "group_size": None, "symmetric": True},
    "hqq": {"bits": 3, "group_size": 16, "symmetric": False},
    "torchao": {"bits": 4, "group_size": 16, "symmetric": True},
}


def needs(method: str) -> pytest.MarkDecorator:
    """Return the mark that leaves a test out where a method's library isn't installed; NF4 is computed here."""
    missing = None if method == "nf4" else libraries.not_installed(LIBRARY[method].PACKAGE, LIBRARY[method].VERSION)
    return pytest.mark.skipif(missing is not None, reason=missing or "")


every_method = pytest.mark.parametrize("method", [pytest.param(name, marks=needs(name)) for name in METHODS])
every_library = pytest.mark.parametrize("method", [pytest.param(name, marks=needs(name)) for name in LIBRARY])


def scheme(method: str, **changes: object) -> QuantScheme:
    return QuantScheme(**({"method": method} | SCHEMES[method] | changes))


def rounded_by(model: torch.nn.Module, *schemes: QuantScheme) -> list[Rounded]:
    (answers,) = methods.method_named(schemes[0].method).quantize([Checkpoint(model, Path())], schemes, None, 0)
    return answers


@pytest.fixture
def model() -> torch.nn.Module:
    return tiny_model(seed=0, d_model=64)


# arXiv 2305.14314, appendix E
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334]
NF4 += [-0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224]
NF4 += [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]


@pytest.mark.parametrize("group_size", [32, 64])
def test_nf4_is_the_nearest_of_sixteen_values_times_the_blocks_largest(model, group_size):
    (answer,) = rounded_by(model, scheme("nf4", group_size=group_size))
    table = torch.tensor(NF4)
    for name, weight in answer.weights.items():
        blocks = model.get_parameter(name).unflatten(-1, (-1, group_size, 1))
        largest = blocks.abs().amax(-2, keepdim=True)
        values = table * largest  # (rows, blocks, 1, 16)
        rounded = weight.unflatten(-1, (-1, group_size, 1))
        assert ((rounded - values).abs().amin(-1, keepdim=True) <= 1e-7 * largest).all()  # float32's rounding
        assert ((rounded - blocks).abs() <= (blocks - values).abs().amin(-1, keepdim=True) + 1e-7 * largest).all()
    assert answer.diagnostics.effective_bits == 4 + 32 / group_size


@pytest.mark.parametrize("group_size", nf4.BLOCK_SIZES)
def test_nf4_is_to_the_bit_what_bitsandbytes_makes_on_the_cpu(group_size):
    """Drawn weights of three sizes, and blocks with nothing, with every middle of two values, and numbers beside it."""
    pytest.importorskip("bitsandbytes")
    library = libraries.imported("bitsandbytes.functional")
    drawn = torch.randn(24, 4096, generator=torch.Generator().manual_seed(group_size))
    drawn[8:16] *= 1e-3
    drawn[16:] = drawn[16:].bfloat16().float()
    table = torch.tensor(NF4)
    middles = (table[1:] + table[:-1]) / 2
    beside = [middles.nextafter(torch.tensor(end)) for end in (-2.0, 2.0)]
    edges = torch.zeros(4, 4096)
    for row, (scale, numbers) in enumerate([(1.0, middles), (0.25, beside[0]), (3e-5, beside[1]), (1e-36, middles)]):
        blocks = edges[row].view(-1, group_size)
        blocks[:, 0], blocks[:, 1:16] = scale, scale * numbers
    weight = torch.cat([drawn, edges, torch.zeros(1, 4096)])
    codes, state = library.quantize_4bit(weight, blocksize=group_size, quant_type="nf4")
    expected = library.dequantize_4bit(codes, state)
    assert torch.equal(nf4.round_matrix(weight, scheme("nf4", group_size=group_size)), expected)


@needs("int8")
def test_int8_rounds_each_row_to_multiples_of_its_largest_over_127(model):
    (answer,) = rounded_by(model, scheme("int8"))
    for name, weight in answer.weights.items():
        half = model.get_parameter(name).half().float()
        largest = half.abs().amax(-1, keepdim=True)
        codes = weight * 127 / largest
        # float32's rounding of a code up to 127, twice
        assert (codes - codes.round()).abs().max() < 5e-5
        assert codes.abs().amax(-1).round().eq(127).all()
        assert ((weight - half).abs() <= (0.5 + 5e-5) * largest / 127).all()
    widths = [weight.shape for weight in answer.weights.values()]
    expected = 8 + 32 * sum(rows for rows, _ in widths) / sum(rows * columns for rows, columns in widths)
    assert answer.diagnostics.effective_bits == pytest.approx(expected, rel=1e-12)


@needs("hqq")
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("group_size", [16, None])
def test_hqq_gives_evenly_spaced_values_and_a_smaller_robust_error(model, bits, group_size):
    (answer,) = rounded_by(model, scheme("hqq", bits=bits, group_size=group_size))
    lost = {"hqq": 0.0, "rtn": 0.0}
    for name, weight in answer.weights.items():
        original = model.get_parameter(name)
        groups = weight.unflatten(-1, (-1, group_size or weight.shape[1]))
        low, high = original.unflatten(-1, (-1, groups.shape[-1])).aminmax(dim=-1, keepdim=True)
        step = (high - low) / (2**bits - 1)  # its scale is the min-max one; only the zero point moves
        codes = (groups - groups.amin(-1, keepdim=True)) / step
        assert codes.max() < 2**bits - 0.5
        assert (codes - codes.round()).abs().max() < 1e-3  # float32 noise of a weight, in steps of 1/255 of the range
        plain = grids.round_to_grid(original, bits, False, group_size)
        lost["hqq"] += float((weight - original).abs().pow(0.7).sum())
        lost["rtn"] += float((plain - original).abs().pow(0.7).sum())
    assert lost["hqq"] < lost["rtn"]
    if group_size:
        assert answer.diagnostics.effective_bits == bits + 32 / group_size


@needs("torchao")
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("group_size", [16, None])
def test_torchao_is_our_round_to_nearest_but_where_a_weight_lies_in_the_middle(model, bits, symmetric, group_size):
    wanted = scheme("torchao", bits=bits, symmetric=symmetric, group_size=group_size)
    (answer,) = rounded_by(model, wanted)
    for name, weight in answer.weights.items():
        original = model.get_parameter(name)
        grouped = original.unflatten(-1, (-1, group_size or original.shape[1]))
        grid = grids.fit(grouped, bits, symmetric)
        position = (grouped / grid.scale).flatten(-2)
        # two float32 roundings of a position up to 255
        middle = ((position - position.floor()) - 0.5).abs() < 1e-4
        ours = grids.round_to_grid(original, bits, symmetric, group_size)
        assert torch.equal(weight[~middle], ours[~middle])
        one_step = (grid.scale.expand_as(grouped).flatten(-2) * 1.001)[middle]
        assert ((weight - ours).abs()[middle] <= one_step).all()
        assert middle.float().mean() < (0.1 if symmetric else 0.001)
    theirs = answer.diagnostics.effective_bits
    (ours,) = rounded_by(model, QuantScheme("rtn", bits, group_size, symmetric))
    assert theirs == pytest.approx(ours.diagnostics.effective_bits, rel=1e-12)


def snapshot(model: torch.nn.Module) -> tuple[dict[str, Tensor], Tensor, torch.dtype, bool]:
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    return weights, torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled()


@every_method
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_rounded_and_nothing_else_changes(method, name):
    model = MODELS[name]()
    before, state, *modes = snapshot(model)
    wanted = scheme(method) if method != "nf4" else scheme(method, group_size=32)
    (answer,) = rounded_by(model, wanted)
    layers = decoder_of(model).linear_layers()
    assert answer.weights.keys() == {f"{layer}.weight" for layer in layers}
    for layer, weight in decoded(answer).items():
        original = model.get_parameter(layer)
        assert (weight.shape, weight.dtype, weight.device) == (original.shape, torch.float32, original.device)
        assert not weight.is_inference()
        assert 0 < (weight - original).abs().max() < original.abs().max()
    assert answer.diagnostics.n_params_quantized == sum(layer.weight.numel() for layer in layers.values())
    after, state_after, *modes_after = snapshot(model)
    assert torch.equal(state, state_after)
    assert modes == modes_after
    assert all(torch.equal(before[key], after[key]) for key in before)


@every_method
def test_twice_is_the_same_and_schemes_do_not_see_each_other(method, model):
    undivided = {"nf4": 128, "hqq": 48, "torchao": 48}.get(method)
    schemes = [scheme(method), scheme(method)]
    if undivided:
        schemes.insert(1, scheme(method, group_size=undivided))
    first, *refused, last = rounded_by(model, *schemes)
    assert all(torch.equal(first.weights[name], last.weights[name]) for name in first.weights)
    for answer in refused:
        assert isinstance(answer, QuantizationError)
        assert f"group_size {undivided} doesn't divide the input width 64 of 'gpt_neox.layers.0." in str(answer)


@every_method
def test_zeros_stay_zero(method, model):
    name = "gpt_neox.layers.0.mlp.dense_h_to_4h.weight"
    model.get_parameter(name)[3] = 0
    (answer,) = rounded_by(model, scheme(method))
    assert torch.equal(answer.weights[name][3], torch.zeros(64))


REFUSED = [
    ("nf4", {}, None),
    ("nf4", {"format": "int"}, 'nf4: \'format\' is "int"; accepted: "nf4"'),
    ("nf4", {"bits": 3}, "nf4: 'bits' is 3; accepted: 4"),
    ("nf4", {"group_size": 16}, "nf4: 'group_size' is 16; accepted: 32, 64, 128, 256, 512, 1024, 2048, 4096"),
    ("nf4", {"group_size": None}, "nf4: 'group_size' is null; accepted: 32, 64, 128, 256, 512, 1024, 2048, 4096"),
    ("nf4", {"symmetric": False}, "nf4: 'symmetric' is false; accepted: true"),
    ("int8", {}, None),
    ("int8", {"bits": 4}, "int8: 'bits' is 4; accepted: 8"),
    ("int8", {"group_size": 64}, "int8: 'group_size' is 64; accepted: null"),
    ("int8", {"symmetric": False}, "int8: 'symmetric' is false; accepted: true"),
    ("hqq", {}, None),
    ("hqq", {"bits": 7}, "hqq: 'bits' is 7; accepted: 2, 3, 4, 5, 6, 8"),
    ("hqq", {"symmetric": True}, "hqq: 'symmetric' is true; accepted: false"),
    ("hqq", {"group_size": 12}, "hqq: 'group_size' is 12; accepted: a multiple of 8, or null"),
    ("torchao", {}, None),
    ("torchao", {"format": "mxint"}, 'torchao: \'format\' is "mxint"; accepted: "int"'),
    *[(name, {"grid_search": "mse"}, f'{name}: \'grid_search\' is "mse"; accepted: "minmax"') for name in METHODS],
    *[(name, {"order": "activation"}, f'{name}: \'order\' is "activation"; accepted: "given"') for name in METHODS],
    *[(name, {"rel_damp": 0.01}, f"{name}: 'rel_damp' is 0.01; accepted: null") for name in METHODS],
]


@pytest.mark.parametrize(("method", "changes", "message"), REFUSED)
def test_what_is_refused(method, changes, message, monkeypatch):
    if method in LIBRARY:
        monkeypatch.setattr(importlib.metadata, "version", lambda _: LIBRARY[method].VERSION)
    assert METHODS[method].refusal(GPTNeoXConfig(), scheme(method, **changes)) == message


@pytest.mark.parametrize("method", LIBRARY)
def test_a_missing_library_or_another_version_is_a_refusal_with_the_command(method, monkeypatch):
    package, version = LIBRARY[method].PACKAGE, LIBRARY[method].VERSION

    def absent(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    for found, lookup in (("none", absent), ("0.1", lambda _: "0.1")):
        monkeypatch.setattr(importlib.metadata, "version", lookup)
        reason = LIBRARY[method].refusal(GPTNeoXConfig(), scheme(method))
        assert reason == f"{package} {version} isn't installed (found: {found}): pip install {package}=={version}"
    monkeypatch.setattr(importlib.metadata, "version", lambda _: f"{version}+cu130")
    assert LIBRARY[method].refusal(GPTNeoXConfig(), scheme(method)) is None


@every_library
def test_a_file_here_does_not_hide_the_library_of_its_name(method):
    rounded_by(tiny_model(seed=0, d_model=64), scheme(method))
    library = sys.modules[LIBRARY[method].PACKAGE]
    assert "site-packages" in library.__file__ or not library.__file__.startswith(str(Path(methods.__file__).parent))
    assert library.__name__ == LIBRARY[method].PACKAGE


@pytest.mark.parametrize("name", methods.every_method())
def test_every_method_is_registered_with_its_two_functions(name):
    method = methods.method_named(name)
    assert callable(method.quantize)
    assert callable(method.refusal)
    assert method.propagate == ("full_precision" if name in FROM_FULL_PRECISION else "quantized")
