"""One planted law of every form, and rows for it: shared by the tests that go through all of them."""

import dataclasses
import functools

import numpy as np

from helpers.analyse.fits.data import FitData
from helpers.analyse.fits.fit import fit_law
from helpers.analyse.fits.result import FitResult
from helpers.analyse.laws.forms import (
    BitsLaw,
    ExponentialLaw,
    FreeBitsLaw,
    GroupSizeLaw,
    LearningRateLaw,
    LossLaw,
    LossPowerBitsLaw,
    OneBitWidthLaw,
    RoomLaw,
    SizeLaw,
    StepsLaw,
    TokensLaw,
    TokensPerParameterLaw,
    UnifiedLaw,
)
from helpers.analyse.laws.joint import (
    BlockByBothLaw,
    BlockByOutliersLaw,
    BlockByRatioLaw,
    BlockBySizeLaw,
    BlockByTokensLaw,
    BlockOffsetLaw,
    LogBlockLaw,
    RatioBySizeLaw,
    RatioExponentialLaw,
    RatioPowerLaw,
    RatioRestLaw,
    WithoutBlockLaw,
    WithoutTokensLaw,
)
from helpers.analyse.laws.names import FORMS, JOINT_FORMS
from helpers.analyse.laws.shapes import CurvatureLaw, OnsetLaw, SaturatingLaw, ThresholdBySizeLaw, ThresholdLaw
from helpers.analyse.laws.variables import ValidityRange

ANYWHERE = ValidityRange((1, np.inf), (1, np.inf), (1, np.inf))
AT = {"source": "planted", "validity": ValidityRange((2e8, 2e8), (1e6, 1e6), (3, 3))}
ALL = {"source": "planted", "validity": ANYWHERE}
POWER = {"k": 0.75, "beta": 0.4, "alpha": 0.3, "gamma": 5.5}
STEPS = {"k": 0.005, "beta": 0.4, "alpha": 0.3, "gamma": 1.9}


def power(x):
    return 0.75 * x["D"] ** 0.4 / (x["N"] ** 0.3 * x["P"] ** 5.5)


def steps(x):
    return 0.005 * x["D"] ** 0.4 / (x["N"] ** 0.3 * (2 ** (x["P"] - 1) - 1) ** 1.9)


# Adding a law: one row, an example with values of a tadpole's order of magnitude and its formula, written out again.
EXAMPLES = {
    "power": (UnifiedLaw(**POWER, **ALL), power),
    "one-bit-width": (
        OneBitWidthLaw(k=2e-3, beta=0.4, alpha=0.3, **AT),
        lambda x: 2e-3 * x["D"] ** 0.4 / x["N"] ** 0.3,
    ),
    "tokens": (TokensLaw(b=5e-5, beta=0.4, **AT), lambda x: 5e-5 * x["D"] ** 0.4),
    "size": (SizeLaw(a=5.0, alpha=0.3, **AT), lambda x: 5.0 / x["N"] ** 0.3),
    "bits": (BitsLaw(p=20.0, gamma=5.5, **AT), lambda x: 20 / x["P"] ** 5.5),
    "exponential": (
        ExponentialLaw(C_T=0.3, g_D=0.4, g_N=0.3, g_post=0.55, **ALL),
        lambda x: 0.3 * x["D"] ** 0.4 / x["N"] ** 0.3 * np.exp(-x["P"] / 0.55),
    ),
    "steps": (StepsLaw(**STEPS, **ALL), steps),
    "tokens-per-parameter": (
        TokensPerParameterLaw(c=0.006, b=0.45, gamma=1.9, **ALL),
        lambda x: 0.006 * (x["D"] / x["N"]) ** 0.45 / (2 ** (x["P"] - 1) - 1) ** 1.9,
    ),
    "free-bits": (
        FreeBitsLaw(k=2e-3, beta=0.4, alpha=0.3, g_2=7.0, g_4=0.2, **ALL),
        lambda x: 2e-3 * x["D"] ** 0.4 / x["N"] ** 0.3 * np.choose(x["P"].astype(int) - 2, [7.0, 1.0, 0.2]),
    ),
    "saturating": (SaturatingLaw(**POWER, ceiling=1.5, **ALL), lambda x: 1 / (1 / power(x) + 1 / 1.5)),
    "threshold": (
        ThresholdLaw(**POWER, D0=3e7, **ALL),
        lambda x: 0.75 * np.maximum(x["D"] - 3e7, 0) ** 0.4 / (x["N"] ** 0.3 * x["P"] ** 5.5),
    ),
    "threshold-by-size": (
        ThresholdBySizeLaw(**POWER, D0=2e7, nu=0.3, **ALL),
        lambda x: 0.75 * np.maximum(x["D"] - 2e7 * (x["N"] / 1e6) ** -0.3, 0) ** 0.4 / (x["N"] ** 0.3 * x["P"] ** 5.5),
    ),
    "onset": (
        OnsetLaw(**POWER, D0=5e7, nu=0.1, s=2.0, **ALL),
        lambda x: power(x) / (1 + (5e7 * (x["N"] / 1e6) ** -0.1 / x["D"]) ** 2),
    ),
    "loss": (LossLaw(**STEPS | {"k": 0.05}, lambda_=0.9, **ALL), lambda x: 10 * steps(x) * np.exp(-0.9 * x["L"])),
    "loss-power-bits": (
        LossPowerBitsLaw(**POWER | {"k": 7.5}, lambda_=0.9, **ALL),
        lambda x: 10 * power(x) * np.exp(-0.9 * x["L"]),
    ),
    "room": (RoomLaw(**POWER | {"k": 0.0075}, delta=3.0, **ALL), lambda x: 0.01 * power(x) * (6.93 - x["L"]) ** 3),
    "learning-rate": (
        LearningRateLaw(**POWER, kappa=0.2, **ALL),
        lambda x: power(x) * np.exp(0.2 * (1 - x["r"])),
    ),
    "group-size": (GroupSizeLaw(**POWER | {"k": 0.2}, eta=0.4, **ALL), lambda x: power(x) * 0.2 / 0.75 * x["G"] ** 0.4),
}
EXAMPLES |= {
    "curvature": (
        CurvatureLaw(c=0.6, g_2=1.5, g_4=0.9, **ALL),
        lambda x: 0.6 * x["H"] * np.choose(x["P"].astype(int) - 2, [1.5, 1.0, 0.9]),
    )
}
JOINT = {"k": 1e-5, "beta": 0.4, "alpha": 0.3, "kappa": 0.45, "c": 2.5}


def joint(x):
    return 1e-5 * x["D"] ** 0.4 / x["N"] ** 0.3 * x["G"] ** 0.45 * np.exp(2.5 * x["Q"])


EXAMPLES |= {
    "ratio-exponential": (RatioExponentialLaw(**JOINT, **ALL), joint),
    "ratio-power": (
        RatioPowerLaw(k=1e-4, beta=0.4, alpha=0.3, kappa=0.45, rho=1.7, **ALL),
        lambda x: 1e-4 * x["D"] ** 0.4 / x["N"] ** 0.3 * x["G"] ** 0.45 * x["Q"] ** 1.7,
    ),
    "ratio-rest": (
        RatioRestLaw(k=1e-4, beta=0.4, alpha=0.3, kappa=0.45, rho=0.6, **ALL),
        lambda x: 1e-4 * x["D"] ** 0.4 / x["N"] ** 0.3 * x["G"] ** 0.45 * (1 - (1 - x["Q"]) ** 0.6),
    ),
    "log-block": (
        LogBlockLaw(**JOINT | {"kappa": 1.5}, **ALL),
        lambda x: joint(x) * x["G"] ** -0.45 * np.log(x["G"]) ** 1.5,
    ),
    "ratio-by-size": (
        RatioBySizeLaw(**JOINT, mu=0.4, **ALL),
        lambda x: joint(x) * (x["N"] / 1e6) ** (-0.4 * (1 - x["Q"])),
    ),
    "block-by-size": (
        BlockBySizeLaw(**JOINT, mu=0.1, **ALL),
        lambda x: joint(x) * (x["G"] / 32) ** (0.1 * np.log(x["N"] / 1e6)),
    ),
    "block-by-tokens": (
        BlockByTokensLaw(**JOINT, mu=0.1, **ALL),
        lambda x: joint(x) * (x["G"] / 32) ** (0.1 * np.log(x["D"] / 2.5e8)),
    ),
    "block-by-both": (
        BlockByBothLaw(**JOINT, mu=0.1, nu=0.2, **ALL),
        lambda x: joint(x) * (x["G"] / 32) ** (0.1 * np.log(x["N"] / 1e6) + 0.2 * np.log(x["D"] / 2.5e8)),
    ),
    "block-by-outliers": (
        BlockByOutliersLaw(**JOINT, mu=0.3, **ALL),
        lambda x: joint(x) * (x["G"] / 32) ** (0.3 * np.log(x["O"])),
    ),
    "block-by-ratio": (
        BlockByRatioLaw(**JOINT, mu=0.2, **ALL),
        lambda x: joint(x) * (x["G"] / 32) ** (-0.2 * (1 - x["Q"])),
    ),
    "without-block": (
        WithoutBlockLaw(k=5e-5, beta=0.4, alpha=0.3, c=2.5, **ALL),
        lambda x: 5e-5 * x["D"] ** 0.4 / x["N"] ** 0.3 * np.exp(2.5 * x["Q"]),
    ),
    "block-offset": (
        BlockOffsetLaw(k=1e-5, beta=0.4, alpha=0.3, c=2.5, kappa=0.45, d=20.0, **ALL),
        lambda x: 1e-5 * x["D"] ** 0.4 / x["N"] ** 0.3 * (x["G"] + 20) ** 0.45 * np.exp(2.5 * x["Q"]),
    ),
    "without-tokens": (
        WithoutTokensLaw(k=0.02, alpha=0.3, kappa=0.45, c=2.5, **ALL),
        lambda x: 0.02 / x["N"] ** 0.3 * x["G"] ** 0.45 * np.exp(2.5 * x["Q"]),
    ),
}
# Units of parameters that are neither the factor nor an exponent; a law that brings another one adds it here.
UNITS = {"D0": "tokens", "ceiling": "nats", "lambda_": "1 / nats"}
NAMES = list(FORMS)
EVERY = [*FORMS, *JOINT_FORMS]


def rows_for(law, seed: int = 0) -> FitData:
    """Rows of 8 sizes, 7 checkpoints, 3 bit widths, with every covariate; variables that the law holds have one value."""
    generator = np.random.default_rng(seed)
    sizes = [1e6] * 24 if "n_params" in law.HELD else np.geomspace(1.5e5, 1.5e7, 8)
    tokens = [2e8] * 24 if "tokens" in law.HELD else np.geomspace(6e7, 1e9, 7)
    bits = [3.0] if "bits" in law.HELD else [2.0, 3.0, 4.0]
    n_params, tokens, bits = (values.ravel() for values in np.meshgrid(sizes, tokens, bits))
    blocks = [8.0, 32.0, 128.0, 512.0] if "d" in law.parameter_names() else [32.0, 128.0]  # two tell no offset
    loss = 1.2 + 40 / n_params**0.3 + 1e3 / tokens**0.4 + generator.normal(0, 0.1, tokens.size)
    covariates = {
        "loss_nats": loss,
        "room_nats": 6.93 - loss,
        "lr_fraction": generator.choice([0.0, 0.5, 1.0], tokens.size),
        "group_size": generator.choice(blocks, tokens.size),
        "quantized_ratio": generator.choice([0.5, 0.9, 1.0], tokens.size),
        "input_outliers": generator.uniform(1.5, 9.0, tokens.size),
        "curvature_nats": 2 / 4**bits * generator.uniform(0.3, 3.0, tokens.size),
    }
    runs = np.searchsorted(np.unique(n_params), n_params).astype(str)
    return FitData(tokens, n_params, bits, np.ones(tokens.size), np.ones(tokens.size), runs, covariates)


def letters(data: FitData) -> dict:
    more = data.covariates
    short = {"D": data.tokens, "N": data.n_params, "P": data.bits, "L": more["loss_nats"]}
    short |= {"r": more["lr_fraction"], "G": more["group_size"], "Q": more["quantized_ratio"]}
    return short | {"O": more["input_outliers"], "H": more["curvature_nats"]}


def planted(law, seed: int, tau: float, floor_nats: float) -> FitData:
    data = rows_for(law, seed)
    generator = np.random.default_rng(seed + 1000)
    mean = np.exp(law.evaluate(law.coefficients, data.asked(law))[0])
    se = 0.004 * mean + floor_nats
    measured = mean * np.exp(generator.normal(0, tau, mean.size) - tau**2 / 2) + generator.normal(0, se)
    return dataclasses.replace(data, outcome_nats=measured, outcome_se_nats=se)


# Surfaces that recovery is tried on: by what factor the exponents of each variable differ from the example's.
SURFACES = {
    "example": {},
    "steep in tokens": {"tokens": 1.5, "n_params": 0.6, "bits": 0.9, "loss_nats": 0.7, "room_nats": 0.7},
    "steep in size": {"tokens": 0.6, "n_params": 1.4, "bits": 1.1, "lr_fraction": 3.0, "group_size": 0.5},
}


def on_surface(name: str, surface: str):
    """Return the example of a form with other exponents, and k such that the mean of ln QiD over its rows stays."""
    law, _ = EXAMPLES[name]
    x, coefficients = rows_for(law).asked(law), law.coefficients
    n_columns = 1 + len(law.term_parameters())
    before = law.columns(x) @ coefficients[:n_columns]
    first = {term.parameter: term.variable for term in reversed(law.TERMS)}
    for place, parameter in enumerate(law.term_parameters(), start=1):
        coefficients[place] *= SURFACES[surface].get(first[parameter], 1.0)
    coefficients[0] += (before - law.columns(x) @ coefficients[:n_columns]).mean()
    return law.from_coefficients(coefficients, law.source, law.validity)


@functools.cache
def fitted(name: str, seed: int, tau: float, floor_nats: float, surface: str = "example") -> FitResult:
    """Return the fit of one form to planted rows; made once, however many tests look at it."""
    law = on_surface(name, surface)
    return fit_law(type(law), planted(law, seed, tau, floor_nats))
