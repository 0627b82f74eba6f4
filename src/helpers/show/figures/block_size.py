"""Figures of block sizes: tables of `mixed.block_size` in, figures out. Style is in `style`."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from helpers.analyse.mixed.block_size import TWICE
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.sizes import name_beside
from helpers.show.style import (
    CARD,
    INK,
    MARKERS,
    PALE,
    SIZE_LABEL,
    count_label,
    count_scale,
    legend_beside,
    size_styles,
)

BLOCK_LABEL = "block size Qb (values per scale)"
EXPONENT_LABEL = "exponent k of block size (no unit)"
OUTLIERS_LABEL = "outliers of the inputs (largest channel's rms over the mean one's, no unit)"
INCREASE_LABEL = "relative increase of perplexity"
BLOCKS = (16, 32, 64, 128, 256, 512)
STAGE_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")  # Okabe and Ito's


def block_scale(axes: Axes, axis: str) -> None:
    """Make the `axis` (x or y) of a block size logarithmic, with a tick at every size of the sweep."""
    getattr(axes, f"set_{axis}scale")("log")
    ticks = getattr(axes, f"{axis}axis")
    ticks.set_major_locator(FixedLocator(BLOCKS))
    ticks.set_minor_locator(NullLocator())
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))


def curves(panels: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Draw the increase against block size, one panel per title, one line per size: measured points and fitted powers.

    Each panel has rows of `block_size.in_relative_perplexity` of one checkpoint per size, and their
    `block_size.exponents`. One scale per row is hollow. Above the dotted line perplexity has doubled.
    """
    styles = size_styles(pd.concat([rows[N_PARAMS] for rows, _ in panels.values()]))
    figure, row = plt.subplots(1, len(panels), sharey=True, figsize=(2.5 * len(panels) + 1.2, 3.8), squeeze=False)
    for axes, (title, (rows, fitted)) in zip(row[0], panels.items(), strict=True):
        axes.axhline(TWICE, color=PALE, linestyle=":", linewidth=1.2)
        for size, points in rows.sort_values("group_size").groupby(N_PARAMS):
            colour, marker = styles[size]["color"], styles[size]["marker"]
            for scale, fill in (("block", colour), ("row", CARD)):
                some = points[points["scale"] == scale]
                bars = {"fmt": marker, "color": colour, "markerfacecolor": fill}
                axes.errorbar(some["group_size"], some["qid_nats"], 1.96 * some["qid_se_nats"], **bars)
            for law in fitted[(fitted[N_PARAMS] == size) & fitted["k"].notna()].itertuples():
                ends = np.array([points["group_size"].min(), points["group_size"].max()])
                axes.plot(ends, law.A * ends**law.k, color=colour, linewidth=1.0)
        axes.set(title=title, yscale="log", xlabel="", ylabel=INCREASE_LABEL)
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:.1%}" if value < 0.01 else f"{value:.0%}")
        )
        axes.yaxis.set_minor_formatter(NullFormatter())
        block_scale(axes, "x")
        axes.label_outer()
    name_beside(row[0], styles)
    figure.supxlabel(BLOCK_LABEL, fontsize="medium")
    return figure


def exponents_by_size(panels: Mapping[str, pd.DataFrame], published: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw the exponent k against size, one panel per title, one colour per stage of training.

    Each panel has rows of `block_size.exponents` with the column `stage`; bars are two standard errors, rows taken as
    independent. `published` has, by title, exponents of others by name: dashed lines.
    """
    figure, row = plt.subplots(1, len(panels), sharey=True, figsize=(2.2 * len(panels) + 1.4, 3.7), squeeze=False)
    stages = list(dict.fromkeys(stage for table in panels.values() for stage in table["stage"]))
    looks = dict(zip(stages, zip(STAGE_COLOURS, MARKERS, strict=False), strict=False))
    for axes, (title, table) in zip(row[0], panels.items(), strict=True):
        theirs = published.get(title, {})
        for name, value in theirs.items():
            axes.axhline(value, color=INK, linestyle="--", linewidth=0.9)
            side = "bottom" if value == max(theirs.values()) else "top"
            axes.annotate(name, (0.98, value), xycoords=("axes fraction", "data"), ha="right", va=side, fontsize=8)
        for stage, points in table[table["k"].notna()].sort_values(N_PARAMS).groupby("stage", sort=False):
            colour, marker = looks[stage]
            axes.errorbar(points[N_PARAMS], points["k"], 2 * points["k_se"], color=colour, marker=marker, linewidth=1.0)
        axes.set(title=title, ylabel=EXPONENT_LABEL)
        count_scale(axes, "x", "")
        axes.label_outer()
    for stage, (colour, marker) in looks.items():
        row[0, -1].plot([], [], color=colour, marker=marker, label=stage)
    legend_beside(row[0, -1])
    figure.supxlabel(SIZE_LABEL, fontsize="medium")
    return figure


def exponents_by_outliers(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the exponent k against the outliers of the inputs, one panel per title, one marker per size.

    Each panel has rows of `block_size.exponents` with the column `input_outliers`; bars are two standard errors, rows
    taken as independent.
    """
    styles = size_styles(pd.concat([table[N_PARAMS] for table in panels.values()]))
    figure, row = plt.subplots(1, len(panels), sharey=True, figsize=(2.2 * len(panels) + 1.4, 3.7), squeeze=False)
    for axes, (title, table) in zip(row[0], panels.items(), strict=True):
        for size, points in table[table["k"].notna()].groupby(N_PARAMS):
            look = styles[size] | {"linestyle": ""}
            axes.errorbar(points["input_outliers"], points["k"], 2 * points["k_se"], **look)
        axes.set(title=title, xscale="log", ylabel=EXPONENT_LABEL)
        axes.xaxis.set_major_locator(FixedLocator((1, 2, 5, 10)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.label_outer()
    name_beside(row[0], styles)
    figure.supxlabel(OUTLIERS_LABEL, fontsize="medium")
    return figure


def block_budgets(laws: Mapping[str, pd.DataFrame], measured: pd.DataFrame) -> Figure:
    """Draw the largest block within a budget against size, one colour per ratio Qr: the joint law with its interval.

    `laws` has tables of `block_size.largest_blocks` by ratio, as in `Qr = 0.5`. `measured` has one row per size and
    ratio with the columns `ratio` and `block`, the largest block measured within the budget (missing: none), and
    `all_within`: then it is a lower limit, an arrow.
    """
    figure, axes = plt.subplots(figsize=(7.4, 3.4))
    for (ratio, table), colour, marker in zip(laws.items(), STAGE_COLOURS, MARKERS, strict=False):
        axes.fill_between(table["n_params"], table["low"], table["high"], color=colour, alpha=0.18, linewidth=0)
        axes.plot(table["n_params"], table["block"], color=colour, linewidth=1.4, label=ratio)
        points = measured[(measured["ratio"] == ratio) & measured["block"].notna()]
        for open_end, marks in points.groupby("all_within"):
            shape = "^" if open_end else marker
            axes.plot(marks[N_PARAMS], marks["block"], linestyle="", marker=shape, color=colour, markerfacecolor=CARD)
    axes.set_ylim(4, 4096)
    block_scale(axes, "y")
    axes.set_ylabel("largest block within the budget (values per scale)")
    count_scale(axes, "x", SIZE_LABEL)
    legend_beside(axes)
    return figure


def stage_name(table: pd.DataFrame) -> pd.Series:
    """Return the name of each row's stage of training: its tokens, and whether its rate has decayed."""
    decayed = np.where(table["lr_phase"] == "decay", ", decayed", "")
    return table[TOKENS_SEEN].map(count_label) + decayed
