import pytest
import typer

from helpers.commands.console import console, end_with


@pytest.mark.parametrize("name", ["run[v2]", "[/old]", "[bold]x", "long-" * 40])
def test_names_are_said_as_they_are_and_on_one_line(capsys, name):
    with pytest.raises(typer.Exit) as ended:
        end_with([f"{name}@1: no config.json"], "not measured")
    console.print(f"{name}: 2 rows measured")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == f"not measured: {name}@1: no config.json\n{name}: 2 rows measured\n"
