"""A Ray cluster: the same work on many machines that share a file system."""

from __future__ import annotations

import logging
import os
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt

from dataselect.engines import Run, Start, nobody
from dataselect.errors import InputError
from dataselect.features import Advance

PACKAGE = Path(__file__).parents[1]

#: A job whose machine or process dies is given to another so many times.
RETRIES = 5


@contextmanager
def ray(
    start: Start,
    *,
    address: str | None = None,
    cpus: Annotated[float, Gt(0)] = 1,
    gpus: Annotated[float, Ge(0)] = 0,
) -> Generator[Run]:
    """Works on a Ray cluster. A job whose worker dies is done again by another.

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
    slots = _slots(cluster.cluster_resources(), cpus, gpus)
    # Ray ends a worker after every job with a GPU, unless it is told that any number will do.
    as_asked = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES, "max_calls": 0}
    task = cluster.remote(**as_asked)(_task)
    began = cluster.put(start)
    name, home = uuid.uuid4().hex, str(Path.cwd())

    def run(jobs: Iterable[Any], advance: Advance) -> Iterator[Any]:
        under_way: deque[Any] = deque()
        for job in jobs:
            under_way.append(task.remote(name, home, began, job))
            if len(under_way) >= 2 * slots:
                yield _result(cluster, under_way.popleft(), advance)
        while under_way:
            yield _result(cluster, under_way.popleft(), advance)

    yield run


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


def _slots(there: dict[str, float], cpus: float, gpus: float) -> int:
    """How many jobs fit on the cluster at a time."""
    fit = int(there.get("CPU", 0) / cpus)
    fit = min(fit, int(there.get("GPU", 0) / gpus)) if gpus else fit
    if fit < 1:
        raise InputError(
            f"engine.ray: the cluster has {there.get('CPU', 0):g} cores and "
            f"{there.get('GPU', 0):g} GPUs; a job asks for {cpus:g} and {gpus:g}. Lower "
            "`engine.ray.cpus` or `gpus`, or add machines."
        )
    return fit


def _result(cluster: Any, reference: Any, advance: Advance) -> Any:
    try:
        result = cluster.get(reference)
    except cluster.exceptions.RayTaskError as error:
        raise error.cause from None
    except cluster.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"engine: ray: a job was lost {RETRIES + 1} times: {reason} What was finished is kept: "
            "mend the cluster, or give a job more `cpus` (and so more memory), and run again."
        ) from None
    advance(result.rows)
    return result


#: In a worker process: what the last run's start came to. An older run's is let go.
_works: dict[str, Any] = {}


def _task(name: str, home: str, start: Start, job: Any) -> Any:
    if name not in _works:
        os.chdir(home)  # paths of the project's files are seen from there
        _works.clear()
        _works[name] = start()
    return _works[name](job, nobody)
