"""Scores a mathematical answer by its last number; lm-eval calls `results`."""

import re

#: A minus counts where nothing stands before it that it could be taken from: `20-15` ends with 15.
NUMBER = re.compile(r"(?:(?<![\w).])-)?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")


def results(doc: dict, outputs: list[str]) -> dict[str, float]:
    """1 where the last number of the output is that of one of the gold answers, else 0."""
    found = last_number(outputs[0])
    golds = [last_number(text) for text in doc.get("answers") or [doc["answer"]]]
    return {"last_number": float(found is not None and found in golds)}


def last_number(text: str) -> float | None:
    """The last number of a text; thousands may be set apart by commas.

    >>> last_number("so 1,204 apples #### 12.50")
    12.5
    """
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None
