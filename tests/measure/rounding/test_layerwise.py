"""The walk: many variants at once are the plain sequential algorithm, and the same bits whatever they walk beside."""

import dataclasses
import gc
import weakref

import pytest
import torch
from tests.measure.plain import ARCHITECTURES, CONFIGS, OF_EXPERTS, build, inputs_of, loaded, order_of_layers, walk
from tests.measure.tiny import tiny_model

from helpers.measure.models import memory, stacking
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import gptq_solver, grids, layerwise, methods
from helpers.measure.rounding.methods import gptq_hadamard
from helpers.measure.rounding.rounded import Rounded
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import QuantizationError
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

CALIBRATION = torch.randint(0, 256, (6, 32), generator=torch.Generator().manual_seed(0))
MORE = torch.cat([CALIBRATION, CALIBRATION.flip(-1)])  # tokens enough for the widest Hessian's to be well conditioned
PLENTY = 2**30


def scheme(bits: int, group_size: int | None, symmetric: bool, **options: object) -> QuantScheme:
    return QuantScheme("gptq", bits=bits, group_size=group_size, symmetric=symmetric, **({"rel_damp": 0.01} | options))


SCHEMES = [
    scheme(2, 16, False),
    scheme(4, 16, True),
    scheme(3, None, False),
]
SEARCHED = scheme(3, 16, False, order="activation", grid_search="mse")
WITH_SEARCHED = {name: [*SCHEMES, SEARCHED] for name in ("llama", "neox, parallel")}


def quantize(*models, schemes=SCHEMES, calibration=CALIBRATION, memory_bytes=PLENTY):
    return methods.method_named("gptq").quantize(loaded(*models), schemes, calibration, memory_bytes)


def same_codes(one: Rounded, other: Rounded) -> float:
    """Return the share of equal codes; the grids' scales move a little where they aren't all equal."""
    assert one.weights.keys() == other.weights.keys()
    equal = [(one.weights[name].codes == other.weights[name].codes).flatten() for name in one.weights]
    return torch.cat(equal).float().mean().item()


def assert_same_bits(one: Rounded, other: Rounded) -> None:
    assert one.weights.keys() == other.weights.keys()
    for name, weight in one.weights.items():
        for part in ("codes", "scale", "zero", "group_of_column"):
            assert torch.equal(getattr(weight, part), getattr(other.weights[name], part)), (name, part)


def share_within_half_a_step(answer: Rounded, expected: dict[str, torch.Tensor]) -> float:
    """Return the share of weights within half a step of those expected."""
    close = []
    for name, weight in answer.weights.items():
        steps = weight.scale[:, weight.group_of_column]
        close.append(((weight.decode() - expected[name]).abs() < 0.5 * steps).flatten())
    return torch.cat(close).float().mean().item()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_schemes_walked_side_by_side_are_the_plain_sequential_algorithm(name):
    """97% of the weights: norms and attention of stacked variants may round in another last bit.

    A flipped code then moves what comes after it. The very first layers see equal inputs, and so are all but equal.
    """
    model, schemes = build(name), WITH_SEARCHED.get(name, SCHEMES)
    (answers,) = quantize(model, schemes=schemes)
    first = next(iter(decoder_of(model).linear_layers()))
    for wanted, answer in zip(schemes, answers, strict=True):
        expected = walk(model, wanted, CALIBRATION)
        assert answer.weights.keys() == expected.keys()
        assert share_within_half_a_step(answer, expected) > 0.97
        first_weight = answer.weights[f"{first}.weight"]
        step = first_weight.scale[:, first_weight.group_of_column]
        agree = (first_weight.decode() - expected[f"{first}.weight"]).abs() < 1e-3 * step
        assert agree.float().mean() > 0.99


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_variant_has_the_same_bits_alone_beside_others_and_with_two_checkpoints(name):
    models, schemes = (build(name, 0), build(name, 1)), WITH_SEARCHED.get(name, SCHEMES)
    together = quantize(*models, schemes=schemes)
    for model, beside in zip(models, together, strict=True):
        for one, other in zip(beside, quantize(model, schemes=schemes)[0], strict=True):
            assert_same_bits(one, other)
    for wanted, one in zip(schemes, together[1], strict=True):
        ((alone,),) = quantize(models[1], schemes=[wanted])
        assert_same_bits(alone, one)
    assert same_codes(together[0][0], together[1][0]) < 0.9, "the two checkpoints differ"


@pytest.mark.parametrize("name", ["llama", "neox, parallel", "olmo2"])
def test_micro_batches_hardly_matter_and_are_recorded(name):
    """Sums over tokens run in another order: at least 97% of the codes are the same."""
    model = build(name)
    (whole,) = quantize(model, calibration=MORE)
    work = memory.calibration_work(decoder_of(model), *MORE.shape, itemsize=4)
    for sequences in (1, 3):
        (parts,) = quantize(model, calibration=MORE, memory_bytes=work.n_bytes(1, sequences))
        for one, other in zip(whole, parts, strict=True):
            assert one.diagnostics.calib_micro_batch == 12
            assert other.diagnostics.calib_micro_batch == sequences
            assert same_codes(one, other) >= 0.97


def test_fewer_variants_at_a_time_change_no_bit():
    models = build("llama", 0), build("llama", 1)
    work = memory.calibration_work(decoder_of(models[0]), *CALIBRATION.shape, itemsize=4)
    for one, other in zip(quantize(*models), quantize(*models, memory_bytes=work.n_bytes(4, 6)), strict=True):
        for all_at_once, in_parts in zip(one, other, strict=True):
            assert_same_bits(all_at_once, in_parts)
            assert in_parts.diagnostics.calib_micro_batch == 6


def spy_on_hessians(monkeypatch) -> list[torch.Tensor]:
    """Return a list that fills with the Hessians that layers are solved with, in order."""
    seen: list[torch.Tensor] = []
    solve = gptq_solver.solve
    monkeypatch.setattr(
        gptq_solver, "solve", lambda w, hessian, *rest: seen.append(hessian) or solve(w, hessian, *rest)
    )
    return seen


@pytest.mark.parametrize("memory_share", [1, 2, 6])
def test_layers_that_share_an_input_see_one_hessian(monkeypatch, memory_share):
    """And it is computed once, of all calibration tokens, whatever the micro-batch."""
    model = build("llama")
    seen = spy_on_hessians(monkeypatch)
    counted = []
    moments = gptq_solver.second_moments
    monkeypatch.setattr(gptq_solver, "second_moments", lambda inputs: counted.append(1) or moments(inputs))
    work = memory.calibration_work(decoder_of(model), *CALIBRATION.shape, itemsize=4)
    quantize(model, schemes=[SCHEMES[1]], memory_bytes=work.n_bytes(1, memory_share))
    assert len(seen) == 2 * 7  # q, k, v; o; gate, up; down
    for block in (seen[:7], seen[7:]):
        for shared in (block[0:3], block[4:6]):
            assert all(torch.equal(one, shared[0]) for one in shared)
    assert len(counted) == 2 * 4 * 6 // memory_share
    inputs = inputs_of(model, "model.layers.0.self_attn.q_proj", CALIBRATION).flatten(0, 1).double()
    # float32 sums of 192 tokens
    torch.testing.assert_close(seen[0][0].double(), inputs.T @ inputs / CALIBRATION.numel(), rtol=1e-5, atol=1e-6)


def test_all_linear_layers_of_the_blocks_and_what_is_recorded(model):
    layers = decoder_of(model).linear_layers()
    assert len(layers) == 2 * 4
    ((two, four, per_row, searched),) = quantize(model, schemes=[*SCHEMES, SEARCHED])
    for answer in (two, four, per_row, searched):
        found = answer.diagnostics
        assert set(answer.weights) == {f"{name}.weight" for name in layers}
        assert found.n_params_quantized == sum(layer.weight.numel() for layer in layers.values())
        assert 0 < found.mean_layer_error <= found.max_layer_error < 1
        assert (found.max_rel_damp_used, found.n_layers_redamped, found.n_dead_columns) == (0.01, 0, 0)
    assert two.diagnostics.effective_bits == 2 + (16 + 2) / 16
    assert four.diagnostics.effective_bits == 4 + 16 / 16
    assert four.diagnostics.mean_layer_error < two.diagnostics.mean_layer_error
    assert searched.diagnostics.effective_bits == 3 + (16 + 3) / 16


def test_the_model_its_hooks_and_the_random_state_stay_as_they_were(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modules, state = list(model.modules()), torch.get_rng_state()
    calibration = CALIBRATION.clone()
    quantize(model)
    assert torch.equal(CALIBRATION, calibration)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(map(id, model.modules())) == list(map(id, modules))
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in modules)


def test_a_walked_model_can_be_forgotten():
    """The stacks are kept for the next model of a kind; they hold on to no model. On a GPU it would be its memory."""
    stays = tiny_model(seed=2, d_model=48)
    quantize(stays)
    goes = tiny_model(seed=3, d_model=48)
    quantize(goes)
    weight = weakref.ref(goes.gpt_neox.layers[0].mlp.dense_h_to_4h.weight)
    del goes
    gc.collect()
    assert weight() is None


def test_rounded_weights_lie_on_few_points(model):
    for wanted, answer in zip(SCHEMES, quantize(model)[0], strict=True):
        for name in answer.weights:
            groups = answer.decoded(name).unflatten(-1, (-1, wanted.group_size or answer.weights[name].shape[1]))
            assert max(len(group.unique()) for row in groups for group in row) <= 2**wanted.bits


def test_later_layers_depend_on_the_rounding_of_earlier_ones():
    """The scheme says `propagate = quantized`: a 2-bit first block changes what the second block is calibrated on."""
    model, rounded_before = tiny_model(seed=0), tiny_model(seed=0)
    ((two_bits,),) = quantize(model, schemes=[SCHEMES[0]])
    for name in two_bits.weights:
        if ".layers.0." in name:
            rounded_before.get_parameter(name).copy_(two_bits.decoded(name))
    ((alone,),), ((after,),) = (quantize(m, schemes=[SCHEMES[1]]) for m in (model, rounded_before))
    name = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"
    assert not torch.equal(alone.weights[name].codes, after.weights[name].codes)


@pytest.mark.parametrize("memory_share", [2, 6])
def test_a_scheme_that_fails_leaves_the_others_as_they_are(model, monkeypatch, memory_share):
    """One variant's Hessian turned indefinite for good in the second layer: an error, and the rest don't notice."""
    work = memory.calibration_work(decoder_of(model), *CALIBRATION.shape, itemsize=4)
    budget = PLENTY if memory_share == 6 else work.n_bytes(1, memory_share)
    expected = quantize(model, memory_bytes=budget)[0]
    solve = methods.method_named("gptq").module.solve

    def broken(weight, hessian, schemes):
        bad = torch.tensor([each is SCHEMES[1] and weight.shape[-2] == 32 for each in schemes])[:, None, None]
        return solve(weight, torch.where(bad, -hessian, hessian), schemes)

    (answers,) = layerwise.walk(loaded(model), SCHEMES, CALIBRATION, budget, broken)
    assert isinstance(answers[1], QuantizationError)
    assert str(answers[1]) == (
        "gpt_neox.layers.0.attention.dense.weight: Hessian not positive definite with relative damping 0.01, 0.1, 1"
    )
    for index in (0, 2):
        assert_same_bits(answers[index], expected[index])


def test_when_every_scheme_fails_each_says_why(model):
    model.gpt_neox.layers[1].input_layernorm.weight[0] = torch.nan
    (answers,) = quantize(model)
    assert [type(answer) for answer in answers] == [QuantizationError] * 3
    assert {str(answer).split(":")[0] for answer in answers} == {"gpt_neox.layers.1.attention.query_key_value.weight"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_fail_one_checkpoint_and_leave_the_other(value):
    """One token's embedding; the second checkpoint is as if it were alone."""
    bad, good = tiny_model(seed=0), tiny_model(seed=1)
    bad.gpt_neox.embed_in.weight[CALIBRATION[3, 4], 3] = value
    failed, done = quantize(bad, good)
    assert all(isinstance(answer, QuantizationError) for answer in failed)
    assert "layers.0.attention.query_key_value.weight: Hessian not positive definite" in str(failed[0])
    assert str(failed[0]).endswith("damping 0.01, 0.1, 1: its inputs aren't finite")
    for one, other in zip(done, quantize(good)[0], strict=True):
        assert_same_bits(one, other)


@pytest.mark.parametrize("kind", ["zero", "duplicated", "rank one"])
def test_poor_activations_are_rounded_and_recorded(kind):
    """A norm that silences all inputs, an embedding of equal columns, a text of one token: finite, first rung."""
    model = build("llama")
    calibration = CALIBRATION
    if kind == "zero":
        model.model.layers[0].input_layernorm.weight.zero_()
    elif kind == "duplicated":
        model.model.embed_tokens.weight[:, 16:] = model.model.embed_tokens.weight[:, :16]
    else:
        calibration = torch.full_like(CALIBRATION, 5)
    (answers,) = quantize(model, calibration=calibration)
    for answer in answers:
        assert all(torch.isfinite(answer.decoded(name)).all() for name in answer.weights)
        assert answer.diagnostics.max_rel_damp_used == pytest.approx(0.01)
        # q, k, v see 32 dead columns each; o sees the zeros that v makes of them
        assert answer.diagnostics.n_dead_columns == (3 * 32 + 32 if kind == "zero" else 0)


def test_a_calibration_text_shorter_than_a_layer_is_wide_is_rounded_and_recorded():
    model = build("neox, parallel")
    (answers,) = quantize(model, calibration=CALIBRATION[:1, :20])  # 20 tokens; the widest layer has 128 inputs
    for answer in answers:
        assert all(torch.isfinite(answer.decoded(name)).all() for name in answer.weights)
        assert answer.diagnostics.max_rel_damp_used == pytest.approx(0.01)


def run_out_of_memory_while(monkeypatch, too_large) -> list[tuple[int, int]]:
    """Let walks fail that `too_large(variants, sequences)`; return a list that fills with the shares tried."""
    tried = []
    run = layerwise._Walk.run

    def small(self):
        tried.append((len(self.variants), len(self.batches[0])))
        if too_large(*tried[-1]):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(self)

    monkeypatch.setattr(layerwise._Walk, "run", small)
    return tried


def test_out_of_memory_once_halves_the_share_and_goes_on(model, monkeypatch):
    """To the same bits as with a budget for half the share from the start."""
    work = memory.calibration_work(decoder_of(model), *MORE.shape, itemsize=4)
    (expected,) = quantize(model, calibration=MORE, memory_bytes=work.n_bytes(1, 6))
    tried = run_out_of_memory_while(monkeypatch, lambda variants, sequences: sequences > 6)
    (answers,) = quantize(model, calibration=MORE)
    assert tried == [(3, 12), (3, 6)]
    for one, other in zip(answers, expected, strict=True):
        assert one.diagnostics.calib_micro_batch == other.diagnostics.calib_micro_batch == 6
        assert_same_bits(one, other)


def test_out_of_memory_with_one_sequence_halves_the_variants(model, monkeypatch):
    tried = run_out_of_memory_while(monkeypatch, lambda variants, sequences: variants > 1)
    (answers,) = quantize(model)
    assert tried == [(3, 6), (3, 3), (3, 2), (3, 1), (2, 1), (1, 1), (1, 1), (1, 1)]
    assert all(isinstance(answer, Rounded) for answer in answers)


def test_out_of_memory_with_one_of_each_is_an_error(model, monkeypatch):
    run_out_of_memory_while(monkeypatch, lambda variants, sequences: True)
    with pytest.raises(QuantizationError, match="out of memory with one variant and one sequence at a time"):
        quantize(model)


def test_a_budget_below_one_block_is_refused_before_any_work(model):
    with pytest.raises(QuantizationError, match=r"a memory budget of \S+ GiB is less than one block needs \(\S+ GiB"):
        quantize(model, memory_bytes=10_000)


def test_bfloat16_is_close_and_tfloat32_on_a_cpu_is_refused(model):
    """Activations carry 8 bits of mantissa: four-bit layers lose as much within a few percent."""
    ((wide,),) = quantize(model, schemes=[SCHEMES[1]])
    ((narrow,),) = quantize(model, schemes=[scheme(4, 16, True, hessian_dtype="bfloat16")])
    assert same_codes(wide, narrow) < 1
    assert narrow.diagnostics.mean_layer_error == pytest.approx(wide.diagnostics.mean_layer_error, rel=0.05)
    with pytest.raises(QuantizationError, match="dtype 'tfloat32' needs a CUDA device; accepted on cpu: float32, bfl"):
        quantize(model, schemes=[scheme(4, 16, True, hessian_dtype="tfloat32")])


# ---- matrices that stay in 16 bits -----------------------------------------------------------------------------------


def keeping(wanted: QuantScheme, *names: str) -> QuantScheme:
    return dataclasses.replace(wanted, kept_matrices=tuple(sorted(names)))


def short_names(model) -> list[str]:
    """Return block and layer of every matrix, in the order in which they run."""
    decoder = decoder_of(model)
    return [decoder.short_name(name) for name in order_of_layers(model, CALIBRATION[:1])]


def parts_of(answer: Rounded, names: list[str], model) -> Rounded:
    """Return the part of an answer that is about matrices called `names`."""
    prefix = decoder_of(model).prefix
    return Rounded(
        {f"{prefix}.{name}.weight": answer.weights[f"{prefix}.{name}.weight"] for name in names}, answer.diagnostics
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("kept", [1, 4, -1])
def test_kept_matrices_have_no_weight_and_the_others_are_the_plain_algorithms(name, kept):
    """As the plain one that leaves them out (97%, as above); what runs before the first kept one has equal bits."""
    model = build(name)
    order = short_names(model)
    wanted = keeping(SCHEMES[0], order[kept])
    ((whole, answer),) = quantize(model, schemes=[SCHEMES[0], wanted])
    expected = walk(model, wanted, CALIBRATION)
    assert answer.weights.keys() == expected.keys()
    assert whole.weights.keys() - answer.weights.keys() == {f"{decoder_of(model).prefix}.{order[kept]}.weight"}
    assert share_within_half_a_step(answer, expected) > 0.97
    before = order[:kept]
    assert_same_bits(parts_of(answer, before, model), parts_of(whole, before, model))


@pytest.mark.parametrize("name", ["llama", "opt", "neox, sequential"])
def test_what_comes_after_a_kept_matrix_sees_that_it_is_not_rounded(name):
    model = build(name)
    order = short_names(model)
    ((whole, answer),) = quantize(model, schemes=[SCHEMES[0], keeping(SCHEMES[0], *order[: len(order) // 2])])
    after = order[len(order) // 2 :]
    assert same_codes(parts_of(whole, after, model), parts_of(answer, after, model)) < 1


def test_a_kept_matrix_that_rounding_would_not_change_changes_nothing(model):
    """Its weights lie on the two-bit grid of each row: rounded or kept, all others have the same bits."""
    name = "0.attention.dense"
    weight = model.gpt_neox.layers[0].attention.dense.weight
    codes = torch.randint(0, 4, weight.shape, generator=torch.Generator().manual_seed(0))
    codes[:, 0], codes[:, 1] = 0, 3  # the whole range: steps of exactly 1/4
    weight.copy_((codes - 1) / 4)
    wanted = scheme(2, None, False)
    ((whole, answer),) = quantize(model, schemes=[wanted, keeping(wanted, name)])
    place = f"gpt_neox.layers.{name}.weight"
    assert torch.equal(whole.decoded(place), weight)
    others = Rounded({key: value for key, value in whole.weights.items() if key != place}, whole.diagnostics)
    assert_same_bits(others, answer)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_in_full_precision_a_matrix_is_rounded_as_if_alone_whatever_else_is_kept(name):
    """Bit for bit: its inputs are the 16-bit model's, as the plain Hessian of that model has them."""
    model = build(name)
    order, wanted = short_names(model), scheme(3, 16, False, propagate="full_precision")
    only = [keeping(wanted, *(each for each in order if each != alone)) for alone in order]
    ((whole, some, *each),) = quantize(model, schemes=[wanted, keeping(wanted, *order[1::2]), *only])
    for alone, answer in zip(order, each, strict=True):
        assert_same_bits(answer, parts_of(whole, [alone], model))
    assert_same_bits(some, parts_of(whole, order[0::2], model))
    layer = f"{decoder_of(model).prefix}.{order[-1]}"
    inputs = inputs_of(model, layer, CALIBRATION).flatten(0, -2)
    hessian = gptq_solver.second_moments(inputs) / len(inputs)
    plain = gptq_solver.solve(model.get_submodule(layer).weight, hessian, 3, 16, False, 0.01)
    # attention of stacked variants may round in another last bit, which turns a code at a boundary here and there
    assert share_within_half_a_step(each[-1], {f"{layer}.weight": plain.weight}) > 0.97


@pytest.mark.parametrize("propagate", ["quantized", "full_precision"])
def test_with_everything_kept_nothing_is_rounded_and_nothing_is_lost(model, propagate):
    wanted = keeping(scheme(2, 16, False, propagate=propagate), *short_names(model))
    ((answer,),) = quantize(model, schemes=[wanted])
    assert answer.weights == {}
    assert (answer.diagnostics.n_params_quantized, answer.diagnostics.quantized_ratio) == (0, 0.0)
    assert answer.diagnostics.effective_bits is None
    blocks = Blocks(MORE, documents=tuple(range(len(MORE))), n_bytes=1, sha256="")
    ((baseline, found),) = evaluate.evaluate(loaded(model), [[answer]], blocks, "float32", PLENTY)
    assert found.group_loss == baseline.group_loss
    assert found.top1_agreement == 1


def test_the_ratio_counts_parameters_of_the_blocks_linear_layers(model):
    """Of 12 d^2 in a block, attention's output is d^2; bits are those of rounded weights alone."""
    name = "1.attention.dense"
    ((whole, answer),) = quantize(model, schemes=[SCHEMES[0], keeping(SCHEMES[0], name)])
    assert whole.diagnostics.quantized_ratio == 1
    assert answer.diagnostics.quantized_ratio == pytest.approx(23 / 24)
    assert answer.diagnostics.n_params_quantized == 23 * 32**2
    assert answer.diagnostics.effective_bits == 2 + (16 + 2) / 16


@pytest.mark.parametrize("name", ["llama", "neox, parallel"])
def test_a_variant_that_keeps_matrices_has_the_same_bits_alone_and_beside_others(name):
    models = build(name, 0), build(name, 1)
    order = short_names(models[0])
    mixed = [
        keeping(SCHEMES[0], *order[::3]),
        SCHEMES[1],
        keeping(SCHEMES[2], *order[1:4]),
        keeping(SCHEMES[0], order[0]),
    ]
    together = quantize(*models, schemes=mixed)
    for model, beside in zip(models, together, strict=True):
        for wanted, answer in zip(mixed, beside, strict=True):
            ((alone,),) = quantize(model, schemes=[wanted])
            assert_same_bits(alone, answer)
            assert alone.diagnostics == answer.diagnostics


def test_micro_batches_hardly_matter_where_matrices_are_kept():
    """One waits at each layer, kept or not, for the others: 97% of the codes, as without kept ones."""
    model = build("llama")
    wanted = keeping(SCHEMES[0], "0.self_attn.q_proj", "0.mlp.down_proj", "1.mlp.gate_proj")
    work = memory.calibration_work(decoder_of(model), *MORE.shape, itemsize=4)
    ((whole,),) = quantize(model, schemes=[wanted], calibration=MORE)
    ((parts,),) = quantize(model, schemes=[wanted], calibration=MORE, memory_bytes=work.n_bytes(1, 3))
    assert parts.diagnostics.calib_micro_batch == 3
    assert same_codes(whole, parts) >= 0.97


def test_a_layer_that_is_kept_cannot_fail(model):
    """The second block's attention output has an infinite Hessian: only who rounds what sees it fails."""
    model.gpt_neox.layers[1].attention.query_key_value.bias[-32:] = torch.inf  # the values of the last head
    order = short_names(model)
    rounds_it = keeping(SCHEMES[0], *order[:4])
    keeps_it = keeping(SCHEMES[0], *order[4:])
    ((failed, done),) = quantize(model, schemes=[rounds_it, keeps_it])
    assert "layers.1.attention" in str(failed)
    assert isinstance(done, Rounded)
    assert len(done.weights) == 4


@pytest.mark.parametrize("method", ["gptq", "rtn"])
@pytest.mark.parametrize("unknown", ["2.attention.dense", "0.attention.denes", "gpt_neox.layers.0.attention.dense"])
def test_a_kept_matrix_that_the_model_lacks_is_an_error_of_its_scheme_alone(model, method, unknown):
    options = {"rel_damp": 0.01} if method == "gptq" else {}
    good = QuantScheme(method, bits=4, group_size=16, symmetric=True, **options)
    bad = keeping(good, "1.mlp.dense_h_to_4h", unknown)
    ((one, other),) = methods.method_named(method).quantize(loaded(model), [bad, good], CALIBRATION, PLENTY)
    assert isinstance(one, QuantizationError)
    assert str(one) == (
        f"{bad.label}: 'kept_matrices' has '{unknown}'; accepted: a block from 0 to 1, a dot and one of "
        "attention.query_key_value, attention.dense, mlp.dense_h_to_4h, mlp.dense_4h_to_h"
    )
    ((alone,),) = methods.method_named(method).quantize(loaded(model), [good], CALIBRATION, PLENTY)
    assert_same_bits(other, alone)


def test_round_to_nearest_leaves_kept_matrices_out_and_rounds_the_others_alike(model):
    good = QuantScheme("rtn", bits=4, group_size=16, symmetric=True)
    mixed = keeping(good, "0.attention.dense", "1.mlp.dense_4h_to_h")
    ((whole, answer, nothing),) = methods.method_named("rtn").quantize(
        loaded(model), [good, mixed, keeping(good, *short_names(model))], None, 0
    )
    kept = {"gpt_neox.layers.0.attention.dense.weight", "gpt_neox.layers.1.mlp.dense_4h_to_h.weight"}
    assert whole.weights.keys() - answer.weights.keys() == kept
    assert_same_bits(answer, Rounded({n: w for n, w in whole.weights.items() if n not in kept}, Diagnostics()))
    assert answer.diagnostics.quantized_ratio == pytest.approx(1 - (1 + 4) / 24)
    assert nothing.weights == {}
    assert nothing.diagnostics.effective_bits is None


def test_a_figure_that_is_no_number_is_null():
    """The relative error of a zero matrix is 0 / 0; the record of such a row couldn't be written."""
    model = tiny_model(seed=0)
    model.gpt_neox.layers[1].mlp.dense_h_to_4h.weight.zero_()
    ((answer,),) = quantize(model, schemes=[SCHEMES[1]])
    assert isinstance(answer, Rounded)
    assert (answer.diagnostics.mean_layer_error, answer.diagnostics.max_layer_error) == (None, None)
    assert answer.diagnostics.max_rel_damp_used == 0.01
    assert not answer.decoded("gpt_neox.layers.1.mlp.dense_h_to_4h.weight").any()


# ---- experts -------------------------------------------------------------------------------------------------------

RTN_WHERE_UNREACHED = {"unreached_experts": "rtn"}


def routed(model, block: int, expert: int) -> torch.Tensor:
    """Return what one expert of a model that transformers runs sees of the calibration, (tokens, columns)."""
    return inputs_of(model, f"model.layers.{block}.mlp.experts.{expert}.gate_proj", CALIBRATION)


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_an_expert_is_rounded_as_gptq_alone_rounds_it_on_what_is_routed_to_it(name):
    """In full precision, so that the last block's inputs are the 16-bit model's too; tokens are counted exactly."""
    model, wanted = build(name), scheme(3, 16, False, propagate="full_precision")
    ((answer,),) = quantize(model, schemes=[wanted])
    counts = []
    for block in range(2):
        experts = model.model.layers[block].mlp.experts.each()
        for index in range(len(experts)):
            seen = routed(model, block, index)
            counts.append(len(seen))
            layer = f"model.layers.{block}.mlp.experts.{index}.gate_proj"
            hessian = gptq_solver.second_moments(seen) / len(seen)
            plain = gptq_solver.solve(model.get_submodule(layer).weight, hessian, 3, 16, False, 0.01)
            name_of = f"{layer}.weight"
            assert (
                share_within_half_a_step(
                    Rounded({name_of: answer.weights[name_of]}, Diagnostics()), {name_of: plain.weight}
                )
                > 0.97
            )
    assert answer.diagnostics.expert_tokens == tuple(counts)
    per_token = model.config.num_experts_per_tok
    assert sum(counts) == 2 * per_token * CALIBRATION.numel()
    assert answer.diagnostics.hardly_reached == ()


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_experts_in_micro_batches_are_those_of_all_text_at_once(name):
    """The same tokens are counted; sums in another order turn a code here and there. No block is run per expert."""
    model = build(name)
    ((whole,),) = quantize(model, schemes=SCHEMES[:1])
    passes = []
    decoder = decoder_of(model)
    least = layerwise.calibration_work(decoder, *CALIBRATION.shape, 4).n_bytes(1, 2)
    with stacking.listening(passes.append):
        ((parts,),) = quantize(model, schemes=SCHEMES[:1], memory_bytes=least)
    assert parts.diagnostics.calib_micro_batch == 2
    assert sum(parts.diagnostics.expert_tokens) == sum(whole.diagnostics.expert_tokens)
    assert len(passes) <= 2 * len(CALIBRATION) // 2
    assert same_codes(parts, whole) > 0.95


@pytest.mark.parametrize("name", OF_EXPERTS)
def test_experts_that_calibration_hardly_reaches_are_refused_by_name(name):
    short = CALIBRATION[:1, :20]
    schemes = [SCHEMES[0], scheme(2, 16, False, **RTN_WHERE_UNREACHED)]
    ((refused, rounded),) = quantize(build(name), schemes=schemes, calibration=short)
    assert isinstance(refused, QuantizationError)
    message = str(refused)
    assert message.startswith("experts with fewer calibration tokens than columns: 0.mlp.experts.0 (")
    assert message.endswith("accepted: more calibration text, or 'unreached_experts: rtn'")
    assert "\n" not in message
    assert "0.mlp.experts.0" in rounded.diagnostics.hardly_reached
    n_experts = len(build(name).model.layers[0].mlp.experts.each())
    assert len(rounded.diagnostics.expert_tokens) == 2 * n_experts


@pytest.mark.parametrize("method", ["gptq", "gptq_hadamard"])
def test_unreached_experts_are_rounded_to_nearest_and_the_others_are_not(method):
    """Bit for bit: under the identity nothing is corrected. 20 tokens are too few for any expert, not for attention."""
    model, short = build("mixtral"), CALIBRATION[:1, :20]
    wanted = dataclasses.replace(scheme(3, 16, False, **RTN_WHERE_UNREACHED), method=method, calib_seed=0)
    ((answer,),) = methods.method_named(method).quantize(loaded(model), [wanted], short, PLENTY)
    for name, weight in answer.weights.items():
        own = model.get_parameter(name).detach()
        basis = torch.eye(own.shape[1])
        if method == "gptq_hadamard":
            basis = gptq_hadamard.rotation_of(own.shape[1], 0)
        plain = grids.round_to_integer(gptq_solver.product(own, basis), 3, False, 16)
        found = weight if method == "gptq_hadamard" else weight.decode()
        to_nearest = torch.equal(found, gptq_solver.product(plain.decode(), basis.T))
        assert to_nearest == ("experts" in name), name


def test_what_becomes_of_unreached_experts_is_a_question_of_models_with_experts():
    refusal = methods.method_named("gptq").refusal
    assert refusal(CONFIGS["olmoe"], scheme(3, 16, False, **RTN_WHERE_UNREACHED)) is None
    found = refusal(CONFIGS["olmoe"], scheme(3, 16, False, unreached_experts="nearest"))
    assert found == 'gptq: \'unreached_experts\' is "nearest"; accepted: null, "rtn"'
    found = refusal(CONFIGS["llama"], scheme(3, 16, False, **RTN_WHERE_UNREACHED))
    assert found == "gptq: 'unreached_experts' is \"rtn\"; accepted: null"


def test_an_expert_whose_matrices_are_kept_needs_no_calibration():
    model, short = build("mixtral"), CALIBRATION[:1, :20]
    experts = [each for each in short_names(model) if "experts" in each]
    ((answer,),) = quantize(model, schemes=[keeping(SCHEMES[0], *experts)], calibration=short)
    assert answer.diagnostics.hardly_reached == ()
    assert not any("experts" in name for name in answer.weights)
