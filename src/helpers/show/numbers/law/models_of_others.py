"""What the chapter on extrapolation states of models that others rounded and printed, and of how far to trust them.

QiD is in nats per token, ratios have no unit. A ValueError says which sentence of the page doesn't hold.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.analyse.fits.stored import StoredFits
from helpers.analyse.laws.law import Law
from helpers.analyse.laws.loss import ChainedLaw
from helpers.analyse.laws.published import KUMAR_2024, OUYANG_2024, OUYANG_2024_TABLE_1
from helpers.analyse.questions import published_perplexities
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.show.claims import claim
from helpers.show.intervals import Numbers
from helpers.table.errors import AnalysisError

LAWS = ["equation 8", "its table", "Kumar et al.", "ours, power", "ours, loss"]
OUTSIDE = {
    "equation 8": "eq8",
    "its table": "table",
    "ours, power": "ours",
    "ours, loss": "winner",
}
BROKEN = "OPT-66B"  # dead units in its early layers


def points_of_others(printed: pd.DataFrame) -> pd.DataFrame:
    """Return the printed points of GPTQ in groups of 128 whose loss is per token, with families by name."""
    points = published_perplexities.one_a_setting(published_perplexities.external_points(printed))
    chosen = points[(points["method"] == "GPTQ") & (points["group_size"] == "128") & ~points["per_word"]]
    named = chosen.assign(group_size=128.0, family=chosen["family"].map({"opt": "OPT", "llama1": "LLaMA"}))
    return named.sort_values("family", ascending=False)


def over_laws(points: pd.DataFrame, stored: StoredFits) -> pd.DataFrame:
    """Return the points once for each of five laws, with `law` and `ratio`, measured over predicted QiD.

    Raises AnalysisError where no law of the 16-bit loss is stored, which one of them needs.
    """
    if stored.loss_law is None:
        raise AnalysisError("no law of the 16-bit loss is stored")
    chained = ChainedLaw(stored.fits["loss"].law, stored.loss_law)
    laws: dict[str, Law | ChainedLaw | Mapping[int, Law]]
    laws = {"equation 8": OUYANG_2024, "its table": {int(bits): law for bits, law in OUYANG_2024_TABLE_1.items()}}
    laws |= {"Kumar et al.": KUMAR_2024, "ours, power": stored.fits["group-size"].law, "ours, loss": chained}
    return published_perplexities.over_laws(points, laws)


def factors_of(beside: pd.DataFrame) -> pd.DataFrame:
    """Return by law and family the geometric mean of the ratio (`middle`) and the factor it is typically off.

    Without OPT-66B and a QiD of zero. Columns: `middle`, `typical` (root mean square of the logarithm), no unit.
    """
    clear = beside[(beside["ratio"] > 0) & (beside["model"] != BROKEN)]
    logs = np.log(clear["ratio"]).groupby([clear["law"], clear["family"]])
    typical = logs.agg(lambda one: float(np.sqrt((one**2).mean())))
    return pd.DataFrame({"middle": np.exp(logs.mean()), "typical": np.exp(typical)})


def factors_table(factors: pd.DataFrame) -> pd.DataFrame:
    """Return the factors for people, one row a law and one column a family."""
    words = factors["middle"].map("{:.2f}".format) + " (" + factors["typical"].map("{:.1f}".format) + ")"
    return words.unstack("family").loc[LAWS, ["OPT", "LLaMA"]].rename_axis(index=None, columns=None)


def models_of_others(points: pd.DataFrame, factors: pd.DataFrame, stored: StoredFits) -> Numbers:
    """Return how far outside the points lie, and by which factors five laws miss them."""
    loss, power, grouped = stored.fits["loss"].params, stored.fits["power"], stored.fits["group-size"]
    middle, three = factors["middle"].unstack("family"), points[points["bits"] == 3].set_index("model")["qid_nats"]
    claim(middle.loc["equation 8"].max() < 0.6, "equation 8 says too much")
    near = middle.loc[["ours, power", "Kumar et al."]]
    claim(bool(((near > 1 / 2) & (near < 2)).all(axis=None)), "our power law and Kumar's constants come near")
    claim(middle.loc["ours, loss"].min() > 3, "the law of the loss says far too little")
    claim(loss["alpha"].value > power.params["alpha"].value, "its exponent of size is steeper than the power law's")
    claim(three[BROKEN] > 5 * three["OPT-30B"], "OPT-66B loses far more than OPT-30B")
    places = points[TOKENS_SEEN], points[N_PARAMS], points["bits"]
    claim(
        not any(fit.law.validity.contains(*places).any() for fit in (power, grouped)), "all points lie outside our data"
    )
    found: Numbers = {"points": len(points), "models": points["model"].nunique()}
    for law, key in OUTSIDE.items():
        found |= {f"{key}_{family.lower()}": middle.loc[law, family] for family in ("OPT", "LLaMA")}
    for family in ("OPT", "LLaMA"):
        found[f"ours_{family.lower()}_typical"] = factors.loc[("ours, power", family), "typical"]
    lowest = power.law.validity.covariates["loss_nats"][0]
    return found | {
        "out_size": np.log10(points[N_PARAMS].max() / power.law.validity.n_params[1]),
        "out_tokens": np.log10(points[TOKENS_SEEN].max() / power.law.validity.tokens[1]),
        "winner_left": float(np.exp(loss["lambda_"].value * lowest)),
    }


def trust_in_points(printed: pd.DataFrame, factors: pd.DataFrame, stored: StoredFits, n_bytes: float) -> Numbers:
    """Return what limits the points: accidents, settings printed twice, tokens of another length, other groups.

    `printed` has the columns of the CSV; `n_bytes` is the bytes of a token of our own text.
    """
    points, grouped = points_of_others(printed), stored.fits["group-size"].params
    twice = published_perplexities.printed_twice(published_perplexities.external_points(printed))
    three = points[points["bits"] == 3].set_index("model")["qid_nats"]
    longer = 2 ** (1 + grouped["beta"].value)  # tokens twice as long: half the tokens, and half of QiD a byte
    inside = OUYANG_2024.validity.contains(points[TOKENS_SEEN], points[N_PARAMS], points["bits"])
    found: Numbers = {
        f"byte_{family.lower()}": factors.loc[("ours, power", family), "middle"] / longer for family in ("OPT", "LLaMA")
    }
    return found | {
        "in_box": int(inside.sum()),
        "outlier": three[BROKEN] / three["OPT-30B"],
        "zeros": int((points["qid_nats"] <= 0).sum()),
        "twice": len(twice),
        "twice_most": twice["ratio"].max(),
        "twice_median": twice["ratio"].median(),
        "own_bytes": n_bytes,
        "byte_factor": longer,
        "coarser": 4 ** grouped["eta"].value,
        "eta": grouped["eta"].value,
    }
