"""Scores a mathematical answer by its last number; lm-eval calls `results`."""

from dataselect.eval.metrics import last_number


def results(doc: dict, outputs: list[str]) -> dict[str, float]:
    """1 where the last number of the output is that of one of the gold answers, else 0."""
    found = last_number(outputs[0])
    golds = [last_number(text) for text in doc.get("answers") or [doc["answer"]]]
    return {"last_number": float(found is not None and found in golds)}
