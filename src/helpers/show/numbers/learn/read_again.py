"""What the page on what else moves QiD states of runs on a part of the trunk's text, beside the trunk.

Passes are those at a run's last checkpoint. The effect depends on size, so a factor is given size by size; what chance
does to one is the scatter of checkpoints that have read nothing twice.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers.analyse.questions import read_again
from helpers.analyse.questions.read_again import AMOUNT, MORE_LOSS, log_column
from helpers.analyse.questions.register import Prediction
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN, degradation, run_label
from helpers.analyse.rows.outcomes import KL, QID
from helpers.analyse.rows.study import FITTED_BITS, HELDOUT, UNSEEN, on_trunk, rows_of_every_run, study_rows
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, with_named_ends
from helpers.show.style import count_label

GPTQ = "gptq"
TEXTS = {"heldout": HELDOUT, "unseen": UNSEEN}
SIZES = ("small", "middle", "large")
FEW, SOME, MANY = 2, 4, 8  # passes at the last checkpoints
LEAST_EFFECT = 1.2  # a factor of KL that is called one
Ratios = Mapping[str, pd.DataFrame]  # by the text's short name: `over_fresh`


def ratios_of(again: pd.DataFrame, measured: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return, on each text, `over_fresh` of the measurements `again` of runs on a part of the text and the trunk's."""
    return {
        name: read_again.over_fresh(
            degradation(rows_of_every_run(again, text)), degradation(study_rows(measured, text))
        )
        for name, text in TEXTS.items()
    }


def numbers(again: pd.DataFrame, measured: pd.DataFrame) -> Numbers:
    """Return what the page states of measurements, by key: factors over the trunk, their scatter, methods, losses."""
    ratios = ratios_of(again, measured)
    rows = ratios["heldout"]
    found: Numbers = {"part_runs": rows["run_label"].nunique(), "part_sizes": rows["model"].nunique()}
    found |= {f"part_size_{name}": count_label(size) for name, size in _named(rows[N_PARAMS].unique()).items()}
    found |= {"part_tokens": count_label(rows[TOKENS_SEEN].max()), "part_least": count_label(rows[AMOUNT].min())}
    found |= scatters(rows) | factors(rows) | earlier(rows) | more_loss(ratios)
    found |= methods(degradation(rows_of_every_run(again)))
    check_claims(found)
    return found


def chosen(rows: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Return GPTQ's rows that an outcome is averaged over: every width for KL, the fitted ones for noisy QiD."""
    gptq = rows[rows["method"] == GPTQ]
    return gptq if outcome == KL.name else gptq[gptq["bits"].isin(FITTED_BITS)]


def passes_of(ends: pd.DataFrame) -> dict[int, int]:
    """Return, by the amount of text in tokens, how often runs have read it at their last checkpoint, rounded."""
    return {int(amount): round(passes) for amount, passes in ends.groupby(AMOUNT)["epochs"].max().items()}


def _named(sizes: Sequence[float]) -> dict[str, float]:
    return dict(zip(SIZES, sorted(sizes), strict=True))


def scatters(rows: pd.DataFrame) -> Numbers:
    """Return how many checkpoints have read nothing twice, and as what factor they scatter about the trunk."""
    early = read_again.before_again(rows)
    found: Numbers = {"part_before": early[["run_label", "step"]].drop_duplicates().shape[0]}
    for outcome in (KL, QID):
        scatter = read_again.scatter(chosen(rows, outcome.name), log_column(outcome.name))
        found[f"part_scatter_{outcome.name}"] = float(np.exp(scatter))
    return found


def factors(rows: pd.DataFrame) -> Numbers:
    """Return the factors of KL and QiD at the last tokens by passes and size, and over sizes for few passes."""
    found: Numbers = {}
    ends = read_again.at_the_end(rows)
    for outcome in (KL, QID):
        column, of_outcome = log_column(outcome.name), chosen(ends, outcome.name)
        means = read_again.means_by_amount(of_outcome, column)
        by_size = np.exp(of_outcome.groupby([AMOUNT, N_PARAMS])[column].mean())
        for amount, passes in passes_of(ends).items():
            name = f"part_{outcome.name}_{passes}"
            found |= {f"{name}_{size}": by_size[amount, n] for size, n in _named(by_size[amount].index).items()}
            found |= {} if passes == MANY else with_named_ends(name, np.exp(means.loc[amount, ["mean", "low", "high"]]))
    return found


def earlier(rows: pd.DataFrame) -> Numbers:
    """Return the factor of KL on the least text one checkpoint before the last, the trunk's own, with its passes."""
    least = chosen(rows[rows[AMOUNT] == rows[AMOUNT].min()], KL.name)
    before = least[least[TOKENS_SEEN] < least[TOKENS_SEEN].max()]
    last = before[before[TOKENS_SEEN] == before[TOKENS_SEEN].max()]
    by_size = np.exp(last.groupby(N_PARAMS)[log_column(KL.name)].mean())
    found: Numbers = {"part_earlier_passes": last["epochs"].iloc[0]}
    return found | {f"part_earlier_{size}": by_size[n] for size, n in _named(by_size.index).items()}


def more_loss(ratios: Ratios) -> Numbers:
    """Return the 16-bit loss beyond the trunk's at the last tokens, nats a token, by text, passes and size."""
    found: Numbers = {}
    for text, rows in ratios.items():
        ends = read_again.at_the_end(rows)
        by_size = ends.groupby([AMOUNT, N_PARAMS])[MORE_LOSS].mean()
        for amount, passes in passes_of(ends).items():
            for size, n in _named(by_size[amount].index).items():
                found[f"part_loss_{text}_{passes}_{size}"] = by_size[amount, n]
    return found


def methods(again: pd.DataFrame) -> Numbers:
    """Return the largest size's KL on the least text over that on the most, by method, a geometric mean over widths."""
    largest = again.loc[again[N_PARAMS].idxmax(), "model"]
    ratios = read_again.least_over_most(again[again["model"] == largest], KL.name)
    return {
        f"part_over_{name}": float(np.exp(mean)) for name, mean in ratios.groupby("method")["log_ratio"].mean().items()
    }


def registered(entries: Sequence[Prediction], again: pd.DataFrame) -> Numbers:
    """Return how many intervals that were registered for these runs hold, with many passes and with fewer."""
    labels = dict(zip(run_label(again), again[AMOUNT], strict=True))
    known = [(labels[e.run] == min(labels.values()), e.hit) for e in entries if e.run in labels and e.hit is not None]
    many, fewer = ([hit for is_many, hit in known if is_many == wanted] for wanted in (True, False))
    claim(all(fewer), "with fewer passes every interval holds")
    claim(sum(many) < 0.8 * len(many), "with many a good part doesn't")
    return {
        "part_registered_many": len(many),
        "part_hold_many": sum(many),
        "part_registered_fewer": len(fewer),
        "part_hold_fewer": sum(fewer),
    }


def overconfidence(described: pd.DataFrame, trunk: pd.DataFrame) -> Numbers:
    """Return loss less entropy, nats a token, of the largest size on the least text and on the trunk, at equal tokens.

    Both: rows of a table of checkpoints; the moment is the last that the two share.
    """
    own = described[described[AMOUNT] == described[AMOUNT].min()]
    both = own.merge(trunk[on_trunk(trunk)], on=["model", "step"], suffixes=("", "_trunk"))
    last = both[both["step"] == both["step"].max()].sort_values(N_PARAMS).iloc[-1]
    sure, fresh = (float(last[f"loss_nats{end}"] - last[f"logit_entropy_nats{end}"]) for end in ("", "_trunk"))
    errors = [np.asarray(last[f"rtn_error_3_bits{end}"], float) for end in ("", "_trunk")]
    moved, usual = (float(np.sqrt(np.mean(error**2))) for error in errors)
    claim(abs(moved / usual - 1) < 0.01, "the error of the rounded weights is the same within a percent")
    claim(sure > 5 * fresh, "predictions are surer than they are right")
    return {"part_sure": sure, "part_sure_trunk": fresh}


def check_claims(found: Numbers) -> None:
    """Raise ValueError where the page's words wouldn't hold."""
    kl = {passes: [float(found[f"part_kl_{passes}_{size}"]) for size in SIZES] for passes in (FEW, SOME, MANY)}
    qid = [float(found[f"part_qid_{MANY}_{size}"]) for size in SIZES]
    claim(max(abs(np.log(kl[FEW]))) < 2 * np.log(float(found["part_scatter_kl"])), "two passes change nothing")
    claim(kl[SOME] == sorted(kl[SOME]) and kl[SOME][-1] < LEAST_EFFECT, "four change little, most in the largest")
    claim(kl[MANY] == sorted(kl[MANY]) and kl[MANY][0] > LEAST_EFFECT, "eight raise KL, the more the larger the size")
    halves = [(one - 1) / (other - 1) for one, other in zip(qid, kl[MANY], strict=True)]
    claim(min(halves) > 0.35 and max(halves) < 0.65, "QiD shows about half of what KL does")
    over = [float(value) for name, value in found.items() if name.startswith("part_over_")]
    claim(min(over) > 1.5, "by every method")
    loss = [float(found[f"part_loss_heldout_{MANY}_{size}"]) for size in SIZES]
    claim(loss == sorted(loss) and loss[0] > 0.02, "the 16-bit loss suffers too, the more the larger")
