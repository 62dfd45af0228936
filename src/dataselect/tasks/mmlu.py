"""MMLU: multiple choice in 57 subjects (arXiv 2009.03300).

A row: {"question": "Find all c in Z_3 such that Z_3[x]/(x^2 + c) is a field.", "subject":
"abstract_algebra", "choices": ["0", "1", "2", "3"], "answer": 1}.

Source of the prompt, the queries and their order: minimal_multitask/data.py (`MMLUShots`) and
eval/mmlu of hamishivi/automated-instruction-selection@df71a04. The two spaces before the subject
are theirs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator

from dataselect.tasks import ReadSource, Row, Source, Task, as_shuffled, dialogue

LETTERS = "ABCD"
PREFILL = "The answer is:"
QUERY_TOKENS = 512


def mmlu() -> Task:
    """0-shot accuracy; the five development questions of every subject are the queries."""
    return Task(
        sources={
            "dev": Source("cais/mmlu", "all", "dev"),
            "test": Source("cais/mmlu", "all", "test"),
        },
        queries=_queries,
        tests=_tests,
        kind="multiple_choice",
        published=(285, 14_042),
    )


def _queries(read: ReadSource) -> list[Row]:
    # A round over the subjects in alphabetical order draws one question of each.
    by_subject: dict[str, list[Row]] = {}
    for row in _numbered(read("dev")):
        by_subject.setdefault(row["subject"], []).append(row)
    draw = random.Random(42)
    drawn = []
    while any(by_subject.values()):
        for subject in sorted(by_subject):
            if by_subject[subject]:
                draw.shuffle(by_subject[subject])
                drawn.append(by_subject[subject].pop())
    return as_shuffled(
        {
            "id": row["id"],
            "subtask": row["subject"],
            "messages": dialogue(_prompt(row), LETTERS[row["answer"]]),
            "prefill": PREFILL,
            "max_tokens": QUERY_TOKENS,
        }
        for row in drawn
    )


def _tests(read: ReadSource) -> Iterator[Row]:
    for row in _numbered(read("test")):
        yield {
            "id": row["id"],
            # The space belongs to the letter: so tokenizers write it after a colon.
            "messages": dialogue(_prompt(row), " " + LETTERS[row["answer"]]),
            "prefill": PREFILL,
            "choices": list(LETTERS),
        }


def _prompt(row: Row) -> str:
    subject = row["subject"].replace("_", " ")
    head = f"The following are multiple choice questions (with answers) about  {subject}.\n\n"
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, row["choices"], strict=True)]
    return head + "\n".join([row["question"], *lines, "Answer:"])


def _numbered(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows with an id: the subject, and the row's number in it."""
    seen: Counter[str] = Counter()
    for row in rows:
        yield {**row, "id": f"{row['subject']}-{seen[row['subject']]}"}
        seen[row["subject"]] += 1
