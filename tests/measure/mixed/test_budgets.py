"""Recipes within a budget, on the smallest trained model: what they say is what a separate measurement gives."""

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.mixed import budgets, recipes
from helpers.measure.mixed.budgets import Budget, Texts
from helpers.measure.rounding import one_checkpoint
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring import evaluate
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
