from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.trust import checkpoints as numbers

N, D = "n_params_non_embedding", "tokens_seen"


def test_counting_without_embeddings_changes_an_exponent_of_size():
    ours = pd.DataFrame({N: [1e5, 1.6e6], "n_params_total": [1e6, 4e6]})
    every = pd.DataFrame({N: [2e7], "n_params_total": [8e7]}, index=["pythia-70m-deduped"])
    found = numbers.parameters(every, ours)
    assert (found["n_factor"], found["total_factor"], found["exponent_factor"]) == (16, 4, pytest.approx(2))
    assert (found["pythia_small_share"], found["pythia_small_n"]) == (0.25, "20M")


def trained():
    rows = [
        {"family": family, "run": run, "model": model, "step": step, D: step * 1000, "learning_rate": rate}
        | {"lr_phase": phase, "schedule": schedule, "weight_decay": decay, "train_seed": seed}
        for family, run, model, schedule, decay, seed in (
            ("tadpole-trunk", "a", "a", "constant", 0.1, 0),
            ("tadpole-trunk", "b", "b", "constant", 0.1, 0),
            ("tadpole-seeds", "a-seed1", "a", "constant", 0.1, 1),
            ("tadpole-decay", "a-wd0", "a", "constant", 0.0, 0),
            ("tadpole-mixed", "a", "a", "constant", 0.1, 0),
            ("tadpole-mixed", "a-cooldown", "a", "cooldown", 0.1, 0),
        )
        for step, rate, phase in ((10, 0.5, "warmup"), (100, 1.0, "stable"), (400, 1.0, "stable"))
    ]
    table = pd.DataFrame(rows).assign(vocabulary_size=1024, unique_tokens=200_000)
    return table.assign(epochs=table[D] / 200_000)


def trunk():
    return trained().query("family == 'tadpole-trunk'")


def test_what_the_trunk_holds_fixed_is_read_off_its_rows():
    found = numbers.held_fixed(trained(), trunk())
    assert (found["n_tadpoles"], found["n_steps"], found["n_stable"], found["tokens_per_step"]) == (2, 3, 2, 1000)
    assert (found["tadpole_rate"], found["weight_decay"], found["vocabulary"]) == (1.0, 0.1, 1024)
    with pytest.raises(ValueError, match="rate is constant"):
        numbers.held_fixed(trained(), trunk().assign(learning_rate=range(6)))
    assert numbers.of_mixed(trained()) == {"mixed_runs": 2, "mixed_cooldowns": 1}


def test_checkpoints_that_read_text_twice_are_counted():
    found = numbers.text_read(trained(), trunk())
    assert (found["epochs"], found["n_trained"], found["n_beyond"], found["most_passes"]) == (2, 18, 6, 4)
    with pytest.raises(ValueError, match="fits use every checkpoint"):
        numbers.text_read(trained().assign(epochs=5.0), trunk())


DOCUMENTS = np.array([-0.1, 0.0, 0.1])
HALF = 4.302652729911275 * 0.1 / 3**0.5  # t of 2 degrees of freedom, three documents that scatter by a tenth


def baselines():
    rows = [
        {"model": f"m{size:g}", N: size, D: tokens, "step": tokens / 1e6, "loss_nats": loss, "n_tokens": 100}
        | {"group_loss": loss + DOCUMENTS * scale, "n_bytes": 240, "bits_per_byte": 0.9}
        for size, scale, losses in ((1e6, 2.0, (4.0, 3.0, 2.8)), (4e6, 1.0, (3.5, 2.5, 2.4)))
        for tokens, loss in zip((1e8, 2e8, 4e8), losses, strict=True)
    ]
    return pd.DataFrame(rows)


def test_losses_at_the_end_have_intervals_over_documents():
    found = numbers.curves(baselines())
    assert (found["n_baselines"], found["n_documents"], found["eval_tokens"]) == (6, 3, 100)
    assert (found["loss_largest"], found["loss_high"] - found["loss_largest"]) == (2.4, pytest.approx(HALF))
    assert (found["gap"], found["gap_high"] - found["gap"]) == (pytest.approx(0.4), pytest.approx(HALF))
    assert (found["still_lowest"], found["still_highest"]) == (pytest.approx(0.1), pytest.approx(0.2))
    assert (found["before_last"], found["bytes_per_token"]) == ("200M", 2.4)
    rising = baselines()
    rising.loc[2, "loss_nats"] = 3.1
    assert not numbers.always_falling(rising)
    with pytest.raises(ValueError, match="falls from each"):
        numbers.curves(rising)


def decayed():
    kinds = [("cooldown", 5, step, gain) for step, gain in ((100, -0.3), *(((200, 0.2), (400, 0.4)) * 3))]
    kinds += [("cosine", None, 100, -0.2), ("cosine", None, 400, 0.5)]
    rows = [
        {"model": "m4e+06", N: 4e6, D: step * 1e6, "step": step, "schedule": schedule, "tokens_planned": step * 1e6}
        | {"branched_at_step": None if at is None else step // 2, "learning_rate": 0.0 if at else 0.1, "gain": gain}
        for schedule, at, step, gain in kinds
    ]
    return pd.DataFrame(rows).assign(peak_learning_rate=1.0, half=0.1)


def test_cooldowns_end_below_the_trunk_but_for_the_first():
    found = numbers.decay(decayed())
    assert (found["n_cooled"], found["n_lower"], found["n_higher"], found["higher_end"]) == (7, 6, 1, "100M")
    assert (found["gain_lowest"], found["gain_highest"]) == (0.2, 0.4)
    assert (found["cooled_tokens"], found["cooled_low"], found["cooled_high"]) == ("400M", pytest.approx(0.3), 0.5)
    assert (found["n_cosines"], found["n_cosines_lower"], found["cosine_loss"]) == (2, 1, 0.2)
    with pytest.raises(ValueError, match="all differences are clear"):
        numbers.decay(decayed().replace({"gain": {-0.3: 0.05}}))


def test_a_row_stands_beside_the_trunk_at_its_own_step():
    own = decayed().drop(columns=["gain", "half"]).head(1).assign(group_loss=[3.3 + DOCUMENTS])
    found = numbers.beside_trunk(own, baselines()).iloc[0]
    assert found["gain"] == pytest.approx(0.2)  # 3.5 of the trunk less 3.3
    assert found["half"] == pytest.approx(0, abs=1e-12)  # the documents go together


def test_public_models_learn_and_the_smallest_forget():
    rows = [
        {"model": model, N: size, D: tokens, "value": value, "stderr": 0.005}
        for model, size, values in (("s", 1e7, (0.3, 0.2)), ("l", 1e9, (0.5, 0.7)))
        for tokens, value in zip((1e11, 3e11), values, strict=True)
    ]
    found = numbers.public_accuracy(pd.DataFrame(rows))
    assert (found["pythia_models"], found["n_fell"], found["best_smallest"]) == (2, 1, 0.3)
    assert (found["accuracy_smallest"], found["accuracy_largest"], found["tokens_public"]) == (0.2, 0.7, "300B")


def test_public_peaks_fall_with_size():
    rows = [("pythia-70m-deduped", 2e7, 8e-4), ("b", 1e8, 6e-4), ("c", 1e9, 2e-4)]
    runs = pd.DataFrame(rows, columns=["model", N, "peak_learning_rate"])
    runs = runs.assign(lr_phase="decay", learning_rate=runs["peak_learning_rate"])
    found = numbers.public_rates(runs)
    assert (found["peak_highest"], found["peak_lowest"]) == (8e-4, 2e-4)
    assert (found["peak_factor"], found["peak_sizes"]) == (pytest.approx(3), 10)


def test_designs_are_compared():
    def of(rank, condition, fixed=()):
        variables = ("ln N", "ln D", "ln peak learning rate", "phase")
        named = {"rank": rank, "condition_number": condition, "held_fixed": fixed, "variables": variables}
        return SimpleNamespace(**named, n_checkpoints=9)

    alone = of(2, np.inf, ("ln peak learning rate", "phase"))
    rows = pd.DataFrame({"peak_learning_rate": [1, 2, 2], "lr_phase": ["decay", "warmup", "stable"]})
    rows = rows.assign(model=["a", "b", "c"], tokens_seen=[1e8, 2e8, 4e8])
    found = numbers.design(of(4, 20.0), alone, of(4, 1.5), rows, peak=1)
    assert (found["condition_pythia"], found["condition_study"], found["rank_trunk"]) == (20, 1.5, 2)
    assert (found["n_other_peak"], found["other_peak_models"], found["n_decaying"]) == (1, 2, 1)
    with pytest.raises(ValueError, match="move together"):
        numbers.design(of(4, 5.0), alone, of(4, 1.5), rows, peak=1)


def test_seeds_and_depths_lie_apart():
    rows = [
        ("tadpole-trunk", "a", 1e6, 0, 2.0),
        ("tadpole-seeds", "a", 1e6, 1, 2.03),
        ("tadpole-depth", "d", 1.01e6, 0, 2.2),
    ]
    rows += [("tadpole-depth", "e", 0.99e6, 0, 1.9), ("tadpole-trunk", "b", 4e6, 0, 1.0)]
    losses = pd.DataFrame(rows, columns=["family", "model", N, "train_seed", "loss_nats"])
    losses = losses.assign(step=5, schedule="constant", peak_learning_rate=1, weight_decay=0.1, tokens_seen=2e8)
    found = numbers.seeds_and_depths(losses, [1e6])
    assert (found["seeded_models"], found["n_seeds"], found["seeds_spread"]) == ("a", 2, pytest.approx(0.03))
    assert (found["n_depth_sizes"], found["depth_spread"], found["depth_tokens"]) == (1, pytest.approx(0.3), "200M")
    with pytest.raises(ValueError, match="shallow and a deep"):
        numbers.seeds_and_depths(losses, [4e6])
