"""Chapter 3 counted again: parameters, training plans, losses and their paired intervals, learning rates."""

import csv
import json
import math

import numpy as np
from tests.recount.recount import (
    ROOT,
    checkpoints,
    distinct,
    grouped,
    half_width,
    label,
    measurements,
    plans,
    study,
    trunk,
    where,
)

EXCEPTED = {
    "ouyang_checkpoints": "the paper's abstract",
    "cut": "the paper's last step",
    "most_passes": "the book's own limit",
    "ex_step": "an exercise's choice",
}
TOLERANCES = {}

N, D = "n_params_non_embedding", "tokens_seen"
# Pythia as its paper has it (Biderman et al. 2023, tables 1 and 6, and the configurations of v1)
PEAKS = dict(
    zip(("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"), (10, 6, 3, 3, 2, 1.6, 1.2, 1.2), strict=True)
)
SMALLEST_TOTAL = 70_426_624
BATCH, STEPS, WARMUP = 1024 * 2048, 143_000, 1430
VOCABULARY = 50_304


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [tadpoles(), curves(), passes(), rates(), designs()]
    parts += [mixed(), seeds(), depths(), exercises()]
    return {key: value for part in parts for key, value in part.items()}


def trained() -> list[dict]:
    return where(checkpoints(), n_averaged=1)


def by_size(rows) -> list[dict]:
    return sorted(rows, key=lambda row: (row[N], row["step"]))


def parameters() -> dict:
    first, *_, last = by_size(trunk(trained()))
    small = pythia()["pythia-70m"]
    n_factor, total_factor = last[N] / first[N], last["n_params_total"] / first["n_params_total"]
    return {
        "pythia_small": "pythia-70m",
        "pythia_small_share": small / SMALLEST_TOTAL,
        "pythia_small_n": label(small),
        "n_factor": n_factor,
        "total_factor": total_factor,
        "exponent_factor": math.log(n_factor) / math.log(total_factor),
    }


def mixed() -> dict:
    """Return how many runs chapters 13 to 16 are about, and how many of them are cooldowns."""
    schedules = {row["run"]: row["schedule"] for row in where(trained(), family="tadpole-mixed")}
    counted = {"mixed_runs": len(schedules), "mixed_cooldowns": list(schedules.values()).count("cooldown")}
    return counted | {"late_tokens": label(60e6)}


def public() -> list[dict]:
    """Return the LAMBADA accuracies of Pythia without duplicates, from the first update on."""
    with (ROOT / "data/published/pythia_public_evals.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["deduped"] == "True" and row["metric"] == "acc"]
    numeric = {N: int, D: int, "value": float, "stderr": float}
    rows = [row | {name: kind(row[name]) for name, kind in numeric.items()} for row in rows]
    return [row for row in rows if row[D] > 0]


def pythia() -> dict[str, int]:
    """Return N of each Pythia model, smallest first, by its name without the suffix."""
    sizes = {row["model"].removesuffix("-deduped"): row[N] for row in public()}
    return dict(sorted(sizes.items(), key=lambda item: item[1]))


def published() -> dict:
    runs = sorted(grouped(public(), "model").values(), key=lambda rows: rows[0][N])
    finals = [max(rows, key=lambda row: row[D]) for rows in runs]
    bests = [max(rows, key=lambda row: row["value"]) for rows in runs]
    fell = [
        best["value"] - final["value"] > 5 * math.hypot(best["stderr"], final["stderr"])
        for best, final in zip(bests, finals, strict=True)
    ]
    return {
        "pythia_models": len(runs),
        "accuracy_smallest": finals[0]["value"],
        "accuracy_smallest_se": finals[0]["stderr"],
        "accuracy_largest": finals[-1]["value"],
        "accuracy_largest_se": finals[-1]["stderr"],
        "n_fell": sum(fell),
        "best_smallest": bests[0]["value"],
        "best_smallest_tokens": label(bests[0][D]),
        "tokens_public": label(finals[0][D]),
    }


def tadpoles() -> dict:
    rows = trunk(trained())
    (of_smallest, *_) = grouped(rows, "model").values()
    flat = where(of_smallest, lr_phase="stable")
    rising = where(of_smallest, lr_phase="warmup")[0]
    way = ("weights_sha256", "method", "format", "bits", "group_size", "symmetric")
    quantized = [row for row in measurements() if row["method"] != "none" and row["bits"] in (2, 3, 4)]
    return {
        "n_tadpoles": len(distinct(rows, "model")),
        "n_quantized": len(distinct(quantized, *way)),
        "outstanding": outstanding(),
        "tokens_per_step": of_smallest[-1][D] // of_smallest[-1]["step"],
        "n_steps": len(of_smallest),
        "n_stable": len(flat),
        "n_warmup": round(rising["step"] * rising["peak_learning_rate"] / rising["learning_rate"]),
        "tadpole_rate": flat[-1]["learning_rate"],
        "first_tokens": label(min(row[D] for row in rows)),
        "largest_tokens": label(max(row[D] for row in rows)),
        "weight_decay": of_smallest[0]["weight_decay"],
        "vocabulary": len(json.loads((ROOT / "data/tadpole/tokenizer.json").read_text())["model"]["vocab"]),
        "n_moments": max(row["n_averaged"] for row in checkpoints()),
    }


def cooldown_ends(plan: dict) -> dict[int, int]:
    """Return where each cooldown leaves a trunk -> where it ends, in updates: the cooldown is the last fifth."""
    return {at: round(at / (1 - plan["cooldowns"]["share"])) for at in plan["cooldowns"]["at"]}


def planned():
    """Yield family, run and its steps as the YAML of the training plans say them."""
    suffixes = {"peak_learning_rate": "lr", "weight_decay": "wd", "seed": "seed", "horizons": "cosine"}
    for plan in plans():
        for model in plan["models"]:
            moved = [name for name in suffixes if isinstance(plan.get(name), list)]
            for value in plan[moved[0]] if moved else [None]:
                run = f"{model['name']}-{suffixes[moved[0]]}{value:g}" if moved else model["name"]
                horizon = value if moved == ["horizons"] else model.get("last_step", math.inf)
                yield plan["family"], run, {step for step in plan["steps"] if step <= horizon}
            if "cooldowns" in plan and model["name"] in plan["cooldowns"].get("models", [model["name"]]):
                for at, end in cooldown_ends(plan).items():
                    yield plan["family"], f"{model['name']}-cooldown{at}", {(at + end) // 2, end}


def outstanding() -> str:
    there = distinct(trained(), "family", "run", "step")
    missing = [run for family, run, steps in planned() if {(family, run, step) for step in steps} - there]
    if not missing:
        return "Every run that is planned has been trained."
    how_many = "one run is" if len(missing) == 1 else f"{len(missing)} runs are"
    return f"Of the runs that are planned, {how_many} still to be trained: {', '.join(missing)}."


def losses() -> list[dict]:
    """Return the 16-bit rows of trained checkpoints on held-out text."""
    return where(study(), method="none", n_averaged=1)


def curves() -> dict:
    rows = by_size(trunk(losses()))
    runs = list(grouped(rows, "model").values())
    smallest, largest = runs[0][-1], runs[-1][-1]
    documents = largest["group_loss"]
    gaps = smallest["group_loss"] - documents
    still = [run[-2]["loss_nats"] - run[-1]["loss_nats"] for run in runs]
    return {
        "n_baselines": len(rows),
        "loss_largest": largest["loss_nats"],
        "loss_low": largest["loss_nats"] - half_width(documents),
        "loss_high": largest["loss_nats"] + half_width(documents),
        "gap": np.mean(gaps),
        "gap_low": np.mean(gaps) - half_width(gaps),
        "gap_high": np.mean(gaps) + half_width(gaps),
        "n_documents": len(documents),
        "bits_per_byte": largest["loss_nats"] / math.log(2) * largest["n_tokens"] / largest["n_bytes"],
        "bytes_per_token": largest["n_bytes"] / largest["n_tokens"],
        "still_lowest": min(still),
        "still_highest": max(still),
        "before_last": label(runs[-1][-2][D]),
        "eval_tokens": largest["n_sequences"] * largest["seq_len"],
    }


def gains(rows: list[dict]) -> list[tuple[dict, float, float]]:
    """Return, by size and step, each row with what it lies below the trunk at the same tokens and half the interval of that."""
    of_trunk = {(row["model"], row[D]): row for row in trunk(losses())}
    found = []
    for row in by_size(rows):
        below = of_trunk[row["model"], row[D]]["group_loss"] - row["group_loss"]
        found.append((row, sum(below) / len(below), half_width(below)))
    return found


def cooldowns() -> list[tuple[dict, float, float]]:
    return gains(where(losses(), schedule="cooldown", learning_rate=0))


def decay() -> dict:
    cooled = cooldowns()
    lower = [gain for _, gain, half in cooled if gain > half]
    last, last_gain, last_half = cooled[-1]
    cosines = gains(row for row in where(losses(), schedule="cosine") if row[D] == row["tokens_planned"])
    worst, gain, half = min(cosines, key=lambda found: found[1])
    return {
        "n_cooled": len(cooled),
        "n_lower": len(lower),
        "gain_lowest": min(lower),
        "gain_highest": max(lower),
        "n_higher": sum(-gain > half for _, gain, half in cooled),
        "higher_end": label(max(row[D] for row, gain, half in cooled if -gain > half)),
        "cooled_size": label(last[N]),
        "cooled_tokens": label(last[D]),
        "cooled_gain": last_gain,
        "cooled_low": last_gain - last_half,
        "cooled_high": last_gain + last_half,
        "n_cosines": len(cosines),
        "n_cosines_lower": sum(gain > half for _, gain, half in cosines),
        "cosine_size": label(worst[N]),
        "cosine_tokens": label(worst[D]),
        "cosine_loss": -gain,
        "cosine_low": -gain - half,
        "cosine_high": -gain + half,
    }


def passes() -> dict:
    rows = trained()
    beyond = [row for row in rows if row[D] > row["unique_tokens"]]
    return {
        "unique_tokens": label(rows[0]["unique_tokens"]),
        "epochs": max(row[D] / row["unique_tokens"] for row in rows),
        "n_trained": len(rows),
        "n_beyond": len(beyond),
    }


def cosine_share(step: int) -> float:
    """Return Pythia's learning rate after warm-up as a share of its peak: a cosine to a tenth."""
    return 0.55 + 0.45 * math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP))


def rates() -> dict:
    sizes = pythia()
    peaks = {name: 1e-4 * PEAKS[name.removeprefix("pythia-")] for name in sizes}
    fitted = [name for name in sizes if name != "pythia-70m"]  # the fit of Ouyang et al. begins at 160M
    return {
        "peak_highest": max(peaks.values()),
        "peak_lowest": min(peaks.values()),
        "peak_factor": peaks[fitted[0]] / peaks[fitted[-1]],
        "peak_sizes": sizes[fitted[-1]] / sizes[fitted[0]],
        "pythia_lr_at_cut": cosine_share(98_000),
    }


def condition(variables: list[tuple[float, float, float, float]]) -> tuple[int, float]:
    """Return rank and condition number of ln N, ln D, ln peak and phase, by the eigenvalues of their correlations."""
    columns = np.array(variables).T
    varied = [column for column in columns if max(column) - min(column) > 1e-9]
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(varied))
    return int(np.sum(eigenvalues > 1e-12)), math.sqrt(eigenvalues[-1] / eigenvalues[0])


def variables_of(rows) -> list[tuple[float, float, float, float]]:
    return [
        (
            math.log(r[N]),
            math.log(r[D]),
            math.log(r["peak_learning_rate"]),
            r["learning_rate"] / r["peak_learning_rate"],
        )
        for r in rows
    ]


def designs() -> dict:
    after = [row for row in trained() if row["lr_phase"] != "warmup"]
    whole = list({row["weights_sha256"]: row for row in after}.values())
    rate = trunk(after)[0]["peak_learning_rate"]
    other = [row for row in trained() if row["peak_learning_rate"] != rate]
    decaying = where(trained(), lr_phase="decay")
    of_pythia = [
        (math.log(size), math.log(step * BATCH), math.log(PEAKS[name.removeprefix("pythia-")]), cosine_share(step))
        for name, size in pythia().items()
        for step in range(2000, STEPS + 1, 1000)
    ]
    return {
        "condition_pythia": condition(of_pythia)[1],
        "rank_trunk": condition(variables_of(trunk(after)))[0],
        "condition_study": condition(variables_of(whole))[1],
        "n_after_warmup": len(whole),
        "n_other_peak": sum(row["lr_phase"] != "warmup" for row in other),
        "other_peak_models": len(distinct(other, "model")),
        "other_peak_tokens": label(max(row[D] for row in other)),
        "n_decaying": len(decaying),
    }


def spread(rows: list[dict]) -> float:
    return max(row["loss_nats"] for row in rows) - min(row["loss_nats"] for row in rows)


def last_of_seeds() -> int:
    return max(row["step"] for row in where(trained(), family="tadpole-seeds"))


def seeds() -> dict:
    others = where(losses(), family="tadpole-seeds", step=last_of_seeds())
    first = where(trunk(losses()), step=last_of_seeds(), model=distinct(others, "model"))
    runs = grouped([*first, *others], "model")
    return {
        "seeded_models": " and ".join(sorted(runs)),
        "n_seeds": min(len(rows) for rows in runs.values()),
        "seeds_tokens": label(first[0][D]),
        "seeds_spread": max(map(spread, runs.values())),
    }


def depths() -> dict:
    """Return how far losses differ between depths, each of them beside the trunk's nearest size."""
    beside = trunk(where(losses(), step=last_of_seeds()))
    groups = {}
    for row in where(losses(), family="tadpole-depth", step=last_of_seeds()):
        nearest = min(beside, key=lambda other: abs(math.log(other[N] / row[N])))
        groups.setdefault(nearest["model"], [nearest]).append(row)
    return {
        "n_depth_sizes": len(groups),
        "depth_tokens": label(beside[0][D]),
        "depth_spread": max(map(spread, groups.values())),
    }


def exercises() -> dict:
    (plan,) = (plan for plan in plans() if plan["family"] == "tadpole-trunk")
    ends = cooldown_ends(plan)
    updates, trunk_updates = sum(end - at for at, end in ends.items()), max(plan["steps"])
    (example,) = distinct(where(checkpoints(), model="tadpole-128x3"), N)
    width, layers = 128, 3
    return {
        "ex_batch": BATCH,
        "ex_tokens": label(1000 * BATCH),
        "ex_warmup": WARMUP,
        "ex_share": 1000 / WARMUP,
        "ex_cooldowns": len(ends),
        "ex_updates": updates,
        "ex_main": trunk_updates,
        "ex_cost": updates / trunk_updates,
        "ex_whole": sum(ends.values()),
        "ex_width": width,
        "ex_layers": layers,
        "ex_matrices": layers * (3 + 1 + 4 + 4) * width**2,  # queries, keys, values; their output; up; down
        "ex_n": example,
        "ex_vocabulary": VOCABULARY,
        "ex_both": 2 * VOCABULARY * width,
        "ex_outweighs": 2 * VOCABULARY * width / example,
    }
