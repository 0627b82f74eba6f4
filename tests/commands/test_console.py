import pytest
import typer

from helpers.commands.console import console, end_with, in_bytes
from helpers.table.errors import SpecError


@pytest.mark.parametrize("name", ["run[v2]", "[/old]", "[bold]x", "long-" * 40])
def test_names_are_said_as_they_are_and_on_one_line(capsys, name):
    with pytest.raises(typer.Exit) as ended:
        end_with([f"{name}@1: no config.json"], "not measured")
    console.print(f"{name}: 2 rows measured")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == f"not measured: {name}@1: no config.json\n{name}: 2 rows measured\n"


def test_a_name_moves_no_cursor(capsys):
    console.print("a\x1b[31m\u202e.json: written\nand\tmore")
    assert capsys.readouterr().err == "a\\x1b[31m\\u202e.json: written\nand\\tmore\n"


def test_memory_is_counted_in_bytes():
    assert (in_bytes(None), in_bytes(0.5), in_bytes(2.0)) == (None, 2**29, 2**31)


@pytest.mark.parametrize("memory_gib", [float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1e300])
def test_what_is_no_amount_of_memory_is_refused(memory_gib):
    with pytest.raises(SpecError, match="--memory-gib is .*; accepted: more than 0, up to 1,048,576"):
        in_bytes(memory_gib)
