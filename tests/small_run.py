"""The outputs of a run of a few rows, for questions whose answers are worked by hand."""

from pathlib import Path

import polars as pl

from dataselect.data import tables

NEVER = float("-inf")


def turns(prompt, response):
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]


def write(name, rows, folder="out", **types):
    """Writes a table of rows as tuples; the last columns may be left out where they may be null."""
    schema = tables.schema(name) | types
    rows = [(*row, *[None] * (len(schema) - len(row))) for row in rows]
    tables.write(name, pl.DataFrame(rows, schema=schema, orient="row"), f"{folder}/{name}.parquet")


def write_run():
    """Six pool rows of three sources, two groups, a selection of three rows, in `out/`."""
    Path("out").mkdir()
    system = {"role": "system", "content": "Be brief."}
    later = turns("And 2+3?", "five")
    write("pool", [
        (0, "a0", "alpha", turns("What is\n\n  1+1?", "two")),
        (1, "a1", "alpha", [system, *turns("[b]What[/b] is 1+2?", "three"), *later]),
        (2, "a2", "alpha", turns("Hi", "Hello there")),
        (3, "b0", "beta", turns("Sing", "La la la la")),
        (4, "b1", "beta", [{"role": "assistant", "content": "Time"}]),
        (5, "c0", "gamma", turns("Bye", "See you")),
    ])  # fmt: skip
    write("dropped", [("a9", "alpha", "empty", None, "pool.jsonl:9")])
    write("contamination", [
        (1, "a1", "alpha", "sum", "t1", 0.75, "[b]what is\n6", True, False),
        (3, "b0", "beta", "song", "t0", 1.0, "Hum", True, True),
        (None, "a8", "alpha", "sum", "t0", 1.0, "5+5", True, False),
    ])  # fmt: skip
    write("selected_contamination", [(1, "a1", "sum", "t1")])
    write("queries", [
        ("sum", "q0", turns("4+4?", "eight"), None),
        ("song", "q1", turns("Sing!", "La"), None),
    ])  # fmt: skip
    write("tests", [
        ("sum", "t0", [*turns("1+1?", "two"), *turns("5+5?", "ten")], "ten", None, None),
        ("sum", "t1", turns("6+6?", "twelve"), "twelve", None, None),
        ("song", "t0", turns("Hum", "Hm"), "Hm", ["Hm", "Ah"], None),
        ("song", "t1", turns("Whistle", "Wheee"), "Wheee", None, None),
    ])  # fmt: skip
    write("groups", [(0, "q0", "sum", None), (1, "q1", "song", None)])
    write("scores", [
        (0, "a0", None, [0.5, 0.25]),
        (1, "a1", None, [0.75, NEVER]),
        (2, "a2", None, [0.25, 0.125]),
        (3, "b0", None, [0.0, 1.0]),
        (4, "b1", None, [0.25, 0.5]),
        (5, "c0", None, [NEVER, NEVER]),
    ], score=pl.Array(pl.Float32, 2))  # fmt: skip
    write("selection", [
        (0, 1, "a1", "alpha", 0, "sum", 0.75),
        (1, 3, "b0", "beta", 1, "song", 1.0),
        (2, 0, "a0", "alpha", 0, "sum", 0.5),
    ])  # fmt: skip
    write("evaluation", [
        ("sum", "t0", "exact_match", 0.0, 2.5, "eleven\nor so", False, None),
        ("sum", "t1", "exact_match", 1.0, 0.5, "twelve", False, None),
        ("song", "t0", "acc", 0.0, 4.0, None, True, None),
        ("song", "t1", "acc", 0.0, float("nan"), "Hm", False, None),
    ])  # fmt: skip
