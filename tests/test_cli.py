import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def qid(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "helpers.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_help_lists_the_commands():
    done = qid("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("sweep", "train", "pocket", "corpus"))


def test_bad_input_is_one_line_and_exit_code_one(tmp_path):
    (tmp_path / "bad.yml").write_text("name: x\nevaluations: {sequences: 128}\n")
    done = qid("sweep", str(tmp_path / "bad.yml"), "--records", str(tmp_path / "r"), "--table", str(tmp_path / "t"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "bad.yml:2: unknown key 'evaluations'; accepted: name, evaluation, calibration, parts" in done.stderr
    assert not list(tmp_path.glob("r*"))
