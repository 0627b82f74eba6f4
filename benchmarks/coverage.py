"""Counts how often intervals hold the truth, on tables like the study's: `python benchmarks/coverage.py`.

Two kinds of luck of training runs are planted: that of training seeds, and that which the fit's own residuals show.
Each law is planted as fitted to the study. Coefficients get 95% intervals; what the law says, and a new run, 90% ones:
inside the rows, ten times beyond them in D and N, and for 70B parameters at 10T tokens. Some fifteen minutes on one
core; the bootstrap, 199 refits a table, sees fewer tables. `pytest -m slow` redoes some of it.
"""

import pandas as pd

from helpers.analyse.fits.coverage import (
    BOOTSTRAP,
    CR2,
    DRAWN,
    LEVEL,
    PREDICTION_LEVEL,
    PROFILE,
    ROWS,
    luck_of_residuals,
    luck_of_seeds,
    places_of,
    prediction_trials,
    seed_spread,
    shares,
    trials,
)
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.hold_outs import loss_law_of
from helpers.analyse.fits.result import FitResult
from helpers.analyse.fits.stored import TABLE
from helpers.analyse.fits.with_draws import FitRows
from helpers.analyse.judgement.make_fits import parts_of_study
from helpers.analyse.laws.loss import ChinchillaLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.laws.variables import Variables
from helpers.analyse.rows.study import HELDOUT, rows_at
from helpers.table.files import read_table
from report import report

TABLES = 1000
SEED = 0
TRIED = {  # law -> methods of its coefficients on all tables, and how many tables the bootstrap sees
    "power": ((ROWS, CR2, PROFILE), 250),
    "steps": ((ROWS, CR2), 0),
    "loss": ((ROWS, CR2), 0),
}
LUCK = {"seeds": luck_of_seeds, "residuals": luck_of_residuals}


def study() -> tuple[dict[str, tuple[str, FitRows]], float]:
    """Return the form and the rows of each of the study's fits, by name, and the relative spread of training seeds."""
    measured = read_table(TABLE).to_pandas()
    return parts_of_study(measured, rows_at(measured, HELDOUT)), seed_spread(measured)


def planted(parts: dict[str, tuple[str, FitRows]], law: str) -> tuple[FitResult, Variables]:
    """Return the fit of a law to the study, which is the truth of the tables, and the places at which it is asked."""
    truth = fit_law(FORMS[law], parts[law][1].data)
    return truth, places_of(truth.data, loss_law_of(truth.data, ChinchillaLaw))


def main() -> None:
    """Simulate, count and keep the shares."""
    (parts, spread), rows = study(), []
    for law, (methods, n_bootstrapped) in TRIED.items():
        truth, places = planted(parts, law)
        for name, luck_of in LUCK.items():
            luck = luck_of(truth, spread)
            coefficients = [trials(truth, luck, methods, range(TABLES), SEED)]
            predictions = [prediction_trials(truth, luck, (DRAWN, CR2), places, range(TABLES), SEED)]
            if n_bootstrapped:
                fewer = range(n_bootstrapped)
                coefficients.append(trials(truth, luck, (BOOTSTRAP,), fewer, SEED))
                predictions.append(prediction_trials(truth, luck, (BOOTSTRAP,), places, fewer, SEED))
            for level, tried in ((LEVEL, coefficients), (PREDICTION_LEVEL, predictions)):
                of = {"law": law, "luck": name, "n_runs": truth.n_runs, "n_rows": truth.n_rows, **vars(luck)}
                rows += [of | {"level": level} | row for row in shares(pd.concat(tried)).to_dict("records")]
            print(law, name, "done", flush=True)
    report("coverage", rows)


if __name__ == "__main__":
    main()
