"""Sweeps of families on the Hub, against a stand-in that has small random weights under their names and revisions."""

from tests.measure.sweep.hub_families import PLACE, published, rows, rows_of_folders, run, specs_of

from helpers.measure.models.hub import kept


def test_rows_are_those_of_local_folders(pythia_sweep, family_hub, tmp_path):
    files = published(family_hub, specs_of(pythia_sweep))
    run(pythia_sweep, tmp_path)
    assert rows(tmp_path, *PLACE) == rows_of_folders(pythia_sweep, files, tmp_path / "folders")
    assert len(rows(tmp_path)) == 12


def test_a_second_run_asks_nothing_and_needs_no_weights(pythia_sweep, family_hub, tmp_path):
    published(family_hub, specs_of(pythia_sweep))
    report = run(pythia_sweep, tmp_path / "one")
    assert (report.n_measured, report.failures) == (12, ())
    found = rows(tmp_path / "one").values()
    assert {(row["revision"], row["commit"]) for row in found} == {
        (branch, sha) for repository in family_hub.repositories.values() for branch, sha in repository.branches.items()
    }
    family_hub.log.clear()
    assert run(pythia_sweep, tmp_path / "one").n_present == 12
    assert run(pythia_sweep, tmp_path / "two").n_measured == 12
    assert family_hub.log == []
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


def test_rows_that_are_there_need_no_download(pythia_sweep, family_hub, tmp_path):
    """On a machine that has the table alone, hashes from the Hub say that there is nothing to measure."""
    published(family_hub, specs_of(pythia_sweep))
    run(pythia_sweep, tmp_path / "one")
    for folder in (tmp_path / "cache/hub", kept.home()):
        folder.rename(folder.with_name(f"{folder.name} elsewhere"))
    family_hub.log.clear()
    assert run(pythia_sweep, tmp_path / "one").n_present == 12
    assert family_hub.asked("config.json")
    assert not family_hub.asked("safetensors")
    assert not family_hub.asked("/cdn/")
