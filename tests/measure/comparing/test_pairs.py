"""Lists of pairs on the Hub, read strictly; the one that the project has."""

import re

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.comparing.pairs import Pair, parts_of, read_pairs
from helpers.table.errors import SpecError
from helpers.table.families.catalogue import HUB_FAMILIES

RELEASE = ROOT / "data/comparisons/ouyang-release.yml"


def test_the_release_s_originals_are_revisions_that_the_catalogue_has_and_its_names_say_them():
    listed = read_pairs(RELEASE)
    assert listed.name == "ouyang-release"
    assert len(listed.pairs) == 20
    for pair in listed.pairs:
        repository, revision = parts_of(pair.base)
        assert any(family.found(repository, revision) for family in HUB_FAMILIES.values()), pair.base
        model, step = repository.partition("/")[2], revision
        assert re.fullmatch(rf"Xu-Ouyang/{model}-int[2348]-{step}-GPTQ-wikitext2@main", pair.quantized)


def test_a_list_is_read_in_its_order(tmp_path):
    (tmp_path / "list.yml").write_text("name: mine\npairs:\n  - {base: a/b@main, quantized: c/d@v1/x}\n")
    assert read_pairs(tmp_path / "list.yml").pairs == (Pair("a/b@main", "c/d@v1/x"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: mine\npairs: []\n", "'pairs' is empty"),
        ("name: mine\n", "missing key 'pairs'"),
        ("- a\n", "where a mapping is expected"),
        ("name: mine\npairs: [{base: a/b@main}]\n", "pair 1: missing key 'quantized'"),
        ("name: mine\npairs: [x]\n", "pair 1: "),
        ("name: mine\npairs: [{base: a/b, quantized: c/d@main}]\n", "pair 1: 'a/b'; accepted: owner/name@revision"),
        ("name: mine\npairs: [{base: a/b@main, quantized: ../x@main}]\n", "pair 1: '../x@main'; accepted"),
        (
            "name: mine\npairs: [{base: a/b@m, quantized: c/d@m}, {base: a/b@m, quantized: c/d@m}]\n",
            "pair 2: c/d@m beside a/b@m stands there twice",
        ),
        ("name: mine\nother: 1\npairs: []\n", "list.yml:2: unknown key 'other'"),
    ],
)
def test_what_is_off_is_one_line(tmp_path, text, message):
    (tmp_path / "list.yml").write_text(text)
    with pytest.raises(SpecError, match=re.escape(message)) as refused:
        read_pairs(tmp_path / "list.yml")
    assert "\n" not in str(refused.value)
