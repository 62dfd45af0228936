"""BIG-Bench Hard: 27 sets of reasoning problems (arXiv 2210.09261).

A row of the set `boolean_expressions`: {"input": "not ( True ) and ( True ) is", "target":
"False"}.

The three solved examples of each set are suzgunmirac/BIG-Bench-Hard@9ee07bd, `cot-prompts` (MIT
licence). Source of the prompts: minimal_multitask/data.py (`BBHShots`) and eval/bbh of
hamishivi/automated-instruction-selection@df71a04, whose queries come in no fixed order: here in
that of the sets' names, then shuffled as there.
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


def bbh() -> Task:
    """3-shot chain of thought, the text after "the answer is"; the shots are the queries."""
    return Task(
        sources={name: Source("lukaemon/bbh", name, "test") for name in published_shots("bbh")},
        queries=_queries,
        tests=_tests,
        kind="bbh",
        shots=3,
        published=(81, 6_511),
    )


def _queries(read: ReadSource) -> list[Row]:
    """One query for each shot: raw text, without a chat format, as the published code has it."""
    return as_shuffled(
        {
            "id": f"{name}-shot-{number}",
            "subtask": name,
            "messages": dialogue(f"{shots['description']}\n\nQ:{question}", response),
            "format": "raw",
        }
        for name, shots in sorted(published_shots("bbh").items())
        for number, (question, response) in enumerate(shots["shots"])
    )


def _tests(read: ReadSource) -> Iterator[Row]:
    for name, shots in published_shots("bbh").items():
        solved = [f"Q:{question}\nA: {response}" for question, response in shots["shots"]]
        head = "\n\n".join([shots["description"], *solved])
        for number, row in enumerate(read(name)):
            yield {
                "id": f"{name}-{number}",
                "subtask": name,
                "messages": user(f"{head}\n\nQ: {row['input']}"),
                "prefill": "A:",
                "answer": row["target"],
            }
