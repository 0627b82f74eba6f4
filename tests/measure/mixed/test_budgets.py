"""Recipes within a budget, on the smallest trained model: what they say is what a separate measurement gives."""

import re

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.mixed import budgets, recipes
from helpers.measure.mixed.budgets import Budget, Texts
from helpers.measure.models import checkpoints
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
from helpers.measure.text.documents import calibration_named, text_named
from helpers.measure.text.own_texts import OwnTexts
from helpers.table.errors import QuantizationError, SpecError
from helpers.table.scheme import QuantScheme

SCHEME = QuantScheme(
    "gptq", bits=2, group_size=16, symmetric=False, rel_damp=0.01, calib_sequences=16, calib_seq_len=64, calib_seed=0
)


@pytest.fixture(scope="module")
def loaded() -> tuple[Checkpoint, str, Texts]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        folder = ROOT / "data/tadpole/tadpole-64x3/step-007275"
        checkpoint, weights_sha256 = one_checkpoint.load_folder(folder, "cpu")
        return checkpoint, weights_sha256, budgets.texts_for(folder, 16, 128, 0, seq_len=32)


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


def spent_by(checkpoint: Checkpoint, scheme: QuantScheme, texts: Texts, budget: Budget) -> float:
    scheme, tokens = one_checkpoint.calibrated(checkpoint, scheme)
    rounded = one_checkpoint.round_checkpoint(checkpoint, scheme, tokens)
    ((baseline, measured),) = evaluate.evaluate([checkpoint], [[rounded]], texts.heldout, "float32", 2**30)
    return budget.spent(baseline, measured)


@pytest.mark.parametrize("metric", recipes.METRICS)
def test_a_recipe_keeps_its_budget_and_says_what_a_second_measurement_gives(loaded, metric):
    checkpoint, weights_sha256, texts = loaded
    everything = spent_by(checkpoint, SCHEME, texts, Budget(0, metric))
    assert everything > 0, "otherwise any budget is kept"
    budget = Budget(0.5 * everything, metric)
    found = budgets.recipe_within(checkpoint, weights_sha256, SCHEME, "matmul", budget, texts)
    assert 0 < found.quantized_ratio < 1
    assert spent_by(checkpoint, found.scheme, texts, budget) <= budget.value
    assert found.qid_nats == pytest.approx(spent_by(checkpoint, found.scheme, texts, Budget(0)), abs=1e-9)
    assert found.weights_sha256 == weights_sha256


def test_a_wide_budget_keeps_nothing_in_16_bits(loaded):
    found = budgets.recipe_within(*loaded[:2], SCHEME, "layer", Budget(100.0), loaded[2])
    assert found.scheme.kept_matrices == ()
    assert found.quantized_ratio == 1


def test_a_wider_budget_never_means_a_lower_ratio(loaded):
    everything = spent_by(loaded[0], SCHEME, loaded[2], Budget(0))
    ratios = [
        budgets.recipe_within(*loaded[:2], SCHEME, "matmul", Budget(share * everything), loaded[2]).quantized_ratio
        for share in (0.3, 0.6, 0.9)
    ]
    assert ratios == sorted(ratios)


def test_a_recipe_comes_back_from_its_file(loaded, tmp_path):
    found = budgets.recipe_within(*loaded[:2], SCHEME, "matmul", Budget(100.0), loaded[2])
    recipes.write(found, tmp_path / "recipe.json")
    assert recipes.read(tmp_path / "recipe.json") == found


def test_a_budget_that_nothing_keeps_is_refused_with_the_least_found(loaded):
    with pytest.raises(QuantizationError, match="no assignment keeps qid within 0 with gptq 2 bits .* the least of"):
        budgets.recipe_within(*loaded[:2], SCHEME, "layer", Budget(0.0), loaded[2])


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_budget_is_a_number_that_is_not_negative(value):
    with pytest.raises(SpecError, match="budget .*; accepted: 0 or more"):
        Budget(value)


def test_an_unknown_metric_or_granularity_is_refused(loaded):
    with pytest.raises(SpecError, match="metric 'kl'; accepted: qid, relative_perplexity, accuracy_drop"):
        Budget(0.1, "kl")
    with pytest.raises(SpecError, match="granularity 'head'; accepted: layer, matmul"):
        budgets.recipe_within(*loaded[:2], SCHEME, "head", Budget(0.1), loaded[2])


def test_own_texts_judge_and_calibrate_and_every_step_is_told(loaded):
    checkpoint, weights_sha256, usual = loaded
    text, calibration = text_named("code"), calibration_named("code")
    own = OwnTexts((text,), calibration)
    texts = budgets.texts_for(checkpoint.folder, 16, 64, 0, seq_len=32, own=own)
    assert texts.calibration is own
    steps = []
    found = budgets.recipe_within(
        checkpoint, weights_sha256, SCHEME, "layer", Budget(100.0), texts, lambda *step: steps.append(step)
    )
    assert found.scheme.calib_sha256 == own.drawn(checkpoints.tokenizer_of(checkpoint.folder), 16, 64, 0)[1]
    assert found.scheme.calib_dataset == own.calibration_dataset
    assert found.eval_id == texts.of(texts.heldout, "wheels-heldout").eval_id
    assert found.eval_id != texts.of(usual.heldout, "wheels-heldout").eval_id
    numbers = [re.sub(r"\d+", "n", step) for step, _, _ in steps]
    assert numbers == [
        "n matrices rounded alone",
        "each of n in low precision alone scored",
        "n proposals scored",
        "recipe that keeps n matrices rounded and measured",
    ]
    to_come = [n + after for _, n, after in steps]
    assert to_come == sorted(to_come, reverse=True)
    assert steps[-1][1:] == (16 + 2 * len(texts.heldout.tokens), 0)


def test_calibration_of_ones_own_leaves_the_texts_that_judge_as_they_are(loaded):
    own = OwnTexts((), calibration_named("code"))
    texts = budgets.texts_for(loaded[0].folder, 16, 128, 0, seq_len=32, own=own)
    assert (texts.search.sha256, texts.heldout.sha256) == (loaded[2].search.sha256, loaded[2].heldout.sha256)
    same = OwnTexts(own.calibration, own.calibration)
    with pytest.raises(SpecError, match="text that is calibrated on too; accepted: other documents"):
        budgets.texts_for(loaded[0].folder, 16, 128, 0, seq_len=32, own=same)
