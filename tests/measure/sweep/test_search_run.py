"""Searches of a tiny family as a sweep declares them: trials, recipes, and a second run that finds all of it."""

import dataclasses
from pathlib import Path

import pytest
from rich.console import Console
from tests.measure.tiny import ROOT, write_family

from helpers.measure.mixed import searches
from helpers.measure.scoring import evaluate
from helpers.measure.sweep import search_run
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.measure.sweep.search_run import run_search
from helpers.table import disk, files
from helpers.table.errors import QuantizationError, ResultsError, SpecError

SWEEP = """\
name: tiny-mixed
evaluation: {{sequences: 128, seq_len: 16}}
calibration: {{sequences: 8, seq_len: 16}}
parts:
  - family: {family}
    steps: [2]
    schemes:
      - {{method: gptq, bits: 2, group_size: 16, symmetric: false}}
      - {{method: rtn, bits: 4, group_size: 16, symmetric: true, format: mxint}}
    search: {search}
"""
SEARCH = "{sequences: 8, seq_len: 16, ratios: [0.5, 0.9], trials: 6}"
QUIET = Console(quiet=True)


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> tuple[Path, Places, search_run.SearchReport]:
    """A sweep's file, where its results went, and the report: searched once for the tests that read."""
    folder = tmp_path_factory.mktemp("searched")
    declared = folder / "mixed.yml"
    declared.write_text(SWEEP.format(family=write_family(folder / "family"), search=SEARCH))
    places = places_in(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return declared, places, run_search(declared, "cpu", places, QUIET)


@pytest.fixture
def declared(tmp_path, family) -> Path:
    path = tmp_path / "mixed.yml"
    path.write_text(SWEEP.format(family=family, search=SEARCH))
    return path


def places_in(folder: Path) -> Places:
    names = ("measurements.parquet", "measurements", "trials.parquet", "trials")
    return Places(*(folder / "out" / name for name in names))


@pytest.fixture
def places(tmp_path) -> Places:
    return places_in(tmp_path)


def test_trials_and_recipes_are_written_and_a_second_run_finds_them(searched):
    declared, places, report = searched
    assert report.failures == ()
    assert (report.n_searched, report.n_present) == (2, 0)
    before = places.trials.read_bytes(), places.measurements.read_bytes()
    again = run_search(declared, "cpu", places, QUIET)
    assert (again.n_searched, again.n_present, again.n_recipes, again.failures) == (0, 2, 0, ())
    assert (places.trials.read_bytes(), places.measurements.read_bytes()) == before


def test_rows_of_trials_say_what_was_scored(searched):
    _, places, _ = searched
    rows = files.read_trials(places.trials).to_pylist()
    of_gptq = [row for row in rows if row["method"] == "gptq" and row["granularity"] == "matmul"]
    counts = {name: sum(row["search"] == name for row in of_gptq) for name in {row["search"] for row in of_gptq}}
    assert counts == {  # at 0.9 only the two smallest matrices can stay, so four assignments are all there are
        "none": 1, "all": 1, "single": 8, "exhaustive": 256, "random": 6 + 4, "second_order": 2, "greedy": 2,
        "integer_programme": 2,
    }  # fmt: skip
    by_assignment: dict[str, set] = {}
    for row in of_gptq:
        assert row["target_ratio"] is None or row["quantized_ratio"] >= row["target_ratio"]
        by_assignment.setdefault(row["assignment"], set()).add((row["loss_nats"], row["top1_accuracy"]))
    assert {len(seen) for seen in by_assignment.values()} == {1}
    least = {t: min(r["loss_nats"] for r in of_gptq if r["quantized_ratio"] >= t) for t in (0.5, 0.9)}
    for row in of_gptq:
        if row["target_ratio"]:
            assert row["loss_nats"] >= least[row["target_ratio"]]


def test_recipes_are_the_best_trials_rounded_anew(searched):
    _, places, _ = searched
    trials = files.read_trials(places.trials).to_pylist()
    rows = files.read_table(places.measurements).to_pylist()
    names = [f"{block}.{layer}" for block in range(2) for layer in
             ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")]  # fmt: skip
    for method in ("gptq", "rtn"):
        kept = {tuple(row["kept_matrices"]): row for row in rows if row["method"] == method}
        assert all(row["status"] == "ok" for row in kept.values())
        assert kept[()]["quantized_ratio"] == 1
        for granularity in ("layer", "matmul"):
            of_it = [row for row in trials if row["method"] == method and row["granularity"] == granularity]
            for target in (0.5, 0.9):
                meeting = [row for row in of_it if row["quantized_ratio"] >= target]
                best = min(meeting, key=lambda row: row["loss_nats"])
                high = tuple(sorted(n for n, digit in zip(names, best["assignment"], strict=True) if digit == "0"))
                assert kept[high]["quantized_ratio"] == pytest.approx(best["quantized_ratio"])


def test_a_trial_has_the_scheme_of_the_row_with_nothing_kept(searched):
    """The calibration text is part of it."""
    _, places, _ = searched
    rows = [row for row in files.read_table(places.measurements).to_pylist() if row["method"] != "none"]
    whole = {row["method"]: row["scheme_id"] for row in rows if not row["kept_matrices"]}
    tried = {row["method"]: row["scheme_id"] for row in files.read_trials(places.trials).to_pylist()}
    assert tried == whole


def test_without_calibration_the_recipe_on_the_searchs_text_is_the_trial(declared, places, family):
    """Round-to-nearest doesn't propagate: swapped in and rounded anew are the same weights, so the same loss."""
    sweep = read_sweep(declared)
    (spec,), scheme = sweep.parts[0].checkpoints, sweep.parts[0].schemes[1]
    engine = search_run.Engine(sweep, "cpu", None, places.records, set(), QUIET)
    loaded = search_run._Loaded(spec, "cpu", engine)
    blocks = search_run.search_blocks(loaded.source, 8, 16, 0)
    (alone,) = searches.rounded_alone(loaded.checkpoint, [scheme], None, 2**30)
    (trial,) = searches.Scorer(loaded.checkpoint, alone, blocks, "float32", 2**30).score(["11011111"])
    units = search_run.Units.of("matmul", searches.sizes(loaded.checkpoint))
    recipe = searches.recipe(scheme, units, "11011111")
    ((anew,),) = searches.methods.method_named("rtn").quantize([loaded.checkpoint], [recipe], None, 2**30)
    ((_, measured),) = evaluate.evaluate([loaded.checkpoint], [[anew]], blocks, "float32", 2**30)
    assert dataclasses.replace(measured, kl_nats=trial.kl_nats) == trial


def test_a_plain_sweep_of_the_file_measures_everything_low(declared, tmp_path):
    report = run_sweep(declared, "cpu", Places(tmp_path / "t.parquet", tmp_path / "r"), QUIET)
    assert (report.n_measured, report.failures) == (3, ())


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("{sequences: 8, ratios: [1.2]}", "quantization ratio 1.2; accepted: 0 to 1"),
        ("{sequences: 8, ratios: [0.5], granularity: [head]}", "'granularity' is 'head'; accepted: layer, matmul"),
        ("{sequences: 8, ratios: [0.5], searches: [luck]}", "unknown search 'luck'; accepted: random, greedy"),
        ("{sequences: 8, ratios: [0.5], trials: 0}", "'trials' is 0; accepted: 1 or more"),
        ("{sequences: 505, ratios: [0.5]}", "'sequences' is 505; accepted: 1 to 504, beside calibration's"),
        ("{sequences: 8, ratios: [0.5], seed: 3}", "'calib_seed' is 0; accepted: 3, the search's"),
    ],
)
def test_bad_searches_are_refused_before_any_work(declared, places, family, search, message):
    declared.write_text(SWEEP.format(family=family, search=search))
    with pytest.raises(SpecError, match=message):
        run_search(declared, "cpu", places, QUIET)
    assert not places.trials.exists()


def test_a_trial_whose_loss_is_no_number_is_null_and_never_the_best():
    trials = [
        searches.Trial("layer", "random", 0.5, n, "10", 0.5, None, loss, 0.1)
        for n, loss in enumerate((float("nan"), 3.0, float("inf"), 2.0))
    ]
    assert searches.best(trials, 0.5).number == 3
    with pytest.raises(
        QuantizationError, match=r"no trial of a quantization ratio of 0\.5 or more has a loss that is a"
    ):
        searches.best(trials[::2], 0.5)


def test_losses_that_are_no_numbers_are_null_in_the_table_and_a_failure_in_the_report(declared, places, monkeypatch):
    """Everything low overflows: the trial stays, with a null; a unit alone doesn't, so there are recipes all the same."""
    real = searches._scored

    def overflowing(scorer, units, wishes):
        return [
            dataclasses.replace(trial, loss_nats=float("nan")) if trial.search == "all" else trial
            for trial in real(scorer, units, wishes)
        ]

    monkeypatch.setattr(searches, "_scored", overflowing)
    report = run_search(declared, "cpu", places, QUIET)
    assert report.failures == ()
    found = files.read_trials(places.trials)
    nulls = [row["search"] for row in found.to_pylist() if row["loss_nats"] is None]
    assert set(nulls) == {"all"}
    assert not any(row["loss_nats"] != row["loss_nats"] for row in found.to_pylist())
    assert run_search(declared, "cpu", places, QUIET).n_present == 2


def test_whatever_goes_wrong_with_a_checkpoint_is_its_failure(declared, places, monkeypatch):
    def broken(*_):
        raise KeyError("rope_type")

    monkeypatch.setattr(search_run._Loaded, "searched", broken)
    report = run_search(declared, "cpu", places, QUIET)
    assert report.failures == ("tiny@2: can't be used (KeyError: 'rope_type')",)


def test_searches_into_one_folder_of_trials_are_not_made_twice_at_once(declared, places):
    message = "trials: another process is measuring into it"
    with disk.exclusive(places.trial_records), pytest.raises(ResultsError, match=message):
        run_search(declared, "cpu", places, QUIET)
