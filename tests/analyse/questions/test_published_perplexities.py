"""Printed perplexities: sizes, units, what is printed twice, and laws beside them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.laws.forms import GroupSizeLaw, LossLaw
from helpers.analyse.laws.loss import ChainedLaw
from helpers.analyse.laws.published import OUYANG_2024, OUYANG_2024_LOSS, OUYANG_2024_TABLE_1
from helpers.analyse.questions.published_perplexities import (
    BROKEN,
    SHAPES,
    exponents,
    external_points,
    one_a_setting,
    over_laws,
    printed_twice,
)
from helpers.table.errors import AnalysisError

PRINTED = pd.read_csv(Path(__file__).parents[3] / "data" / "published" / "published_perplexities.csv")


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    return external_points(PRINTED)


def test_sizes_are_the_names_less_the_embeddings():
    nominal = PRINTED.drop_duplicates("model").set_index("model")["n_params"]
    vocabulary = {"OPT": 50272, "LLaMA": 32000}
    for name, shape in SHAPES.items():
        kind = name.split("-")[0]
        # OPT ties input and output embeddings and learns 2050 positions; LLaMA has two embeddings and no positions
        embeddings = (vocabulary[kind] + 2050 if kind == "OPT" else 2 * vocabulary[kind]) * shape.d_model
        total = shape.n_params_non_embedding + embeddings
        assert total == pytest.approx(nominal[name], rel=0.09), name  # 30B stands for 32.5B


def test_qid_is_in_nats(points):
    row = points.query("model == 'LLaMA-1-7B' and method == 'GPTQ' and bits == 3 and group_size == '128'").iloc[0]
    assert row["qid_nats"] == pytest.approx(np.log(row["ppl_quant"] / row["ppl_fp16"]))
    assert row["tokens_seen"] == 1e12
    assert row["n_params_non_embedding"] == 32 * (4 * 4096**2 + 3 * 4096 * 11008)


def test_words_and_broken_models_are_told_apart(points):
    assert set(points.loc[points["per_word"], "family"]) == {"spectra"}
    assert not (points["family"] == "spectra")[~points["per_word"]].any()
    broken = points[points["broken"]]
    assert len(broken) == len(BROKEN) == 1
    others = points[(points["family"] == "spectra") & (points["bits"] == 4) & ~points["broken"]]
    assert broken["qid_nats"].iloc[0] > 10 * others["qid_nats"].max()


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("model", "OPT-1T", "'model' with no known size"),
        ("ppl_quant", 0.5, "a perplexity that isn't above one"),
        ("ppl_fp16", np.nan, "a perplexity that isn't above one"),
    ],
)
def test_rows_that_cannot_be_used_are_named(column, value, complaint):
    rows = PRINTED[PRINTED["family"] == "opt"].copy()
    rows.loc[rows.index[3], column] = value
    with pytest.raises(AnalysisError, match=f"row {rows.index[3]}: {complaint}"):
        external_points(rows)


def test_a_setting_of_two_sources_is_kept_once(points):
    kept, twice = one_a_setting(points), printed_twice(points)
    setting = ["model", "method", "bits", "group_size", "dataset"]
    assert not kept.duplicated(setting).any()
    assert len(kept) == len(points.drop_duplicates(setting))
    assert not kept["source"].str.contains("README").any()  # the other source has them all
    assert (twice["ratio"] >= 1).all()
    assert set(twice["model"]) == {"LLaMA-1-7B", "LLaMA-1-13B", "LLaMA-1-30B", "LLaMA-1-65B"}


def made(law, groups=(64, 128)) -> pd.DataFrame:
    rows = pd.DataFrame(
        {"tokens_seen": 1.8e11, "n_params_non_embedding": [1e8, 1e9, 1e10] * 2, "bits": [3] * 3 + [4] * 3}
    )
    rows = rows.merge(pd.DataFrame({"group_size": groups}), how="cross")
    more = {"group_size": rows["group_size"]} if "group_size" in law.needs() else {}
    said = law.predict(rows["tokens_seen"], rows["n_params_non_embedding"], rows["bits"], **more)
    return rows.assign(qid_nats=2 * said)


def test_laws_speak_of_what_they_can():
    grouped = GroupSizeLaw(1.0, 0.4, 0.3, 5.0, 0.2, source="planted", validity=OUYANG_2024.validity)
    laws = {
        "unified": OUYANG_2024,
        "table": OUYANG_2024_TABLE_1,
        "groups": grouped,
        "3 bits": {3: OUYANG_2024_TABLE_1[3]},
    }
    found = over_laws(made(grouped), laws)
    assert list(found["law"].unique()) == list(laws)
    np.testing.assert_allclose(found.loc[found["law"] == "groups", "ratio"], 2)
    assert set(found.loc[found["law"] == "3 bits", "bits"]) == {3}
    np.testing.assert_allclose(over_laws(made(OUYANG_2024), {"unified": OUYANG_2024})["ratio"], 2)
    loss = LossLaw(0.05, 0.4, 0.3, 1.9, 0.9, source="planted", validity=OUYANG_2024.validity)
    chained = ChainedLaw(loss, OUYANG_2024_LOSS)
    rows = made(OUYANG_2024)
    said = chained.predict(rows["tokens_seen"], rows["n_params_non_embedding"], rows["bits"])
    np.testing.assert_allclose(over_laws(rows, {"chained": chained})["predicted_nats"], said)
    with pytest.raises(AnalysisError, match="none of two can say anything"):
        over_laws(made(OUYANG_2024), {"two": {2: OUYANG_2024_TABLE_1[2]}})


def test_planted_exponents_come_back_with_an_interval():
    rows = made(OUYANG_2024)
    rows = rows.assign(qid_nats=rows["qid_nats"] * np.exp(0.01 * np.random.default_rng(0).normal(size=len(rows))))
    found = exponents(rows, "n_params_non_embedding", ["bits", "group_size"])
    assert len(found) == 4
    # one percent of scatter over a factor of 100 in size: 0.01 * sqrt(2) / ln 100 = 0.003
    np.testing.assert_allclose(found["exponent"], -OUYANG_2024.alpha, atol=0.015)
    assert (found["low"] < found["exponent"]).all()
    assert (found["n_points"] == 3).all()
    assert exponents(rows, "tokens_seen", ["bits"]).empty
    with pytest.raises(AnalysisError, match="positive"):
        exponents(rows.assign(qid_nats=0.0), "n_params_non_embedding", ["bits"])
