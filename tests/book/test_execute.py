import os
import subprocess
import sys

import nbformat
import pytest

import execute

CHAPTER = """# %% tags=["parameters"]
seed = 0

# %%
print("seed is", seed)
{more}
"""


def chapter(tmp_path, more=""):
    path = tmp_path / "01-tried.py"
    path.write_text(CHAPTER.format(more=more))
    return path


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return tmp_path / "executed" / "01-tried.ipynb"


def test_a_chapter_runs_with_the_parameters_it_is_given(tmp_path, target):
    assert execute.main([str(chapter(tmp_path)), str(target), "seed=7"]) == 0
    notebook = nbformat.read(target, as_version=4)
    printed = [output["text"] for cell in notebook.cells for output in cell.get("outputs", [])]
    assert printed == ["seed is 7\n"]
    tags = [cell.metadata.get("tags") for cell in notebook.cells]
    assert tags == [["parameters", "remove-cell"], ["injected-parameters", "hide-input"], []]
    assert notebook.cells[1].metadata["mystnb"]["code_prompt_show"] == execute.PARAMETERS
    assert str(tmp_path) not in target.read_text()
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_failed_chapter_leaves_the_last_good_one_and_a_copy_to_look_at(tmp_path, target, capsys):
    target.parent.mkdir()
    target.write_text("the last good one")
    assert execute.main([str(chapter(tmp_path, "1 / 0")), str(target), "seed=7"]) == 1
    assert target.read_text() == "the last good one"
    failed = target.with_suffix(".failed.ipynb")
    assert "ZeroDivisionError" in failed.read_text()
    assert str(failed) in capsys.readouterr().err


def test_what_a_killed_execution_left_is_cleared(tmp_path, target):
    """Its notebooks lie among the pages: the book's build would take them for pages outside the contents."""
    left = target.parent / f".{target.stem}-0123abcd"
    left.mkdir(parents=True)
    (left / "source.ipynb").write_text("{}")
    assert execute.main([str(chapter(tmp_path)), str(target), "seed=7"]) == 0
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_parameter_the_chapter_does_not_declare_is_refused(tmp_path, target, capsys):
    assert execute.main([str(chapter(tmp_path)), str(target), "sede=7"]) == 1
    assert "declares no parameter sede" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize(
    ("words", "declared", "values"),
    [
        (["a=b"], {"a": ""}, {"a": "b"}),
        (["n=-3"], {"n": 0}, {"n": -3}),
        (["p=x/y.yml"], {"p": "z"}, {"p": "x/y.yml"}),
        (["p=2024", "n=7"], {"n": 0, "p": "z"}, {"p": "2024", "n": 7}),
    ],
)
def test_parameters_are_words_and_integers_as_the_chapter_declares_them(words, declared, values):
    assert execute.typed(execute.parse_parameters(words), declared) == values


@pytest.mark.parametrize("word", ["--5", "x", "", "\u00b2", "1.0"])
def test_a_word_for_an_integer_is_refused(tmp_path, target, capsys, word):
    assert execute.main([str(chapter(tmp_path)), str(target), f"seed={word}"]) == 1
    assert f"seed is '{word}'; accepted: an integer" in capsys.readouterr().err


def test_two_chapters_at_once_in_one_folder_have_sockets_of_their_own(tmp_path, target):
    path = chapter(tmp_path, "import time; time.sleep(2)")
    targets = [target.with_name(f"{number}.ipynb") for number in range(2)]
    command = [sys.executable, "-m", "execute", str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    (tmp_path / "here").mkdir()
    both = [
        subprocess.Popen([*command, str(each), f"seed={each.stem}"], cwd=tmp_path / "here", env=environment)
        for each in targets
    ]
    try:
        assert [each.wait(timeout=600) for each in both] == [0, 0]
    finally:
        for each in both:
            each.kill()
    for each in targets:
        assert f"seed is {each.stem}" in each.read_text()
    assert list((tmp_path / "here").iterdir()) == []


def test_a_kernel_that_is_killed_is_one_line_that_names_the_chapter(tmp_path, target, capsys):
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert execute.main([str(chapter(tmp_path, killed)), str(target), "seed=7"]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / '01-tried.py'} failed: its kernel was killed or ended itself" in said
    assert "Traceback" not in said
    failed = target.with_suffix(".failed.ipynb")
    assert str(failed) in said
    assert [path.name for path in target.parent.iterdir()] == [failed.name]


def test_a_word_that_is_no_parameter_is_refused():
    with pytest.raises(execute.ChapterError, match="'seed' isn't name=value"):
        execute.parse_parameters(["seed"])


def test_a_kernel_that_does_not_start_is_one_line_that_names_the_chapter(tmp_path, target, capsys, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os, sys; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert execute.main([str(chapter(tmp_path)), str(target), "seed=7"]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / '01-tried.py'} failed: its kernel didn't start (" in said
    assert "Traceback" not in said


def test_a_chapter_without_a_parameter_cell_is_refused():
    with pytest.raises(execute.ChapterError, match="no cell is tagged"):
        execute.declared_parameters(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("seed = 0")]))


def test_the_terminal_is_named_only_where_there_is_one(tmp_path, target, monkeypatch):
    monkeypatch.delenv("QID_TERMINAL", raising=False)
    execute.main([str(chapter(tmp_path)), str(target), "seed=1"])
    assert "QID_TERMINAL" not in os.environ
