"""AlpacaEval 1: open instructions; a judge compares outputs with text-davinci-003's (AlpacaEval).

A row: {"instruction": "What are the names of some famous actors that started their careers on
Broadway?", "output": "Some famous actors that started their careers on Broadway include: \\n1. Hugh
Jackman \\n2. Meryl Streep …", "generator": "text_davinci_003", "dataset": "helpful_base"}. The two
files could not be looked at: their schema is taken to be that of the set that they split. A row
without `generator` or `dataset` is taken too.

Source of the prompts, the split of 50 and 755 instructions, the queries' order and the judge:
minimal_multitask/data.py (`AlpacaEval`) and eval/alpaca_eval of
hamishivi/automated-instruction-selection@df71a04. It judges with alpaca_eval's `alpaca_eval_gpt4`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dataselect.errors import InputError
from dataselect.tasks import ReadSource, Row, Source, Task, dialogue
from dataselect.tasks._query_sets import draw_queries

QUERIES = 50
QUERY_TOKENS = 512
REFERENCE = "text_davinci_003"


def alpaca_eval() -> Task:
    """The share of 755 outputs that a judge prefers to the reference; 50 others are the queries."""
    return Task(
        sources={
            "queries": Source(
                "hamishivi/lsds_data", file="eval.zip/eval/alpacaeval/alpaca_eval_dev.json"
            ),
            "tests": Source("hamishivi/alpaca_eval_test_mmft", split="test"),
        },
        queries=partial(
            draw_queries,
            prompt="instruction",
            response="output",
            count=QUERIES,
            max_tokens=QUERY_TOKENS,
        ),
        tests=_tests,
        kind="alpaca_eval",
        published=(50, 755),
        brought="a judge, as eval.judge: {url: …, model: …}",
    )


def _tests(read: ReadSource) -> Iterator[Row]:
    for number, row in enumerate(read("tests")):
        generator = row.get("generator", REFERENCE)
        if generator != REFERENCE:
            raise InputError(
                f"alpaca_eval: tests: expected outputs of {REFERENCE} to compare with; found one "
                f"of {generator}. Set the revision that the task was written for."
            )
        yield {
            "id": f"instruction-{number}",
            "subtask": row.get("dataset"),
            "messages": dialogue(row["instruction"], row["output"]),
        }
