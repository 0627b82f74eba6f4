"""Figures of mixed quantization: tables of `trials`, `searches`, `largest_ratio` in, figures out. Style: `style`."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from helpers.analyse.mixed.largest_ratio import Censored
from helpers.analyse.mixed.largest_ratio_law import RatioLaw
from helpers.analyse.mixed.trials import MATRICES, front
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.figures.comparisons import panels_by_bits
from helpers.show.figures.sizes import name_at_ends
from helpers.show.style import (
    BITS_COLOURS,
    CARD,
    INK,
    MARKERS,
    PALE,
    QID_LABEL,
    SIZE_LABEL,
    TOKENS_LABEL,
    Style,
    count_label,
    count_scale,
    legend_beside,
    size_styles,
)

RATIO_LABEL = "largest quantization ratio Qr (share)"
GRANULARITY = {"matmul": ("#0072b2", "o", "matrix by matrix"), "layer": ("#d55e00", "s", "block by block")}
SEARCH = {  # colour, marker, label
    "random": ("#23272e", "", "random, best of n on average"),
    "greedy": ("#0072b2", "o", "greedy"),
    "integer_programme": ("#009e73", "D", "integer programme"),
    "second_order": ("#d55e00", "v", "second order"),
}
SHORT = dict(zip(MATRICES, ("query, key, value", "attention output", "MLP, up", "MLP, down"), strict=True))
SENSITIVITY_RANGE = (1 / 8, 8.0)
FOREST = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "D"))  # colour and marker of one scheme after another


def all_assignments(trials: pd.DataFrame, n_matrices: int = len(MATRICES)) -> Figure:
    """Draw QiD against ratio of every assignment of a model's blocks, named by a digit per block (1: low precision).

    `trials`: the exhaustive search of one search problem. Filled: no other has as much in low precision for as little.
    """
    figure, axes = plt.subplots(figsize=(7.0, 3.1))
    best = front(trials)
    axes.plot(best["quantized_ratio"], best["qid_nats"], color=PALE, linewidth=1.2, zorder=1)
    for row in trials.itertuples():
        filled = row.assignment in set(best["assignment"])
        colour = GRANULARITY["matmul"][0]
        face = colour if filled else CARD
        axes.plot(row.quantized_ratio, row.qid_nats, "o", color=colour, markerfacecolor=face, markersize=7)
        place: Style = {"xytext": (8, -3), "textcoords": "offset points"}
        axes.annotate(row.assignment[::n_matrices], (row.quantized_ratio, row.qid_nats), **place)
    axes.set(xlabel="quantization ratio Qr (share)", ylabel=QID_LABEL)
    axes.margins(x=0.1)
    return figure


def sensitivity_maps(relative: pd.DataFrame) -> Figure:
    """Draw how much more than its share of parameters each matrix costs alone, one panel per model (its `title`).

    `relative` has `title`, `block`, `matrix` and `relative` (no unit; NaN where nothing positive was measured: grey).
    """
    titles = list(relative["title"].unique())
    blocks = [relative.loc[relative["title"] == title, "block"].max() + 1 for title in titles]
    widths = {"width_ratios": [count + 1.0 for count in blocks]}
    figure, panels = plt.subplots(1, len(titles), squeeze=False, figsize=(9.0, 2.9), gridspec_kw=widths)
    colours = plt.get_cmap("PuOr_r").with_extremes(bad=PALE)
    for axes, title in zip(panels[0], titles, strict=True):
        rows = relative[relative["title"] == title]
        grid = rows.pivot(index="matrix", columns="block", values="relative").reindex(MATRICES)
        values = np.ma.masked_invalid(grid.to_numpy(float).clip(*SENSITIVITY_RANGE))
        image = axes.imshow(values, cmap=colours, norm=LogNorm(*SENSITIVITY_RANGE), aspect="auto")
        axes.set(title=title, xticks=range(grid.shape[1]), yticks=[])
        axes.grid(visible=False)
    panels[0, 0].set_yticks(range(len(MATRICES)), [SHORT[name] for name in MATRICES])
    bar = figure.colorbar(image, ax=list(panels[0]), label="cost over share of\nparameters (factor)")
    bar.ax.yaxis.set_major_locator(FixedLocator([0.125, 0.25, 0.5, 1, 2, 4, 8]))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel("block (index, the first reads the embedding)", fontsize="medium")
    return figure


def _ratio_axis(axes: Axes) -> None:
    axes.set_ylim(-0.04, 1.06)
    axes.axhline(1.0, color=PALE, linewidth=1.0, zorder=0)


def _places(axes: Axes, rows: pd.DataFrame, along: str, style: Style) -> None:
    """Draw largest ratios along a column; hollow where everything is within the budget, or nothing that was tried."""
    axes.plot(rows[along], rows["interpolated"], linewidth=1.2, **style)
    censored = rows[rows["censored"] != Censored.NO]
    hollow: Style = dict(style) | {"markerfacecolor": CARD, "label": "_nolegend_", "linestyle": "", "zorder": 3}
    axes.plot(censored[along], censored["interpolated"], **hollow)


def ratio_against_size(largest: pd.DataFrame, laws: Mapping[tuple[str, float], RatioLaw], title: str) -> Figure:
    """Draw the largest ratio against size N: one panel per budget, one line per granularity; dashed: laws by (both).

    `largest` is of one low scheme, one metric and one checkpoint per model; `title` takes a budget, as in `{:.0%}`.
    """
    budgets = np.sort(largest["budget"].unique())
    figure, panels = plt.subplots(1, budgets.size, sharey=True, squeeze=False, figsize=(2.9 * budgets.size + 0.6, 3.6))
    sizes = np.geomspace(largest[N_PARAMS].min(), largest[N_PARAMS].max(), 50)
    for axes, budget in zip(panels[0], budgets, strict=True):
        for granularity, (colour, marker, label) in GRANULARITY.items():
            rows = largest[(largest["budget"] == budget) & (largest["granularity"] == granularity)].sort_values(
                N_PARAMS
            )
            _places(axes, rows, N_PARAMS, {"color": colour, "marker": marker, "label": label})
            if (granularity, budget) in laws:
                line = laws[granularity, budget].largest_ratio(sizes)
                axes.plot(sizes, line, color=colour, linestyle="--", linewidth=1.0)
        axes.set_title(title.format(budget))
        _ratio_axis(axes)
        count_scale(axes, "x", "")
    panels[0, 0].set_ylabel(RATIO_LABEL)
    panels[0, 0].legend(loc="best")
    figure.supxlabel(SIZE_LABEL, fontsize="medium")
    return figure


def ratio_against_tokens(largest: pd.DataFrame, title: str) -> Figure:
    """Draw the largest ratio against training tokens: one panel per budget, one line per size; crosses: decayed rate.

    `largest` is of one low scheme, granularity and metric; lines are checkpoints at a constant rate.
    """
    budgets = np.sort(largest["budget"].unique())
    figure, panels = plt.subplots(1, budgets.size, sharey=True, squeeze=False, figsize=(2.7 * budgets.size + 1.3, 3.8))
    styles = size_styles(largest[N_PARAMS])
    for axes, budget in zip(panels[0], budgets, strict=True):
        of_budget = largest[largest["budget"] == budget].sort_values(TOKENS_SEEN)
        for size, rows in of_budget.groupby(N_PARAMS):
            constant = rows["schedule"] == "constant"
            _places(axes, rows[constant], TOKENS_SEEN, styles[size])
            decayed = rows[~constant]
            axes.plot(decayed[TOKENS_SEEN], decayed["interpolated"], "x", color=styles[size]["color"], markersize=7)
        axes.set_title(title.format(budget))
        _ratio_axis(axes)
        count_scale(axes, "x", "")
        axes.margins(x=0.08)
    panels[0, 0].set_ylabel(RATIO_LABEL)
    name_at_ends(panels[0], styles)
    figure.supxlabel(TOKENS_LABEL, fontsize="medium")
    return figure


def searches_by_trials(curves: pd.DataFrame, guided: pd.DataFrame, targets: Sequence[float]) -> Figure:
    """Draw what random search costs beyond the best known against its trials, with guided searches at their price.

    `curves`: `target_ratio`, `n_trials`, `excess` (share); `guided`: `target_ratio`, `search`, `n_units`, `excess`.
    """
    figure, panels = plt.subplots(1, len(targets), sharey=True, squeeze=False, figsize=(2.7 * len(targets) + 1.4, 3.6))
    for axes, target in zip(panels[0], targets, strict=True):
        line = curves[curves["target_ratio"] == target].sort_values("n_trials")
        colour, _, label = SEARCH["random"]
        axes.plot(line["n_trials"], line["excess"], color=colour, linewidth=1.4, label=label)
        for row in guided[guided["target_ratio"] == target].itertuples():
            colour, marker, label = SEARCH[row.search]
            axes.plot(row.n_units, row.excess, marker=marker, color=colour, linestyle="", label=label)
        axes.axhline(0.0, color=PALE, linewidth=1.0, zorder=0)
        axes.set(title=f"Qr {target:g} or more", xscale="log", xticks=[1, 2, 5, 10, 20, 50])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    panels[0, 0].set_ylabel("QiD beyond the best known\n(share of it)")
    legend_beside(panels[0, -1], "search")
    figure.supxlabel("trials (passes over the search's text)", fontsize="medium")
    return figure


def swapped_against_rounded(paired: pd.DataFrame, schemes: Sequence[str]) -> Figure:
    """Draw QiD of recipes, rounded block after block and on held-out text, against that of the trial they come from.

    `paired` comes from `trials.swapped_and_rounded` and has the column `scheme`; `schemes` are its values, in order.
    """
    figure, axes = plt.subplots(figsize=(6.6, 4.6))
    positive = paired[(paired["qid_nats"] > 0) & (paired["swapped_qid_nats"] > 0)]
    ends = [positive["swapped_qid_nats"].min(), positive["swapped_qid_nats"].max()]
    axes.plot(ends, ends, color=PALE, linewidth=1.2, zorder=0, label="equal")
    colours = ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7")
    for index, scheme in enumerate(schemes):
        rows = positive[positive["scheme"] == scheme]
        style: Style = {"marker": MARKERS[index], "color": colours[index % len(colours)], "linestyle": "", "alpha": 0.6}
        axes.plot(rows["swapped_qid_nats"], rows["qid_nats"], label=scheme, markersize=3.5, **style)
    axes.set(xscale="log", yscale="log", xlabel=f"trial: swapped in, search text\n{QID_LABEL}")
    axes.set_ylabel(f"recipe: rounded in sequence, held-out text\n{QID_LABEL}")
    legend_beside(axes, "low precision")
    return figure


def changes_by_budget(table: pd.DataFrame, schemes: Sequence[str], label: str) -> Figure:
    """Draw mean changes of the largest ratio with their intervals: rows are low schemes, one panel per budget.

    `table` comes from `largest_ratio.changes_by` and has the columns `scheme` (one of `schemes`, the first on top),
    `granularity` and `title` (of the panel). Pale strokes reach over single runs, from `lowest` to `highest` if known.
    """
    titles = list(table["title"].unique())
    order = list(schemes)[::-1]
    height = 0.55 * len(order) + 1.6
    figure, panels = plt.subplots(1, len(titles), sharex=True, sharey=True, squeeze=False, figsize=(8.8, height))
    for axes, title in zip(panels[0], titles, strict=True):
        axes.axvline(0.0, color=INK, linewidth=0.8, zorder=0)
        for index, (granularity, (colour, marker, name)) in enumerate(GRANULARITY.items()):
            rows = table[(table["title"] == title) & (table["granularity"] == granularity) & table["mean"].notna()]
            heights = rows["scheme"].map(order.index) + 0.2 * (0.5 - index)
            single = rows["lowest"].notna()
            reach = (rows.loc[single, "lowest"], rows.loc[single, "highest"])
            axes.hlines(heights[single], *reach, color=PALE, alpha=0.6, linewidth=4.5)
            bars = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
            axes.errorbar(rows["mean"], heights, xerr=bars, color=colour, marker=marker, linestyle="", label=name)
        axes.set_title(title)
        axes.grid(visible=False, axis="y")
    panels[0, 0].set_yticks(range(len(order)), order)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.supxlabel(label, fontsize="medium")
    return figure


def factors_by_kind(table: pd.DataFrame, kinds: Mapping[str, str], label: str) -> Axes:
    """Draw factors with their intervals: a row for each `kind`, named as in `kinds`, a colour for each `scheme`.

    `table` has `scheme`, `kind`, `mean`, `low` and `high`, factors without a unit; the line is at one.
    """
    order, schemes = list(kinds)[::-1], list(table["scheme"].unique())
    axes = plt.subplots(figsize=(7.0, 0.38 * len(order) + 0.9))[1]
    axes.axvline(1.0, color=INK, linewidth=0.8, zorder=0)
    for index, (scheme, (colour, marker)) in enumerate(zip(schemes, FOREST, strict=False)):
        rows = table[table["scheme"] == scheme]
        heights = rows["kind"].map(order.index) + 0.22 * ((len(schemes) - 1) / 2 - index)
        bars = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        axes.errorbar(rows["mean"], heights, xerr=bars, color=colour, marker=marker, linestyle="", label=scheme)
    axes.set(xscale="log", xlabel=label)
    axes.xaxis.set_major_locator(FixedLocator([0.25, 0.5, 0.7, 1, 1.4, 2]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(order)), [kinds[kind] for kind in order])
    axes.grid(visible=False, axis="y")
    legend_beside(axes)
    return axes


def over_one_law(table: pd.DataFrame, term: float, widths: Sequence[int]) -> Axes:
    """Draw `over`, KL over what one law of wide grids says, against tokens: a line a width, the mean over runs.

    Bands reach from the least run to the most. Dashed: one plus the next term, `term` / (2^P - 1)^2.
    """
    axes = plt.subplots(figsize=(7.0, 3.6))[1]
    for marker, bits in zip(MARKERS, widths, strict=False):
        by_tokens = np.log(table.loc[table["bits"] == bits].groupby(TOKENS_SEEN)["over"].agg(["min", "max"]))
        means = np.log(table["over"])[table["bits"] == bits].groupby(table[TOKENS_SEEN]).mean()
        colour = BITS_COLOURS[bits]
        axes.fill_between(by_tokens.index, *np.exp(by_tokens.to_numpy().T), color=colour, alpha=0.15, linewidth=0)
        axes.plot(means.index, np.exp(means), color=colour, marker=marker, label=f"{bits} bits")
        axes.axhline(1 + term / (2**bits - 1) ** 2, color=colour, linewidth=1.0, linestyle="--")
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_ylabel("KL over one law of the others\n(factor)")
    legend_beside(axes)
    return axes


def compounding(table: pd.DataFrame, term: float) -> Figure:
    """Draw `ratio`, everything rounded over the sum of its parts alone, against tokens: a panel a width, a line a size.

    Dashed: one plus `term` / (2^P - 1)^2.
    """
    styles = size_styles(table[N_PARAMS])
    figure, panels = panels_by_bits(table["bits"])
    for bits, axes in panels.items():
        axes.axhline(1 + term / (2**bits - 1) ** 2, color=INK, linewidth=1.0, linestyle="--")
        for size, rows in table[table["bits"] == bits].sort_values(TOKENS_SEEN).groupby(N_PARAMS):
            axes.plot(rows[TOKENS_SEEN], rows["ratio"], **styles[size])
        count_scale(axes, "x", TOKENS_LABEL)
    next(iter(panels.values())).set_ylabel("everything rounded over the sum\nof its parts alone (factor)")
    name_at_ends(list(panels.values()), styles)
    return figure


def error_along_depth(table: pd.DataFrame) -> Figure:
    """Draw noise over signal after each block: a panel for each number of tokens, a line for each width and model.

    `table` has `tokens_seen`, `bits` and `after`, a list by block. A level line at one: as much noise as signal.
    """
    moments = sorted(table[TOKENS_SEEN].unique())
    figure, panels = plt.subplots(1, len(moments), sharey=True, squeeze=False, figsize=(7.0, 3.3))
    for axes, tokens in zip(panels[0], moments, strict=True):
        axes.axhline(1, color=INK, linewidth=1.0, linestyle="--")
        for marker, (bits, rows) in zip(MARKERS, table[table[TOKENS_SEEN] == tokens].groupby("bits"), strict=False):
            for number, after in enumerate(rows["after"]):
                label = f"{bits:.0f} bits" if number == 0 else None
                axes.plot(range(1, len(after) + 1), after, color=BITS_COLOURS[int(bits)], marker=marker, label=label)
        axes.set(yscale="log", title=f"{count_label(tokens)} tokens", xlabel="block (number)")
        axes.xaxis.set_major_locator(FixedLocator(range(1, max(map(len, table["after"])) + 1)))
    panels[0, 0].set_ylabel("noise over signal after the block\n(no unit)")
    legend_beside(panels[0, -1])
    return figure
