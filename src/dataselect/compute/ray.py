"""A Ray cluster: the same work on many machines that share a file system."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt

from dataselect.compute import Engine, Run, StartWorker, Work, ordered_results
from dataselect.compute.placement import DeviceMap, MaxMemory, Placement, placement, use_placement
from dataselect.compute.progress import follow
from dataselect.errors import InputError, install_extra
from dataselect.report import Progress

PACKAGE = Path(__file__).parents[1]

#: Seconds between two messages of a worker about its rows.
EVERY = 1.0

#: Restarts of a worker whose machine or process dies, and retries of its job.
RETRIES = 5


def ray(
    *,
    address: str | None = None,
    cpus: Annotated[float, Gt(0)] = 1,
    gpus: Annotated[float, Ge(0)] = 0,
    device_map: DeviceMap = None,
    max_memory: MaxMemory = None,
) -> Engine:
    """Works on a Ray cluster. A worker that dies starts again, on any machine, with its job.

    The project's folder and the models must be at the same path on every machine: workers write
    finished shards into the scratch folder themselves. They run this code from that path.

    Args:
        address: of a running cluster (`auto`: the one this machine belongs to); None: what
            RAY_ADDRESS says, else a cluster of this machine alone.
        cpus: cores per job; also its threads.
        gpus: GPUs per job; 0.5 puts two jobs on each.
        device_map: `auto` spreads a model that is larger than a GPU over those of a job, then over
            memory, then over disk, for features and evaluation.
        max_memory: the most that its weights may take of each `gpu`, and of the machine (`cpu`),
            like `{gpu: 60GB, cpu: 200GB}`. Without: 80% of what is free.

    Raises:
        InputError: a size is none, or `device_map` has no whole GPU; or, while it runs: Ray is not
            installed, there is no such cluster, or no machine of it is large enough for a job.
    """
    spread = placement(device_map, max_memory, "engine.ray")
    if spread and gpus < 1:
        raise InputError(
            f"params.yaml: engine.ray: `device_map: auto` and `gpus: {gpus:g}`: expected as many "
            "whole GPUs as a job's model is to be spread over. Set `gpus`, or remove `device_map`."
        )
    return Engine(
        open=partial(_open, address, cpus, gpus, spread),
        one_machine=False,
        parallel_workers=lambda: 1,  # the estimate measures one worker, and says so
        placement=spread,
    )


@contextmanager
def _open(
    address: str | None, cpus: float, gpus: float, spread: Placement | None, start: StartWorker
) -> Generator[Run]:
    cluster = _connect(address)
    slots = _slots(cluster.nodes(), cpus, gpus)
    # Actors, not tasks: a process stays with its GPU, and keeps its model.
    resources = {"num_cpus": cpus, "num_gpus": gpus}
    retries = {"max_restarts": RETRIES, "max_task_retries": RETRIES}
    actor = cluster.remote(**resources, **retries)(_Worker)
    counter = cluster.remote(num_cpus=0, max_restarts=-1)(_Counter).remote()
    workers = [actor.remote(str(Path.cwd()), start, counter, spread) for _ in range(slots)]
    numbers = count()

    def run(jobs: Iterable[Any], progress: Progress) -> Iterator[Any]:
        pairs = zip(cycle(workers), jobs, strict=False)
        started = (worker.run.remote(next(numbers), job) for worker, job in pairs)
        result = partial(_result, cluster)
        with _followed(cluster, counter, progress) as finished:
            yield from ordered_results(started, 2 * slots, result, finished)

    try:
        yield run
    finally:
        for process in (*workers, counter):
            cluster.kill(process)


@contextmanager
def _followed(cluster: Any, counter: Any, progress: Progress) -> Generator[Progress]:
    """Yields what counts the rows of finished jobs; passes on these, or more, if workers say so."""
    finished = 0.0

    def reported() -> float:
        try:
            return cluster.get(counter.total.remote())
        except cluster.exceptions.RayError:  # its machine is lost; what is finished still counts
            return 0.0

    def add(rows: float, tokens: int = 0, flops: float = 0.0, /) -> None:
        nonlocal finished
        finished += rows

    before = reported()
    with follow(lambda: max(finished, reported() - before), progress):
        yield add


def _connect(address: str | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    try:
        import ray as cluster
    except ModuleNotFoundError:
        raise InputError(
            f"engine: `ray` is not installed. Install it: {install_extra('ray')}; or set "
            "`engine: local`."
        ) from None
    if not cluster.is_initialized():
        variables = {"PYTHONPATH": str(PACKAGE.parent)}
        variables["OMP_WAIT_POLICY"] = os.environ["OMP_WAIT_POLICY"]  # set in our __init__
        environment = {"env_vars": variables}
        try:
            cluster.init(
                address,
                runtime_env=environment,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"engine.ray.address: no cluster answers at `{address}`: {reason} Start one with "
                "`ray start --head`, fix the address, or set `engine: local`."
            ) from None
    return cluster


def _slots(nodes: list[dict[str, Any]], cpus: float, gpus: float) -> int:
    """How many jobs fit on the cluster at a time, each on one machine."""
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    slots = 0
    for machine in machines:
        by_cpu = int(machine.get("CPU", 0) / cpus)
        slots += min(by_cpu, int(machine.get("GPU", 0) / gpus)) if gpus else by_cpu
    if slots < 1:
        largest = [max((m.get(kind, 0) for m in machines), default=0) for kind in ("CPU", "GPU")]
        raise InputError(
            f"engine.ray: the largest machine of the cluster has {largest[0]:g} cores and "
            f"{largest[1]:g} GPUs; a job needs {cpus:g} and {gpus:g}. Lower `engine.ray.cpus` or "
            "`gpus`, or add machines."
        )
    return slots


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
            f"engine: ray: a job was lost {RETRIES + 1} times: {reason} Finished work is kept: fix "
            "the cluster, or give a job more `cpus` (and so more memory), and run again."
        ) from None


class _Worker:
    """A process of the cluster, which keeps what it loads from job to job."""

    def __init__(
        self, home: str, start: StartWorker, counter: Any, spread: Placement | None
    ) -> None:
        os.chdir(home)  # paths of the project's files are relative to it
        use_placement(spread)
        self.start, self.counter = start, counter
        self.work: Work | None = None

    def run(self, number: int, job: Any) -> Any:
        self.work = self.work or self.start()
        done, sent = 0.0, time.monotonic()

        def progress(rows: float, tokens: int = 0, flops: float = 0.0, /) -> None:
            nonlocal done, sent
            done += rows
            if time.monotonic() - sent >= EVERY:
                sent = time.monotonic()
                self.counter.note.remote(number, done)

        result = self.work(job, progress)
        self.counter.note.remote(number, done)
        return result


class _Counter:
    """How many rows of every job are done; a job that starts again counts from 0."""

    def __init__(self) -> None:
        self.rows: dict[int, float] = {}

    def note(self, number: int, rows: float) -> None:
        self.rows[number] = rows

    def total(self) -> float:
        return sum(self.rows.values())
