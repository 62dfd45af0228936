"""What the missing runs of a sweep will take, with shared work counted once."""

from __future__ import annotations

from dataselect.sweep.order import Planned


def show_cost(missing: list[Planned]) -> None:
    """Prints it."""
