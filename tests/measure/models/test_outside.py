"""Checkpoints that nobody here trained: counted, described by a manifest, or known from the Hub."""

from pathlib import Path

import pytest
from tests.measure.foreign import configuration
from transformers import AutoModelForCausalLM

from helpers.measure.models.hub import having
from helpers.measure.models.outside import checkpoint_of
from helpers.table.errors import CheckpointError, SpecError


@pytest.fixture(scope="module", params=["llama", "gpt2", "gpt_neox"])
def folder(request, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("models") / request.param
    AutoModelForCausalLM.from_config(configuration(request.param)).save_pretrained(place)
    return place


def test_embedding_and_head_are_left_out_of_n_tied_or_not(folder):
    spec, place = checkpoint_of(str(folder), None, None)
    model = AutoModelForCausalLM.from_pretrained(folder)
    embedding = 600 * 64
    n_embeddings = 1 if model.config.tie_word_embeddings else 2
    assert place == folder
    assert spec.n_params_total == sum(p.numel() for p in model.parameters())
    positions = 128 * 64 if model.config.model_type == "gpt2" else 0  # learned
    assert spec.n_params_non_embedding == spec.n_params_total - n_embeddings * embedding - positions
    assert {spec.family, spec.model, spec.run, spec.label} == {folder.name}


def test_tokens_are_those_that_are_said_and_null_otherwise(folder):
    assert checkpoint_of(str(folder), None, 7)[0].tokens_seen == 7
    assert checkpoint_of(str(folder), None, None)[0].tokens_seen is None


def test_a_manifest_above_the_folder_describes_it(family):
    spec, _ = checkpoint_of(str(family / "tiny/step-000002"), None, None)
    assert (spec.family, spec.step, spec.tokens_seen) == ("tiny", 2, 2000)
    with pytest.raises(SpecError, match="--tokens is 5; accepted: 2,000, as is known of .*step-000002, or none"):
        checkpoint_of(str(family / "tiny/step-000002"), None, 5)


def test_a_revision_of_a_family_that_is_known_here_has_its_facts(folder, monkeypatch):
    monkeypatch.setattr(having, "newest", lambda repository, revision: folder)
    spec, place = checkpoint_of("EleutherAI/pythia-70m", "step1000", None)
    assert (spec.family, spec.step, place) == ("pythia", 1000, folder)
    other, _ = checkpoint_of("owner/name", None, None)
    assert (other.location, other.revision, other.model, other.step) == ("owner/name", "main", "name", None)


def test_an_adapter_by_itself_and_a_pickle_are_refused(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="adapter_config.json: an adapter; accepted: a model with it merged in"):
        checkpoint_of(str(tmp_path), None, None)
    (tmp_path / "adapter_config.json").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pytorch_model.bin: a pickle, which can run code; accepted: safetensors"):
        checkpoint_of(str(tmp_path), None, None)


@pytest.mark.parametrize("model", ["nothing", "a/b/c", "../x", "nothing at all"])
def test_what_is_neither_a_folder_nor_a_repository_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="no such folder; accepted: a folder, or a Hub repository such as owner/name"):
        checkpoint_of(model, None, None)
