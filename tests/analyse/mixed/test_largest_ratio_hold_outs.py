import numpy as np
import pandas as pd
import pytest
from tests.analyse.mixed.test_largest_ratio_law import SIZES, TRUTH, rows

from helpers.analyse.fits.data import FitError
from helpers.analyse.mixed.largest_ratio_hold_outs import LAWS, own_last, predicted, ratio_splits, scores
from helpers.analyse.mixed.largest_ratio_law import CAO_2024_LAWS
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN

DEPTHS = (6.5e7, 2.5e8, 9.54e8)


@pytest.fixture
def largest():
    """Eight sizes at three numbers of tokens; the largest size ends earlier, as in the study; cooldowns at the middle."""
    trunk = rows(tokens=DEPTHS, token_slope=0.05)
    trunk = trunk[(trunk[N_PARAMS] < SIZES[-1]) | (trunk[TOKENS_SEEN] < DEPTHS[-1])]
    decayed = trunk[trunk[TOKENS_SEEN] == DEPTHS[1]].assign(
        schedule="cooldown", run_label=lambda table: table["run_label"] + "-c"
    )
    return pd.concat([trunk, decayed.assign(interpolated=decayed["interpolated"] - 0.03)], ignore_index=True)


def test_hold_outs_are_what_they_say(largest):
    splits = ratio_splits(largest)
    assert list(splits) == ["largest size", "last tokens", "decayed rate"]
    size, tokens, decay = splits.values()
    assert size.held[N_PARAMS].unique() == [SIZES[-1]]
    assert (size.held[TOKENS_SEEN] == DEPTHS[1]).all()
    assert (size.training[TOKENS_SEEN] <= DEPTHS[1]).all()
    assert size.training[N_PARAMS].max() < SIZES[-1]
    assert (tokens.held[TOKENS_SEEN] == DEPTHS[-1]).all()
    assert len(tokens.held) == 7
    later = largest[largest[N_PARAMS] == SIZES[-1]].iloc[[0]].assign(**{TOKENS_SEEN: 5e8})  # where no other size is
    again = ratio_splits(pd.concat([largest, later], ignore_index=True))["largest size"]
    assert (again.held[TOKENS_SEEN] == DEPTHS[1]).all()
    assert (decay.held["schedule"] == "cooldown").all()
    assert (decay.training["schedule"] == "constant").all()


def test_the_planted_law_predicts_and_the_others_miss_by_what_they_leave_out(largest):
    table = predicted(largest)
    rms = scores(table).set_index(["law", "hold_out"])["rms"]
    assert rms["size and tokens", "largest size"] == pytest.approx(0, abs=1e-12)
    assert rms["size and tokens", "last tokens"] == pytest.approx(0, abs=1e-12)
    assert rms["size and tokens", "decayed rate"] == pytest.approx(0.03)  # what decay was planted to take
    assert rms["size", "largest size"] == pytest.approx(0, abs=1e-12)
    assert rms["as before", "last tokens"] == pytest.approx(0.05 * np.log(DEPTHS[2] / DEPTHS[1]))
    step = np.log(SIZES[-1] / SIZES[-2]) / -TRUTH.k
    assert rms["as the next size", "largest size"] == pytest.approx(step)
    printed = table[(table["law"] == "published") & (table["hold_out"] == "largest size")].iloc[0]
    assert printed["predicted"] == np.clip(CAO_2024_LAWS[0.1].largest_ratio(SIZES[-1]), 0, 1)


def test_a_law_that_can_not_predict_is_missing_with_its_reason(largest):
    table = predicted(largest.assign(metric="qid_nats"))
    printed = table[table["law"] == "published"]
    assert printed["predicted"].isna().all()
    assert printed["reason"].str.contains("no published law of qid_nats").all()
    counted = scores(table).set_index(["law", "hold_out"])
    assert counted.loc[("published", "last tokens"), ["n_rows", "n_missing"]].tolist() == [0, 7]
    alone = table[(table["law"] == "as before") & (table["hold_out"] == "largest size")]
    assert alone["reason"].item() == "a model that isn't among the training rows"
    with pytest.raises(FitError, match="isn't among the training rows"):
        own_last(largest[largest["model"] == "0"], largest[largest["model"] == "1"])


def test_predictions_stay_between_nothing_and_everything(largest):
    steep = predicted(largest.assign(interpolated=np.linspace(0.2, 0.999, len(largest))))
    values = steep["predicted"].dropna()
    assert values.between(0, 1).all()


def test_every_question_is_fitted_by_itself(largest):
    other = largest.assign(budget=0.2, interpolated=largest["interpolated"] - 0.1)
    together = predicted(pd.concat([largest, other]))
    alone = predicted(largest)
    again = together[together["budget"] == 0.1]
    assert again["error"].to_numpy() == pytest.approx(alone["error"].to_numpy(), nan_ok=True)
    assert set(together["law"]) == set(LAWS)
