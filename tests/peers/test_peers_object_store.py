"""A sweep whose workers put their records into S3, as moto serves it from the peers' environment on this machine."""

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from rich.console import Console
from tests.measure.tiny import ROOT, write_family, write_sweep
from tests.peers.test_peers import PEERS_PYTHON

from helpers.measure.cluster.clusters import Cluster
from helpers.measure.cluster.run import run_sweep_on
from helpers.measure.cluster.shared_records import SharedRecords
from helpers.measure.sweep.places import Places
from helpers.measure.sweep.run import run_sweep
from helpers.table import files
from helpers.table.errors import ResultsError

pytestmark = pytest.mark.peers

QUIET = Console(quiet=True)
SCHEMES = "[{method: [rtn, gptq], bits: [2, 4], group_size: 16, symmetric: false}]"
# `device_name` says how many threads there were: workers of one machine share its cores, and no number depends on it
MEASURED_EACH_TIME_ANEW = ["measured_at", "wall_seconds", "peak_memory_gib", "git_commit", "device_name"]
SERVER = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"


@pytest.fixture
def store(monkeypatch):
    """The address of a server of S3 on the loopback that has a bucket called `bucket`."""
    for name, value in {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    command = [str(PEERS_PYTHON), "-W", "ignore", "-c", SERVER]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = next(line for line in server.stderr if "Running on" in line)
            address = re.search(r"127\.0\.0\.1:\d+", said)[0]
            made = urllib.request.Request(f"http://{address}/bucket", method="PUT")
            urllib.request.urlopen(made, timeout=20).close()
            yield address
        finally:
            server.terminate()


def url_of(address: str, bucket: str = "bucket") -> str:
    return f"s3://{bucket}/sweep?region=us-east-1&scheme=http&endpoint_override={address}"


def rows(table: Path) -> list[dict]:
    return files.read_table(table).drop_columns(MEASURED_EACH_TIME_ANEW).to_pylist()


def test_the_table_is_that_of_one_process_and_the_store_alone_is_enough_to_resume(store, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'src'}")
    declared = write_sweep(tmp_path / "sweep.yml", write_family(tmp_path / "family"), SCHEMES)
    run_sweep(declared, "cpu", Places(tmp_path / "alone.parquet", tmp_path / "alone"), QUIET)
    cluster = Cluster("local", 2, records=url_of(store))
    report = run_sweep_on(cluster, declared, "cpu", Places(tmp_path / "there.parquet", tmp_path / "there"), QUIET)
    assert (report.n_measured, report.n_present, report.failures) == (10, 0, ())
    assert rows(tmp_path / "there.parquet") == rows(tmp_path / "alone.parquet")
    kept = SharedRecords(cluster.records).done_ids()
    assert kept == {row["measurement_id"] for row in rows(tmp_path / "alone.parquet")}
    report = run_sweep_on(cluster, declared, "cpu", Places(tmp_path / "again.parquet", tmp_path / "again"), QUIET)
    assert (report.n_measured, report.n_present) == (0, 10)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()
    assert json.loads((tmp_path / "again" / f"{min(kept)}.json").read_text())["measurement_id"] == min(kept)


def test_a_bucket_that_is_not_there_is_said_before_any_work(store, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    declared = write_sweep(tmp_path / "sweep.yml", write_family(tmp_path / "family"), SCHEMES)
    cluster = Cluster("local", 2, records=url_of(store, "absent"))
    with pytest.raises(ResultsError, match=r"^s3://absent/sweep\S*: can't be written \(.*bucket.*\)"):
        run_sweep_on(cluster, declared, "cpu", Places(tmp_path / "t.parquet", tmp_path / "r"), QUIET)
