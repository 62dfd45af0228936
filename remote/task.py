"""A task of the papers → remote/tasks/NAME: its queries and tests, from the hub.

dvc repro remote/tasks/dvc.yaml:task@gsm8k      # revisions: remote/tasks/params.yaml
dvc exp run -S 'tests={from: [gsm8k]}' -S 'queries={from: [gsm8k]}'
"""

import sys
from pathlib import Path

from dataselect import report
from dataselect.errors import InputError, first_few
from dataselect.plan.params import read_yaml
from dataselect.tasks import load_task
from dataselect.tasks.run import make_task

HERE = Path(__file__).parent


def main() -> None:
    """Fetches the task that is named; a user's mistake ends with a message and status 1."""
    name = sys.argv[1]
    try:
        task = load_task(name, "remote/task.py")
        revisions = read_yaml(HERE / "tasks/params.yaml").get("revisions") or {}
        with report.progress("rows read", None) as progress:
            made = make_task(name, task, HERE / "tasks" / name, revisions, progress)
    except InputError as error:
        sys.exit(f"task: {error}")
    rows = zip(("queries", "tests"), (made.queries, made.tests), task.published, strict=True)
    report.table(f"Task {name}", list(rows), ("", "rows", "published"))
    if made.overlapping:
        report.console.print(
            f"{len(made.overlapping)} queries overlap tests: {first_few(made.overlapping)}"
        )
    unpinned = {source: commit for source, commit in made.commits.items()
                if commit and source not in revisions}  # fmt: skip
    for source, commit in unpinned.items():
        report.console.print(
            f"{source} is at commit {commit}. To keep to it, write that into `revisions` of "
            "remote/tasks/params.yaml."
        )


if __name__ == "__main__":
    main()
