"""Which law predicts: laws by hold-outs, each law fitted to training rows and scored on rows that it hasn't seen.

Scores are of ln QiD on rows with a QiD of more than three noise floors, and in nats on the others; see
`predictions.Predictions`. A law that can't be fitted to the training rows or can't say anything of those held out is
n/a, with the reason. Tables are those of `degradation`, of one scheme (`rows_of_fit`), all families.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData, FitError, FitStatus
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.loss import fit_loss_law
from helpers.analyse.fits.predictions import Predictions, hold_out, joined, predictions
from helpers.analyse.laws.forms import OneBitWidthLaw
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import OuyangLossLaw, SizeAndTokensLaw
from helpers.analyse.laws.variables import LawError
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.noise_floor import NoiseFloor
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.study import FITTED_BITS, on_trunk

LATE_FACTOR = 4.0
LAST_SIZES = 4  # of "one size up"
FEWEST_SMALLER = 4  # sizes that a law of size is fitted to there
LARGEST_SIZES = 2  # of "larger and later"
SECOND_RUN = "second run of the largest size"
INNER = "smaller sizes: "  # before the names of hold-outs that the largest size has no part in

Floor = Callable[[FitData], FloatArray]  # nats per row, shape (n_rows,)
Predictor = Callable[[FitData, FitData, FloatArray], Predictions]  # training, held out, floor of the latter


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to fit and rows to predict."""

    training: pd.DataFrame
    held: pd.DataFrame

    def predicted(self, predictor: "Predictor", floor: Floor, outcome: Outcome) -> Predictions:
        """Return the predictions of the rows held out. Raises FitError where the predictor can't make any."""
        held = FitData.from_table(self.held, outcome)
        return predictor(FitData.from_table(self.training, outcome), held, floor(held))

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to fit or nothing to predict."""
        return self.held.empty or self.training.empty


@dataclass(frozen=True, eq=False)
class InTurn:
    """Several splits that are scored as one hold-out."""

    splits: tuple[Split, ...]

    def predicted(self, predictor: "Predictor", floor: Floor, outcome: Outcome) -> Predictions:
        """Return the predictions of all rows held out. Raises FitError where those of one split can't be made."""
        return joined([split.predicted(predictor, floor, outcome) for split in self.splits])

    @property
    def empty(self) -> bool:
        """Return whether there is no split, or one without rows to fit or to predict."""
        return not self.splits or any(split.empty for split in self.splits)


HeldOut = Split | InTurn
HeldOuts = Mapping[str, HeldOut] | Mapping[str, Split] | Mapping[float, Split]  # by name, or by size


def floor_by_bits(floors: Mapping[float, NoiseFloor]) -> Floor:
    """Return a function from rows to noise floors (`noise_floor.study_floors`): of another run, as a hold-out is one.

    A bit width without replicates takes the floor of the nearest width that has one.
    """
    known = np.array(sorted(floors))

    def floor(data: FitData) -> FloatArray:
        nearest = known[np.abs(data.bits[:, None] - known).argmin(axis=1)]
        values = np.empty(data.bits.shape)
        for bits in known:
            values[nearest == bits] = floors[bits].of_another_run(data.outcome_nats[nearest == bits])
        return values

    return floor


def splits(
    table: pd.DataFrame, other_text: pd.DataFrame, second_runs: pd.DataFrame | None = None
) -> dict[str, HeldOut]:
    """Return the hold-outs by name, of rows at `FITTED_BITS` and, as one hold-out, at the other bit widths.

    `other_text` holds the same measurements on another evaluation text. `second_runs` has rows as `table` has them, of
    the trunk's sizes trained once more; they are held out with their sizes and never fitted to.
    """
    second = table.iloc[:0] if second_runs is None else second_runs
    wider = table[on_trunk(table) & ~table["bits"].isin(FITTED_BITS)]
    table, other_text, second = (one[one["bits"].isin(FITTED_BITS)] for one in (table, other_text, second))
    trunk, unseen = table[on_trunk(table)], other_text[on_trunk(other_text)]
    size, tokens, bits = (trunk[name] for name in (N_PARAMS, TOKENS_SEEN, "bits"))
    decayed = (table["lr_phase"] == "decay") & (table["n_averaged"] == 1)
    masks = {
        "largest size": size == size.max(),
        "last factor 4 in D": tokens > tokens.max() / LATE_FACTOR,
        "3 bits": bits == 3,
        "2 bits": bits == 2,
    }
    by_name: dict[str, HeldOut] = {name: Split(trunk[~mask], trunk[mask]) for name, mask in masks.items()}
    by_name["decayed rate"] = Split(trunk, table[decayed])
    cosine = decayed & (table["schedule"] == "cosine")
    by_name["cooldown after cosine"] = Split(pd.concat([trunk, table[cosine]]), table[decayed & ~cosine])
    by_name["other bits"] = Split(trunk, wider)
    by_name["another text"] = Split(trunk, unseen)
    by_name |= {name: one for name, one in upwards(trunk, second).items() if name not in by_name}
    by_name[SECOND_RUN] = Split(trunk[size < size.max()], second[second[N_PARAMS] == size.max()])
    smaller = upwards(trunk[size < size.max()], second)
    by_name |= {f"{INNER}{name}": one for name, one in smaller.items()}
    return {name: one for name, one in by_name.items() if not one.empty}


def upwards(trunk: pd.DataFrame, second: pd.DataFrame) -> dict[str, HeldOut]:
    """Return the hold-outs that go where laws are asked: to larger sizes, to later tokens, and to both at once.

    "One size up" is each of the last `LAST_SIZES` sizes from all smaller ones, "larger and later" the largest
    `LARGEST_SIZES` in the last factor `LATE_FACTOR` of D, from smaller sizes and earlier tokens. `second` has second
    runs, held out with their sizes.
    """
    sizes = np.sort(trunk[N_PARAMS].unique())
    latest = trunk[TOKENS_SEEN].max() / LATE_FACTOR
    late, early = trunk[trunk[TOKENS_SEEN] > latest], trunk[trunk[TOKENS_SEEN] <= latest]
    both = pd.concat([trunk, second]) if len(second) else trunk
    in_turn = [
        Split(trunk[trunk[N_PARAMS] < size], both[both[N_PARAMS] == size])
        for size in sizes[max(FEWEST_SMALLER, sizes.size - LAST_SIZES) :]
    ]
    largest = both[both[N_PARAMS].isin(sizes[-LARGEST_SIZES:]) & (both[TOKENS_SEEN] > latest)]
    return {
        "one size up": InTurn(tuple(in_turn)),
        "last factor 4 in D": Split(early, late),
        "larger and later": Split(early[~early[N_PARAMS].isin(sizes[-LARGEST_SIZES:])], largest),
    }


def refitted(law_type: type[Law]) -> Predictor:
    """Return the plain predictor: the law fitted to the training rows, intervals by training run."""
    return lambda training, held, floor: hold_out(law_type, training, held, floor)


def as_published(laws: Law | Mapping[float, Law]) -> Predictor:
    """Return the predictor that takes a law (or one per bit width) as it is, constants and all: no interval."""

    def predict(_training: FitData, held: FitData, floor: FloatArray) -> Predictions:
        predicted = np.empty(held.bits.shape)
        for bits in np.unique(held.bits):
            rows = held.bits == bits
            law = laws if isinstance(laws, Law) else _law_of_width(laws, bits)
            try:
                predicted[rows] = np.exp(law.evaluate(law.coefficients, held.where(rows).asked(law))[0])
            except LawError as error:
                raise FitError(str(error), FitStatus.NOT_IDENTIFIABLE) from error
        nothing = np.full(predicted.shape, np.nan)
        return Predictions(held, floor, predicted, nothing, nothing, 0.90, "published constants come without errors")

    return predict


def _law_of_width(laws: Mapping[float, Law], bits: float) -> Law:
    if bits not in laws:
        message = f"published for {', '.join(map(str, laws))} bits, not {bits:g}"
        raise FitError(message, FitStatus.NOT_IDENTIFIABLE)
    return laws[bits]


def per_bit_width(training: FitData, held: FitData, floor: FloatArray) -> Predictions:
    """Fit one `OneBitWidthLaw` per bit width and predict each width's rows with its own."""
    predicted, low, high = (np.empty(held.bits.shape) for _ in range(3))
    trouble, level = "", 0.0
    for bits in np.unique(held.bits):
        rows, mine = held.bits == bits, training.bits == bits
        if not mine.any():
            raise FitError(f"no training row has {bits:g} bits", FitStatus.NOT_IDENTIFIABLE)
        one = hold_out(OneBitWidthLaw, training.where(mine), held.where(rows), floor[rows])
        predicted[rows], low[rows], high[rows] = one.predicted_nats, one.low_nats, one.high_nats
        trouble, level = trouble or one.no_interval_because, one.level
    return Predictions(held, floor, predicted, low, high, level, trouble)


def loss_law_of(data: FitData, law_type: type[SizeAndTokensLaw] = OuyangLossLaw) -> SizeAndTokensLaw:
    """Return the loss law fitted to the 16-bit losses of the rows, every model once. Raises FitError without losses.

    On the study's rows equation 3 has alpha_D at its bound (`laws.loss.bounds_hit`): below 1e8 tokens the small models
    are still above what any power of D says, and fall faster. It stays: Chinchilla's form predicts the losses of the
    largest size better and those of the last factor 4 in D worse.
    """
    if "loss_nats" not in data.covariates:
        raise FitError("no 16-bit losses ('loss_nats') to fit a loss law to", FitStatus.NOT_IDENTIFIABLE)
    triples = np.unique(np.column_stack([data.tokens, data.n_params, data.covariates["loss_nats"]]), axis=0)
    tokens, n_params, losses = triples.T
    return fit_loss_law(law_type, tokens, n_params, losses, source="fitted to this project's 16-bit losses")


def loss_miss(loss_law: SizeAndTokensLaw, data: FitData) -> float:
    """Return the root mean square of ln(predicted / measured) 16-bit loss over rows."""
    said = np.log(loss_law.predict(data.tokens, data.n_params))
    return float(np.sqrt(np.mean((np.log(data.covariates["loss_nats"]) - said) ** 2)))


def with_predicted_loss(law_type: type[Law], loss_law_type: type[SizeAndTokensLaw]) -> Predictor:
    """Return the predictor of a law that needs the 16-bit loss: of rows held out, a loss law in D and N predicts it.

    Both laws are fitted to the training rows, with their measured losses. Intervals hold the loss law's own misses
    there (root mean square of ln L), times how strongly QiD depends on them.
    """

    def predict(training: FitData, held: FitData, floor: FloatArray) -> Predictions:
        loss_law = loss_law_of(training, loss_law_type)
        miss = loss_miss(loss_law, training)
        loss = loss_law.predict(held.tokens, held.n_params)
        fit, trouble = fit_by_run(law_type, training)
        there, beside = (held.with_covariates(loss_nats=loss * np.exp(one)) for one in (0.0, miss))
        both = [fit.law.evaluate(fit.law.coefficients, data.asked(fit.law))[0] for data in (there, beside)]
        return predictions(fit, there, floor, trouble, input_error=both[1] - both[0])

    return predict


Made = dict[tuple[Hashable, Hashable], Predictions | FitError]  # by law and hold-out


def predict_all(predictors: Mapping[str, Predictor], hold_outs: HeldOuts, floor: Floor, outcome: Outcome = QID) -> Made:
    """Return the predictions of each law for each hold-out, in order, or why it can't make any."""
    made: Made = {}
    for name, predictor in predictors.items():
        for held_out, split in hold_outs.items():
            try:
                made[name, held_out] = split.predicted(predictor, floor, outcome)
            except FitError as error:
                made[name, held_out] = error
    return made


def scores(made: Made) -> pd.DataFrame:
    """Return one row per law and hold-out, in order: `law`, `hold_out`, the scores of `Predictions`, `reason`.

    Where a law can't predict the scores are missing and `reason` says why; where it can but without intervals, too.
    """
    rows = []
    for (law, held_out), found in made.items():
        row = {"law": law, "hold_out": held_out}
        if isinstance(found, FitError):
            rows.append(row | {"reason": str(found)})
        else:
            rows.append(row | found.scores() | {"reason": found.no_interval_because})
    return pd.DataFrame(rows)


def scores_by_run(made: Made) -> pd.DataFrame:
    """Return one row per law, hold-out and run held out: `law`, `hold_out`, those of `Predictions.scores_by_run`."""
    parts = [
        found.scores_by_run().assign(law=law, hold_out=held_out)
        for (law, held_out), found in made.items()
        if not isinstance(found, FitError)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"law": []})


def judge(
    predictors: Mapping[str, Predictor], hold_outs: HeldOuts, floor: Floor, outcome: Outcome = QID
) -> pd.DataFrame:
    """Return the `scores` of laws on hold-outs."""
    return scores(predict_all(predictors, hold_outs, floor, outcome))


def criteria(law_types: dict[str, type[Law]], data: FitData) -> pd.DataFrame:
    """Return, by law fitted to all rows of `data`, `tau`, `aic`, `bic`, `n_coefficients`, `status` and `reason`."""
    rows: dict[str, dict[str, object]] = {}
    for name, law_type in law_types.items():
        try:
            fit = fit_law(law_type, data)
        except FitError as error:
            rows[name] = {"status": str(error.status), "reason": str(error)}
            continue
        counted = {"n_coefficients": int(fit.free.sum()), "status": str(fit.status), "reason": ""}
        rows[name] = {"tau": fit.tau, "aic": fit.aic, "bic": fit.bic} | counted
    columns = ["tau", "aic", "bic", "n_coefficients", "status", "reason"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def table_of_scores(judged: pd.DataFrame, score: str = "log_rms") -> pd.DataFrame:
    """Return one score of `judge` as a table, laws by hold-outs in their order; NaN: n/a."""
    wide = judged.pivot(index="law", columns="hold_out", values=score)
    return wide.loc[judged["law"].unique(), judged["hold_out"].unique()]
