"""Figures of tokens against decay: tables of `decay` in, figures or axes out. Style is in `style`."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.style import (
    BITS_COLOURS,
    INK,
    LOSS_LABEL,
    MARKERS,
    PALE,
    QID_LABEL,
    TOKENS_LABEL,
    Style,
    count_label,
    count_scale,
    qid_scale,
)

KINDS = {"cooldown": ("#d55e00", "v"), "cosine": ("#0072b2", "s"), "average": ("#009e73", "D")}
TRUNK_LABEL = "constant rate"


def _path(axes: Axes, run: pd.DataFrame, trunk: pd.DataFrame, along: str, style: Style) -> None:
    """Draw one run as a line, from where it left the trunk if it did, with a marker at its last checkpoint."""
    start = trunk[trunk["step"].isin(run["branched_at_step"])] if run["n_averaged"].max() == 1 else trunk.head(0)
    line = pd.concat([start[[along, "qid_nats"]], run.sort_values(TOKENS_SEEN)[[along, "qid_nats"]]])
    every = None if run["n_averaged"].max() > 1 else [len(line) - 1]  # averages are points, not a path of training
    axes.plot(line[along], line["qid_nats"], linewidth=1.2, markevery=every, **style)


def paths(runs: pd.DataFrame, trunk: pd.DataFrame, along: str) -> Figure:
    """Draw QiD of one bit width along training against tokens or loss (`along`), one panel per size.

    `runs` has the column `kind`, one of KINDS; only sizes that have such runs are drawn. With `along` loss, training
    goes from right to left.
    """
    sizes = np.sort(runs[N_PARAMS].unique())
    figure, grid = plt.subplots(-(-sizes.size // 3), 3, squeeze=False, figsize=(8.8, 2.0 * -(-sizes.size // 3)))
    for axes, size in zip(grid.flat, sizes, strict=False):
        main = trunk[trunk[N_PARAMS] == size].sort_values(TOKENS_SEEN)
        axes.plot(main[along], main["qid_nats"], "o-", color=INK, linewidth=1.2, markersize=3)
        for _, run in runs[runs[N_PARAMS] == size].groupby("run_label"):
            colour, marker = KINDS[run["kind"].iloc[0]]
            _path(axes, run, main, along, {"color": colour, "marker": marker, "alpha": 0.85})
        if along == TOKENS_SEEN:
            count_scale(axes, "x", "")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        qid_scale(axes, "y", main["qid_nats"], "")
        _plain_ticks(axes)
        axes.set_title(f"N = {count_label(size)}")
    for axes in grid.flat[sizes.size :]:
        axes.set_axis_off()
    handles = [grid[0, 0].plot([], [], "o-", color=INK, markersize=3, label=TRUNK_LABEL)[0]]
    present = [kind for kind in KINDS if kind in set(runs["kind"])]
    handles += [grid[0, 0].plot([], [], color=KINDS[k][0], marker=KINDS[k][1], label=k)[0] for k in present]
    figure.legend(handles=handles, title="learning rate", loc="outside right upper")
    figure.supxlabel(TOKENS_LABEL if along == TOKENS_SEEN else LOSS_LABEL, fontsize="medium")
    figure.supylabel(QID_LABEL, fontsize="medium")
    return figure


def _plain_ticks(axes: Axes) -> None:
    """Write the ticks of a logarithmic vertical axis as plain numbers at 1, 2, 3, 5 and 7."""
    low, high = axes.get_ylim()
    ticks = [one * 10.0**power for power in range(-6, 3) for one in (1, 2, 3, 5, 7)]
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def at_tokens_and_at_loss(tables: dict[str, pd.DataFrame], label: str) -> Figure:
    """Draw ratios of QiD by `way` (rows) and bits, one panel per title; pale strokes reach over single runs.

    Columns: `way`, `bits`, `ratio`, `low` and `high` (NaN: no bar), `run_lowest`, `run_highest`. The ways of all
    panels stand in the first table's order, the first on top.
    """
    order = list(dict.fromkeys(next(iter(tables.values()))["way"]))[::-1]
    figure, panels = plt.subplots(1, len(tables), sharey=True, squeeze=False, figsize=(8.8, 0.36 * len(order) + 1.3))
    for axes, (title, table) in zip(panels[0], tables.items(), strict=True):
        axes.axvline(1.0, color=PALE, linewidth=1.2, zorder=0)
        for index, (bits, rows) in enumerate(table.groupby("bits")):
            heights = rows["way"].map(order.index) + 0.22 * (1 - index)
            axes.hlines(heights, rows["run_lowest"], rows["run_highest"], color=PALE, alpha=0.6, linewidth=4.5)
            style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
            bars = [rows["ratio"] - rows["low"], rows["high"] - rows["ratio"]]
            axes.errorbar(rows["ratio"], heights, xerr=bars, linestyle="", **style)
        axes.set(title=title, xscale="log", xlabel=label)
        axes.xaxis.set_major_locator(FixedLocator([0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=False, axis="y")
    panels[0, 0].set_yticks(range(len(order)), order)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def two_parts(parts: dict[str, pd.DataFrame]) -> Figure:
    """Draw growth of QiD as bars of two parts, tokens and decay: one panel per bit width, a bar a size.

    `parts` has `decay.growth_parts` by kind of run; the kinds stand one below the other, the smallest size on top.
    """
    table = pd.concat([rows.assign(kind=kind) for kind, rows in parts.items()]).sort_values(N_PARAMS, kind="stable")
    order = [(kind, size) for kind, rows in parts.items() for size in np.sort(rows[N_PARAMS].unique())]
    widths = np.sort(table["bits"].unique())
    size = (8.8, 0.23 * len(order) + 1.2)
    figure, panels = plt.subplots(1, widths.size, sharey=True, squeeze=False, figsize=size)
    for axes, bits in zip(panels[0], widths, strict=True):
        rows = table[table["bits"] == bits]
        heights = [-order.index(place) for place in zip(rows["kind"], rows[N_PARAMS], strict=True)]
        grown = rows["tokens_part"] * (rows["decay_part"] - 1)
        axes.barh(heights, rows["tokens_part"] - 1, left=1.0, color=INK, alpha=0.55, label="tokens")
        axes.barh(heights, grown, left=rows["tokens_part"], color=KINDS["cooldown"][0], label="decay")
        axes.set(title=f"{bits:g} bits", xscale="log", xlabel="growth of QiD (factor)", xlim=(1, None))
        axes.xaxis.set_major_locator(FixedLocator([1, 2, 3, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=False, axis="y")
    panels[0, 0].set_yticks([-place for place in range(len(order))], [f"{kind}, {count_label(n)}" for kind, n in order])
    figure.legend(*panels[0, 0].get_legend_handles_labels(), title="part of", loc="outside right upper")
    return figure
