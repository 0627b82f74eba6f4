"""Clusters: what is accepted, what is said where one can't be had, and how workers are started."""

import re
import stat
import sys

import pytest
import torch
from rich.console import Console

from helpers.measure.cluster import clusters
from helpers.measure.cluster.clusters import Cluster, address_of, opened, refuse_without_workers, threads_of
from helpers.table.errors import SpecError

QUIET = Console(quiet=True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"where": "locall"}, "--cluster is 'locall'; accepted: local, ssh, slurm, or an address as tcp://HOST:PORT"),
        ({"where": "ssh"}, "--host goes with --cluster ssh"),
        ({"where": "local", "hosts": ("a",)}, "--host goes with --cluster ssh"),
        ({"where": "ssh", "hosts": ("a:0",)}, "--host is 'a:0'; accepted: NAME or NAME:WORKERS, once a host"),
        ({"where": "ssh", "hosts": ("a:two",)}, "--host is 'a:two'"),
        ({"where": "ssh", "hosts": ("a", "a:2")}, "--host is 'a:2'"),
        ({"where": "ssh", "hosts": (":2",)}, "--host is ':2'"),
        ({"where": "local", "workers": 0}, "--workers is 0; accepted: 1 or more"),
        ({"where": "tcp://a:1", "workers": 2}, "--workers is 2; accepted: 1 or more, with --cluster local or slurm"),
        ({"where": "slurm"}, "how many jobs"),
    ],
)
def test_what_is_off_is_said_in_one_line(fields, said):
    with pytest.raises(SpecError, match=re.escape(said)) as raised:
        Cluster(**fields)
    assert "\n" not in str(raised.value)


def test_hosts_of_ssh_run_as_many_workers_as_is_said():
    assert Cluster("ssh", hosts=("ann@a:4", "b")).workers_by_host() == {"ann@a": 4, "b": 1}


def test_an_address_where_nobody_answers(monkeypatch):
    monkeypatch.setattr(clusters, "PATIENCE_SECONDS", 0.5)
    with (
        pytest.raises(SpecError, match=r"^--cluster tcp://127\.0\.0\.1:9: no scheduler answers") as raised,
        opened(Cluster("tcp://127.0.0.1:9"), "cpu", QUIET),
    ):
        pass
    assert "\n" not in str(raised.value)


def test_an_address_that_is_none():
    with pytest.raises(SpecError, match="no scheduler answers"), opened(Cluster("pigeon://x:1"), "cpu", QUIET):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_here():
    with pytest.raises(SpecError, match="no CUDA device here"), opened(Cluster("local"), "cuda", QUIET):
        pass


def test_more_workers_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    with pytest.raises(SpecError, match=r"--workers is 3; accepted: 1 to 2, one a GPU"):
        clusters.local_workers(Cluster("local", 3), "cuda")


def test_every_worker_has_one_gpu_by_its_name_and_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(clusters, "cores", lambda: 9)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    options = [worker["options"] for worker in clusters.local_workers(Cluster("local"), "cuda")]
    assert [each["env"] for each in options] == [
        {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "2"},
        {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "5"},
    ]
    assert all(each["resources"] == {"GPU": 1} and each["nthreads"] == 2 for each in options)


def test_on_cpus_a_worker_is_a_process_with_one_thread_of_dask(monkeypatch):
    monkeypatch.setattr(clusters, "cores", lambda: 3)
    options = [worker["options"] for worker in clusters.local_workers(Cluster("local"), "cpu")]
    assert [(each["nthreads"], each["resources"], each["env"]) for each in options] == [
        (1, {}, {"OMP_NUM_THREADS": "1"})
    ] * 3


def test_workers_without_a_gpu_are_refused_where_one_is_asked_for(client):
    with pytest.raises(SpecError, match=r"none of 2 workers has a GPU; accepted: .*--resources GPU=1"):
        refuse_without_workers(client, address_of(client), "cuda")
    refuse_without_workers(client, address_of(client), "cpu")


def test_a_scheduler_without_workers_is_refused():
    from distributed import Scheduler, SpecCluster

    scheduler = {"cls": Scheduler, "options": {"host": "localhost", "port": 0, "dashboard": False}}
    with (
        SpecCluster({}, scheduler) as empty,
        pytest.raises(SpecError, match="no worker there; start some with `dask worker tcp://"),
        opened(Cluster(empty.scheduler_address), "cpu", QUIET),
    ):
        pass


def test_the_address_of_the_dashboard_is_said(client, capsys):
    with opened(Cluster(address_of(client)), "cpu", Console(soft_wrap=True)) as another:
        assert sorted(threads_of(another).values()) == [1, 1]
    assert re.fullmatch(r"tcp://\S+: 2 workers; dashboard: http://\S+/status\n", capsys.readouterr().out)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(SpecError, match=r"dask_jobqueue isn't installed: pip install 'qid-book\[cluster\]'"):
        clusters.needed("dask_jobqueue")


SBATCH = """#!/bin/sh
cp "$1" "$(dirname "$0")/submitted"
echo "Submitted batch job 7"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A stand-in for Slurm's two commands that keeps the job's script; and what a site's configuration says."""
    import dask
    import dask_jobqueue  # brings defaults into the configuration

    assert dask_jobqueue.SLURMCluster
    for name, script in {"sbatch": SBATCH, "scancel": "#!/bin/sh\n"}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755 | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    site = {
        "cores": 8,
        "memory": "32 GB",
        "queue": "gpu",
        "walltime": "02:00:00",
        "job-extra-directives": ["--exclusive"],
    }
    with dask.config.set({f"jobqueue.slurm.{name}": said for name, said in (site | {"interface": "lo"}).items()}):
        yield tmp_path


def test_a_job_of_slurm_is_one_worker_with_one_gpu_under_the_site_s_own_settings(slurm):
    with clusters.slurm_jobs(Cluster("slurm", 1), "cuda") as made:
        script = made.job_script()
    for line in ("#SBATCH -p gpu", "#SBATCH -t 02:00:00", "#SBATCH --exclusive", "#SBATCH --gpus=1"):
        assert line in script.splitlines()
    command = next(line for line in script.splitlines() if "distributed.cli.dask_worker" in line)
    assert "--nthreads 8" in command  # the site's cores; the last of two counts
    assert command.index("--nthreads 8") < command.index("--nthreads 2")
    assert "--resources GPU=1" in command
    assert "--memory-limit 0" in command


def test_slurm_without_a_site_s_settings_says_where_they_go():
    with pytest.raises(
        SpecError, match=r"^--cluster slurm: no cores and no memory of a job; accepted: .*jobqueue\.yaml$"
    ):
        clusters.slurm_jobs(Cluster("slurm", 1), "cpu")
