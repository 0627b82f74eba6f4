"""What `qid compare-list` is tried on: a stand-in of the Hub with an original, two quantized copies, and their list."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.hub.stand_in import StandIn, take_for_the_hub
from tests.measure.packed_models import llama, rounded_by, scheme, written

from helpers.measure.packing import export

BASE, LIST = "EleutherAI/tiny", "pairs.yml"


@dataclass(frozen=True)
class OnTheStandIn:
    """What a child does before its command: it takes the stand-in for the Hub, and waits for nothing."""

    address: str
    cache: Path

    def __call__(self) -> None:
        patch = pytest.MonkeyPatch()
        take_for_the_hub(patch, self.address, self.cache)
        patch.setattr(time, "sleep", lambda _seconds: None)


def released(folder: Path) -> StandIn:
    """Return a stand-in that has the repositories, and write the list of pairs into `folder`."""
    hub, place = StandIn(), folder / "released"
    model = written(llama(), place / "original")
    names = {BASE: place / "original"}
    for bits in (3, 4):
        names[f"authors/tiny-int{bits}"] = place / f"int{bits}"
        export.export(place / "original", rounded_by(model, scheme(bits)), scheme(bits), place / f"int{bits}")
    for name, path in names.items():
        hub.repository(name).commit({each.name: each.read_bytes() for each in path.iterdir()})
    pairs = [f"  - {{base: {BASE}@main, quantized: {name}@main}}\n" for name in list(names)[1:]]
    (folder / LIST).write_text("".join(["name: tiny\npairs:\n", *pairs]))
    return hub
