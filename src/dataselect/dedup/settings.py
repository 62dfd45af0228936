"""The blocks of params.yaml that decide what is in the pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt

from dataselect.settings import PositiveInt


@dataclass(frozen=True, kw_only=True)
class PoolRules:
    """What becomes of the raw pool's rows: the block `pool` but for `path`.

    Attributes:
        on_bad_row: what to do with a row that cannot be read.
        cut_off: what to do with a row whose first response `max_tokens` cuts off entirely.
        id: `keep` takes the rows' own ids, `content` makes all from the content, `prefix` writes
            the source before a row's own.
        sources: names of sources, or patterns like `science*`, and the source each becomes; null
            leaves its rows out.
        columns: names of columns, such as `prompt`, and the column that holds each in the files.
        where: a condition in DuckDB's SQL over the files' columns; other rows are left out.
        keep: columns of the files that go on into pool, selection and training file.
        most_dropped: the largest share of unusable rows; above it, the run ends.
        languages: whether the statistics say which languages the rows are in.
    """

    on_bad_row: Literal["error", "drop"] = "error"
    cut_off: Literal["drop", "keep"] = "drop"
    id: Literal["keep", "content", "prefix"] = "keep"
    sources: dict[str, str | None] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    where: str | None = None
    keep: list[str] = field(default_factory=list)
    most_dropped: Annotated[float, Ge(0), Le(1)] = 0.5
    languages: bool = False


@dataclass(frozen=True, kw_only=True)
class PoolSettings(PoolRules):
    """The block `pool`.

    Attributes:
        path: the rows to choose from: a file, a glob or a list of them.
    """

    path: str | list[str]


@dataclass(frozen=True, kw_only=True)
class NearDuplicateSettings:
    """The block `near_duplicates`.

    Attributes:
        similarity: the Jaccard similarity of their sets of five-word sequences from which on two
            rows are near-duplicates.
        action: `drop` keeps the first row of every group of them; `report` counts them.
    """

    similarity: Annotated[float, Ge(0.5), Le(1)] = 0.8
    action: Literal["drop", "report"] = "drop"


@dataclass(frozen=True, kw_only=True)
class DecontaminateSettings:
    """The block `decontaminate`.

    Attributes:
        against: what the pool's rows are compared with.
        ngram: how many words in a row must be the same for them to match.
        share: a test overlaps a row that has more than this share of its words in matches.
        action: `report` counts the rows that overlap tests; `drop` leaves them out.
    """

    against: Literal["tests"] = "tests"
    ngram: PositiveInt = 8
    share: Annotated[float, Ge(0), Lt(1)] = 0.5
    action: Literal["report", "drop"] = "report"
