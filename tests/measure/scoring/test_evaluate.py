"""Scores against a plain loop over transformers' own logits, and the same bits whatever is scored beside."""

import copy
import dataclasses
import math

import pytest
import torch
from tests.measure.plain import ARCHITECTURES, WITHOUT_EXPERTS, build, loaded
from tests.measure.tiny import tiny_model
from torch.nn import functional

from helpers.measure.models import memory
from helpers.measure.models.decoders import decoder_of
from helpers.measure.rounding import methods
from helpers.measure.rounding.input_rounding import InputRounding
from helpers.measure.rounding.rounded import Rounded
from helpers.measure.scoring import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.errors import QuantizationError
from helpers.table.rows import Diagnostics
from helpers.table.scheme import QuantScheme

TOKENS = torch.randint(0, 256, (6, 17), generator=torch.Generator().manual_seed(0))
BLOCKS = Blocks(TOKENS, documents=(0, 1, 2, 0, 1, 2), n_bytes=400, sha256="")
PLENTY = 2**30
SCHEMES = [QuantScheme("rtn", bits, 16, symmetric) for bits, symmetric in ((2, False), (4, True), (8, False))]


def rounded_by(model, schemes=SCHEMES) -> list[Rounded]:
    return methods.method_named("rtn").quantize(loaded(model), schemes, None, 0)[0]


def unrounded(model) -> Rounded:
    """Return a model's own weights as a method would return rounded ones."""
    names = [f"{name}.weight" for name in decoder_of(model).linear_layers()]
    return Rounded({name: model.get_parameter(name).detach() for name in names}, Diagnostics())


def score(models, rounded, blocks=BLOCKS, dtype="float32", memory_bytes=PLENTY):
    return evaluate.evaluate(loaded(*models), rounded, blocks, dtype, memory_bytes)


@torch.no_grad()
def plain_logits(model, answer: Rounded | None) -> torch.Tensor:
    """Return float64 log-probabilities of transformers' own forward pass, one block at a time."""
    model = copy.deepcopy(model)
    for name in answer.weights if answer else ():
        model.get_parameter(name).copy_(answer.decoded(name))
    return torch.cat([model(block[None, :-1]).logits.double().log_softmax(-1) for block in TOKENS])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_losses_kl_and_agreement_are_those_of_a_plain_loop(name):
    """To 1e-6 of the loss. KL is a small difference of float32 numbers: 1e-6 nats beside 1e-5 of its size."""
    model = build(name)
    answers = rounded_by(model)
    (scores,) = score([model], [answers])
    original = plain_logits(model, None)
    for answer, found in zip([None, *answers], scores, strict=True):
        log_q = plain_logits(model, answer)
        losses = functional.cross_entropy(log_q.flatten(0, 1), TOKENS[:, 1:].flatten(), reduction="none")
        by_block = losses.view(6, 16).mean(-1)
        assert found.loss_nats == pytest.approx(losses.mean().item(), rel=1e-6)
        assert found.group_loss == pytest.approx([((by_block[i] + by_block[i + 3]) / 2).item() for i in range(3)])
        if answer is None:
            assert (found.kl_nats, found.top1_agreement) == (None, None)
            continue
        kl = (original.exp() * (original - log_q)).sum(-1).mean().item()
        assert found.kl_nats == pytest.approx(kl, rel=1e-5, abs=1e-6)
        assert found.kl_nats >= 0
        # one of 96 tokens may have two likeliest successors within float32's rounding
        agreement = (original.argmax(-1) == log_q.argmax(-1)).double().mean().item()
        assert found.top1_agreement == pytest.approx(agreement, abs=1.01 / 96)
    assert scores[1].kl_nats > scores[2].kl_nats > scores[3].kl_nats
    assert scores[1].top1_agreement < scores[3].top1_agreement


def test_the_loss_is_transformers_own():
    model = build("neox, parallel")
    expected = [model(block[None], labels=block[None]).loss.item() for block in TOKENS]
    found = evaluate.evaluate_model(model, Blocks(TOKENS, tuple(range(6)), n_bytes=400, sha256=""))
    assert found.group_loss == pytest.approx(expected, rel=1e-6)
    assert found.n_tokens == 6 * 16
    assert found.bits_per_byte == pytest.approx(found.loss_nats / math.log(2) * 6 * 16 / 400)
    assert found.finite


@pytest.mark.parametrize("name", ["neox, parallel", "llama"])
def test_unrounded_weights_lose_nothing(name):
    """The same bits as the 16-bit model: loss and agreement exactly, KL up to the rounding of float32 sums."""
    model = build(name)
    ((baseline, same),) = score([model], [[unrounded(model)]])
    assert same.group_loss == baseline.group_loss
    assert same.top1_agreement == 1
    assert same.top1_accuracy == baseline.top1_accuracy
    assert abs(same.kl_nats) < 1e-6


def test_kl_and_loss_of_a_head_that_is_known_by_hand():
    """Logits (a, 0, ..., 0) for every token. KL is the difference of float32 numbers near log(256): 5e-6."""
    originals = torch.zeros(1, 4, 256)
    rounded = torch.zeros(1, 4, 256)
    originals[..., 0], rounded[..., 0] = 2.0, 1.0
    targets = torch.tensor([[0, 0, 1, 1]])
    (losses, own_accuracy), original = evaluate._original_scores(originals, targets)
    loss, accuracy, kl, agreement = evaluate._rounded_scores(rounded, targets, original)
    log_z = [math.log(math.exp(a) + 255) for a in (2, 1)]
    p = math.exp(2 - log_z[0])
    assert losses.item() == pytest.approx(log_z[0] - 1, rel=1e-6)
    assert loss.item() == pytest.approx(log_z[1] - 0.5, rel=1e-6)
    assert kl.item() == pytest.approx(p * 1 - log_z[0] + log_z[1], abs=5e-6)
    assert agreement.item() == 1
    assert own_accuracy.item() == accuracy.item() == 0.5  # the likeliest token is 0, right in two places of four


@pytest.mark.parametrize("name", ["neox, parallel", "llama", "opt"])
def test_a_variant_has_the_same_bits_alone_beside_others_and_with_two_checkpoints(name):
    models = [build(name, seed) for seed in (0, 1)]
    answers = [rounded_by(model) for model in models]
    together = score(models, answers)
    for model, of_model, beside in zip(models, answers, together, strict=True):
        assert score([model], [of_model]) == [beside]
        assert score([model], [[]]) == [beside[:1]]
        for answer, found in zip(of_model, beside[1:], strict=True):
            assert score([model], [[answer]]) == [[beside[0], found]]
    assert together[0][0].loss_nats != together[1][0].loss_nats
    assert score(models, [answers[0], []]) == [together[0], together[1][:1]]


def test_less_memory_changes_what_goes_together_and_no_bit_of_variants():
    models = [build("llama", seed) for seed in (0, 1)]
    answers = [rounded_by(model) for model in models]
    plenty = score(models, answers)
    work = memory.evaluation_work(decoder_of(models[0]), 6, 16, itemsize=4)
    for at_once in (1, 3):  # a lot may end in the middle of a checkpoint's variants
        assert score(models, answers, memory_bytes=work.n_bytes(at_once, 4)) == plenty
    assert {found.micro_batch for each in plenty for found in each} == {4}


def test_the_micro_batch_is_recorded_and_changes_nothing_that_matters():
    """Products of other shapes add up in another order: float32's rounding."""
    model = build("llama")
    answers = rounded_by(model)
    work = memory.evaluation_work(decoder_of(model), 6, 16, itemsize=4)
    for sequences in (1, 2):
        ((*found,),) = score([model], [answers], memory_bytes=work.n_bytes(1, sequences))
        for one, other in zip(found, score([model], [answers])[0], strict=True):
            assert (one.micro_batch, other.micro_batch) == (sequences, 4)
            assert one.group_loss == pytest.approx(other.group_loss, rel=1e-6)


def test_logits_in_small_portions_are_the_same(monkeypatch):
    model = build("llama")
    whole = score([model], [rounded_by(model)])[0]
    monkeypatch.setattr(evaluate, "LOGITS_AT_ONCE", {"cpu": 1})
    for one, other in zip(whole, score([model], [rounded_by(model)])[0], strict=True):
        assert one.group_loss == pytest.approx(other.group_loss, rel=1e-6)
        assert (one.kl_nats or 0) == pytest.approx(other.kl_nats or 0, rel=1e-5, abs=1e-6)


def test_bfloat16_is_close_to_float32():
    """Products keep 8 bits, 2^-9 of relative rounding a number, which averages out over 96 tokens: the loss moves by
    less than 1%, and KL of 4 bits, which is far above that noise, by less than a tenth. Weights are rounded to bfloat16 too.
    """
    model = build("neox, parallel")
    answers = rounded_by(model)
    (wide,), (narrow,) = (score([model], [answers], dtype=dtype) for dtype in ("float32", "bfloat16"))
    assert narrow[0].loss_nats != wide[0].loss_nats
    for one, other in zip(narrow, wide, strict=True):
        assert one.loss_nats == pytest.approx(other.loss_nats, rel=1e-2)
    assert narrow[2].kl_nats == pytest.approx(wide[2].kl_nats, rel=0.1)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_tensor_cores_on_a_cpu_are_refused():
    with pytest.raises(QuantizationError, match="dtype 'tfloat32' needs a CUDA device; accepted on cpu: float32, bfl"):
        score([build("llama")], [[]], dtype="tfloat32")


def test_a_budget_below_one_block_is_refused():
    with pytest.raises(QuantizationError, match="is less than one block needs"):
        score([build("llama")], [[]], memory_bytes=10_000)


def test_out_of_memory_halves_the_share_and_goes_on(monkeypatch):
    model = build("llama")
    answers = rounded_by(model)
    expected = score([model], [answers])[0]
    tried, by_model = [], evaluate._SideBySide.by_model

    def small(self):
        tried.append((self.at_once.variants, self.at_once.sequences))
        if self.at_once.sequences > 1 or self.at_once.variants > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return by_model(self)

    monkeypatch.setattr(evaluate._SideBySide, "by_model", small)
    for one, other in zip(score([model], [answers])[0], expected, strict=True):
        assert one.micro_batch == 1
        assert one.group_loss == pytest.approx(other.group_loss, rel=1e-6)
    assert tried == [(4, 4), (4, 2), (4, 1), (2, 1)]


def test_a_loss_that_is_no_number_shows_in_its_model_alone():
    good, bad = tiny_model(0, vocabulary_size=256), tiny_model(1, vocabulary_size=256)
    bad.lm_head.weight[0, 0] = math.nan
    scores = score([good, bad], [rounded_by(good), rounded_by(bad)])
    assert [found.finite for found in scores[0]] == [True] * 4
    assert [found.finite for found in scores[1]] == [False] * 4


def test_models_and_random_state_stay_as_they_were():
    model = build("llama")
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    score([model], [rounded_by(model)])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


# ---- rounded inputs --------------------------------------------------------------------------------------------------

WITH_INPUTS = [
    QuantScheme(
        "rtn", 8, 16, True, format="mxint", activation_format="mxint", activation_bits=3, activation_group_size=16
    ),
    QuantScheme("rtn", 4, 16, True, activation_format="int", activation_bits=4, activation_exponent=0.15),
    QuantScheme("rtn", 4, 16, True),
    QuantScheme("rtn", 4, 16, True, activation_format="int", activation_bits=8, activation_exponent=1.0),
]


def keeping(scheme: QuantScheme, model, *layers: str) -> QuantScheme:
    """Return the scheme with layers of these names, in the first block, kept."""
    return dataclasses.replace(scheme, kept_matrices=tuple(sorted(f"0.{layer}" for layer in layers)))


@torch.no_grad()
def patched_logits(model, answer: Rounded) -> torch.Tensor:
    """Return float64 log-probabilities of a whole forward pass in which each rounded layer's inputs are rounded."""
    model = copy.deepcopy(model)
    for name in answer.weights:
        model.get_parameter(name).copy_(answer.decoded(name))
        if answer.inputs:
            layer = model.get_submodule(name.removesuffix(".weight"))
            layer.register_forward_pre_hook(lambda _module, args: (answer.inputs(args[0]),))
    return torch.cat([model(block[None, :-1]).logits.double().log_softmax(-1) for block in TOKENS])


@pytest.mark.parametrize("name", WITHOUT_EXPERTS)
def test_rounded_inputs_are_those_of_a_model_patched_by_hand(name):
    """Before every rounded matrix and no other, sequence by sequence; OPT runs its MLP on all tokens in one dimension.

    Norms and attention of stacked variants may round in another last bit, and that may turn an input at a boundary
    between two codes: one of some ten thousand, so 1e-4 (measured below 1e-7), where rounding inputs costs above 2e-3.
    """
    model = build(name)
    layers = decoder_of(model).linear_names()
    schemes = [*WITH_INPUTS, keeping(WITH_INPUTS[0], model, *layers[:2]), keeping(WITH_INPUTS[1], model, *layers)]
    answers = rounded_by(model, schemes)
    (scores,) = score([model], [answers])
    original = plain_logits(model, None)
    for answer, found in zip(answers, scores[1:], strict=True):
        log_q = patched_logits(model, answer)
        losses = functional.cross_entropy(log_q.flatten(0, 1), TOKENS[:, 1:].flatten())
        assert found.loss_nats == pytest.approx(losses.item(), abs=1e-4)
        kl = (original.exp() * (original - log_q)).sum(-1).mean().item()
        assert found.kl_nats == pytest.approx(kl, abs=1e-4)
    without = score([model], [[dataclasses.replace(answer, inputs=None) for answer in answers]])[0]
    for index in (0, 1, 4, 5):
        assert abs(scores[1 + index].kl_nats - without[1 + index].kl_nats) > 2e-3
    assert scores[3].group_loss == without[3].group_loss, "a variant that rounds no inputs beside others that do"


@pytest.mark.parametrize("name", ["neox, parallel", "llama", "opt"])
def test_a_variant_with_rounded_inputs_has_the_same_bits_alone_beside_others_and_with_two_checkpoints(name):
    models = [build(name, seed) for seed in (0, 1)]
    answers = [rounded_by(model, WITH_INPUTS) for model in models]
    together = score(models, answers)
    for model, of_model, beside in zip(models, answers, together, strict=True):
        for answer, found in zip(of_model, beside[1:], strict=True):
            assert score([model], [[answer]]) == [[beside[0], found]]
    work = memory.evaluation_work(decoder_of(models[0]), 6, 16, itemsize=4)
    for at_once in (1, 3):
        assert score(models, answers, memory_bytes=work.n_bytes(at_once, 4)) == together


def test_a_model_that_keeps_every_matrix_rounds_no_inputs():
    model = build("llama")
    decoder = decoder_of(model)
    every = tuple(sorted(decoder.short_name(name) for name in decoder.linear_layers()))
    wanted = [dataclasses.replace(scheme, kept_matrices=every) for scheme in WITH_INPUTS]
    (baseline, *found) = score([model], [rounded_by(model, wanted)])[0]
    assert {each.group_loss for each in found} == {baseline.group_loss}


def test_inputs_in_many_bits_lose_next_to_nothing():
    """Weights as they are, inputs in 8 bits: a KL below a thousandth of what inputs in 3 bits lose."""
    model = build("neox, sequential")
    eight, three = (
        dataclasses.replace(unrounded(model), inputs=InputRounding("int", bits, None, 1.0)) for bits in (8, 3)
    )
    (_, fine, coarse) = score([model], [[eight, three]])[0]
    assert 0 < fine.kl_nats < 2e-3 * coarse.kl_nats


def test_a_divergence_that_is_no_number_is_null():
    """A token that is ruled out altogether has p log p = 0 x -inf; the loss of the others is a number."""
    model = build("opt")
    rows = model.get_output_embeddings().weight
    hidden = model.model.decoder.final_layer_norm
    hidden.weight.zero_()
    hidden.bias.fill_(1.0)
    unused = next(token for token in range(256) if token not in TOKENS)
    rows[unused] = -3e38  # every logit of this token is -inf, the same at every place
    (scores,) = score([model], [rounded_by(model)])
    assert all(found.finite for found in scores)
    assert [found.kl_nats for found in scores] == [None] * 4
