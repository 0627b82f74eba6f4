import json
from pathlib import Path

import pytest

from helpers.table.errors import SpecError
from helpers.table.families import catalogue
from helpers.table.names import at_home, below, refuse_name, refuse_place

ENTRY = json.loads((Path(__file__).parents[2] / "data/tadpole/manifest.json").read_text())["checkpoints"][0]


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "../x", "a/b", "a\\b", "/x", "x\x00", "x\x1b[31m", "x\n", " x", "x" * 151]
)
def test_a_name_that_is_no_part_of_a_path_is_refused(name):
    with pytest.raises(SpecError, match="'model' is .*accepted: a name without /") as caught:
        refuse_name(name, "model")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["tadpole-64x3", "größe 1", "a.b", "a..b", "x" * 150, "lr0.002"])
def test_a_name_is_accepted(name):
    refuse_name(name, "model")


@pytest.mark.parametrize("place", ["", "  ", "a\x00", "a\nb", "\x9b31m"])
def test_a_place_that_no_file_can_have_is_refused(place):
    with pytest.raises(SpecError, match="'location' is"):
        refuse_place(place, "location")


def test_what_is_written_lies_below_its_root(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/out").symlink_to(tmp_path)
    assert below(tmp_path / "root", tmp_path / "root/a/b") == tmp_path / "root/a/b"
    for path in ("../x", "a/../../x", "out/x", "/x", ""):
        with pytest.raises(SpecError, match="lies outside of"):
            below(tmp_path / "root", tmp_path / "root" / path)


@pytest.mark.parametrize("field", ["family", "model", "run"])
def test_a_manifest_names_no_path(tmp_path, field):
    (tmp_path / "manifest.json").write_text(json.dumps({"checkpoints": [ENTRY | {field: "../../x"}]}))
    with pytest.raises(SpecError, match=rf"manifest\.json: 0: '{field}' is '\.\./\.\./x'"):
        catalogue.read_manifest(tmp_path)


@pytest.mark.parametrize("location", ["run/step", "../elsewhere/step", "/absolute/step"])
def test_a_location_may_lie_anywhere(tmp_path, location):
    (tmp_path / "manifest.json").write_text(json.dumps({"checkpoints": [ENTRY | {"location": location}]}))
    assert catalogue.read_manifest(tmp_path)[0].location == str(tmp_path / location)


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("tokens_seen", -1, "0 to 1e+15"),
        ("tokens_seen", 10**18, "0 to 1e+15"),
        ("peak_learning_rate", 0, "more than 0, up to 1000"),
        ("peak_learning_rate", float("nan"), "more than 0, up to 1000"),
        ("n_layers", 10**9, "1 to 100000"),
        ("d_model", 0, "1 to 1e+06"),
        ("loss_nats", float("inf"), "0 or more"),
        ("loss_nats", "low", "0 or more"),
        ("loss_nats", None, "0 or more"),
        ("location", None, "str"),
        ("location", "", "a path, without control characters"),
    ],
)
def test_numbers_of_a_manifest_lie_in_their_ranges(tmp_path, field, value, accepted):
    (tmp_path / "manifest.json").write_text(json.dumps({"checkpoints": [ENTRY | {field: value}]}))
    with pytest.raises(SpecError) as caught:
        catalogue.read_manifest(tmp_path)
    assert f"manifest.json: 0: '{field}' is" in str(caught.value)
    assert str(caught.value).endswith(f"accepted: {accepted}")


def test_a_tilde_is_the_home_folder_of_who_has_one(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert at_home("~/x") == Path("/somewhere/x")
    assert at_home("a/~") == Path("a/~")
    assert at_home("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
