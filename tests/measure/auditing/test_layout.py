"""The weight files of one revision: each rule on lists written by hand."""

import pytest

from helpers.measure.auditing.findings import Moment
from helpers.measure.auditing.layout import index_fault, laid_out, other_sizes, weights_of
from helpers.measure.models.hub.revisions import HubFile, Revision

INDEX = "model.safetensors.index.json"


def revision(*names: str, n_bytes: int = 100) -> Revision:
    return Revision("a/b", "step1", "c" * 40, tuple(HubFile(name, n_bytes, "1" * 40, "2" * 64) for name in names))


def shards(n: int, total: int) -> list[str]:
    return [f"model-{i:05}-of-{total:05}.safetensors" for i in range(1, n + 1)]


def test_safetensors_are_the_weights_where_there_are_any_and_what_training_leaves_is_not():
    there = weights_of(
        revision("pytorch_model.bin", "model.safetensors", "training_args.bin", "onnx/model.safetensors")
    )
    assert [file.name for file in there.files] == ["model.safetensors"]
    assert there.formats == {"safetensors", "bin"}
    assert there.hashes == {"model.safetensors": "2" * 64}
    pickled = weights_of(revision("pytorch_model-00001-of-00002.bin", "optimizer.bin"))
    assert ([file.name for file in pickled.files], pickled.format) == (["pytorch_model-00001-of-00002.bin"], "bin")
    assert weights_of(revision("config.json")).files == ()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["config.json", "model.safetensors"], []),
        (["config.json", INDEX, *shards(3, 3)], []),
        (["model.safetensors"], [("incomplete", "no config.json")]),
        (["config.json", INDEX, *shards(2, 3)], [("incomplete", "2 of 3 shards (not 3)")]),
        (["config.json", *shards(2, 2)], [("incomplete", f"2 shards without {INDEX}")]),
        (["config.json", INDEX, *shards(3, 3), "model-00001-of-00002.safetensors"], [("mixed", "several divisions")]),
        (["config.json", INDEX, *shards(2, 2), "model.safetensors"], [("mixed", "several divisions")]),
        (["config.json"], [("no weights", "no model.safetensors")]),
        (["config.json", "pytorch_model.bin"], [("only .bin", "only as a pickle")]),
    ],
)
def test_what_is_said_of_a_revisions_files(names, expected):
    found = laid_out({Moment("a/b", "step1", "m", "m", 1): revision(*names)})
    assert [each.kind for each in found] == [kind for kind, _ in expected]
    for each, (_, said) in zip(found, expected, strict=True):
        assert said in each.said


def test_revisions_with_the_same_fault_are_one_line_in_the_order_of_their_steps():
    moments = [Moment("a/b", f"step{step}", "m", "m", step) for step in (8, 2, 4)]
    (found,) = laid_out({moment: revision("config.json") for moment in moments})
    assert found.revisions == ("step2", "step4", "step8")


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"metadata": {"total_size": 190}, "weight_map": {"a": shards(2, 2)[0], "b": shards(2, 2)[1]}}, None),
        ({"weight_map": {"a": shards(2, 2)[0], "b": shards(2, 2)[1]}}, None),
        ({"metadata": {"total_size": 201}, "weight_map": {"a": shards(2, 2)[0], "b": shards(2, 2)[1]}}, "201 bytes"),
        ({"metadata": {"total_size": 190}, "weight_map": {"a": shards(2, 2)[0]}}, "isn't in the index"),
        ({"weight_map": {"a": shards(2, 2)[0], "b": shards(2, 2)[1], "c": "x"}}, "the index names x"),
        ({"weight_map": {}}, "names no tensor"),
        ({}, "names no tensor"),
    ],
)
def test_an_index_has_to_fit_its_files(index, said):
    found = index_fault(index, weights_of(revision(INDEX, *shards(2, 2))))
    assert (found is None) if said is None else (said in found)


def test_a_file_of_another_size_than_most_steps_have():
    at = {step: Moment("a/b", f"step{step}", "m", "m", step) for step in range(5)}
    sizes = {0: 1000, 1: 1000, 2: 500, 3: 1005, 4: 2000}
    found = other_sizes({at[step]: weights_of(revision("model.safetensors", n_bytes=n)) for step, n in sizes.items()})
    assert [each.revisions for each in found] == [("step2", "step4")]
    assert "500, 2,000 bytes, most steps 1,000" in found[0].said
    unlike = {at[step]: weights_of(revision("model.safetensors", n_bytes=100 + 50 * step)) for step in range(3)}
    assert other_sizes(unlike) == []  # there is no usual size
