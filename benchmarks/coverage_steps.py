"""Counts how often intervals hold the truth when runs share steps: `python benchmarks/coverage_steps.py`.

The trunk's runs read the same batches in the same order, so that their luck at a step may be shared. Beside the luck
of runs that the fit's own residuals show, steps get one of their own: none, each by itself, or with a memory, as a bend
that all runs share has. Intervals by run and those by run and step are tried, on the same tables. A few minutes on one
core. What `coverage.py` counts has no shared steps.
"""

from coverage import SEED, TABLES, planted, study
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
    prediction_trials,
    shares,
    trials,
)
from report import report

PREDICTED_TABLES = 300
LAWS = ("power", "steps")


def main() -> None:
    """Simulate, count and keep the shares."""
    (parts, spread), rows = study(), []
    for law in LAWS:
        truth, places = planted(parts, law)
        own = luck_of_residuals(truth, spread)
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
