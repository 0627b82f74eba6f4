"""One reader for JSON, one for YAML: a value or one line, whatever the bytes."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.table.errors import QidError
from helpers.table.families import catalogue
from helpers.table.readers import MOST_DEPTH, ReadError, parse_json, parse_yaml, read_json, read_json_mapping, read_yaml
from helpers.table.words import visible

ROOT = Path(__file__).parents[2]
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"a": 1,\n "b": {"a": 1},\n "a": 2}', 3, "key 'a' is there twice"),
        ('{"a"\n:\n1, "\\u0061"\n:2}', 3, "key 'a' is there twice"),
        ("[" * 60 + "]" * 60, 1, f"nested deeper than {MOST_DEPTH}"),
        ("[" * 100_000, None, f"nested deeper than {MOST_DEPTH}"),
        ("[1e999]", None, "1e999 is beyond a float"),
        ("[9223372036854775808]", None, "9223372036854775808 is beyond an integer of 64 bits"),
        ("9" * 5000, None, "999999999999999999999999... is beyond an integer"),
        ('["\\ud800"]', 1, "a lone surrogate"),
    ],
)
def test_json_that_is_refused(text, line, said):
    with pytest.raises(ReadError) as caught:
        parse_json(text)
    assert (caught.value.line, said in str(caught.value)) == (line, True)


def test_json_keeps_what_python_writes():
    values = {"a": [1.5, -3, None, True, {"a": {}, "b": {"a": "x"}}], "n": 2**63 - 1, "é": "\x1b"}
    assert parse_json(json.dumps(values)) == values
    assert math.isnan(parse_json("[NaN]")[0])


def test_json_is_utf_8_of_a_bounded_size(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_bytes(b'{"a":\n "\xff"}')
    with pytest.raises(ReadError, match="not UTF-8"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(ReadError, match=r"\[1\] where a mapping is expected"):
        read_json_mapping(tmp_path / "a.json")
    monkeypatch.setitem(read_json.__globals__["MOST_BYTES"], "JSON", 2)
    with pytest.raises(ReadError, match="more than 0 MiB"):
        read_json(tmp_path / "a.json")


def test_plain_scalars_are_those_of_yaml_1_2():
    said = "[1e-2, 010, 0o10, 0x10, 2024-01-01, yes, 1:30, 1_000, +3, -.5, 1., null, ~, true, False, '1', =]"
    read = parse_yaml(said)
    assert read == [
        *(0.01, 10, 8, 16, "2024-01-01", "yes", "1:30", "1_000", 3, -0.5, 1.0),
        *(None, None, True, False, "1", "="),
    ]
    assert [type(one) for one in read[:4]] == [float, int, int, int]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3", 3, "key 'a' is there twice"),
        ("a: &x {k: 1, k: 2}\n<<: *x", 1, "key 'k' is there twice"),
        ("a: 1\nnull: 3", 2, "'null' as a key isn't a text"),
        ("1: 3", 1, "'1' as a key isn't a text"),
        ("? [a]\n: 3", 1, "a sequence as a key"),
        ("a: &x [*x]", 1, "an alias stands inside of what it stands for"),
        (BOMB, 6, "more than 100,000 values"),
        ("a:\n  - \x01", 2, "character '\\x01' can't stand there"),
        ('a: "\\ud800"', 1, "a lone surrogate"),
        ('a: "\\U00110000"', 1, "chr()"),
        ("[" * 100_000, None, f"nested deeper than {MOST_DEPTH}"),
        ("[" * 60 + "]" * 60, 1, f"nested deeper than {MOST_DEPTH}"),
        ("a: 99999999999999999999", 1, "beyond an integer of 64 bits"),
        ("a: 1e999", 1, "beyond a float"),
        ("a: !!python/object:os.system x", 1, "isn't accepted"),
        ("a: !!set {a}", 1, "isn't accepted"),
        ("a: !!int abc", 1, "'abc' isn't an integer"),
        ("a: !!bool perhaps", 1, "accepted: true, false"),
        ("a: !!str [b]", 1, "expected a scalar node"),
        ("--- a\n--- b", 2, "another document"),
        ("- *nobody", 1, "undefined alias"),
    ],
)
def test_yaml_that_is_refused(text, line, said):
    with pytest.raises(ReadError) as caught:
        parse_yaml(text)
    assert (caught.value.line, said in str(caught.value)) == (line, True)


def test_merged_mappings_and_lines():
    read = parse_yaml("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\nc: {<<: [*x, {z: 1}], k: 4}")
    assert read == {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}, "c": {"k": 4, "l": 2, "z": 1}}
    assert read.lines == {"a": 1, "b": 2, "c": 5}
    assert read["b"].lines == {"k": 1, "l": 4}


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("sweeps/*.yml"), ROOT / "data/corpus-packages.yml"]), ids=lambda p: p.name
)
def test_the_files_of_the_project_say_what_they_said(path):
    assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


PLACES = [
    "[",
    "]",
    "{",
    "}",
    ":",
    "\n",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "!!int ",
    "!x ",
    "\x00",
    '"',
    "'",
    "|",
    "%",
    "\t",
    "---",
]
PIECES = st.sampled_from(
    [*PLACES, "1e999", "0o9", ".nan", "~", "\x85", "9" * 90, "\\ud800", "\x1b[31m", "NaN", "\ufeff"]
)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20), PIECES | st.text(max_size=3)), min_size=1, max_size=8)


def mutated(text: str, changes: list[tuple[float, int, str]]) -> bytes:
    for share, n_gone, new in changes:
        at = round(share * len(text))
        text = text[:at] + new + text[at + n_gone :]
    return text.encode("utf-8", "surrogatepass")


def message_of(read: Callable[[], object]) -> str:
    """Return the message of the error that reading ends with, in one line; empty if there is none."""
    try:
        read()
    except QidError as error:
        said = str(error)
    else:
        return ""
    assert 0 < len(said) < 1000
    assert said == visible(said)
    return said


@settings(max_examples=150, deadline=None)
@given(changes=CHANGES)
def test_a_mutated_sweep_is_a_value_or_one_line(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "mutated.yml"
    path.write_bytes(mutated((ROOT / "sweeps/mixed.yml").read_text(encoding="utf-8")[:2500], changes))
    said = message_of(lambda: read_yaml(path))
    assert not said or said.startswith(str(path))


@settings(max_examples=150, deadline=None)
@given(changes=CHANGES)
def test_a_mutated_manifest_is_a_family_or_one_line(tmp_path_factory, changes):
    folder = tmp_path_factory.getbasetemp()
    whole = json.loads((ROOT / "data/tadpole/manifest.json").read_text(encoding="utf-8"))["checkpoints"][:2]
    (folder / "manifest.json").write_bytes(mutated(json.dumps({"checkpoints": whole}), changes))
    assert message_of(lambda: catalogue.read_manifest(folder)) == message_of(lambda: catalogue.read_losses(folder))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("../../x"),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), value=ANYTHING)
def test_any_value_in_a_manifest_is_accepted_or_one_line(tmp_path_factory, data, value):
    folder = tmp_path_factory.getbasetemp()
    entry = json.loads((ROOT / "data/tadpole/manifest.json").read_text(encoding="utf-8"))["checkpoints"][0]
    name = data.draw(st.sampled_from([*entry, "other"]))
    (folder / "manifest.json").write_text(json.dumps({"checkpoints": [entry | {name: value}]}), encoding="utf-8")
    said = message_of(lambda: catalogue.read_manifest(folder))
    assert not said or f"'{name}'" in said or "not a family manifest" in said
    if not said:
        (spec,) = catalogue.read_manifest(folder)
        assert catalogue.read_losses(folder) == {spec.location: (entry | {name: value})["loss_nats"]}
