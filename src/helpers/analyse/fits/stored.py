"""The project's fits as a file, `results/fits.json`: what it holds, and how it is written and read.

`make_fits` makes it (`make fits`); chapters and commands read it. It names the table of measurements that it was made
from by its SHA-256, and is refused when that table has changed since.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from helpers.analyse.fits.data import FitError, FitStatus
from helpers.analyse.fits.result import Draws, Estimate, FitResult
from helpers.analyse.laws.default import FITS, DefaultLaw
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import OuyangLossLaw, SizeAndTokensLaw, bounds_hit
from helpers.analyse.laws.names import FORMS, PER_BIT
from helpers.analyse.laws.variables import OWN_VARIABLES, LawError, ValidityRange
from helpers.analyse.rows.outcomes import OUTCOMES, QID, Outcome
from helpers.table.disk import write_atomically
from helpers.table.errors import ResultsError
from helpers.table.readers import read_json
from helpers.table.records import given, refuse_unknown, summed, verified

TABLE = Path("results/measurements.parquet")
VERSION = 3
KEYS = ("version", "table_sha256", "outcomes")
KEYS_OF_OUTCOME = (
    *("loss_law", "fits", "refused", "judged", "criteria"),
    *("by_run", "ranked", "rank_correlations", "outside", "default"),
)
DRAW = "<f4"  # of the file: seven digits, where the draws' own scatter begins at the second or third
# Fields of a stored fit that the file has under the same names, as they are and as numbers.
AS_THEY_ARE = ("form", "rows", "n_rows", "n_runs", "no_interval_because", "no_draws_because", "bounds_hit")
RUN_SCORES = ("n_rows", "n_clear", "log_mean_square", "coverage")
NUMBERS = ("condition_number", "tau", "aic", "bic", "level")

AnyLaw = TypeVar("AnyLaw", bound=Law)


@dataclass(frozen=True, eq=False)
class StoredFit:
    """A fitted law without its rows: what it says, how surely, and from what."""

    form: str  # a name of `FORMS`
    law: Law
    rows: str  # which rows were fitted, in words
    status: FitStatus
    bounds_hit: tuple[str, ...]
    n_rows: int
    n_runs: int
    condition_number: float
    tau: float  # relative spread beyond the paired errors
    aic: float  # comparable between fits of the same rows only
    bic: float
    level: float  # of the parameters' intervals
    params: dict[str, Estimate]  # by the paper's names; NaN beside the value: at a bound, or no interval by run
    no_interval_because: str
    draws: Draws | None  # of the coefficients and tau, see `by_run.draws_by_run`
    no_draws_because: str

    @property
    def coefficients(self) -> dict[str, float]:
        """Return the law's coefficients by name, on the scale of `draws` (`ln_k`, `beta`, ...)."""
        return dict(zip(self.law.coefficient_names(), self.law.coefficients.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class NamedFits:
    """Fits by name, and what laws among them need that take the 16-bit loss."""

    fits: dict[str, StoredFit]
    refused: dict[str, FitError]  # what the rows can't identify, with the reason
    loss_law: SizeAndTokensLaw | None  # of the 16-bit loss, fitted to the same rows; None: they hold too few losses
    loss_log_rms: float  # of ln(predicted / measured) 16-bit loss on these rows

    @property
    def widths(self) -> dict[float, str]:
        """Return the name of the fit of each bit width that `PER_BIT` has."""
        start = f"{PER_BIT}-"
        names = [name for name in (*self.fits, *self.refused) if name.startswith(start)]
        return {float(name.removeprefix(start)): name for name in sorted(names)}

    def fit(self, name: str, bits: float | None = None) -> StoredFit:
        """Return a fit by name; of `PER_BIT` the one of a bit width.

        Raises FitError for what couldn't be fitted, LawError for a bit width or a name that isn't here.
        """
        if name == PER_BIT:
            if bits not in self.widths:
                known, said = (
                    ", ".join(f"{width:g}" for width in self.widths),
                    "" if bits is None else f"; got {bits:g}",
                )
                raise LawError(f"{PER_BIT} is one law a bit width P, of {known}{said}")
            name = self.widths[bits]
        if name in self.refused:
            raise self.refused[name]
        if name not in self.fits:
            raise LawError(f"no fit is named '{name}'; there are {', '.join(self.fits)}")
        return self.fits[name]


@dataclass(frozen=True, eq=False)
class StoredFits(NamedFits):
    """What `results/fits.json` holds of one outcome."""

    table_sha256: str
    judged: pd.DataFrame  # `scoring.with_errors`, with a column `published`: constants as printed, nothing fitted
    criteria: pd.DataFrame  # `hold_outs.criteria` of the main fits' rows
    by_run: pd.DataFrame  # `hold_outs.scores_by_run`: what errors of scores are made of
    ranked: pd.DataFrame  # `scoring.compared` on the smaller sizes, by law, with `constants` and `candidate`
    rank_correlations: pd.DataFrame  # `scoring.rank_correlations` of `ranked` with the hold-outs of the largest size
    outside: pd.DataFrame  # `scoring.compared` with bits alone on models of others, by law; of QiD alone
    default: DefaultLaw | None  # None: nothing is judged yet
    outcome: Outcome = QID


def parameters(fit: FitResult, no_interval_because: str = "") -> dict[str, Estimate]:
    """Return the parameters of a fit by the paper's names, carried over from its coefficients.

    Ends of an interval are those of the coefficient's (k from ln k); standard errors go by the slope there (delta
    method). NaN for a coefficient at a bound, and for all where there is a reason that there is no interval.
    """
    estimates = {}
    for name, coefficient in zip(fit.law.parameter_names(), fit.coefficient_names, strict=True):
        value, estimate = float(getattr(fit.law, name)), fit.estimate(coefficient)
        if no_interval_because or coefficient in fit.bounds_hit:
            estimates[name] = Estimate(value, math.nan, math.nan, math.nan)
        elif name in fit.law.LOGS:
            with np.errstate(over="ignore"):
                low, high = np.exp([estimate.low, estimate.high])
            estimates[name] = Estimate(value, value * estimate.standard_error, float(low), float(high))
        elif name in fit.law.INVERSES:
            ends = sorted(math.inf if end * value <= 0 else 1 / end for end in (estimate.low, estimate.high))
            estimates[name] = Estimate(value, value**2 * estimate.standard_error, *ends)
        else:
            estimates[name] = Estimate(value, estimate.standard_error, float(estimate.low), float(estimate.high))
    return estimates


def table_digest(path: Path) -> str:
    """Return the SHA-256 of a table's file. Raises ResultsError where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ResultsError(f"{path}: can't be read ({error.strerror})") from None


def write_fits(path: Path, *stored: StoredFits) -> None:
    """Write the fits of each outcome as JSON, atomically; the bytes depend on them alone.

    All are of one table. Raises ResultsError if the disk refuses.
    """
    (table_sha256,) = {one.table_sha256 for one in stored}
    contents = {
        "version": VERSION,
        "table_sha256": table_sha256,
        "outcomes": {one.outcome.name: _of_outcome_to_json(one) for one in stored},
    }
    written = summed({name: plain(content) for name, content in contents.items()})
    write_atomically(path, json.dumps(written, separators=(",", ":"), allow_nan=False).encode() + b"\n")


def _of_outcome_to_json(stored: StoredFits) -> dict[str, Any]:
    loss_law = given(stored.loss_law)
    return {
        "loss_law": _range_to_json(loss_law)
        | {"parameters": {name: getattr(loss_law, name) for name in loss_law.parameter_names()}}
        | {"log_rms": stored.loss_log_rms, "bounds_hit": bounds_hit(loss_law)},
        "fits": {name: _fit_to_json(fit) for name, fit in stored.fits.items()},
        "refused": {name: {"status": error.status, "reason": str(error)} for name, error in stored.refused.items()},
        "judged": stored.judged.to_dict("records"),
        "criteria": stored.criteria.rename_axis("law").reset_index().to_dict("records"),
        "by_run": _runs_to_json(stored.by_run),
        "ranked": stored.ranked.rename_axis("law").reset_index().to_dict("records"),
        "rank_correlations": stored.rank_correlations.rename_axis("hold_out").reset_index().to_dict("records"),
        "outside": stored.outside.rename_axis("law").reset_index().to_dict("records"),
        "default": vars(given(stored.default)),
    }


def read_fits(path: Path = FITS, table_path: Path = TABLE, outcome: Outcome = QID) -> StoredFits:
    """Read the fits of one outcome made from the table at `table_path`.

    Raises ResultsError where the file is missing or isn't one of fits, and where it was made from another table.
    """
    try:
        contents = verified(read_json(path))
        if contents["version"] != VERSION:
            raise ValueError(f"version {contents['version']}, not {VERSION}")
        refuse_unknown(contents, KEYS)
        refuse_unknown(contents["outcomes"], OUTCOMES)
        of_outcomes = {name: _from_json(name, contents) for name in OUTCOMES if name in contents["outcomes"]}
        stored = of_outcomes[outcome.name]
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such file; `make fits` makes it") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, LawError) as error:
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ResultsError(f"{path}: not a file of fits ({words}); `make fits` makes it again") from None
    if stored.table_sha256 != table_digest(table_path):
        raise ResultsError(f"{path}: stale, {table_path} has changed since; `make fits` makes it again")
    return stored


def plain(value: object) -> object:
    """Return a value as JSON can hold it: NaN as null, infinities as the texts "inf" and "-inf", arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _range_to_json(law: Law) -> dict[str, Any]:
    ranges = {name: getattr(law.validity, name) for name in OWN_VARIABLES}
    return {"source": law.source, "range": ranges | law.validity.covariates}


def _law_from_json(law_type: type[AnyLaw], parameters: Mapping[str, Any], record: Mapping[str, Any]) -> AnyLaw:
    ranges = {name: (_number(ends[0]), _number(ends[1])) for name, ends in record["range"].items()}
    own = {name: ranges.pop(name) for name in OWN_VARIABLES}
    values = {name: _number(value) for name, value in parameters.items()}
    return law_type(**values, source=record["source"], validity=ValidityRange(**own, covariates=ranges))


def _packed(values: np.ndarray) -> str:
    """Return numbers as base64 of `DRAW`s: half of what they take as texts."""
    return base64.b64encode(values.astype(DRAW).tobytes()).decode()


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), DRAW).astype(float)


def _draws_to_json(draws: Draws) -> dict[str, Any]:
    columns = {name: _packed(column) for name, column in zip(draws.names, draws.coefficients.T, strict=True)}
    return {"coefficients": columns, "tau": _packed(draws.tau)}


def _draws_from_json(record: Mapping[str, Any]) -> Draws:
    columns = {name: _unpacked(column) for name, column in record["coefficients"].items()}
    return Draws(tuple(columns), np.array(list(columns.values())).T, _unpacked(record["tau"]))


def _fit_to_json(fit: StoredFit) -> dict[str, Any]:
    return {
        **{name: getattr(fit, name) for name in AS_THEY_ARE + NUMBERS},
        "status": str(fit.status),
        **_range_to_json(fit.law),
        "params": {name: estimate_to_json(one) for name, one in fit.params.items()},
        "coefficients": fit.coefficients,
        "draws": None if fit.draws is None else _draws_to_json(fit.draws),
    }


def estimate_to_json(one: Estimate) -> dict[str, float]:
    """Return an estimate under the names that the file and the commands use."""
    return {"estimate": one.value, "se": one.standard_error, "low": one.low, "high": one.high}


def _fit_from_json(record: Mapping[str, Any]) -> StoredFit:
    kept = {name: record[name] for name in AS_THEY_ARE} | {name: _number(record[name]) for name in NUMBERS}
    estimates = {
        name: Estimate(*(_number(one[key]) for key in ("estimate", "se", "low", "high")))
        for name, one in record["params"].items()
    }
    made = {
        "status": FitStatus(record["status"]),
        "bounds_hit": tuple(record["bounds_hit"]),
        "law": _law_from_json(FORMS[record["form"]], {name: one.value for name, one in estimates.items()}, record),
        "params": estimates,
        "draws": None if record["draws"] is None else _draws_from_json(record["draws"]),
    }
    return StoredFit(**(kept | made))


def _frame(records: list[dict[str, Any]], texts: tuple[str, ...]) -> pd.DataFrame:
    """Return records as a table; all columns but `texts` are numbers, missing ones NaN."""
    table = pd.DataFrame(records) if records else pd.DataFrame(columns=texts)
    numbers = [name for name in table.columns if name not in texts]
    return table.assign(**{name: table[name].map(_number).astype(float) for name in numbers})


def _runs_to_json(by_run: pd.DataFrame) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return scores by run as law -> hold-out -> run -> `RUN_SCORES`."""
    nested: dict[str, dict[str, dict[str, list[float]]]] = {}
    for (law, hold_out), rows in by_run.groupby(["law", "hold_out"], sort=False):
        values = rows[list(RUN_SCORES)].to_numpy(float)
        of_runs = dict(zip(rows["run_label"], values.tolist(), strict=True))
        nested.setdefault(str(law), {})[str(hold_out)] = of_runs
    return nested


def _runs_from_json(nested: Mapping[str, Mapping[str, Mapping[str, list[Any]]]]) -> pd.DataFrame:
    rows = [
        {"law": law, "hold_out": hold_out, "run_label": run} | dict(zip(RUN_SCORES, map(_number, values), strict=True))
        for law, of_law in nested.items()
        for hold_out, of_runs in of_law.items()
        for run, values in of_runs.items()
    ]
    return pd.DataFrame(rows, columns=["law", "hold_out", "run_label", *RUN_SCORES])


def _from_json(outcome: str, file: Mapping[str, Any]) -> StoredFits:
    contents = file["outcomes"][outcome]
    refuse_unknown(contents, KEYS_OF_OUTCOME)
    loss = contents["loss_law"]
    return StoredFits(
        table_sha256=file["table_sha256"],
        fits={name: _fit_from_json(one) for name, one in contents["fits"].items()},
        refused={name: FitError(one["reason"], FitStatus(one["status"])) for name, one in contents["refused"].items()},
        loss_law=_law_from_json(OuyangLossLaw, loss["parameters"], loss),
        loss_log_rms=_number(loss["log_rms"]),
        judged=_frame(contents["judged"], ("law", "hold_out", "reason", "published", "tied")),
        criteria=_frame(contents["criteria"], ("law", "status", "reason")).set_index("law"),
        by_run=_runs_from_json(contents["by_run"]),
        ranked=_frame(contents["ranked"], ("law", "tied", "candidate")).set_index("law"),
        rank_correlations=_frame(contents["rank_correlations"], ("hold_out",)).set_index("hold_out"),
        outside=_frame(contents["outside"], ("law", "tied")).set_index("law"),
        default=DefaultLaw.from_json(contents["default"]),
        outcome=OUTCOMES[outcome],
    )
