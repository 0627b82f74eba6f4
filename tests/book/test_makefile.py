"""The Makefile's freshness, with a stand-in for Python that only notes what it was asked to do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.table.disk import exclusive

ROOT = Path(__file__).parents[2]
CHAPTERS = ["02-rounding", "03-checkpoints", "04-degradation", "11-noise-floor", "96-this-machine"]
MEASURING = ["02-rounding", "03-checkpoints", "04-degradation"]  # import the measuring side
MEASURE_FOLDER = "src/helpers/measure/rounding"
MEASURE, COMMAND = f"{MEASURE_FOLDER}/grids.py", "src/helpers/commands/laws.py"
TOP = [".venv", "Makefile", "_config.yml", "book", "chapters", "data", "pyproject.toml", "requirements.lock"]
TOP += ["results", "src", "sweeps"]
TARGETS = [
    "help",
    "env",
    "book",
    "chapter",
    "test",
    "lint",
    "sweep",
    "train",
    "fits",
    "benchmark",
    "serve",
    "clean",
    "check",
]

PYTHON = f"""#!/bin/sh
own="$1"
case "$own" in book/place.py|book/alone.py) shift; PYTHONPATH='{ROOT}/src' exec '{sys.executable}' '{ROOT}/'$own "$@" ;; esac
case "$1" in
  book/execute.py)
    echo "$(basename "$3" .ipynb) $4 $5 $6 $7" >> log
    [ "$(basename "$3" .ipynb)" = "$(cat fails 2>/dev/null)" ] && exit 1
    echo executed > "$3"
    case "$3" in *02-*|*04-*) test -e nothing-new || echo row >> results/local.parquet ;; esac ;;
  book/check.py) echo check >> log ;;
  book/draft.py) echo "draft $2" >> log ;;
esac
"""
JUPYTER_BOOK = """#!/bin/sh
echo render >> log
mkdir -p .cache/site/_build/html && echo page > .cache/site/_build/html/index.html
"""


@pytest.fixture
def project(tmp_path):
    for folder in (
        "chapters",
        "src/helpers/table",
        MEASURE_FOLDER,
        "src/helpers/commands",
        "sweeps",
        "data",
        "results",
        "book/_ext",
        ".venv/bin",
    ):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (
        "requirements.lock",
        "pyproject.toml",
        "_config.yml",
        "book/_toc.yml",
        "book/execute.py",
        "book/check.py",
    ):
        (tmp_path / name).write_text("")
    for name in CHAPTERS:
        measures = "from helpers.measure.rounding import grids\n" if name in MEASURING else ""
        (tmp_path / "chapters" / f"{name}.py").write_text(measures)
    for name in (
        "src/helpers/table/rows.py",
        MEASURE,
        COMMAND,
        "sweeps/pocket.yml",
        "sweeps/pythia.yml",
        "data/weights",
    ):
        (tmp_path / name).write_text("")
    for name, text in (("python", PYTHON), ("jupyter-book", JUPYTER_BOOK)):
        (tmp_path / ".venv/bin" / name).write_text(text)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    for stamp in (".locked", ".installed"):
        (tmp_path / ".venv" / stamp).write_text("")
    return tmp_path


def make(project: Path, *words: str) -> subprocess.CompletedProcess:
    clean = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("MAKE", "MFLAGS", "PYTHON", "VENV", "PROFILE", "DEVICE"))
    }
    return subprocess.run(["make", *words], cwd=project, env=clean, capture_output=True, text=True, check=False)


def build(project: Path, *words: str) -> list[str]:
    """Run `make book` and return what was done, in order, without the parameters."""
    log = project / "log"
    log.unlink(missing_ok=True)
    done = make(project, "book", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_the_first_build_executes_every_chapter_in_an_order_that_fills_the_table_first(project):
    done = build(project)
    assert sorted(done[:5]) == CHAPTERS
    assert done[5:] == ["render", "check"]
    order = {name: done.index(name) for name in CHAPTERS}
    assert order["02-rounding"] < order["04-degradation"] < min(order["11-noise-floor"], order["96-this-machine"])


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
def test_a_second_build_does_nothing(project, jobs):
    assert build(project, jobs)
    assert build(project, jobs) == []
    assert (project / "book/_build/html/index.html").read_text() == "page\n"


@pytest.mark.parametrize(
    ("changed", "executed"),
    [
        ("chapters/03-checkpoints.py", ["03-checkpoints"]),
        ("chapters/02-rounding.py", ["02-rounding", "11-noise-floor", "96-this-machine"]),  # 02 adds a row
        ("chapters/04-degradation.py", ["04-degradation", "11-noise-floor", "96-this-machine"]),
        ("sweeps/pocket.yml", ["04-degradation", "11-noise-floor", "96-this-machine"]),
        ("results/local.parquet", ["11-noise-floor", "96-this-machine"]),
        ("src/helpers/table/rows.py", CHAPTERS),
        (MEASURE, CHAPTERS),  # 02 and 04 add rows here, which 11 and 91 read
        ("data/weights", CHAPTERS),
        ("results/fits.json", CHAPTERS),
        ("book/_toc.yml", []),
    ],
)
def test_what_depends_on_a_change_is_done_again_and_nothing_else(project, changed, executed):
    build(project)
    (project / changed).write_text("changed")
    done = build(project)
    assert sorted(done[:-2]) == executed
    assert done[-2:] == ["render", "check"]
    assert build(project) == []


def test_a_change_of_the_measuring_side_executes_the_chapters_that_import_it_unless_rows_are_added(project):
    build(project)
    (project / "nothing-new").write_text("")
    (project / MEASURE).write_text("changed")
    assert sorted(build(project)[:-2]) == MEASURING
    assert build(project) == []


def test_a_change_of_the_commands_does_nothing(project):
    build(project)
    (project / COMMAND).write_text("changed")
    assert build(project) == []


@pytest.mark.parametrize("asked", ["DEVICE=cuda", "PROFILE=pythia", "SEED=1"])
def test_other_parameters_execute_every_chapter_and_going_back_does_again(project, asked):
    build(project)
    assert sorted(build(project, asked)[:-2]) == CHAPTERS
    assert build(project, asked) == []
    assert sorted(build(project)[:-2]) == CHAPTERS


def test_one_chapter_is_executed_if_it_is_stale_and_its_page_alone_is_rendered(project):
    log = project / "log"
    for executed in (["03-checkpoints"], []):
        assert make(project, "chapter", "NN=03").returncode == 0
        assert [line.split()[0] for line in log.read_text().splitlines()[:-1]] == executed
        assert log.read_text().splitlines()[-1] == "draft executed/03-checkpoints"
        log.unlink()
    assert make(project, "chapter", "NN=11").returncode == 0
    done = [line.split()[0] for line in log.read_text().splitlines()]
    assert done == ["02-rounding", "04-degradation", "11-noise-floor", "draft"], "it reads the table that these fill"
    assert not (project / "book/_build").exists()


@pytest.mark.parametrize("words", [[], ["NN=4"], ["NN=99"], ["NN=%"]])
def test_a_chapter_that_isn_t_there_is_one_line(project, words):
    done = make(project, "chapter", *words)
    said = words[0].removeprefix("NN=") if words else ""
    assert done.returncode != 0
    assert f"NN is '{said}'; accepted: the number of a file in chapters/, as in NN=04\n" in done.stderr
    assert not (project / "log").exists()


def test_a_lost_table_is_measured_again(project):
    build(project)
    (project / "results/local.parquet").unlink()
    assert sorted(build(project)[:-2]) == ["04-degradation", "11-noise-floor", "96-this-machine"]


def test_chapters_get_their_parameters(project):
    build(project, "DEVICE=cuda", "PROFILE=pythia", "SEED=3")
    words = "device=cuda sweep=sweeps/pythia.yml results_path=results/local.parquet seed=3"
    assert all(line.endswith(words) for line in (project / "log").read_text().splitlines()[:5])


@pytest.mark.parametrize("name", ["a b", "a'b", 'a "b" $HOME'])
def test_a_folder_s_name_may_hold_blanks_and_marks_of_the_shell(project, tmp_path_factory, name):
    around = tmp_path_factory.mktemp("around")
    project.rename(around / name)
    assert build(around / name)[-2:] == ["render", "check"]
    assert [path.name for path in around.iterdir()] == [name]
    assert (around / name / ".cache/ipython").is_dir()
    assert sorted(path.name for path in (around / name).iterdir()) == sorted([*TOP, ".cache", "log"])


def test_a_build_that_is_killed_while_the_pages_move_in_leaves_a_book(project):
    build(project)
    (project / "book/_toc.yml").write_text("changed")
    (project / ".venv/bin/mv").write_text("#!/bin/sh\nkill -9 $PPID\n")
    (project / ".venv/bin/mv").chmod(0o755)
    killed = make(project, "book", f"PATH={project}/.venv/bin:{os.environ['PATH']}")
    assert killed.returncode != 0
    assert (project / "book/_build/html/index.html").read_text() == "page\n"
    assert build(project) == ["render", "check"]
    assert [path.name for path in (project / "book/_build").iterdir()] == ["html"]


def test_a_failed_chapter_stops_the_build_and_leaves_the_last_book(project):
    build(project)
    (project / "chapters/03-checkpoints.py").write_text("changed")
    (project / "fails").write_text("03-checkpoints")
    assert make(project, "book").returncode != 0
    assert (project / "book/_build/html/index.html").read_text() == "page\n"
    (project / "fails").unlink()
    assert build(project) == ["03-checkpoints", "render", "check"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["book", "PROFILE=nothing"], "There is no sweep 'nothing'; PROFILE is one of: pocket pythia"),
        (["book", "DEVICE=tpu"], "DEVICE is 'tpu'; accepted: cpu, cuda"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_is_accepted(project, words, said):
    done = make(project, *words)
    assert done.returncode != 0
    assert said in done.stderr


def test_help_lists_every_target():
    shown = make(ROOT, "help").stdout
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(TARGETS) <= set(phony.split())
    assert set(re.findall(r"^  make ([\w-]+)", shown, re.MULTILINE)) == set(phony.split())
    for target in phony.split():
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE), target


def test_a_second_build_or_check_at_once_is_refused_in_one_line(project):
    """Both built in .cache/site: one removed what the other was about to check."""
    with exclusive(project / "book/_build/html", doing="building or checking"):
        done = make(project, "book")
        assert (done.returncode, done.stderr.count("building or checking it; wait for it or end it\n")) == (2, 1)
        assert not (project / "book/_build/html").exists()
    assert build(project)[-2:] == ["render", "check"]
    with exclusive(project / "book/_build/html", doing="building or checking"):
        done = make(project, "check")
    assert (done.returncode, done.stderr.count("another process is building or checking it")) == (2, 1)
    assert make(project, "check").returncode == 0


def test_the_drafts_are_served_and_what_they_are_made_of_is_watched():
    (line,) = [line for line in make(ROOT, "-n", "serve").stdout.splitlines() if "book/serve.py" in line]
    program, folder, port, *watched = line[line.index("book/serve.py") :].split()
    assert (program, folder, port) == ("book/serve.py", ".cache/draft/html", "8000")
    assert {"book/executed", "book/_static", "book/_ext", "book/index.md", "book/_toc.yml", "_config.yml"} <= set(
        watched
    )


def test_readme_shows_the_two_commands_and_ci_runs_them():
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:24])
    script = (ROOT / ".ci/run").read_text().splitlines()
    for command in ("make book", "make test"):
        assert command in first_screen
        assert command in script
