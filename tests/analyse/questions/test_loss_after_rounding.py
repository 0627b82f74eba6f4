"""The loss after rounding on planted rows: who comes back exactly, which rows are held out, what an interval counts."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.laws.loss import ANY_BITS, ChinchillaLaw
from helpers.analyse.laws.variables import ValidityRange
from helpers.analyse.questions import loss_after_rounding as after
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN

EVERYWHERE = {"source": "planted", "validity": ValidityRange((1, np.inf), (1, np.inf), ANY_BITS)}
SIXTEEN = ChinchillaLaw(E=1.2, A=40.0, alpha=0.3, B=1e3, beta=0.4, **EVERYWHERE)


@pytest.fixture(scope="module")
def trunk() -> pd.DataFrame:
    """Nine sizes by ten moments at 3 and 4 bits; QiD is a power of D and N at each width."""
    grid = pd.MultiIndex.from_product([np.geomspace(1e5, 4e7, 9), np.geomspace(6e7, 1e9, 10), [3.0, 4.0]])
    table = grid.to_frame(index=False, name=[N_PARAMS, TOKENS_SEEN, "bits"])
    base = SIXTEEN.predict(table[TOKENS_SEEN], table[N_PARAMS])
    qid = 2e-3 * table[TOKENS_SEEN] ** 0.4 / table[N_PARAMS] ** 0.3 / (table["bits"] - 2) ** 2
    run = "run " + table[N_PARAMS].rank(method="dense").astype(int).astype(str)
    return table.assign(
        baseline_loss_nats=base, loss_nats=base + qid, qid_nats=qid, qid_se_nats=0.001 * qid, run_label=run
    )


def test_hold_outs_are_those_of_their_names(trunk):
    splits = after.loss_splits(trunk[trunk["bits"] == 3])
    assert {name: (len(one.training), len(one.held)) for name, one in splits.items()} == {
        "in sample": (90, 90),
        "largest size": (80, 10),
        "last factor 4 in D": (45, 45),
        "larger and later": (35, 10),
    }
    both = splits["larger and later"]
    assert both.training[N_PARAMS].max() < both.held[N_PARAMS].min()
    assert both.training[TOKENS_SEEN].max() < both.held[TOKENS_SEEN].min()
    assert both.held[N_PARAMS].nunique() == 2


def test_what_was_planted_in_parts_is_predicted_in_parts(trunk):
    table = after.misses(trunk, [3.0])
    exact = table[table["way"] == after.IN_PARTS]
    # 1e-3: the fits stop at 1e-12 of their sums of squares
    assert exact.groupby("hold_out")["miss"].apply(lambda one: one.abs().max()).lt(1e-3).all()
    assert set(table["way"]) == set(after.ways())
    outright = after.scores(table, np.random.default_rng(0)).set_index(["hold_out", "way"])["log_rms"]
    assert outright["last factor 4 in D", "kaplan-loss"] > 0.005  # QiD rises with D; these two forms can't
    assert outright["last factor 4 in D", "chinchilla"] > 5 * outright["last factor 4 in D", after.IN_PARTS]


def test_a_loss_that_has_chinchillas_form_after_rounding_is_found_outright(trunk):
    rounded = trunk.assign(loss_nats=1.1 * trunk["baseline_loss_nats"])
    table = after.misses(rounded, [4.0])
    assert table.loc[table["way"] == "chinchilla", "miss"].abs().max() < 1e-3


def scored(**misses: list[float]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"bits": 3.0, "hold_out": "h", "way": way, "run_label": list("aabbccdd"), "miss": miss})
        for way, miss in misses.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(reason="")


def test_scores_by_hand():
    table = scored(chinchilla=[0.1, -0.1] * 4, shannon=[0.3, -0.3, 0.1, 0.1, 0, 0, 0.2, -0.2])
    rows = after.scores(table, np.random.default_rng(0)).set_index("way")
    assert rows.loc["chinchilla", ["log_rms", "low", "high", "ratio"]].tolist() == pytest.approx([0.1, 0.1, 0.1, 1.0])
    rms = np.sqrt((2 * 0.09 + 2 * 0.01 + 2 * 0.04) / 8)
    assert rows.loc["shannon", ["log_rms", "ratio"]].tolist() == pytest.approx([rms, rms / 0.1])
    assert 0.05 < rows.loc["shannon", "low"] < rms < rows.loc["shannon", "high"] < 0.3
    assert rows.loc["shannon", "ratio_high"] == pytest.approx(rows.loc["shannon", "high"] / 0.1)
    assert (rows["n_rows"].tolist(), rows["n_runs"].tolist()) == ([8, 8], [4, 4])


def test_one_run_has_a_score_and_no_interval():
    table = scored(chinchilla=[0.1] * 8, shannon=[0.2] * 8).assign(run_label="a")
    rows = after.scores(table, np.random.default_rng(0)).set_index("way")
    assert rows.loc["shannon", "log_rms"] == pytest.approx(0.2)
    assert rows[["low", "high", "ratio_low", "ratio_high"]].isna().all(axis=None)


def test_a_way_that_can_not_be_fitted_says_why(trunk):
    few = trunk[trunk[N_PARAMS] > 2e7]
    table = after.misses(few, [3.0])
    failed = table[(table["way"] == "shannon") & (table["hold_out"] == "last factor 4 in D")]
    assert failed["miss"].isna().all()
    assert "ShannonLaw has 8 coefficients; " in failed["reason"].iloc[0]
    scores = after.scores(table, np.random.default_rng(0)).set_index(["hold_out", "way"])
    assert scores.loc[("last factor 4 in D", "shannon"), "reason"] == failed["reason"].iloc[0]
    assert np.isnan(scores.loc[("last factor 4 in D", "shannon"), "log_rms"])
