"""auto-gptq against our own solver, layer by layer, and as a rounding method, end to end.

Run as a program (`python test_autogptq.py EXCHANGE`) this file is the child that holds auto-gptq's solver.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.measure.rounding import autogptq_child, gptq_solver
from helpers.measure.rounding.methods import autogptq
from helpers.measure.rounding.methods import gptq as methods_gptq
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

REL_DAMP = 0.01
WIDTHS = (64, 256)
BITS = (4, 3, 2)
GROUPS = (32, 128, None)
KINDS = {"symmetric": True, "asymmetric": False}
VOCABULARY = 512


def build_model(width: int, n_layers: int, generator: torch.Generator) -> GPTNeoXForCausalLM:
    """Return a GPT-NeoX with uneven channels, as training makes them: a few large gains, correlated embeddings."""
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=n_layers,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        model = GPTNeoXForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "layernorm" in name:
                parameter.copy_(torch.exp(0.5 * noise) if name.endswith("weight") else 0.3 * noise)
            elif parameter.ndim == 2:
                gains = torch.exp(0.3 * torch.randn(parameter.shape[1], generator=generator))
                parameter.copy_(noise * gains / parameter.shape[1] ** 0.5)
        factors = torch.randn(VOCABULARY, width // 8, generator=generator)
        shared = torch.randn(width // 8, width, generator=generator) / (width // 8) ** 0.5
        model.gpt_neox.embed_in.weight.copy_(factors @ shared + 0.3 * model.gpt_neox.embed_in.weight)
    return model


def zipf_tokens(n_sequences: int, seq_len: int, generator: torch.Generator) -> Tensor:
    """Return int64 tokens whose frequencies fall as 1/rank."""
    frequency = 1 / torch.arange(1, VOCABULARY + 1)
    drawn = torch.multinomial(frequency, n_sequences * seq_len, replacement=True, generator=generator)
    return drawn.reshape(n_sequences, seq_len)


def block_linears(model: nn.Module) -> dict[str, nn.Linear]:
    return {n: m for n, m in model.gpt_neox.layers.named_modules() if isinstance(m, nn.Linear)}


def mean_hessians(model: GPTNeoXForCausalLM, tokens: Tensor) -> dict[str, Tensor]:
    """Return the float32 mean of x x^T at the input of every block's Linear layers."""
    found: dict[str, Tensor] = {}
    layers = block_linears(model)

    def record(name: str):
        def hook(_module: nn.Module, inputs: tuple) -> None:
            found[name] = gptq_solver.second_moments(inputs[0].flatten(0, -2)) / tokens.numel()

        return hook

    handles = [layer.register_forward_pre_hook(record(name)) for name, layer in layers.items()]
    with torch.no_grad():
        model(tokens)
    for handle in handles:
        handle.remove()
    return found


def layers_to_compare() -> dict[str, Tensor]:
    """Return weight and Hessian of the four kinds of layer at each width."""
    tensors = {}
    for width in WIDTHS:
        generator = torch.Generator().manual_seed(width)
        model = build_model(width, 2, generator)
        hessians = mean_hessians(model, zipf_tokens(64, 128, generator))
        for name, layer in block_linears(model).items():
            if not name.startswith("1."):  # inputs of the first block depend on one token each: too few of them
                continue
            tensors[f"{width}/{name}/weight"] = layer.weight.detach().clone()
            tensors[f"{width}/{name}/hessian"] = hessians[name]
    return tensors


def cases(layers: dict[str, Tensor]) -> list[tuple[str, int, int | None, str]]:
    """Return (layer, bits, group size, kind of grid) for every group that divides the layer's width."""
    names = sorted({key.rpartition("/")[0] for key in layers})
    return [
        case
        for case in product(names, BITS, GROUPS, KINDS)
        if case[2] is None or layers[f"{case[0]}/weight"].shape[1] % case[2] == 0
    ]


def solve_with_auto_gptq(exchange: Path) -> None:
    """Be the child: solve every case with auto-gptq's own solver and grid."""
    torch.set_num_threads(1)
    solver = autogptq_child.import_auto_gptq(torch.device("cpu")).GPTQ
    layers = load_file(exchange / "layers.safetensors")
    answers = {}
    for layer, bits, group, kind in map(tuple, json.loads((exchange / "cases.json").read_text())):
        linear = nn.Linear(*reversed(layers[f"{layer}/weight"].shape), bias=False)
        linear.weight.data = layers[f"{layer}/weight"].clone()
        theirs = solver(linear)
        theirs.H = layers[f"{layer}/hessian"].clone()
        theirs.nsamples = 1
        theirs.quantizer.configure(bits, perchannel=True, sym=KINDS[kind], mse=False)
        # a block as wide as the group: its default of 128 fits later groups to weights not yet corrected
        scale, zero, _ = theirs.fasterquant(blocksize=group or 128, percdamp=REL_DAMP, group_size=group or -1)
        key = f"{layer}|{bits}|{group}|{kind}"
        answers |= {f"{key}|weight": linear.weight.data, f"{key}|scale": scale, f"{key}|zero": zero}
    save_file({key: value.contiguous() for key, value in answers.items()}, exchange / "answers.safetensors")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sum in the same order as the child does, and leave the other cores to others."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list, dict[str, Tensor]]:
    """Return the layers, the cases, and auto-gptq's answers, all from one child."""
    exchange = tmp_path_factory.mktemp("layers")
    layers = layers_to_compare()
    save_file(layers, exchange / "layers.safetensors")
    (exchange / "cases.json").write_text(json.dumps(cases(layers)))
    subprocess.run([sys.executable, __file__, str(exchange)], check=True)
    return layers, cases(layers), load_file(exchange / "answers.safetensors")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", BITS)
def test_solver_agrees_with_auto_gptq(comparison, bits, kind):
    """Same Hessian, grid and damping: >= 99% equal codes, errors within 3e-3, ours on average at most 3e-4 above theirs.

    Not all codes: where a weight lies within float32's noise of a boundary, the two round differently, and the
    correction then carries that on to later columns of the row. Which of the two comes out lower in a single case
    changes with the machine and the draw: of 126 cases one to six are more than 1e-3 apart, either way. Over six draws
    and three instruction sets the mean of the 21 cases of one kind lay between -4.0e-4 and 1.8e-4.
    """
    layers, every_case, answers = comparison
    selected = [case for case in every_case if case[1] == bits and case[3] == kind]
    assert len(selected) == 3 * 8 - 3  # group 128 doesn't divide three of the layers of width 64
    excess = []
    for layer, _, group, _ in selected:
        weight, hessian = layers[f"{layer}/weight"], layers[f"{layer}/hessian"]
        ours = gptq_solver.solve(weight, hessian, bits, group, KINDS[kind], REL_DAMP)
        theirs = {part: answers[f"{layer}|{bits}|{group}|{kind}|{part}"] for part in ("weight", "scale", "zero")}
        # the first group's grid sees no correction yet: equal but for float32's rounding
        torch.testing.assert_close(ours.scale[:, :1], theirs["scale"][:, :1], rtol=1e-6, atol=0)
        assert torch.equal(ours.zero[:, :1], theirs["zero"][:, :1])
        scale, zero = (theirs[part].repeat_interleave(group or weight.shape[1], 1) for part in ("scale", "zero"))
        their_codes = torch.round(theirs["weight"] / scale + zero)
        assert (ours.codes == their_codes).float().mean() >= 0.99, (layer, group)
        errors = [
            gptq_solver.relative_error(weight, rounded, hessian).sqrt() for rounded in (ours.weight, theirs["weight"])
        ]
        excess.append(float(errors[0] / errors[1]) - 1)
        assert abs(excess[-1]) <= 3e-3, (layer, group)
    assert sum(excess) / len(excess) <= 3e-4


def scheme(**changes: object) -> QuantScheme:
    return QuantScheme(**({"method": "autogptq", "bits": 3, "symmetric": False, "rel_damp": REL_DAMP} | changes))


def quantize(
    model: nn.Module, schemes: list[QuantScheme], calibration: Tensor | None, folder: Path
) -> list[Rounded | QuantizationError]:
    (answers,) = autogptq.quantize([Checkpoint(model, folder)], schemes, calibration, 0)
    return answers


@dataclass(frozen=True)
class EndToEnd:
    """One call of `autogptq.quantize`: what went in, what came out, and the process before and after it."""

    model: GPTNeoXForCausalLM
    calibration: Tensor
    schemes: list[QuantScheme]
    answers: list[Rounded | QuantizationError]
    before: tuple
    after: tuple


def state_of_process(model: nn.Module) -> tuple:
    """Return what auto-gptq would change: random state, initialisers, loaded modules, the model's own weights."""
    initialisers = {name: getattr(nn.init, name) for name in ("kaiming_uniform_", "uniform_", "normal_")}
    foreign = {name.partition(".")[0] for name in sys.modules} & {"auto_gptq", "peft"}
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    return torch.get_rng_state(), initialisers, foreign, weights


@pytest.fixture(scope="module")
def end_to_end(tmp_path_factory: pytest.TempPathFactory) -> EndToEnd:
    generator = torch.Generator().manual_seed(1)
    model = build_model(64, 2, generator)
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    calibration = zipf_tokens(32, 64, generator)
    schemes = [scheme(bits=bits, group_size=group) for bits in BITS for group in (None, 32)] + [scheme(bits=5)]
    before = state_of_process(model)
    answers = quantize(model, schemes, calibration, folder)
    return EndToEnd(model, calibration, schemes, answers, before, state_of_process(model))


def test_every_linear_of_the_blocks_is_on_its_grid(end_to_end):
    expected = {f"gpt_neox.layers.{name}.weight": layer for name, layer in block_linears(end_to_end.model).items()}
    for wanted, answer in zip(end_to_end.schemes[:-1], end_to_end.answers[:-1], strict=True):
        assert isinstance(answer, Rounded)
        assert answer.weights.keys() == expected.keys()
        for name, weight in answer.weights.items():
            assert weight.dtype == torch.float32
            assert weight.shape == expected[name].weight.shape
            groups = weight.reshape(-1, wanted.group_size or weight.shape[1])
            assert max(len(group.unique()) for group in groups) <= 2**wanted.bits
        assert answer.diagnostics.n_params_quantized == sum(layer.weight.numel() for layer in expected.values())
        assert answer.diagnostics.max_rel_damp_used == REL_DAMP
        assert answer.diagnostics.mean_layer_error is None


def test_whole_model_agrees_with_our_gptq(end_to_end):
    """One scale a row is the same algorithm in both: most weights are equal, the outputs lose as much.

    A single flipped code changes what every later layer sees, so fewer codes agree than layer by layer, and the lost
    power moves: by up to 6% at width 128 (ours with one and with two threads: by up to 2%).
    """
    tokens = zipf_tokens(16, 64, torch.Generator().manual_seed(2))
    for wanted, theirs in zip(end_to_end.schemes, end_to_end.answers, strict=True):
        if wanted.group_size is not None or wanted.bits not in BITS:
            continue
        checkpoint = Checkpoint(end_to_end.model, Path("unused"))
        ((ours,),) = methods_gptq.quantize([checkpoint], [wanted], end_to_end.calibration, 2**30)
        ours = Rounded({name: ours.decoded(name) for name in ours.weights}, ours.diagnostics)
        equal = {name: (theirs.weights[name] - w).abs() < 1e-5 for name, w in ours.weights.items()}
        assert theirs.diagnostics.effective_bits == ours.diagnostics.effective_bits
        assert equal["gpt_neox.layers.0.attention.query_key_value.weight"].float().mean() >= 0.99
        assert torch.cat([same.flatten() for same in equal.values()]).float().mean() >= 0.8
        ours_lost, theirs_lost = (lost_power(end_to_end.model, rounded.weights, tokens) for rounded in (ours, theirs))
        assert theirs_lost == pytest.approx(ours_lost, rel=0.15)


def lost_power(model: nn.Module, weights: dict[str, Tensor], tokens: Tensor) -> float:
    """Return the mean squared change of the logits when `weights` are substituted."""
    with torch.no_grad():
        exact = model(tokens).logits
        rounded = torch.func.functional_call(model, weights, (tokens,)).logits
    return float((rounded - exact).square().mean())


def test_error_grows_as_bits_fall(end_to_end):
    tokens = zipf_tokens(16, 64, torch.Generator().manual_seed(2))
    for group in (None, 32):
        lost = [
            lost_power(end_to_end.model, answer.weights, tokens)
            for wanted, answer in zip(end_to_end.schemes[:-1], end_to_end.answers[:-1], strict=True)
            if wanted.group_size == group
        ]
        assert 0 < lost[0] < lost[1] < lost[2]


def test_a_scheme_auto_gptq_refuses_leaves_the_others(end_to_end):
    refused = end_to_end.answers[-1]
    assert isinstance(refused, QuantizationError)
    assert "autogptq 5 bits" in str(refused)
    assert "only support quantize to [2, 3, 4, 8] bits" in str(refused)


def test_this_process_stays_as_it_was(end_to_end):
    (state, initialisers, foreign, weights), after = end_to_end.before, end_to_end.after
    assert torch.equal(state, after[0])
    assert initialisers == after[1]
    assert foreign == after[2] == set()
    assert all(torch.equal(weights[name], after[3][name]) for name in weights)
    filled = nn.init.kaiming_uniform_(torch.zeros(4, 4), generator=torch.Generator().manual_seed(0))
    assert filled.abs().min() > 0


FAKE_CHILD = """
import json, sys
from pathlib import Path
import numpy
from safetensors.numpy import save_file
exchange = Path(sys.argv[1])
names = {names!r}
tensors = {{name: numpy.full(shape, {value}, numpy.float32) for name, shape in names.items()}}
save_file(tensors, exchange / "0.safetensors")
print("the last words", file=sys.stderr)
sys.exit({status})
"""


@pytest.fixture
def ask_fake_child(monkeypatch, tmp_path):
    """Return a function that asks a child which writes the given tensors for the first scheme and exits."""
    model = build_model(32, 1, torch.Generator().manual_seed(0))
    shapes = {f"gpt_neox.layers.{n}.weight": tuple(m.weight.shape) for n, m in block_linears(model).items()}

    def ask(change: dict, value: str = "1.0", status: int = 0) -> list[Rounded | QuantizationError]:
        names = {name: shape for name, shape in (shapes | change).items() if shape}
        (tmp_path / "fake_autogptq_child.py").write_text(FAKE_CHILD.format(names=names, value=value, status=status))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(autogptq, "CHILD", "fake_autogptq_child")
        return quantize(model, [scheme(), scheme(bits=2)], torch.zeros(1, 4, dtype=torch.int64), tmp_path)

    return ask


def test_a_child_that_dies_keeps_what_was_done_and_says_why(ask_fake_child):
    done, lost = ask_fake_child({}, status=3)
    assert isinstance(done, Rounded)
    assert isinstance(lost, QuantizationError)
    assert str(lost) == ("autogptq 2 bits per row asymmetric: auto-gptq's process ended with status 3: the last words")


QKV = "gpt_neox.layers.0.attention.query_key_value.weight"


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        ({QKV: None}, "1.0", f"differ in which layers are rounded: {QKV}"),
        ({"embed_out.weight": (2, 2)}, "1.0", "differ in which layers are rounded: embed_out.weight"),
        ({QKV: (96, 16)}, "1.0", r"has shape \(96, 16\) instead of \(96, 32\)"),
        ({}, "float('nan')", "aren't finite for 'gpt_neox.layers.0.attention"),
    ],
    ids=["missing", "unknown", "shape", "not finite"],
)
def test_wrong_answers_are_refused(ask_fake_child, change, value, message):
    with pytest.raises(QuantizationError, match=message):
        raise ask_fake_child(change, value)[0]


def test_not_installed_says_how_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(autogptq, "PACKAGE", "auto_gptq_absent")
    model = build_model(32, 1, torch.Generator().manual_seed(0))
    answers = quantize(model, [scheme(), scheme()], torch.zeros(1, 4, dtype=torch.int64), tmp_path)
    assert len(answers) == 2
    assert "pip install auto-gptq==0.7.1" in str(answers[1])
    assert "\n" not in str(answers[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rel_damp": None}, "auto-gptq needs 'rel_damp'"),
        ({"hessian_dtype": "bfloat16"}, 'autogptq: \'hessian_dtype\' is "bfloat16"; accepted: "float32"'),
        ({"propagate": "full_precision"}, 'autogptq: \'propagate\' is "full_precision"; accepted: "quantized"'),
        ({"format": "mxint"}, 'autogptq: \'format\' is "mxint"; accepted: "int"'),
        ({"grid_search": "mse"}, 'autogptq: \'grid_search\' is "mse"; accepted: "minmax"'),
        ({"order": "activation"}, 'autogptq: \'order\' is "activation"; accepted: "given"'),
    ],
)
def test_what_auto_gptq_cannot_do_is_not_done_otherwise(tmp_path, changes, message):
    model = build_model(32, 1, torch.Generator().manual_seed(0))
    (answer,) = quantize(model, [scheme(**changes)], torch.zeros(1, 4, dtype=torch.int64), tmp_path)
    assert isinstance(answer, QuantizationError)
    assert str(answer) == autogptq.refusal(model.config, scheme(**changes)) == message


def test_calibration_is_needed(tmp_path):
    (answer,) = quantize(build_model(32, 1, torch.Generator().manual_seed(0)), [scheme()], None, tmp_path)
    assert str(answer) == "auto-gptq needs calibration tokens"


def test_a_missing_weight_is_an_error_but_the_head_may_be_missing(tmp_path):
    """The child doesn't use the output head; any other missing weight would be random in silence."""
    model = build_model(32, 1, torch.Generator().manual_seed(0))
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    head = [name for name in weights if "gpt_neox" not in name]
    assert len(head) == 1
    del weights[head[0]]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with torch.random.fork_rng():
        autogptq_child.load_model(str(tmp_path))
        del weights[QKV]
        save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ValueError, match=QKV):
            autogptq_child.load_model(str(tmp_path))


if __name__ == "__main__":
    solve_with_auto_gptq(Path(sys.argv[1]))
