"""What the chapter on two ways to fail states, on planted tables, and what it refuses to state."""

import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.law import two_ways_to_fail as numbers


def widths(term: float = 4.0) -> pd.DataFrame:
    """KL = D^0.5 / N^0.4 s (1 + c s) of six runs, c growing a little with tokens, with a run's own luck of 5%."""
    generator = np.random.default_rng(0)
    rows = []
    for n_params in np.geomspace(1e5, 3e7, 6):
        luck = np.exp(0.05 * generator.standard_normal())
        for tokens in np.geomspace(7e7, 9e8, 5):
            for bits in (2, 3, 4, 5, 6, 8):
                s = (2.0**bits - 1) ** -2
                own = term * (tokens / 2.5e8) ** 0.3 * np.exp(0.05 * generator.standard_normal())
                rows.append(
                    (f"r{n_params:.0f}", n_params, tokens, bits, luck * tokens**0.5 / n_params**0.4 * s * (1 + own * s))
                )
    return pd.DataFrame(rows, columns=["run_label", "n_params_non_embedding", "tokens_seen", "bits", "kl_nats"])


def parts(c: float = 4.0) -> pd.DataFrame:
    """Wholes of 1 + c s times the sum of their parts, of six runs at three moments; a run's c of its own."""
    generator = np.random.default_rng(1)
    rows = []
    for n_params in np.geomspace(1e5, 3e7, 6):
        for tokens in (6e7, 2.5e8, 9.5e8):
            for granularity in ("matmul", "layer"):
                for bits in (2, 3, 4):
                    s = (2.0**bits - 1) ** -2
                    total = 3 * s * (tokens / 6e7) ** 0.5 * (1 + s)
                    ratio = 1 + c * (tokens / 2.5e8) ** 0.3 * s * np.exp(0.1 * generator.standard_normal())
                    rows.append((f"r{n_params:.0f}", n_params, tokens, granularity, bits, total * ratio, total, 12))
    names = [
        "run_label",
        "n_params_non_embedding",
        "tokens_seen",
        "granularity",
        "bits",
        "whole_nats",
        "sum_nats",
        "n_parts",
    ]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(ratio=table["whole_nats"] / table["sum_nats"])


def depth(noise: float = 1.0) -> pd.DataFrame:
    rows = [
        {"model": model, "step": step, "tokens_seen": step * 1e5, "method": method, "bits": bits, "cosine": 0.5}
        | {"end": noise / 25 ** (bits == 4), "ratio": 0.9 if bits == 2 else 1.0}
        for model in ("a", "b")
        for step in (500, 7275)
        for method in ("rtn", "gptq")
        for bits in (2, 4)
    ]
    return pd.DataFrame(rows)


def tables(**changes: object) -> numbers.Tables:
    generator, rows = np.random.default_rng(2), []
    for run in ("a", "b", "c"):
        for tokens in (6e7, 2.5e8, 9.5e8):
            for bits, ratio in ((2, 0.8), (3, 1.0), (4, 1.05), (5, 1.0)):
                share = 0.4 + 0.01 * generator.standard_normal()
                rows.append(
                    (run, 1e5, tokens, bits, np.log(1024), ratio * np.exp(0.01 * generator.standard_normal()), share)
                )
    names = ["run_label", "n_params_non_embedding", "tokens_seen", "bits", "both", "ratio", "share"]
    known = {"rows": widths(), "parts": parts(), "inputs": pd.DataFrame(rows, columns=names), "depth": depth()}
    return numbers.Tables(**(known | {"vocabulary_size": 1024} | changes))


def test_planted_constants_are_stated():
    shown = numbers.numbers(tables())
    assert shown["term"] == pytest.approx(4, rel=0.15)
    assert shown["over_tokens"] > 0
    assert shown["between_3"] == pytest.approx(4, rel=0.15)
    assert shown["compound_2"] > shown["compound_3"] > shown["compound_4"] > 1
    assert (shown["depth_models"], shown["noise_last_2"], shown["adds_2"]) == (2, 1.0, pytest.approx(0.9))
    assert shown["both_2"] == pytest.approx(0.8, rel=0.02)
    assert (shown["ex_three"], shown["ex_narrow"]) == (pytest.approx(1 + 0.02 * (15 / 7) ** 2), pytest.approx(1.5))


def test_equal_loss_is_told_from_the_width():
    """Twice as much at 2 bits whatever the loss: exactly two comes back."""
    table = parts()
    qid = table["whole_nats"].rank() / 1000 + 0.1
    narrow = np.where(table["bits"] == 2, 2.0, 1.0) * np.exp(
        0.001 * np.random.default_rng(3).standard_normal(len(table))
    )
    shown = numbers.of_equal_loss(table.assign(whole_nats=qid, ratio=narrow * qid**0.3))
    assert shown["at_equal"] == pytest.approx(2, rel=0.01)
    assert shown["equal_rows"] == (table["bits"] < 4).sum()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": widths(term=0.0)}, "2 bits lie above the law of the others"),
        ({"parts": parts(c=0.2)}, "at 2 bits they compound"),
        ({"depth": depth(noise=0.1)}, "late at 2 bits noise is as large as the signal"),
        ({"vocabulary_size": 50_000}, "as much as a whole uniform loss"),
    ],
)
def test_a_page_that_says_what_the_tables_do_not_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        numbers.numbers(tables(**changes))
