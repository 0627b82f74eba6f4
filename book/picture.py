"""Draw the book's first pictures from the tracked table: `make picture`. SVG for the first page, pixels for README."""

from pathlib import Path

import matplotlib as mpl

from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import study_rows
from helpers.show.drawing.whole import whole
from helpers.show.figures.front import loss_after_rounding, qid_per_parameter
from helpers.show.style import use_house_style
from helpers.table.files import read_table

mpl.use("Agg")
N_PARAMS = 595_072  # non-embedding parameters of the model whose losses are drawn
BITS = 3


def main() -> None:
    """Draw the trunk's sizes, GPTQ at 2 to 4 bits and the group that all widths share."""
    study = degradation(study_rows(read_table("results/measurements.parquet").to_pandas()))
    use_house_style()
    gptq = rows_of_fit(study, "gptq", 32, symmetric=False)
    gptq = gptq[gptq["bits"] <= 4]
    drawn = {
        "loss-after-rounding": loss_after_rounding(gptq, N_PARAMS),
        "qid-per-parameter": qid_per_parameter(gptq, BITS),
    }
    for name, figure in drawn.items():
        figure.savefig(f"book/_static/{name}.png", dpi=110, metadata={"Software": None})
        Path(f"book/_static/{name}.svg").write_text(whole(figure), encoding="utf-8")


if __name__ == "__main__":
    main()
