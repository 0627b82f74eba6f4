"""Planted laws and small tables of measurements, shared by the tests of the statistics side."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.fits.by_run import fit_by_run
from helpers.analyse.fits.data import FitData
from helpers.analyse.laws.forms import OneBitWidthLaw, UnifiedLaw
from helpers.analyse.laws.variables import ValidityRange
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.devices import agreement_in_seeds, device_agreement
from helpers.analyse.rows.noise import calibration_spread
from helpers.table.rows import Measurement

ANYWHERE = ValidityRange((0, np.inf), (0, np.inf), (0, np.inf))
# QiD of 0.5 nats at 2 bits, 1.5M parameters and 250M tokens: a tadpole's order of magnitude
TRUTH = UnifiedLaw(k=0.75, beta=0.4, alpha=0.3, gamma=5.5, source="planted", validity=ANYWHERE)


def plant(
    seed: int, tau_run: float = 0.1, tau_row: float = 0.1, floor_nats: float = 0.004, n_sizes: int = 6
) -> FitData:
    """Rows of `n_sizes` runs, 7 checkpoints and 3 bit widths: log-normal spread by run and by row, plus noise se."""
    generator = np.random.default_rng(seed)
    sizes = np.geomspace(1.5e5, 1.5e7, n_sizes)
    n_params, tokens, bits = (x.ravel() for x in np.meshgrid(sizes, np.geomspace(6e7, 1e9, 7), [2.0, 3.0, 4.0]))
    mean = TRUTH.predict(tokens, n_params, bits)
    run = np.searchsorted(sizes, n_params)
    spread = generator.normal(0, tau_run, n_sizes)[run] + generator.normal(0, tau_row, mean.size)
    se = 0.004 * mean + floor_nats
    measured = mean * np.exp(spread - (tau_run**2 + tau_row**2) / 2) + generator.normal(0, se)
    return FitData(tokens, n_params, bits, measured, se, np.array([f"run {index}" for index in run]))


@pytest.fixture
def planted():
    return plant


@pytest.fixture
def truth():
    return TRUTH


BLANK = {field.name: None for field in dataclasses.fields(Measurement)}


def _row(size: int, step: int, device: str, bits: int | None, method: str, losses: np.ndarray) -> dict:
    return BLANK | {
        "checkpoint_id": f"{size}@{step}",
        "scheme_id": f"{method}-{bits}",
        "eval_id": "held-out",
        "method_version": 1,
        "device_type": device,
        "family": "tadpole",
        "model": f"tadpole-{size}",
        "run": f"tadpole-{size}",
        "train_seed": 0,
        "step": step,
        "tokens_seen": step * 10**6,
        "schedule": "constant",
        "n_params_non_embedding": size,
        "method": method,
        "bits": bits,
        "group_size": None if bits is None else 32,
        "symmetric": None if bits is None else False,
        "status": "ok",
        "loss_nats": float(losses.mean()),
        "group_loss": losses,
    }


@pytest.fixture
def rows() -> pd.DataFrame:
    """3 sizes x 4 steps x 2 devices: a baseline, and 2, 3, 4 bits by gptq, rtn and autogptq; 64 documents."""
    generator = np.random.default_rng(11)
    table = []
    for size in (150_000, 330_000, 590_000):
        for step in (50, 100, 200, 400):
            base = generator.normal(3.0, 0.4, 64)
            for device in ("cpu", "cuda"):
                table.append(_row(size, step, device, None, "none", base))
                for method in ("gptq", "rtn", "autogptq"):
                    for bits in (2, 3, 4):
                        mean = TRUTH.predict(step * 1e6, size, bits)
                        losses = base + mean + generator.normal(0, 0.05 * mean + 0.002, 64)
                        table.append(_row(size, step, device, bits, method, losses))
    return pd.DataFrame(table)


@pytest.fixture
def table(rows):
    return degradation(rows[rows["device_type"] == "cpu"])


@pytest.fixture
def agreement(rows, table):
    gptq = table[table["method"] == "gptq"]
    again = gptq.assign(calib_seed=1, qid_nats=gptq["qid_nats"] * 1.1)
    seeds = calibration_spread(pd.concat([gptq.assign(calib_seed=0), again]))
    return agreement_in_seeds(device_agreement(gptq, degradation(rows[rows["device_type"] == "cuda"])), seeds)


@pytest.fixture
def fits(planted):
    data = planted(1)
    two = fit_by_run(OneBitWidthLaw, data.where(data.bits == 2))[0]
    few = fit_by_run(UnifiedLaw, planted(1, n_sizes=2))[0]
    return {"all bits": fit_by_run(UnifiedLaw, data)[0], "2 bits": two, "two runs": few}
