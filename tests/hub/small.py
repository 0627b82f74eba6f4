"""The catalogue's families made small: the same repositories, revisions, steps and tokens, runs that a test can measure.

No torch is loaded here, so that every process of a test can take a small family for the real one.
"""

import dataclasses

from helpers.table.families import catalogue
from helpers.table.families.hub import HubFamily, HubRun
from helpers.table.families.shapes.llama import LlamaRun

WIDTH, VOCABULARY_SIZE = 128, 1024


def small_family(name: str) -> HubFamily:
    """Return a family of the catalogue with small runs, larger ones with two layers."""
    family = catalogue.HUB_FAMILIES[name]
    return dataclasses.replace(family, runs=tuple(dataclasses.replace(run, **_small(run)) for run in family.runs))


def only(family: HubFamily, models: list[str], steps: list[int]) -> HubFamily:
    """Return a family that has these models and steps alone."""
    kept = [run for run in family.runs if run.model in models]
    runs = (dataclasses.replace(run, steps=tuple(step for step in run.steps if step in steps)) for run in kept)
    return dataclasses.replace(family, runs=tuple(runs))


def _small(run: HubRun) -> dict[str, int]:
    shape = {"n_layers": 1 if run.d_model < 1024 else 2, "d_model": WIDTH, "vocabulary_size": VOCABULARY_SIZE}
    if isinstance(run, LlamaRun):
        shape |= {"d_mlp": 2 * WIDTH, "n_heads": 4, "n_key_value_heads": 4}
    return shape
