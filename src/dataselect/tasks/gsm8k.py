"""GSM8K: grade-school arithmetic (arXiv 2110.14168).

A row: {"question": "Natalia sold clips to 48 of her friends in April, and then she sold half as
many clips in May. How many clips did Natalia sell altogether in April and May?", "answer":
"Natalia sold 48/2 = <<48/2=24>>24 clips in May.\\nNatalia sold 48+24 = <<48+24=72>>72 clips
altogether in April and May.\\n#### 72"}.

The eight solved examples are those of arXiv 2201.11903. Source of the prompts and of the queries'
order: minimal_multitask/data.py (`GSM8kShots`) and eval/gsm of
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
    published_shots,
    user,
)

PREFILL = "Answer:"


def gsm8k() -> Task:
    """8-shot chain of thought; the last number of the output; the shots are the queries."""
    return Task(
        sources={"test": Source("openai/gsm8k", "main", "test")},
        queries=_queries,
        tests=_tests,
        kind="last_number",
        shots=8,
        published=(8, 1_319),
    )


def _queries(read: ReadSource) -> list[Row]:
    return as_shuffled(
        {
            "id": f"shot-{number}",
            "messages": dialogue(
                f"Answer the following question.\n\nQuestion: {shot['question'].strip()}",
                shot["answer"],
            ),
            "prefill": PREFILL,
        }
        for number, shot in enumerate(published_shots("gsm8k"))
    )


def _tests(read: ReadSource) -> Iterator[Row]:
    shots = [f"Question: {s['question']}\nAnswer: {s['answer']}" for s in published_shots("gsm8k")]
    head = "\n\n".join(["Answer the following questions.", *shots])
    for number, row in enumerate(read("test")):
        yield {
            "id": f"test-{number}",
            "messages": user(f"{head}\n\nQuestion: {row['question'].strip()}"),
            "prefill": PREFILL,
            "answer": row["answer"].split("####")[1].strip().replace(",", ""),
        }
