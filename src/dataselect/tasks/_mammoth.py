"""What S2L's six sets share: questions without examples, asked and scored as MAmmoTH does.

Prompts: the question alone, for a chain of thought; with " Let's write a program." behind it, for a
program ("program of thought", `_pot`). With `model.chat: alpaca` the whole prompt is MAmmoTH's. Its
published scores are of both ("hybrid decoding"): the program's answer, or the chain's where the
program prints none; sql/hybrid.sql computes this from a run's two tasks.

Source: math_eval (data_loader.py, prompt_utils.py, run_open.py, eval_finetuned.sh) of
BigML-CS-UCLA/CoLM@395abfd: a copy of the evaluation of MAmmoTH (arXiv 2309.05653), which S2L's
authors released later, for the same six sets and Phi-2. S2L (arXiv 2403.07384) published no code of
its own evaluation; that it is this one, hybrid and with these limits, is not verified. The sets'
files are byte by byte those of another copy, in seamoke/Human-Think-Language@41622fa; MAmmoTH's own
repository could not be reached. Its README has 1,500 tokens and fewer stop strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from dataselect.tasks import MakeRows, ReadSource, Row, Source, Task, user

REPOSITORY = "https://github.com/BigML-CS-UCLA/CoLM"
FOLDER = "math_eval/dataset"

ASK_FOR_A_PROGRAM = " Let's write a program."


def zero_shot(
    sources: dict[str, Source],
    question_and_answer: Callable[[Row], tuple[str, str]],
    *,
    published: int,
    kind: str = "mammoth",
) -> Task:
    """A task without queries whose tests are questions without examples.

    Args:
        question_and_answer: of a row of the sources, which are read in their order.
        published: how many tests the paper had.
        kind: how an output is scored; a program by the kind of this name with `_pot` behind it.
    """
    return Task(
        sources=sources,
        queries=None,
        tests=partial(_tests, names=list(sources), question_and_answer=question_and_answer),
        kind=kind,
        published=(0, published),
    )


def by_program(task: Task) -> Task:
    """The same tests, for a model that writes a program whose output is the answer."""
    assert task.tests is not None
    return replace(
        task,
        tests=partial(_asking_for_programs, tests=task.tests),
        kind=f"{task.kind}_pot",
        settings={"eval": {"run_code": True}},
    )


def mammoth_file(file: str) -> dict[str, Source]:
    """One of the files that came with MAmmoTH's code."""
    return {"test": Source(REPOSITORY, file=f"{FOLDER}/{file}")}


def plain_fields(row: Row) -> tuple[str, str]:
    """Question and answer of a row that has them under these names."""
    return row["question"], str(row["answer"])


def _tests(
    read: ReadSource,
    *,
    names: list[str],
    question_and_answer: Callable[[Row], tuple[str, str]],
) -> Iterator[Row]:
    for name in names:
        for number, row in enumerate(read(name)):
            question, gold = question_and_answer(row)
            yield {"id": f"{name}-{number}", "messages": user(question), "answer": gold}


def _asking_for_programs(read: ReadSource, *, tests: MakeRows) -> Iterable[Row]:
    for row in tests(read):
        question = row["messages"][0]["content"]
        yield {**row, "messages": user(question + ASK_FOR_A_PROGRAM)}
