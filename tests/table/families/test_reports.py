"""What has been reported of families' checkpoints: the counts of the threads, and who is refused."""

import dataclasses

import pytest

from helpers.table.families.catalogue import HUB_FAMILIES
from helpers.table.families.hub import known_bad, refusal

PYTHIA, OLMO = HUB_FAMILIES["pythia"], HUB_FAMILIES["olmo-2"]


def bad_steps(family, model: str) -> list[int]:
    return [each.step for each in family.checkpoints() if each.model == model and known_bad(family, each)]


def test_pythia_2_8b_has_as_many_as_its_thread_counts():
    """86 of 154, without step 143000, which rightly has the end's weights."""
    bad = bad_steps(PYTHIA, "pythia-2.8b")
    assert len(bad) == 85
    assert 143000 not in bad
    assert {66000, 99000, 142000}.isdisjoint(bad)


def test_step_2_is_refused_in_all_models_and_what_was_mended_is_not():
    assert bad_steps(PYTHIA, "pythia-70m") == [2]
    assert bad_steps(PYTHIA, "pythia-12b") == [2, 50000, 58000]
    assert bad_steps(HUB_FAMILIES["pythia-deduped"], "pythia-12b-deduped") == [2]


def test_seeds_lack_what_their_threads_say():
    seeds = HUB_FAMILIES["polypythias"]
    bad = {each.run: each.step for each in seeds.checkpoints() if known_bad(seeds, each)}
    assert bad == {
        "pythia-410m-seed9": 40000,
        "pythia-410m-seed6": 88000,
        "pythia-410m-seed2": 111000,
        "pythia-160m-weight-seed1": 0,
        "pythia-160m-weight-seed2": 0,
    }


def test_olmo_2_by_revision():
    assert bad_steps(OLMO, "OLMo-2-1124-7B") == [101000, 175000, 300000]
    thirteen = bad_steps(OLMO, "OLMo-2-1124-13B")
    assert (len(thirteen), thirteen[0], thirteen[-1]) == (103, 0, 102000)
    assert bad_steps(OLMO, "OLMo-2-0425-1B") == []


def test_a_refusal_names_the_revision_the_thread_and_the_date():
    spec = next(each for each in PYTHIA.checkpoints() if each.model == "pythia-12b" and each.step == 50000)
    said = refusal(known_bad(PYTHIA, spec), spec)
    for part in ("EleutherAI/pythia-12b at step50000", "2026-08-14", "EleutherAI/pythia#206", "some of its shards"):
        assert part in said
    assert known_bad(PYTHIA, dataclasses.replace(spec, location="somewhere", revision=None)) is None


@pytest.fixture(scope="module")
def everywhere() -> set[tuple[str, str | None]]:
    return {(each.location, each.revision) for family in HUB_FAMILIES.values() for each in family.checkpoints()}


@pytest.mark.parametrize("name", HUB_FAMILIES)
def test_every_report_is_of_revisions_that_the_catalogue_has(name, everywhere):
    family = HUB_FAMILIES[name]
    for each in (*family.known_bad, *family.twins):
        assert each.source.count("#") >= 1
        places = [each.repository] if each.repository else {run.repository for run in family.runs}
        assert {(place, revision) for place in places for revision in each.revisions} <= everywhere
