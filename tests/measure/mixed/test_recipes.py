"""Recipes: written and read back as they were; every bad field refused in one line that says what is accepted."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from helpers.measure.mixed import recipes
from helpers.measure.mixed.recipes import Recipe
from helpers.measure.models import checkpoints
from helpers.table.errors import CheckpointError, SpecError
from helpers.table.scheme import QuantScheme

SCHEME = QuantScheme(
    "gptq",
    bits=3,
    group_size=32,
    symmetric=False,
    rel_damp=0.01,
    calib_sha256="c" * 64,
    calib_sequences=4,
    calib_seq_len=32,
    calib_seed=0,
    kept_matrices=("0.attention.dense", "1.mlp.dense_4h_to_h"),
)
RECIPE = Recipe(
    weights_sha256="0" * 64,
    scheme=SCHEME,
    granularity="matmul",
    search="greedy",
    quantized_ratio=19 / 24,
    loss_nats=3.25,
    qid_nats=0.125,
    paired_error_nats=0.01,
    eval_id="e" * 16,
    search_eval_id="f" * 16,
    device_type="cpu",
    budget=0.2,
    metric="qid",
)
BY_RATIO = dataclasses.replace(RECIPE, budget=None, metric=None, target_ratio=0.75, qid_nats=-0.001)


@pytest.mark.parametrize("recipe", [RECIPE, BY_RATIO])
def test_a_recipe_comes_back_as_it_was(tmp_path, recipe):
    path = tmp_path / "new/recipe.json"
    recipes.write(recipe, path)
    assert recipes.read(path) == recipe
    assert recipes.read(path).scheme.scheme_id == SCHEME.scheme_id
    content = json.loads(path.read_text())
    assert content["scheme"]["kept_matrices"] == ["0.attention.dense", "1.mlp.dense_4h_to_h"]
    assert [each.name for each in path.parent.iterdir()] == ["recipe.json"], "nothing half written stays"


def changed(tmp_path: Path, change: dict, scheme: dict) -> Path:
    """Write the recipe with fields replaced (or, by `...`, left out)."""
    recipes.write(RECIPE, tmp_path / "recipe.json")
    content = json.loads((tmp_path / "recipe.json").read_text())
    del content["checksum"]  # as who changes it by hand does
    content["scheme"] |= scheme
    content = {name: value for name, value in (content | change).items() if value is not ...}
    (tmp_path / "recipe.json").write_text(json.dumps(content))
    return tmp_path / "recipe.json"


@pytest.mark.parametrize(
    ("change", "scheme", "message"),
    [
        ({"weight": 1}, {}, r"recipe\.json: unknown key 'weight'; accepted: weights_sha256, scheme, granularity"),
        ({}, {"bit": 1}, r"recipe\.json: scheme: unknown key 'bit'; accepted: method, bits"),
        ({}, {"bits": 9}, r"recipe\.json: scheme: 'bits' is 9; accepted: 2 to 8"),
        ({}, {"bits": "3"}, "scheme: 'bits' is '3'; accepted: int or null"),
        ({}, {"method": "none"}, "'scheme' is the 16-bit baseline; accepted: a scheme that rounds"),
        ({}, {"kept_matrices": ["1.b", "0.a"]}, "scheme: 'kept_matrices' is .*accepted: names in order, each once"),
        ({"scheme": ...}, {}, r"recipe\.json: missing key 'scheme'"),
        ({"scheme": 3}, {}, r"recipe\.json: scheme: 3 where a mapping is expected"),
        ({"loss_nats": ...}, {}, r"recipe\.json: missing key 'loss_nats'"),
        ({"loss_nats": "low"}, {}, "'loss_nats' is 'low'; accepted: float"),
        ({"loss_nats": math.nan}, {}, "'loss_nats' is nan; accepted: 0 or more"),
        ({"qid_nats": math.inf}, {}, "'qid_nats' is inf; accepted: a number"),
        ({"paired_error_nats": -0.1}, {}, "'paired_error_nats' is -0.1; accepted: 0 or more"),
        ({"quantized_ratio": 1.1}, {}, "'quantized_ratio' is 1.1; accepted: 0 to 1"),
        ({"weights_sha256": "abc"}, {}, "'weights_sha256' is 'abc'; accepted: 64 or 16 hexadecimal digits"),
        ({"granularity": "row"}, {}, "'granularity' is 'row'; accepted: layer, matmul"),
        ({"search": "luck"}, {}, "'search' is 'luck'; accepted: random, greedy"),
        ({"metric": "speed"}, {}, "'metric' is 'speed'; accepted: null, qid, relative_perplexity, accuracy_drop"),
        ({"metric": ...}, {}, "accepted: 'target_ratio' alone, or 'budget' with 'metric'"),
        ({"target_ratio": 0.5}, {}, "accepted: 'target_ratio' alone, or 'budget' with 'metric'"),
        ({"budget": ..., "metric": ...}, {}, "accepted: 'target_ratio' alone, or 'budget' with 'metric'"),
        ({"budget": ..., "metric": ..., "target_ratio": -0.5}, {}, "'target_ratio' is -0.5; accepted: 0 to 1"),
        ({"budget": -1.0}, {}, "'budget' is -1.0; accepted: 0 or more"),
    ],
)
def test_every_bad_field_is_refused_in_one_line(tmp_path, change, scheme, message):
    with pytest.raises(SpecError, match=message) as caught:
        recipes.read(changed(tmp_path, change, scheme))
    assert str(caught.value).startswith(str(tmp_path / "recipe.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"{", "not JSON"),
        (b"[]", r"\[\] where a mapping is expected"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_in_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "recipe.json").write_bytes(content)
    with pytest.raises(SpecError, match=rf"recipe\.json: {message}") as caught:
        recipes.read(tmp_path / "recipe.json")
    assert "\n" not in str(caught.value)


def test_other_weights_than_the_recipes_are_refused(family):
    one, other = (family / f"tiny/step-00000{step}" for step in (1, 2))
    mine = dataclasses.replace(RECIPE, weights_sha256=checkpoints.weights_sha256(one))
    recipes.refuse_other_weights(mine, one)
    with pytest.raises(CheckpointError, match=r"step-000002: not the recipe's weights \(sha256 .{16}; accepted: "):
        recipes.refuse_other_weights(mine, other)
    with pytest.raises(CheckpointError, match=r"nowhere/config\.json: missing"):
        recipes.refuse_other_weights(mine, Path("nowhere"))


def test_a_recipe_with_another_number_is_damaged(tmp_path):
    path = tmp_path / "recipe.json"
    recipes.write(RECIPE, path)
    path.write_text(path.read_text().replace("3.25", "3.24"))
    with pytest.raises(SpecError, match=r"recipe\.json: damaged, its 'checksum' is .* make it again with `qid mixed`$"):
        recipes.read(path)
