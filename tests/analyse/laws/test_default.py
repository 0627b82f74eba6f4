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


@pytest.mark.parametrize("content", [None, "{}", "[]", *OF_QID])
def test_a_file_without_one_is_one_line(tmp_path, content):
    path = tmp_path / "fits.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ResultsError, match=r"fits.json: says no default law; `make fits` makes it"):
        read_default(path)
