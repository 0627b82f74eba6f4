"""The default law as a file of fits says it."""

import json

import pytest

from helpers.analyse.laws.default import DefaultLaw, read_default
from helpers.table.errors import ResultsError
from helpers.table.records import summed

OF_QID = [
    json.dumps({"outcomes": {"qid": content}})
    for content in ({"default": None, "ranked": []}, {"default": {"name": 1}})
]


def test_the_default_and_the_ranked_laws_are_read(tmp_path):
    path, ranked = tmp_path / "fits.json", [{"law": "steps", "score": 0.1}]
    of_qid, of_kl = (
        {"default": {"name": name, "reason": "why", "tied": [name]}, "ranked": ranked} for name in ("steps", "power")
    )
    path.write_text(json.dumps(summed({"outcomes": {"qid": of_qid, "kl": of_kl}})))
    assert read_default(path) == (DefaultLaw("steps", "why", ("steps",)), ranked)
    assert read_default(path, "kl") == (DefaultLaw("power", "why", ("power",)), ranked)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """It was told as a file without a default law, as from another folder than the repository's."""
    with pytest.raises(ResultsError, match=r"fits.json: no such file; `make fits` makes it"):
        read_default(tmp_path / "fits.json")


def test_a_damaged_file_is_told_as_damaged(tmp_path):
    path = tmp_path / "fits.json"
    whole = json.dumps(summed({"outcomes": {"qid": {"default": {"name": "steps", "reason": "", "tied": []}}}}))
    path.write_text(whole.replace("steps", "power"))
    with pytest.raises(ResultsError, match=r"fits.json: damaged, its 'checksum' is .*; `make fits` makes it again"):
        read_default(path)


@pytest.mark.parametrize("content", ["{}", "[]", *OF_QID])
def test_a_file_without_one_is_one_line(tmp_path, content):
    path = tmp_path / "fits.json"
    path.write_text(content)
    with pytest.raises(ResultsError, match=r"fits.json: says no default law; `make fits` makes it"):
        read_default(path)
