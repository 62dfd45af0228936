"""Arena-Hard: hard prompts of Chatbot Arena with GPT-4's answers (arXiv 2406.11939): queries alone.

A row: {"prompt": "Use ABC notation to write a melody …", "label": "…"}.

Source of the rows and their order: minimal_multitask/data.py (`ArenaHardSelection`) of
hamishivi/automated-instruction-selection@df71a04; its file is in its authors' eval.zip.
"""

from __future__ import annotations

from dataselect.tasks import Task
from dataselect.tasks._query_sets import query_set


def arena_hard() -> Task:
    """Arena-Hard's query set."""
    return query_set("arena_hard.jsonl", response="label", count=500)
