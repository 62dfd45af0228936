"""TyDi QA, gold passage: questions about a passage in nine languages (arXiv 2003.05002).

A row: {"id": "swahili-5829104123921038112-0", "title": "Kenya", "context": "…", "question": "Je,
…?", "answers": {"text": ["1963"], "answer_start": [98]}}.

Source of the prompts: minimal_multitask/eval/tydiqa of
hamishivi/automated-instruction-selection@df71a04, which shortens passages to 1,024 tokens of the
model's tokenizer: here they are whole, and `eval.long_prompts` decides. Its one training row for a
language is drawn as there; those of the queries, drawn without a seed there, are the same.
"""

from __future__ import annotations

import random
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


def tydiqa() -> Task:
    """1-shot F1, the mean over the languages' means; the shots are the queries."""
    return Task(
        sources={
            "train": Source("google-research-datasets/tydiqa", "secondary_task", "train"),
            "test": Source("google-research-datasets/tydiqa", "secondary_task", "validation"),
        },
        queries=_queries,
        tests=_tests,
        kind="tydiqa_f1",
        shots=1,
        published=(9, 5_077),
    )


def _queries(read: ReadSource) -> list[Row]:
    rows = []
    for language, shot in _shots(read).items():
        words = published_shots("tydiqa")[language]
        prompt = f"{words['instruction']}\n\n{_passage(shot, words)}\n"
        rows.append(
            {
                "id": shot["id"],
                "subtask": language,
                "messages": dialogue(prompt, shot["answers"]["text"][0]),
                "prefill": words["answer"],
            }
        )
    return as_shuffled(rows)


def _tests(read: ReadSource) -> Iterator[Row]:
    shots, templates = _shots(read), published_shots("tydiqa")
    for row in read("test"):
        language = _language(row)
        words, shot = templates[language], shots[language]
        solved = f"{_passage(shot, words)}\n{words['answer']} {shot['answers']['text'][0]}"
        yield {
            "id": row["id"],
            "subtask": language,
            "messages": user(f"{words['instruction']}\n\n{solved}\n\n{_passage(row, words)}\n"),
            "prefill": words["answer"],
            "answers": row["answers"]["text"],
            "cluster": passage_cluster(row["context"]),
        }


def _shots(read: ReadSource) -> dict[str, Row]:
    """One training row for each language, in alphabetical order."""
    by_language: dict[str, list[Row]] = {name: [] for name in sorted(published_shots("tydiqa"))}
    for row in read("train"):
        by_language[_language(row)].append(row)
    draw = random.Random(42)
    return {name: draw.sample(rows, 1)[0] for name, rows in by_language.items() if rows}


def _passage(row: Row, words: dict[str, str]) -> str:
    return f"{words['passage']} {row['context']}\n{words['question']} {row['question']}"


def _language(row: Row) -> str:
    return row["id"].split("-")[0]
