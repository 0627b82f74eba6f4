"""Tables that chapters show."""

from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitStatus
from helpers.analyse.fits.paired import fit_pair
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.published import OUYANG_2024
from helpers.analyse.questions.twins import qid_ratio
from helpers.analyse.rows.resampling import document_counts
from helpers.show.tables import (
    agreement_table,
    differences_table,
    fits_table,
    kept_table,
    ratio_table,
    twins_table,
    ways_table,
)


def test_fits_table_says_what_there_is(fits):
    shown = fits_table(fits, {"published": OUYANG_2024})
    assert shown.index.tolist() == ["all\u202fbits", "2\u202fbits", "two\u202fruns", "published"]
    one = fits["all bits"].estimate("beta")
    assert shown.iloc[0]["β"].replace("\u202f", " ") == f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"
    assert shown.iloc[1]["γ"] == ""
    assert "[" not in shown.iloc[2]["α"]
    assert shown.loc["published", "α"] == "0.23"


def test_fits_table_names_a_fit_at_a_bound_and_no_status(fits):
    at_bound = replace(fits["2 bits"], status=FitStatus.BOUND_HIT)
    shown = fits_table({"at": at_bound, "free": fits["2 bits"]})
    assert [label.replace("\u202f", " ") for label in shown.index] == ["at, at a bound", "free"]
    assert shown.columns.tolist() == ["β", "α", "γ", "τ", "rows"]


def test_agreement_table_has_a_row_a_checkpoint(agreement):
    shown = agreement_table(agreement)
    assert shown.shape == (12, 3)
    assert shown.columns.tolist() == ["2 bits", "3 bits", "4 bits"]
    tokens = [label for _, label in shown.index][:4]
    assert tokens == ["50M", "100M", "200M", "400M"]
    same = agreement_table(agreement.assign(difference_nats=1e-6))
    assert same["2 bits"].str.endswith("same").all()


def test_agreement_table_keeps_a_branch_beside_its_trunk(agreement):
    """Both stand at the same tokens of the same model; only the run tells them apart."""
    branch = agreement[agreement["step"] == 400].assign(run="branch", run_label="tadpole/branch")
    shown = agreement_table(pd.concat([agreement, branch]))
    assert shown.shape == (15, 3)
    assert ("branch", "400M") in shown.index


def test_ratio_table_gives_median_and_quantiles(table):
    gptq = table[table["method"] == "gptq"]
    assert ratio_table({"itself": qid_ratio(gptq, gptq)}).loc["itself", "3 bits"] == "1.00 (1.00 to 1.00)"


def test_ways_table_has_a_row_a_way_the_best_first():
    rows = [("RTN", 2.0, 2.0), ("RTN", 3.0, 1.5), ("NF4", 3.0, 0.5)]
    ratios = pd.DataFrame(rows, columns=["way", "bits", "ratio"]).assign(low=0.25, high=4.0)
    shown = ways_table(ratios)
    assert shown.index.tolist() == ["NF4", "RTN"]
    assert shown.loc["RTN", "2 bits"].replace("\u202f", " ") == "2.00 [0.25, 4.00]"
    assert shown.loc["NF4", "2 bits"] == ""


def test_kept_table_goes_by_way_and_stored_bits():
    rows = [("GWQ", "3 bits", 3.95, 0.5), ("CMPQ", "mean 3 bits", 3.5, np.nan), ("GWQ", "2 bits", 2.9, -0.25)]
    summary = pd.DataFrame(rows, columns=["way", "setting", "stored_bits", "size"])
    shown = kept_table(
        summary.assign(n_models=8, ratio=2.0, low=0.5, high=8.0, size_low=-1, size_high=1)
        .assign(tokens=0.0, tokens_low=0.0, tokens_high=0.125)
        .reset_index(drop=True)
    ).map(lambda cell: cell.replace("\u202f", " "))
    assert [way for way, _ in shown.index] == ["CMPQ", "GWQ", "GWQ"]
    assert shown["stored bits"].tolist() == ["3.50", "2.90", "3.95"]
    assert shown["slope in ln N"].tolist() == ["", "−0.25 [−1.00, 1.00]", "0.50 [−1.00, 1.00]"]
    assert shown.iloc[0][["sizes", "ratio", "slope in ln D"]].tolist() == [
        "8",
        "2.00 [0.50, 8.00]",
        "0.00 [0.00, 0.12]",
    ]


def test_twins_table_has_counts_and_the_loss_beside_the_ratios():
    rows = [("averaged", 2.0, 0.8), ("averaged", 3.0, 0.9), ("deeper", 2.0, 1.5), ("deeper", 3.0, 1.25)]
    ratios = pd.DataFrame(rows, columns=["way", "bits", "ratio"]).assign(low=0.5, high=2.0, n_runs=2, n_checkpoints=7)
    shown = twins_table(ratios.assign(loss_change_nats=-0.0123, loss_change_se_nats=0.001))
    assert shown.index.tolist() == ["deeper", "averaged"]
    assert shown.columns.tolist() == ["runs", "checkpoints", "2 bits", "3 bits", "16-bit loss"]
    assert shown.loc["deeper"].str.replace("\u202f", " ").tolist()[:3] == ["2", "7", "1.50 [0.50, 2.00]"]
    assert shown.loc["averaged", "16-bit loss"].replace("\u202f", " ") == "−0.012 ± 0.001"


def test_differences_say_by_how_much_and_leave_out_what_a_law_does_not_have(table):
    gptq, rtn = (table[table["method"] == method] for method in ("gptq", "rtn"))
    drawn = (document_counts(64, np.random.default_rng(1), n_draws=10),) * 2
    three = [one[one["bits"] == 3] for one in (gptq, rtn)]
    pairs = {"RTN − GPTQ": fit_pair(UnifiedLaw, gptq, rtn, drawn), "3 bits": fit_pair(OneBitWidthLaw, *three, drawn)}
    shown = differences_table(pairs)
    assert shown.loc["3\u202fbits", "γ"] == ""
    assert shown["rows"].to_list() == ["36", "12"]
    row = pairs["RTN − GPTQ"].differences.loc["beta"]
    cell = shown.loc["RTN\u202f−\u202fGPTQ", "β"].replace("−", "-").replace("\u202f", " ")
    assert cell == f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
