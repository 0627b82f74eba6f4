"""The default law as a file of fits says it."""

import json

import pytest

from helpers.analyse.laws.default import DefaultLaw, read_default
from helpers.table.errors import ResultsError


def test_the_default_and_the_ranked_laws_are_read(tmp_path):
    path, ranked = tmp_path / "fits.json", [{"law": "steps", "score": 0.1}]
    path.write_text(json.dumps({"default": {"name": "steps", "reason": "why", "tied": ["steps"]}, "ranked": ranked}))
    assert read_default(path) == (DefaultLaw("steps", "why", ("steps",)), ranked)


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"default": null, "ranked": []}', '{"default": {"name": 1}}'])
def test_a_file_without_one_is_one_line(tmp_path, content):
    path = tmp_path / "fits.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ResultsError, match=r"fits.json: says no default law; `make fits` makes it"):
        read_default(path)
