import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.ways import (
    at_effective_bits,
    at_own_effective_bits,
    between_texts,
    orders,
    ratios_to,
    text_losses,
    text_ratios,
    way_of_rounding,
    with_calibration_scatter,
)
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.resampling import document_counts, resampled_log_qid
from helpers.table.errors import AnalysisError

DOCUMENTS = np.linspace(0.5, 1.5, 40)  # one model's QiD on each document, before the factors below


def _rows(factors: dict[str, float], text: str = "held-out", n_checkpoints: int = 3, bits: float = 4) -> pd.DataFrame:
    """One row for each way and checkpoint: QiD is the way's factor times the checkpoint's number, on every document."""
    return pd.DataFrame(
        {
            "way": way,
            "bits": bits,
            "effective_bits": bits + 0.5,
            "checkpoint_id": f"checkpoint {number}",
            "model": "tadpole",
            "step": number,
            "run_label": f"run {number}",
            "eval_id": text,
            "n_tokens": 1000,
            "n_bytes": 2000,
            "qid_nats": factor * number,
            "document_qid_nats": factor * number * DOCUMENTS,
        }
        for way, factor in factors.items()
        for number in range(1, n_checkpoints + 1)
    )


@pytest.fixture
def counts():
    return document_counts(40, np.random.default_rng(3), n_draws=500)


def test_ways_have_names_for_people():
    plain = {"method": "gptq", "format": "int", "bits": 3, "group_size": 32, "symmetric": False}
    plain |= {"order": "given", "grid_search": "minmax"}
    changes = [
        ({}, "GPTQ"),
        ({"symmetric": True}, "GPTQ, symmetric"),
        ({"order": "activation"}, "GPTQ, activation order"),
        ({"grid_search": "mse", "group_size": 64}, "GPTQ, group 64, least-squares grid"),
        ({"group_size": None}, "GPTQ, one group a row"),
        ({"method": "rtn"}, "RTN"),
        ({"method": "rtn", "format": "mxfp", "bits": 4, "symmetric": True}, "MXFP4"),
        ({"method": "nf4", "format": "nf4", "bits": 4, "symmetric": True}, "NF4"),
    ]
    table = pd.DataFrame([plain | change for change, _ in changes])
    assert way_of_rounding(table).tolist() == [name for _, name in changes]


def test_documents_of_a_package_are_drawn_together():
    groups = ["a", "a", "b", "c", "c", "c"]
    counts = document_counts(6, np.random.default_rng(5), groups, n_draws=200)
    assert counts.shape == (6, 200)
    np.testing.assert_array_equal(counts[0], counts[1])
    np.testing.assert_array_equal(counts[3], counts[5])
    np.testing.assert_array_equal(counts[0] + counts[2] + counts[3], 3)
    with pytest.raises(AnalysisError, match="2 packages for 6 documents"):
        document_counts(6, np.random.default_rng(5), ["a", "b"])


def test_ratios_are_geometric_means_and_pairing_leaves_no_error(counts):
    """A way that is a fixed factor worse on every document has that ratio on every draw."""
    table = _rows({"GPTQ": 0.1, "RTN": 0.2, "AWQ": 0.05})
    ratios = ratios_to(table, "GPTQ", counts).set_index("way")
    assert ratios.loc["RTN", "ratio"] == pytest.approx(2.0)
    assert ratios.loc["RTN", ["low", "high"]].tolist() == pytest.approx([2.0, 2.0])
    assert ratios.loc["RTN", ["n_checkpoints", "n_runs", "n_above"]].tolist() == [3, 3, 3]
    assert ratios.loc["AWQ", "ratio"] == pytest.approx(0.5)
    assert ratios.loc["AWQ", "n_above"] == 0


def test_the_interval_is_that_of_resampled_documents():
    """Two ways with independent documents: sd of ln ratio is that of a ratio of two means, by the delta method."""
    generator = np.random.default_rng(8)
    one, two = generator.normal(1.0, 0.3, 400), generator.normal(1.0, 0.2, 400)
    table = _rows({"GPTQ": 1.0, "RTN": 1.0}, n_checkpoints=1)
    table["document_qid_nats"] = pd.Series([one, two])
    table["qid_nats"] = [one.mean(), two.mean()]
    ratio = ratios_to(table, "GPTQ", document_counts(400, generator)).iloc[0]
    expected = np.sqrt((0.3**2 + 0.2**2) / 400)
    assert ratio["log_se"] == pytest.approx(expected, rel=0.15)  # the sample's own sd is good to a few percent
    assert np.log(ratio["high"] / ratio["low"]) == pytest.approx(2 * 1.96 * expected, rel=0.15)


def test_ratios_show_single_runs(counts):
    table = _rows({"GPTQ": 0.1, "RTN": 0.2})
    worse = (table["way"] == "RTN") & (table["run_label"] == "run 3")
    table.loc[worse, "qid_nats"] *= 8
    table.loc[worse, "document_qid_nats"] = table.loc[worse, "document_qid_nats"].map(lambda one: one * 8)
    ratio = ratios_to(table, "GPTQ", counts).iloc[0]
    assert ratio["ratio"] == pytest.approx(4.0)  # 2, 2, 16
    assert ratio[["run_lowest", "run_highest"]].tolist() == pytest.approx([2.0, 16.0])


def test_ratios_refuse_what_they_cannot_mean(counts):
    table = _rows({"GPTQ": 0.1, "RTN": 0.2})
    with pytest.raises(AnalysisError, match="isn't there once"):
        ratios_to(table, "AWQ", counts)
    with pytest.raises(AnalysisError, match="one evaluation at a time"):
        ratios_to(pd.concat([table, _rows({"GPTQ": 0.1}, "unseen")]), "GPTQ", counts)
    below = table.assign(document_qid_nats=table["document_qid_nats"].map(lambda one: one - 1.0))
    with pytest.raises(AnalysisError, match="isn't positive"):
        resampled_log_qid(below, counts)


def test_calibration_widens_an_interval(counts):
    ratios = ratios_to(_rows({"GPTQ": 0.1, "RTN": 0.104, "AWQ": 0.2}), "GPTQ", counts)
    spread = pd.DataFrame({"relative_sd": [0.03]}, index=pd.Index([4.0], name="bits"))
    wide = with_calibration_scatter(ratios, spread, 0.95).set_index("way")
    half = 1.96 * 0.03 * np.sqrt(2 / 3)
    assert wide.loc["RTN", "wide_high"] == pytest.approx(1.04 * np.exp(half), rel=1e-3)
    assert wide["clear"].to_dict() == {"RTN": False, "AWQ": True}


def test_equal_effective_bits_are_read_off_straight_lines(counts):
    """ln QiD falls by ln 10 a bit; a way half a bit cheaper at the same QiD is sqrt(10) better at equal bits."""
    lines = []
    for bits, qid in ((2, 1.0), (3, 0.1), (4, 0.01)):
        rows = _rows({"GPTQ": qid, "GPTQ, group 128": qid}, bits=bits)
        cheap = rows["way"] == "GPTQ, group 128"
        lines.append(rows.assign(effective_bits=rows["effective_bits"] - 0.5 * cheap))
    table = pd.concat([*lines, _rows({"NF4": 0.01}).assign(effective_bits=5.0)])
    ratios = at_effective_bits(table, "GPTQ", [2.2, 3.0, 5.0], counts)
    assert ratios["way"].tolist() == ["GPTQ, group 128"]  # 2.2 is below the reference, 5 above it
    assert ratios["bits"].tolist() == [3.0]
    assert ratios["ratio"].iloc[0] == pytest.approx(10**-0.5)


def test_a_way_is_compared_at_its_own_effective_bits():
    """The same lines: 0.3 bits cheaper at the same QiD is 10 ** -0.3 of the reference's at equal bits."""
    fine = pd.concat([_rows({"GPTQ": qid}, bits=bits) for bits, qid in ((2, 1.0), (3, 0.1), (4, 0.01))])
    coarse = _rows({"GPTQ, group 128": 0.1}, bits=3).assign(effective_bits=3.2)
    ratios = at_own_effective_bits(coarse, fine.sample(frac=1, random_state=1))  # the order of rows is no matter
    np.testing.assert_allclose(ratios["ratio"], 10**-0.3)
    assert ratios["checkpoint_id"].tolist() == coarse["checkpoint_id"].tolist()
    with pytest.raises(AnalysisError, match="3 rows have effective bits beyond"):
        at_own_effective_bits(coarse.assign(effective_bits=5.0), fine)
    with pytest.raises(AnalysisError, match="lacks the reference"):
        at_own_effective_bits(coarse, fine[fine["checkpoint_id"] != "checkpoint 2"])


def test_two_texts_are_compared_as_independent_sets_of_documents():
    generator = np.random.default_rng(13)
    first = _rows({"GPTQ": 0.1, "RTN": 0.2})
    second = _rows({"GPTQ": 0.15, "RTN": 0.3}, "unseen").assign(n_bytes=1000)
    counts = (document_counts(40, generator), document_counts(40, generator))
    ratios = text_ratios(first, second, counts, ["bits"])
    assert ratios["ratio"].iloc[0] == pytest.approx(1.5)
    assert ratios["n_rows"].iloc[0] == 6
    assert ratios["n_checkpoints"].iloc[0] == 3
    # every row has the same documents: sd of ln of one text's mean, twice
    expected = np.sqrt(2 * DOCUMENTS.var() / 40)
    assert ratios["log_se"].iloc[0] == pytest.approx(expected, rel=0.1)
    both, draws = between_texts(first, second, counts)
    np.testing.assert_allclose(both["ratio"], 1.5)
    np.testing.assert_allclose(both["density"], 2.0)  # tokens a byte
    assert draws.shape == (6, counts[0].shape[1])
    with pytest.raises(AnalysisError, match="same ways of rounding"):
        text_ratios(first, second.iloc[1:], counts)


def test_losses_on_two_texts_have_the_error_of_two_sets_of_documents():
    base = {"checkpoint_id": "one", "model": "tadpole", "tokens_seen": 64e6}
    first = pd.DataFrame([base | {"loss_nats": 2.0, "group_loss": np.array([1.0, 3.0, 1.0, 3.0])}])
    second = pd.DataFrame([base | {"loss_nats": 2.5, "group_loss": np.array([2.0, 3.0, 2.0, 3.0])}])
    losses = text_losses(first, second, (["a", "b", "c", "d"], ["a", "b", "c", "d"])).iloc[0]
    assert losses["difference_nats"] == pytest.approx(0.5)
    assert losses["difference_se_nats"] == pytest.approx(np.hypot(1.0, 0.5) / np.sqrt(3))


def test_orders_find_the_pair_that_swaps(counts):
    first = _rows({"GPTQ": 0.1, "RTN": 0.2, "AWQ": 0.15})
    second = _rows({"GPTQ": 0.1, "RTN": 0.2, "AWQ": 0.25}, "unseen")
    pairs = orders(first, second, (counts, counts))
    assert len(pairs) == 3
    swapped = pairs[pairs["swapped"]].iloc[0]
    assert {swapped["way"], swapped["other"]} == {"AWQ", "RTN"}
    assert swapped["ratio_first"] == pytest.approx(0.75)
    assert swapped["ratio_second"] == pytest.approx(1.25)
    assert pairs["clear_first"].all()


def _with_kl(table: pd.DataFrame, power: float) -> pd.DataFrame:
    """KL is this power of QiD, so that ratios of KL are those of QiD to it."""
    return table.assign(kl_nats=table["qid_nats"] ** power)


def test_ratios_of_kl_are_of_kl_and_know_nothing_of_documents(counts):
    """Twice the QiD is four times the KL; at equal bits likewise, and on another text."""
    table = _with_kl(_rows({"GPTQ": 0.1, "RTN": 0.2}), 2)
    ratio = ratios_to(table, "GPTQ", counts, outcome=KL).iloc[0]
    assert ratio["ratio"] == pytest.approx(4.0)
    assert ratio["run_highest"] == pytest.approx(4.0)
    assert ratio[["low", "high", "log_se"]].isna().all()
    at = at_effective_bits(table, "GPTQ", [4.5], counts, outcome=KL).iloc[0]
    assert at["ratio"] == pytest.approx(4.0)
    assert np.isnan(at["low"])
    unseen = _with_kl(_rows({"GPTQ": 0.1, "RTN": 0.1}, "unseen"), 2)
    both, draws = between_texts(table, unseen, (counts, counts), KL)
    assert both.set_index("way").loc["RTN", "ratio"].tolist() == pytest.approx([0.25] * 3)
    assert np.isnan(draws).all()
    assert text_ratios(table, unseen, (counts, counts), outcome=KL)["ratio"].tolist() == pytest.approx([1.0, 0.25])


def test_lines_of_kl_are_read_at_equal_effective_bits():
    fine = pd.concat([_rows({"GPTQ": qid}, bits=bits) for bits, qid in ((2, 1.0), (3, 0.1), (4, 0.01))])
    coarse = _rows({"GPTQ, group 128": 0.1}, bits=3).assign(effective_bits=3.2)
    ratios = at_own_effective_bits(_with_kl(coarse, 2), _with_kl(fine, 2), KL)
    np.testing.assert_allclose(ratios["ratio"], 10**-0.6)


def test_orders_by_kl_may_swap_but_are_never_clear(counts):
    first, second = _rows({"GPTQ": 0.1, "RTN": 0.2}), _rows({"GPTQ": 0.1, "RTN": 0.2}, "unseen")
    pair = orders(_with_kl(first, 1), _with_kl(second, -1), (counts, counts), outcome=KL).iloc[0]
    assert pair["swapped"]
    assert not pair["clear_first"]
    assert not pair["clear_second"]
