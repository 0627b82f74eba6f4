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
from helpers.analyse.fits.make_fits import parts_of_study
from helpers.analyse.fits.stored import TABLE
from helpers.analyse.laws.loss import ChinchillaLaw
from helpers.analyse.laws.names import FORMS
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


def main() -> None:
    """Simulate, count and keep the shares."""
    measured, rows = read_table(TABLE).to_pandas(), []
    parts, spread = parts_of_study(measured, rows_at(measured, HELDOUT)), seed_spread(measured)
    for law, (methods, n_bootstrapped) in TRIED.items():
        truth = fit_law(FORMS[law], parts[law][1].data)
        places = places_of(truth.data, loss_law_of(truth.data, ChinchillaLaw))
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
