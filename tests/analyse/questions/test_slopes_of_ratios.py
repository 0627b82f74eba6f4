import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.analyse.fits.data import FitError
from helpers.analyse.questions.slopes_of_ratios import (
    compared,
    log_mean_and_slopes,
    size_and_tokens,
    texts_compared,
    trends_table,
)
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.resampling import document_counts


def _ratios(generator: np.random.Generator, slope: float = 0.1, by_run: float = 0.0) -> pd.DataFrame:
    """Eight sizes at six numbers of tokens: ln ratio is 0.5 + `slope` ln N - 0.05 ln D, a shift by run, and noise."""
    rows = []
    for index, size in enumerate(np.geomspace(1e5, 1e7, 8)):
        shift = generator.normal(0, by_run)
        for tokens in np.geomspace(6e7, 1e9, 6):
            log = 0.5 + slope * np.log(size / 1e6) - 0.05 * np.log(tokens / 2.4e8) + shift + generator.normal(0, 0.01)
            rows.append({"run_label": f"run {index}", N_PARAMS: size, TOKENS_SEEN: tokens, "ratio": np.exp(log)})
    return pd.DataFrame(rows)


def test_planted_slopes_come_back():
    trend = log_mean_and_slopes(_ratios(np.random.default_rng(1)), [N_PARAMS, TOKENS_SEEN])
    assert trend.index.tolist() == ["mean", N_PARAMS, TOKENS_SEEN]
    assert trend.loc[N_PARAMS, "value"] == pytest.approx(0.1, abs=0.005)  # noise of 0.01 on 48 rows: se 0.001
    assert trend.loc[TOKENS_SEEN, "value"] == pytest.approx(-0.05, abs=0.008)
    assert (trend["low"] < trend["value"]).all()
    assert (trend["value"] < trend["high"]).all()


def test_a_mean_alone_has_the_interval_of_the_runs_means():
    """Balanced runs: CR2 with a constant alone is the textbook interval of the mean of run means."""
    ratios = _ratios(np.random.default_rng(2), by_run=0.1)
    means = np.log(ratios["ratio"]).groupby(ratios["run_label"]).mean()
    half = stats.t.ppf(0.975, len(means) - 1) * means.std() / np.sqrt(len(means))
    expected = [means.mean(), means.mean() - half, means.mean() + half]
    assert log_mean_and_slopes(ratios, []).loc["mean"].tolist() == pytest.approx(expected)


def test_intervals_by_run_cover_where_runs_have_their_luck():
    """A slope in size with luck by run: 95% covers about as said; rows taken as independent would cover half of it."""
    inside = 0
    for seed in range(200):
        slope = log_mean_and_slopes(_ratios(np.random.default_rng(seed), by_run=0.1), [N_PARAMS, TOKENS_SEEN]).loc[
            N_PARAMS
        ]
        inside += slope["low"] < 0.1 < slope["high"]
    assert 0.90 <= inside / 200 <= 0.995  # a share of 200 has a standard error of 0.015


def test_draws_of_documents_widen_an_interval():
    generator = np.random.default_rng(4)
    ratios = _ratios(generator)
    common = np.repeat(generator.normal(0, 0.1, (1, 4000)), len(ratios), axis=0)  # all rows read the same documents
    alone, both = (log_mean_and_slopes(ratios, [TOKENS_SEEN], draws=draws) for draws in (None, common))
    np.testing.assert_allclose(both.loc[TOKENS_SEEN], alone.loc[TOKENS_SEEN])  # a common shift isn't a slope
    se = (both.loc["mean", "high"] - both.loc["mean", "value"]) / stats.t.ppf(0.975, 7)
    own = (alone.loc["mean", "high"] - alone.loc["mean", "value"]) / stats.t.ppf(0.975, 7)
    assert se == pytest.approx(np.hypot(own, 0.1), rel=0.05)  # 4000 draws know their sd to about 1%


def test_size_and_tokens_says_it_all_in_one_row():
    ratios = _ratios(np.random.default_rng(5))
    found = size_and_tokens(ratios)
    assert found["n_runs"] == 8
    assert found["smallest"] < found["ratio"] < found["largest"]
    assert found["ratio"] == pytest.approx(np.exp(np.log(ratios["ratio"]).mean()))
    assert found["size_low"] < 0.1 < found["size_high"]
    assert found["tokens_high"] < 0
    with pytest.raises(FitError, match="two runs or more"):
        size_and_tokens(ratios[ratios["run_label"] == "run 1"])


def _measured(qid: dict[tuple[str, float], float], text: str = "held-out", n_sizes: int = 4) -> pd.DataFrame:
    """Rows of `n_sizes` runs at three checkpoints: QiD by way and bits, the same on 40 documents; effective bits + 0.5."""
    generator = np.random.default_rng(7)
    return pd.DataFrame(
        {"way": way, "bits": bits, "effective_bits": bits + (0.1 if "row" in way or "group" in way else 0.5)}
        | {"run_label": f"run {size}", N_PARAMS: 10.0**size, TOKENS_SEEN: tokens, "checkpoint_id": f"{size}@{tokens}"}
        | {"eval_id": text, "device_type": "cuda", "n_tokens": 1000, "n_bytes": 2000, "qid_nats": value}
        | {"document_qid_nats": value * (1 + 0.1 * generator.normal(size=40))}
        for (way, bits), value in qid.items()
        for size in range(5, 5 + n_sizes)
        for tokens in (1e8, 2e8, 4e8)
    )


def test_comparisons_are_those_that_the_table_allows():
    qid = {("GPTQ", 2.0): 1.0, ("GPTQ", 3.0): 0.1, ("GPTQ", 4.0): 0.01, ("RTN", 3.0): 0.2}
    qid |= {(f"GPTQ, {group}", 3.0): 0.15 for group in ("group 64", "group 128", "one group a row")}
    ratios = compared(_measured(qid))
    groups = [f"{name}, 3 bits" for name in ("group 64 / 32", "group 128 / 32", "row / group 32")]
    equal = [name.replace("3 bits", "equal bits") for name in groups]
    assert list(ratios) == ["RTN / GPTQ, 3 bits", *groups, *equal]
    np.testing.assert_allclose(ratios["RTN / GPTQ, 3 bits"]["ratio"], 2.0)
    np.testing.assert_allclose(ratios["row / group 32, 3 bits"]["ratio"], 1.5)
    np.testing.assert_allclose(ratios["row / group 32, equal bits"]["ratio"], 1.5 * 10**-0.4)  # 0.4 bits cheaper


def test_texts_are_compared_by_bits_with_their_slopes():
    """QiD on the second text grows as D ** 0.2 beside the first; it has half the tokens a byte."""
    generator = np.random.default_rng(8)
    first = _measured({("GPTQ", 2.0): 1.0, ("GPTQ", 3.0): 0.1})
    second = _measured({("GPTQ", 2.0): 1.5, ("GPTQ", 3.0): 0.1}, "prose").assign(n_bytes=4000)
    factor = (second[TOKENS_SEEN] / 2e8) ** 0.2
    second["qid_nats"] *= factor
    second["document_qid_nats"] *= factor
    counts = (document_counts(40, generator, n_draws=300), document_counts(40, generator, n_draws=300))
    found = texts_compared(first, second, counts, {N_PARAMS: "size", TOKENS_SEEN: "tokens"})
    assert found.index.tolist() == [2.0, 3.0]
    np.testing.assert_allclose(found["ratio"], [1.5, 1.0])
    np.testing.assert_allclose(found["per_byte"], found["ratio"] / 2)
    np.testing.assert_allclose(found["tokens"], 0.2)
    np.testing.assert_allclose(found["size"], 0.0, atol=1e-12)
    assert (found["ratio_low"] < found["ratio"]).all()
    assert "size" not in texts_compared(first, second, counts, {TOKENS_SEEN: "tokens"}, "checkpoint_id")


def test_trends_table_shows_what_there_is():
    found = {"ratio": 2.0, "ratio_low": 1.5, "ratio_high": 2.5, "size": -0.1, "size_low": -0.2, "size_high": 0.0}
    one = pd.DataFrame({"a": found | {"n_runs": 8, "largest": 3.0}, "b": {"ratio": 1.0, "n_runs": 3}}).T
    shown = trends_table(one).map(lambda cell: cell.replace("\u202f", " "))
    assert shown.columns.tolist() == ["runs", "ratio", "largest N", "slope in ln N"]
    assert shown.loc["a"].tolist() == ["8", "2.00 [1.50, 2.50]", "3.00", "−0.10 [−0.20, 0.00]"]
    assert shown.loc["b", "slope in ln N"] == ""


def test_kl_is_compared_as_qid_is_and_its_intervals_count_runs_alone():
    qid = {("GPTQ", 2.0): 1.0, ("GPTQ", 3.0): 0.1, ("GPTQ", 4.0): 0.01, ("RTN", 3.0): 0.2}
    qid |= {(f"GPTQ, {group}", 3.0): 0.15 for group in ("group 64", "group 128", "one group a row")}
    first = _measured(qid)
    first["kl_nats"] = first["qid_nats"] ** 2
    ratios = compared(first, KL)
    np.testing.assert_allclose(ratios["RTN / GPTQ, 3 bits"]["ratio"], 4.0)
    np.testing.assert_allclose(ratios["row / group 32, equal bits"]["ratio"], (1.5 * 10**-0.4) ** 2)
    second = _measured(qid, "prose").assign(kl_nats=3 * first["kl_nats"] * (first[TOKENS_SEEN] / 2e8) ** 0.2)
    counts = (np.ones((40, 5)), np.ones((40, 5)))
    found = texts_compared(first, second, counts, {N_PARAMS: "size", TOKENS_SEEN: "tokens"}, outcome=KL)
    np.testing.assert_allclose(found["ratio"], 3.0)
    np.testing.assert_allclose(found[["ratio_low", "ratio_high"]], 3.0)  # no draws of documents, and runs agree
    np.testing.assert_allclose(found["tokens"], 0.2)
