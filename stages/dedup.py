"""The raw pool, queries, tests → out/{pool,queries,tests,dropped}.parquet."""

import json
from pathlib import Path

from dataselect import report
from dataselect.data import files, tables
from dataselect.dedup import pool, tasks
from dataselect.dedup.truncation import cut_off
from dataselect.eval.task_kinds import kinds_of
from dataselect.stage import stage

OUT = Path("out")


def paths(name: str) -> list[str]:
    """The files of a section's entry."""
    return [files.find(file["path"]) for file in section[name]]


with stage("dedup") as section:
    queries = tasks.queries(paths("queries"), section["query_tasks"])
    tests = tasks.tests(paths("tests"), section["tasks"])
    # What eval would refuse, before anything costs; it changes nothing that is done here.
    kinds_of(tests, json.loads(Path("plan.json").read_text())["eval"]["kinds"])
    with report.progress("rows read", None) as advance:
        counts = pool.pool(
            paths("pool"),
            OUT,
            on_bad_row=section["on_bad_row"],
            cut_off=cut_off(section["model"]),
            advance=advance,
        )
    tables.write("queries", queries, OUT / "queries.parquet")
    tables.write("tests", tests, OUT / "tests.parquet")
    told = [("rows read", counts.pop("read")), ("rows kept", counts.pop("kept"))]
    told += [(f"dropped: {reason}", count) for reason, count in counts.items()]
    report.show("Pool", told)
    report.show("Tasks", tasks.tasks(queries, tests), ("task", "queries", "tests"))
