import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def qid(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "helpers.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_help_lists_the_commands():
    done = qid("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("sweep", "train", "pocket", "checkpoints", "corpus"))


def test_bad_input_is_one_line_and_exit_code_one(tmp_path):
    (tmp_path / "bad.yml").write_text("name: x\nevaluations: {sequences: 128}\n")
    done = qid("sweep", str(tmp_path / "bad.yml"), "--records", str(tmp_path / "r"), "--table", str(tmp_path / "t"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "bad.yml:2: unknown key 'evaluations'; accepted: name, evaluation, calibration, parts" in done.stderr
    assert not list(tmp_path.glob("r*"))


def test_status_counts_the_tracked_table_the_same_way_in_words_and_in_json():
    counts = json.loads(qid("status", "--json").stdout)
    words = qid("status").stdout
    assert f"{counts['quantized_checkpoints']:,}" in words
    assert counts["rows_without_baseline"] == 0
    assert sum(counts["rows_by_status"].values()) >= counts["quantized_checkpoints"] > 0


def test_status_of_no_table_is_one_line_and_exit_code_one(tmp_path):
    done = qid("status", "--table", str(tmp_path / "none.parquet"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "none.parquet: no such table; `qid sweep` makes one" in done.stderr


def test_status_loads_no_torch():
    code = "import sys; from helpers.cli import app; app(['status'], standalone_mode=False); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False).returncode == 0


CHECKPOINT = "data/tadpole/tadpole-64x3/step-007275"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "-1"), "budget -1; accepted: 0 or more, nats a token for qid, else a share"),
        (("--budget", "0.1", "--metric", "kl"), "metric 'kl'; accepted: qid, relative_perplexity, accuracy_drop"),
        (("--budget", "0.1", "--granularity", "head"), "granularity 'head'; accepted: layer, matmul"),
        (("--budget", "0.1", "--bits", "1"), "'bits' is 1; accepted: 2 to 8"),
        (("--budget", "0.1", "--out", CHECKPOINT + "/config.json"), "config.json: exists already; accepted: a file"),
    ],
)
def test_what_no_recipe_can_be_is_one_line_and_exit_code_one(options, message, tmp_path):
    done = qid("mixed", CHECKPOINT, "--out", str(tmp_path / "recipe.json"), *options)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert message in done.stderr
    assert not (tmp_path / "recipe.json").exists()


def test_a_search_without_its_family_is_one_line_and_exit_code_one(tmp_path):
    places = ("--records", str(tmp_path / "r"), "--trial-records", str(tmp_path / "t"))
    done = qid("search", "sweeps/mixed.yml", *places, "--trials", str(tmp_path / "t.parquet"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "sweeps/mixed.yml:" in done.stderr


def said(done: subprocess.CompletedProcess, code: int) -> str:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["run[v2]", "[/old]", "[bold]x", ":smile:"])
def test_brackets_in_a_path_are_no_markup(tmp_path, folder):
    path = tmp_path / folder / "x.csv"
    assert said(qid("fit", "--law", "power", "--data", str(path)), 1) == f"error: {path}: no such file\n"


def test_a_path_is_never_broken(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    path = tmp_path / ("long-" * 30) / "x.parquet"
    assert said(qid("gather", str(ROOT / "results/checkpoints.parquet"), "--table", str(path)), 0).startswith(
        f"{path}: "
    )
    assert path.exists()


@pytest.mark.parametrize("columns", ["0", "20", "80"])
def test_numbers_are_whole_at_any_width(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    shown = said(qid("fit", "--law", "power"), 0)
    assert "…" not in shown
    assert all(name in shown for name in ("beta", "estimate", "95% interval"))
    rows = [line.split() for line in shown.splitlines() if line.split()[:1] == ["gamma"]]
    assert [len(row) for row in rows] == [6]  # gamma, estimate, se, low "to" high


def test_the_home_folder_is_expanded_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"{tmp_path}/none.parquet: no such table" in said(qid("status", "--table=~/none.parquet"), 1)
    assert f"{tmp_path}/a.parquet" in said(qid("gather", "~/a.parquet", "--table", "~/b.parquet"), 1)


def test_an_ascii_locale_reads_and_says_utf_8(tmp_path, monkeypatch):
    for name, value in (("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    folder = tmp_path / "größe"
    folder.mkdir()
    (folder / "x.csv").write_text("a\n1\n")
    (folder / "x.yml").write_text("name: größe\nevaluatiön: 1\n", encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "helpers.cli"]
    for words, expected in (
        (["fit", "--law", "power", "--data", f"{folder}/x.csv"], f"error: {folder}/x.csv: no column"),
        (["sweep", f"{folder}/x.yml"], f"error: {folder}/x.yml:2: unknown key 'evaluatiön'"),
    ):
        done = subprocess.run([*command, *words], capture_output=True, check=False, cwd=ROOT)
        assert done.returncode == 1
        assert expected in done.stderr.decode("utf-8")


def test_control_characters_of_a_file_move_no_cursor(tmp_path):
    (tmp_path / "x.yml").write_text('name: x\n"\\e[31mkey": 1\n')
    assert "unknown key '\\x1b[31mkey'" in said(qid("sweep", str(tmp_path / "x.yml")), 1)


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full on this system")
@pytest.mark.parametrize("words", [("laws",), ("--help",)])
def test_an_answer_that_cannot_be_written_is_one_line(words):
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "helpers.cli", *words], stdout=full, stderr=subprocess.PIPE, cwd=ROOT
        )
    assert (done.returncode, done.stderr) == (1, b"error: stdout: can't be written (No space left on device)\n")


def test_a_reader_who_has_gone_gets_no_traceback():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "helpers.cli", "laws"], stdout=write, stderr=subprocess.PIPE, cwd=ROOT)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


SPEAK = "from helpers.commands.console import console, speak_utf_8; speak_utf_8(); {}; print('done')"
TALK = ["console.print('x')", "import sys; sys.stderr.write('x' * 9999)", "import logging; logging.warning('x')"]


@pytest.mark.parametrize("talk", TALK)
def test_talk_that_nobody_hears_ends_no_work(talk):
    """A sweep with its stderr on a full disk lost half of its rows, one piped to `head` all of them."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", SPEAK.format(talk)]
    done = subprocess.run(command, stderr=write, stdout=subprocess.PIPE, cwd=ROOT, check=True)
    os.close(write)
    assert done.stdout == b"done\n"


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe"])
def test_a_lock_from_a_broken_tokenizer_is_one_line(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    done = qid("lock", "--wheels", str(tmp_path), "--tokenizer", str(path), "--out", str(tmp_path / "lock"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "tokenizer.json: not a tokenizer (" in done.stderr


@pytest.mark.parametrize(
    ("words", "path", "said"),
    [
        (("status", "--checkpoints"), b"x" * 300, b"File name too long"),
        (("fit", "--law", "power", "--data"), b"x" * 300 + b".csv", b"File name too long"),
        (("status", "--table"), b"\xff.parquet", b"a path that isn't UTF-8; accepted: one that is"),
        (("gather",), b"\xff.parquet", b"a path that isn't UTF-8; accepted: one that is"),
        (("status", "--table"), "a\nb \N{SNOWMAN} [/x]".encode(), "a\\nb \N{SNOWMAN} [/x]: no such table".encode()),
    ],
)
def test_a_path_that_no_file_has_is_one_line(tmp_path, words, path, said):
    command = [sys.executable, "-m", "helpers.cli", *words, os.fsencode(tmp_path) + b"/" + path]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert said in done.stderr
