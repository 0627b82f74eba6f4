"""Chapter 11 counted again: scatter between draws, seeds, documents, devices and formats, and the floors they add up to."""

import functools
import itertools
import json
import math
import re
import statistics
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats
from tests.recount.recount import (
    ROOT,
    SEEDED,
    distinct,
    grouped,
    half_width,
    label,
    measurements,
    package_error,
    packages_of,
    standard_error,
    study,
    trunk,
    where,
)

EXCEPTED = {}
TOLERANCES = {}

HELD_OUT, UNSEEN = "wheels-heldout", "wheels-unseen"
N, D = "n_params_non_embedding", "tokens_seen"
WIDTHS = (2, 3, 4)
LATE = 60e6
PLAIN = {"format": "int", "group_size": 32, "symmetric": False, "order": "given", "grid_search": "minmax"}


def numbers() -> dict:
    """Return every number of the chapter that is counted again."""
    parts = [described(), draws(), exponents(), quarter(), seeds(), again(), rising(), protocols(), losses()]
    parts += [documents(), packages(), evaluations(), machines(), formats(), floors(), rows_below()]
    return {key: value for part in parts for key, value in part.items()}


# ---- the rows --------------------------------------------------------------------------------------------------------


@functools.cache
def every_draw(text: str = HELD_OUT) -> tuple[dict, ...]:
    """Return the study's rows of GPTQ in asymmetric groups of 32, all runs and all draws of calibration text."""
    rows = where(measurements(), device_type="cuda", n_sequences=512, eval_dataset=text)
    return tuple(where(rows, method="gptq", bits=set(WIDTHS), **PLAIN))


def first_draws(text: str = HELD_OUT) -> list[dict]:
    return where(every_draw(text), calib_seed=0)


def at_the_end(rows) -> list[dict]:
    """Return the rows of the trunk's last checkpoints."""
    return where(trunk(rows), step=max(row["step"] for row in rows))


def of_cpu() -> list[dict]:
    """Return the stored rows of a CPU, a quarter of the text, of the same way of rounding."""
    rows = where(measurements(), device_type="cpu", n_sequences=128, eval_dataset=HELD_OUT)
    return where(rows, method="gptq", **PLAIN)


def pocket() -> list[dict]:
    return where(of_cpu(), step=max(row["step"] for row in of_cpu()))


def seeded(rows) -> list[dict]:
    """Return the rows of models trained from several seeds, at steps that several seeds have."""
    chosen = [row for row in rows if row["family"] in SEEDED or trunk([row])]
    places = grouped(chosen, "model", "step")
    return [row for row in chosen if len(distinct(places[row["model"], row["step"]], "train_seed")) > 1]


def by_lateness(rows) -> tuple[list[dict], list[dict]]:
    """Return the rows up to 60M tokens, and those beyond, where the book fits."""
    return [row for row in rows if row[D] <= LATE], [row for row in rows if row[D] > LATE]


# ---- scatter ---------------------------------------------------------------------------------------------------------


class Spread(NamedTuple):
    """A value with its interval; of a scatter its degrees of freedom and the documents' share of the variance too."""

    sd: float
    low: float
    high: float
    freedom: int = 0
    share: float = math.nan

    def glued(self, key: str) -> dict:
        return {key: self.sd, f"{key}_low": self.low, f"{key}_high": self.high}


def scatter(rows) -> tuple[float, float]:
    """Return the variance between QiDs of the same documents, and what documents make of it, over the mean squared.

    Two roundings differ on the documents at hand by chance: each has half the squared paired error of their difference.
    """
    found = [row["document_qid"] for row in rows]
    means = [math.fsum(one) / len(one) for one in found]
    chance = [standard_error(one - other) ** 2 / 2 for one, other in itertools.combinations(found, 2)]
    return statistics.variance(means) / np.mean(means) ** 2, np.mean(chance) / np.mean(means) ** 2


def pooled(groups, freedom: int) -> Spread:
    """Return the root of the groups' mean variance, with its interval by chi square."""
    variances, chances = zip(*map(scatter, groups), strict=True)
    mean = math.fsum(variances) / len(variances)
    low, high = (math.sqrt(mean * freedom / stats.chi2.ppf(p, freedom)) for p in (0.975, 0.025))
    return Spread(math.sqrt(mean), low, high, freedom, min(1.0, np.mean(chances) / mean))


def between_draws(rows, bits: int) -> Spread:
    """Return the scatter between draws of calibration text, pooled over checkpoints."""
    groups = [group for group in grouped(where(rows, bits=bits), "weights_sha256").values() if len(group) > 1]
    return pooled(groups, sum(len(group) - 1 for group in groups))


def between_runs(rows, bits: int) -> Spread:
    """Return the scatter between runs, pooled over checkpoints; degrees of freedom are runs less models."""
    rows = where(rows, bits=bits)
    freedom = len(distinct(rows, "family", "run")) - len(distinct(rows, "model"))
    return pooled(grouped(rows, "model", "step").values(), freedom)


@functools.cache
def of_end(bits: int) -> Spread:
    return between_draws(at_the_end(every_draw()), bits)


@functools.cache
def of_seeds(bits: int) -> Spread:
    return between_runs(by_lateness(seeded(first_draws()))[1], bits)


def seed_alone(bits: int) -> Spread:
    """Return the scatter between runs less that between draws: variances and their intervals by MOVER, at least zero."""
    one, other = of_seeds(bits), of_end(bits)
    middle = one.sd**2 - other.sd**2
    below = math.sqrt((one.sd**2 - one.low**2) ** 2 + (other.high**2 - other.sd**2) ** 2)
    above = math.sqrt((one.high**2 - one.sd**2) ** 2 + (other.sd**2 - other.low**2) ** 2)
    return Spread(*(math.sqrt(max(0.0, v)) for v in (middle, middle - below, middle + above)))


def trend(spreads: dict[float, Spread]) -> Spread:
    """Return the exponent of a scatter as a power of the place, by the mean and variance of ln chi square."""
    halves = np.array([spread.freedom / 2 for spread in spreads.values()])
    logs = [math.log(spread.sd) for spread in spreads.values()] - (special.digamma(halves) - np.log(halves)) / 2
    errors = np.sqrt(special.polygamma(1, halves)) / 2
    line, covariance = np.polyfit(np.log(list(spreads)), logs, 1, w=1 / errors, cov="unscaled")
    margin = stats.norm.ppf(0.975) * math.sqrt(covariance[0, 0])
    return Spread(line[0], line[0] - margin, line[0] + margin)


# ---- calibration text ------------------------------------------------------------------------------------------------


def described() -> dict:
    rows = at_the_end(every_draw())
    sizes = distinct(rows, N)
    (counts,) = distinct(rows, "group_size", "calib_sequences", "n_sequences", D)
    return {
        "group": counts[0],
        "calib_sequences": counts[1],
        "n_sequences": counts[2],
        "n_documents": len(rows[0]["document_qid"]),
        "last_tokens": label(counts[3]),
        "late_tokens": label(LATE),
        "n_seeds": len(distinct(rows, "calib_seed")),
        "n_models": len(sizes),
        "size_times": max(sizes) / min(sizes),
    }


def draws() -> dict:
    rows = at_the_end(every_draw())
    typical = {bits: np.median([row["qid"] for row in where(rows, bits=bits)]) for bits in WIDTHS}
    found = {"bits_times": typical[2] / typical[4], "pair_3_relative": 2 * math.sqrt(2) * of_end(3).sd}
    for bits in WIDTHS:
        found |= of_end(bits).glued(f"cal_{bits}")
        found[f"cal_documents_{bits}"] = of_end(bits).share
        found[f"cal_unseen_{bits}"] = between_draws(trunk(every_draw(UNSEEN)), bits).sd
        found[f"together_{bits}"] = together(where(rows, bits=bits))
    return found


def together(rows) -> float:
    """Return the mean correlation, over pairs of sizes, of what draws of calibration text do to QiD."""
    of_models = [
        [row["qid"] for row in sorted(draws_of_one, key=lambda row: row["calib_seed"])]
        for draws_of_one in grouped(rows, "model").values()
    ]
    return np.mean([stats.pearsonr(one, other).statistic for one, other in itertools.combinations(of_models, 2)])


def exponents() -> dict:
    by_size, by_tokens = grouped(at_the_end(every_draw()), N), grouped(seeded(first_draws()), D)
    found = {}
    for bits in WIDTHS:
        draws_of = {size: between_draws(rows, bits) for size, rows in by_size.items()}
        seeds_of = {tokens: between_runs(rows, bits) for tokens, rows in by_tokens.items()}
        found |= trend(draws_of).glued(f"size_trend_{bits}") | trend(seeds_of).glued(f"token_trend_{bits}")
    return found


def quarter() -> dict:
    rows, beside = pocket(), where(at_the_end(every_draw()), model=distinct(pocket(), "model"))
    found = {
        "calib_few": rows[0]["calib_sequences"],
        "n_pocket": len(distinct(rows, "model")),
        "n_seeds_few": len(distinct(rows, "calib_seed")),
    }
    for bits in WIDTHS:
        few, many = between_draws(rows, bits), between_draws(beside, bits)
        ratio, upper = few.sd / many.sd, stats.f.ppf(0.975, few.freedom, many.freedom)
        lower = stats.f.ppf(0.975, many.freedom, few.freedom)  # one over the other tail of the first
        found |= Spread(ratio, ratio / math.sqrt(upper), ratio * math.sqrt(lower)).glued(f"quarter_{bits}")
        found |= {f"few_cal_{bits}": few.sd, f"many_cal_{bits}": many.sd}
    return found


# ---- training seeds --------------------------------------------------------------------------------------------------


def last_of_seeds(rows) -> list[dict]:
    """Return the rows at the last moment that every model of several seeds has."""
    places = grouped(seeded(rows), D)
    most = max(len(distinct(there, "model")) for there in places.values())
    return places[max(tokens for tokens, there in places.items() if len(distinct(there, "model")) == most)]


def seeds() -> dict:
    rows = seeded(first_draws())
    early = by_lateness(rows)[0]
    nearest = by_lateness(seeded(where(study(), method="rtn", **PLAIN)))[1]
    unseen = by_lateness(seeded(first_draws(UNSEEN)))[1]
    found = {
        "seed_models": ", ".join(model.removeprefix("tadpole-") for _, model in sorted(distinct(rows, N, "model"))),
        "seed_runs": len(distinct(rows, "family", "run")),
        "seed_common_tokens": label(last_of_seeds(rows)[0][D]),
        "seed_freedom": of_seeds(4).freedom,
        "seed_last_tokens": label(max(row[D] for row in rows)),
        "last_share": between_runs(last_of_seeds(rows), 4).sd / of_seeds(4).sd,
    }
    for bits in WIDTHS:
        found |= of_seeds(bits).glued(f"between_{bits}") | seed_alone(bits).glued(f"of_seed_{bits}")
        found[f"between_documents_{bits}"] = of_seeds(bits).share
        found[f"between_unseen_{bits}"] = between_runs(unseen, bits).sd
        found[f"between_nearest_{bits}"] = between_runs(nearest, bits).sd
        found[f"between_early_{bits}"] = between_runs(early, bits).sd
        found[f"between_last_{bits}"] = between_runs(last_of_seeds(rows), bits).sd
    return found


def losses() -> dict:
    """Return how the 16-bit losses of runs from several seeds differ: roots of mean variances, beyond 60M tokens."""
    rows = by_lateness(seeded(where(study(), method="none")))[1]
    places = grouped(rows, D, "model").items()
    variances = {place: statistics.variance(row["loss_nats"] for row in runs) for place, runs in places}
    largest, last = max(variances, key=variances.get), last_of_seeds(rows)[0][D]
    return {
        "loss_spread": math.sqrt(np.mean(list(variances.values()))),
        "loss_spread_last": math.sqrt(np.mean([square for place, square in variances.items() if place[0] == last])),
        "loss_spread_largest": math.sqrt(variances[largest]),
        "loss_spread_at": label(largest[0]),
    }


def kl_between(rows, bits: int) -> Spread:
    """Return the scatter of KL between runs, pooled over checkpoints: KL has no part of documents that is known."""
    rows = where(rows, bits=bits)
    freedom = len(distinct(rows, "family", "run")) - len(distinct(rows, "model"))
    return kl_pooled(grouped(rows, "model", "step").values(), freedom)


def kl_pooled(groups, freedom: int) -> Spread:
    variances = []
    for group in groups:
        kls = [row["kl_nats"] for row in group]
        variances.append(statistics.variance(kls) / statistics.fmean(kls) ** 2)
    mean = math.fsum(variances) / len(variances)
    low, high = (math.sqrt(mean * freedom / stats.chi2.ppf(p, freedom)) for p in (0.975, 0.025))
    return Spread(math.sqrt(mean), low, high, freedom)


def of_one_run(name: str, bits: int, after: float = 0) -> tuple[float, list[dict]]:
    """Return the scatter of one run of two of the same seed, in ln, and the second runs' rows, beyond `after` tokens."""
    second = where(measurements(), device_type="cuda", n_sequences=256, eval_dataset=HELD_OUT, family="tadpole-mixed")
    whole = where(second, method="gptq", bits=bits, **PLAIN, calib_seed=0, assignment_sha256=None, outlier_share=None)
    first = {(row["model"], row["step"]): row for row in trunk(where(first_draws(), bits=bits))}
    pairs = [
        (row, first[row["model"], row["step"]])
        for row in whole
        if row["run"] == row["model"] and (row["model"], row["step"]) in first
    ]
    pairs = [pair for pair in pairs if pair[0][D] > after]
    logs = [math.log(one[name] / other[name]) for other, one in pairs]
    return statistics.stdev(logs) / math.sqrt(2), [row for row, _ in pairs]


def again() -> dict:
    rows = of_one_run("qid", 4)[1]
    later, of_later = of_one_run("qid", 4, after=min(row[D] for row in rows))
    found = {"again_later": later, "again_later_from": label(min(row[D] for row in of_later))}
    for bits in WIDTHS:
        found |= {f"again_{key}_{bits}": of_one_run(name, bits)[0] for key, name in (("qid", "qid"), ("kl", "kl_nats"))}
        found |= kl_between(by_lateness(seeded(first_draws()))[1], bits).glued(f"between_kl_{bits}")
    sizes = {row[N] for row in rows}
    return found | {"second_rows": len(rows), "second_sizes": len(sizes), "second_largest": label(max(sizes))}


def rising() -> dict:
    """Return at how many steps of the trunk beyond 60M tokens QiD and KL rise at 8 bits."""
    rows = by_lateness(trunk(where(study(), method="gptq", bits=8, **PLAIN)))[1]
    runs = [sorted(run, key=lambda row: row[D]) for run in grouped(rows, "run").values()]
    pairs = [pair for run in runs for pair in itertools.pairwise(run)]
    names = (("qid", "qid"), ("kl", "kl_nats"))
    return {f"up_{key}_8": sum(one[name] < two[name] for one, two in pairs) for key, name in names} | {
        "up_of": len(pairs)
    }


def by_protocol(name: str, bits: int) -> dict[str, list[float]]:
    """Return by run ln of RTN's outcome on the first block of each document over that on four, beyond 60M tokens."""
    rows = where(measurements(), device_type="cuda", eval_dataset=HELD_OUT, method="rtn", bits=bits, **PLAIN)
    rows = by_lateness(where(rows, assignment_sha256=None))[1]
    four = {row["weights_sha256"]: row for row in where(rows, n_sequences=512)}
    found = {}
    for row in where(rows, n_sequences=128):
        if row["weights_sha256"] in four:
            ratio = row[name] / four[row["weights_sha256"]][name]
            found.setdefault((row["family"], row["run"]), []).append(math.log(ratio))
    return found


def protocol_sd(bits: int) -> float:
    """Return the root mean square of ln QiD of one protocol over the other."""
    return math.sqrt(np.mean([log**2 for logs in by_protocol("qid", bits).values() for log in logs]))


def protocols() -> dict:
    found = {}
    for bits in WIDTHS:
        found[f"scored_sd_{bits}"] = protocol_sd(bits)
        for key, name in (("qid", "qid"), ("kl", "kl_nats")):
            means = [math.fsum(logs) / len(logs) for logs in by_protocol(name, bits).values()]
            middle, half = math.fsum(means) / len(means), half_width(means)
            three = (math.exp(middle + sign * half) for sign in (0, -1, 1))
            found |= Spread(*three).glued(f"scored_{key}_{bits}") | {"scored_runs": len(means)}
    return found


# ---- documents -------------------------------------------------------------------------------------------------------


def drawn(differences, size: int, generator) -> tuple[float, float]:
    """Return the relative scatter of QiD over 4000 draws of documents, and how often the draw's interval holds it.

    They are the chapter's own draws, from the seed that `make book` gives it; here by how often each document comes.
    """
    chosen = generator.integers(0, len(differences), (4000, size))
    times = np.array([np.bincount(draw, minlength=len(differences)) for draw in chosen])
    away = differences - differences.mean()
    means = times @ away / size
    errors = np.sqrt((times @ away**2 / size - means**2) / (size - 1))
    holds = abs(means) < stats.t.ppf(0.975, size - 1) * errors
    return math.sqrt(np.mean(means**2) - np.mean(means) ** 2) / abs(differences.mean()), holds.mean()


def documents() -> dict:
    generator = np.random.default_rng(0)
    found = {}
    for row in where(at_the_end(every_draw()), calib_seed=0):  # in the table's order, as the chapter draws
        for size in (8, 16, 32, 64, 128):
            found.setdefault((row["bits"], size), []).append(drawn(row["document_qid"], size, generator))
    means = {place: np.mean(values, axis=0) for place, values in found.items()}
    result = {
        "coverage_all": min(means[bits, 128][1] for bits in WIDTHS),
    }
    for bits in WIDTHS:
        few, whole = means[bits, 16][0], means[bits, 128][0]
        equal = math.ceil(128 * (whole / of_end(bits).sd) ** 2)
        result |= {f"few_{bits}": few, f"all_{bits}": whole, f"equal_{bits}": equal}
    return result


def by_package(row: dict) -> float:
    """Return the standard error of a row's QiD if the files of one package go together."""
    return package_error(row["document_qid"], row["eval_dataset"])


def packages() -> dict:
    of_few = where(measurements(), device_type="cuda", n_sequences=128, eval_dataset=HELD_OUT, method="gptq")
    of_few = where(of_few, calib_seed=0, calib_sequences=pocket()[0]["calib_sequences"])
    of_four = {(row["weights_sha256"], row["bits"]): standard_error(row["document_qid"]) for row in first_draws()}
    gains = [of_four[row["weights_sha256"], row["bits"]] / standard_error(row["document_qid"]) for row in of_few]
    found = {"blocks_gain": np.median(gains), "n_blocks": len(gains)}
    for name, text in (("held_out", HELD_OUT), ("unseen", UNSEEN)):
        factors = [by_package(row) / standard_error(row["document_qid"]) for row in first_draws(text)]
        found |= {f"factor_{name}": np.median(factors), f"packages_{name}": len(set(packages_of(text)))}
    return found


@functools.cache
def evaluation(bits: int) -> tuple[float, float, float]:
    """Return c, p and the scatter of logarithms of a row's error by packages, c QiD^p, over rows with a QiD above zero."""
    rows = [row for row in where(first_draws(), bits=bits) if row["qid"] > 0]
    logs, errors = np.log([row["qid"] for row in rows]), np.log([by_package(row) for row in rows])
    line = stats.linregress(logs, errors)
    off = errors - line.intercept - line.slope * logs
    return math.exp(line.intercept), line.slope, math.sqrt(math.fsum(off**2) / (len(off) - 2))


def evaluations() -> dict:
    found = {}
    for bits in WIDTHS:
        found[f"eval_scale_{bits}"], found[f"eval_exponent_{bits}"], off = evaluation(bits)
        found[f"eval_off_{bits}"] = math.exp(off)
    return found


# ---- machines and formats --------------------------------------------------------------------------------------------


def on_both(of_machine) -> list[dict]:
    """Return the machine's rows of GPTQ that a GPU has too, with what they lie above it: `difference` and `relative`."""
    names = ("weights_sha256", "bits", "eval_id", "calib_seed", "calib_sequences", *PLAIN)
    stored = grouped(where(measurements(), device_type="cuda", n_sequences=128, method="gptq"), *names)
    found = []
    for row in where(of_machine, method="gptq"):
        for other in stored.get(tuple(row[name] for name in names), []):
            difference = row["qid"] - other["qid"]
            found.append(row | {"difference": difference, "relative": difference / other["qid"]})
    return found


def device(pairs, bits: int) -> float:
    """Return the relative scatter of one of two sides: the root mean square of relative differences over root two."""
    return math.sqrt(np.mean([pair["relative"] ** 2 for pair in where(pairs, bits=bits)]) / 2)


def machines() -> dict:
    pairs = on_both(where(measurements("local"), device_type="cpu")) or on_both(of_cpu())
    before, late = by_lateness(pairs)
    last = max(row[D] for row in seeded(first_draws()))
    squares = sorted((pair["relative"] ** 2 for pair in late), reverse=True)
    found = {
        "n_compared": len(late),
        "loud_share": math.fsum(squares[: len(squares) // 4]) / math.fsum(squares),
        "before": "Checkpoints before that are not among them.",
    }
    if before:
        two, three, four = (f"{device(before, bits):.0%}" for bits in WIDTHS)
        found["before"] = f"On {len(before)} rows before that it is {two}, {three} and {four}."
    for bits in WIDTHS:
        alongside = device([pair for pair in late if pair[D] <= last], bits)
        found[f"dev_{bits}"] = device(late, bits)
        found[f"of_seed_by_device_{bits}"] = math.sqrt(max(0.0, of_seeds(bits).sd ** 2 - alongside**2))
    return found


def formats() -> dict:
    read = json.loads((ROOT / "benchmarks/results/precision.json").read_text())
    machine, rows = read["machine"], read["rows"]
    moved = {}
    for row in rows:
        width = re.search(r"(\d+) bits", row["work"])[1]
        moved.setdefault(width, []).append((row["scoring_in_tfloat32"] / row["qid_nats"]) ** 2)
    versions = ", ".join(" ".join(pair) for pair in machine["versions"].items())
    return {
        "n_precision": len(rows),
        "precision_measured": f"{machine['gpu']}; {versions}; {machine['date']}, commit {machine['commit'][:7]}",
        "largest_scoring": math.sqrt(max(map(np.mean, moved.values()))),
    }


# ---- the floor -------------------------------------------------------------------------------------------------------


def smallest(relative: float, scale: float, exponent: float) -> float:
    """Return the QiD that is twice its own standard deviation, of one trained model."""

    def above(log_qid: float) -> float:
        sigma = math.hypot(relative * math.exp(log_qid), scale * math.exp(exponent * log_qid))
        return log_qid - math.log(2 * sigma)

    return math.exp(optimize.brentq(above, math.log(1e-12), math.log(10), xtol=1e-13))


def floors() -> dict:
    found, shares = {}, {}
    for bits in WIDTHS:
        qid = np.median([row["qid"] for row in where(at_the_end(first_draws()), bits=bits)])
        draw, seed, (scale, exponent, _) = of_end(bits).sd, seed_alone(bits).sd, evaluation(bits)
        of_documents = scale * qid**exponent / qid
        one = 2 * math.sqrt(draw**2 + of_documents**2)
        other = 2 * math.sqrt(draw**2 + of_documents**2 + seed**2)
        shares[bits] = one, other
        found |= {
            f"typical_{bits}": qid,
            f"floor_{bits}": one * qid,
            f"floor_{bits}_relative": one,
            f"another_{bits}": other * qid,
            f"another_{bits}_relative": other,
            f"smallest_{bits}": smallest(draw, scale, exponent),
            f"another_kl_{bits}": 2 * math.hypot(*kl_parts(bits)),
        }
        if bits != 3:
            found[f"documents_{bits}"] = of_documents
            found[f"double_{bits}"] = 2 * math.sqrt(draw**2 + of_documents**2 / 2)
    early = between_runs(by_lateness(seeded(first_draws()))[0], 4).sd
    return found | {"miss": sum(shares[4]) / 2, "smallest_4_early": smallest(early, *evaluation(4)[:2])}


def kl_parts(bits: int) -> tuple[float, float]:
    """Return the parts of draws and of the training seed in the noise of KL."""
    groups = grouped(where(at_the_end(every_draw()), bits=bits), "weights_sha256").values()
    draw = kl_pooled(groups, 1).sd
    between = kl_between(by_lateness(seeded(first_draws()))[1], bits).sd
    return draw, math.sqrt(max(0.0, between**2 - draw**2))


def rows_below() -> dict:
    """Return the least QiDs, and how many rows lie below twice their own error and the part of calibration text."""
    found, below = {}, []
    for bits in WIDTHS:
        rows, relative = where(first_draws(), bits=bits), of_end(bits).sd
        lost = [row for row in rows if row["qid"] < 2 * math.hypot(by_package(row), relative * row["qid"])]
        found[f"least_{bits}"] = min(row["qid"] for row in rows)
        found["n_each"] = len(rows)
        below += lost
    return found | {"below_4": len(below), "below_last": label(max(row[D] for row in below))}
