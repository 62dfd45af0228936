"""WildChat: prompts that people wrote to chat assistants (arXiv 2405.01470): queries alone.

A row: {"prompt": "…", "response": "…"}.

Source of the rows and their order: minimal_multitask/data.py (`WildChatSelection`) of
hamishivi/automated-instruction-selection@df71a04; its file is in its authors' eval.zip.
"""

from __future__ import annotations

import random

from dataselect.tasks import ReadSource, Row, Source, Task, as_shuffled, dialogue

QUERIES = 100


def wildchat() -> Task:
    """A query set without tests: for models that are to chat well in general."""
    return Task(
        sources={
            "queries": Source(
                "hamishivi/lsds_data", file="eval.zip/eval/wildchat_100_prompts.jsonl"
            )
        },
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
            "messages": dialogue(row["prompt"].strip(), row["response"].strip()),
        }
        for number, row in rows[:QUERIES]
    )
