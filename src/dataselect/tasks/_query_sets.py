"""Query sets without tests, from the file that the RDS+ paper's authors published."""

from __future__ import annotations

import random
from functools import partial

from dataselect.tasks import ReadSource, Row, Source, Task, as_shuffled, dialogue


def query_set(file: str, *, response: str, count: int) -> Task:
    """A task of queries alone: for models that are to chat well in general.

    Args:
        file: of `prompt` and a response, in the folder `eval` of eval.zip.
        response: the column that has the response.
        count: how many rows are drawn, as the published code draws them.
    """
    return Task(
        sources={"queries": Source("hamishivi/lsds_data", file=f"eval.zip/eval/{file}")},
        queries=partial(draw_queries, response=response, count=count),
        tests=None,
        kind=None,
        published=(count, 0),
    )


def draw_queries(
    read: ReadSource,
    *,
    response: str,
    count: int,
    prompt: str = "prompt",
    max_tokens: int | None = None,
) -> list[Row]:
    """The first `count` rows of the source `queries`, shuffled as the published code does it.

    Args:
        response: the column that has the response.
        prompt: the column that has the prompt.
        max_tokens: of a prompt, and of a response.
    """
    rows = list(enumerate(read("queries")))
    random.Random(42).shuffle(rows)
    return as_shuffled(
        {
            "id": f"prompt-{number}",
            "messages": dialogue(row[prompt].strip(), row[response].strip()),
            "max_tokens": max_tokens,
        }
        for number, row in rows[:count]
    )
