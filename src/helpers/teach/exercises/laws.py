"""Exercises of chapters 5, 6, 8, 9, 17, 20 and 21: exponents, a table, a forecast, a spread, a floor, a rule."""

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.questions.trends import slope
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.teach import data
from helpers.teach.exercises.learn import LINE
from helpers.teach.verdicts import Exercise, Slip

QUARTER = 4  # the forecast of 9.4 sees the rows up to the last tokens over this
TARGET = 0.1  # nats per token: the reading of the gauge of 8.4
LARGE = {"tokens": 15e12, "n_params": 7e9, "bits": 3.0}  # the model that 17.4 asks two laws about


def plain_exponents() -> FloatArray:
    """Return the slopes of ln QiD on ln D, ln N and ln P by least squares over all late rows, shape (3,), no unit."""
    rows = data.late()
    columns = [np.log(rows[name].to_numpy(float)) for name in (TOKENS_SEEN, N_PARAMS, "bits")]
    design = np.column_stack([np.ones(len(rows)), *columns])
    answer: FloatArray = np.linalg.lstsq(design, np.log(rows["qid_nats"].to_numpy(float)), rcond=None)[0][1:]
    return answer


def printed_slope(bits: int) -> float:
    """Return the exponent of tokens in the printed cells of 7B parameters at `bits`, no unit."""
    cells = data.printed().query("n_params == 7e9 and bits == @bits")
    return slope(cells["tokens_trillions"].to_numpy(float), cells["qid_nats"].to_numpy(float))


def reading(target_nats: float) -> float:
    """Return the tokens per parameter at which a line through all rows at 3 bits says `target_nats`; logarithms."""
    rows = data.late().query("bits == 3")
    ratio = rows[TOKENS_SEEN].to_numpy(float) / rows[N_PARAMS].to_numpy(float)
    inclination, level = np.polyfit(np.log(ratio), np.log(rows["qid_nats"].to_numpy(float)), 1)
    return float(np.exp((np.log(target_nats) - level) / inclination))


def _of_smallest() -> pd.DataFrame:
    rows = data.late().query("bits == 3")
    return rows[rows[N_PARAMS] == rows[N_PARAMS].min()].sort_values(TOKENS_SEEN)


def forecast_miss() -> float:
    """Return ln(predicted / measured) of the smallest model's last checkpoint at 3 bits, from its first quarter."""
    rows = _of_smallest()
    seen, last = rows[rows[TOKENS_SEEN] <= rows[TOKENS_SEEN].max() / QUARTER], rows.iloc[-1]
    line = np.polyfit(np.log(seen[TOKENS_SEEN].to_numpy(float)), np.log(seen["qid_nats"].to_numpy(float)), 1)
    return float(np.polyval(line, np.log(last[TOKENS_SEEN])) - np.log(last["qid_nats"]))


def answer_of(law: str) -> float:
    """Return what a fitted law says of the model `LARGE`, in nats per token."""
    return float(data.fits().fits[law].law.predict(**LARGE))


def least_seen(bits: int = 3) -> float:
    """Return the least QiD of all sizes but the largest over the least of the largest, at `bits`, no unit."""
    rows = data.late().query("bits == @bits")
    largest = rows[N_PARAMS] == rows[N_PARAMS].max()
    return float(rows.loc[~largest, "qid_nats"].min() / rows.loc[largest, "qid_nats"].min())


def narrow_over_rule(n_steps: bool = True) -> float:
    """Return QiD at 2 bits over that at 4 and over what squared steps say of the two, the geometric mean; no unit.

    Without `n_steps` squared numbers of levels are meant in their place. All late rows.
    """
    qid = data.late().pivot(index=["run", TOKENS_SEEN], columns="bits", values="qid_nats")
    less = 1 if n_steps else 0
    rule = ((2**4 - less) / (2**2 - less)) ** 2
    return float(np.exp(np.log(qid[2] / qid[4] / rule).mean()))


EXERCISES = (
    Exercise(
        "5.4",
        "γ, the exponent of bits, no unit",
        lambda: -float(plain_exponents()[2]),
        0.01,
        LINE,
        "Regress ln QiD on ln D, ln N and ln P together; γ is minus the slope of ln P.",
        (
            Slip(lambda: float(plain_exponents()[2]), "γ is the exponent below the fraction line: change the sign."),
            Slip(lambda: float(plain_exponents()[0]), "That is β, the exponent of tokens."),
            Slip(lambda: -float(plain_exponents()[1]), "That is α, the exponent of size."),
        ),
    ),
    Exercise(
        "6.4",
        "β, the exponent of tokens, no unit",
        lambda: printed_slope(3),
        0.01,
        "tokens are printed to four digits, which leaves β known to a thousandth",
        "Of 7B parameters and 3 bits there are four cells. The slope is of ln QiD on ln D.",
        (
            Slip(lambda: 1 / printed_slope(3), "That is one over it: ln D on ln QiD."),
            Slip(lambda: printed_slope(2), "That is β of 2 bits."),
            Slip(lambda: printed_slope(4), "That is β of 4 bits."),
        ),
    ),
    Exercise(
        "8.4",
        "tokens per parameter, no unit",
        lambda: reading(TARGET),
        0.02,
        "reading a line backwards divides by its slope, which doubles small differences",
        "Fit ln QiD = a + b ln(D/N) over all sizes at 3 bits, then solve it for D/N.",
        (
            Slip(lambda: float(np.log(reading(TARGET))), "That is the logarithm of the ratio."),
            Slip(lambda: reading(2 * TARGET), "That is the reading at twice the QiD."),
        ),
    ),
    Exercise(
        "9.4",
        "ln(predicted / measured), no unit",
        forecast_miss,
        0.02,
        "the miss is a difference of two logarithms, each known to a few thousandths",
        "Fit to the rows up to a quarter of the last tokens, predict the last row, take the logarithm of the ratio.",
        (
            Slip(lambda: float(np.exp(forecast_miss())), "That is the ratio; its logarithm is asked for."),
            Slip(lambda: float(np.expm1(forecast_miss())), "That is the relative miss; take ln of the ratio instead."),
        ),
    ),
    Exercise(
        "17.4",
        "the larger answer over the smaller, no unit",
        lambda: max(answer_of("steps"), answer_of("power")) / min(answer_of("steps"), answer_of("power")),
        0.01,
        "both laws are stored with all their digits",
        'Use `fits().fits["power"].law.predict(tokens=..., n_params=..., bits=...)`, then the same of "steps".',
        (
            Slip(
                lambda: min(answer_of("steps"), answer_of("power")) / max(answer_of("steps"), answer_of("power")),
                "That is the smaller over the larger.",
            ),
            Slip(
                lambda: abs(answer_of("steps") - answer_of("power")),
                "That is their difference in nats; a ratio is asked for.",
            ),
        ),
    ),
    Exercise(
        "20.2",
        "the least QiD of smaller sizes over the least of the largest, no unit",
        least_seen,
        0.005,
        "both are single rows of the table",
        "Rows at 3 bits; the least of `qid_nats` without the largest size, over the least of the largest size.",
        (
            Slip(lambda: 1 / least_seen(), "That is the largest size over the others."),
            Slip(lambda: least_seen(2), "That is at 2 bits."),
        ),
    ),
    Exercise(
        "21.4",
        "QiD at 2 bits over 25 times that at 4, no unit",
        narrow_over_rule,
        0.005,
        "the rows are there and nothing is drawn",
        "Pivot QiD by bits, a row a checkpoint. Take ln of QiD at 2 bits over 25 times that at 4, the mean, e to it.",
        (
            Slip(
                lambda: narrow_over_rule(n_steps=False),
                "You take 16 levels against 4. A grid of P bits has one step fewer than levels.",
            ),
            Slip(lambda: 25 * narrow_over_rule(), "That is the plain ratio; the rule's 25 is still in it."),
        ),
    ),
)
