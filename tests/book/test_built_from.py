import nbformat
import pytest
from tests.measure.tiny import ROOT, write_family, write_sweep

import built_from
import execute

USES, READS_NOT = ["run(sweep)"], ["sweep = 'x'", "# sweep"]


@pytest.fixture
def sweep(tmp_path):
    family = write_family(tmp_path / "family")
    return str(write_sweep(tmp_path / "mine.yml", family, "[{method: rtn, bits: 3, group_size: 16, symmetric: false}]"))


def test_a_page_that_measures_says_what_and_what_that_cannot_tell(sweep):
    said = built_from.sentences(USES, sweep, "cpu")
    assert said.startswith("*Built with the profile `mine` on cpu, whose sweep it measured: 2 checkpoints of tiny.")
    assert said.endswith("can't tell what depends on size or on a decayed learning rate or on bits.*")


def test_the_pocket_varies_all_four(monkeypatch):
    monkeypatch.chdir(ROOT)
    said = built_from.sentences(USES, "sweeps/pocket.yml", "cpu")
    assert "whose sweep it measured: " in said
    assert "can't tell" not in said


def test_a_page_that_measures_nothing_says_so_with_another_profile_than_the_pocket():
    assert built_from.sentences(READS_NOT, "sweeps/pocket.yml", "cpu") is None
    said = built_from.sentences(READS_NOT, "sweeps/pythia.yml", "cuda")
    assert said == "*Built with the profile `pythia`, of which this page has nothing: its numbers come with the book.*"


def test_it_stands_below_the_parameters_and_nowhere_without_a_sweep():
    cells = [nbformat.v4.new_code_cell(source) for source in ("seed = 0", "seed = 7", "1")]
    cells[0].metadata["tags"], cells[1].metadata["tags"] = ["parameters"], ["injected-parameters"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    execute.say_profile(notebook, {"seed": 7})
    assert len(notebook.cells) == 3
    execute.say_profile(notebook, {"sweep": "sweeps/pythia.yml", "device": "cuda"})
    assert [cell.cell_type for cell in notebook.cells] == ["code", "code", "markdown", "code"]
