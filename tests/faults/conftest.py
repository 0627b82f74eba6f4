"""One folder of inputs for all tests of faults, and the figures they leave."""

import dataclasses
import os
from collections.abc import Callable, Iterator

import pytest
from benchmarks import report
from tests.faults.harness import ROOT, Bench, Tally


@pytest.fixture(scope="session")
def bench(tmp_path_factory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Bench(tmp_path_factory.mktemp("faults"))
        with made.hub.serving():
            yield made


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def tally(tmp_path_factory) -> Iterator[Callable[[str, str], Tally]]:
    """Give rows to count in; they are written where FAULTS_REPORT asks for it, failed tests' as well."""
    rows, base = [], str(tmp_path_factory.getbasetemp())

    def _placeless(row: Tally) -> dict[str, object]:
        return dataclasses.asdict(row) | {"examples": [one.replace(f"{base}/", "") for one in row.examples]}

    def written() -> None:
        if os.environ.get("FAULTS_REPORT"):
            report.merge("faults", [_placeless(row) for row in rows if row.tried], ("fault", "where"))

    def new(fault: str, where: str) -> Tally:
        written()  # a run that is broken off leaves what it has seen
        rows.append(Tally(fault, where))
        return rows[-1]

    yield new
    written()
