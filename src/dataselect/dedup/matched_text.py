"""Runs of words in turns → the text that stands there."""

from __future__ import annotations

import polars as pl

from dataselect.dedup.words import split_words

#: Stands between two matched texts.
GAP = " … "


def matched_texts(contents: pl.Series, spans: pl.DataFrame) -> pl.DataFrame:
    """The text of every pair's runs of words, as it stands in the turns; `GAP` between two runs.

    Runs that overlap or touch are one.

    Args:
        contents: the turns' texts.
        spans: `pair`; `turn`, a number in `contents`; `first`, the run's first word in the turn,
            and `length`, its words.

    Returns:
        `pair` and `text`, in the order of the pairs.
    """
    runs: dict[int, list[list[int]]] = {}
    ordered = spans.sort("pair", "turn", "first")
    for pair, turn, first, length in ordered.select("pair", "turn", "first", "length").iter_rows():
        found = runs.setdefault(pair, [])
        if found and found[-1][0] == turn and first <= found[-1][2]:
            found[-1][2] = max(found[-1][2], first + length)
        else:
            found.append([turn, first, first + length])
    turns = spans["turn"].unique()
    used = contents.gather(turns)
    bounds = {
        turn: (text, _bounds(text, words))
        for turn, text, words in zip(turns, used, split_words(used).to_list(), strict=True)
    }
    texts = {
        pair: GAP.join(_between(*bounds[turn], first, end) for turn, first, end in found)
        for pair, found in runs.items()
    }
    schema = {"pair": pl.Int64, "text": pl.String}
    return pl.DataFrame({"pair": list(texts), "text": list(texts.values())}, schema=schema)


def _bounds(text: str, words: list[str]) -> list[tuple[int, int]]:
    """Where each word of a text begins and ends. Nothing between two words could be a word."""
    bounds, end = [], 0
    for word in words:
        start = text.index(word, end)
        end = start + len(word)
        bounds.append((start, end))
    return bounds


def _between(text: str, bounds: list[tuple[int, int]], first: int, end: int) -> str:
    return text[bounds[first][0] : bounds[end - 1][1]]
