"""Planted tables of trials and recipes: the loss of an assignment is known, so every answer can be counted by hand."""

import dataclasses
import itertools

import numpy as np
import pandas as pd

from helpers.analyse.mixed.trials import MATRICES, TARGETS, assignment_of
from helpers.table.rows import Measurement
from helpers.table.trial_rows import TrialRow

BLANK = {field.name: None for field in dataclasses.fields(TrialRow)}
BLANK_MEASUREMENT = {field.name: None for field in dataclasses.fields(Measurement)}
SHARES = np.array([3, 1, 4, 4]) / 12  # of a block's parameters: GPT-NeoX with an MLP of four widths
SCHEME = {
    "method": "rtn",
    "format": "mxint",
    "bits": 4,
    "group_size": 32,
    "symmetric": True,
    "activation_format": "mxint",
    "activation_bits": 4,
    "activation_group_size": 32,
}


class Model:
    """A planted model: what each matrix costs alone in nats (n_matrices,), and how costs add up."""

    def __init__(self, costs, curvature=0.0, size=1_000_000, tokens=65e6, run="m", schedule="constant"):
        self.costs, self.curvature = np.asarray(costs, float), curvature
        self.n_layers = self.costs.size // len(MATRICES)
        self.shares = np.tile(SHARES, self.n_layers) / self.n_layers
        self.size, self.tokens, self.run, self.schedule = size, tokens, run, schedule
        self.loss = 3.0

    def ratio(self, low):
        return float(self.shares[np.asarray(low, bool)].sum())

    def qid(self, low):
        total = float(self.costs[np.asarray(low, bool)].sum())
        return total + self.curvature * total**2

    def row(self, search, low, granularity="matmul", target=None, number=0, **other):
        loss = self.loss + self.qid(low)
        return (
            BLANK
            | SCHEME
            | {"weights_sha256": f"{self.run}@{self.tokens:g}", "checkpoint_id": f"{self.run}@{self.tokens:g}"}
            | {"scheme_id": "low", "eval_id": "search", "device_type": "cuda", "family": "tadpole-mixed"}
            | {"granularity": granularity, "search": search, "target_ratio": target, "number": number}
            | {"model": "m", "run": self.run, "tokens_seen": self.tokens, "step": 500, "schedule": self.schedule}
            | {"lr_phase": "stable" if self.schedule == "constant" else "decay", "n_sequences": 64, "seq_len": 512}
            | {"n_params_non_embedding": self.size, "n_layers": self.n_layers, "eval_dataset": "heldout"}
            | {"assignment": "".join("1" if one else "0" for one in low), "quantized_ratio": self.ratio(low)}
            | {"loss_nats": loss, "top1_accuracy": 0.4 - 0.1 * self.qid(low)}
            | other
        )

    def units(self, granularity):
        """Return the parts that are assigned as one, as rows of digits (n_units, n_matrices)."""
        if granularity == "matmul":
            return np.eye(self.costs.size, dtype=bool)
        return np.repeat(np.eye(self.n_layers, dtype=bool), len(MATRICES), axis=1)

    def every(self, granularity):
        """Return every assignment, as digits a matrix (n_assignments, n_matrices)."""
        units = self.units(granularity)
        choices = itertools.product([False, True], repeat=len(units))
        return np.array([np.any(units[list(chosen)], axis=0) for chosen in choices])

    def trials(self, granularity="matmul", n_random=20, seed=0, exhaustive=True, targets=TARGETS):
        """Return a table as a search writes it: 16-bit, single, random by target, greedy, exhaustive, all."""
        generator = np.random.default_rng(seed)
        units, everything = self.units(granularity), np.ones(self.costs.size, bool)
        rows = [self.row("none", ~everything, granularity), self.row("all", everything, granularity)]
        rows += [self.row("single", unit, granularity, number=index) for index, unit in enumerate(units)]
        if exhaustive:
            every = self.every(granularity)
            rows += [self.row("exhaustive", low, granularity, number=index) for index, low in enumerate(every)]
        singles = [self.qid(unit) for unit in units]
        for target in targets:
            for number in range(n_random):
                low, order = ~everything, iter(generator.permutation(len(units)))
                while self.ratio(low) < target - 1e-9:
                    low = low | units[next(order)]
                rows.append(self.row("random", low, granularity, target, number))
            low, order = ~everything, iter(np.argsort(singles))
            while self.ratio(low) < target - 1e-9:
                low = low | units[next(order)]
            rows.append(self.row("greedy", low, granularity, target))
        return pd.DataFrame(rows)

    def measured(self, kept=(), factor=1.0, noise=0.0, seed=0, n_documents=16, **other):
        """Return the rows of a measurement with `kept` matrices and of its 16-bit twin; QiD is `factor` x a trial's."""
        low = [digit == "1" for digit in assignment_of(kept, self.n_layers)]
        generator = np.random.default_rng(seed)
        base = generator.normal(self.loss, 0.3, n_documents)
        rounded = base + factor * self.qid(low) + noise * generator.normal(size=n_documents)
        same = {key: value for key, value in self.row("x", low).items() if key in BLANK_MEASUREMENT}
        same |= {"eval_id": "held-out", "status": "ok", "eval_dataset": "heldout", "n_sequences": 256}
        plain = {"method": "none", "bits": None, "format": "int", "group_size": None, "symmetric": None}
        plain |= {"activation_format": None, "activation_bits": None, "activation_group_size": None}
        plain |= {"loss_nats": base.mean(), "group_loss": base, "top1_accuracy": 0.4, "quantized_ratio": None}
        mixed = {"loss_nats": rounded.mean(), "group_loss": rounded, "top1_accuracy": 0.4 - 0.1 * self.qid(low)}
        rows = [BLANK_MEASUREMENT | same | more for more in (plain | {"kept_matrices": []}, mixed)]
        rows[1]["kept_matrices"] = list(kept)
        return pd.DataFrame(rows).assign(**other)
