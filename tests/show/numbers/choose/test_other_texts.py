"""What the chapter states about other texts, on planted rows whose ratios are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.questions.slopes_of_ratios import texts_compared
from helpers.analyse.questions.ways import text_ratios
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.outcomes import KL
from helpers.analyse.rows.study import HELDOUT, PROSE, UNSEEN
from helpers.show.numbers.choose import other_texts as numbers

EVEN = (np.ones((4, 3)), np.ones((4, 3)))  # each of 4 documents once in each of 3 draws
STEPS = {"c1": (1, 10e6), "c2": (2, 100e6), "c3": (3, 200e6), "c4": (4, 400e6)}  # checkpoint: scatter, tokens


def rows(sizes=(1e6, 4e6, 16e6), factor=1.0, kl_factor=1.0, power=0.5, of_rtn=2.0, scatter=0.0) -> pd.DataFrame:
    """GPTQ and RTN at 2 to 4 bits: QiD grows as tokens^power; factors of QiD and KL, a little scatter of checkpoints."""
    found = []
    for size in sizes:
        for name, (number, tokens) in STEPS.items():
            for bits in (2, 3, 4):
                for way, over in (("GPTQ", 1.0), ("RTN", of_rtn)):
                    plain = 4.0**-bits * (tokens / 1e8) ** power
                    shift = np.exp(scatter * (-1) ** (number + (size > 1e6)))
                    found.append(
                        {
                            "way": way,
                            "bits": bits,
                            "checkpoint_id": f"{size:g}/{name}",
                            "run_label": f"{size:g}",
                            "model": f"m{size:g}",
                            "step": number,
                            "family": "f",
                            "eval_id": "text",
                            "device_type": "cuda",
                            "calib_seed": 0,
                            N_PARAMS: size,
                            TOKENS_SEEN: tokens,
                            "n_tokens": 1000,
                            "n_bytes": 2000,
                            "qid_nats": plain * factor * over * shift,
                            "kl_nats": plain * kl_factor * over,
                            "document_qid_nats": np.full(4, plain * factor * over * shift),
                        }
                    )
    return pd.DataFrame(found)


def late(pair):
    return tuple(one[one[TOKENS_SEEN] > 60e6] for one in pair)


@pytest.fixture
def found():
    """Unseen code as held-out code but for KL, 1.1 times; prose has 1.5 times QiD and 1.8 times KL, at tokens of half."""
    trunk = rows(), rows(scatter=0.02, kl_factor=1.1)
    prose = rows((1e6,)), rows((1e6,), 1.5, 1.8, of_rtn=1.9).assign(n_bytes=1000)
    losses = pd.DataFrame({"difference_nats": [0.1, 0.3], "first_nats": [2.0, 2.0], "second_nats": [2.1, 4.0]})
    along = {N_PARAMS: "size", TOKENS_SEEN: "tokens"}

    def compared(outcome):
        return {
            "unseen": texts_compared(*late(trunk), EVEN, along, outcome=outcome),
            "prose": texts_compared(*late(prose), EVEN, {TOKENS_SEEN: "tokens"}, "checkpoint_id", outcome),
        }

    of_run = text_ratios(*late(trunk), EVEN, ["bits"]).assign(low=0.96, high=1.03)
    kl = texts_compared(*late(trunk), EVEN, {}, outcome=KL)
    draws = {HELDOUT: EVEN[0], UNSEEN: EVEN[1], PROSE: EVEN[1]}
    known = {"unseen": losses, "prose": losses}
    wide = {"size_low": -0.1, "size_high": 0.1, "tokens_low": -0.1, "tokens_high": 0.1}
    of_qid = {text: table.assign(**wide) for text, table in compared(numbers.QID).items()}
    of_qid["unseen"] = of_qid["unseen"].assign(ratio_low=0.96, ratio_high=1.03)
    of_qid["prose"] = of_qid["prose"].assign(ratio_low=1.4, ratio_high=1.6)
    of_kl = {text: table.assign(**wide) for text, table in compared(KL).items()}
    of_kl["unseen"] = of_kl["unseen"].assign(size=[0.01, 0.03, 0.02], size_low=0.001)
    return numbers.Texts(trunk, trunk, prose, known, draws, of_qid, of_kl, of_run, kl)


def test_texts_are_described_by_packages_bytes_and_how_hard_they_are(found):
    shown = numbers.texts_themselves(found)
    assert (shown["bytes_held_out"], shown["bytes_prose"]) == (2.0, 1.0)
    assert (shown["loss_prose_least"], shown["loss_prose_most"], shown["loss_factor"]) == (0.1, 0.3, 2.0)
    assert shown["packages_held_out"] < 128  # several files a package
    easier = found.losses | {"prose": found.losses["prose"].assign(difference_nats=[-0.1, 0.3])}
    with pytest.raises(ValueError, match="prose is harder"):
        numbers.texts_themselves(replace(found, losses=easier))


def test_on_unseen_code_qid_is_the_same_and_kl_is_not(found):
    shown = numbers.on_unseen_code(found)
    assert (shown["every_low"], shown["every_high"], shown["every_runs"]) == (0.96, 1.03, 3)
    assert shown["every_kl_3"] == pytest.approx(1.1)
    assert shown["per_kl_3"] == pytest.approx(
        1 / 1.1, rel=0.02
    )  # of scatter 0.02 whose mean over checkpoints isn't zero
    with pytest.raises(ValueError, match="the same over all runs"):
        numbers.on_unseen_code(replace(found, of_every_run=found.of_every_run.assign(low=1.01)))


def test_per_divergence_is_the_ratio_of_ratios():
    shown = numbers.per_divergence((rows(), rows(factor=0.9, kl_factor=1.2)))
    for bits in (2, 3, 4):
        assert shown[f"per_kl_{bits}"] == pytest.approx(0.75)
        assert shown[f"per_kl_{bits}_high"] == pytest.approx(0.75)
    with pytest.raises(ValueError, match="for a given divergence"):
        numbers.per_divergence((rows(), rows(factor=1.2)))


def test_prose_has_its_factors_and_its_beginning(found):
    panels = numbers.by_tokens(found)
    assert list(panels) == ["unseen, every size", "prose, one size, GPTQ", "prose, one size, RTN"]
    assert len(panels["prose, one size, GPTQ"]) == 2 * 4 + 3  # at 4 bits only late checkpoints
    begins = {name: table.assign(ratio=0.5, high=0.6) for name, table in panels.items()}
    shown = numbers.on_prose(found, begins)
    assert shown["prose_3"] == pytest.approx(1.5 * np.sqrt(1.9 / 2))
    assert shown["prose_kl_3"] == pytest.approx(1.8 * np.sqrt(1.9 / 2))
    assert (shown["prose_3_low"], shown["prose_first"], shown["first_tokens"]) == (1.4, 0.5, "10M")
    with pytest.raises(ValueError, match="begins below"):
        numbers.on_prose(found, panels)


def test_the_ends_of_the_sizes_are_those_of_gptq_at_three_bits(found):
    first = rows((1e6, 4e6, 16e6))
    kls = first[N_PARAMS].map({1e6: 1.1, 4e6: 1.2, 16e6: 1.3})
    qids = first[N_PARAMS].map({1e6: 1.0, 4e6: 1.0, 16e6: 1.2})
    second = first.assign(kl_nats=first["kl_nats"] * kls, qid_nats=first["qid_nats"] * qids)
    shown = numbers.divergence_by_size(replace(found, trunk=(first, second)))
    assert (shown["kl_unseen_small"], shown["kl_unseen_large"]) == pytest.approx((1.1, 1.3))
    assert (shown["per_kl_small"], shown["per_kl_next"]) == pytest.approx((1 / 1.1, 1 / 1.2))
    assert (shown["per_kl_large"], shown["qid_unseen_large"]) == pytest.approx((1.2 / 1.3, 1.2))
    assert (shown["next_size"], shown["kl_size_least"], shown["kl_size_most"]) == ("4M", 0.01, 0.03)


def test_exponents_and_leads_are_the_planted_ones():
    pair = rows((1e6,)), rows((1e6,), power=0.8, of_rtn=1.8)
    powers = numbers.along_training(pair)
    assert (powers["power_code_2"], powers["power_prose_4"]) == pytest.approx((0.5, 0.8))
    noisy = pair[1].copy()
    noisy.loc[(noisy["bits"] == 4) & (noisy["way"] == "RTN"), "qid_nats"] *= np.resize([0.5, 2.0], 4)
    shown = numbers.leads((pair[0], noisy))
    assert (shown["lead_2"], shown["lead_kl_3"]) == pytest.approx((0.9, 0.9))
    assert shown["lead_4_low"] < 0.9 < 1 < shown["lead_4_high"]
    with pytest.raises(ValueError, match="GPTQ's lead is smaller"):
        numbers.leads((pair[1], pair[0]))


def nine_methods(heights: list[float]) -> pd.DataFrame:
    """Rows of nine methods on one checkpoint; documents of even and odd ones scatter the other way round."""
    alternating = np.array([0.05, -0.05, 0.05, -0.05])
    one = rows((1e6,)).query("bits == 3 and way == 'GPTQ' and step == 1")
    return pd.concat(
        one.assign(
            way=f"method {place}",
            qid_nats=0.1 * height,
            kl_nats=0.1,
            document_qid_nats=[0.1 * height * (1 + (-1) ** place * alternating)],
        )
        for place, height in enumerate(heights)
    )


def test_pairs_that_change_places_are_counted():
    heights = [1 + 0.01 * place for place in range(9)]
    first, second = nine_methods(heights), nine_methods([1.01, 1.0, *heights[2:]])
    one_document_a_draw = np.eye(4), np.roll(np.eye(4), 1, axis=1)
    shown = numbers.orders(first, second, one_document_a_draw)
    assert (shown["n_pairs"], shown["n_swapped"], shown["n_swapped_kl"]) == (36, 1, 0)
    assert shown["tau"] == pytest.approx(1 - 2 / 36)
    assert shown["farthest"] == pytest.approx(0.01)
    assert shown["n_both_clear"] == 16  # of 5 even and of 4 odd methods, which have the same scatter: 10 and 6 pairs
    assert (shown["n_text_ratios"], shown["n_text_holding"]) == (9, 9)
    assert (shown["text_lowest"], shown["text_highest"]) == pytest.approx((1 / 1.01, 1.01))
    with pytest.raises(ValueError, match="lie above it"):
        numbers.orders(first, second, (np.ones((4, 3)), np.ones((4, 3))))
