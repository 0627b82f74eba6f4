"""Two CPU workers of this machine, started once: they take seconds to come up."""

import os

import pytest
from rich.console import Console
from tests.measure.tiny import ROOT

from helpers.measure.cluster import clusters
from helpers.measure.cluster.clusters import Cluster, opened


@pytest.fixture(scope="session")
def client():
    """A client of two workers with one thread each, as the rest of the tests of this side have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(clusters, "cores", lambda: 2)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src")]))
        with opened(Cluster("local", 2), "cpu", Console(quiet=True)) as opened_client:
            yield opened_client
