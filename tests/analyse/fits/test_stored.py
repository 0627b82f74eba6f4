"""The file of fits: what goes in comes out, and what is stale or no such file is refused."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.by_run import clustered_by_run
from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.stored import StoredFits, parameters, read_fits, table_digest, write_fits
from helpers.analyse.fits.with_draws import FitRows, fit_all
from helpers.analyse.laws.default import DefaultLaw
from helpers.analyse.laws.forms import ExponentialLaw, UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024_LOSS
from helpers.analyse.laws.variables import LawError
from helpers.table.errors import ResultsError

JUDGED = pd.DataFrame(
    [
        {"law": "power", "hold_out": "2 bits", "log_rms": 0.1, "n_rows": 3.0, "reason": "", "published": False},
        {"law": "power", "hold_out": "3 bits", "log_rms": np.inf, "n_rows": 3.0, "reason": "", "published": False},
        {
            "law": "kumar2024",
            "hold_out": "2 bits",
            "log_rms": np.nan,
            "n_rows": np.nan,
            "reason": "why",
            "published": True,
        },
    ]
)
CRITERIA = pd.DataFrame(
    {"tau": [0.1, np.nan], "status": ["converged", "failed"], "reason": ["", "why"]},
    index=pd.Index(["power", "bits"], name="law"),
)
BY_RUN = pd.DataFrame(
    {
        "law": ["power", "power", "kumar2024"],
        "hold_out": ["3 bits", "3 bits", "2 bits"],
        "run_label": ["one", "two", "one"],
        "n_rows": [4.0, 3.0, 4.0],
        "n_clear": [4.0, 0.0, 4.0],
        "log_mean_square": [0.0123, np.nan, np.inf],
        "coverage": [0.75, 1.0, np.nan],
    }
)
COMPARED = pd.DataFrame(
    {"score": [0.1, 0.2], "se": [0.01, np.nan], "tied": [True, False]}, index=pd.Index(["power", "bits"], name="law")
)
RANKS = pd.DataFrame({"spearman": [0.4], "n_laws": [9.0]}, index=pd.Index(["3 bits"], name="hold_out"))
DEFAULT = DefaultLaw("power", "the simplest", ("steps", "power"))
VERDICT = {
    "by_run": BY_RUN,
    "ranked": COMPARED.assign(candidate=[True, False]),
    "rank_correlations": RANKS,
    "outside": COMPARED,
    "default": DEFAULT,
}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(b"a table")
    return path


@pytest.fixture
def stored(planted, table):
    rows = FitRows("planted", planted(1))
    half = FitRows("planted, 2 bits", rows.data.where(rows.data.bits == 2))
    two = FitRows("two runs", planted(1, n_sizes=2))
    parts = {"power": ("power", rows), "power-per-bit-2": ("one-bit-width", half), "exponential": ("exponential", two)}
    made = fit_all(parts | {"tokens": ("tokens", rows)}, 20, np.random.SeedSequence(3))
    of_loss = {"loss_law": OUYANG_2024_LOSS, "loss_log_rms": 0.02, "table_sha256": table_digest(table)}
    return StoredFits(made.fits, made.refused, **of_loss, judged=JUDGED, criteria=CRITERIA, **VERDICT)


def test_what_is_written_is_read_again(stored, table, tmp_path):
    path = tmp_path / "fits.json"
    write_fits(path, stored)
    again = read_fits(path, table)
    assert list(again.fits) == ["power", "power-per-bit-2", "exponential"]
    for name, one in stored.fits.items():
        other = again.fits[name]
        assert other.law == one.law  # parameters, source and ranges, exactly
        for field in dataclasses.fields(one):
            if field.name not in ("law", "draws", "params"):
                assert getattr(other, field.name) == getattr(one, field.name), field.name
        np.testing.assert_array_equal(
            [dataclasses.astuple(estimate) for estimate in other.params.values()],
            [dataclasses.astuple(estimate) for estimate in one.params.values()],
        )
        assert other.coefficients == one.coefficients
        assert (other.draws is None) == (one.draws is None) == (name == "exponential")  # of two runs
        if one.draws is None:
            continue
        assert other.draws.names == one.draws.names
        # float32 is kept: a relative change of at most 2^-24
        np.testing.assert_allclose(other.draws.coefficients, one.draws.coefficients, rtol=6e-8)
        np.testing.assert_allclose(other.draws.tau, one.draws.tau, rtol=6e-8)
    assert (again.loss_law, again.loss_log_rms) == (OUYANG_2024_LOSS, 0.02)
    pd.testing.assert_frame_equal(again.judged, JUDGED)
    pd.testing.assert_frame_equal(again.criteria, CRITERIA)
    for name in ("by_run", "ranked", "rank_correlations", "outside"):
        pd.testing.assert_frame_equal(getattr(again, name), VERDICT[name])
    assert again.default == DEFAULT


def test_the_file_says_where_the_law_of_the_loss_lies_at_a_bound(stored, table, tmp_path):
    for alpha_d, said in ((0.4, []), (20.0, ["alpha_D"])):
        law = dataclasses.replace(OUYANG_2024_LOSS, alpha_D=alpha_d)
        write_fits(tmp_path / "fits.json", dataclasses.replace(stored, loss_law=law))
        assert json.loads((tmp_path / "fits.json").read_text())["outcomes"]["qid"]["loss_law"]["bounds_hit"] == said


def test_the_bytes_depend_on_the_fits_alone_and_survive_a_round_trip(stored, table, tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    write_fits(first, stored)
    write_fits(second, read_fits(first, table))
    assert first.read_bytes() == second.read_bytes()
    json.loads(first.read_text(), parse_constant=pytest.fail)  # NaN and Infinity aren't JSON


def test_what_could_not_be_fitted_says_why(stored, table, tmp_path):
    write_fits(tmp_path / "fits.json", stored)
    again = read_fits(tmp_path / "fits.json", table)
    with pytest.raises(FitError, match="is for one size N") as caught:
        again.fit("tokens")
    assert caught.value.status is FitStatus.NOT_IDENTIFIABLE
    with pytest.raises(LawError, match="no fit is named 'steps'; there are power"):
        again.fit("steps")


def test_a_law_per_bit_width_is_found_by_its_width(stored):
    assert stored.fit("power-per-bit", 2.0) is stored.fits["power-per-bit-2"]
    with pytest.raises(LawError, match="one law a bit width P, of 2; got 3"):
        stored.fit("power-per-bit", 3)
    with pytest.raises(LawError, match="one law a bit width P, of 2$"):
        stored.fit("power-per-bit")


def test_fits_of_another_table_are_stale(stored, table, tmp_path):
    path = tmp_path / "fits.json"
    write_fits(path, stored)
    table.write_bytes(b"a table with one more row")
    with pytest.raises(ResultsError, match=r"fits.json: stale, .*table.parquet has changed since; `make fits`"):
        read_fits(path, table)
    table.unlink()
    with pytest.raises(ResultsError, match=r"table.parquet: can't be read \(No such file or directory\)"):
        read_fits(path, table)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file; `make fits` makes it"),
        ("", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"version": 0}', "version 0, not 3"),
        ('{"version": 3}', "KeyError: 'outcomes'"),
        ('{"version": 3, "outcomes": {"qid": {}}}', "KeyError"),
    ],
)
def test_what_is_no_file_of_fits_is_one_line(content, said, table, tmp_path):
    path = tmp_path / "fits.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ResultsError) as caught:
        read_fits(path, table)
    assert said in str(caught.value)
    assert "make fits" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parameters_are_coefficients_on_the_papers_scale(planted):
    fit = clustered_by_run(fit_law(ExponentialLaw, planted(4)))
    found = parameters(fit)
    assert list(found) == ["C_T", "g_D", "g_N", "g_post"]
    log_k, inverse, plain = (fit.estimate(name) for name in ("ln_C_T", "1/g_post", "g_D"))
    assert found["C_T"].value == fit.law.C_T
    assert (found["C_T"].low, found["C_T"].high) == pytest.approx((math.exp(log_k.low), math.exp(log_k.high)))
    assert found["C_T"].standard_error == pytest.approx(fit.law.C_T * log_k.standard_error)
    assert (found["g_post"].low, found["g_post"].high) == pytest.approx((1 / inverse.high, 1 / inverse.low))
    # the delta method, against a difference: a small step of 1/g moves g by g^2 times as much
    step = 1e-6
    by_difference = abs(1 / (inverse.value + step) - 1 / (inverse.value - step)) / (2 * step)
    assert found["g_post"].standard_error == pytest.approx(by_difference * inverse.standard_error, rel=1e-6)
    assert found["g_D"] == plain
    assert all(math.isnan(one.low) and math.isnan(one.standard_error) for one in parameters(fit, "one run").values())


def test_a_parameter_at_its_bound_has_no_error_and_an_inverse_may_have_no_end(planted):
    fit = clustered_by_run(fit_law(UnifiedLaw, planted(4)))
    at_bound = parameters(dataclasses.replace(fit, bounds_hit=("beta",)))
    assert math.isnan(at_bound["beta"].standard_error)
    assert math.isfinite(at_bound["alpha"].standard_error)
    inverse = clustered_by_run(fit_law(ExponentialLaw, planted(4)))
    wide = dataclasses.replace(inverse, covariance=1e4 * inverse.covariance)
    low, high = parameters(wide)["g_post"].low, parameters(wide)["g_post"].high
    assert 0 < low < inverse.law.g_post
    assert high == math.inf


def test_fits_with_another_number_are_damaged(stored, table, tmp_path):
    path = tmp_path / "fits.json"
    write_fits(path, stored)
    whole = path.read_text()
    name = whole.index('"n_rows":') + len('"n_rows":')
    path.write_text(f"{whole[:name]}1{whole[name:]}")
    with pytest.raises(
        ResultsError, match=r"fits\.json: not a file of fits \(DamagedError: .*`make fits` makes it again"
    ):
        read_fits(path, table)
    path.write_text(whole.replace('"checksum":', '"checksul":'))
    with pytest.raises(ResultsError, match="unknown key 'checksul'"):
        read_fits(path, table)
