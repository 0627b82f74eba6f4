"""Runs at low bits: what is multiplied, what gradients see, what is written, and plans that can't be."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.measure.tiny import ROOT
from tests.measure.training.test_trainer import PLAN, kill_after_second_checkpoint, train
from transformers import GPTNeoXForCausalLM

from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import grids
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.methods import method_named
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.training import trainer as training
from helpers.measure.training.folder import DivergedError, build
from helpers.measure.training.low_bits import LowBits
from helpers.measure.training.plan import ModelEntry
from helpers.measure.training.rounded_layers import (
    RoundedLinear,
    deployed,
    round_in_training,
    rounded_inputs,
    rounded_weight,
    to_ternary,
)
from helpers.table.errors import SpecError
from helpers.table.families import catalogue
from helpers.table.scheme import QuantScheme

TERNARY = LowBits("ternary", input_bits=8)
KINDS = [TERNARY, *(LowBits("rtn", bits, 32, symmetric) for bits in (2, 3, 4) for symmetric in (True, False))]
FOUR = """low_bits:
  - {method: none}
  - {method: ternary, input_bits: 8}
  - {method: rtn, bits: [2, 4], group_size: 16, symmetric: false}
"""


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scheme_of(low_bits: LowBits) -> QuantScheme:
    """Return the scheme that a sweep measures a checkpoint of these low bits by."""
    inputs = {"activation_format": "int", "activation_bits": low_bits.input_bits, "activation_exponent": 1.0}
    inputs = inputs if low_bits.input_bits else {}
    if low_bits.method == "ternary":
        return QuantScheme("native", 2, None, True, format="ternary", **inputs)
    return QuantScheme("native", low_bits.bits, low_bits.group_size, low_bits.symmetric, **inputs)


# ---- one layer -------------------------------------------------------------------------------------------------------


def test_ternary_weights_are_the_mean_magnitude_times_three_codes():
    """By hand: the mean magnitude of the row is 1, so what is below a half becomes 0; exact ties go to 0."""
    weight = torch.tensor([[0.4, -0.6, 1.5, -1.5], [0.5, -0.5, 2.0, 1.0]])
    assert torch.equal(to_ternary(weight), torch.tensor([[0.0, -1, 1, -1], [0, 0, 1, 1]]))
    assert torch.equal(to_ternary(3 * weight), 3 * to_ternary(weight))
    assert torch.equal(to_ternary(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize("low_bits", KINDS[1:])
def test_rounded_weights_are_round_to_nearest_of_the_study(low_bits):
    weight = drawn(8, 64)
    scheme = QuantScheme("rtn", low_bits.bits, low_bits.group_size, low_bits.symmetric)
    stored = method_named("rtn").module.round_matrix(weight, scheme)
    assert torch.equal(rounded_weight(weight, low_bits), stored.decode())


def test_rounded_inputs_are_those_of_a_sweep():
    inputs = drawn(3, 5, 40)
    inputs[1, 2] = 0  # a token without a magnitude
    assert torch.equal(rounded_inputs(inputs, 8), InputRounding("int", 8, None, 1.0)(inputs))


@pytest.mark.parametrize("low_bits", KINDS)
def test_what_is_multiplied_is_rounded_bit_for_bit(low_bits):
    layer = torch.nn.Linear(64, 8)
    inputs = drawn(3, 64)
    into = inputs if low_bits.input_bits is None else rounded_inputs(inputs, low_bits.input_bits)
    expected = torch.nn.functional.linear(into, rounded_weight(layer.weight.detach(), low_bits), layer.bias)
    assert torch.equal(RoundedLinear(layer, low_bits)(inputs), expected)


@pytest.mark.parametrize("low_bits", KINDS)
def test_the_gradient_is_that_of_the_surrogate_by_differences(low_bits):
    """The surrogate moves weights and inputs by as much as the trained ones move, from where they are rounded to.

    Central differences in float64 of a smooth function: the error is of the order of the step's square.
    """
    torch.manual_seed(0)
    layer = torch.nn.Linear(32, 3).double()
    rounded = RoundedLinear(layer, low_bits)
    inputs = drawn(2, 32).double().requires_grad_()
    loss = torch.tanh(rounded(inputs)).square().sum()
    to_weight, to_inputs = torch.autograd.grad(loss, [layer.weight, inputs])
    with torch.no_grad():
        weight = rounded_weight(layer.weight, low_bits)
        into = inputs if low_bits.input_bits is None else rounded_inputs(inputs, low_bits.input_bits)

    def surrogate(weight_step: torch.Tensor, input_step: torch.Tensor) -> torch.Tensor:
        out = torch.nn.functional.linear(into + input_step, weight + weight_step, layer.bias)
        return torch.tanh(out).square().sum()

    for gradient, at in ((to_weight, 0), (to_inputs, 1)):
        for index in range(0, gradient.numel(), 7):
            steps = [torch.zeros_like(weight), torch.zeros_like(into)]
            steps[at].view(-1)[index] = 1e-5
            difference = (surrogate(*steps) - surrogate(*[-step for step in steps])).item() / 2e-5
            assert gradient.flatten()[index].item() == pytest.approx(difference, rel=1e-6, abs=1e-8)


# ---- one model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("low_bits", KINDS)
def test_names_order_and_numbers_of_parameters_stay(low_bits):
    shape = ModelEntry("m", 32, 2, 2), 16, 0, 1024
    plain, model = build(*shape), build(*shape)
    round_in_training(model, low_bits)
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    assert sum(isinstance(module, RoundedLinear) for module in model.modules()) == 8


@pytest.mark.parametrize("low_bits", KINDS)
def test_what_is_deployed_gives_the_loss_that_training_sees(low_bits):
    """Float32 sums in one order: the same bits, but for the embeddings and norms that are written in 16 bits."""
    model = build(ModelEntry("m", 32, 1, 2), 16, 0, 1024)
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # numbers that bfloat16 has, where it writes them
            if "layers" not in name or parameter.ndim == 1:
                parameter.copy_(parameter.to(torch.bfloat16).float())
    names = {f"{name}.weight" for name in decoder_of(model).linear_layers()}
    written = build(ModelEntry("m", 32, 1, 2), 16, 1, 1024)
    written.load_state_dict(deployed(model.state_dict(), names, low_bits))
    round_in_training(model, low_bits)
    batch = torch.randint(0, 1024, (4, 17), generator=torch.Generator().manual_seed(0))
    if low_bits.input_bits is None:
        assert torch.equal(training.loss_of(model, batch), training.loss_of(written, batch))
    else:
        assert not torch.equal(training.loss_of(model, batch), training.loss_of(written, batch))
        scheme = scheme_of(low_bits)
        ((answer,),) = method_named("native").quantize([Checkpoint(written, None)], [scheme], None, 0)
        for layer in decoder_of(written).linear_layers().values():
            layer.register_forward_pre_hook(lambda _module, args: (answer.inputs(args[0]), *args[1:]))
        assert torch.equal(training.loss_of(model, batch), training.loss_of(written, batch))


# ---- a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan_path(tmp_path) -> Path:
    path = tmp_path / "plan.yml"
    path.write_text(PLAN + FOUR)
    return path


def test_checkpoints_are_on_their_grid_and_open_with_transformers(text, plan_path, tmp_path):
    train(plan_path, tmp_path / "out")
    specs = {(spec.run, spec.step): spec for spec in catalogue.read_manifest(tmp_path / "out")}
    runs = {run.name: run for run in training.read_plan(plan_path).runs()}
    assert list(runs) == ["tiny-32x1", "tiny-32x1-ternarya8", "tiny-32x1-rtn2g16", "tiny-32x1-rtn4g16"]
    assert {name for name, _ in specs} == set(runs)
    losses = catalogue.read_losses(tmp_path / "out")
    tokenizer = token_blocks.Tokenizer.from_file("data/tadpole/tokenizer.json")
    documents = corpus_lock.read_lock().evaluation
    blocks = token_blocks.heldout_blocks(documents, tokenizer, corpus_lock.DOCUMENTS_PER_SPLIT, 32)
    for name, run in runs.items():
        spec = specs[name, 16]
        model = GPTNeoXForCausalLM.from_pretrained(spec.location).eval()
        assert model.dtype == (torch.bfloat16 if run.low_bits is None else torch.float32)
        model = model.float()
        # weights read from a file lie elsewhere in memory, and sums may run in another order
        assert evaluate.evaluate_model(model, blocks).loss_nats == pytest.approx(losses[spec.location], rel=1e-6)
        schemes = [scheme_of(kind) for kind in (TERNARY, *(each.low_bits for each in runs.values() if each.low_bits))]
        (answers,) = method_named("native").quantize([Checkpoint(model, None)], schemes, None, 0)
        accepted = {scheme for scheme, answer in zip(schemes, answers, strict=True) if hasattr(answer, "weights")}
        assert (scheme_of(run.low_bits) in accepted) if run.low_bits else not accepted
    assert losses[specs["tiny-32x1", 16].location] != losses[specs["tiny-32x1-rtn4g16", 16].location]


def test_a_twin_of_16_bits_is_what_it_is_without_low_bits_in_the_plan(text, plan_path, tmp_path):
    train(plan_path, tmp_path / "out")
    plan_path.write_text(PLAN)
    train(plan_path, tmp_path / "plain")
    ours, theirs = (load_file(tmp_path / f"{out}/tiny-32x1/step-000016/model.safetensors") for out in ("out", "plain"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_killed_run_at_low_bits_goes_on_to_the_same_weights(text, plan_path, tmp_path):
    plan_path.write_text(PLAN + "low_bits: [{method: rtn, bits: 3, group_size: 16, symmetric: true, input_bits: 8}]\n")
    train(plan_path, tmp_path / "whole")
    kill_after_second_checkpoint(plan_path, tmp_path / "broken", "tiny-32x1-rtn3g16syma8", text)
    train(plan_path, tmp_path / "broken")
    for step in (2, 4, 8, 16):
        whole, broken = (
            load_file(tmp_path / f"{which}/tiny-32x1-rtn3g16syma8/step-{step:06d}/model.safetensors")
            for which in ("whole", "broken")
        )
        assert all(torch.equal(whole[name], broken[name]) for name in whole)


CONTINUED = """continuations:
  at: [8]
  shares: [0.25, 0.5]
  schedules: [constant, cooldown]
  low_bits:
    - {method: none}
    - {method: rtn, bits: 4, group_size: 16, symmetric: false}
"""


def test_continuations_go_on_from_the_trunk_at_low_bits_and_without(text, plan_path, tmp_path):
    plan_path.write_text(PLAN + CONTINUED)
    train(plan_path, tmp_path / "out")
    plan = training.read_plan(plan_path)
    (trunk,) = plan.runs()
    specs = {(spec.run, spec.step): spec for spec in catalogue.read_manifest(tmp_path / "out")}
    names = [
        f"tiny-32x1-{how}8by{share}{low}" for share in (0.25, 0.5) for how in ("on", "down") for low in ("", "-rtn4g16")
    ]
    assert [run.name for run in plan.branches(trunk)] == names
    assert {(name, step) for name, step in specs if name != "tiny-32x1"} == {
        *((name, step) for name in names[:4] for step in (9, 10)),
        *((name, step) for name in names[4:] for step in (10, 12)),
    }
    plain, low = specs["tiny-32x1-on8by0.5", 12], specs["tiny-32x1-down8by0.5-rtn4g16", 12]
    assert (plain.schedule, plain.lr_phase, plain.learning_rate) == ("constant", "stable", 0.01)
    assert (low.schedule, low.lr_phase, low.learning_rate) == ("cooldown", "decay", 0.0)
    assert {(spec.branched_from, spec.branched_at_step) for spec in (plain, low)} == {("tiny-32x1", 8)}
    again, other = (
        load_file(Path(spec.location) / "model.safetensors") for spec in (plain, specs["tiny-32x1-on8by0.25", 10])
    )
    assert any(not torch.equal(again[name], other[name]) for name in again)
    assert method_named("native").module.is_on_grid(
        load_file(Path(low.location) / "model.safetensors")["gpt_neox.layers.0.mlp.dense_4h_to_h.weight"],
        QuantScheme("native", 4, 16, False),
    )


def test_a_rate_that_diverges_stops_the_run_and_keeps_what_there_was(text, plan_path, tmp_path, monkeypatch):
    monkeypatch.setattr(training.Run, "learning_rate", lambda self, step: 0.01 if step <= 8 else 1e30)
    with pytest.raises(
        DivergedError, match=r"^tiny-32x1: the loss is (nan|inf) at step 16, learning rate 1e\+30; its"
    ) as said:
        train(plan_path, tmp_path / "out")
    assert "\n" not in str(said.value)
    assert [(spec.run, spec.step) for spec in catalogue.read_manifest(tmp_path / "out")] == [
        ("tiny-32x1", step) for step in (2, 4, 8)
    ]
    assert not (tmp_path / "out/tiny-32x1/step-000016").exists()
    monkeypatch.undo()


# ---- plans that can't be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{method: ternary, bits: 4}", "'bits' is 4 with method ternary; accepted: none, its codes are -1, 0 and 1"),
        ("{method: ternary, group_size: 16}", "'group_size' is 16 with method ternary; accepted: none"),
        ("{method: none, input_bits: 8}", "'input_bits' is 8 with method none; accepted: none, its weights have 16"),
        ("{method: gptq, bits: 4}", "'method' is 'gptq', which can't train; accepted: none, rtn, ternary"),
        ("{method: rtn, bits: 4}", "missing key 'symmetric' of method rtn"),
        ("{method: rtn, symmetric: true}", "missing key 'bits' of method rtn"),
        ("{method: rtn, bits: 9, symmetric: true}", "'bits' is 9; accepted: 2 to 8"),
        ("{method: rtn, bits: 4, symmetric: 1}", "'symmetric' is 1; accepted: bool or null"),
        (
            "{method: rtn, bits: 4, group_size: 24, symmetric: true}",
            "'group_size' is 24; accepted: what divides 'd_model' of tiny-32x1, 32",
        ),
        ("{method: rtn, bits: [4, 4], symmetric: true}", "two runs are called 'tiny-32x1-(on8by0.5-)?rtn4rowsym'"),
        ("{method: rtn, bit: 4}", "low_bits: unknown key 'bit'; accepted: method, bits"),
        ("4", "low_bits: 4 where a mapping is expected"),
        ("", r"low_bits: \[\] where a list is expected"),
    ],
)
def test_low_bits_that_are_off_are_named(tmp_path, entry, message):
    for low_bits in (f"low_bits: [{entry}]\n", f"continuations: {{at: [8], shares: [0.5], low_bits: [{entry}]}}\n"):
        (tmp_path / "plan.yml").write_text(PLAN + low_bits)
        with pytest.raises(SpecError, match=message) as said:
            training.read_plan(tmp_path / "plan.yml")
        assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("at: [3]", "'continuations' has 3, which isn't one of 'steps'"),
        ("at: [8], shares: [0.05]", "'continuations': one at 8 has no two updates; accepted: larger 'shares'"),
        ("at: [8], shares: []", "continuations: 'shares' is \\[\\]; accepted: one or more"),
        ("at: [8], schedules: [cosine]", "'schedules' has 'cosine'; accepted: constant, cooldown"),
        ("at: [8], models: [big]", "'continuations' names model 'big', which isn't one of"),
    ],
)
def test_continuations_that_are_off_are_named(tmp_path, entry, message):
    (tmp_path / "plan.yml").write_text(PLAN + f"continuations: {{{entry}, low_bits: [{{method: none}}]}}\n")
    with pytest.raises(SpecError, match=message):
        training.read_plan(tmp_path / "plan.yml")


def test_a_cosine_has_no_continuations(tmp_path):
    cosine = "schedule: cosine\nhorizons: [16]\ncontinuations: {at: [8], low_bits: [{method: none}]}\n"
    (tmp_path / "plan.yml").write_text(PLAN + cosine)
    with pytest.raises(SpecError, match="'cooldowns', 'continuations' and 'averages' go with schedule constant"):
        training.read_plan(tmp_path / "plan.yml")


def test_grids_of_numbers_are_those_of_tensors():
    """One call may have many widths at once: the same grid, bit for bit, as from plain numbers."""
    weight = drawn(4, 32)
    for bits in (2, 4):
        for symmetric in (True, False):
            ours = grids.fit(weight, bits, symmetric)
            theirs = grids.fit(weight, torch.tensor(bits), torch.tensor(symmetric))
            assert torch.equal(ours.scale, theirs.scale)
            assert torch.equal(ours.zero, theirs.zero)


@pytest.mark.parametrize("low_bits", KINDS)
def test_an_update_is_traced_whole(low_bits):
    """What a GPU compiles and captures: one graph without a break, and the gradients of the plain update.

    Traced here without a code generator, so the same kernels run and the same sums are made.
    """
    model = build(ModelEntry("m", 32, 1, 2), 16, 0, 1024)
    round_in_training(model, low_bits)
    batch = torch.randint(0, 1024, (4, 17), generator=torch.Generator().manual_seed(0))
    gradients = []
    for loss_function in (training.loss_of, torch.compile(training.loss_of, backend="aot_eager", fullgraph=True)):
        model.zero_grad()
        loss_function(model, batch).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["bitnet", "qat", "qat-late"])
def test_the_committed_plans_are_the_trunk_s_but_for_their_bits(name):
    """The same shapes, seed, batches, rates and moments, so that the trunk's rows are those of the twins."""
    plan = training.read_plan(ROOT / f"sweeps/train-native-{name}.yml")
    trunk = training.read_plan(ROOT / "sweeps/train-tadpole-trunk.yml")
    twins = {run.name: run for run in trunk.runs()}
    assert (plan.batch_sequences, plan.seq_len, plan.betas, plan.clip_norm) == (256, 512, trunk.betas, trunk.clip_norm)
    for run in plan.runs():
        twin = twins[run.model.name]
        assert set(run.steps) < set(twin.steps)
        assert run.steps[-1] * plan.tokens_per_step >= 480e6
        assert dataclasses.replace(run, name=twin.name, steps=twin.steps, low_bits=None) == twin
