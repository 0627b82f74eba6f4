"""Losses of parts beside the loss of the whole, by hand."""

import numpy as np
import pandas as pd
import pytest

from helpers.analyse.mixed.additivity import of_parts, of_weights_and_inputs
from helpers.table.errors import AnalysisError

PROBLEM = {"checkpoint_id": "c", "scheme_id": "s", "granularity": "layer", "eval_id": "e", "device_type": "cuda"}
PROBLEM |= {"run_label": "f/r", "n_params_non_embedding": 100, "tokens_seen": 1000, "bits": 2}


def trial(search: str, qid: float, **changes: object) -> dict:
    return PROBLEM | {"search": search, "qid_nats": qid} | changes


def test_the_whole_over_the_sum_of_its_parts():
    """Two problems; a whole that two searches tried counts once, other searches not at all."""
    other = {"scheme_id": "t", "bits": 4}
    rows = [trial("single", 0.1), trial("single", 0.2), trial("all", 0.6), trial("all", 0.6), trial("random", 9.0)]
    rows += [trial("single", 0.02, **other), trial("single", 0.02, **other), trial("all", 0.04, **other)]
    found = of_parts(pd.DataFrame(rows)).set_index("bits")
    assert found["ratio"].to_dict() == pytest.approx({2: 2.0, 4: 1.0})
    assert found.loc[2, ["whole_nats", "sum_nats", "n_parts"]].tolist() == pytest.approx([0.6, 0.3, 2])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([trial("single", 0.1)], "no trial of the whole model beside its parts: 1"),
        ([trial("single", 0.1), trial("all", 0.1), trial("all", 0.2)], "two trials of a whole model"),
    ],
)
def test_a_whole_that_is_missing_or_there_twice(rows, message):
    with pytest.raises(AnalysisError, match=message):
        of_parts(pd.DataFrame(rows))


def row(method: str, loss: float, inputs: bool = False, bits: float = 4, **changes: object) -> dict:
    scheme = {"method": method, "bits": np.nan if method == "none" else bits}
    scheme |= {"activation_format": "mxint" if inputs else None}
    described = {"family": "f", "run": "r", "model": "r", "step": 1, "checkpoint_id": "c", "eval_id": "e"}
    described |= {"n_params_non_embedding": 100, "tokens_seen": 1000, "device_type": "cpu", "status": "ok"}
    return described | scheme | {"loss_nats": loss, "group_loss": np.array([loss, loss])} | changes


def rows(*more: dict) -> pd.DataFrame:
    every = [row("none", 3.0), row("rtn", 3.1), row("inputs_only", 3.3, inputs=True), row("rtn", 3.6, inputs=True)]
    return pd.DataFrame([*every, *more])


def test_weights_inputs_and_both():
    """0.1 and 0.3 nats alone, 0.6 together; at 3 bits one of the three is missing."""
    (found,) = of_weights_and_inputs(rows(row("rtn", 3.9, bits=3))).to_dict("records")
    assert [found[name] for name in ("weights", "inputs", "both")] == pytest.approx([0.1, 0.3, 0.6])
    assert (found["ratio"], found["share"], found["bits"]) == pytest.approx((1.5, 0.25, 4))


def test_a_checkpoint_twice_is_refused():
    with pytest.raises(AnalysisError, match="twice with the same matrices"):
        of_weights_and_inputs(rows(row("rtn", 3.2)))
