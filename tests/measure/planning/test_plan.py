"""Plans of a sweep against the stand-in of the Hub: what is there, how large, what is measured; no weights come."""

import json

import pytest
from tests.measure.sweep.hub_families import published, run, specs_of
from tests.measure.sweep.test_run import places_in
from tests.measure.tiny import ROOT

from helpers.measure.models.hub import revisions, weights
from helpers.measure.planning.hours import read_clock
from helpers.measure.planning.plan import plan_sweep
from helpers.table.errors import SpecError

N_ROWS = 3  # a checkpoint


def planned(declared, place, device="cpu", **more):
    clock = read_clock(None, ROOT / "benchmarks/results/engine.json")
    return plan_sweep(declared, device, places_in(place), clock, **more)


def test_a_plan_says_what_a_sweep_then_does(pythia_sweep, family_hub, tmp_path):
    files = published(family_hub, specs_of(pythia_sweep))
    sizes = [len(files[spec]["model.safetensors"]) for spec in files]
    before = planned(pythia_sweep, tmp_path)
    assert not family_hub.asked("/cdn/")
    assert [each.standing.n_bytes for each in before.planned] == sizes
    assert before.in_all == sum(sizes)
    assert before.at_once == sizes[-1] + sizes[-2]  # the largest come last, one is measured while the next one comes
    assert [(each.n_rows, each.n_present, each.n_to_measure) for each in before.planned] == [(N_ROWS, 0, N_ROWS)] * 4
    assert before.failures == ()
    family_hub.log.clear()
    assert planned(pythia_sweep, tmp_path).in_all == sum(sizes)
    assert family_hub.log == []
    assert run(pythia_sweep, tmp_path).n_measured == 4 * N_ROWS
    after = planned(pythia_sweep, tmp_path)
    assert (after.in_all, after.at_once) == (0, 0)
    assert {(each.standing.words, each.n_present) for each in after.planned} == {("here", N_ROWS)}
    json.dumps(after.as_json())


def test_what_is_not_there_is_named(pythia_sweep, family_hub, tmp_path):
    """The smaller model is gated; of the larger one a step is missing, and one has a pickle alone."""
    specs = specs_of(pythia_sweep)
    files = published(family_hub, specs)
    family_hub.repository(specs[0].location).access = "sealed"
    larger = family_hub.repository(specs[2].location)
    del larger.branches[specs[2].revision]
    pickle = {"config.json": files[specs[3]]["config.json"], "pytorch_model.bin": b"x" * 9}
    larger.commit(pickle, specs[3].revision)
    found = planned(pythia_sweep, tmp_path)
    words = [revisions.GATED, revisions.GATED, revisions.NO_REVISION, weights.ONLY_PICKLES]
    assert [each.standing.words for each in found.planned] == words
    assert {(each.n_to_measure, each.to_fetch) for each in found.planned} == {(0, 0)}
    for spec, failure in zip(specs, found.failures, strict=True):
        assert failure.startswith(f"{spec.label}: {spec.location} at {spec.revision}: ")
    report = run(pythia_sweep, tmp_path)
    assert report.n_measured == 0
    assert sorted(report.failures) == sorted(found.failures)


def test_without_the_hub_sizes_are_estimates(pythia_sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = planned(pythia_sweep, tmp_path)
    assert found.estimated
    assert found.in_all == sum(4 * spec.n_params_total for spec in specs_of(pythia_sweep))
    assert {(each.n_present, each.n_to_measure) for each in found.planned} == {(None, N_ROWS)}
    assert found.failures == ()


def test_hours_are_those_of_rows_that_lack_on_a_gpu(pythia_sweep, family_hub, tmp_path):
    published(family_hub, specs_of(pythia_sweep))
    assert planned(pythia_sweep, tmp_path).hours is None
    found = planned(pythia_sweep, tmp_path, "cuda")
    assert found.clock.gpu == "NVIDIA H200"
    assert 0 < found.hours < 0.1
    first, second, *_ = [each.seconds for each in found.planned]
    assert first > second > 0  # the first compiles the model's kernels
    assert found.extrapolated == ["pythia-160m-deduped", "pythia-410m-deduped"]  # they are tiny here


def test_a_device_of_no_kind_is_refused(pythia_sweep, tmp_path):
    with pytest.raises(SpecError, match="device 'tpu'; accepted: cpu, cuda"):
        planned(pythia_sweep, tmp_path, "tpu")


def test_a_budget_of_disk_that_two_checkpoints_do_not_fit_is_refused(pythia_sweep, family_hub, tmp_path):
    files = published(family_hub, specs_of(pythia_sweep))
    least = sum(sorted(len(content["model.safetensors"]) for content in files.values())[-2:])
    with pytest.raises(SpecError, match=r"--disk-budget is .* GiB; accepted: 0\.00\d GiB or more"):
        planned(pythia_sweep, tmp_path, disk_bytes=least - 1)
    assert planned(pythia_sweep, tmp_path, disk_bytes=least).at_once == least
