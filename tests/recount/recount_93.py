"""The page on the law by methods and texts counted again: exponents of two fits and their difference."""

import functools
import json
import math
from typing import NamedTuple

import numpy as np
from scipy import stats
from tests.recount.recount import ROOT, label, signed, study, trunk, where
from tests.recount.recount_04 import late
from tests.recount.recount_05 import (
    EPOCHS,
    FITTED_OF_APPENDIX,
    HELD_OUT,
    LEVEL,
    PROFILED,
    UNSEEN,
    D,
    N,
    fitted_rows,
    in_appendix,
    passes,
    rows_of,
)
from tests.recount.recount_06 import NEAR_IN_APPENDIX
from tests.recount.recount_06 import in_appendix as far_ahead
from tests.recount.recount_fits import BY_SIZE_AND_TOKENS, POWERS, by_run, fit, interval, moved

SPLITS = {HELD_OUT: "evaluation", UNSEEN: "unseen"}  # in the order in which documents are drawn
EXCEPTED = dict.fromkeys(("ceiling_low", "ceiling_high", "onset_low", "onset_high"), PROFILED)
# The chapter refits the law on each draw of documents, the recount takes one Newton step on the same draws.
TOLERANCES = dict.fromkeys({"texts_most", "rtn_alpha", "rtn_factor"} | FITTED_OF_APPENDIX | NEAR_IN_APPENDIX, 1e-6) | {
    "texts_reach": 1e-3
}


def numbers() -> dict:
    rows = fitted_rows()
    ends = {"first_row": label(min(row[D] for row in rows)), "largest_qid": max(row["qid"] for row in rows)}
    return ways() | ends | {"level": LEVEL} | in_appendix() | far_ahead()


# ---- methods and texts -----------------------------------------------------------------------------------------------


@functools.cache
def drawn() -> dict[str, np.ndarray]:
    """Return how often each document is in 200 draws of whole packages, by text: the chapter's draws, from its seed."""
    generator, lock, found = np.random.default_rng(0), json.loads((ROOT / "data/corpus.lock").read_text()), {}
    for text, split in SPLITS.items():
        owners = [file["package"] for file in lock[split]]
        names = sorted(set(owners))
        times = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), 200)
        found[text] = times[:, [names.index(owner) for owner in owners]].T
    return found


def difference(first, second, names, texts) -> dict[str, "Difference"]:
    """Return by exponent how much larger it is in the second fit, with low and high: runs and documents together."""
    order = [{(row["weights_sha256"], row["bits"]): row for row in rows} for rows in (first, second)]
    tables = [[one[key] for key in order[0] if key in order[1]] for one in order]
    laws = [fit(rows, names) for rows in tables]
    (slopes, residuals), (others, more) = (law.weighted for law in laws)
    both = np.block([[slopes, 0 * slopes], [others, others]])
    covariance, freedom = by_run(both, np.append(residuals, more), laws[0].runs + laws[1].runs)
    coefficients = []
    for law, rows, text in zip(laws, tables, texts, strict=True):
        times = drawn()[text]
        coefficients.append(moved(law, np.array([row["document_qid"] for row in rows]) @ times / times.sum(axis=0)))
    documents = (coefficients[1] - coefficients[0]).var(axis=0, ddof=1)
    found = {}
    for place, name in enumerate(names, start=1):
        behind = place + 1 + len(names)
        half = stats.t.ppf((1 + LEVEL) / 2, freedom[behind]) * math.sqrt(covariance[behind, behind] + documents[place])
        value = laws[1][name] - laws[0][name]
        found[name] = Difference(value, value - half, value + half, freedom[behind])
    return found


class Difference(NamedTuple):
    """How much larger an exponent is in a second fit, with the ends of its t interval."""

    value: float
    low: float
    high: float
    freedom: float

    def chance(self) -> float:
        """Return how often a difference as large would come where there is none."""
        error = (self.high - self.value) / stats.t.ppf((1 + LEVEL) / 2, self.freedom)
        return 2 * stats.t.cdf(-abs(self.value) / error, self.freedom)


def summary(kind, pairs) -> dict:
    """Return what the chapter says of some differences together."""
    found = [(pair, name, one) for pair, by_name in pairs.items() for name, one in by_name.items()]
    clear = [(pair, name, one.value) for pair, name, one in found if one.low > 0 or one.high < 0]
    greek = dict(zip(POWERS, "βαγ", strict=True))
    told = "; ".join(f"{greek[name]} of {pair}: {signed(value, 2)}" for pair, name, value in clear)
    told = f"{len(clear)} exclude zero ({told})" if clear else "none excludes zero"
    return {f"{kind}_clear": len(clear), f"{kind}_all": len(found), f"{kind}_told": told}


def ways() -> dict:
    gptq, rtn, awq = (late(rows_of(method)) for method in ("gptq", "rtn", "awq"))
    nf4 = where(trunk(study()), method="nf4", group_size=32, symmetric=True, bits=4)
    nf4 = [row for row in late(nf4) if passes(row) <= EPOCHS]
    unseen = {"GPTQ": (gptq, late(rows_of(text=UNSEEN))), "RTN": (rtn, late(rows_of("rtn", UNSEEN)))}
    texts = {
        f"unseen − held-out, {way}": difference(*pair, tuple(POWERS), (HELD_OUT, UNSEEN))
        for way, pair in unseen.items()
    }
    same, at_4 = (HELD_OUT, HELD_OUT), where(gptq, bits=4)
    methods = {
        f"{way} − GPTQ, 4 bits": difference(at_4, where(rows, bits=4), BY_SIZE_AND_TOKENS, same)
        for way, rows in (("RTN", rtn), ("AWQ", awq), ("NF4", nf4))
    }
    methods["RTN − GPTQ"] = difference(gptq, rtn, tuple(POWERS), same)
    own, other = (interval(fit(rows), "alpha") for rows in (gptq, rtn))
    factor = max(row[N] for row in gptq) / min(row[N] for row in gptq)
    slopes = [one for by_name in texts.values() for name, one in by_name.items() if name != "gamma"]
    value, low, high, _ = methods["RTN − GPTQ"]["alpha"]
    return (
        summary("texts", texts)
        | summary("methods", methods)
        | {
            "alpha_overlap": "overlap" if own[0] < other[1] and other[0] < own[1] else "lie apart",
            "rtn_alpha": fit(rtn)["alpha"],
            "rtn_alpha_value": signed(value, 2),
            "rtn_alpha_low": signed(low, 2),
            "rtn_alpha_high": signed(high, 2),
            "size_factor": factor,
            "rtn_factor": factor**-value,
            "texts_most": max(abs(one) for one, *_ in slopes),
            "texts_reach": max(abs(end) for one in slopes for end in (one.low, one.high)),
        }
        | counted(texts | methods)
    )


def counted(pairs) -> dict:
    """Return which differences are left when all of them are counted together."""
    greek = dict(zip(POWERS, "βαγ", strict=True))
    every = [(f"{greek[name]} of {pair}", one) for pair, by_name in pairs.items() for name, one in by_name.items()]
    left = [what for what, one in every if one.chance() < (1 - LEVEL) / len(every)]
    return {"pairs_all": len(every), "pairs_counted": len(left), "pairs_told": "; ".join(left)}
