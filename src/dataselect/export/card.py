"""The card of an exported data set: README.md, with the header that the hub reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
import yaml

from dataselect.data.contamination import CONTAMINATED_SHARE
from dataselect.errors import inert
from dataselect.export.dataset import columns
from dataselect.export.finished import STAGES, FinishedRun, shown, shown_path
from dataselect.report import format_cell

#: What a column of licences may be called, in lower case.
LICENCES = ("license", "licence")

#: The hub's names of sizes, each with the rows that it begins at.
SIZES = {"n<1K": 0, "1K<n<10K": 1_000, "10K<n<100K": 10_000, "100K<n<1M": 100_000}
SIZES |= {"1M<n<10M": 1_000_000, "10M<n<100M": 10_000_000}

#: What each column holds.
MEANINGS = {
    "rank": "the order of choice, from 0",
    "id": "the row's id in the pool",
    "source": "the collection that the row is from",
    "messages": "the conversation: turns with `role` and `content`",
    "tools": "JSON of what the assistant may call",
    "task": "the task that the row was chosen for; null where the method knows no tasks",
    "group_name": "what chose the row: a query, a task, a source, a cluster or the whole pool",
    "score": "its score there; higher is better",
}


def card(run: FinishedRun, rows: pl.DataFrame, files: Sequence[str]) -> str:
    """The text of README.md.

    Args:
        rows: those of the data set.
        files: the names of the trainers' files.
    """
    label = run.plan["eval"]["run"]
    head = yaml.safe_dump(_header(rows), sort_keys=False, allow_unicode=True)
    title = f"# {rows.height:,} rows chosen by `{label['method']}`"
    about = (
        f"Instruction rows for fine-tuning, chosen by dataselect from a pool of "
        f"{sum(run.in_pool.values()):,}: method `{label['method']}`, budget {label['budget']}, "
        f"seed {label['seed']}."
    )
    parts = [
        f"---\n{head}---\n\n{title}\n\n{about}",
        f"## Method\n\n{_method(run)}",
        f"## Sources\n\n{_sources(run, rows)}",
        f"## Licences\n\n{_licences(rows)}",
        f"## Overlaps with tests\n\n{_overlaps(run)}",
        f"## Columns\n\n{_columns(rows)}",
        f"## Files\n\n{_files(run, files)}",
        f"## How to rebuild it\n\n{_rebuild(run)}",
    ]
    return inert("\n\n".join(parts)) + "\n"


def _header(rows: pl.DataFrame) -> dict[str, Any]:
    """What the hub and the library datasets read."""
    size = [name for name, first in SIZES.items() if rows.height >= first][-1]
    files = [{"split": "train", "path": "data/train-*.parquet"}]
    licences = _licence_names(rows)
    named = {"license": licences[0] if len(licences) == 1 else licences} if licences else {}
    return {
        **named,
        "task_categories": ["text-generation"],
        "tags": ["dataselect", "instruction-tuning"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _licence_column(rows: pl.DataFrame) -> str | None:
    return next((name for name in rows.columns if name.lower() in LICENCES), None)


def _licence_names(rows: pl.DataFrame) -> list[str]:
    """The licences as the hub writes them; `other` for what is no identifier."""
    column = _licence_column(rows)
    if column is None:
        return []
    found = {str(value).strip().lower() for value in rows[column].drop_nulls().unique()}
    names = {name if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name) else "other" for name in found}
    return sorted(names | ({"unknown"} if rows[column].null_count() else set()))


def _licences(rows: pl.DataFrame) -> str:
    column = _licence_column(rows)
    if column is None:
        return (
            "The pool has no column of licences. The rows are under the licences of their sources."
        )
    counts = rows[column].cast(pl.String).fill_null("not stated").value_counts(sort=True)
    ordered = counts.sort("count", column, descending=[True, False]).iter_rows()
    return _table((column, "rows"), ordered)


def _sources(run: FinishedRun, rows: pl.DataFrame) -> str:
    counts = rows.group_by("source").len().sort(["len", "source"], descending=[True, False])
    lines = [
        (source, count, f"{count / rows.height:.1%}", run.in_pool[source])
        for source, count in counts.iter_rows()
    ]
    rest = len(run.in_pool) - len(lines)
    also = f"\n\nNo row is from the pool's {rest} other sources." if rest else ""
    return _table(("source", "rows", "share", "rows of the pool"), lines) + also


def _method(run: FinishedRun) -> str:
    """The settings that decided the rows, as YAML; and those of the training."""
    plan = run.plan
    rules = {
        name: plan["dedup"].get(name)
        for name in ("rules", "near_duplicates", "decontaminate", "tasks", "query_tasks")
    }
    settings = {"dedup": rules, **{stage: plan[stage] for stage in STAGES[1:]}}
    settings["train"] = {name: plan["train"][name] for name in ("model", "recipe")}
    text = yaml.safe_dump(shown(settings), sort_keys=False, allow_unicode=True)
    return (
        "The settings of the stages that chose the rows, and of the training that the run has for "
        f"them:\n\n```yaml\n{text}```"
    )


def _overlaps(run: FinishedRun) -> str:
    if run.plan["dedup"].get("decontaminate") is None:
        return "Overlaps were not looked for."
    if not run.tests:
        return "The run had no tests, so overlaps with some were not looked for."
    count = sum(run.tests.values())
    if not run.overlaps:
        return f"None: no chosen row overlaps one of the {count:,} tests of the run's tasks."
    lines = [
        (task.task, task.tests, task.overlapping_tests, task.rows,
         "contaminated" if task.contaminated else "")
        for task in run.overlaps
    ]  # fmt: skip
    header = ("task", "tests", "overlapping tests", "rows", "verdict")
    return (
        f"{_table(header, lines)}\n\nOf {count:,} tests. A test overlaps a row that holds most of "
        f"its question; above {CONTAMINATED_SHARE:.0%} of the tests a task is called contaminated."
    )


def _columns(rows: pl.DataFrame) -> str:
    kept = "a column of the pool's files, as `pool.keep` names it"
    return _table(
        ("column", "meaning"), [(f"`{name}`", MEANINGS.get(name, kept)) for name in columns(rows)]
    )


def _files(run: FinishedRun, files: Sequence[str]) -> str:
    repeated = f", {run.lines:,} lines: some rows are there several times"
    lines = [
        ("`data/`", "the rows as Parquet: `datasets.load_dataset` reads this folder"),
        (
            "`train.jsonl`",
            f"the rows as messages, best first{repeated * (run.lines != len(run.rows))}",
        ),
        *((f"`{name}`", FILES[name]) for name in sorted(files)),
    ]
    return _table(("file", "what it is"), lines)


#: What each file of a trainer is.
FILES = {
    "trl_sft.yaml": "settings for TRL: `trl sft --config trl_sft.yaml`",
    "axolotl.yaml": "settings for Axolotl: `axolotl train axolotl.yaml`",
    "llamafactory.yaml": "settings for LLaMA-Factory: `llamafactory-cli train llamafactory.yaml`",
    "dataset_info.json": "the rows' description for LLaMA-Factory",
    "chat_template.jinja": "the chat format of the run",
}


def _rebuild(run: FinishedRun) -> str:
    """The commit, the command, and the hashes of what went in and came out."""
    command = "dvc repro aggregate"
    if run.commit is None:
        text = "The project was in no git repository. In its folder, with its settings:"
    else:
        commit, changed = run.commit
        command = f"git checkout {commit}\n{command}"
        text = "In the project's repository:" + (
            " (files differed from that commit when this was exported)" if changed else ""
        )
    dedup = run.plan["dedup"]
    given = [(f"{side}: `{shown_path(file['path'])}`", file["md5"])
             for side in ("pool", "queries", "tests") for file in dedup[side]]  # fmt: skip
    made = [(f"`{name}`", md5) for name, md5 in sorted(run.hashes.items())]
    return f"{text}\n\n```bash\n{command}\n```\n\n{_table(('file', 'MD5'), [*given, *made])}"


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; data is shown as text."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    cell = " ".join(format_cell(value).split()).replace("<", "&lt;")
    return re.sub(r"([|\[\]])", r"\\\1", cell)  # a column's end; a link
