"""The readers of JSON and of YAML: what people write and what was written for a later run, read strictly.

UTF-8; bounded size, depth and number of values; each key once and a text; integers of 64 bits; no text that can't be
written again. JSON is Python's, so it may hold NaN, which the record it is for refuses. YAML's plain scalars are those
of version 1.2: `1e-2` is a number, `010` is ten, a date and `yes` are texts. Aliases may be used, within these bounds.
"""

import json
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from helpers.table.errors import SpecError
from helpers.table.words import shown

MOST_BYTES = {"JSON": 64 * 2**20, "YAML": 2**20}
MOST_DEPTH = 40
MOST_VALUES = 100_000  # of a YAML file, what aliases stand for counted as often as it is used
INTEGERS = range(-(2**63), 2**63)
STRUCTURE = re.compile(r'("(?:[^"\\]|\\.)*+")\s*+(:?)|[\[\]{}]|\n')
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
SURROGATE = re.compile("[\ud800-\udfff]")


class ReadError(ValueError):
    """A file isn't what it should be; the text says why, `line` where if that is known. The path isn't in it."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


def _text_of(path: Path, kind: str) -> str:
    """Return a file's text. Raises OSError where it can't be read, ReadError where it is too long or isn't UTF-8."""
    most = MOST_BYTES[kind]
    if kind == "JSON" and path.is_fifo():  # it would be waited for; YAML may come from one, as in `qid sweep <(...)`
        raise ReadError("a pipe; accepted: a file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ReadError(f"more than {most // 2**20} MiB; accepted: less")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ReadError(f"not UTF-8: {error}", content[: error.start].count(b"\n") + 1) from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises OSError where it can't be read, ValueError for what isn't accepted."""
    return parse_json(_text_of(path, "JSON"))


def read_json_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping that a JSON file holds. Raises what `read_json` does."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise ReadError(f"{shown(found)} where a mapping is expected")
    return found


def parse_json(text: str) -> Any:
    """Return what a text in JSON says. Raises ReadError or JSONDecodeError, both ValueErrors."""
    try:
        found = json.loads(text, parse_int=_integer, parse_float=_float)
    except RecursionError:
        raise ReadError(f"nested deeper than {MOST_DEPTH}") from None
    _refuse_structure(text)
    return found


def _refuse_structure(text: str) -> None:
    r"""Raise ReadError for JSON that nests too deeply, has a key twice, or has half a character (`\ud800`)."""
    line, seen = 1, list[set[str]]()
    escapes = "\\u" in text
    for token in STRUCTURE.finditer(text):
        said, colon = token.groups()
        if said is None and token[0] != "\n":
            _step(seen, token[0], line)
        elif said is not None and (colon or escapes):
            key = json.loads(said) if "\\" in said else said[1:-1]
            _refuse_half(key, line)
            if colon and key in seen[-1]:
                raise ReadError(f"key {shown(key)} is there twice", line)
            if colon:
                seen[-1].add(key)
        line += token[0].count("\n")


def _step(seen: list[set[str]], bracket: str, line: int) -> None:
    """Go into a mapping or list, or out of it; `seen` has the keys of each that is open."""
    if bracket in "]}":
        seen.pop()
        return
    seen.append(set())
    if len(seen) > MOST_DEPTH:
        raise ReadError(f"nested deeper than {MOST_DEPTH}", line)


def _refuse_half(text: str, line: int | None) -> None:
    if SURROGATE.search(text):
        raise ReadError(f"{shown(text)} holds half a character (a lone surrogate)", line)


def _integer(digits: str, line: int | None = None, base: int = 10) -> int:
    value = int(digits, base) if len(digits) <= 80 else None
    if value is None or value not in INTEGERS:
        raise ReadError(f"{digits[:24]}{'...' * (len(digits) > 24)} is beyond an integer of 64 bits", line)
    return value


def _float(digits: str, line: int | None = None) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ReadError(f"{digits[:24]}{'...' * (len(digits) > 24)} is beyond a float of 64 bits", line)
    return value


class Located(dict[Any, Any]):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[str, int]


def read_yaml(path: Path) -> Any:
    """Return what a YAML file says, mappings as `Located`. Raises SpecError with the file and, if known, the line."""
    try:
        return parse_yaml(_text_of(path, "YAML"))
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except ReadError as error:
        place = path if error.line is None else f"{path}:{error.line}"
        raise SpecError(f"{place}: not YAML ({error})") from None


def parse_yaml(text: str) -> Any:
    """Return what a text in YAML says, mappings as `Located`. Raises ReadError."""
    try:
        loader = _Loader(text)  # refuses control characters
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_many(node)
        return loader.construct_document(node)
    except ReadError:
        raise
    except RecursionError:
        raise ReadError(f"nested deeper than {MOST_DEPTH}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ReadError(str(error.problem), None if mark is None else mark.line + 1) from None
    except yaml.reader.ReaderError as error:
        place = f"character {chr(error.character)!a} can't stand there"
        raise ReadError(place, text.count("\n", 0, error.position) + 1) from None
    except (ValueError, OverflowError) as error:  # such as an escape beyond the last character
        raise ReadError(str(error), loader.line + 1) from None


def _refuse_many(root: yaml.Node) -> None:
    """Raise ReadError for what aliases make too large, too deep or endless."""
    sizes: dict[int, tuple[int, int]] = {}  # of a node: values in it, depth
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> tuple[int, int]:
        line = node.start_mark.line + 1
        if id(node) in open_nodes:
            raise ReadError("an alias stands inside of what it stands for", line)
        if id(node) not in sizes:
            open_nodes.add(id(node))
            found = [size(one) for one in _parts(node)]
            open_nodes.remove(id(node))
            sizes[id(node)] = 1 + sum(n for n, _ in found), 1 + max((depth for _, depth in found), default=0)
        if sizes[id(node)][0] > MOST_VALUES:
            raise ReadError(f"more than {MOST_VALUES:,} values", line)
        if sizes[id(node)][1] > MOST_DEPTH:
            raise ReadError(f"nested deeper than {MOST_DEPTH}", line)
        return sizes[id(node)]

    size(root)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes inside a node. Raises ReadError for a key that is no text or is there twice."""
    if not isinstance(node, yaml.MappingNode):
        return list(node.value) if isinstance(node, yaml.SequenceNode) else []
    seen: set[str] = set()
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag not in (TEXT, MERGE):
            said = shown(key.value) if isinstance(key.value, str) else f"a {key.id}"
            raise ReadError(f"{said} as a key isn't a text; accepted: a text, if need be in quotes", line)
        if key.value in seen:
            raise ReadError(f"key {shown(key.value)} is there twice", line)
        seen.add(key.value)
    return [one for pair in node.value for one in pair]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2, each key once, and nothing but texts, numbers and the like."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (so does PyYAML)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def construct_located(self, node: yaml.MappingNode) -> Located:
        mapping = Located(self.construct_mapping(node, deep=True))
        mapping.lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
        return mapping

    def construct_list(self, node: yaml.SequenceNode) -> list[Any]:
        return self.construct_sequence(node, deep=True)

    def construct_text(self, node: yaml.ScalarNode) -> str:
        text = str(self.construct_scalar(node))
        _refuse_half(text, node.start_mark.line + 1)
        return text

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        digits, line = str(self.construct_scalar(node)), node.start_mark.line + 1
        base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
        try:
            return _integer(digits, line, base)
        except ReadError:
            raise
        except ValueError:
            raise ReadError(f"{shown(digits)} isn't an integer", line) from None

    def construct_number(self, node: yaml.ScalarNode) -> float:
        digits, line = str(self.construct_scalar(node)), node.start_mark.line + 1
        try:
            special = re.fullmatch(r"([-+]?)\.(inf|nan)", digits, re.IGNORECASE)
            return float(special[1] + special[2]) if special else _float(digits, line)
        except ReadError:
            raise
        except ValueError:
            raise ReadError(f"{shown(digits)} isn't a number", line) from None

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        said = str(self.construct_scalar(node))
        if said.lower() not in ("true", "false"):
            raise ReadError(f"{shown(said)}; accepted: true, false", node.start_mark.line + 1)
        return said.lower() == "true"

    def refuse_tag(self, node: yaml.Node) -> None:
        raise ReadError(f"tag {shown(node.tag)} isn't accepted", node.start_mark.line + 1)


_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""], _Loader.construct_yaml_null),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF"), _Loader.construct_truth),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789"), _Loader.construct_integer),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
        _Loader.construct_number,
    ),
    "merge": (r"<<", ["<"], None),
}
for _name, (_pattern, _first, _construct) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), _first)
    if _construct is not None:
        _Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _construct)
_Loader.add_constructor(TEXT, _Loader.construct_text)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.construct_list)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_located)
_Loader.add_constructor(None, _Loader.refuse_tag)
