"""Weights as training left them: what is on a grid passes untouched, what isn't is refused, bits are counted by hand."""

import dataclasses

import pytest
import torch
from rich.console import Console
from tests.measure.tiny import ROOT, write_sweep
from transformers import GPTNeoXConfig

from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import grids
from helpers.measure.rounding.methods import method_named, native
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.measure.training.rounded_layers import to_ternary
from helpers.measure.training.trainer import train_family
from helpers.table import files
from helpers.table.errors import QuantizationError
from helpers.table.scheme import QuantScheme

QUIET = Console(quiet=True)
TERNARY = QuantScheme("native", 2, None, True, format="ternary")
INPUTS = {"activation_format": "int", "activation_bits": 8, "activation_exponent": 1.0}


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("group_size", [16, 32, None])
@pytest.mark.parametrize("symmetric", [True, False])
def test_weights_on_a_grid_are_told_from_others(bits, group_size, symmetric):
    scheme = QuantScheme("native", bits, group_size, symmetric)
    weight = drawn(8, 64)
    rounded = grids.round_to_grid(weight, bits, symmetric, group_size)
    assert native.is_on_grid(rounded, scheme)
    assert native.is_on_grid(rounded.abs(), scheme)  # all codes on one side of zero
    assert native.is_on_grid(torch.zeros(8, 64), scheme)
    assert not native.is_on_grid(weight, scheme)
    assert not native.is_on_grid(weight.to(torch.bfloat16).float(), scheme)
    moved = rounded.clone()
    moved[3, 5] += 0.1
    assert not native.is_on_grid(moved, scheme)
    finer = grids.round_to_grid(weight, bits + 1, symmetric, group_size)
    assert not native.is_on_grid(finer, scheme)
    assert native.is_on_grid(rounded, dataclasses.replace(scheme, bits=bits + 1))


def test_ternary_is_one_scale_for_the_matrix():
    weight = to_ternary(drawn(8, 64))
    assert native.is_on_grid(weight, TERNARY)
    weight[2] *= 2
    assert not native.is_on_grid(weight, TERNARY)
    assert not native.is_on_grid(grids.round_to_grid(drawn(8, 64), 2, True, None), TERNARY)


def test_a_model_passes_untouched_with_its_bits_counted(model):
    with torch.no_grad():
        for layer in decoder_of(model).linear_layers().values():
            layer.weight.copy_(to_ternary(layer.weight))
    before = {name: value.clone() for name, value in model.named_parameters()}
    wanted = [TERNARY, dataclasses.replace(TERNARY, **INPUTS), QuantScheme("native", 2, 16, True)]
    ((plain, with_inputs, grouped),) = method_named("native").quantize([Checkpoint(model, None)], wanted, None, 0)
    assert all(torch.equal(plain.decoded(name), before[name]) for name in plain.weights)
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    layers = decoder_of(model).linear_layers()
    n_weights = sum(layer.weight.numel() for layer in layers.values())
    assert (plain.diagnostics.n_params_quantized, plain.diagnostics.quantized_ratio) == (n_weights, 1.0)
    assert plain.diagnostics.effective_bits == pytest.approx(8 / 5 + 16 * len(layers) / n_weights)
    assert grouped.diagnostics.effective_bits == 2 + 16 / 16  # three values are on a grid of four
    assert plain.inputs is None
    assert (with_inputs.inputs.bits, with_inputs.inputs.exponent) == (8, 1.0)


def test_what_is_on_no_grid_is_one_line(model):
    wanted = [QuantScheme("native", 4, 16, False), QuantScheme("native", 4, 24, False)]
    ((off, undivided),) = method_named("native").quantize([Checkpoint(model, None)], wanted, None, 0)
    assert isinstance(off, QuantizationError)
    assert "query_key_value' isn't on that grid; accepted: a checkpoint that was trained on it" in str(off)
    assert "group_size 24 doesn't divide" in str(undivided)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 4}, "'bits' is 4; accepted: 2"),
        ({"group_size": 32}, "'group_size' is 32; accepted: null"),
        ({"symmetric": False}, "'symmetric' is false; accepted: true"),
        ({"format": "nf4"}, '\'format\' is "nf4"; accepted: "int", "ternary"'),
        (INPUTS | {"activation_exponent": 0.5}, "'activation_exponent' is 0.5; accepted: null, 1.0"),
    ],
)
def test_schemes_that_can_t_be_are_refused(changed, message):
    assert message in method_named("native").refusal(GPTNeoXConfig(), dataclasses.replace(TERNARY, **changed))
    assert method_named("native").refusal(GPTNeoXConfig(), TERNARY) is None


PLAN = """\
family: born
models: [{name: born-32x1, d_model: 32, n_layers: 1, n_heads: 2}]
peak_learning_rate: 0.01
batch_sequences: 4
seq_len: 32
warmup_steps: 4
steps: [16]
low_bits:
  - {method: none}
  - {method: ternary, input_bits: 8}
  - {method: rtn, bits: 3, group_size: 16, symmetric: false}
"""
SCHEMES = """
      - &ternary {method: native, format: ternary, bits: 2, group_size: null, symmetric: true}
      - {<<: *ternary, activation_format: int, activation_bits: 8, activation_exponent: 1.0}
      - {method: [native, rtn], bits: 3, group_size: 16, symmetric: false}"""


def test_a_sweep_measures_what_is_deployed(text, tmp_path, monkeypatch):
    """Rounding weights that are on an asymmetric min-max grid again moves them by float32's rounding alone."""
    monkeypatch.chdir(ROOT)
    (tmp_path / "plan.yml").write_text(PLAN)
    train_family(tmp_path / "plan.yml", tmp_path / "born", "cpu", QUIET)
    declared = write_sweep(tmp_path / "sweep.yml", tmp_path / "born", SCHEMES)
    report = run_sweep(declared, "cpu", Places(tmp_path / "table.parquet", tmp_path / "records"), QUIET, None)
    assert (report.n_measured, report.failures) == (15, ())
    rows = files.read_table(tmp_path / "table.parquet").to_pylist()
    loss = {
        (row["run"], row["method"], row["format"], row["activation_bits"]): row["loss_nats"]
        for row in rows
        if row["status"] == "ok"
    }
    born = "born-32x1-ternarya8"
    assert loss[born, "native", "ternary", None] == loss[born, "none", "int", None]
    assert loss[born, "native", "ternary", 8] != loss[born, "none", "int", None]
    assert loss[born, "native", "ternary", 8] == pytest.approx(loss[born, "none", "int", None], abs=0.05)
    trained = "born-32x1-rtn3g16"
    assert loss[trained, "native", "int", None] == loss[trained, "none", "int", None]
    assert loss[trained, "rtn", "int", None] == pytest.approx(loss[trained, "none", "int", None], rel=1e-6)
    assert not [key for key in loss if key[:2] == ("born-32x1", "native")]
    failed = [(row["run"], row["format"], row["reason"]) for row in rows if row["status"] != "ok"]
    assert sorted((run, kind) for run, kind, _ in failed) == [
        *(("born-32x1", kind) for kind in ("int", "ternary", "ternary")),  # three values are on a grid of 3 bits too
        *((trained, "ternary"),) * 2,
    ]
    assert all("isn't on that grid" in reason for *_, reason in failed)
