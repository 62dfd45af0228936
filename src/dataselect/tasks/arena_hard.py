"""Arena-Hard: hard prompts of Chatbot Arena with GPT-4's answers (arXiv 2406.11939): queries alone.

A row: {"prompt": "Use ABC notation to write a melody …", "label": "…"}.

Source of the rows and their order: minimal_multitask/data.py (`ArenaHardSelection`) of
hamishivi/automated-instruction-selection@df71a04; its file is in its authors' eval.zip.
"""

from __future__ import annotations

import random

from dataselect.tasks import ReadSource, Row, Source, Task, as_shuffled, dialogue

QUERIES = 500


def arena_hard() -> Task:
    """A query set without tests: for models that are to chat well in general."""
    return Task(
        sources={"queries": Source("hamishivi/lsds_data", file="eval.zip/eval/arena_hard.jsonl")},
        queries=_queries,
        tests=None,
        kind=None,
        published=(QUERIES, 0),
    )


def _queries(read: ReadSource) -> list[Row]:
    rows = list(enumerate(read("queries")))
    random.Random(42).shuffle(rows)
    return as_shuffled(
        {
            "id": f"prompt-{number}",
            "messages": dialogue(row["prompt"].strip(), row["label"].strip()),
        }
        for number, row in rows[:QUERIES]
    )
