"""WildChat: prompts that people wrote to chat assistants (arXiv 2405.01470): queries alone.

A row: {"prompt": "…", "response": "…"}.

Source of the rows and their order: minimal_multitask/data.py (`WildChatSelection`) of
hamishivi/automated-instruction-selection@df71a04; its file is in its authors' eval.zip.
"""

from __future__ import annotations

from dataselect.tasks import Task
from dataselect.tasks._query_sets import query_set


def wildchat() -> Task:
    """WildChat's query set."""
    return query_set("wildchat_100_prompts.jsonl", response="response", count=100)
