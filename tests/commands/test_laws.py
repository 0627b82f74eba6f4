"""`qid fit`, `predict`, `invert` and `laws`, end to end through typer's runner: JSON, words, and bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from helpers.analyse.fits.stored import read_fits
from helpers.analyse.laws.loss import bounds_hit
from helpers.analyse.laws.names import ELSEWHERE, FORMS, LAW_NAMES
from helpers.analyse.laws.published import KUMAR_2024, OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.cli import app
from helpers.table.errors import QidError

ROOT = Path(__file__).parents[2]
BIG = ["--n-params", "70e9", "--tokens", "15e12", "--bits", "4"]
SMALL = ["--n-params", "1e6", "--tokens", "3e8", "--bits", "3"]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def run(*words: str) -> dict:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout, parse_constant=pytest.fail)


def refusal(*words: str) -> str:
    """Return the one line that a command ends with; `qid` prints it and exits with 1."""
    error = CliRunner().invoke(app, list(words)).exception
    assert isinstance(error, QidError), repr(error)
    assert "\n" not in str(error)
    return str(error)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Six runs of six sizes at three bit widths, by the published law, with a spread of 10%."""
    generator = np.random.default_rng(4)
    sizes, tokens, bits = np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(1e10, 2e11, 5), [2, 3, 4])
    table = pd.DataFrame({"n_params_non_embedding": sizes.ravel(), "tokens_seen": tokens.ravel(), "bits": bits.ravel()})
    qid = OUYANG_2024.predict(table["tokens_seen"], table["n_params_non_embedding"], table["bits"])
    return table.assign(qid_nats=qid * np.exp(generator.normal(0, 0.1, qid.size)), qid_se=0.01 * qid)


@pytest.fixture
def mine(rows, tmp_path) -> str:
    rows.to_csv(tmp_path / "mine.csv", index=False)
    return str(tmp_path / "mine.csv")


def changed(rows, tmp_path, **columns) -> str:
    rows.assign(**columns).to_csv(tmp_path / "changed.csv", index=False)
    return str(tmp_path / "changed.csv")


# ---- fit -------------------------------------------------------------------------------------------------------------


def test_fit_says_what_is_stored():
    found, stored = run("fit", "--law", "power"), read_fits().fits["power"]
    assert list(found)[:3] == ["law", "outcome", "status"]
    assert {"n_rows", "n_runs", "condition_number", "params", "range", "tau", "assumed"} <= set(found)
    assert (found["law"], found["n_rows"], found["n_runs"]) == ("power", stored.n_rows, stored.n_runs)
    assert list(found["params"]) == ["k", "beta", "alpha", "gamma"]
    for name, one in found["params"].items():
        assert list(one) == ["estimate", "se", "low", "high"]
        assert one["estimate"] == getattr(stored.law, name)
        assert one["low"] < one["estimate"] < one["high"]
    assert found["assumed"] == []


def test_a_predicted_loss_says_where_its_law_is_not_identified():
    hit = bounds_hit(read_fits().loss_law)
    for words in (["predict", *SMALL], ["invert", "--qid", "0.2", "--n-params", "1e6", "--bits", "3"]):
        found = run(*words, "--law", "loss")
        assert len(found["assumed"]) == bool(hit)
        assert all(name in sentence for sentence in found["assumed"] for name in hit)
        assert run(*words, "--law", "loss", "--loss", "2")["assumed"] == []


@pytest.mark.parametrize("words", [["power-per-bit"], ["power", "--by", "bits"]])
def test_fit_by_bits_is_one_fit_a_bit_width(words):
    found = run("fit", "--law", *words)
    assert (found["by"], list(found["fits"])) == ("bits", ["2", "3", "4"])
    for bits, one in found["fits"].items():
        assert list(one["params"]) == ["k", "beta", "alpha"]
        assert one["range"]["bits"] == [float(bits), float(bits)]


def test_fit_of_my_rows_finds_what_was_planted(mine):
    found = run("fit", "--law", "power", "--data", mine)
    assert (found["status"], found["n_rows"], found["n_runs"]) == ("few_runs", 90, 6)
    for name in ("beta", "alpha", "gamma"):
        one = found["params"][name]
        assert abs(one["estimate"] - getattr(OUYANG_2024, name)) < 4 * one["se"]
    assert len(found["assumed"]) == 1
    assert "no column 'run'" in found["assumed"][0]
    by_bits = run("fit", "--law", "power", "--data", mine, "--by", "bits")
    assert [one["n_rows"] for one in by_bits["fits"].values()] == [30, 30, 30]


def test_a_bit_width_that_cannot_be_fitted_says_why_beside_the_others(rows, tmp_path):
    few = rows[(rows["bits"] < 4) | (rows["n_params_non_embedding"] < 2e8)]
    found = run("fit", "--law", "power-per-bit", "--data", changed(few, tmp_path))
    assert found["fits"]["4"] == {
        "status": "not_identifiable",
        "reason": "alpha can't be identified: every row has the same size N",
    }
    assert found["fits"]["2"]["n_rows"] == 30


# ---- predict and invert ----------------------------------------------------------------------------------------------


def test_predict_says_what_the_law_predicts_with_an_interval():
    found, law = run("predict", "--law", "power", *SMALL), read_fits().fits["power"].law
    assert list(found)[:5] == ["law", "qid", "low", "high", "extrapolates"]
    assert found["qid"] == float(law.predict(3e8, 1e6, 3))
    assert 0 < found["low"] < found["qid"] < found["high"]
    assert (found["extrapolates"], found["outside"]) == (False, [])
    assert found["range"]["tokens"] == list(law.validity.tokens)
    far = run("predict", "--law", "power", *BIG)
    assert (far["extrapolates"], far["outside"]) == (True, ["tokens", "n_params"])
    assert far["high"] / far["low"] > found["high"] / found["low"]


@pytest.mark.parametrize(
    ("name", "law"),
    [("ouyang2024", OUYANG_2024), ("ouyang2024-per-bit", OUYANG_2024_TABLE_1[4]), ("kumar2024", KUMAR_2024)],
)
def test_published_constants_are_laws_without_intervals(name, law):
    found = run("predict", "--law", name, *BIG)
    assert found["qid"] == float(law.predict(15e12, 70e9, 4))
    assert (found["low"], found["high"], found["extrapolates"]) == (None, None, True)
    assert "without the errors" in found["interval"]
    back = run("invert", "--law", name, "--qid", str(found["qid"]), "--n-params", "70e9", "--bits", "4")
    assert back["value"] == pytest.approx(15e12)


FITTED = [name for name, form in FORMS.items() if not form.HELD and "tokens" in form.needs()]


@pytest.mark.parametrize("name", [*FITTED, "power-per-bit"])
def test_invert_inverts_predict_for_every_fitted_law(name):
    options = {
        "room_nats": ["--vocabulary-size", "1024"],
        "lr_fraction": ["--lr-fraction", "0.5"],
        "group_size": ["--group-size", "64"],
    }
    words = ["--law", name]
    for variable in FORMS[name].needs() if name in FORMS else ():
        words += options.get(variable, [])
    found = run("predict", *words, *SMALL)
    assert 0 < found["low"] < found["qid"] < found["high"]
    assert found["extrapolates"] is False
    back = run("invert", *words, "--qid", str(found["qid"]), "--n-params", "1e6", "--bits", "3")
    assert (back["variable"], back["unit"]) == ("tokens", "tokens")
    assert back["value"] == pytest.approx(3e8, rel=1e-6)
    ends = [end for end in (back["low"], back["high"]) if end is not None]
    assert ends
    assert all((end < back["value"]) == (end == back["low"]) for end in ends)


def test_a_law_that_is_told_the_curvature_predicts_from_it_alone():
    words = ["--law", "curvature", "--bits", "3"]
    found = run("predict", *words, "--curvature-nats", "0.1")
    assert 0.03 < found["low"] < found["qid"] < found["high"] < 0.1  # GPTQ loses about half of it
    assert run("predict", *words, "--curvature-nats", "0.2")["qid"] == pytest.approx(2 * found["qid"])
    assert found["range"].keys() == {"bits", "curvature_nats"}
    assert "('curvature_nats')" in refusal("predict", *words, "--tokens", "3e8")
    assert "can't be solved for training tokens D" in refusal(
        "invert", *words, "--curvature-nats", "0.1", "--qid", "0.1", "--n-params", "1e6"
    )


def test_a_law_that_needs_a_column_refuses_rows_without_it_by_its_name(mine):
    assert "needs what curvature says that rounding costs ('curvature_nats')" in refusal(
        "fit", "--law", "curvature", "--data", mine
    )


def test_invert_solves_for_the_one_that_is_missing():
    qid = str(run("predict", "--law", "steps", *SMALL)["qid"])
    size = run("invert", "--law", "steps", "--qid", qid, "--tokens", "3e8", "--bits", "3")
    assert (size["variable"], size["value"]) == ("n_params", pytest.approx(1e6))
    bits = run("invert", "--law", "steps", "--qid", qid, "--tokens", "3e8", "--n-params", "1e6")
    assert (bits["variable"], bits["value"]) == ("bits", pytest.approx(3))
    assert bits["low"] < bits["value"] < bits["high"]
    beyond = run("invert", "--law", "steps", "--qid", "20", "--n-params", "1e6", "--bits", "3")
    assert (beyond["extrapolates"], beyond["outside"]) == (True, ["tokens"])


def test_a_given_loss_takes_the_place_of_the_predicted_one():
    predicted = run("predict", "--law", "loss", *SMALL)
    lower = run("predict", "--law", "loss", *SMALL, "--loss", "1.5")
    assert lower["qid"] != predicted["qid"]
    assert lower["given"]["loss_nats"] == 1.5


def test_predict_and_invert_of_my_rows(mine):
    words = ["--law", "power", "--data", mine, "--n-params", "1e9", "--bits", "3"]
    found = run("predict", *words, "--tokens", "1e11")
    assert found["low"] < float(OUYANG_2024.predict(1e11, 1e9, 3)) < found["high"]
    assert run("invert", *words, "--qid", str(found["qid"]))["value"] == pytest.approx(1e11)


def test_words_say_the_same_as_json_with_units(mine):
    words = CliRunner().invoke(app, ["predict", "--law", "power", *BIG], catch_exceptions=False).stdout
    found = run("predict", "--law", "power", *BIG)
    assert f"QiD = {found['qid']:.4g} nats a token" in words
    assert f"90%, for a new training run): {found['low']:.4g} to {found['high']:.4g}" in words
    assert words.count("extrapolates:") == 2
    fit = CliRunner().invoke(app, ["fit", "--law", "power", "--data", mine], catch_exceptions=False)
    assert "few_runs, 90 rows of 6 runs" in fit.stdout
    assert "QiD in nats a token" in fit.stdout
    by_bits = CliRunner().invoke(app, ["fit", "--law", "power-per-bit"], catch_exceptions=False).stdout
    assert by_bits.count("95% interval") == 3


def test_laws_lists_every_name_with_what_it_needs():
    found = run("laws")["laws"]
    assert {one["law"] for one in found} == {*LAW_NAMES, *ELSEWHERE}
    words = CliRunner().invoke(app, ["laws"], catch_exceptions=False).stdout
    assert all(f"{name} (" in words for name in (*LAW_NAMES, *ELSEWHERE))


def test_the_page_names_every_law_and_every_key(mine):
    page = (ROOT / "book" / "commands.md").read_text()
    fit, by_bits = run("fit", "--law", "power"), run("fit", "--law", "power", "--by", "bits")
    predicted = run("predict", *SMALL)
    solved = run("invert", "--law", "power", "--qid", "0.1", "--n-params", "1e6", "--bits", "3")
    file = json.loads((ROOT / "results" / "fits.json").read_text())
    keys = [*fit, *fit["params"]["beta"], *by_bits, *predicted, *solved, *run("laws")["laws"][0]]
    of_kl = file["outcomes"]["kl"]
    keys += [
        *predicted["band"],
        *predicted["laws"][0],
        *run("laws")["default"],
        *file,
        *of_kl,
        *of_kl["loss_law"],
        *of_kl["fits"]["power"]["draws"],
    ]
    assert {name for name in [*LAW_NAMES, *ELSEWHERE, *keys] if f"`{name}`" not in page} == set()


def test_without_a_name_the_default_law_answers():
    law = read_fits().default.law
    for words in (["predict", *SMALL], ["invert", "--qid", "0.1", "--n-params", "1e6", "--bits", "3"]):
        named = run(*words, "--law", law)
        assert {name: run(*words)[name] for name in named} == named
    listed = run("laws")["default"]
    assert (listed["law"], listed["name"]) == (law, read_fits().default.name)
    words = CliRunner().invoke(app, ["laws"], catch_exceptions=False).stdout
    assert f"default: {law}\n    judged as {listed['name']}: rms of ln" in words


def test_a_printed_exponent_of_tokens_carries_its_window():
    words = CliRunner().invoke(app, ["fit", "--law", "power"], catch_exceptions=False).stdout
    low, high = read_fits().fits["power"].law.validity.tokens
    assert f"beta, D {low:.3g} to {high:.3g}" in words


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shannon", "block-offset"])
def test_a_law_of_the_chapters_is_refused_with_the_names_of_the_others(name):
    for words in (["predict", "--law", name, *BIG], ["fit", "--law", name]):
        assert refusal(*words).startswith(f"{name} is fitted in the book's chapters only; accepted: power, ")


def test_an_unknown_law_is_refused_with_the_names():
    said = refusal("predict", "--law", "powr", *BIG)
    assert said.startswith("no law is named 'powr' (is 'power' meant?); accepted: ")
    assert all(name in said for name in LAW_NAMES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "--law", "ouyang2024"], "ouyang2024 is published, nothing is fitted"),
        (["fit", "--law", "power", "--by", "size"], "--by is 'size'; accepted: bits"),
        (["fit", "--law", "steps", "--by", "bits"], "--by bits is for the law power"),
        (["fit", "--law", "tokens"], "TokensLaw is for one size N; got "),
        (["predict", "--law", "power", "--tokens", "1e9", "--bits", "4"], "UnifiedLaw needs size N ('n_params')"),
        (["predict", "--law", "power", "--tokens", "-1", "--n-params", "1e6", "--bits", "4"], "--tokens is '-1'; accepted: a number from 1 to 1e15, such as 2T"),
        (["predict", "--law", "power", "--tokens", "inf", "--n-params", "1e6", "--bits", "4"], "--tokens is 'inf'; accepted: a number from 1 to 1e15"),
        (["predict", *SMALL, "--group-size", "-1"], "group_size is -1; accepted: 1 or more"),
        (["predict", *SMALL, "--group-size", "0"], "group_size is 0; accepted: 1 or more"),
        (["predict", "--law", "loss", *SMALL, "--loss", "-2"], "loss_nats is -2; accepted: more than 0"),
        (["predict", "--law", "group-size", *SMALL, "--group-size", "inf"], "group_size is inf; accepted: a finite number"),
        (["predict", "--law", "power-per-bit", "--tokens", "1e9", "--n-params", "1e6", "--bits", "5"], "of 2, 3, 4; got 5"),
        (["predict", "--law", "room", *SMALL], "needs the vocabulary's size"),
        (["invert", "--law", "power", "--qid", "0.2", "--bits", "4"], "give two of --tokens, --n-params and --bits; missing: --tokens, --n-params"),
        (["invert", "--law", "power", "--qid", "0.2", *BIG], "give two of --tokens, --n-params and --bits; missing: none"),
        (["invert", "--law", "power", "--qid", "-1", "--n-params", "1e9", "--bits", "4"], "positive QiD; got -1"),
        (["invert", "--law", "power-per-bit", "--qid", "0.2", "--n-params", "1e9", "--tokens", "1e9"], "one law a bit width P, of 2, 3, 4"),
        (["invert", "--law", "free-bits", "--qid", "0.2", "--n-params", "1e9", "--tokens", "1e9"], "can't be solved for bit width P"),
        (["predict", "--law", "kumar2024", "--data", "mine.csv", *BIG], "kumar2024 is published, nothing is fitted: leave --data out"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_one_line(words, said):
    assert said in refusal(*words)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"qid_nats": "much"}, "row 1 (and 89 more), column 'qid_nats': 'much'; accepted: a number"),
        ({"tokens_seen": -1.0}, "row 1 (and 89 more), column 'tokens_seen': -1; accepted: a positive number"),
        ({"n_params_non_embedding": 0.0}, "column 'n_params_non_embedding': 0; accepted: a positive number"),
        ({"bits": -2}, "column 'bits': -2; accepted: a positive number"),
        ({"qid_nats": np.inf}, "column 'qid_nats': inf; accepted: a finite number"),
        ({"qid_nats": np.nan}, "column 'qid_nats': empty or NaN; accepted: a number"),
        ({"n_params_non_embedding": 1e9}, "alpha can't be identified: every row has the same size N"),
        ({"bits": 3}, "gamma can't be identified: every row has the same bit width P"),
        (
            {"qid_nats": lambda rows: -rows["qid_nats"]},
            "only 0 rows have a QiD above its error; the law needs 5 or more",
        ),
    ],
)
@pytest.mark.parametrize(
    "command", [["fit"], ["predict", *BIG], ["invert", "--qid", "0.2", "--tokens", "1e9", "--bits", "3"]]
)
def test_rows_that_cannot_be_fitted_are_one_line(rows, tmp_path, columns, said, command):
    path = changed(rows, tmp_path, **columns)
    assert said in refusal(command[0], "--law", "power", "--data", path, *command[1:])


def test_tables_that_cannot_be_read_are_one_line(rows, mine, tmp_path):
    def fitted(path) -> str:
        return refusal("fit", "--law", "power", "--data", str(path))

    misnamed = tmp_path / "misnamed.csv"
    rows.rename(columns={"tokens_seen": "tokens"}).to_csv(misnamed, index=False)
    assert "no column 'tokens_seen'; is 'tokens' meant?" in fitted(misnamed)
    twice = tmp_path / "twice.csv"
    pd.concat([rows, rows.iloc[[2]]]).to_csv(twice, index=False)
    assert "row 91 repeats row 3" in fitted(twice)
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv: empty" in fitted(tmp_path / "empty.csv")
    (tmp_path / "picture.parquet").write_bytes(b"\x89PNG")
    assert "not a PARQUET table" in fitted(tmp_path / "picture.parquet")
    assert "accepted are files that end in" in fitted(tmp_path / "mine.json")
    assert "no such file" in fitted(tmp_path / "none.csv")


def test_a_million_rows_are_refused_and_told_the_limit(tmp_path):
    generator = np.random.default_rng(1)
    columns = ("n_params_non_embedding", "tokens_seen", "bits", "qid_nats")
    many = pd.DataFrame({name: generator.uniform(1, 2, 10**6) for name in columns})
    many.to_parquet(tmp_path / "many.parquet")
    said = refusal("fit", "--law", "power", "--data", str(tmp_path / "many.parquet"))
    assert "1,000,000 rows; at most 20,000 are fitted" in said


def test_stale_fits_are_refused_with_the_command_that_makes_them(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "fits.json").write_bytes((ROOT / "results" / "fits.json").read_bytes())
    (tmp_path / "results" / "measurements.parquet").write_bytes(b"another table")
    monkeypatch.chdir(tmp_path)
    assert "stale" in refusal("fit", "--law", "power")
    assert "make fits" in refusal("predict", "--law", "power", *BIG)


def test_on_the_command_line_it_is_exit_code_one_and_one_line():
    words = [sys.executable, "-W", "ignore", "-m", "helpers.cli", "fit", "--law", "powr"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert "no law is named 'powr'" in done.stderr


HEAVY = ["torch", "statsmodels", "matplotlib"]


@pytest.mark.parametrize(
    ("words", "unloaded"),
    [
        (["laws"], [*HEAVY, "pandas", "scipy"]),
        (["predict", "--law", "loss", *SMALL], HEAVY),
        (["fit", "--law", "power"], HEAVY),
    ],
)
def test_the_commands_start_without_what_they_do_not_need(words, unloaded):
    code = (
        f"import sys; from helpers.cli import app; app({words!r}, standalone_mode=False); "
        f"sys.exit(bool(set({unloaded!r}) & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False).returncode == 0


def test_kl_has_fits_and_answers_of_its_own():
    kl, qid = (run("predict", "--law", "power", *SMALL, "--outcome", outcome) for outcome in ("kl", "qid"))
    assert kl["kl"] > 0
    assert kl["low"] < kl["kl"] < kl["high"]
    assert "kl" not in qid
    assert kl["kl"] != pytest.approx(qid["qid"], rel=1e-3)
    assert run("fit", "--law", "power", "--outcome", "kl")["outcome"] == "kl"


def test_without_a_law_the_default_answers_beside_all_others():
    asked = ["predict", "--n-params", "7B", "--tokens", "15T", "--bits", "4"]
    found = run(*asked)
    alone = run(*asked, "--law", found["law"])
    assert found["qid"] == alone["qid"]
    assert found["given"] == {"n_params": 7e9, "tokens": 15e12, "bits": 4.0}
    assert found["band"]["low"] <= found["qid"] <= found["band"]["high"]
    assert found["band"]["n_laws"] == sum(not one["fails_outside"] for one in found["laws"])
    assert found["nearest"][0]["model"] == "LLaMA-1-7B"
    assert "laws" not in alone
    coarse = run(*asked, "--group-size", "128")
    assert coarse["qid"] / found["qid"] == pytest.approx(coarse["group_factor"])
    words = CliRunner().invoke(app, asked).stdout
    for expected in ("perplexity times", "band of", "typically misses by", "measured by others: LLaMA-1-7B"):
        assert expected in words


def test_a_perplexity_beyond_floats_is_said_in_words():
    done = CliRunner().invoke(app, ["predict", *SMALL, "--group-size", "1e300"], catch_exceptions=False)
    assert done.exit_code == 0
    assert (
        "perplexity times more than a float holds (more than a float holds to more than a float holds)" in done.stdout
    )
