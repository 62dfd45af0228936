"""Scores a mathematical answer by its last number; lm-eval calls `results`."""

import re


def results(doc: dict, outputs: list[str]) -> dict[str, float]:
    """1 where the last numbers of output and gold answer are equal, else 0."""
    said, gold = last_number(outputs[0]), last_number(doc["answer"])
    return {"last_number": float(said is not None and said == gold)}


def last_number(text: str) -> float | None:
    """The last number of a text; thousands may be set apart by commas.

    >>> last_number("so 1,204 apples #### 12.50")
    12.5
    """
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)
    return float(found[-1].replace(",", "")) if found else None
