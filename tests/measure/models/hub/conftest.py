"""A stand-in of the Hub with one repository of a tiny checkpoint, for the modules that fetch."""

import pytest
from tests.hub.stand_in import StandIn, take_for_the_hub
from tests.measure.models.hub.checkpoint import FILES, NAME


@pytest.fixture
def waits(monkeypatch):
    """The seconds that the client would have waited."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def hub(tmp_path, monkeypatch, waits):
    stand_in = StandIn()
    stand_in.repository(NAME).commit(FILES, "step1")
    with stand_in.serving() as address:
        take_for_the_hub(monkeypatch, address, tmp_path / "cache/hub")
        yield stand_in
