"""What the chapter on how much can go low states: what matrices cost, the largest ratio by size, the published law."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.analyse.fits.result import Estimate
from helpers.analyse.mixed.largest_ratio import RECIPES, largest_ratios
from helpers.analyse.mixed.largest_ratio_hold_outs import LAWS, predicted, scores
from helpers.analyse.mixed.largest_ratio_law import CAO_2024_LAWS, RatioFit, fits_by_question
from helpers.analyse.mixed.trials import (
    MATRICES,
    recipes,
    relative_sensitivities,
    scheme_names,
    sensitivities,
    swapped_and_rounded,
    with_metrics,
)
from helpers.analyse.rows.degradation import N_PARAMS, TOKENS_SEEN
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, with_named_ends
from helpers.show.style import count_label

MAIN = "MXINT 4 bits, inputs too"
SCHEMES = [MAIN, "MXFP 4 bits", "GPTQ 2 bits", "GPTQ 3 bits", "GPTQ 4 bits"]
SENSITIVITY_SCHEMES = [MAIN, "GPTQ 2 bits", "GPTQ 3 bits"]  # the others cost too little for shares of single matrices
STEP = 1907  # the last one that every size has
SEQUENCES = 64  # of the search's text
BUDGET = 0.1  # of relative perplexity, where one has to stand for all
METRIC = "relative_perplexity"
KINDS = dict(zip(MATRICES, ("qkv", "output", "up", "down"), strict=True))
PLACES = {"first": "first block", "last": "last block"}
FACTOR_LABEL = "cost over share of parameters (factor)"
GAIN_LABEL = "gain of the largest ratio for ten times the size (share of parameters)"
EXAMPLE = "tadpole-128x3"  # a model of three blocks, all of whose assignments were tried


@dataclass(frozen=True, eq=False)
class Mixed:
    """The trials of the chapters' low schemes on all search texts, and the recipes beside their trials."""

    tried: pd.DataFrame
    recipes: pd.DataFrame

    @classmethod
    def from_tables(cls, trials: pd.DataFrame, measured: pd.DataFrame) -> "Mixed":
        """Return the chapters' trials and recipes, with `scheme`, from the tracked tables; `measured` of one family."""
        known = with_metrics(trials)
        known = known.assign(scheme=scheme_names(known))
        known = known[known["scheme"].isin(SCHEMES)]
        paired = swapped_and_rounded(known[known["n_sequences"] == SEQUENCES], recipes(measured))
        return cls(known, paired.assign(scheme=scheme_names(paired)))

    def constant(self, step: int | None = None) -> "Mixed":
        """Return what was measured at the constant rate, of one step if one is given."""
        parts = (self.tried, self.recipes)
        kept = [part[(part["schedule"] == "constant") & ((part["step"] == step) | (step is None))] for part in parts]
        return replace(self, tried=kept[0], recipes=kept[1])

    @property
    def searched(self) -> pd.DataFrame:
        """Return the trials on the main search text."""
        return self.tried[self.tried["n_sequences"] == SEQUENCES]

    @cached_property
    def largest(self) -> pd.DataFrame:
        """Return the largest ratios of all recipes, with `scheme`."""
        table = largest_ratios(self.recipes, RECIPES)
        return table.assign(scheme=scheme_names(table))

    @property
    def main_largest(self) -> pd.DataFrame:
        """Return those of the main scheme by relative perplexity."""
        return self.largest[(self.largest["scheme"] == MAIN) & (self.largest["metric"] == METRIC)]


def as_row(one: Estimate, factor: float = 1.0) -> dict[str, float]:
    """Return an estimate times a factor as `mean`, `low` and `high`; a negative factor exchanges the ends."""
    low, high = sorted((factor * one.low, factor * one.high))
    return {"mean": factor * one.value, "low": low, "high": high}


# ---- definitions -----------------------------------------------------------------------------------------------------


def counts(mixed: Mixed) -> Numbers:
    """Return how many runs, trials and recipes there are at the constant rate, and of which sizes and tokens."""
    every, here = mixed.searched, mixed.searched[mixed.searched["step"] == STEP]
    claim(here["run_label"].nunique() == every["run_label"].nunique(), "every size has the compared step")
    read_each = here[TOKENS_SEEN] / here[N_PARAMS]
    return {
        "mix_group": int(here.loc[here["scheme"] == MAIN, "group_size"].iloc[0]),
        "mix_sequences": SEQUENCES,
        "mix_runs": every["run_label"].nunique(),
        "mix_smallest": count_label(every[N_PARAMS].min()),
        "mix_largest": count_label(every[N_PARAMS].max()),
        "mix_tokens": count_label(here[TOKENS_SEEN].iloc[0]),
        "mix_most_read": read_each.max(),
        "mix_least_read": read_each.min(),
        "mix_trials": len(every),
        "mix_recipes": mixed.recipes["measurement_id"].nunique(),
        "budget": BUDGET,
    }


def example(searched: pd.DataFrame) -> pd.DataFrame:
    """Return the exhaustive search over the blocks of EXAMPLE in the main scheme."""
    of_main = (searched["scheme"] == MAIN) & (searched["granularity"] == "layer")
    return searched[of_main & (searched["model"] == EXAMPLE) & (searched["search"] == "exhaustive")]


def two_blocks(trials: pd.DataFrame) -> Numbers:
    """Return what the first two of three blocks cost alone and together, in nats, from `example`."""
    costs = trials.set_index(trials["assignment"].str[:: len(MATRICES)])["qid_nats"]
    first, second, both = costs["100"], costs["010"], costs["110"]
    over = both / (first + second)
    return {
        "pair_first": first,
        "pair_second": second,
        "pair_both": both,
        "pair_over": over,
        "pair_size": count_label(trials[N_PARAMS].iloc[0]),
    }


# ---- what each matrix costs ------------------------------------------------------------------------------------------


def relative_costs(searched: pd.DataFrame) -> pd.DataFrame:
    """Return what each matrix costs alone over what its size says (`relative`), with its `log`, by scheme."""
    alone = relative_sensitivities(sensitivities(searched[searched["granularity"] == "matmul"]))
    return alone.assign(log=np.log(alone["relative"]), title=alone[N_PARAMS].map(count_label))


def factors(costs: pd.DataFrame) -> pd.DataFrame:
    """Return by `scheme` and `kind` of matrix the mean factor over runs, geometric, with `low` and `high` (95%).

    `costs` comes from `relative_costs`. In the main scheme the first and the last block are kinds as well.
    """
    last = costs["block"] == costs["n_layers"] - 1
    places = {KINDS[name]: costs["matrix"] == name for name in MATRICES}
    rows = []
    for scheme in SENSITIVITY_SCHEMES:
        kinds = places | ({"first": costs["block"] == 0, "last": last} if scheme == MAIN else {})
        for kind, place in kinds.items():
            logs = costs[place & (costs["scheme"] == scheme)].groupby("run_label")["log"].mean()
            row = mean_over_runs(logs)
            rows.append({"scheme": scheme, "kind": kind} | {end: np.exp(row[end]) for end in ("mean", "low", "high")})
    return pd.DataFrame(rows)


def matrices(costs: pd.DataFrame) -> Numbers:
    """Return the factors by kind of matrix, and the least and the most in the largest model; checks what is said."""
    table = factors(costs).set_index(["scheme", "kind"])
    of_main = costs[costs["scheme"] == MAIN]
    of_largest = of_main.loc[of_main[N_PARAMS] == of_main[N_PARAMS].max(), "relative"]
    found: Numbers = {"minds_most": of_largest.max(), "minds_least": of_largest.min()}
    claim(bool(of_main["relative"].notna().all()), "every matrix costs something alone where inputs are rounded")
    for kind, row in table.loc[MAIN].iterrows():
        found |= with_named_ends(f"minds_{kind}", row)
    main = table.loc[MAIN]
    claim(main.at["qkv", "low"] > 1, "queries, keys and values cost more than their size")
    claim(max(main.at["up", "high"], main.at["down", "high"], main.at["first", "high"]) < 1, "MLP and first block less")
    unclear = main.loc[["output", "last"]]
    claim(bool((unclear["low"] < 1).all() and (unclear["high"] > 1).all()), "output and last block: not from one")
    for bits in (2, 3):
        of_gptq = table.loc[f"GPTQ {bits} bits"]
        for kind in ("qkv", "output"):
            found |= with_named_ends(f"minds_{kind}_gptq_{bits}", of_gptq.loc[kind])
        claim(of_gptq["mean"].idxmax() == "output", "in weights alone it is attention's output")
        claim(of_gptq.at["output", "low"] > 1, "and it costs more than its size")
    shown = costs[costs["scheme"].isin(SENSITIVITY_SCHEMES)]
    return found | {"minds_free": int(shown["relative"].isna().sum())}


# ---- the largest ratio against size ----------------------------------------------------------------------------------


def gains(fits: pd.DataFrame) -> pd.DataFrame:
    """Return each fitted question with `mean`, `low` and `high`: what a factor of ten in size adds to the ratio.

    `fits` comes from `fits_by_question`, with `scheme`. Also `runs` of the fit, and `at_one`, those at ratio one.
    """
    fitted = fits[fits["fit"].notna()]
    rows = pd.DataFrame([as_row(fit.size_slope, -np.log(10)) for fit in fitted["fit"]], index=fitted.index)
    counted = {"runs": [fit.n_runs for fit in fitted["fit"]], "at_one": [fit.n_all for fit in fitted["fit"]]}
    return fitted.join(rows).assign(**counted)


def drawn_gains(fits: pd.DataFrame) -> pd.DataFrame:
    """Return `gains` by relative perplexity for the figure of changes by budget, of four runs or more, with `title`."""
    table = gains(fits)
    table = table[(table["metric"] == METRIC) & (table["runs"] > 3)]
    titles = table["budget"].map("{:.0%} more perplexity".format)
    return table.assign(title=titles, lowest=np.nan, highest=np.nan)  # single runs have no gain


def shown_schemes(drawn: pd.DataFrame) -> list[str]:
    """Return the schemes that a table has, in the order of the chapters."""
    return [scheme for scheme in SCHEMES if scheme in set(drawn["scheme"])]


def named_fits(largest: pd.DataFrame, with_tokens: bool = False) -> pd.DataFrame:
    """Return `fits_by_question` of largest ratios with `scheme`."""
    fits = fits_by_question(largest, with_tokens)
    return fits.assign(scheme=scheme_names(fits))


def against_size(main: pd.DataFrame, fits: pd.DataFrame) -> Numbers:
    """Return the largest ratio of the smallest and the largest model, and what ten times the size adds to it.

    `main` is `Mixed.main_largest` of one step, `fits` comes from `named_fits` of all schemes.
    """
    at_budget = {
        granularity: rows.sort_values(N_PARAMS).set_index("model")["interpolated"]
        for granularity, rows in main[main["budget"] == BUDGET].groupby("granularity")
    }
    found: Numbers = {}
    found |= with_named_ends("finer", mean_over_runs(at_budget["matmul"] - at_budget["layer"]))
    table = gains(fits)
    by_question = table.set_index(["scheme", "metric", "granularity", "budget"])
    for granularity, ratios in at_budget.items():
        claim(bool((np.diff(ratios) > 0).all()), "the ratio rises with each size, both ways")
        found |= {f"ratio_{granularity}_small": ratios.iloc[0], f"ratio_{granularity}_large": ratios.iloc[-1]}
        found |= with_named_ends(f"gain_{granularity}", by_question.loc[(MAIN, METRIC, granularity, BUDGET)])
    claim(bool((table["high"] > 0).all()), "no question in which the ratio clearly falls with size")
    clear = int((table["low"] > 0).sum())
    return found | {"fitted": len(table), "clear_up": clear}


# ---- the published law -----------------------------------------------------------------------------------------------


def law(main: pd.DataFrame, fits: pd.DataFrame) -> Numbers:
    """Return our constants beside the printed ones by budget, and how far laws miss the largest model."""
    fine = main[main["granularity"] == "matmul"]
    own = fits[(fits["scheme"] == MAIN) & (fits["metric"] == METRIC) & (fits["granularity"] == "matmul")]
    found: Numbers = {}
    inside, ours = {}, own.set_index("budget")["fit"]
    for budget, fit in ours.items():
        found |= _constants(budget, fit, fine[fine["budget"] == budget].sort_values(N_PARAMS).iloc[-1])
        inside[budget] = fit.k_interval[0] < CAO_2024_LAWS[budget].k < fit.k_interval[1]
    claim(inside == {0.05: True, 0.1: False, 0.2: False}, "the printed slope lies in ours at 5% alone")
    claim(all(ours[one].law.k > CAO_2024_LAWS[one].k for one in (0.1, 0.2)), "the ratio rises faster here beyond 5%")
    asked = {name: LAWS[name] for name in ("size", "power", "as the next size", "published")}
    rms = scores(predicted(fine, asked), ["law"]).set_index("law")["rms"]
    claim(rms["size"] < rms["power"] < rms["as the next size"], "the law predicts the largest size best")
    short = {"size": "size", "power": "power", "as the next size": "next", "published": "published"}
    return found | {f"rms_{name}": rms[label] for label, name in short.items()}


def _constants(budget: float, fit: RatioFit, largest: pd.Series) -> Numbers:
    name, (low, high) = f"{budget:.0%}".removesuffix("%"), fit.k_interval
    printed = CAO_2024_LAWS[budget]
    return {
        f"k_{name}": fit.law.k,
        f"k_{name}_low": low,
        f"k_{name}_high": high,
        f"k_{name}_printed": printed.k,
        f"printed_large_{name}": float(printed.largest_ratio(largest[N_PARAMS])),
        f"measured_large_{name}": largest["interpolated"],
    }


def numbers(mixed: Mixed) -> Numbers:
    """Return every number that the chapter states, by its key."""
    here = mixed.constant(STEP)
    fits = named_fits(here.largest)
    parts = (
        counts(mixed.constant()),
        two_blocks(example(here.searched)),
        matrices(relative_costs(here.searched)),
        against_size(here.main_largest, fits),
        law(here.main_largest, fits),
    )
    return {key: value for part in parts for key, value in part.items()}
