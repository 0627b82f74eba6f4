"""Chapter 20 counted again: features from the rows of checkpoints, scikit-learn's trees on our own folds, plain formulas.

Trees are grown from the same seeds in the same order, so only the last digits of a feature can move them: `GROWN`.
"""

import functools
import math

import numpy as np
from scipy import stats
from scipy.cluster.hierarchy import average, fcluster
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from tests.recount.recount import distinct, grouped, half_width, measurements, study, table, trunk, where
from tests.recount.recount_12 import described

EXCEPTED = {}
GROWN = 0.02  # relative, of what comes from trees
LINES = 1e-6  # relative, of least squares
STRAIGHT = ("power_", "per_", "bent_", "noise")
TOLERANCES = {}
N, D = "n_params_non_embedding", "tokens_seen"
MAIN = {
    "method": "gptq",
    "format": "int",
    "group_size": 32,
    "symmetric": False,
    "order": "given",
    "grid_search": "minmax",
}
WORDS = {
    "n": "size N",
    "d": "tokens D",
    "loss": "16-bit loss",
    "entropy": "entropy of predictions",
    "trace": "Hessian trace",
    "cost": "cost by curvature",
    "error": "relative rounding error",
    "rms": "rms of weights",
    "tails": "kurtosis of weights",
    "largest": "largest weight over rms",
    "input_tails": "kurtosis of inputs",
    "channel": "largest channel over mean",
    "rate": "learning rate",
    "share": "share of the peak rate",
}
WIDTH = ("two", "four")
REST = (*list(WORDS)[2:], *WIDTH)
WAYS = {  # what is told, how it is learnt, whether over curvature
    "power": (("n", "d", *WIDTH), "line", False),
    "per": (("per", *WIDTH), "line", False),
    "bent": (("cost",), "line", False),
    "ndp": (("n", "d", *WIDTH), "forest", False),
    "blind": (REST, "forest", False),
    "all": (("n", "d", *REST), "forest", False),
    "boosted": (("n", "d", *REST), "boosting", False),
    "over": (("n", "d", *REST), "forest", True),
}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [
        counts(),
        runs_out(),
        shapes_out(),
        hold_outs("qid", ""),
        hold_outs("kl_nats", "kl_"),
        inside(),
        worth(),
        noise(),
    ]
    found = {key: value for part in parts for key, value in part.items()}
    for key, value in found.items():
        if isinstance(value, float) and key != "kb_level":
            TOLERANCES[key] = LINES if key.removeprefix("kb_").removeprefix("kl_").startswith(STRAIGHT) else GROWN
    return found


# ---- rows ------------------------------------------------------------------------------------------------------------


def fit_for_laws(row) -> bool:
    return row[D] > 60e6 and row["epochs"] <= 4


@functools.cache
def rows() -> tuple[dict, ...]:
    """Return late rows of every run but averages at 2 to 4 bits, with what is known beforehand, in the table's order."""
    return tuple(row | known(row) for row in where(study(), n_averaged=1, bits={2, 3, 4}, **MAIN) if fit_for_laws(row))


def known(row) -> dict:
    own, bits = described()[row["weights_sha256"]], int(row["bits"])
    return {
        "n": math.log(row[N]),
        "d": math.log(row[D]),
        "per": math.log(row[D] / row[N]),
        "loss": row["loss_nats"] - row["qid"],
        "entropy": own["logit_entropy_nats"],
        "trace": math.log(own["hessian_trace"]),
        "cost": math.log(own[f"predicted_{bits}"]),
        "error": math.log(own[f"rounding_{bits}"]),
        "rms": math.log(own["rms"]),
        "tails": math.log(own["weight_tails"]),
        "largest": math.log(max(own["weight_max_over_rms"])),
        "input_tails": math.log(own["input_tails"]),
        "channel": math.log(max(own["input_max_over_rms"])),
        "rate": own["learning_rate"],
        "share": own["lr_fraction"],
        "two": float(bits == 2),
        "four": float(bits == 4),
        "cluster": "/".join(own["cluster"]),
    }


def second_runs(outcome: str) -> list[dict]:
    """Return late rows of the trunk's sizes trained again, the outcome brought to the trunk's text by the other sizes."""
    on_half = where(
        measurements(), device_type="cuda", n_sequences=256, eval_dataset="wheels-heldout", calib_seed={None, 0}
    )
    again = where(on_half, family="tadpole-mixed", assignment_sha256=None, outlier_share=None, bits={2, 3, 4}, **MAIN)
    again = [row for row in again if row["run"] == row["model"]]
    first = {(row["model"], row["step"], row["bits"]): row[outcome] for row in where(trunk(study()), **MAIN)}
    logs: dict[tuple, list[float]] = {}
    for row in again:
        twin = first.get((row["model"], row["step"], row["bits"]))
        if twin is not None and min(twin, row[outcome]) > 0:
            logs.setdefault((row["bits"], row["model"]), []).append(math.log(twin / row[outcome]))
    found = []
    for row in filter(fit_for_laws, again):
        others = [np.mean(v) for (bits, model), v in logs.items() if bits == row["bits"] and model != row["model"]]
        found.append(row | known(row) | {outcome: row[outcome] * math.exp(np.mean(others))})
    return found


def matrix(chosen, names) -> np.ndarray:
    return np.array([[row[name] for name in names] for row in chosen], float)


def counts() -> dict:
    return {
        "kb_rows": len(rows()),
        "kb_runs": len(distinct(rows(), "cluster")),
        "kb_shapes": len(distinct(rows(), "model")),
        "kb_features": len(WORDS),
        "kb_groups": len(groups()),
        "kb_level": 0.8,
        "kb_trees": 40,
    }


# ---- learning --------------------------------------------------------------------------------------------------------


def grown(way: str, training, outcome: str, generator):
    """Return a function from rows to ln of the outcome."""
    names, kind, over = WAYS[way]
    seed = int(generator.integers(2**31))
    y = np.log([row[outcome] for row in training]) - over * matrix(training, ["cost"])[:, 0]
    if kind == "line":
        design = np.column_stack([np.ones(len(training)), matrix(training, names)])
        line = np.linalg.lstsq(design, y)[0]
        return lambda held: np.column_stack([np.ones(len(held)), matrix(held, names)]) @ line
    if kind == "forest":
        trees = RandomForestRegressor(40, min_samples_leaf=3, max_features=1 / 3, random_state=seed)
    else:
        trees = GradientBoostingRegressor(
            n_estimators=150, max_depth=3, learning_rate=0.08, subsample=0.7, max_features=1 / 3, random_state=seed
        )
    trees.fit(matrix(training, names), y)
    return lambda held: trees.predict(matrix(held, names)) + over * matrix(held, ["cost"])[:, 0]


def missed(say, held, outcome: str = "qid") -> np.ndarray:
    return say(held) - np.log([row[outcome] for row in held])


def in_turn(way: str, chosen, by: str) -> dict[str, np.ndarray]:
    """Return the misses of each run (or shape) that was left out, in the order of names."""
    generator, found = np.random.default_rng(0), {}
    for name in sorted(distinct(chosen, by)):
        say = grown(way, [row for row in chosen if row[by] != name], "qid", generator)
        found[name] = missed(say, where(chosen, **{by: name}))
    return found


def factor(key: str, squares) -> dict:
    squares = list(squares)
    middle, half = np.mean(squares), half_width(squares)
    ends = {"": middle, "_low": middle - half, "_high": middle + half}
    return {f"{key}{end}": math.exp(math.sqrt(max(value, 0.0))) for end, value in ends.items()}


def against(key: str, ours: dict, others: dict) -> dict:
    logs = [math.log(ours[name] / others[name]) / 2 for name in ours]
    middle, half = np.mean(logs), half_width(logs)
    return {f"{key}{end}": math.exp(middle + side * half) for end, side in (("", 0), ("_low", -1), ("_high", 1))}


def squares(way: str, by: str = "cluster") -> dict[str, float]:
    return {name: float(np.mean(errors**2)) for name, errors in in_turn(way, rows(), by).items()}


def runs_out() -> dict:
    by_way = {way: squares(way) for way in WAYS if way != "all"} | {"all": shuffled()[""]}
    found = {key: value for way, one in by_way.items() for key, value in factor(f"kb_{way}_run", one.values()).items()}
    pairs = {
        "gain": ("all", "ndp"),
        "blind_gain": ("blind", "ndp"),
        "over_bent": ("over", "bent"),
        "over_per": ("over", "per"),
    }
    pairs |= {"all_blind": ("all", "blind"), "all_per": ("all", "per"), "ndp_per": ("ndp", "per")}
    for key, (ours, others) in pairs.items():
        found |= against(f"kb_{key}", by_way[ours], by_way[others])
    return found


def shapes_out() -> dict:
    ways = ("power", "per", "ndp", "all", "over")
    return {
        key: value for way in ways for key, value in factor(f"kb_{way}_shape", squares(way, "model").values()).items()
    }


def sides(outcome: str = "qid") -> dict[str, tuple[list[dict], list[dict]]]:
    """Return what is learnt from and what is held out, by the chapter's short names of the laws' hold-outs."""
    own = [row for row in rows() if row["family"] == "tadpole-trunk" and row["run"] == row["model"]]
    sizes, last = sorted(distinct(own, N)), max(row[D] for row in own)
    early, late = ([row for row in own if (row[D] > last / 4) == side] for side in (False, True))
    far = [row for row in [*late, *second_runs(outcome)] if row[N] in sizes[-2:] and row[D] > last / 4]
    return {
        "size": ([row for row in own if row[N] < sizes[-1]], where(own, **{N: sizes[-1]})),
        "late": (early, late),
        "both": ([row for row in early if row[N] < sizes[-2]], far),
    }


def hold_outs(outcome: str, name: str) -> dict:
    found = {}
    for way in WAYS:
        for key, (training, held) in sides(outcome).items():
            errors = missed(grown(way, training, outcome, np.random.default_rng(0)), held, outcome)
            found[f"kb_{name}{way}_{key}"] = math.exp(math.sqrt(np.mean(errors**2)))
            found[f"kb_{name}{way}_{key}_bias"] = math.exp(errors.mean())
    return found


# ---- intervals -------------------------------------------------------------------------------------------------------


def width(by_name: dict[str, np.ndarray]) -> float:
    """Return the least reach that holds 0.8 of the runs' votes; one more run, never seen, has a vote too."""
    votes = sorted((abs(e), 1 / len(errors)) for errors in by_name.values() for e in errors)
    total = 0.0
    for reach, vote in votes:
        total += vote
        if total >= 0.8 * (len(by_name) + 1) - 1e-9:
            return reach
    return math.inf


def inside() -> dict:
    generator = np.random.default_rng(0)
    names = sorted(distinct(rows(), "cluster"))
    folds = {name: place % 6 for place, name in enumerate(generator.permutation(names))}
    share, widths = {}, {}
    for fold in range(6):
        training = [row for row in rows() if folds[row["cluster"]] != fold]
        held = [row for row in rows() if folds[row["cluster"]] == fold]
        inner: dict[str, list] = {}
        for other in sorted(set(range(6)) - {fold}):
            say = grown("all", [row for row in training if folds[row["cluster"]] != other], "qid", generator)
            for row in training:
                if folds[row["cluster"]] == other:
                    inner.setdefault(row["cluster"], []).append(row)
            for name in [name for name in inner if folds[name] == other]:
                inner[name] = missed(say, inner[name])
        widths[fold] = width(inner)
        say = grown("all", training, "qid", generator)
        for name, own in grouped(held, "cluster").items():
            share[name] = np.mean(np.abs(missed(say, own)) <= widths[fold])
    middle, half = np.mean(list(share.values())), half_width(share.values())
    reach = np.median([widths[folds[row["cluster"]]] for row in rows()])
    found = {
        "kb_cover": middle,
        "kb_cover_low": middle - half,
        "kb_cover_high": middle + half,
        "kb_reach": math.exp(reach),
    }
    for key in ("size", "late"):
        training, held = sides()[key]
        generator, by_name = np.random.default_rng(0), {}
        for name in sorted(distinct(training, "cluster")):
            say = grown("all", [row for row in training if row["cluster"] != name], "qid", generator)
            by_name[name] = missed(say, where(training, cluster=name))
        errors = missed(grown("all", training, "qid", generator), held)
        found[f"kb_cover_{key}"] = np.mean(np.abs(errors) <= width(by_name))
        found[f"kb_reach_{key}"] = math.exp(width(by_name))
    return found


# ---- what features are worth -----------------------------------------------------------------------------------------


@functools.cache
def groups() -> tuple[tuple[str, ...], ...]:
    """Return features whose mean rank correlation within bit widths is above 0.7, average linkage, in the page's order."""
    names = list(WORDS)
    by_bits = [np.abs(stats.spearmanr(matrix(own, names)).statistic) for own in grouped(rows(), "bits").values()]
    distances = 1 - np.mean(by_bits, axis=0)
    places = fcluster(average(distances[np.triu_indices(len(names), 1)]), 0.3, "distance")
    return tuple(
        dict.fromkeys(tuple(n for n, at in zip(names, places, strict=True) if at == place) for place in places)
    )


@functools.cache
def shuffled() -> dict[str, dict[str, float]]:
    """Return mean squares by group of features (nothing: the empty name) and by run left out."""
    of_fits, of_donors = np.random.default_rng(0).spawn(2)
    every, names = rows(), WAYS["all"][0]
    whole, bits = matrix(every, names), np.array([row["bits"] for row in every])
    found: dict[str, dict[str, float]] = {"": {}} | {", ".join(WORDS[n] for n in group): {} for group in groups()}
    for run in sorted(distinct(every, "cluster")):
        out = np.array([row["cluster"] == run for row in every])
        held = [row for row in every if row["cluster"] == run]
        say = grown("all", [row for row in every if row["cluster"] != run], "qid", of_fits)
        found[""][run] = float(np.mean(missed(say, held) ** 2))
        for group in groups():
            wanted = np.tile(bits[out], 6)
            lent = np.empty(wanted.size, int)
            for one in (2, 3, 4):
                if (wanted == one).any():
                    lent[wanted == one] = of_donors.choice(np.flatnonzero(bits == one), int((wanted == one).sum()))
            strangers = [
                own | {name: whole[at, names.index(name)] for name in group}
                for own, at in zip(held * 6, lent, strict=True)
            ]
            found[", ".join(WORDS[n] for n in group)][run] = float(np.mean(missed(say, strangers) ** 2))
    return found


def worth() -> dict:
    plain = shuffled()[""]
    costs = {name: against("x", own, plain) for name, own in shuffled().items() if name}
    order = sorted(costs, key=lambda name: -costs[name]["x"])
    found = {"kb_group_1": order[0], "kb_group_2": order[1], "kb_group_last": order[-1]}
    for key, name in (("1", order[0]), ("2", order[1]), ("last", order[-1])):
        found |= {f"kb_cost_{key}{end}": costs[name][f"x{end}"] for end in ("", "_low", "_high")}
    return found


# ---- noise -----------------------------------------------------------------------------------------------------------


def noise() -> dict:
    """Guess GPTQ's KL by that of noise, and by curvature: the mean ratio of the other runs at the same width, run by run."""
    chosen = [row for row in table("noise") if row["bits"] in (2, 3, 4) and row["method"] in ("gaussian_noise", "gptq")]
    kl = {
        key: np.mean([row["kl_nats"] for row in own])
        for key, own in grouped(chosen, "method", "run", "step", "bits").items()
    }
    weights = {(row["run"], row["step"]): row["weights_sha256"] for row in chosen}
    guesses = {"noise": {}, "noise_bent": {}}
    for method, run, step, bits in kl:
        if method == "gptq":
            place, value = (run, step, bits), kl["gptq", run, step, bits]
            guesses["noise"][place] = math.log(kl["gaussian_noise", run, step, bits] / value)
            guesses["noise_bent"][place] = math.log(described()[weights[run, step]][f"predicted_{int(bits)}"] / value)
    found = {"kb_noise_runs": len(distinct(chosen, "run")), "kb_noise_rows": len(guesses["noise"])}
    for key, logs in guesses.items():
        errors = [
            value - np.mean([other for (r, _, b), other in logs.items() if r != run and b == bits])
            for (run, _, bits), value in logs.items()
        ]
        found[f"kb_{key}"] = math.sqrt(np.mean(np.square(errors)))
        found[f"kb_{key}"] = math.exp(found[f"kb_{key}"])
    return found
