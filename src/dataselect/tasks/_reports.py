"""Radiology reports as rows: the findings are to be summarised as an impression, zero-shot.

Source of the prompt: src/constants.py and src/summ_dataset.py of
StanfordMIMI/clin-summ@16648c7 (Van Veen et al. 2023, arXiv 2309.07430).
"""

from __future__ import annotations

from collections.abc import Iterable

from dataselect import report
from dataselect.tasks import Row, as_shuffled, dialogue

INSTRUCTION = "summarize the radiology report findings into an impression with minimal text"

#: How many validation reports are the queries.
QUERIES = 500


def report_rows(
    split: str, reports: Iterable[tuple[str | None, str | None]], *, count_shown: bool = True
) -> list[Row]:
    """Rows for a pool, for queries or for tests, all alike: the impression is the response.

    Reports without findings or without an impression are left out.

    Args:
        split: its name, for ids (`test-0` is the first report of it) and for what is printed.
        reports: findings and impression of each.
        count_shown: whether the number of those that are left out is printed.
    """
    rows, count = [], 0
    for count, (findings, impression) in enumerate(reports, start=1):
        findings, impression = (findings or "").strip(), (impression or "").strip()
        if findings and impression:
            prompt = f"{INSTRUCTION}\n\nfinding: {findings}\nimpression:"
            messages = dialogue(prompt, impression)
            rows.append({"id": f"{split}-{count - 1}", "messages": messages})
    if count_shown and len(rows) < count:
        report.console.print(
            f"{count - len(rows):,} of {count:,} reports of {split} have no findings or no "
            "impression: left out"
        )
    return rows


def pool_rows(rows: list[Row], source: str) -> list[Row]:
    """Rows for a pool, all of one source."""
    return [{**row, "source": source} for row in rows]


def drawn_queries(validation: list[Row], tests: list[Row]) -> list[Row]:
    """At most `QUERIES` validation reports, in a drawn order, none with the prompt of a test.

    Normal findings are often written in the same words, so that many reports are in both.
    """
    prompts = {row["messages"][0]["content"] for row in tests}
    others = [row for row in validation if row["messages"][0]["content"] not in prompts]
    return as_shuffled(others, QUERIES)
