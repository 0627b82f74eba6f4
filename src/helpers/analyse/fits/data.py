"""The data that a law is fitted to, and what can go wrong with them."""

import contextlib
import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from helpers.analyse.arrays import FloatArray
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.variables import OWN_VARIABLES, LawError, ValidityRange, Variables
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.table.errors import QidError

NO_ERROR_NATS = 1e-12  # stands for no error of a row's own: tau alone


class FitStatus(enum.StrEnum):
    """The outcome of a fit. The last two never come with estimates: they are the `status` of a FitError."""

    CONVERGED = "converged"  # estimates are at a maximum of the likelihood, from ten training runs or more
    FEW_RUNS = "few_runs"  # the same from fewer than ten runs: use intervals by run, with t(runs - 1) or fewer
    BOUND_HIT = "bound_hit"  # said before few_runs; `bounds_hit` names it. ln_tau low: se alone explains the scatter
    NOT_IDENTIFIABLE = "not_identifiable"  # the data can't tell some parameter; the message names it
    FAILED = "failed"  # data that can't be used, or no start of the optimiser reached a maximum


class FitError(QidError):
    """A fit gave no usable estimate; `status` says why: not identifiable, or failed."""

    def __init__(self, message: str, status: FitStatus) -> None:
        super().__init__(message)
        self.status = status


@contextlib.contextmanager
def within_floats() -> Iterator[None]:
    """Make a FitError of numbers that floats don't hold; on the way to a maximum they may be infinite."""
    try:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            yield
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        raise FitError(f"the rows lead beyond the numbers that floats hold ({error})", FitStatus.FAILED) from None


@dataclass(frozen=True, eq=False)
class FitData:
    """The arrays of one fit, each of shape (n_rows,); the outcome (QiD or KL) and its error in nats per token.

    `covariates` holds other variables that a law may need (names as in `laws.variables.VARIABLES`); NaN: not known.
    Raises FitError on unequal lengths, values that aren't finite, or covariates and errors that aren't positive.
    """

    tokens: FloatArray
    n_params: FloatArray
    bits: FloatArray
    outcome_nats: FloatArray
    outcome_se_nats: FloatArray
    runs: np.ndarray  # one label per row: rows of one training run share it
    covariates: Variables = field(default_factory=dict)
    outcome: Outcome = QID  # which one it is

    def __post_init__(self) -> None:
        """Check the arrays."""
        arrays = self._arrays
        shapes = {np.shape(values) for values in [*arrays.values(), *self.covariates.values()]}
        if len(shapes) > 1 or np.ndim(self.tokens) != 1:
            raise FitError("the arrays of a fit must be one-dimensional and equally long", FitStatus.FAILED)
        for name in (*OWN_VARIABLES, "outcome_nats", "outcome_se_nats"):
            if not np.all(np.isfinite(arrays[name])):
                raise FitError(f"'{name}' holds values that aren't finite", FitStatus.FAILED)
            if name != "outcome_nats" and np.any(arrays[name] <= 0):
                raise FitError(f"'{name}' holds values that aren't positive", FitStatus.FAILED)

    @property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: values for name, values in vars(self).items() if name not in ("covariates", "outcome")}

    @classmethod
    def from_table(cls, table: pd.DataFrame, outcome: Outcome = QID) -> "FitData":
        """Take the arrays from a table made by `degradation`, or from one that has its five columns and `run_label`.

        An outcome that isn't paired may lack its column of errors: each is then `NO_ERROR_NATS`, and tau is all.

        Covariates come from the columns that are there. `lr_fraction` is what decay has left of the peak learning
        rate: 1 also during the warm-up, where `lr_phase` tells; what the table doesn't know is NaN.
        """
        columns = {"group_size": "group_size", "lr_fraction": "lr_fraction", "loss_nats": "baseline_loss_nats"}
        columns |= {name: name for name in ("quantized_ratio", "input_outliers", "curvature_nats")}
        covariates = {name: table[column].to_numpy(float) for name, column in columns.items() if column in table}
        if "lr_phase" in table and "lr_fraction" in covariates:
            undecayed = table["lr_phase"].isin(("warmup", "stable"))
            covariates["lr_fraction"] = np.where(undecayed, 1.0, covariates["lr_fraction"])
        if "vocabulary_size" in table and "loss_nats" in covariates:
            covariates["room_nats"] = np.log(table["vocabulary_size"].to_numpy(float)) - covariates["loss_nats"]
        errors = table[outcome.error] if outcome.paired or outcome.error in table else pd.Series(np.nan, table.index)
        errors = errors if outcome.paired else errors.fillna(NO_ERROR_NATS)
        return cls(
            tokens=table["tokens_seen"].to_numpy(float),
            n_params=table["n_params_non_embedding"].to_numpy(float),
            bits=table["bits"].to_numpy(float),
            outcome_nats=table[outcome.column].to_numpy(float),
            outcome_se_nats=errors.to_numpy(float),
            runs=table["run_label"].to_numpy(str),
            covariates=covariates,
            outcome=outcome,
        )

    def where(self, mask: np.ndarray) -> "FitData":
        """Return the rows for which `mask`, shape (n_rows,), is True (or those at these places, in their order)."""
        covariates = {name: values[mask] for name, values in self.covariates.items()}
        kept = {name: values[mask] for name, values in self._arrays.items()}
        return FitData(**kept, covariates=covariates, outcome=self.outcome)

    def with_covariates(self, **changed: FloatArray) -> "FitData":
        """Return the same rows with some covariates added or replaced."""
        return replace(self, covariates=self.covariates | changed)

    def variables(self, law: type[Law]) -> Variables:
        """Return the variables that the law needs of these rows. Raises FitError where they don't have it."""
        try:
            return law.variables(vars(self) | self.covariates)
        except LawError as error:
            raise FitError(str(error), FitStatus.NOT_IDENTIFIABLE) from error

    def asked(self, law: Law) -> Variables:
        """Return the fitted law's variables in these rows. Raises LawError where they hold what it can't say."""
        return law.ask(vars(self) | self.covariates)

    @property
    def validity(self) -> ValidityRange:
        """Return the ranges that the rows cover; of covariates, those that every row has."""
        known = {name: values for name, values in self.covariates.items() if np.all(np.isfinite(values))}
        return ValidityRange(
            tokens=_ends(self.tokens),
            n_params=_ends(self.n_params),
            bits=_ends(self.bits),
            covariates={name: _ends(values) for name, values in known.items()},
        )


def stacked(parts: Sequence[FitData]) -> FitData:
    """Return the rows of all parts, one after the other, with the covariates that every part has."""
    shared = set.intersection(*(set(part.covariates) for part in parts))
    arrays = {
        name: np.concatenate([vars(part)[name] for part in parts])
        for name in vars(parts[0])
        if name not in ("covariates", "outcome")
    }
    covariates = {name: np.concatenate([part.covariates[name] for part in parts]) for name in sorted(shared)}
    return FitData(**arrays, covariates=covariates, outcome=parts[0].outcome)


def _ends(values: FloatArray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
