"""The order of choice where sources have quotas, groups have weights, or the budget is in tokens.

Groups take turns; in its turn a group offers its best row that it has not offered yet. A row that
is already chosen uses up the turn. A class of rows is *closed* once its maximum is reached, once a
row of it does not fit into what is left for it, or, for a class that has its minimum, once all that
is left is for the minimums of others. From then on its rows are passed over, as if they were no
candidates. The walk ends with the budget, or before the first row that would pass it.
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from itertools import islice
from typing import NamedTuple

import numpy as np

from dataselect.aggregate import Picks, Quotas
from dataselect.data.quotas import RowTokens, check_supply
from dataselect.errors import InputError

#: Rows whose tokens are counted at a time: reading them takes a pass over the pool.
COUNTED_ROWS = (1_024, 65_536)


class RankedRows(NamedTuple):
    """A group's ranked rows of all classes, best first.

    Attributes:
        rows: row numbers.
        classes: the class of each.
        scores: the score of each: float32.
        ends: class → the position from which on rows of the class were not ranked.
    """

    rows: list[int]
    classes: list[int]
    scores: np.ndarray
    ends: dict[int, int]


class Walk:
    """One walk through the lists of all groups, which have so many turns each."""

    def __init__(self, lists: list[RankedRows], quotas: Quotas, weights: list[float]) -> None:
        self.lists, self.quotas, self.weights = lists, quotas, weights
        self.places = [0] * len(lists)  # of what each group offers next
        self.used, self.left = [0] * len(quotas.names), quotas.total
        self.unmet, self.reserved = list(quotas.at_least), sum(quotas.at_least)
        self.open = set(range(len(quotas.names)))
        self.chosen: dict[int, tuple[int, int]] = {}  # row → group, place
        self.used_up = [0] * len(lists)
        self._close_full()

    def run(self) -> list[int]:
        """Walks to the end.

        Returns:
            The classes of which too few rows are ranked to know how it goes on; none at the end.
        """
        turns = [0] * len(self.lists)
        heap = [(1 / weight, group) for group, weight in enumerate(self.weights)]
        heapify(heap)
        used_up: list[int] = []  # since the last choice
        while heap and self.open:
            group = heap[0][1]
            if short := self._next_place(group):
                return short
            place = self.places[group]
            if place == len(self.lists[group].rows):
                heappop(heap)
                continue
            row = self.lists[group].rows[place]
            if row in self.chosen:
                used_up.append(group)
            elif self._choose(row, group, place):
                for other in used_up:
                    self.used_up[other] += 1
                used_up.clear()
            else:
                continue  # the same turn: its class is closed now
            self.places[group] += 1
            turns[group] += 1
            heapreplace(heap, ((turns[group] + 1) / self.weights[group], group))
        if self.open:
            self._check_candidates()
        return []

    def _next_place(self, group: int) -> list[int]:
        """Moves a group to its next open row; the classes that may have a better row unranked."""
        _, classes, _, ends = self.lists[group]
        place = self.places[group]
        while place < len(classes) and classes[place] not in self.open:
            place += 1
        self.places[group] = place
        if not ends:
            return []
        return [number for number, end in ends.items() if place >= end and number in self.open]

    def _choose(self, row: int, group: int, place: int) -> bool:
        """Chooses a row if it fits; else closes its class, or all where it passes the budget.

        What is left for minimums of other classes only is no reason to end the walk: it is theirs.
        """
        number = self.lists[group].classes[place]
        tokens = self.quotas.tokens
        cost = 1 if tokens is None else self._tokens(tokens, row)
        if cost > self.left and self.reserved == self.unmet[number]:
            self._check_first(cost)
            self.open.clear()
            return False
        spare = self.left - self.reserved + self.unmet[number]
        if cost > spare or self.used[number] + cost > self.quotas.at_most[number]:
            self._close(number)
            return False
        self.chosen[row] = group, place
        self.used[number] += cost
        self.left -= cost
        met = min(cost, self.unmet[number])
        self.unmet[number] -= met
        self.reserved -= met
        if self.used[number] == self.quotas.at_most[number] or self.left <= self.reserved:
            self._close_full()
        return True

    def _close(self, number: int) -> None:
        """Closes a class; what its minimum still lacks, less than a row, is for others."""
        self.open.discard(number)
        self.reserved -= self.unmet[number]
        self.unmet[number] = 0

    def _close_full(self) -> None:
        """Closes the classes that can get nothing more."""
        for number in list(self.open):
            full = self.used[number] >= self.quotas.at_most[number]
            if full or (self.left <= self.reserved and not self.unmet[number]):
                self._close(number)

    def _tokens(self, tokens: RowTokens, row: int) -> int:
        """The tokens of a row; counts those of the rows that come next in the same pass."""
        if row not in tokens.known:
            tokens.count(self._next_rows(tokens.known))
        return tokens.known[row]

    def _next_rows(self, known: dict[int, int]) -> list[int]:
        """About as many uncounted rows as are still to be chosen, from the head of every list."""
        fewest, largest = COUNTED_ROWS
        mean = max(1.0, sum(known.values()) / max(1, len(known)))
        expected = round(1.1 * self.left / mean) if known else fewest
        share = -(-min(max(expected, fewest), largest) // len(self.lists))
        rows: dict[int, None] = {}
        for (ranked, classes, _, _), place in zip(self.lists, self.places, strict=True):
            behind = zip(islice(ranked, place, None), islice(classes, place, None), strict=True)
            new = (row for row, kind in behind if kind in self.open and row not in known)
            rows |= dict.fromkeys(islice(new, share))
        return list(rows)

    def growth(self) -> int:
        """How many times as many rows to rank after a walk that had too few."""
        total = self.quotas.total
        if self.quotas.tokens is None:
            return 2
        return min(64, max(2, round(1.5 * total / max(1, total - self.left))))

    def _check_first(self, cost: int) -> None:
        """Refuses a budget that the first row would pass."""
        if not self.chosen:
            raise InputError(
                f"budget: {self.quotas.total:,} tokens; the row that comes first has {cost:,}. "
                "Raise it."
            )

    def _check_candidates(self) -> None:
        """Refuses quotas and budgets in tokens that all candidates together do not meet."""
        quotas = self.quotas
        if not self.chosen:
            return  # nothing is a candidate, whatever the quotas
        used = [n if i in self.open else quotas.total for i, n in enumerate(self.used)]
        kind = "candidates" if quotas.tokens is None else "tokens in all its candidates"
        check_supply(quotas, used, kind)
        if quotas.tokens is not None and len(used) == 1:
            raise InputError(
                f"budget: {quotas.total:,} tokens requested, but the {len(self.chosen):,} "
                f"candidates have {used[0]:,}. Lower `budget` to at most {used[0]}."
            )

    def picks(self) -> Picks:
        """What was chosen."""
        places = np.asarray(list(self.chosen.values()), dtype=np.int64).reshape(-1, 2)
        groups = places[:, 0]
        scores = np.zeros(len(groups), dtype=np.float32)
        for group, ranked in enumerate(self.lists):
            chose = groups == group
            scores[chose] = ranked.scores[places[chose, 1]]
        rows = np.asarray(list(self.chosen), dtype=np.int64)
        return Picks(rows, groups, scores, np.asarray(self.used_up, dtype=np.int64))
