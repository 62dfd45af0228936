"""OpenMP's threads sleep while they wait, in a stage and in every worker, unless the user says so.

With OMP_DISPLAY_ENV, OpenMP prints what it has read when torch loads it: a variable that is set
later does not count.
"""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dataselect.compute import no_progress
from dataselect.compute.distributed import launch
from dataselect.compute.local import local
from tests.helpers import ROOT, change

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
ENVIRONMENT |= {"OMP_DISPLAY_ENV": "TRUE", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="asks GNU's OpenMP what it has read"
)


def policies(*command, **environment):
    """What every OpenMP library that a command and its children load says of its policy."""
    done = subprocess.run(
        [sys.executable, *command],
        env={**ENVIRONMENT, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return re.findall(r"OMP_WAIT_POLICY = '(\w+)'", done.stderr)


@linux_only
@pytest.mark.torture
def test_a_stage_and_its_workers_wait_passively(home):
    change({"method": "rds", "engine": {"local": {"workers": 2}}})
    for name in ("plan", "dedup", "reference"):
        assert set(policies(str(ROOT / f"stages/{name}.py"))) <= {"PASSIVE"}
    found = policies(str(ROOT / "stages/embed.py"))
    assert set(found) == {"PASSIVE"}
    assert len(found) >= 2  # the stage, and the worker that measured


PROBE = "import runpy; runpy.run_path({!r}, run_name='probe'); import torch"


@linux_only
@pytest.mark.slow
@pytest.mark.torture
def test_a_users_own_policy_stays():
    script = PROBE.format(str(ROOT / "stages/train.py"))
    assert set(policies("-c", script, OMP_WAIT_POLICY="ACTIVE")) == {"ACTIVE"}
    assert set(policies("-c", script)) == {"PASSIVE"}


def say(job, progress):
    """A job's result: the policy of the process that does it."""
    return SimpleNamespace(rows=1, policy=os.environ.get("OMP_WAIT_POLICY"))


def start():
    return say


def policy(*_):
    return os.environ.get("OMP_WAIT_POLICY")


@pytest.mark.torture
def test_workers_have_the_policy_of_the_process_that_starts_them(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with local(workers=2).open(start) as run:
        assert {done.policy for done in run(range(4), no_progress)} == {"ACTIVE"}
    assert launch(2, policy) == "ACTIVE"


RAY = """
import os, sys
os.environ["OMP_WAIT_POLICY"] = "ACTIVE"
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
os.environ.pop("OMP_WAIT_POLICY")
from tests.compute.test_wait_policy import ray_policy
print("worker:", ray_policy(nodes.address))
nodes.shutdown()
"""


def ray_policy(address):
    """The policy of a worker of a running cluster."""
    from ray import cloudpickle

    from dataselect.compute.ray import ray

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not know the tests
    with ray(address=address).open(start) as run:
        return next(iter(run([0], no_progress))).policy


@pytest.mark.torture
@pytest.mark.xdist_group("ray")
def test_a_clusters_workers_have_it_too(tmp_path):
    """Whatever the environment of the cluster itself, which somebody else may have started."""
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-c", RAY], cwd=tmp_path,
        env=ENVIRONMENT | {"RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "worker: PASSIVE" in done.stdout, done.stderr
