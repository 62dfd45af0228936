"""Several runs of one project at once: nothing is computed twice, and nothing is torn."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers import run
from tests.sweep.test_command import FEW, finished, references
from tests.test_kills import left
from tests.test_pipeline import ran, repro, small_project

pytestmark = [pytest.mark.slow, pytest.mark.torture]


@pytest.mark.parametrize("seconds", [0, 3, 8])
def test_of_two_repros_in_one_folder_one_is_refused_or_finds_all_done(tmp_path, seconds):
    """DVC refuses the second where a stage of the first is at work; it may come to refuse both."""
    alone, both = (small_project(tmp_path / name) for name in ("alone", "both"))
    repro(alone, "aggregate")

    def start(pause):
        time.sleep(pause)
        return run("dvc", "repro", "aggregate", cwd=both, check=False)

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(start, (0, seconds)))
    stages = [name for process in done for name in ran(process.stdout)]
    assert len(stages) == len(set(stages))
    for process in done:
        assert process.returncode == 0 or "is busy" in process.stderr, process.stderr
    repro(both, "aggregate")  # goes on where both were refused
    assert left(both) == left(alone)


def test_runs_of_a_sweep_at_once_compute_what_they_share_once(tmp_path):
    project = small_project(tmp_path, eval=FEW)
    sweep = "{methods: [random, rds], budgets: [20], tasks: [addition, sorting, lord]}"
    (project / "few.yaml").write_text(sweep)
    printed, status = finished(project, "--workers", "4")
    assert status == 0, printed
    assert len(references(project)) == 6
    logs = "".join(path.read_text() for path in (project / ".dvc/tmp/sweep/logs").glob("*.log"))
    computed = sum(map(int, re.findall(r"shards computed +(\d+)", logs)))
    assert computed == len(list((project / ".dvc/tmp/scratch/embed").rglob("*.safetensors")))
