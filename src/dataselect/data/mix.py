"""How a selection is divided among sources and tasks: the block `mix` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field

from dataselect.settings import PositiveInt

#: A number of rows, or a share of the budget such as "30%".
Amount = int | str


@dataclass(frozen=True, kw_only=True)
class MixSettings:
    """The block `mix`.

    Attributes:
        sources: how many of the chosen rows are of a source: a number or a share such as "30%",
            or `{at_least: …, at_most: …}`; other sources share the rest as the method does.
        tasks: how many turns each task has for one of the others, which have 1.
        epochs: how many times a source's rows stand in the training file; others stand there once.
    """

    sources: dict[str, int | str | dict[str, int | str]] = field(default_factory=dict)
    tasks: dict[str, float] = field(default_factory=dict)
    epochs: dict[str, PositiveInt] = field(default_factory=dict)
