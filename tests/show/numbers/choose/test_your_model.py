"""What the page on a reader's own model states, on planted rows and on the file that ships."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.published import printed_figure
from helpers.show.numbers.choose import your_model
from helpers.table.files import read_table, read_trials

ROOT = Path(__file__).parents[4]
DOCUMENTS = np.array([0.01, -0.01])


@pytest.fixture(scope="module")
def points():
    return your_model.printed_in_groups(pd.read_csv(ROOT / "data/published/published_perplexities.csv"))


def test_printed_models_are_of_one_group_size_and_per_token(points):
    assert set(points["group_size"]) == {"128"}
    assert set(points["method"]) == set(your_model.METHODS)
    assert not points["per_word"].any()
    assert (points["qid_nats"] > 0).all()
    assert not points.duplicated(["model", "method", "bits"]).any()


def test_a_model_s_line_has_the_printed_ratio_of_perplexities(points):
    table = your_model.by_method(points, 4)
    assert table.loc["LLaMA-1-7B", "GPTQ"] == pytest.approx(5.85 / 5.68)
    sizes = points.groupby("model")[N_PARAMS].first()
    assert list(table.index) == list(sizes[table.index].sort_values().index)
    at = points[points["model"] == "LLaMA-1-7B"].iloc[0]
    assert table.loc["LLaMA-1-7B", "ratio"] == pytest.approx(at[TOKENS_SEEN] / at[N_PARAMS])


def planted(qid: float, lost: float, run: str) -> list[dict]:
    same = {"checkpoint_id": run, "eval_id": "e", "device_type": "cpu", "status": "ok", "family": "f", "run": run}
    same |= {"model": run, "step": 1, "bits": 4.0}
    base = {
        "method": "none",
        "loss_nats": 2.0,
        "group_loss": 2 + DOCUMENTS,
        "top1_accuracy": 0.5,
        "top1_agreement": 1.0,
    }
    rounded = {"method": "gptq", "loss_nats": 2 + qid, "group_loss": 2 + qid + DOCUMENTS, "top1_accuracy": 0.5 - lost}
    return [same | base, same | rounded | {"top1_agreement": 1 - 2 * lost, "kl_nats": qid}]


def test_what_a_qid_means_are_medians_of_the_rows_near_it():
    rows = [*planted(0.05, 0.01, "a"), *planted(0.045, 0.03, "b"), *planted(0.055, 0.02, "c"), *planted(0.2, 0.1, "d")]
    found = your_model.meanings(pd.DataFrame(rows), [0.05, 0.2])
    assert found.loc[0.05, "accuracy_lost"] == pytest.approx(0.02)
    assert found.loc[0.05, "agreement"] == pytest.approx(0.96)
    assert found.loc[0.05, "perplexity_factor"] == pytest.approx(np.exp(0.05))
    assert list(found["n_rows"]) == [3, 1]
    assert list(found["n_runs"]) == [3, 1]


def test_own_points_have_a_logarithm():
    rows = pd.DataFrame(
        {"model": ["a", "b"], N_PARAMS: [1, 2], TOKENS_SEEN: [3, 4], "bits": [3, 3], "qid_nats": [0.1, -1]}
    )
    assert list(your_model.own_points(rows)["model"]) == ["a"]


def test_the_figure_has_a_panel_a_width_and_every_printed_point(points):
    figure = printed_figure(points)
    assert [axes.get_title() for axes in figure.axes] == ["2 bits", "3 bits", "4 bits"]
    drawn = sum(len(line.get_xdata()) for axes in figure.axes for line in axes.lines)
    assert drawn == points["bits"].isin([2, 3, 4]).sum()


def test_the_share_that_stays_in_16_bits_follows_size_and_tokens():
    trials = read_trials(ROOT / "results/trials.parquet").to_pandas()
    laws = your_model.kept_laws(trials, read_table(ROOT / "results/measurements.parquet").to_pandas())
    assert list(laws) == [0.05, 0.1, 0.2]
    assert all(law.size_slope.high < 0 < law.token_slope.low for law in laws.values())
    middle = [law.intercept.value + law.token_slope.value * np.log(0.5) for law in laws.values()]
    assert middle == sorted(middle, reverse=True)  # who allows more keeps less
