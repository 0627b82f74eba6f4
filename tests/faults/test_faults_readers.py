"""Damaged and mutated files: a value or one line, never a traceback, whatever the bytes."""

import json
import shutil

import pytest
from tests.faults import readers
from tests.faults.harness import GGUF, count_of, generator, in_child

pytestmark = pytest.mark.faults

DAMAGED = (
    "record",
    "manifest",
    "description",
    "fits",
    "recipe",
    "table",
    "checkpoints",
    "trials",
    "register",
    "note",
    "audit",
)
MUTATED = (
    "sweep",
    "search",
    "plan",
    "manifest",
    "record",
    "recipe",
    "audit",
    "corpus lock",
    "config",
    "tokenizer",
    "own rows",
    "register",
    "outside",
    "pairs",
    "note",
    "text",
    "text table",
    "packed config",
    "packed weights",
    *(["gguf"] if GGUF else []),
)


@pytest.fixture(scope="module")
def sound(bench, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    readers.write_sound_files(folder, bench)
    return folder


def tried_in_child(what, sound, tally, name: str, fault: str, count: int, folder):
    """Run one of the two loops in a child (a damaged Parquet file may end it) and return its tally."""
    seen, result = tally(fault, name), folder / "seen.json"
    shutil.copytree(sound / name, folder / name)
    code = in_child(what, folder, name, count, str(generator(f"{fault} {name}").random()), result)
    assert code == 0, f"the child that read ended with {code}"
    for field, value in json.loads(result.read_text()).items():
        setattr(seen, field, value)
    return seen


@pytest.mark.parametrize("name", DAMAGED)
def test_a_flipped_bit_is_refused_or_changes_nothing(sound, tally, tmp_path, name):
    seen = tried_in_child(readers.flip, sound, tally, name, "a flipped bit", count_of("flips", 20), tmp_path)
    assert seen.tried == count_of("flips", 20)
    assert (seen.tracebacks, seen.other_values) == (0, 0), seen.examples


@pytest.mark.parametrize("name", MUTATED)
def test_a_mutated_file_is_never_a_traceback(sound, tally, tmp_path, name):
    seen = tried_in_child(readers.fuzz, sound, tally, name, "mutations", count_of("mutations", 40), tmp_path)
    assert seen.tracebacks == 0, seen.examples
