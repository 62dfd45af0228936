"""A task of the papers → remote/tasks/NAME: queries and tests, from the hub; of some a pool too.

dvc repro remote/tasks/dvc.yaml:task@gsm8k      # revisions: remote/tasks/params.yaml
dvc exp run -S 'tests={from: [gsm8k]}' -S 'queries={from: [gsm8k]}'
"""

import sys
from pathlib import Path

from dataselect import report
from dataselect.errors import first_few
from dataselect.fetch.hub import print_commit
from dataselect.plan.params import read_yaml
from dataselect.stage import end_with_message
from dataselect.tasks import Task, load_task
from dataselect.tasks.run import Made, check_revisions, make_task

HERE = Path(__file__).parent


def main() -> None:
    """Fetches the task that is named; a user's mistake ends with a message and status 1."""
    report.quiet_libraries()
    name = sys.argv[1]
    try:
        task = load_task(name, "remote/task.py")
        revisions = check_revisions(read_yaml(HERE / "tasks/params.yaml").get("revisions"))
        with report.progress("rows read", None) as progress:
            made = make_task(name, task, HERE / "tasks" / name, revisions, progress)
        print_made(name, task, made, revisions)
    except BaseException as error:
        end_with_message("task", error)


def print_made(name: str, task: Task, made: Made, revisions: dict[str, str]) -> None:
    """Prints the numbers of rows beside the published ones, overlaps, and commits."""
    queries, tests = (count or "–" for count in task.published)
    rows = [("queries", made.queries, queries), ("tests", made.tests, tests)]
    if task.training:
        rows.append(("rows for a pool", made.pool, "–"))
    report.table(f"Task {name}", rows, ("", "rows", "published"))
    if made.overlapping:
        report.console.print(
            f"{len(made.overlapping)} queries overlap tests: {first_few(made.overlapping)}"
        )
    for source, commit in made.commits.items():
        wanted = revisions.get(source)
        print_commit(source, wanted, commit, "`revisions` of remote/tasks/params.yaml")


if __name__ == "__main__":
    main()
