"""Draw README's one picture from the tracked table: `make picture`."""

import matplotlib as mpl

from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import study_rows
from helpers.show.figures.qid import qid_against_tokens
from helpers.show.style import use_house_style
from helpers.table.files import read_table

mpl.use("Agg")


def main() -> None:
    """QiD against tokens of every size in the study, GPTQ at 2 to 4 bits and the group that all widths share."""
    study = degradation(study_rows(read_table("results/measurements.parquet").to_pandas()))
    use_house_style()
    gptq = rows_of_fit(study, "gptq", 32, symmetric=False)
    figure = qid_against_tokens(gptq[gptq["bits"] <= 4])
    figure.savefig("book/_static/qid.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
