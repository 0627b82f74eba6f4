"""Figures of hold-outs and of points from outside: scores and ratios in, figures out. Style is in `style`."""

from collections.abc import Collection

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from seaborn.utils import relative_luminance

from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.style import (
    BITS_COLOURS,
    INK,
    MARKERS,
    PALE,
    SIZE_LABEL,
    TOKENS_LABEL,
    count_label,
    count_scale,
    legend_beside,
)
from helpers.table.records import given

SCALE = (0.06, 1.2)  # of the colours, rms of ln QiD: from about as good as seeds allow to a factor of three
EVEN_LUMINANCE = 0.22  # of a cell on which ink and white have the same contrast
TICKS = (0.07, 0.15, 0.3, 0.6, 1.2)


def score_map(
    log_rms: pd.DataFrame,
    errors: pd.DataFrame,
    coverage: pd.DataFrame,
    tied: pd.DataFrame,
    apart: Collection[str],
    goal: float,
) -> Figure:
    """Draw root mean squares of ln(predicted / measured), laws by hold-outs, as a heat map.

    A cell has its standard error (none where it is NaN) and, in a second line, the share of intervals that hold, a dash
    where there are none, and "tied" where the law is. Bold: at most `goal`. Grey: n/a. Laws of `apart` stand below a
    gap.
    """
    first = [law for law in log_rms.index if law not in apart]
    order = [*first, *(law for law in log_rms.index if law in apart)]
    log_rms, errors, coverage, tied = (table.loc[order] for table in (log_rms, errors, coverage, tied))
    spread = errors.map(lambda error: "" if np.isnan(error) else f" ± {error:.2f}")
    shares = coverage.map(lambda share: "–" if np.isnan(share) else f"{share:.0%}")
    ties = tied.map(lambda is_tied: ", tied" if is_tied else "")
    words = (log_rms.map("{:.2f}".format) + spread + "\n" + shares + ties).where(log_rms.notna(), "n/a")
    figure, axes = plt.subplots(figsize=(1.0 * log_rms.shape[1] + 2.6, 0.42 * len(order) + 1.6))
    axes.set_facecolor(PALE)
    sns.heatmap(
        log_rms,
        annot=words,
        fmt="",
        cmap="YlGnBu",
        norm=LogNorm(*SCALE),
        mask=log_rms.isna(),
        annot_kws={"fontsize": 7.5, "linespacing": 1.1},
        linewidths=0.8,
        cbar_kws={"label": "rms of ln(predicted / measured QiD) (no unit)", "extend": "both", "ticks": TICKS},
        ax=axes,
    )
    for text in axes.texts:
        column, row = (int(place) for place in text.get_position())
        value = log_rms.iloc[row, column]
        text.set_fontweight("bold" if value <= goal else "normal")
        mesh = axes.collections[0]
        light = relative_luminance(mesh.cmap(mesh.norm(value))) > EVEN_LUMINANCE
        text.set_color(INK if light else "white")
    for row, column in zip(*np.nonzero(log_rms.isna().to_numpy()), strict=True):
        axes.text(column + 0.5, row + 0.5, "n/a", ha="center", va="center", fontsize=7.5, color=INK)
    if len(first) < len(order):
        axes.axhline(len(first), color=INK, linewidth=2.5)
    bar = given(axes.collections[0].colorbar).ax.yaxis
    bar.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.set_minor_locator(NullLocator())
    axes.set(xlabel="held out", ylabel="law")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.set_xticklabels(axes.get_xticklabels(), rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    return figure


def one_size_up(judged: pd.DataFrame, largest: pd.DataFrame, goal: float) -> Figure:
    """Draw rms of ln(predicted / measured) of sizes left out, one line per law; ratios of the largest against tokens.

    `judged` comes from `hold_outs.judge` on `extrapolation.each_as_largest`, `largest` from
    `extrapolation.over_predicted`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.9))
    left.axhline(goal, color=PALE, linestyle=":", linewidth=1.5, label="goal")
    shades = plt.get_cmap("cividis")(np.linspace(0.0, 0.85, judged["law"].nunique()))  # none of the bits' colours
    for index, (law, rows) in enumerate(judged.groupby("law", sort=False)):
        style = {"color": shades[index], "marker": MARKERS[index], "label": law}
        left.plot(rows["n_params"], rows["log_rms"], linewidth=1.2, **style)
    left.set(xscale="log", ylim=(0, None), xlabel="size left out (non-embedding parameters)")
    sizes = sorted(judged["n_params"].unique())
    left.xaxis.set_minor_locator(NullLocator())
    left.set_xticks(sizes, [count_label(size) for size in sizes])
    left.set_ylabel("rms of ln(predicted / measured QiD)\n(no unit)")
    left.legend(loc="lower left", fontsize="small", ncols=2)
    right.axhline(1.0, color=INK, linewidth=0.8)
    for index, (bits, rows) in enumerate(largest.sort_values(TOKENS_SEEN).groupby("bits")):
        style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[index], "label": f"{bits:g} bits"}
        right.plot(rows[TOKENS_SEEN], rows["ratio"], linewidth=1.2, **style)
    right.set(
        title=f"{count_label(largest[N_PARAMS].iloc[0])} parameters", ylabel="measured over predicted QiD (factor)"
    )
    count_scale(right, "x", TOKENS_LABEL)
    legend_beside(right)
    return figure


def runs_of_largest(ratios: pd.DataFrame) -> Figure:
    """Draw the largest size's KL over the next size's against tokens: one panel per bit width, one line per run.

    `ratios` comes from `extrapolation.largest_over_next`; bars are one standard error.
    """
    widths, runs = sorted(ratios["bits"].unique()), list(ratios["run"].unique())
    figure, panels = plt.subplots(1, len(widths), sharey=True, squeeze=False, figsize=(3.3 * len(widths) + 1.5, 3.6))
    shades = plt.get_cmap("cividis")(np.linspace(0.0, 0.85, len(runs)))
    for axes, bits in zip(panels[0], widths, strict=True):
        for index, run in enumerate(runs):
            line = ratios[(ratios["run"] == run) & (ratios["bits"] == bits)].sort_values(TOKENS_SEEN)
            bars = line["ratio"] * line["relative_error"]
            style = {"color": shades[index], "marker": MARKERS[index], "label": run}
            axes.errorbar(line[TOKENS_SEEN], line["ratio"], bars, linewidth=1.2, elinewidth=0.8, **style)
        axes.set(title=f"{bits:g} bits", ylabel="KL of the largest over the next size (factor)")
        count_scale(axes, "x", TOKENS_LABEL)
        axes.label_outer()
    legend_beside(panels[0, -1])
    return figure


def ratios_of_points(table: pd.DataFrame) -> Figure:
    """Draw measured over predicted QiD against size: one panel per law, colour by bits, marker by family.

    `table` comes from `published_perplexities.over_laws`; a ratio that isn't positive has no place and isn't drawn.
    """
    laws, families = list(table["law"].unique()), list(table["family"].unique())
    figure, panels = plt.subplots(1, len(laws), sharey=True, squeeze=False, figsize=(1.8 * len(laws) + 1.3, 3.3))
    for axes, law in zip(panels[0], laws, strict=True):
        axes.axhline(1.0, color=INK, linewidth=0.8)
        rows = table[(table["law"] == law) & (table["ratio"] > 0)].sort_values(N_PARAMS)
        for (family, bits), line in rows.groupby(["family", "bits"]):
            style = {"color": BITS_COLOURS[int(bits)], "marker": MARKERS[families.index(family)]}
            axes.plot(line[N_PARAMS], line["ratio"], linewidth=1.0, **style)
        axes.set(title=law, yscale="log", ylabel="measured over predicted QiD (factor)")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        count_scale(axes, "x", "")
        axes.label_outer()
    last = panels[0, -1]
    for bits in sorted(table["bits"].unique()):
        last.plot([], [], color=BITS_COLOURS[int(bits)], label=f"{bits:g} bits")
    for family, marker in zip(families, MARKERS, strict=False):
        last.plot([], [], color=INK, linestyle="", marker=marker, label=family)
    legend_beside(last)
    figure.supxlabel(SIZE_LABEL, fontsize="medium")
    return figure
