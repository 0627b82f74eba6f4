"""What rounding did to one model: findings from rows planted by hand, and verdicts in words."""

import math

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.judgement import one_model
from helpers.analyse.judgement.expected import Expected
from helpers.analyse.judgement.one_model import findings, looked_at, notes_on, verdict

N_DOCUMENTS = 16
BASELINE = np.linspace(2.0, 3.0, N_DOCUMENTS)


def row(method: str, bits: float, losses: np.ndarray, **other) -> dict:
    """Return the columns of a row that findings are made of."""
    loss = float(losses.mean())
    return {
        "checkpoint_id": "c",
        "eval_id": other.get("eval_dataset", "text"),
        "eval_dataset": "text",
        "device_type": "cpu",
        "family": "mine",
        "model": "mine",
        "run": "mine",
        "step": math.nan,
        "status": "ok",
        "reason": None,
        "method": method,
        "bits": bits,
        "group_size": 64.0 if bits else math.nan,
        "symmetric": False if bits else None,
        "format": "int",
        "calib_seed": 0.0,
        "effective_bits": bits + 0.3,
        "loss_nats": loss,
        "bits_per_byte": loss / 3,
        "group_loss": losses,
        "kl_nats": 0.1,
        "top1_agreement": 0.9,
        "n_params_non_embedding": 1.06e8,
        "tokens_seen": 2e12,
    } | other


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame([row("none", math.nan, BASELINE), *rows])


def nothing_known(_row: pd.Series) -> None:
    return None


def test_a_finding_has_the_paired_difference_and_its_error():
    added = np.tile([0.1, 0.3], N_DOCUMENTS // 2)
    (found,) = findings(table(row("gptq", 3, BASELINE + added)), nothing_known)
    assert found.qid_nats == pytest.approx(0.2)
    assert found.qid_se_nats == pytest.approx(added.std(ddof=1) / 4)
    assert found.perplexity_ratio == pytest.approx(math.exp(0.2))
    assert found.baseline_bits_per_byte == pytest.approx(2.5 / 3)
    assert (found.scheme, found.n_documents, found.n_draws) == ("gptq 3 bits g64", N_DOCUMENTS, 1)
    assert found.draws_sd_nats is None
    assert found.stored_bits == pytest.approx(3.3)


def test_draws_of_calibration_are_averaged_and_their_spread_is_told():
    rows = [row("gptq", 3, BASELINE + added, calib_seed=seed) for seed, added in enumerate((0.1, 0.2, 0.3))]
    (found,) = findings(table(*rows), nothing_known)
    assert found.qid_nats == pytest.approx(0.2)
    assert found.draws_sd_nats == pytest.approx(0.1)
    assert found.n_draws == 3


def test_a_scheme_that_failed_is_a_finding_with_the_reason():
    failed = row("gptq", 2, BASELINE, status="failed", reason="no inverse", loss_nats=None, group_loss=None)
    found = findings(table(row("rtn", 3, BASELINE + 0.1), failed), nothing_known)
    assert [(each.method, each.kind) for each in found] == [("gptq", one_model.FAILED), ("rtn", one_model.UNKNOWN)]
    assert found[0].verdict == "failed: no inverse"
    assert found[0].qid_nats is None


EXPECTED = Expected("power", 0.4, 0.3, 0.5, ("tokens",))


@pytest.mark.parametrize(
    ("qid", "kind", "words"),
    [
        (0.019, one_model.NOTHING, "loss indistinguishable from the original's"),
        (-0.019, one_model.NOTHING, "loss indistinguishable from the original's"),
        (-0.1, one_model.LESS, "better than 16 bits on this text"),
        (
            0.4,
            one_model.AS_EXPECTED,
            "as expected of 106M parameters after 2T tokens (0.3 to 0.5 nats by the law power",
        ),
        (0.29, one_model.AS_EXPECTED, "as expected of"),
        (0.515, one_model.AS_EXPECTED, "as expected of"),
        (0.1, one_model.LESS, "0.25 of what is expected of 106M parameters after 2T tokens"),
        (1.2, one_model.MORE, "3 times what is expected of 106M parameters after 2T tokens"),
    ],
)
def test_a_verdict_says_whether_there_is_anything_and_whether_that_is_to_be_expected(qid, kind, words):
    found = verdict(qid, 0.01, EXPECTED, 1.06e8, 2e12)
    assert found[0] == kind
    assert found[1].startswith(words)
    assert ("beyond the fitted tokens" in found[1]) == ("law" in found[1])


@pytest.mark.parametrize(
    ("expected", "tokens", "words"),
    [
        (EXPECTED, None, "clear; what to expect isn't known without --tokens"),
        (EXPECTED, math.nan, "clear; what to expect isn't known without --tokens"),
        (None, 2e12, "clear; no law is fitted to that"),
        (Expected("x", 0.4, math.nan, math.nan, ()), 2e12, "clear; no law is fitted to that"),
    ],
)
def test_without_tokens_or_law_nothing_is_said_to_be_expected(expected, tokens, words):
    assert verdict(0.4, 0.01, expected, 1e8, tokens) == (one_model.UNKNOWN, words)


def test_only_what_is_more_than_expected_names_a_matrix_to_look_at():
    rows = table(row("gptq", 2, BASELINE + 1.2), row("gptq", 3, BASELINE + 0.4))
    found = looked_at(findings(rows, lambda _row: EXPECTED), "1.mlp.down_proj")
    assert [each.verdict.endswith(": look at 1.mlp.down_proj") for each in found] == [True, False]


def test_a_text_of_another_kind_than_the_calibration_is_told_and_no_other():
    far = row("none", math.nan, 3 * BASELINE, eval_dataset="other")
    rows = table(far, row("gptq", 3, BASELINE + 0.1), row("gptq", 3, 3 * BASELINE + 0.1, eval_dataset="other"))
    notes = notes_on(findings(rows, nothing_known), calibration_bits_per_byte=0.8)
    assert [note for note in notes if "another kind" in note] == [
        "other: 2.50 bits a byte, the calibration text 0.80: another kind of text;"
        " --calibration with text like it tells more"
    ]
    assert len(notes_on(findings(rows, nothing_known), None)) == 1
