"""What the chapter on the noise floor states of calibration text and seeds, on planted rows of known scatter."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.numbers.trust import noise_floor as numbers

DOCUMENTS = np.linspace(-1, 1, 6) * 1e-9  # documents that hardly differ: all scatter is between rows
SCATTER = {2: 0.02, 3: 0.025, 4: 0.03}


def row(model: str, size: float, bits: int, qid: float, **more) -> dict:
    named = {"model": model, N_PARAMS: size, "bits": bits, "qid_nats": qid, "document_qid_nats": qid + DOCUMENTS}
    named |= {
        "family": "tadpole-trunk",
        "run": model,
        "run_label": model,
        "step": 9,
        TOKENS_SEEN: 900e6,
        "calib_seed": 0,
    }
    named |= {
        "branched_from": None,
        "weights_sha256": model,
        "checkpoint_id": model,
        "n_averaged": 1,
        "schedule": "constant",
    }
    named |= {"group_size": 32, "calib_sequences": 512, "n_sequences": 512, "n_documents": 6, "train_seed": 0}
    named |= {"eval_id": "e", "device_type": "cuda", "baseline_loss_nats": 2.0, "kl_nats": qid}
    named |= {"method": "gptq", "format": "int", "symmetric": False, "order": "given", "grid_search": "minmax"}
    return named | more


@pytest.fixture
def rows():
    """Three draws of text for three sizes: QiD is 1 - s, 1 and 1 + s times the size's, so that s is the scatter."""
    found = []
    for number, size in enumerate((1e6, 16e6, 256e6)):
        for bits, scatter in SCATTER.items():
            for seed in range(3):
                turn = (seed + number) % 3 - 1  # the draws' effects don't go together between sizes
                qid = 10.0**-bits * (number + 1) * (1 + scatter * turn)
                found.append(row(f"m{number}", size, bits, qid, calib_seed=seed))
    last = pd.DataFrame(found)
    pocket = last[last["model"] == "m0"].assign(calib_sequences=128)
    none = pd.DataFrame()
    return numbers.Rows(last, last, last[last["calib_seed"] == 0], last, none, pocket, none)


def test_the_protocol_is_that_of_the_last_rows(rows):
    found = numbers.protocol(rows)
    assert (found["group"], found["calib_sequences"], found["n_documents"]) == (32, 512, 6)
    assert (found["last_tokens"], found["n_models"], found["n_seeds"], found["size_times"]) == ("900M", 3, 3, 256)


def test_the_scatter_between_draws_is_the_planted_one(rows):
    found = numbers.of_calibration(rows)
    for bits, scatter in SCATTER.items():
        assert found[f"cal_{bits}"] == pytest.approx(scatter)  # the standard deviation of -s, 0 and s
        assert found[f"cal_{bits}_low"] < scatter < found[f"cal_{bits}_high"]
        assert found[f"cal_unseen_{bits}"] == pytest.approx(scatter)
        assert found[f"together_{bits}"] == pytest.approx(-0.5)
        assert found[f"cal_documents_{bits}"] == pytest.approx(0, abs=1e-6)
    assert found["bits_times"] == pytest.approx(100)
    assert found["pair_3_relative"] == pytest.approx(2 * np.sqrt(2) * 0.025)


def test_scatter_that_depends_on_size_is_not_called_level(rows):
    grows = rows.last.assign(qid_nats=rows.last["qid_nats"])
    centre = grows.groupby(["model", "bits"])["qid_nats"].transform("mean")
    power = grows[N_PARAMS].map({1e6: 0.01, 16e6: 1.0, 256e6: 10.0})
    grows["qid_nats"] = centre + power * (grows["qid_nats"] - centre) / 5
    grows["document_qid_nats"] = [qid + DOCUMENTS for qid in grows["qid_nats"]]
    with pytest.raises(ValueError, match="clear trend with size"):
        numbers.of_calibration(replace(rows, last=grows, unseen=grows))


def test_a_quarter_of_the_text_has_its_ratio(rows):
    few = rows.on_cpu.copy()
    centre = few.groupby("bits")["qid_nats"].transform("mean")
    few["qid_nats"] = centre + few["bits"].map({2: 0.2, 3: 1.0, 4: 0.2}) * (few["qid_nats"] - centre)
    few["document_qid_nats"] = [qid + DOCUMENTS for qid in few["qid_nats"]]
    found = numbers.of_a_quarter(replace(rows, on_cpu=few))
    assert (found["quarter_3"], found["few_cal_2"], found["many_cal_2"]) == pytest.approx((1.0, 0.004, 0.02))
    assert (found["calib_few"], found["n_pocket"], found["n_seeds_few"]) == (128, 1, 3)
    with pytest.raises(ValueError, match="two lies in that of 3 bits alone"):
        numbers.of_a_quarter(rows)


def seeded(model: str, size: float, seeds: int, steps: dict[int, float], scatter: dict[int, float]) -> list[dict]:
    """Runs of a model from several seeds: QiD 1 + s and 1 - s by turns; the losses lie 0.01 nats apart."""
    found = []
    for step, width in steps.items():
        for bits, one in scatter.items():
            for seed in range(seeds):
                turn = (-1) ** (seed + step)
                more = {"train_seed": seed, "run_label": f"{model}/{seed}", "step": step, TOKENS_SEEN: step * 10e6}
                more |= {"weights_sha256": f"{model}{step}{seed}", "baseline_loss_nats": 2 + 0.01 * seed}
                found.append(row(model, size, bits, 10.0**-bits * (1 + width * one * turn), **more))
    return found


@pytest.fixture
def of_seeds(rows):
    """Three runs of two sizes, two of the largest; scatter of 30% at 4 bits, more than twice as much early, little at the end."""
    steps = {1: 2.5, 2: 2.2, 8: 1.0, 9: 1.0, 90: 0.1}
    scatter = {2: 0.01, 3: 0.15, 4: 0.3}
    runs = [("a", 1e6, 3), ("b", 4e6, 3), ("c", 16e6, 2)]
    table = pd.DataFrame([one for run in runs for one in seeded(*run, steps, scatter)])
    return replace(rows, of_seeds=table)


def test_seeds_have_their_scatter_less_that_of_another_draw(of_seeds):
    found = numbers.of_seeds(of_seeds)
    assert (found["seed_runs"], found["seed_freedom"]) == (8, 5)
    assert found["of_seed_4"] == pytest.approx(np.sqrt(found["between_4"] ** 2 - 0.03**2))
    variances = [[4 / 3, 4 / 3, 2][number] * (width * 0.3) ** 2 for number in range(3) for width in (1, 1, 0.1)]
    means = [
        [1 / 3, 1 / 3, 0][number] * width * 0.3 * turn
        for number in range(3)
        for width, turn in ((1, 1), (1, -1), (0.1, 1))
    ]
    expected = np.sqrt(np.mean([one / (1 + mean) ** 2 for one, mean in zip(variances, means, strict=True)]))
    assert found["between_4"] == pytest.approx(expected)


def test_along_training_seeds_come_together(of_seeds):
    found = numbers.of_seeds_in_training(of_seeds)
    assert (found["seed_models"], found["seed_common_tokens"], found["seed_last_tokens"]) == ("a, b, c", "900M", "900M")
    assert found["token_trend_4_high"] < 0
    assert found["last_share"] == pytest.approx(found["between_last_4"] / numbers.of_seeds(of_seeds)["between_4"])
    level = replace(of_seeds, of_seeds=of_seeds.of_seeds[of_seeds.of_seeds["step"] != 90])
    with pytest.raises(ValueError, match="told from draws|rather too high"):
        numbers.of_seeds_in_training(level)


def test_losses_of_seeds_are_told_with_the_one_that_makes_the_spread(of_seeds):
    table = of_seeds.of_seeds.copy()
    table.loc[(table["step"] == 9) & (table["model"] == "c"), "baseline_loss_nats"] += np.where(
        table.loc[(table["step"] == 9) & (table["model"] == "c"), "train_seed"] == 1, 0.49, 0.0
    )
    found = numbers.of_losses(table)
    assert found["loss_spread_largest"] == pytest.approx(0.5 / np.sqrt(2))
    assert found["loss_spread_at"] == "90M"
    apart = [0.01, 0.01, 0.01 / np.sqrt(2)]  # of 0, 0.01 and 0.02 nats, and of two runs
    assert found["loss_spread_last"] == pytest.approx(np.sqrt(np.mean(np.square(apart))))
    with pytest.raises(ValueError, match="mostly that of one checkpoint"):
        numbers.of_losses(of_seeds.of_seeds)
