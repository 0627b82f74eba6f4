"""Every id of the tracked tables, computed anew from the columns of its row: what ids are made of can't move."""

import dataclasses
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.table import files
from helpers.table.records import from_mapping
from helpers.table.rows import EvalSpec, measurement_id
from helpers.table.scheme import QuantScheme

RESULTS = Path(__file__).parents[2] / "results"
SCHEME = [field.name for field in dataclasses.fields(QuantScheme)]
EVALUATION = [field.name for field in dataclasses.fields(EvalSpec)]
# a trial's row leaves out how its scheme was calibrated
SCHEME_OF_TRIALS = [name for name in SCHEME if name in pq.read_schema(RESULTS / "trials.parquet").names]


@cache
def record(cls: type, names: tuple[str, ...], values: tuple) -> QuantScheme | EvalSpec:
    """A scheme or an evaluation of its columns; made once for all rows of the same values."""
    return from_mapping(cls, dict(zip(names, values, strict=True)), "a tracked table")


def records(table: pa.Table, cls: type, wanted: list[str]) -> list:
    """What each row of a table says of `wanted`, as a record; a column that the table is older than is left out."""
    names = tuple(name for name in wanted if name in table.column_names)
    columns = [table[name].to_pylist() for name in names]
    lists_as_tuples = ([tuple(v) if isinstance(v, list) else v for v in column] for column in columns)
    return [record(cls, names, values) for values in zip(*lists_as_tuples, strict=True)]


@pytest.fixture(scope="module")
def measured() -> pa.Table:
    return pq.read_table(RESULTS / "measurements.parquet")


@pytest.fixture(scope="module")
def trials() -> pa.Table:
    return pq.read_table(RESULTS / "trials.parquet")


@pytest.fixture(scope="module")
def schemes(measured) -> list[QuantScheme]:
    return records(measured, QuantScheme, SCHEME)


def test_ids_of_schemes_and_assignments(measured, schemes):
    assert len(schemes) == 17713
    ids = {scheme: (scheme.scheme_id, scheme.assignment_sha256) for scheme in set(schemes)}
    stored = zip(measured["scheme_id"].to_pylist(), measured["assignment_sha256"].to_pylist(), strict=True)
    assert [ids[scheme] for scheme in schemes] == list(stored)


@pytest.mark.parametrize(("name", "n_rows"), [("measurements", 17713), ("trials", 68558)])
def test_ids_of_evaluations(name, n_rows):
    table = pq.read_table(RESULTS / f"{name}.parquet", columns=["eval_id", *EVALUATION])
    evaluations = records(table, EvalSpec, EVALUATION)
    assert len(evaluations) == n_rows
    ids = {evaluation: evaluation.eval_id for evaluation in set(evaluations)}
    assert [ids[evaluation] for evaluation in evaluations] == table["eval_id"].to_pylist()


@pytest.mark.parametrize(("name", "n_rows"), [("measurements", 17713), ("checkpoints", 568), ("trials", 68558)])
def test_ids_of_checkpoints(name, n_rows):
    table = pq.read_table(RESULTS / f"{name}.parquet", columns=["checkpoint_id", "weights_sha256"])
    assert [sha[:16] for sha in table["weights_sha256"].to_pylist()] == table["checkpoint_id"].to_pylist()
    assert table.num_rows == n_rows


def test_ids_of_measurements(measured, schemes):
    """They are made of the weights, the scheme, the evaluation, the kind of device and the method's version."""
    evaluations = records(measured, EvalSpec, EVALUATION)
    weights, devices, versions = (
        measured[name].to_pylist() for name in ("weights_sha256", "device_type", "method_version")
    )
    identities = zip(weights, schemes, evaluations, devices, versions, strict=True)
    assert [measurement_id(*identity) for identity in identities] == measured["measurement_id"].to_pylist()


def test_ids_of_the_schemes_of_trials(measured, schemes, trials):
    """A scheme without calibration is all in the trial's row; others are those of the rows measured with that id."""
    of_id = dict(zip(measured["scheme_id"].to_pylist(), schemes, strict=True))
    searched = set(zip(trials["scheme_id"].to_pylist(), records(trials, QuantScheme, SCHEME_OF_TRIALS), strict=True))
    assert len(searched) == 11
    for scheme_id, scheme in searched:
        assert of_id[scheme_id].scheme_id == scheme_id
        said = {name: getattr(of_id[scheme_id], name) for name in SCHEME_OF_TRIALS}
        assert said == {name: getattr(scheme, name) for name in SCHEME_OF_TRIALS}
        assert not of_id[scheme_id].kept_matrices
        assert scheme.method != "rtn" or scheme.scheme_id == scheme_id
    assert {scheme.method for _, scheme in searched} == {"rtn", "gptq"}


@pytest.mark.parametrize("name", ["measurements", "outside", "noise", "unique"])
def test_every_score_but_those_of_draws_of_noise_has_its_losses_by_document(name):
    table = files.read_table(RESULTS / f"{name}.parquet")
    drawn = [seed is not None for seed in table["noise_seed"].to_pylist()]
    lacking = table["group_loss"].is_null().to_pylist()
    assert lacking == drawn
    assert sum(drawn) == {"noise": 1440, "unique": 720}.get(name, 0)
