import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from helpers.table import disk
from helpers.table.errors import ResultsError

LEFTOVER = ".table.0123abcd.unfinished"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path):
    """The limit on file size makes the kernel refuse a write half way, as a full disk does."""
    disk.write_atomically(tmp_path / "table", b"old")
    code = f"""
        import resource, signal, sys
        from pathlib import Path
        from helpers.table import disk
        from helpers.table.errors import ResultsError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.getrlimit(resource.RLIMIT_FSIZE)[1]}))
        try:
            disk.write_atomically(Path({str(tmp_path / "table")!r}), b"x" * 100_000)
        except ResultsError as error:
            print(error)
            sys.exit(7)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "nothing was lost" in done.stdout
    assert (tmp_path / "table").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_a_second_process_is_refused_and_a_dead_one_holds_nothing(tmp_path):
    code = f"""
        import os, sys
        from pathlib import Path
        from helpers.table import disk
        with disk.exclusive(Path({str(tmp_path / "records")!r})):
            print("held", flush=True)
            sys.stdin.readline()
            os._exit(9)
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ResultsError, match="another process"), disk.exclusive(tmp_path / "records"):
            pass
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.wait(30) == 9
    with disk.exclusive(tmp_path / "records"):
        pass


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_table_that_is_a_link_stays_one(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/big").write_bytes(b"old")
    (tmp_path / "table").symlink_to("disk/big")
    disk.write_atomically(tmp_path / "table", b"new")
    assert (tmp_path / "table").is_symlink()
    assert (tmp_path / "disk/big").read_bytes() == b"new"
    assert names(tmp_path) == {"disk", "table"}
    assert names(tmp_path / "disk") == {"big"}


def test_a_link_to_nothing_yet_leads_to_the_new_file(tmp_path):
    (tmp_path / "table").symlink_to("elsewhere/big")
    disk.write_atomically(tmp_path / "table", b"new")
    assert (tmp_path / "table").is_symlink()
    assert (tmp_path / "elsewhere/big").read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_file_keeps_its_mode_and_is_at_no_moment_readable_by_more(tmp_path, mode):
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(mode)
    with disk.replacing(path) as partial:
        assert mode_of(partial) & ~mode == 0
        partial.chmod(0o600)
        partial.write_bytes(b"new")
    assert (mode_of(path), path.read_bytes()) == (mode, b"new")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        disk.write_atomically(tmp_path / "new", b"x")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == mode


@pytest.mark.parametrize("call", ["mkdir", "open", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "free space"), (errno.EACCES, "mend that"), (errno.EIO, "mend that")]
)
def test_whatever_the_disk_refuses_is_one_line_and_the_old_file_stays(tmp_path, monkeypatch, call, number, advice):
    path = tmp_path / "deep/table"
    disk.write_atomically(path, b"old")

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    if call == "mkdir":
        path = tmp_path / "deeper/table"
    with pytest.raises(ResultsError) as caught:
        disk.write_atomically(path, b"new")
    monkeypatch.undo()
    assert str(caught.value) == (
        f"{path}: can't be written ({os.strerror(number)}); nothing was lost, {advice} and rerun"
    )
    assert (tmp_path / "deep/table").read_bytes() == b"old"
    assert names(tmp_path / "deep") == {"table"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "No space left on device"),
        (OSError("100 requested and 7 written"), "100 requested and 7 written"),
    ],
)  # fmt: skip
def test_a_librarys_own_words_for_a_full_disk_are_known(tmp_path, error, reason):
    message = rf"out: can't be written \({reason}\); nothing was lost, free space"
    with pytest.raises(ResultsError, match=message), disk.refusals_named(tmp_path / "out"):
        raise error


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(ValueError, match="not the disk"), disk.replacing(tmp_path / "out"):
        raise ValueError("not the disk")
    assert names(tmp_path) == set()


def test_a_place_that_cannot_be_written_is_known_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path, n_bytes, reason in (
        (tmp_path / "file/table", 1, "Not a directory"),
        (tmp_path / "file/deep/table", 1, "Not a directory"),
        (tmp_path / "new/table", 2**62, "No space left on device"),
    ):
        with pytest.raises(ResultsError, match=rf"{path.name}: can't be written \({reason}\)"):
            disk.refuse_unwritable(path, n_bytes)
    disk.refuse_unwritable(tmp_path / "new/deep/table")
    assert names(tmp_path) == {"file"}, "and asking leaves nothing"


# ---- what a kill leaves ----------------------------------------------------------------------------------------------


def test_what_a_killed_writer_left_goes_with_the_next_one_and_nothing_else_does(tmp_path):
    kept = {"table", "table.unfinished", ".table.partial", ".tables.0123abcd.unfinished", ".table2.0123abcd.unfinished"}
    for name in (*kept, LEFTOVER, ".table.unfinished"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".table.89abcdef.unfinished").mkdir()
    (tmp_path / ".table.89abcdef.unfinished/part").write_text("")
    with disk.exclusive(tmp_path / "table"):
        assert names(tmp_path) == {*kept, "table.lock"}
    assert names(tmp_path) == kept


def test_who_is_refused_clears_nothing(tmp_path):
    with disk.exclusive(tmp_path / "table"):
        (tmp_path / LEFTOVER).write_text("a living writer's")
        with pytest.raises(ResultsError, match="another process"), disk.exclusive(tmp_path / "table"):
            pass
        assert (tmp_path / LEFTOVER).exists()


def test_one_thing_reached_in_two_ways_has_one_lock(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "link").symlink_to("records")
    with disk.exclusive(tmp_path / "records"):
        for path in (tmp_path / "link", tmp_path / "records/../records"):
            with pytest.raises(ResultsError, match="another process is measuring into it"), disk.exclusive(path):
                pass


def test_a_lock_without_a_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="records: can't be written"), disk.exclusive(tmp_path / "file/records"):
        pass


def test_a_folder_is_whole_or_not_there(tmp_path):
    def broken_off():
        with disk.whole_folder(tmp_path / "out") as unfinished:
            (unfinished / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert names(tmp_path) == set()
    with disk.whole_folder(tmp_path / "out") as one, disk.whole_folder(tmp_path / "out2") as other:
        assert one != other
        (one / "whole").write_text("")
    assert names(tmp_path) == {"out", "out2"}
    message = r"out: can't be written \(Directory not empty\)"
    with pytest.raises(ResultsError, match=message), disk.whole_folder(tmp_path / "out"):
        pass


@pytest.fixture(params=["exchanged", "two renamings"])
def renaming(request, monkeypatch):
    """Let folders be put in place as this system can, and as one without an exchange of names does."""
    if request.param == "two renamings":
        monkeypatch.setattr(disk, "_exchanged", lambda one, other: False)


@pytest.mark.usefixtures("renaming")
def test_a_folder_is_replaced_by_the_whole_new_one_or_stays(tmp_path):
    def written(text, error=None):
        with disk.replacing_folder(tmp_path / "out") as unfinished:
            (unfinished / "it").write_text(text)
            if error:
                raise error

    written("first")
    written("second")
    with pytest.raises(KeyboardInterrupt):
        written("third", KeyboardInterrupt())
    assert (tmp_path / "out/it").read_text() == "second"
    assert names(tmp_path) == {"out"}


@pytest.mark.skipif(sys.platform != "linux", reason="two names are exchanged at once on Linux")
def test_the_old_folder_is_in_its_place_until_the_new_one_is(tmp_path, monkeypatch):
    """What can be seen at every call that changes a name: one of the two, whole."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "it").write_text(name)
    seen = []

    def seeing(change):
        return lambda *words, **more: (seen.append((tmp_path / "old/it").read_text()), change(*words, **more))[1]

    for module, name in ((shutil, "rmtree"), (Path, "rename"), (disk, "_exchanged")):
        monkeypatch.setattr(module, name, seeing(getattr(module, name)))
    disk.put_in_place(tmp_path / "new", tmp_path / "old")
    assert seen == ["old", "new"]
    assert names(tmp_path) == {"old"}
    assert (tmp_path / "old/it").read_text() == "new"


def test_a_folder_that_cannot_be_put_in_place_is_one_line_and_the_old_one_stays(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ResultsError, match=r"out: can't be written"):
        disk.put_in_place(tmp_path / "nothing", tmp_path / "out")
    assert names(tmp_path) == {"out"}


@pytest.mark.parametrize("n_characters", [240, 300])
def test_a_name_that_is_too_long_is_told_before_any_work(tmp_path, n_characters):
    """What is written has a longer name until it is whole."""
    with pytest.raises(ResultsError, match="File name too long"):
        disk.refuse_unwritable(tmp_path / ("a" * n_characters))
    assert not list(tmp_path.iterdir())
