"""The book's first pictures: what training longer does to a rounded model, and every size on one axis."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from helpers.analyse.questions.tokens_per_parameter import TOKENS_PER_PARAMETER, with_tokens_per_parameter
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.study import LATE_TOKENS
from helpers.show.figures.sizes import named_sizes, stand_out
from helpers.show.style import BITS_COLOURS, INK, TOKENS_LABEL, Style, count_label, count_scale, size_styles

SIZE = (4.7, 4.0)  # inches: readable side by side, and alone on a phone
GAP = 9  # points between two names at lines' ends


def loss_after_rounding(rows: pd.DataFrame, n_params: float) -> Figure:
    """Draw one size's loss in 16 bits and rounded against tokens, each line named at its end.

    `rows` are those of `degradation` by one method in one group size, one run a size.
    """
    figure, axes = plt.subplots(figsize=SIZE)
    rows = rows[(rows[TOKENS_SEEN] > LATE_TOKENS) & (rows[N_PARAMS] == n_params)]
    whole = rows.groupby(TOKENS_SEEN)["baseline_loss_nats"].first()
    lines = {"16 bits": (whole, INK)}
    for bits, of_width in rows.groupby("bits"):
        lines[f"{bits:g} bits"] = (of_width.set_index(TOKENS_SEEN)["loss_nats"].sort_index(), BITS_COLOURS[int(bits)])
    for label, (losses, colour) in lines.items():
        axes.plot(losses.index, losses, color=colour, linewidth=2.2, label=label)
        lower = {"16 bits": -GAP / 2, "4 bits": GAP / 2}.get(label, 0)  # these two lines end close together
        style: Style = {"textcoords": "offset points", "color": colour, "va": "center"}
        axes.annotate(label, (losses.index[-1], losses.iloc[-1]), (5, lower), **style)
    count_scale(axes, "x", TOKENS_LABEL)
    axes.set_xlim(right=axes.get_xlim()[1] * 2.1)
    axes.margins(y=0.08)
    axes.set(ylabel="loss (nats per token)", title=f"one model, {count_label(n_params)} parameters")
    return figure


def qid_per_parameter(rows: pd.DataFrame, bits: int) -> Figure:
    """Draw QiD of all sizes at one bit width against tokens per parameter; `rows` as above."""
    figure, axes = plt.subplots(figsize=SIZE)
    rows = rows[(rows[TOKENS_SEEN] > LATE_TOKENS) & (rows["bits"] == bits)]
    placed = with_tokens_per_parameter(rows[rows["qid_nats"] > 0]).sort_values(TOKENS_PER_PARAMETER)
    styles = size_styles(placed[N_PARAMS])
    for size, of_size in placed.groupby(N_PARAMS):
        axes.plot(of_size[TOKENS_PER_PARAMETER], of_size["qid_nats"], linewidth=1.2, markersize=4.5, **styles[size])
    axes.set(xscale="log", yscale="log", xlabel="training tokens per parameter, D/N", ylabel="QiD (nats per token)")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_title(f"every model, rounded to {bits} bits")
    stand_out([axes], styles)
    handles = [
        line for line in axes.lines if line.get_label() in {styles[size]["label"] for size in named_sizes(styles)}
    ]
    axes.legend(handles=handles, title="size N", loc="upper left")
    return figure
