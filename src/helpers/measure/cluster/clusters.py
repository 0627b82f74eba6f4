"""Clusters by Dask: this machine's GPUs, hosts behind ssh, Slurm's jobs, or a scheduler that runs already.

A worker is one process with one GPU, which it says as the resource GPU; on CPUs it is one process.
"""

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from helpers.measure.models.precision import refuse_missing_device
from helpers.table.errors import SpecError

if TYPE_CHECKING:
    from distributed import Client

KINDS = ("local", "ssh", "slurm")
PATIENCE_SECONDS = 30.0  # for a scheduler to answer
GPU = "GPU"
THREADS = {"cpu": 1, "cuda": 2}  # of a worker: on a GPU one lot is loaded while another is measured
NO_LIMIT = 0  # of memory by Dask: models are mapped, and the engine counts what it takes itself


@dataclass(frozen=True)
class Cluster:
    """Where workers come from: `local`, `ssh`, `slurm` or a scheduler's address; how many; on which hosts of ssh.

    A host is `NAME` or `NAME:WORKERS`; `records` is the URL of an object store for workers that share no folder.
    Raises SpecError for anything else.
    """

    where: str
    workers: int | None = None
    hosts: tuple[str, ...] = ()
    records: str | None = None

    def __post_init__(self) -> None:
        if self.where not in KINDS and "://" not in self.where:
            raise SpecError(
                f"--cluster is '{self.where}'; accepted: {', '.join(KINDS)}, or an address as tcp://HOST:PORT"
            )
        if (self.where == "ssh") != bool(self.hosts):
            raise SpecError("--host goes with --cluster ssh; accepted: NAME or NAME:WORKERS, once a host")
        if self.workers is not None and (self.workers < 1 or self.where not in ("local", "slurm")):
            raise SpecError(f"--workers is {self.workers}; accepted: 1 or more, with --cluster local or slurm")
        if self.where == "slurm" and self.workers is None:
            raise SpecError("--cluster slurm: how many jobs? accepted: --workers N, one worker a job")
        self.workers_by_host()

    def workers_by_host(self) -> dict[str, int]:
        """Return how many workers each host of ssh runs. Raises SpecError for a number that isn't one."""
        found: dict[str, int] = {}
        for host in self.hosts:
            name, _, number = host.partition(":")
            if not name or name in found or not (number or "1").isdecimal() or int(number or 1) < 1:
                raise SpecError(f"--host is '{host}'; accepted: NAME or NAME:WORKERS, once a host")
            found[name] = int(number or 1)
        return found


@contextlib.contextmanager
def opened(cluster: Cluster, device: str, console: Console) -> Iterator["Client"]:
    """Yield a client of a cluster that has a worker, and say where its dashboard is; end what was started for it.

    Raises SpecError for a device that isn't there, a package that is missing, and a scheduler that doesn't answer.
    """
    distributed = needed("distributed")
    logging.getLogger("distributed").setLevel(logging.WARNING)  # `silence_logs` doesn't know the handler that rich has
    with contextlib.ExitStack() as stack:
        if cluster.where in KINDS:
            start = {"local": _local, "ssh": _ssh, "slurm": slurm_jobs}[cluster.where]
            client = stack.enter_context(distributed.Client(stack.enter_context(start(cluster, device))))
        else:
            client = stack.enter_context(_client_at(cluster.where, device))
        console.print(f"{cluster.where}: {len(threads_of(client))} workers; dashboard: {client.dashboard_link}")
        if not threads_of(client):
            console.print("waiting for the first worker")
            client.wait_for_workers(1)
        yield client


def threads_of(client: "Client") -> dict[str, int]:
    """Return the workers that are there, by address, and how many lots each takes at once."""
    threads: dict[str, int] = client.nthreads()
    return threads


def address_of(client: "Client") -> str:
    """Return the address of a client's scheduler, by which other processes reach it."""
    return str(client.scheduler_info()["address"])


def needed(package: str) -> Any:
    """Import a package of the extra `cluster`. Raises SpecError where it isn't installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise SpecError(f"--cluster: {package} isn't installed: pip install 'qid-book[cluster]'") from None


def _local(cluster: Cluster, device: str) -> Any:
    return cluster_of(local_workers(cluster, device), "localhost")


def local_workers(cluster: Cluster, device: str) -> list[dict[str, Any]]:
    """Return how the workers of this machine are started: one a GPU, or one a core; they share the cores.

    Raises SpecError for a device that isn't there and for more workers than GPUs.
    """
    refuse_missing_device(device)
    gpus = _visible_gpus() if device == "cuda" else []
    n_workers = cluster.workers or len(gpus) or cores()
    if gpus and n_workers > len(gpus):
        raise SpecError(f"--workers is {n_workers}; accepted: 1 to {len(gpus)}, one a GPU")
    shares = [{"OMP_NUM_THREADS": str(max(1, cores() // n_workers))} for _ in range(n_workers)]
    for share, gpu in zip(shares, gpus, strict=False):
        share["CUDA_VISIBLE_DEVICES"] = gpu
    return [worker_of(device, share) for share in shares]


def worker_of(device: str, variables: dict[str, str]) -> dict[str, Any]:
    """Return how a worker is started on this machine, with these variables, and again where it is lost."""
    return {"cls": needed("distributed").Nanny, "options": _options(device) | {"env": variables}}


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _visible_gpus() -> list[str]:
    """Return the names by which CUDA knows the GPUs that this process may use."""
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def _ssh(cluster: Cluster, device: str) -> Any:
    """Return workers on hosts, the scheduler on this machine, which they must reach; Python is where it is here."""
    needed("asyncssh")
    from distributed.deploy.ssh import Worker

    # Dask learns from a worker's log that it has started
    spoken = {name: value for name, value in _options(device).items() if name != "silence_logs"}
    workers = []
    for host, n_workers in cluster.workers_by_host().items():
        for number in range(n_workers):
            env = {"CUDA_VISIBLE_DEVICES": str(number)} if device == "cuda" else {}
            options = {"address": host, "connect_options": {}, "remote_python": sys.executable}
            workers.append({"cls": Worker, "options": options | {"kwargs": spoken | {"env": env}}})
    try:
        return cluster_of(workers, None)
    except Exception as error:  # of ssh, of the network, of a Python that isn't there: they have no base in common
        said = " ".join(str(error).split()) or type(error).__name__
        raise SpecError(f"--cluster ssh: no workers on {', '.join(cluster.workers_by_host())} ({said})") from None


def _options(device: str) -> dict[str, Any]:
    """Return what every worker is started with."""
    resources = {GPU: 1} if device == "cuda" else {}
    return {
        "nthreads": THREADS[device],
        "memory_limit": NO_LIMIT,
        "resources": resources,
        "silence_logs": logging.WARNING,
    }


def cluster_of(workers: list[dict[str, Any]], host: str | None) -> Any:
    """Return a cluster of workers with the scheduler in this process, which listens on `host`, by default on all."""
    distributed = needed("distributed")
    options = {"host": host, "port": 0, "dashboard": True, "dashboard_address": f"{host or ''}:0"}
    scheduler = {"cls": distributed.Scheduler, "options": options}
    return distributed.SpecCluster(dict(enumerate(workers)), scheduler, silence_logs=logging.WARNING)


def slurm_jobs(cluster: Cluster, device: str) -> Any:
    """Return Slurm's jobs, one worker each. Queue, account, memory and time are what Dask's jobqueue.yaml says.

    Raises SpecError where that says too little.
    """
    dask_jobqueue, configured = needed("dask_jobqueue"), needed("dask").config.get
    lacking = [name for name in ("cores", "memory") if not configured(f"jobqueue.slurm.{name}", None)]
    if lacking:
        where = "in the entry jobqueue: slurm: of ~/.config/dask/jobqueue.yaml"
        raise SpecError(f"--cluster slurm: no {' and no '.join(lacking)} of a job; accepted: {where}")
    directives = list(configured("jobqueue.slurm.job-extra-directives", []))
    arguments = list(configured("jobqueue.slurm.worker-extra-args", []))
    arguments += ["--nthreads", str(THREADS[device]), "--memory-limit", str(NO_LIMIT)]  # the last of two counts
    if device == "cuda":
        directives.append("--gpus=1")
        arguments += ["--resources", f"{GPU}=1"]
    made = dask_jobqueue.SLURMCluster(
        processes=1, python=sys.executable, job_extra_directives=directives, worker_extra_args=arguments
    )
    made.scale(jobs=cluster.workers)
    return made


def _client_at(address: str, device: str) -> Any:
    """Return a client of the scheduler at an address. Raises SpecError where there is none or no worker will do."""
    try:
        client = needed("distributed").Client(address, timeout=PATIENCE_SECONDS)
    except (OSError, ValueError) as error:  # of time, of the network, of an address that is none
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecError(f"--cluster {address}: no scheduler answers ({said})") from None
    try:
        refuse_without_workers(client, address, device)
    except SpecError:
        client.close()
        raise
    return client


def refuse_without_workers(client: "Client", address: str, device: str) -> None:
    """Raise SpecError for a scheduler without workers, or without one that has a GPU where one is asked for."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        raise SpecError(f"--cluster {address}: no worker there; start some with `dask worker {address}`")
    if device == "cuda" and not any(worker["resources"].get(GPU) for worker in workers):
        raise SpecError(
            f"--cluster {address}: none of {len(workers)} workers has a GPU; accepted: workers started with"
            f" `dask worker {address} --nthreads 2 --resources GPU=1`, one a GPU"
        )
