"""A Ray cluster: the same work on many machines that share a file system."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt

from dataselect.compute import Run, Start, no_progress, ordered_results
from dataselect.errors import InputError
from dataselect.report import Progress

PACKAGE = Path(__file__).parents[1]

#: A worker whose machine or process dies begins anew so many times, and its job with it.
RETRIES = 5


@contextmanager
def ray(
    start: Start,
    *,
    address: str | None = None,
    cpus: Annotated[float, Gt(0)] = 1,
    gpus: Annotated[float, Ge(0)] = 0,
) -> Generator[Run]:
    """Works on a Ray cluster. A worker that dies begins anew, where there is room, with its job.

    The project's folder and the models must be at the same path on every machine: workers write
    finished shards into the scratch folder themselves. They run this code from that path.

    Args:
        start: see `engines`. A worker process keeps what it loaded from job to job.
        address: of a running cluster (`auto`: the one this machine belongs to); None: where
            RAY_ADDRESS says, else a cluster of this machine alone.
        cpus: cores a job; also its threads.
        gpus: GPUs a job; half of one puts two jobs on each.

    Raises:
        InputError: Ray is not installed, there is no such cluster, or it has nothing that big.
    """
    cluster = _connected(address)
    slots = _slots(cluster.nodes(), cpus, gpus)
    # Actors, not tasks: a process stays with its GPU, and keeps its model.
    asked = {"num_cpus": cpus, "num_gpus": gpus}
    again = {"max_restarts": RETRIES, "max_task_retries": RETRIES}
    worker = cluster.remote(**asked, **again)(_Worker)
    workers = [worker.remote(str(Path.cwd()), start) for _ in range(slots)]

    def run(jobs: Iterable[Any], advance: Progress) -> Iterator[Any]:
        given = (one.work.remote(job) for one, job in zip(cycle(workers), jobs, strict=False))
        yield from ordered_results(given, 2 * slots, partial(_result, cluster), advance)

    try:
        yield run
    finally:
        for one in workers:
            cluster.kill(one)


def _connected(address: str | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    try:
        import ray as cluster
    except ModuleNotFoundError:
        raise InputError(
            "engine: `ray` is not installed. Install it: pip install 'dataselect[ray]'; or set "
            "`engine: local`."
        ) from None
    if not cluster.is_initialized():
        options: dict[str, Any] = {"env_vars": {"PYTHONPATH": str(PACKAGE.parent)}}
        options = {"runtime_env": options, "log_to_driver": False, "logging_level": logging.ERROR}
        try:
            cluster.init(address, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"engine.ray.address: no cluster answers at `{address}`: {reason} Start one with "
                "`ray start --head`, mend the address, or set `engine: local`."
            ) from None
    return cluster


def _slots(nodes: list[dict[str, Any]], cpus: float, gpus: float) -> int:
    """How many jobs fit on the cluster at a time, each on one machine."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    fit = 0
    for there in alive:
        of_cpus = int(there.get("CPU", 0) / cpus)
        fit += min(of_cpus, int(there.get("GPU", 0) / gpus)) if gpus else of_cpus
    if fit < 1:
        most = [max((one.get(kind, 0) for one in alive), default=0) for kind in ("CPU", "GPU")]
        raise InputError(
            f"engine.ray: the largest machine of the cluster has {most[0]:g} cores and {most[1]:g} "
            f"GPUs; a job asks for {cpus:g} and {gpus:g}. Lower `engine.ray.cpus` or `gpus`, or "
            "add machines."
        )
    return fit


def _result(cluster: Any, reference: Any) -> Any:
    try:
        return cluster.get(reference)
    except cluster.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
    except cluster.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"engine: ray: a job was lost {RETRIES + 1} times: {reason} What was finished is kept: "
            "mend the cluster, or give a job more `cpus` (and so more memory), and run again."
        ) from None


class _Worker:
    """A process of the cluster, which keeps what it loads from job to job."""

    def __init__(self, home: str, start: Start) -> None:
        os.chdir(home)  # paths of the project's files are seen from there
        self.start, self.do = start, None

    def work(self, job: Any) -> Any:
        self.do = self.do or self.start()
        return self.do(job, no_progress)
