"""What the appendix on searches and joint laws states: searches, trials beside recipes, and joint laws."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.hold_outs import judge, predict_all, refitted, scores, scores_by_run, table_of_scores
from helpers.analyse.fits.result import FitResult
from helpers.analyse.judgement.scoring import with_errors
from helpers.analyse.laws.names import JOINT_FORMS
from helpers.analyse.mixed import block_size
from helpers.analyse.mixed.largest_ratio import largest_ratios
from helpers.analyse.mixed.largest_ratio_law import CAO_2024_LAWS, fits_by_question
from helpers.analyse.mixed.searches import best_of_random, chosen_on_less, excess, regrets, searches_compared
from helpers.analyse.mixed.trials import scheme_names
from helpers.analyse.questions.extrapolation import GOAL_LOG_RMS
from helpers.analyse.rows.degradation import N_PARAMS
from helpers.analyse.rows.standard_errors import mean_over_runs
from helpers.show.claims import claim
from helpers.show.intervals import Numbers, in_words, plain, with_named_ends
from helpers.show.numbers.choose.block_size import JOINT, Blocks
from helpers.show.numbers.choose.how_much_can_go_low import (
    BUDGET,
    MAIN,
    METRIC,
    SCHEMES,
    SEQUENCES,
    STEP,
    Mixed,
    as_row,
)
from helpers.show.style import count_label

MAPPED = ("tadpole-128x3", "tadpole-256x4", "tadpole-320x6", "tadpole-512x12")  # models of the map of matrices
GUIDED = ("greedy", "integer_programme", "second_order")
CONTROLS = ("without-block", "without-tokens")
SEARCH_NAMES = {
    "random_equal": "random, as many trials",
    "random_shared": "random, as many for all targets",
    "random_all": "random, all trials",
    "greedy": "greedy",
    "second_order": "second order",
    "integer_programme": "integer programme",
}

# ---- searches at equal cost ------------------------------------------------------------------------------------------


def against_best(searched: pd.DataFrame, compared: pd.DataFrame, best: str = "any") -> pd.DataFrame:
    """Return `regrets` against the best trial known (`any`) or the best there is (`exhaustive`), with `scheme`."""
    named = searched.drop_duplicates("scheme_id").set_index("scheme_id")["scheme"]
    table = regrets(compared, best)
    return table.assign(scheme=table["scheme_id"].map(named))


def of_matrices(searched: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of the main scheme, matrix by matrix."""
    return searched[(searched["scheme"] == MAIN) & (searched["granularity"] == "matmul")]


def by_target(regret: pd.DataFrame) -> pd.DataFrame:
    """Return `excess` of the main scheme's searches, matrix by matrix, by `target_ratio` and `search`."""
    return excess(of_matrices(regret), ["target_ratio", "search"])


def guided(targets: pd.DataFrame, units: float) -> pd.DataFrame:
    """Return the guided searches for the figure: `excess`, and `n_units`, their trials; one for the second order.

    `targets` comes from `by_target`, `units` is the mean number of parts.
    """
    chosen = targets[targets["search"].isin(GUIDED)].rename(columns={"mean": "excess"})
    return chosen.assign(n_units=np.where(chosen["search"] == "second_order", 1.0, units))


def searches_table(regret: pd.DataFrame) -> pd.DataFrame:
    """Return for people the mean cost beyond the best known, a row a low scheme and a column a search."""
    beyond = excess(regret[regret["granularity"] == "matmul"], ["scheme", "search"])
    wide = beyond.pivot(index="scheme", columns="search", values="mean").loc[SCHEMES, list(SEARCH_NAMES)]
    return wide.rename(columns=SEARCH_NAMES).rename_axis(index=None, columns=None).map("{:.0%}".format)


def mean_units(compared: pd.DataFrame) -> float:
    """Return the mean number of matrices that can be assigned, over checkpoints."""
    return float(_units(compared).mean())


def _units(compared: pd.DataFrame) -> pd.Series:
    return compared[compared["granularity"] == "matmul"].drop_duplicates("checkpoint_id")["n_units"]


def searches(searched: pd.DataFrame, compared: pd.DataFrame) -> Numbers:
    """Return what each search costs beyond the best known, and how many trials it takes; checks what is said."""
    regret, units = against_best(searched, compared), _units(compared)
    beyond = excess(regret, ["granularity", "scheme", "search"]).set_index(["granularity", "scheme", "search"])
    second_order = beyond["mean"].xs(("matmul", "second_order"), level=("granularity", "search"))
    claim(second_order.idxmax() == "GPTQ 4 bits", "the second order is worst for GPTQ at 4 bits")
    largest = compared[N_PARAMS] == compared[N_PARAMS].max()
    found: Numbers = {
        "random_trials": int(compared["n_random"].max()),
        "random_trials_largest": int(compared.loc[largest, "n_random"].max()),
        "second_order_worst": second_order.max(),
        "units_low": int(units.min()),
        "units_high": int(units.max()),
    }
    main = beyond.loc["matmul", MAIN]
    claim(main.at["random_all", "low"] > main.at["second_order", "high"], "measured costs beat random draws")
    for name in ("random_equal", "random_all", *GUIDED):
        found |= with_named_ends(f"beyond_{name}", main.loc[name])
    targets = by_target(regret).set_index(["target_ratio", "search"])["mean"]
    for target, short in ((0.5, "05"), (0.95, "095")):
        found |= {f"at_{short}_{name}": targets[target, name] for name in ("random_all", "integer_programme")}
    whole = against_best(searched, compared, "exhaustive")
    whole = whole[whole["scheme"] == MAIN]
    of_whole = excess(whole, ["search"]).set_index("search")["mean"]
    found |= {f"exhaustive_{name}": of_whole[name] for name in ("greedy", "integer_programme")}
    return found | {"exhaustive_runs": whole["run_label"].nunique()}


def by_random_alone(searched: pd.DataFrame) -> Numbers:
    """Return how much lower the largest ratio is read off random trials alone, and what becomes of the law."""
    fine = of_matrices(searched)
    every = largest_ratios(fine)
    alone = largest_ratios(fine[fine["search"].isin(["random", "all"])])
    both = alone.merge(every, on=["model", "metric", "budget"], suffixes=("", "_best"))
    both = both[both["metric"] == METRIC]
    both = both.assign(lost=both["interpolated_best"] - both["interpolated"])
    lost = {budget: mean_over_runs(rows["lost"]) for budget, rows in both.groupby("budget")}
    claim(min(lost[0.05]["low"], lost[0.1]["low"]) > 0 > lost[0.2]["low"], "it is lower at 5% and at 10%")
    laws = [fits_by_question(one[one["metric"] == METRIC]).set_index("budget")["fit"] for one in (alone, every)]
    found: Numbers = {"lost_20_mean": lost[0.2]["mean"]}
    found |= with_named_ends("lost_5", lost[0.05]) | with_named_ends("lost_10", lost[0.1])
    return found | {"k_random": laws[0][BUDGET].law.k, "k_trials": laws[1][BUDGET].law.k}


# ---- how many trials, how much text ----------------------------------------------------------------------------------


def ablated(tried: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return by scheme and model what less text costs and what fewer trials cost: `excess` over the best draw.

    `tried` has the trials on other texts than the main one; the first table has a row a `n_sequences`, the second one a
    number of trials, `n_trials`.
    """
    other = tried[tried["n_sequences"] != SEQUENCES]
    named = tried.drop_duplicates("scheme_id").set_index("scheme_id")["scheme"]
    text = chosen_on_less(other)
    longest = other[(other["n_sequences"] == other["n_sequences"].max()) & (other["search"] != "single")]
    draws = best_of_random(longest)
    least = draws.groupby(["run_label", "scheme_id"])["best_so_far"].transform("min")
    return (
        text.assign(scheme=text["scheme_id"].map(named), excess=text["regret"] / text["best"]),
        draws.assign(scheme=draws["scheme_id"].map(named), excess=draws["expected"] / least - 1),
    )


def ablation_table(text: pd.DataFrame, draws: pd.DataFrame) -> pd.DataFrame:
    """Return for people what less text and fewer trials cost, a row a scheme and model, from `ablated`."""
    asked = draws[draws["n_trials"].isin([1, 10, 20, 50, 100])]
    shown = {
        "sequences": text.pivot(index=["scheme", "model"], columns="n_sequences", values="excess"),
        "trials": asked.pivot(index=["scheme", "model"], columns="n_trials", values="excess"),
    }
    return pd.concat(shown, axis=1).map(lambda value: "" if pd.isna(value) else f"{value:.1%}")


def ablation(text: pd.DataFrame, draws: pd.DataFrame, longest: int) -> Numbers:
    """Return the worst cost of little text and the range of that of few trials; `longest`: sequences of all text."""
    made = draws.groupby("model")["n_trials"].max()
    sizes = draws.groupby("model")[N_PARAMS].first().map(count_label)
    claim(bool((text.loc[text["n_sequences"] == 63, "excess"] == 0).all()), "63 sequences choose as all do")
    found: Numbers = {
        "ablated_models": text["model"].nunique(),
        "ablated_target": float(text["target_ratio"].iloc[0]),
        "ablated_trials": int(draws["n_trials"].max()),
        "ablated_text": longest,
        "few_draws": int(made.min()),
        "few_size": sizes[made.idxmin()],
        "many_size": sizes[made.idxmax()],
    }
    for count in (1, 16):
        found[f"text_{count}_most"] = text.loc[text["n_sequences"] == count, "excess"].max()
    many = draws[draws["model"] == made.idxmax()]
    for count in (10, 50, 100):
        values = many.loc[many["n_trials"] == count, "excess"]
        found |= {f"trials_{count}_least": values.min(), f"trials_{count}_most": values.max()}
    return found


# ---- trials beside recipes -------------------------------------------------------------------------------------------


def held_over_trial(recipes: pd.DataFrame) -> pd.DataFrame:
    """Return by scheme, and by whether everything is low, the mean factor of a recipe's QiD over its trial's.

    Geometric means over runs, `mean`, `low` and `high` (95%); rows where one of the two isn't positive are left out.
    """
    positive = recipes[(recipes["qid_nats"] > 0) & (recipes["swapped_qid_nats"] > 0)]
    logs = np.log(positive["qid_nats"] / positive["swapped_qid_nats"])
    everything = np.isclose(positive["quantized_ratio"], 1)
    by_run = (
        positive.assign(log=logs, everything=everything).groupby(["scheme", "everything", "run_label"])["log"].mean()
    )
    rows = {key: mean_over_runs(values) for key, values in by_run.groupby(level=[0, 1])}
    return np.exp(pd.DataFrame(rows).T[["mean", "low", "high"]])


def optimism(largest: pd.DataFrame, of_trials: pd.DataFrame) -> pd.DataFrame:
    """Return by granularity by how much the largest ratio is higher when read off trials: means over runs."""
    asked = [one[(one["metric"] == METRIC) & (one["budget"] == BUDGET)] for one in (largest, of_trials)]
    both = asked[0].merge(asked[1], on=["model", "granularity"], suffixes=("", "_trials"))
    more = (both["interpolated_trials"] - both["interpolated"]).groupby(both["granularity"])
    return pd.DataFrame({name: mean_over_runs(values) for name, values in more}).T


def swapped(here: Mixed) -> Numbers:
    """Return how recipes differ from their trials, in QiD and in what is read off them; checks what is said."""
    table = held_over_trial(here.recipes)
    found: Numbers = {"pairs": here.recipes["measurement_id"].nunique()}
    for name, scheme in (("mxint", MAIN), ("gptq_3", "GPTQ 3 bits"), ("gptq_2", "GPTQ 2 bits")):
        for suffix, everything in (("all", True), ("best", False)):
            found |= with_named_ends(f"held_{name}_{suffix}", table.loc[(scheme, everything)])
    of_gptq = table.loc[("GPTQ 2 bits", True), "high"]
    claim(of_gptq < table.loc[(MAIN, True), "low"], "for GPTQ at 2 bits recipes are cheaper beside their trials")
    claim(table.loc[(MAIN, False), "mean"] > table.loc[(MAIN, True), "mean"] > 1, "choosing has a price")
    of_trials = largest_ratios(here.searched)
    of_trials = of_trials[scheme_names(of_trials) == MAIN]
    higher = optimism(here.main_largest, of_trials)
    fits = fits_by_question(of_trials[(of_trials["metric"] == METRIC) & (of_trials["budget"] == BUDGET)])
    for granularity, fit in fits.set_index("granularity")["fit"].items():
        found |= with_named_ends(f"optimism_{granularity}", higher.loc[granularity])
        found |= with_named_ends(f"gain_trials_{granularity}", as_row(fit.size_slope, -np.log(10)))
    return found


def search_numbers(mixed: Mixed) -> Numbers:
    """Return every number of the appendix about searches, by its key."""
    here = mixed.constant(STEP)
    text, draws = ablated(mixed.constant().tried)
    longest = mixed.tried["n_sequences"].max()
    found = searches(here.searched, searches_compared(here.searched)) | by_random_alone(here.searched)
    return found | ablation(text, draws, int(longest)) | swapped(here)


# ---- joint laws ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class JointLaws:
    """The joint laws of ratio and block by name: fits, and scores on hold-outs, of QiD and of relative perplexity."""

    fits: dict[str, FitResult]
    scores: pd.DataFrame
    scores_of_perplexity: pd.DataFrame

    @classmethod
    def of(cls, data: Blocks, seed: int) -> "JointLaws":
        """Fit and judge every joint law; `seed` is that of the errors of scores."""
        forms = {name: refitted(form) for name, form in JOINT_FORMS.items()}
        made = predict_all(forms, block_size.block_splits(data.table), block_size.paired_floor)
        judged = with_errors(scores(made), scores_by_run(made), np.random.default_rng(seed))
        splits = block_size.block_splits(block_size.in_relative_perplexity(data.table))
        fits = {name: fit_by_run(form, data.data)[0] for name, form in JOINT_FORMS.items()}
        return cls(fits, judged, judge(forms, splits, block_size.paired_floor))

    def table(self, column: str) -> pd.DataFrame:
        """Return one column of the scores of QiD, a row a law and a column a hold-out."""
        return table_of_scores(self.scores, column)


def laws_table(laws: JointLaws) -> pd.DataFrame:
    """Return for people the fit and the form of each joint law, the best first by Akaike's criterion."""
    least = min(fit.aic for fit in laws.fits.values())
    shown = {
        name: {
            "AIC beyond the least": f"{fit.aic - least:.0f}",
            "scatter τ": f"{fit.tau:.3f}",
            "law": (JOINT_FORMS[name].__doc__ or "").splitlines()[0],
        }
        for name, fit in sorted(laws.fits.items(), key=lambda pair: pair[1].aic)
    }
    return pd.DataFrame(shown).T


def joint_numbers(laws: JointLaws) -> Numbers:
    """Return what the joint laws say and how far they miss what they haven't seen; checks that none is good."""
    fits, rms = laws.fits, laws.table("log_rms")
    joint, ratio_alone, told = fits[JOINT], fits["ratio-exponential"], fits["block-by-outliers"]
    found: Numbers = {}
    for name in ("beta", "alpha", "mu", "nu"):
        found |= with_named_ends(f"qb_{name}", _row(joint, name), "value")
    found |= with_named_ends("qb_mu_ratio_by_size", _row(fits["ratio-by-size"], "mu"), "value")
    found |= with_named_ends("qb_mu_outliers", _row(told, "mu"), "value")
    claim(joint.aic == min(fit.aic for fit in fits.values()), "the law in size and tokens fits best")
    claim(rms.min().min() > GOAL_LOG_RMS, "no law reaches the mark")
    for law in ("ratio-exponential", *CONTROLS):
        found[f"qb_rms_{law.replace('-', '_')}"] = rms.at[law, "largest size"]
    best = {"size": rms["largest size"].min(), "tokens": rms.iloc[:, 1].min()}
    found |= {f"qb_best_{name}": value for name, value in best.items()}
    found |= {f"qb_best_{name}_factor": float(np.exp(value)) for name, value in best.items()}
    printed = [one.k for one in CAO_2024_LAWS.values()]
    return found | {
        "qb_kappa": joint.estimate("kappa").value,
        "qb_kappa_even": in_words(_row(told, "kappa")),
        "qb_tau": joint.tau,
        "qb_joint_rows": joint.n_rows,
        "qb_joint_runs": joint.n_runs,
        "qb_goal": GOAL_LOG_RMS,
        "qb_gain_size": ratio_alone.aic - fits["block-by-size"].aic,
        "qb_gain_tokens": fits["block-by-size"].aic - joint.aic,
        "qb_slope": plain(-ratio_alone.estimate("c").value / ratio_alone.estimate("alpha").value, 1),
        "qb_cao_slope_least": plain(max(printed), 1),
        "qb_cao_slope_most": plain(min(printed), 1),
    }


def _row(fit: FitResult, name: str) -> dict[str, float]:
    one = fit.estimate(name)
    return {"value": one.value, "low": one.low, "high": one.high}
