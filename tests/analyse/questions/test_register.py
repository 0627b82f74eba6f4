"""The register of predictions: what goes in, what is measured later, and what is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits import answers
from helpers.analyse.fits.stored import read_fits
from helpers.analyse.questions.register import (
    OPEN,
    Ahead,
    Prediction,
    added,
    outcomes_of,
    predictions_of,
    read_register,
    reopened,
    scores,
    settled,
    write_register,
)
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.outcomes import KL
from helpers.table import files
from helpers.table.errors import AnalysisError, ResultsError, SpecError

ROOT = Path(__file__).parents[3]
COMMIT = "0123456789" * 4
N_PARAMS, TOKENS = 14_196_480, 488_243_200
ENTRY = Prediction(
    "2026-11-30", COMMIT, "power", "tadpole-trunk/tadpole-384x8", N_PARAMS, TOKENS, 3,
    "gptq, asymmetric groups of 32", "wheels-heldout", 0.03, 0.02, 0.05, 0.9,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def measurements() -> pd.DataFrame:
    table = files.read_table(ROOT / "results/measurements.parquet").to_pandas()
    return table[(table["family"] == "tadpole-trunk") & (table["model"] == "tadpole-384x8")]


def written(tmp_path: Path, contents: object) -> Path:
    path = tmp_path / "register.json"
    path.write_text(contents if isinstance(contents, str) else json.dumps(contents))
    return path


def test_a_prediction_is_what_the_law_answers():
    fits, ahead = read_fits(), Ahead("a/b", N_PARAMS, (TOKENS, 2 * TOKENS))
    entries = predictions_of(fits, "steps", ahead, [2, 3], "2026-11-30", COMMIT)
    assert [(entry.tokens, entry.bits) for entry in entries] == [
        (TOKENS, 2), (TOKENS, 3), (2 * TOKENS, 2), (2 * TOKENS, 3),
    ]  # fmt: skip
    known = answers.fitted_law(fits, "steps")
    answer = answers.predict(known, {"tokens": TOKENS, "n_params": N_PARAMS, "bits": 3})
    entry = entries[1]
    assert (entry.predicted, entry.low, entry.high) == (answer.value, answer.low, answer.high)
    assert entry.low < entry.predicted < entry.high
    assert (entry.run, entry.law, entry.outcome, entry.level) == ("a/b", "steps", OPEN, 0.9)
    first = Ahead("a/b", N_PARAMS, (TOKENS,))
    (of_kl,) = predictions_of(read_fits(outcome=KL), "steps", first, [3], "2026-11-30", COMMIT)
    assert (entry.quantity, of_kl.quantity) == ("qid_nats", "kl_nats")
    assert of_kl.predicted != entry.predicted


@pytest.mark.parametrize("law", ["loss", "group-size", "learning-rate", "power-per-bit"])
def test_laws_that_need_more_than_size_tokens_and_bits_are_asked_too(law):
    (entry,) = predictions_of(read_fits(), law, Ahead("a/b", N_PARAMS, (TOKENS,)), [4], "2026-11-30", COMMIT)
    assert 0.001 < entry.predicted < 0.1


def test_a_register_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "register.json"
    assert read_register(path) == []
    entries = [ENTRY, dataclasses.replace(ENTRY, bits=4, low=None, high=None), dataclasses.replace(ENTRY, bits=2)]
    entries[2] = dataclasses.replace(entries[2], outcome=0.25)
    write_register(entries, path)
    assert read_register(path) == entries
    assert len(path.read_text().splitlines()) == 6  # two brackets, the entries, their checksum


def test_open_entries_are_made_anew_and_settled_ones_are_not():
    again = dataclasses.replace(ENTRY, predicted=0.04, date="2026-12-01")
    other = dataclasses.replace(ENTRY, law="steps")
    assert added([ENTRY, other], [again]) == [other, again]
    known = dataclasses.replace(ENTRY, outcome=0.031)
    with pytest.raises(
        AnalysisError, match=r"power on tadpole-trunk/.* 3 bits was measured: 0\.031; accepted: .* open"
    ):
        added([known], [again])


@pytest.mark.parametrize(("outcome", "hit"), [(0.03, True), (0.019, False), (0.051, False), (OPEN, None)])
def test_a_hit_lies_in_the_interval(outcome, hit):
    assert dataclasses.replace(ENTRY, outcome=outcome).hit is hit
    assert dataclasses.replace(ENTRY, outcome=outcome, low=None).hit is None


def test_outcomes_are_the_measured_qid(measurements):
    """Worked out from the two rows: the rounded model's loss less the 16-bit one's."""
    other_run, known = dataclasses.replace(ENTRY, run="a/b"), dataclasses.replace(ENTRY, bits=2, outcome=1.0)
    other_size = dataclasses.replace(ENTRY, bits=4, n_params=N_PARAMS + 1)
    first, *rest = settled([ENTRY, other_run, known, other_size], measurements)
    rows = degradation(measurements[measurements["eval_dataset"] == "wheels-heldout"])
    (qid,) = rows.loc[
        (rows["run"] == "tadpole-384x8")
        & (rows["tokens_seen"] == TOKENS)
        & (rows["bits"] == 3)
        & (rows["method"] == "gptq")
        & (rows["group_size"] == 32)
        & (rows["calib_seed"] == 0)
        & (rows["n_sequences"] == 512),
        "qid_nats",
    ]
    assert first.outcome == qid
    assert np.isfinite(qid)
    assert rest == [other_run, known, other_size]
    assert settled([other_run], measurements) == [other_run]


def test_a_question_about_another_text_group_or_quantity_has_the_outcome_of_that(measurements):
    """KL as the row has it, rows of other groups, and unseen packages: each from its own row."""
    fine, kl = (dataclasses.replace(ENTRY, **change) for change in ({}, {"quantity": "kl_nats"}))
    unseen = dataclasses.replace(ENTRY, text="wheels-unseen")
    coarse = dataclasses.replace(ENTRY, scheme="gptq, asymmetric groups of 128")
    outcomes = [entry.outcome for entry in settled([fine, kl, unseen, coarse], measurements)]
    rows = measurements.query(
        "method == 'gptq' and bits == 3 and tokens_seen == @TOKENS and calib_seed == 0 and n_sequences == 512"
        " and run == 'tadpole-384x8' and symmetric == False"
    )
    (row,) = rows.query("group_size == 32 and eval_dataset == 'wheels-heldout'").itertuples()
    assert outcomes[1] == row.kl_nats
    for outcome, asked in (
        (outcomes[2], "group_size == 32 and eval_dataset == 'wheels-unseen'"),
        (outcomes[3], "group_size == 128 and eval_dataset == 'wheels-heldout'"),
    ):
        if len(rows.query(asked)):
            assert outcome not in (OPEN, outcomes[0])
        else:
            assert outcome == OPEN


def test_a_model_from_outside_is_settled_by_its_first_sweep_where_two_have_a_row(measurements):
    """Rows of the trunk under another family's name, as of two cores in windows of 64 tokens and as of a GPU."""
    outside = measurements.assign(family="smollm2-wheel")
    entry = dataclasses.replace(ENTRY, run="smollm2-wheel/tadpole-384x8")
    of_pocket = outside.assign(device_type="cpu", seq_len=64).query("n_sequences == 512").assign(n_sequences=128)
    (settled_entry,) = settled([entry], of_pocket)
    (on_trunk,) = settled([ENTRY], measurements)
    assert settled_entry.outcome == on_trunk.outcome != OPEN
    lower = of_pocket["loss_nats"].where(of_pocket["method"] == "none", of_pocket["loss_nats"] - 0.01)
    on_gpu = of_pocket.assign(device_type="cuda", seq_len=512, loss_nats=lower, eval_id=of_pocket["eval_id"] + " long")
    (of_gpu,) = settled([entry], on_gpu)
    (of_both,) = settled([entry], pd.concat([on_gpu, of_pocket]))
    assert of_gpu.outcome == pytest.approx(settled_entry.outcome - 0.01)
    assert of_both == settled_entry
    assert reopened([of_both]) == [entry]
    assert settled([entry], of_pocket.assign(seq_len=2048)) == [entry]
    assert settled([entry], of_pocket.assign(family="elsewhere")) == [entry]


def test_outcomes_are_scored_by_law():
    """By hand: ln 2 and 0 of one law are a typical miss of e to the root of (ln 2)^2 / 2; an outcome below 0 has none."""
    settled_entry = dataclasses.replace(ENTRY, predicted=0.06, outcome=0.03)
    entries = [
        settled_entry,
        dataclasses.replace(settled_entry, bits=4, predicted=0.03),
        dataclasses.replace(settled_entry, bits=2, outcome=-0.001),
        dataclasses.replace(settled_entry, law="band", low=None, high=None, predicted=0.03),
        dataclasses.replace(ENTRY, law="steps"),  # open
        dataclasses.replace(settled_entry, run="a/b"),
    ]
    table = outcomes_of(entries, ENTRY.run)
    assert list(table["law"]) == ["power"] * 3 + ["band"]
    assert list(table["hit"]) == [True, True, False, None]
    score = scores(table)
    assert list(score.index) == ["band", "power"]
    assert score.loc["power", ["predictions", "intervals", "hold"]].tolist() == [3, 3, 2]
    assert score.loc["band", ["predictions", "intervals", "hold"]].tolist() == [1, 0, 0]
    assert score.loc["power", "miss"] == pytest.approx(np.exp(np.log(2) / np.sqrt(2)))
    with pytest.raises(AnalysisError, match=r"no prediction about c/d has an outcome; `qid settle`"):
        outcomes_of(entries, "c/d")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("{", r"register\.json: not a register of predictions"),
        ({}, r"register\.json: not a register of predictions \(.* where a list is expected\)"),
        ([3], r"entry 1: 3 where a mapping is expected"),
        ([{"date": "now"}], r"entry 1: missing key 'commit'"),
        ([dataclasses.asdict(ENTRY) | {"date": "now"}], r"entry 1: 'date' is .*now.*; accepted: YYYY-MM-DD"),
        ([dataclasses.asdict(ENTRY) | {"commit": "abc"}], r"entry 1: 'commit' is .*; accepted: 40 hexadecimal digits"),
        ([dataclasses.asdict(ENTRY) | {"outcome": "hit"}], r"'outcome' is .*hit.*; accepted: a number, or \"open\""),
        ([dataclasses.asdict(ENTRY) | {"outcome": True}], r"'outcome' is .*; accepted: float or str"),
        ([dataclasses.asdict(ENTRY) | {"predicted": 0}], r"'predicted' is 0; accepted: more than 0"),
        ([dataclasses.asdict(ENTRY) | {"quantity": "ppl"}], r"'quantity' is 'ppl'; accepted: qid_nats, kl_nats"),
        ([dataclasses.asdict(ENTRY) | {"level": 0}], r"'level' is 0; accepted: more than 0, up to 1"),
        ([dataclasses.asdict(ENTRY) | {"verdict": 1}], r"unknown key 'verdict'"),
        ([dataclasses.asdict(ENTRY)] * 2, r"entry 2: power on .*, 3 bits is there twice; accepted: once"),
    ],
)
def test_what_is_no_register_is_one_line(tmp_path, contents, message):
    with pytest.raises(ResultsError, match=message) as caught:
        read_register(written(tmp_path, contents))
    assert "\n" not in str(caught.value)


def test_the_projects_register_can_be_read():
    register = read_register()
    assert register
    assert {entry.run for entry in register} >= {
        "tadpole-ninth/tadpole-512x12-seed1", "tadpole-ninth-rate/tadpole-512x12-lr0.001",
    }  # fmt: skip


def test_a_changed_number_is_seen_and_a_register_without_checksum_is_older(tmp_path):
    path = tmp_path / "register.json"
    write_register([ENTRY, dataclasses.replace(ENTRY, law="steps")], path)
    whole = path.read_text()
    assert read_register(path) == [ENTRY, dataclasses.replace(ENTRY, law="steps")]
    for damaged in (whole.replace("0.03", "0.02", 1), whole.replace("steps", "stepz")):
        path.write_text(damaged)
        with pytest.raises(ResultsError, match="damaged, its 'checksum' is '[0-9a-f]{16}'"):
            read_register(path)
    path.write_text(whole.replace("checksum", "checksun"))
    with pytest.raises(ResultsError, match="entry 3: unknown key 'checksun'"):
        read_register(path)
    path.write_text("[" + json.dumps(dataclasses.asdict(ENTRY)) + "]")
    assert read_register(path) == [ENTRY]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low": 0.06}, "'low' is 0.06; accepted: at most 'high', 0.05"),
        ({"run": "../x"}, "'run' is '..'; accepted: a name without /"),
        ({"run": "a/\x1b[31m"}, r"'run' is .*; accepted: a name without /"),
        ({"law": "\x1b]0;x"}, "'law' is .*; accepted: no control characters"),
    ],
)
def test_an_entry_that_no_law_makes_is_refused(change, said):
    with pytest.raises(SpecError, match=said):
        dataclasses.replace(ENTRY, **change)
