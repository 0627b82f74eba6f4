"""The figure of the chapter on a reader's own model: printed QiD of others' models, by size, bits and method."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from helpers.analyse.rows.degradation import N_PARAMS
from helpers.show.style import METHOD_COLOURS, QID_LABEL, SIZE_LABEL, count_scale

STYLES = {
    "RTN": {"color": METHOD_COLOURS["rtn"], "marker": "v", "label": "rounded to nearest"},
    "GPTQ": {"color": METHOD_COLOURS["gptq"], "marker": "o", "label": "GPTQ"},
    "AWQ": {"color": "#0072b2", "marker": "s", "label": "AWQ"},
}


def printed_figure(points: pd.DataFrame, widths: tuple[int, ...] = (2, 3, 4)) -> Figure:
    """Draw QiD against size N in a panel a bit width, one marker a method; `points` from `numbers.your_model`."""
    figure, panels = plt.subplots(1, len(widths), figsize=(7.4, 3.6), sharex=True, sharey=True)
    for axes, bits in zip(panels, widths, strict=True):
        for method, style in STYLES.items():
            rows = points[(points["bits"] == bits) & (points["method"] == method)]
            axes.plot(rows[N_PARAMS], rows["qid_nats"], linestyle="none", markersize=6, alpha=0.85, **style)
        axes.set(yscale="log", title=f"{bits} bits")
        count_scale(axes, "x", SIZE_LABEL if bits == widths[1] else "")
    panels[0].set_ylabel(QID_LABEL)
    panels[-1].legend(loc="upper right", handletextpad=0.2)
    return figure
