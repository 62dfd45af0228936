"""HumanEval ("Codex" in the paper): Python functions, checked by running them (arXiv 2107.03374).

A row: {"task_id": "HumanEval/0", "prompt": "from typing import List\\n\\n\\ndef
has_close_elements(…", "canonical_solution": "    for idx, elem in enumerate(numbers): …", "test":
"def check(candidate): …", "entry_point": "has_close_elements"}; the instruction of the same
problem is HumanEvalPack's.

Source of the prompts, the split of 16 and 148 problems and the queries' order:
minimal_multitask/data.py (`CodexEval`) and eval/codex_humaneval of
hamishivi/automated-instruction-selection@df71a04; the split's list is in its authors' eval.zip.
"""

from __future__ import annotations

from collections.abc import Iterator

from dataselect.tasks import ReadSource, Row, Source, Task, as_shuffled, dialogue

PREFILL = "Here is the function:\n\n```python\n"
QUERY_TOKENS = 512


def humaneval() -> Task:
    """pass@10 of 10 samples at temperature 0.8; 16 of the 164 problems are the queries."""
    return Task(
        sources={
            "problems": Source("openai/openai_humaneval", split="test"),
            "instructions": Source("bigcode/humanevalpack", "python", "test"),
            "queries": Source(
                "hamishivi/lsds_data", file="eval.zip/eval/codex_humaneval/HumanEval_dev.jsonl.gz"
            ),
        },
        queries=_queries,
        tests=_tests,
        kind="pass_at_k",
        published=(16, 148),
        settings={"eval": {"run_code": True}},
    )


def _queries(read: ReadSource) -> list[Row]:
    instructions = _instructions(read)
    return as_shuffled(
        {
            "id": row["task_id"],
            "messages": dialogue(instructions[row["task_id"]], row["canonical_solution"]),
            "prefill": PREFILL + row["prompt"],
            "max_tokens": QUERY_TOKENS,
        }
        for row in read("queries")
    )


def _tests(read: ReadSource) -> Iterator[Row]:
    instructions = _instructions(read)
    used = {row["task_id"] for row in read("queries")}
    for row in read("problems"):
        if row["task_id"] in used:
            continue
        checked = f"{row['prompt']}{{{{ output }}}}\n{row['test']}"
        yield {
            "id": row["task_id"],
            "messages": dialogue(instructions[row["task_id"]], row["canonical_solution"]),
            "prefill": PREFILL + row["prompt"],
            "check": f"{checked}\ncheck({row['entry_point']})\n",
        }


def _instructions(read: ReadSource) -> dict[str, str]:
    return {
        row["task_id"].replace("Python", "HumanEval"): row["instruction"]
        for row in read("instructions")
    }
