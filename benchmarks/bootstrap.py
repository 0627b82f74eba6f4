"""Times the wild cluster bootstrap of every law on the study's rows: `python benchmarks/bootstrap.py`.

For each fit of `results/fits.json`: CPU seconds of the fit and of 1,000 replicates; the largest difference over
coefficients (ln k, exponents) between statsmodels' fit and scoring that starts beside it; and for a few replicates the
same between the warm refit and statsmodels from all its starts, with what ln likelihood the warm refit falls short.
"""

import dataclasses
import time

import numpy as np

from helpers.analyse.fits.bootstrap import WarmFit, score_to_the_top, wild_bootstrap, wild_replicates
from helpers.analyse.fits.data import FitError
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.make_fits import parts_of_study
from helpers.analyse.fits.result import FitResult
from helpers.analyse.fits.stored import TABLE
from helpers.analyse.laws.names import FORMS
from helpers.analyse.rows.study import HELDOUT, rows_at
from helpers.table.files import read_table
from report import report

DRAWS = 1000
COMPARED = 2  # replicates that statsmodels fits too
BESIDE = 0.02  # standardised units, about as much in ln QiD


def from_beside(fit: FitResult) -> float:
    """Return the largest difference of scoring, started beside the estimate, from the estimate."""
    warm = WarmFit.of(fit)
    signs = np.where(warm.free, (-1.0) ** np.arange(warm.start.size), 0.0)
    found = score_to_the_top(warm.model, warm.start + BESIDE * signs, warm.free, warm.ends)
    return float(np.abs(warm.scaled.to_coefficients @ found[:-1] - fit.law.coefficients).max())


def on_replicates(fit: FitResult, generator: np.random.Generator) -> tuple[float, float]:
    """Return the largest difference of warm refits from statsmodels over replicates, and of ln likelihood."""
    warm, differences, short = WarmFit.of(fit), [], []
    for replicate in wild_replicates(fit, COMPARED, generator):
        whole = fit_law(type(fit.law), dataclasses.replace(fit.data, qid_nats=replicate))
        refit = warm.fit(replicate)
        differences.append(np.abs(refit.law.coefficients - whole.law.coefficients).max())
        short.append(whole.log_likelihood - refit.log_likelihood)
    return float(max(differences)), float(max(short))


def main() -> None:
    """Time and compare every law that the study's rows can be fitted to."""
    measured, rows = read_table(TABLE).to_pandas(), []
    for name, (form, part) in parts_of_study(measured, rows_at(measured, HELDOUT)).items():
        started = time.process_time()
        try:
            fit = fit_law(FORMS[form], part.data)
        except FitError:
            continue  # the rows can't identify this form
        fitted = time.process_time()
        draws = wild_bootstrap(fit, DRAWS, np.random.default_rng(0))
        drawn = time.process_time()
        beside, (difference, short) = from_beside(fit), on_replicates(fit, np.random.default_rng(1))
        rows.append(
            {
                "work": name,
                "n_rows": fit.n_rows,
                "n_runs": fit.n_runs,
                "fit_cpu_seconds": fitted - started,
                "bootstrap_cpu_seconds": drawn - fitted,
                "n_failed": draws.n_failed,
                "difference_from_beside": beside,
                "replicates_compared": COMPARED,
                "difference_on_replicates": difference,
                "log_likelihood_short": short,
            }
        )
    report("bootstrap", rows)


if __name__ == "__main__":
    main()
