"""The two outcomes of rounding that laws are fitted to: QiD and KL, with the columns that hold them and their words."""

from dataclasses import dataclass

from helpers.table.errors import AnalysisError


@dataclass(frozen=True)
class Outcome:
    """One outcome of rounding, in nats per token: where a table holds it, and what it can be.

    QiD is the rounded model's loss less the 16-bit model's: a first-order difference, noisy, negative by chance where
    rounding does little. KL is the mean Kullback-Leibler divergence of the rounded model's predictions from the 16-bit
    model's on the same tokens, of second order in the error of the weights and never negative.

    The tables hold losses by document but no KL by document, so KL has no paired error. Where `paired` is False and a
    table lacks the column `error`, a row has no error of its own: the relative spread tau, which is estimated from the
    scatter between rows, and intervals by training run carry all of it.
    """

    name: str  # what commands and files call it
    column: str
    error: str  # column of its standard error
    symbol: str
    words: str
    may_be_negative: bool
    paired: bool  # every row of `degradation` has an error of its own, paired by document


QID = Outcome("qid", "qid_nats", "qid_se_nats", "QiD", "loss added by rounding, nats a token", True, True)
KL = Outcome("kl", "kl_nats", "kl_se_nats", "KL", "KL divergence from the 16-bit model, nats a token", False, False)
OUTCOMES = {outcome.name: outcome for outcome in (QID, KL)}


def outcome_named(name: str) -> Outcome:
    """Return the outcome of this name. Raises AnalysisError, one line, for another."""
    if name not in OUTCOMES:
        raise AnalysisError(f"outcome is '{name}'; accepted: {', '.join(OUTCOMES)}")
    return OUTCOMES[name]
