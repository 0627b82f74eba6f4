"""Counts how often intervals hold the truth when runs share steps: `python benchmarks/coverage_steps.py`.

The trunk's runs read the same batches in the same order, so that their luck at a step may be shared. Beside the luck
of runs that the fit's own residuals show, steps get one of their own: none, each by itself, or with a memory, as a bend
that all runs share has. Intervals by run and those by run and step are tried, on the same tables. A few minutes on one
core. What `coverage.py` counts has no shared steps.
"""

import pandas as pd

from helpers.analyse.fits.coverage import (
    CR2,
    DRAWN,
    DRAWN_TWO_WAY,
    LEVEL,
    PREDICTION_LEVEL,
    ROWS,
    TWO_WAY,
    luck_of_residuals,
    luck_of_steps,
    places_of,
    prediction_trials,
    seed_spread,
    shares,
    trials,
)
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.hold_outs import loss_law_of
from helpers.analyse.fits.stored import TABLE
from helpers.analyse.judgement.make_fits import parts_of_study
from helpers.analyse.laws.loss import ChinchillaLaw
from helpers.analyse.laws.names import FORMS
from helpers.analyse.rows.study import HELDOUT, rows_at
from report import report

TABLES = 1000
PREDICTED_TABLES = 300
SEED = 0
LAWS = ("power", "steps")


def main() -> None:
    """Simulate, count and keep the shares."""
    measured, rows = pd.read_parquet(TABLE), []
    parts, spread = parts_of_study(measured, rows_at(measured, HELDOUT)), seed_spread(measured)
    for law in LAWS:
        truth = fit_law(FORMS[law], parts[law][1].data)
        places, own = places_of(truth.data, loss_law_of(truth.data, ChinchillaLaw)), luck_of_residuals(truth, spread)
        lucks = {"runs alone": own, "steps": luck_of_steps(truth, own, False), "bend": luck_of_steps(truth, own, True)}
        for name, luck in lucks.items():
            of = {"law": law, "luck": name, "n_runs": truth.n_runs, "n_rows": truth.n_rows, **vars(luck)}
            tried = trials(truth, luck, (ROWS, CR2, TWO_WAY), range(TABLES), SEED)
            rows += [of | {"level": LEVEL} | row for row in shares(tried).to_dict("records")]
            predicted = range(PREDICTED_TABLES)
            tried = prediction_trials(truth, luck, (DRAWN, DRAWN_TWO_WAY), places, predicted, SEED)
            rows += [of | {"level": PREDICTION_LEVEL} | row for row in shares(tried).to_dict("records")]
            print(law, name, "done", flush=True)
    report("coverage_steps", rows)


if __name__ == "__main__":
    main()
