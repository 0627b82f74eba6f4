"""pyproject.toml, requirements.lock and environment.yml say the same."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OWNERS_PACKAGES = [
    "jupyter-book",
    "jupytext",
    "torch",
    "transformers",
    "auto-gptq",
    "statsmodels",
    "seaborn",
    "papermill",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = {"dependencies": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}


def pins(lines: list[str]) -> dict[str, str]:
    """Return name -> version; every line must pin one version exactly."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        assert canonicalize_name(requirement.name) not in found, line
        found[canonicalize_name(requirement.name)] = specifier.version
    return found


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text()
    return pins([line.removesuffix(" \\") for line in text.splitlines() if line and line[0] not in "# "])


@pytest.mark.parametrize(("group", "line"), [(group, line) for group, lines in GROUPS.items() for line in lines])
def test_the_lock_satisfies_what_the_project_asks_for(group, line):
    requirement = Requirement(line)
    version = locked().get(canonicalize_name(requirement.name))
    assert version is not None, f"{group}: {line} isn't in requirements.lock"
    assert requirement.specifier.contains(version, prereleases=True), f"{group}: {line}, locked {version}"


def test_conda_gets_the_locks_pins_and_nothing_else():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *plain, last = environment["dependencies"]
    assert [line.split("=")[0] for line in plain] == ["python", "pip"]
    expected = {name: version for name, version in locked().items() if name != "pip"}
    assert pins(last["pip"]) == expected, "run: make environment.yml"


@pytest.mark.parametrize("name", OWNERS_PACKAGES)
def test_the_owners_packages_are_asked_for_and_locked(name):
    asked = {canonicalize_name(Requirement(line).name) for lines in GROUPS.values() for line in lines}
    assert name in asked
    assert name in locked()


def test_the_held_out_text_lies_in_packages_of_the_lock_at_their_versions():
    lock = json.loads((ROOT / "data" / "corpus.lock").read_text())
    held = {(canonicalize_name(file["package"]), file["version"]) for file in lock["evaluation"] + lock["calibration"]}
    assert len(held) > 50
    assert held - set(locked().items()) == set(), "without them a fresh machine has no held-out text"


def test_auto_gptq_is_the_locks_last_package():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not line.startswith(" ")][-1].startswith("auto_gptq==")


def test_every_locked_package_has_hashes():
    """pip refuses a file with another one: `--require-hashes`."""
    text = (ROOT / "requirements.lock").read_text().replace(" \\\n", " ")
    for line in text.splitlines():
        if not line.startswith("#"):
            _, *hashes = line.split()
            assert hashes, line
            assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", each) for each in hashes), line
    installs = [line for line in (ROOT / "Makefile").read_text().splitlines() if "-r $(VENV)/lock-" in line]
    installs = [line for line in installs if "lock-pins" not in line]  # after the others: CUDA's libraries
    assert len(installs) == 3
    assert all(" --require-hashes " in line for line in installs)


def test_binder_gets_pytorch_of_the_lock_s_version_first_and_then_all_other_packages_by_hash(tmp_path):
    """auto_gptq's own setup imports torch, so pip can't install both in one call, as environment.yml would have it."""
    asked = yaml.safe_load((ROOT / ".binder/environment.yml").read_text())["dependencies"]
    (torch,) = [line for line in asked if line.startswith("pytorch-cpu=")]
    assert locked()["torch"].startswith(f"{torch.partition('=')[2]}.")
    (tmp_path / "python").write_text(
        '#!/bin/sh\nfor last in "$@"; do :; done\necho "$@" >> calls\ncat "$last" >> calls\n'
    )
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "requirements.lock").write_bytes((ROOT / "requirements.lock").read_bytes())
    words = ["sh", str(ROOT / ".binder/postBuild")]
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    subprocess.run(words, cwd=tmp_path, env=path, check=False, capture_output=True)
    done = (tmp_path / "calls").read_text()
    names = [canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", done, re.M)]
    assert set(names) == set(locked()) - {"torch", "pip"}
    assert names[-1] == "auto-gptq"
    assert done.count("--require-hashes --no-deps") == 2
    assert done.count("--hash=sha256:") > len(names)
