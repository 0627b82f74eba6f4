"""The tracked fits: made of the rows that they name, from the tracked table, with numbers that come out again."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.hold_outs import floor_by_bits, judge, splits
from helpers.analyse.fits.stored import StoredFits, read_fits, table_digest, write_fits
from helpers.analyse.fits.with_draws import fit_and_draw, stream_of
from helpers.analyse.judgement import make_fits
from helpers.analyse.judgement.make_fits import (
    COMPETING,
    DRAWS,
    SEEDS,
    changed_laws,
    names_in,
    nothing_kept,
    parts_of_study,
    predictors,
)
from helpers.analyse.laws.names import FORMS, PER_BIT
from helpers.analyse.laws.published import PUBLISHED
from helpers.analyse.rows.noise_floor import study_floors
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.study import HELDOUT, LATE_TOKENS, MOST_EPOCHS, UNSEEN, rows_at, study_rows
from helpers.table.corpus import packages
from helpers.table.errors import ResultsError
from helpers.table.records import verified

RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def measured():
    return make_fits.read_measured(RESULTS / "measurements.parquet")


@pytest.fixture(scope="module")
def table(measured):
    return rows_at(measured, HELDOUT)


@pytest.fixture(scope="module")
def parts(measured, table):
    return parts_of_study(measured, table)


@pytest.fixture(scope="module")
def stored():
    """Raises where the tracked file isn't made from the tracked table: `make fits`."""
    return read_fits(RESULTS / "fits.json", RESULTS / "measurements.parquet")


@pytest.fixture(scope="module")
def stored_kl():
    return read_fits(RESULTS / "fits.json", RESULTS / "measurements.parquet", KL)


def test_rows_are_late_of_few_epochs_and_one_scheme(table):
    assert table["tokens_seen"].min() > LATE_TOKENS
    assert table["epochs"].max() <= MOST_EPOCHS
    assert (set(table["method"]), set(table["group_size"]), set(table["symmetric"])) == ({"gptq"}, {32}, {False})


def test_main_rows_are_one_run_a_size_counted_by_hand(parts, measured):
    trunk = study_rows(measured)
    gptq = (trunk["method"] == "gptq") & (trunk["group_size"] == 32) & ~trunk["symmetric"].astype("boolean")
    gptq &= trunk["bits"].between(2, 4) & (trunk["status"] == "ok")
    late = (trunk["tokens_seen"] > LATE_TOKENS) & (trunk["epochs"] <= MOST_EPOCHS)
    for name, form in COMPETING.items():
        assert (parts[name][1] is parts["power"][1]) == (not {"lr_fraction", "group_size"} & set(form.needs()))
    data = parts["power"][1].data
    assert data.tokens.size == (gptq & late).sum()
    assert np.unique(data.runs).size == np.unique(data.n_params).size == trunk["n_params_non_embedding"].nunique()


def test_wider_rows_hold_the_main_ones_and_what_their_form_needs(parts):
    main, rates, groups = (parts[name][1].data for name in ("power", "learning-rate", "group-size"))
    assert np.ptp(main.covariates["lr_fraction"]) == np.ptp(main.covariates["group_size"]) == 0
    assert rates.covariates["lr_fraction"].min() < 0.2 < rates.covariates["lr_fraction"].max() == 1
    assert (rates.covariates["lr_fraction"] == 1).sum() == main.tokens.size
    assert np.unique(groups.covariates["group_size"]).size > 1
    assert (groups.covariates["group_size"] == 32).sum() == main.tokens.size
    widths = [data for name, (_, rows) in parts.items() if name.startswith(PER_BIT) for data in [rows.data]]
    assert sum(data.tokens.size for data in widths) == main.tokens.size


def test_every_form_is_fitted_or_refused_with_a_reason(stored, parts):
    assert set(stored.fits) | set(stored.refused) == set(parts)
    assert set(stored.refused) == {name for name, form in FORMS.items() if form.HELD}
    for name, fit in stored.fits.items():
        assert fit.n_rows == parts[name][1].data.tokens.size
        assert fit.rows == parts[name][1].words
        assert fit.draws.tau.size == DRAWS["qid"]
        assert fit.law.validity == parts[name][1].data.validity


@pytest.mark.parametrize("name", ["power", "loss", "learning-rate"])
def test_a_stored_fit_comes_out_again_with_its_first_draws(stored, parts, name):
    again = fit_and_draw(*parts[name], 20, stream_of(name, np.random.SeedSequence(SEEDS["qid"])))
    one = stored.fits[name]
    # another machine's linear algebra ends the climb elsewhere, by far less than a standard error
    assert list(again.coefficients.values()) == pytest.approx(list(one.coefficients.values()), rel=1e-5)
    assert (again.tau, again.aic) == pytest.approx((one.tau, one.aic), rel=1e-5)
    np.testing.assert_allclose(again.draws.coefficients, one.draws.coefficients[:20], rtol=1e-4)


def test_a_stored_score_comes_out_again(stored, measured, table):
    chosen = {name: predictors()[name] for name in ("power", PER_BIT, "ouyang2024-per-bit")}
    hold_outs = {"largest size": splits(table, rows_at(measured, UNSEEN))["largest size"]}
    floor = floor_by_bits(study_floors(measured, packages("evaluation")))
    again = judge(chosen, hold_outs, floor).set_index("law")
    kept = stored.judged[stored.judged["hold_out"] == "largest size"].set_index("law")
    for score in ("log_rms", "log_bias", "clear_coverage", "excluded_share"):
        assert list(again[score]) == pytest.approx(list(kept.loc[again.index, score]), rel=1e-4, nan_ok=True)


def test_published_laws_are_judged_apart(stored):
    judged = stored.judged
    assert set(judged.loc[judged["published"], "law"]) == set(PUBLISHED)
    assert set(judged["law"]) == set(predictors())
    assert judged.loc[judged["published"], "coverage"].isna().all()
    assert set(stored.criteria.index) == set(COMPETING)
    for name, row in stored.criteria.dropna().iterrows():
        assert (row["aic"], row["tau"]) == pytest.approx((stored.fits[name].aic, stored.fits[name].tau), rel=1e-9)


@pytest.mark.parametrize("outcome", ["qid", "kl"])
def test_the_fits_of_an_outcome_stay_small(outcome):
    part = json.loads(TRACKED)["outcomes"][outcome]
    assert len(json.dumps(part, separators=(",", ":"))) < 1.5e6


# ---- what is there is kept -------------------------------------------------------------------------------------------


def without(stored: StoredFits, name: str) -> StoredFits:
    """Return the fits as they were before the law `name` was added."""
    return dataclasses.replace(
        stored,
        fits={one: fit for one, fit in stored.fits.items() if one != name},
        judged=stored.judged[stored.judged["law"] != name],
        by_run=stored.by_run[stored.by_run["law"] != name],
        criteria=stored.criteria.drop(name),
    )


def test_every_stored_law_says_of_its_rows_what_it_said(stored, parts):
    assert changed_laws(stored, parts) == [], "run: make fits"


def test_a_law_of_another_formula_or_of_other_rows_is_noticed(stored, parts):
    power, steps = stored.fits["power"], stored.fits["steps"]
    other_formula = dataclasses.replace(power, law=dataclasses.replace(steps.law, k=power.law.k))
    assert changed_laws(dataclasses.replace(stored, fits={"power": other_formula}), parts) == ["power"]
    for change in ({"rows": "others"}, {"n_rows": power.n_rows - 1}, {"tau": 1.01 * power.tau}):
        changed = dataclasses.replace(power, **change)
        assert changed_laws(dataclasses.replace(stored, fits={"power": changed, "steps": steps}), parts) == ["power"]


@pytest.mark.parametrize("name", ["free-bits", "group-size"])
def test_an_added_law_costs_its_own_fit_and_its_own_hold_outs(stored, measured, parts, monkeypatch, name):
    asked = []
    for part in ("fit_all", "predict_all", "criteria"):
        real = getattr(make_fits, part)
        monkeypatch.setattr(
            make_fits, part, lambda what, *more, real=real: asked.append(set(what)) or real(what, *more)
        )
    made = make_fits.make_fits(
        measured, without(stored, name), packages("evaluation"), DRAWS["qid"], np.random.SeedSequence(SEEDS["qid"])
    )
    refused = set(stored.refused)  # tried again: one look each
    assert asked == [{name} | refused, {name}, {name}]
    assert all(made.fits[one] is fit for one, fit in stored.fits.items() if one != name)
    assert (made.loss_law, made.loss_log_rms) == (stored.loss_law, pytest.approx(stored.loss_log_rms, rel=1e-9))
    assert set(names_in(made)) == set(names_in(stored))
    # in the order of the laws, whatever was made when
    assert list(made.fits) == [one for one in parts if one in made.fits]
    assert list(made.judged["law"].unique()) == list(predictors())
    assert list(made.criteria.index) == list(COMPETING)
    # as in the comparison of stored fits above: another machine's last digits
    judged, before = (one.judged.set_index(["law", "hold_out"]).sort_index() for one in (made, stored))
    pd.testing.assert_frame_equal(judged, before, rtol=1e-4, check_dtype=False)
    before = stored.criteria.loc[made.criteria.index]
    pd.testing.assert_frame_equal(made.criteria, before, rtol=1e-4, check_dtype=False)
    np.testing.assert_allclose(made.fits[name].draws.coefficients, stored.fits[name].draws.coefficients, rtol=1e-4)


def test_a_law_that_is_gone_is_left_out(stored, measured, monkeypatch):
    monkeypatch.delitem(make_fits.FORMS, "steps")
    monkeypatch.delitem(make_fits.COMPETING, "steps")
    made = make_fits.make_fits(
        measured, stored, packages("evaluation"), DRAWS["qid"], np.random.SeedSequence(SEEDS["qid"])
    )
    assert set(names_in(made)) == set(names_in(stored)) - {"steps"}


@pytest.fixture
def writing(stored, stored_kl, tmp_path, monkeypatch, capsys):
    """Return what `write` keeps of a file and what it says; a full run is replaced by the fits that are stored."""

    def written(content: str | None) -> tuple[list[str], str, Path]:
        path, kept = tmp_path / "fits.json", []
        if content is not None:
            path.write_text(content)

        def made(_measured: pd.DataFrame, known: StoredFits, *_more: object) -> StoredFits:
            if known.outcome == KL:
                return stored_kl
            kept.extend(names_in(known))
            return stored

        monkeypatch.setattr(make_fits, "make_fits", made)
        make_fits.write(path, RESULTS / "measurements.parquet")
        return kept, capsys.readouterr().out, path

    return written


TRACKED = (RESULTS / "fits.json").read_text()
UNSUMMED = json.dumps(verified(json.loads(TRACKED)), separators=(",", ":"))  # to be changed by hand


def test_a_complete_file_is_left_as_it_is(writing, stored):
    untouched = json.dumps(json.loads(TRACKED), indent=1)  # says the same in other bytes
    kept, said, path = writing(untouched)
    assert set(kept) == set(names_in(stored))
    assert path.read_text() == untouched
    assert "made now: nothing, no law was lacking" in said


def test_what_is_lacking_is_added_to_what_is_kept(writing, stored, stored_kl, tmp_path):
    write_fits(tmp_path / "before.json", without(stored, "onset"), stored_kl)
    kept, said, path = writing((tmp_path / "before.json").read_text())
    assert set(names_in(stored)) - set(kept) == {"onset"}
    assert "made now: onset\n" in said
    assert set(read_fits(path, RESULTS / "measurements.parquet").fits) == set(stored.fits)


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (None, "no such file"),
        ("[]", "not a file of fits"),
        (UNSUMMED.replace(table_digest(RESULTS / "measurements.parquet"), "0" * 64), "stale"),
        (UNSUMMED.replace('"form":"steps"', '"form":"exponential"'), "not a file of fits"),
        (UNSUMMED.replace('"form":"steps"', '"form":"power"'), "of another formula or of other rows: steps;"),
    ],
    ids=["missing", "broken", "another table", "another law's parameters", "another formula"],
)
def test_everything_is_made_again_where_nothing_can_be_kept(writing, stored, content, because):
    kept, said, path = writing(content)
    assert kept == []
    assert because in said
    assert "everything is made now" in said
    assert set(read_fits(path, RESULTS / "measurements.parquet").fits) == set(stored.fits)


def test_nothing_is_lost_where_the_disk_refuses(writing, tmp_path, monkeypatch):
    def refuse(*_paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(ResultsError, match="can't be written"):
        writing("[]")
    assert [path.name for path in tmp_path.iterdir()] == ["fits.json"]
    assert (tmp_path / "fits.json").read_text() == "[]"


def test_at_first_nothing_is_kept():
    assert names_in(nothing_kept("digest")) == []
