"""Figures of `mechanism`: movement and rounding along training, measured beside predicted QiD, runs beside twins."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from helpers.analyse.rows.curvature import DESCRIBED_BITS
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.weight_noise import NOISE, SPARING
from helpers.show.figures.comparisons import panels_by_bits
from helpers.show.figures.sizes import name_at_ends, name_beside
from helpers.show.style import (
    BITS_COLOURS,
    INK,
    MARKERS,
    METHOD_COLOURS,
    PALE,
    TOKENS_LABEL,
    Style,
    axes_or_new,
    count_scale,
    legend_beside,
    qid_scale,
    size_styles,
)

CHANGE_LABEL = "relative to the norm of the weights (no unit)"
PREDICTED = "log_predicted_nats"
ERRORS: dict[str, Style] = {  # kinds of error of one size in the weights, the dearest first
    NOISE: {"label": "noise", "color": "#0072b2", "marker": "o"},
    "rtn": {"label": "RTN", "color": METHOD_COLOURS["rtn"], "marker": "s"},
    SPARING: {"label": "noise, loud inputs spared", "color": "#009e73", "marker": "v"},
    "gptq": {"label": "GPTQ", "color": METHOD_COLOURS["gptq"], "marker": "D"},
}
PART_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#23272e", "#8c6d00")


def _factor_scale(axes: Axes, axis: str, ticks: list[float]) -> None:
    """Make the `axis` (x or y) of a factor logarithmic, with `ticks` that read 0.5, 1, 2."""
    getattr(axes, f"set_{axis}scale")("log")
    ruler = getattr(axes, f"{axis}axis")
    ruler.set_major_locator(FixedLocator(ticks))
    ruler.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ruler.set_minor_formatter(NullFormatter())


def change_and_rounding(trunk: pd.DataFrame, decayed: pd.DataFrame, axes: Axes | None = None) -> Axes:
    """Draw the change since the checkpoint before against tokens: a line per size, hollow where the rate has decayed.

    Bands: the relative error of RTN at each bit width, from the lowest to the highest checkpoint. Both tables are of
    `mechanism.describe`.
    """
    axes = axes_or_new(axes)
    styles = size_styles(trunk[N_PARAMS])
    for size, rows in trunk.sort_values(TOKENS_SEEN).groupby(N_PARAMS):
        axes.plot(rows[TOKENS_SEEN], rows["change"], linewidth=1.2, **styles[size])
        ends = decayed[decayed[N_PARAMS] == size]
        hollow: Style = {"linestyle": "", "markerfacecolor": "none", "markersize": 7}
        axes.plot(
            ends[TOKENS_SEEN], ends["change"], **hollow, **{key: styles[size][key] for key in ("color", "marker")}
        )
    for bits in DESCRIBED_BITS:
        errors = trunk[f"rounding_{bits}"]
        axes.axhspan(errors.min(), errors.max(), color=BITS_COLOURS[bits], alpha=0.45, linewidth=0)
        # Late lines run between the bands of 2 and 3 bits; the labels stay on the other sides.
        side, end = ("bottom", errors.max()) if bits == min(DESCRIBED_BITS) else ("top", errors.min())
        axes.annotate(f"{bits} bits", (0.99, end), xycoords=("axes fraction", "data"), ha="right", va=side, color=INK)
    count_scale(axes, "x", TOKENS_LABEL)
    _factor_scale(axes, "y", [0.05, 0.1, 0.2, 0.4, 0.8])
    axes.set_ylabel(f"change since the checkpoint before,\n{CHANGE_LABEL}")
    name_at_ends([axes], styles)
    return axes


def measured_against_curvature(table: pd.DataFrame) -> Figure:
    """Draw measured QiD against that predicted by curvature: one panel per bit width, one marker per size.

    `table` is of `mechanism.with_description`; bars are paired errors, the line is equality.
    """
    styles = size_styles(table[N_PARAMS])
    figure, panels = panels_by_bits(table["bits"])
    figure.set_size_inches(8.6, 2.8)
    for bits, axes in panels.items():
        here = table[table["bits"] == bits]
        for size, rows in here.groupby(N_PARAMS):
            axes.errorbar(
                rows["predicted_nats"], rows["qid_nats"], rows["qid_se_nats"], linestyle="", alpha=0.9, **styles[size]
            )
        qid_scale(axes, "x", here["predicted_nats"], "")
        qid_scale(axes, "y", table["qid_nats"], "measured QiD (nats per token)")
        axes.xaxis.set_minor_formatter(NullFormatter())
        ends = here["predicted_nats"].min(), here["predicted_nats"].max()
        axes.plot(ends, ends, color=INK, linewidth=1.0, zorder=0)
        axes.label_outer()
    figure.supxlabel("QiD predicted by curvature (nats per token)", fontsize="medium")
    name_beside(panels.values(), styles)
    return figure


def runs_beside_twins(runs: pd.DataFrame, against: Mapping[str, str]) -> Figure:
    """Draw ratios of QiD to the trunk's twin against other ratios: one panel for each of `against`, one marker per run.

    `runs` has one row per run: `part` (its part of the study), `log_qid_nats` and the columns named by `against`, whose
    values label the axes. Grey cross: no difference; grey diagonal, for the predicted QiD: the same ratio.
    """
    figure, panels = plt.subplots(1, len(against), sharey=True, squeeze=False, figsize=(3.4 * len(against) + 1.4, 3.1))
    for (column, label), axes in zip(against.items(), panels[0], strict=True):
        for index, (part, rows) in enumerate(runs.groupby("part")):
            look = {"color": PART_COLOURS[index % len(PART_COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
            axes.plot(np.exp(rows[column]), np.exp(rows["log_qid_nats"]), linestyle="", label=part, **look)
        if column == PREDICTED:
            axes.axline((1, 1), (2, 2), color=PALE, linewidth=1.0, linestyle="--", zorder=0)
        axes.axhline(1.0, color=PALE, linewidth=1.0, zorder=0)
        axes.axvline(1.0, color=PALE, linewidth=1.0, zorder=0)
        for axis in "xy":
            _factor_scale(axes, axis, [0.5, 0.7, 1.0, 1.4, 2.0])
        axes.set_xlabel(label)
    panels[0, 0].set_ylabel("QiD over that of the twin (factor)")
    legend_beside(panels[0, -1])
    return figure


def errors_beside_noise(over: pd.DataFrame, kl: pd.DataFrame, bits: int) -> Figure:
    """Draw what errors of one size cost: by bits over what curvature says, and against tokens over noise, at `bits`.

    `over` and `kl` are of `weight_noise.over_curvature` and `mean_kl`. Left: geometric means over checkpoints; the band
    goes from the lowest to the highest of noise. Right: a line a run.
    """
    figure, (by_bits, along) = plt.subplots(1, 2, figsize=(8.6, 2.6))
    logs = np.log(over).groupby("bits")
    middle, lowest, highest = (np.exp(table) for table in (logs.mean(), logs.min(), logs.max()))
    by_bits.fill_between(
        middle.index, lowest[NOISE], highest[NOISE], color=ERRORS[NOISE]["color"], alpha=0.15, linewidth=0
    )
    here = kl.xs(bits, level="bits")
    for kind, look in ERRORS.items():
        by_bits.plot(middle.index, middle[kind], **look)
        for number, (_, run) in enumerate((here[kind] / here[NOISE]).groupby("run_label")):
            own = look if number == 0 else look | {"label": "_nolegend_"}
            along.plot(run.index.get_level_values(TOKENS_SEEN), run, linewidth=1.2, **own)
    for axes in (by_bits, along):
        axes.axhline(1.0, color=PALE, linewidth=1.0, zorder=0)
        _factor_scale(axes, "y", [0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0])
    by_bits.set(xlabel="bits", ylabel="KL over ½ trace × variance (no unit)")
    along.set_ylabel(f"KL over that of noise, {bits} bits (no unit)")
    count_scale(along, "x", TOKENS_LABEL)
    legend_beside(along, "error")
    return figure
