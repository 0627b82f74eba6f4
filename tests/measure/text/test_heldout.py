import dataclasses
import hashlib
import importlib.metadata
import zipfile
from pathlib import Path

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.text import corpus_lock
from helpers.measure.text import heldout as heldout_module
from helpers.table.errors import CorpusError

LOCK = corpus_lock.read_lock(ROOT / "data/corpus.lock")
NOWHERE = Path("nowhere")


def test_the_locked_text_is_what_is_installed_here():
    for file in (*LOCK.evaluation, *LOCK.calibration):
        assert hashlib.sha256(heldout_module.read_heldout(file, NOWHERE)).hexdigest() == file.sha256, file


def test_the_locked_descriptions_are_what_is_installed_here():
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    here = [file for file in LOCK.prose if installed.get(file.package) == file.version]
    assert len(here) > 16
    for file in here:
        assert hashlib.sha256(heldout_module.read_heldout(file, NOWHERE)).hexdigest() == file.sha256, file


def test_a_missing_package_and_a_missing_file_are_named():
    with pytest.raises(CorpusError, match=r"no-such-package 1\.0 isn't installed; .*`make corpus` downloads it"):
        heldout_module.read_heldout(corpus_lock.HeldoutFile("no-such-package", "1.0", "a.py", "0" * 64), NOWHERE)
    with pytest.raises(CorpusError, match=r"rich .* lacks rich/none\.py, .*`make corpus` downloads that"):
        heldout_module.read_heldout(corpus_lock.HeldoutFile("rich", "1.0", "rich/none.py", "0" * 64), NOWHERE)
    with pytest.raises(CorpusError, match="run from the repository's top folder"):
        corpus_lock.read_lock(NOWHERE / "corpus.lock")


def locked(package: str, path: str, document: bytes) -> corpus_lock.HeldoutFile:
    return corpus_lock.HeldoutFile(package, "1.0", path, hashlib.sha256(document).hexdigest())


@pytest.fixture
def downloaded(tmp_path) -> Path:
    """A cache with one wheel, of a package that isn't installed, with Windows line ends in its metadata."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/Not_Installed-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("a.py", "x = 1\n")
        archive.writestr("rich/console.py", "x = 2\n")
        archive.writestr("not_installed-1.0.dist-info/METADATA", b"Name: not-installed\r\n\r\nWhat\r\n\r\nit is\r\n")
    return tmp_path


def test_a_document_is_read_from_a_downloaded_wheel_where_nothing_else_has_it(downloaded):
    file = locked("not.installed", "a.py", b"x = 1\n")
    assert heldout_module.read_heldout(file, downloaded) == b"x = 1\n"
    for other in (locked("not.installed", "a.py", b"x = 3\n"), locked("installed", "a.py", b"x = 1\n")):
        with pytest.raises(CorpusError, match="isn't installed"):
            heldout_module.read_heldout(other, downloaded)
    (downloaded / "heldout").mkdir()
    (downloaded / "heldout" / file.sha256).write_bytes(b"x = 1\n")
    (downloaded / "wheels/Not_Installed-1.0-py3-none-any.whl").unlink()
    assert heldout_module.read_heldout(file, downloaded) == b"x = 1\n"


def test_a_file_of_the_cache_with_another_content_than_its_name_says_is_refused(downloaded):
    file = locked("not.installed", "a.py", b"x = 1\n")
    (downloaded / "heldout").mkdir()
    (downloaded / "heldout" / file.sha256).write_bytes(b"x = 1")
    with pytest.raises(CorpusError, match=rf"heldout/{file.sha256}: sha256 of the content differs from the name"):
        heldout_module.read_heldout(file, downloaded)


def wheel_of(folder: Path, files: dict[str, bytes]) -> corpus_lock.Wheel:
    path = folder / "bomb-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return corpus_lock.Wheel("bomb", "1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), "MIT")


@pytest.mark.parametrize(
    ("files", "whole"),
    [
        ({"a.py": b"0" * 101}, False),
        ({f"{n}.py": b"0" * 100 for n in range(4)}, False),
        ({f"{n}.py": b"0" * 100 for n in range(3)}, True),
        ({"a.so": b"0" * 1000, "a.py": b"0" * 100}, True),  # what isn't text isn't read
    ],
)
def test_a_wheel_that_unpacks_to_more_than_the_limits_is_refused_unread(tmp_path, monkeypatch, files, whole):
    monkeypatch.setattr(heldout_module, "MOST_DOCUMENT", 100)
    monkeypatch.setattr(heldout_module, "MOST_TEXT", 300)
    wheel = wheel_of(tmp_path, files)
    if whole:
        texts = {name: content for name, content in files.items() if name.endswith(".py")}
        assert dict(heldout_module.wheel_documents(wheel, tmp_path)) == texts
        return
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(CorpusError, match=r"bomb-1.*unpacks to .* bytes of text.*accepted: 300, 100 in one file"):
        list(heldout_module.wheel_documents(wheel, tmp_path))


@pytest.mark.parametrize("end", [0, 40, -1])
def test_a_damaged_wheel_is_one_line(tmp_path, end):
    path = tmp_path / wheel_of(tmp_path, {"a.py": b"x = 1\n"}).filename
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(CorpusError, match="not a whole wheel"), heldout_module.opened_wheel(path) as archive:
        archive.read("a.py")


def test_a_wheel_whose_directory_understates_what_it_holds_is_refused(tmp_path):
    wheel = wheel_of(tmp_path, {"a.py": b"0" * 100_000})
    path = tmp_path / wheel.filename
    path.write_bytes(path.read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(CorpusError, match="not a whole wheel"), heldout_module.opened_wheel(path) as archive:
        archive.read("a.py")


def test_the_locked_document_of_a_wheel_comes_before_another_that_is_installed(downloaded, caplog):
    file = locked("rich", "rich/console.py", b"x = 2\n")
    wheel = downloaded / "wheels/Not_Installed-1.0-py3-none-any.whl"
    wheel.rename(wheel.with_name("rich-1.0-py3-none-any.whl"))
    assert heldout_module.read_heldout(file, downloaded) == b"x = 2\n"
    assert not caplog.records


def test_of_metadata_the_description_is_the_document(downloaded):
    text = b"What\n\nit is\n"
    assert (
        heldout_module.read_heldout(locked("not-installed", "not_installed-1.0.dist-info/METADATA", text), downloaded)
        == text
    )


def test_held_out_files_are_kept_where_a_bare_machine_reads_them(tmp_path, monkeypatch):
    few = dataclasses.replace(
        LOCK, evaluation=LOCK.evaluation[:2], calibration=LOCK.calibration[:1], unseen=(), prose=()
    )
    assert heldout_module.keep_heldout(few, tmp_path) == 3
    monkeypatch.setattr(heldout_module, "_installed", lambda file: (None, None))
    for file in (*few.evaluation, *few.calibration):
        assert hashlib.sha256(heldout_module.read_heldout(file, tmp_path)).hexdigest() == file.sha256
    other = dataclasses.replace(few, evaluation=(dataclasses.replace(few.evaluation[0], sha256="0" * 64),))
    monkeypatch.undo()
    with pytest.raises(CorpusError, match="installed in another version"):
        heldout_module.keep_heldout(other, tmp_path)
