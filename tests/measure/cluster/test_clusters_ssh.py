"""`qid sweep --cluster ssh` through a real sshd on loopback, with keys and configuration made for one test."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.measure.cluster.test_run import N_ROWS, QUIET, SCHEMES, places_in, rows
from tests.measure.tiny import ROOT, write_family, write_sweep

from helpers.measure.sweep.run import run_sweep

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SEPARATED = Path("/run/sshd")  # an empty folder that sshd asks for where it is root's
HOST = "loopback"  # an alias of the client's configuration
PATIENCE_SECONDS = 20


@pytest.fixture
def home(tmp_path):
    """Return a home whose .ssh knows how `HOST` is reached; an sshd for it runs meanwhile."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no sshd here (Debian and Ubuntu: the package openssh-server)")
    if os.getuid() == 0 and not SEPARATED.is_dir():
        pytest.skip(f"root's sshd needs the folder {SEPARATED}")
    ssh = tmp_path / "home/.ssh"
    ssh.mkdir(parents=True, mode=0o700)
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / name], check=True)
    shutil.copy(ssh / "person.pub", ssh / "authorized_keys")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = " ".join((ssh / "host.pub").read_text().split()[:2])
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n{HOST} {key}\n")
    (ssh / "config").write_text(
        f"Host {HOST}\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {ssh}/person\n  UserKnownHostsFile {ssh}/known_hosts\n"
    )
    (ssh / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {ssh}/host\nAuthorizedKeysFile {ssh}/authorized_keys\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitUserEnvironment no\n"
        f"SetEnv PYTHONPATH={ROOT / 'src'}:{ROOT} OMP_NUM_THREADS=1\n"
    )
    with (ssh / "log").open("w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", ssh / "sshd_config"], stderr=log)
    try:
        _await(port, server, ssh / "log")
        yield tmp_path / "home"
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def _await(port: int, server: subprocess.Popen, log: Path) -> None:
    for _ in range(PATIENCE_SECONDS * 10):
        assert server.poll() is None, log.read_text()
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"sshd doesn't listen: {log.read_text()}")


def sweep_over(home: Path, declared: Path, out: Path, *hosts: str) -> subprocess.CompletedProcess[str]:
    words = ["sweep", declared, "--table", out / "table.parquet", "--records", out / "records", "--cluster", "ssh"]
    command = [sys.executable, "-W", "ignore", "-m", "helpers.cli", *map(str, words)]
    for host in hosts:
        command += ["--host", host]
    told = os.environ | {"HOME": str(home), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    told.pop("SSH_AUTH_SOCK", None)
    return subprocess.run(command, env=told, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.slow
def test_two_workers_over_ssh_have_the_table_of_one_process(home, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    declared = write_sweep(tmp_path / "s.yml", write_family(tmp_path / "f", steps=(1, 2, 3, 4, 5, 6)), SCHEMES)
    done = sweep_over(home, declared, tmp_path / "ssh", f"{HOST}:2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "ssh: 2 workers; dashboard: http://" in done.stderr
    assert f"{N_ROWS} rows measured, 0 already there" in done.stderr
    (tmp_path / "one").mkdir()
    run_sweep(declared, "cpu", places_in(tmp_path / "one"), QUIET)
    assert rows(tmp_path / "ssh") == rows(tmp_path / "one")


def test_a_host_that_refuses_is_one_line(home, tmp_path):
    declared = write_sweep(tmp_path / "s.yml", write_family(tmp_path / "f"), SCHEMES)
    (home / ".ssh/authorized_keys").write_text("")
    done = sweep_over(home, declared, tmp_path / "ssh", HOST)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (told,) = done.stderr.splitlines()[-1:]
    assert told.startswith(f"error: --cluster ssh: no workers on {HOST} (")
