"""SQuAD 1.1: questions about a paragraph of Wikipedia (arXiv 1606.05250).

A row: {"id": "5733be284776f41900661182", "title": "University_of_Notre_Dame", "context":
"Architecturally, the school has a Catholic character. …", "question": "To whom did the Virgin Mary
allegedly appear in 1858 in Lourdes France?", "answers": {"text": ["Saint Bernadette Soubirous"],
"answer_start": [515]}}.

The three solved examples are those of the published code. Source of the prompts and of the
queries' order: minimal_multitask/data.py (`SquadEval`) and eval/squad of
hamishivi/automated-instruction-selection@df71a04.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataselect.tasks import (
    ReadSource,
    Row,
    Source,
    Task,
    as_shuffled,
    dialogue,
    passage_cluster,
    published_shots,
    user,
)

QUERIES = 500
QUERY_TOKENS = 512


def squad() -> Task:
    """3-shot F1 over all gold answers; 500 training rows are the queries, without shots."""
    return Task(
        sources={
            "train": Source("rajpurkar/squad", split="train"),
            "test": Source("rajpurkar/squad", split="validation"),
        },
        queries=_queries,
        tests=_tests,
        kind="squad_f1",
        shots=3,
        published=(500, 10_570),
    )


def _queries(read: ReadSource) -> list[Row]:
    return [
        {
            "id": row["id"],
            "messages": dialogue(
                f"{row['context']}\n\n{row['question']}", row["answers"]["text"][0]
            ),
            "max_tokens": QUERY_TOKENS,
        }
        for row in as_shuffled(read("train"), QUERIES)
    ]


def _tests(read: ReadSource) -> Iterator[Row]:
    shots = [
        f"{s['context']}\n\n{s['question']}\n\n{s['answer']}" for s in published_shots("squad")
    ]
    head = "\n".join(shots)
    for row in read("test"):
        yield {
            "id": row["id"],
            "messages": user(f"{head}\n{row['context']}\n\n{row['question']}"),
            "answers": row["answers"]["text"],
            "cluster": passage_cluster(row["context"]),
        }
