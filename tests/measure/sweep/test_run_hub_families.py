"""Families of the Hub end to end: planned, swept under a budget, with what is gated, missing, pickled, reported, equal."""

import io

import pytest
import torch
from safetensors.torch import load
from tests.measure.sweep import hub_families
from tests.measure.sweep.hub_families import PLACE, published, rows, rows_of_folders, run, specs_of
from tests.measure.sweep.test_run import places_in

from helpers.measure.models.hub.weights import ONLY_PICKLES
from helpers.measure.planning.plan import plan_sweep
from helpers.measure.sweep.declaration import read_sweep
from helpers.table.errors import SpecError

N_ROWS = 3  # a checkpoint


def pickled(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return a revision's files with its weights as a pickle."""
    written = io.BytesIO()
    torch.save(load(files["model.safetensors"]), written)
    others = {name: body for name, body in files.items() if name != "model.safetensors"}
    return others | {"pytorch_model.bin": written.getvalue()}


def changed(declared, old: str, new: str):
    text = declared.read_text()
    assert old in text
    declared.write_text(text.replace(old, new))
    return declared


def test_a_whole_family_is_planned_and_swept_with_what_is_gated_missing_and_equal(pythia_sweep, family_hub, tmp_path):
    """The smaller model's steps are equal; of the larger one's, one is missing; a third model is gated."""
    changed(pythia_sweep, "- pythia-410m-deduped", "- pythia-410m-deduped\n      - pythia-1b-deduped")
    specs = specs_of(pythia_sweep)
    files = published(family_hub, specs)
    names = [spec.label for spec in specs]
    small = [spec for spec in specs if spec.model == "pythia-160m-deduped"]
    family_hub.repository(small[1].location).commit(files[small[0]], small[1].revision)
    gated = [spec for spec in specs if spec.model == "pythia-1b-deduped"]
    family_hub.repository(gated[0].location).access = "sealed"
    missing = next(spec for spec in specs if spec.model == "pythia-410m-deduped")
    del family_hub.repository(missing.location).branches[missing.revision]
    plan = plan_sweep(pythia_sweep, "cpu", places_in(tmp_path), None)
    budget = plan.at_once
    assert budget < sum(len(content["model.safetensors"]) for content in files.values())
    assert len(plan.failures) == 3
    report = run(pythia_sweep, tmp_path, disk_bytes=budget)
    assert sorted(report.failures) == sorted(plan.failures)
    assert {failure.split(":")[0] for failure in report.failures} == {each.label for each in (*gated, missing)}
    assert (report.n_measured, report.n_present) == (2 * N_ROWS, N_ROWS)  # equal weights are one checkpoint
    assert {row["run"] + f"@{row['step']}" for row in rows(tmp_path).values()} <= {*names}


def test_pickles_are_converted_where_the_sweep_says_so_and_rows_say_it(pythia_sweep, family_hub, tmp_path):
    specs = specs_of(pythia_sweep)
    files = published(family_hub, specs)
    for spec in specs[:2]:
        family_hub.repository(spec.location).commit(pickled(files[spec]), spec.revision)
    refused = run(pythia_sweep, tmp_path / "refused")
    assert refused.n_measured == 2 * N_ROWS
    assert all(
        "a pickle, which can run code; accepted: safetensors, or `from_pickle: true`" in f for f in refused.failures
    )
    assert len(refused.failures) == 2
    plan = plan_sweep(pythia_sweep, "cpu", places_in(tmp_path), None)
    assert [each.standing.words for each in plan.planned][:2] == [ONLY_PICKLES] * 2
    refused_sweep = tmp_path / "refused.yml"
    refused_sweep.write_text(pythia_sweep.read_text())
    changed(pythia_sweep, "    schemes:", "    from_pickle: true\n    schemes:")
    assert run(pythia_sweep, tmp_path).failures == ()
    found = rows(tmp_path)
    assert len(found) == 4 * N_ROWS
    assert {row["revision"] for row in found.values() if row["pickle_sha256"]} == {spec.revision for spec in specs[:2]}
    family_hub.log.clear()
    assert run(pythia_sweep, tmp_path).n_present == 4 * N_ROWS
    assert family_hub.log == []
    others = [name for name in next(iter(found.values())) if name.endswith(("_nats", "group_loss", "agreement"))]
    safetensors = rows_of_folders(refused_sweep, files, tmp_path / "folders")

    def numbers(measured):
        return {
            (row["run"], row["step"], row["scheme_id"]): [row[name] for name in others] for row in measured.values()
        }

    assert numbers(found) == numbers(safetensors)


def test_a_budget_takes_pickles_and_what_they_become(pythia_sweep, family_hub, tmp_path):
    specs = specs_of(pythia_sweep)
    files = {spec: pickled(content) for spec, content in published(family_hub, specs).items()}
    for spec, content in files.items():
        family_hub.repository(spec.location).commit(content, spec.revision)
    changed(pythia_sweep, "    schemes:", "    from_pickle: true\n    schemes:")
    two = sum(sorted(len(content["pytorch_model.bin"]) for content in files.values())[-2:])
    with pytest.raises(SpecError, match="--disk-budget"):
        run(pythia_sweep, tmp_path, disk_bytes=2 * two - 1)
    assert run(pythia_sweep, tmp_path, disk_bytes=2 * two).failures == ()
    assert len(rows(tmp_path)) == 4 * N_ROWS


def test_a_reported_checkpoint_is_refused_unless_the_sweep_says_otherwise(pythia_sweep, family_hub, tmp_path):
    changed(pythia_sweep, "[512, 1000]", "[2, 1000]")  # step 2 is reported of every model
    specs = specs_of(pythia_sweep)
    assert {spec.step for spec in specs} == {1000}
    failures = read_sweep(pythia_sweep).failures
    assert len(failures) == 2
    assert all("reported on 2026-05-18" in failure for failure in failures)
    assert all("accepted: 'known_bad: measure' in the sweep's part, which rows then say" in each for each in failures)
    changed(pythia_sweep, "    schemes:", "    known_bad: measure\n    schemes:")
    published(family_hub, specs_of(pythia_sweep))
    assert run(pythia_sweep, tmp_path).failures == ()
    said = {row["step"]: row["known_bad"] for row in rows(tmp_path).values()}
    assert said == {2: "its weights are those of another revision (EleutherAI/pythia#198)", 1000: None}
    changed(pythia_sweep, "known_bad: measure", "known_bad: maybe")
    with pytest.raises(SpecError, match="'known_bad' is 'maybe'; accepted: refuse, measure"):
        read_sweep(pythia_sweep)


def test_runs_of_datadecide_by_text_and_seed(tmp_path, family_hub, monkeypatch):
    """Three seeds of one size on one text are revisions of one repository; one repository is gated."""
    monkeypatch.chdir(hub_families.ROOT)
    hub_families.made_small(monkeypatch, "datadecide")
    declared = tmp_path / "datadecide.yml"
    declared.write_text(
        "name: datadecide\nevaluation: {sequences: 128, seq_len: 16}\ncalibration: {sequences: 4, seq_len: 32}\nparts:\n"
        "  - family: datadecide\n    models: [DataDecide-c4-4M, DataDecide-dolma1_7-4M]\n    steps: [1250]\n"
        "    schemes: [{method: [gptq, rtn], bits: [3], group_size: 16, symmetric: true}]\n"
    )
    specs = specs_of(declared)
    assert len({spec.run for spec in specs}) == 6
    files = published(family_hub, specs)
    sizes = [len(content["model.safetensors"]) for content in files.values()]
    gated = family_hub.repository("allenai/DataDecide-dolma1_7-4M")
    gated.access = "gated"
    plan = plan_sweep(declared, "cpu", places_in(tmp_path), None)
    assert (plan.in_all, plan.at_once, len(plan.failures)) == (sum(sizes[:3]), sum(sizes[:2]), 3)
    report = run(declared, tmp_path, disk_bytes=plan.at_once)
    assert (report.n_measured, sorted(report.failures)) == (3 * N_ROWS, sorted(plan.failures))
    gated.access = "open"
    assert run(declared, tmp_path, disk_bytes=2 * max(sizes)).n_measured == 3 * N_ROWS
    found = rows(tmp_path).values()
    assert {(row["run"], row["revision"], row["train_seed"]) for row in found} == {
        (spec.run, spec.revision, spec.train_seed) for spec in specs
    }
    assert rows(tmp_path, *PLACE) == rows_of_folders(declared, files, tmp_path / "folders")
