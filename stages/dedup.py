"""The raw pool, queries, tests → out/{pool,queries,tests,dropped}.parquet."""

import json
from pathlib import Path

from dataselect import report
from dataselect.data import files, tables
from dataselect.dedup import pool, tasks
from dataselect.dedup.truncation import find_truncated
from dataselect.eval.task_kinds import task_kinds
from dataselect.stage import stage

OUT = Path("out")


def paths(name: str) -> list[str]:
    """The files of a section's entry."""
    return [files.resolve(file["path"]) for file in section[name]]


with stage("dedup") as section:
    queries = tasks.read_queries(paths("queries"), section["query_tasks"])
    tests = tasks.read_tests(paths("tests"), section["tasks"])
    # What eval would refuse, before anything costs; it changes nothing that is done here.
    task_kinds(tests, json.loads(Path("plan.json").read_text())["eval"]["kinds"])
    with report.progress("rows read", None) as advance:
        counts = pool.write_pool(
            paths("pool"),
            OUT,
            on_bad_row=section["on_bad_row"],
            cut_off=find_truncated(section["model"]),
            advance=advance,
        )
    tables.write("queries", queries, OUT / "queries.parquet")
    tables.write("tests", tests, OUT / "tests.parquet")
    told = [("rows read", counts.pop("read")), ("rows kept", counts.pop("kept"))]
    told += [(f"dropped: {reason}", count) for reason, count in counts.items()]
    report.table("Pool", told)
    report.table("Tasks", tasks.task_counts(queries, tests), ("task", "queries", "tests"))
