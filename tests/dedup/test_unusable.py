"""A pool of which too much cannot be used: the counts, and the rows that are shown."""

import math

import pytest

from dataselect.dedup.fields import BadRow
from dataselect.dedup.read import RawRow
from dataselect.dedup.unusable import UnusableRows
from tests.helpers import mistake


def counted(*reasons):
    """Rows with these reasons; None: a row that can be used."""
    rows = UnusableRows()
    for number, reason in enumerate(reasons, 1):
        raw = RawRow(f"a.jsonl:{number}", "a", {"text": f"row {number}", "unread": None})
        if reason is None:
            rows.count_usable(1)
        else:
            rows.count(lambda raw=raw: raw, reason, None)
    return rows


@pytest.mark.parametrize(
    ("reasons", "limit"),
    [
        ([], 0),
        ([None], 0),
        (["empty", None], 0.5),
        (["empty", "empty", None], 2 / 3),
        (["empty"], 1),
    ],
)
def test_no_more_than_the_limit_is_no_mistake(reasons, limit):
    counted(*reasons).check(limit)


@pytest.mark.parametrize(
    ("reasons", "limit"), [(["empty"], 0), (["empty", None], 0.49), (["empty"], 0.99)]
)
def test_more_than_the_limit_is(reasons, limit):
    assert "cannot be used" in mistake(counted(*reasons).check, limit)


def test_the_message_has_the_counts_and_three_rows():
    rows = counted("no assistant turn", None, "empty", "no assistant turn", "empty", None)
    assert mistake(rows.check, 0.5) == (
        "pool.path: 4 of 6 rows (67%) cannot be used; `pool.most_dropped` allows a share of 0.5. "
        "Found 2 empty, 2 no assistant turn. The first rows:\n"
        "  a.jsonl:1: no assistant turn\n"
        '    {"text": "row 1"}\n'
        "  a.jsonl:3: empty\n"
        '    {"text": "row 3"}\n'
        "  a.jsonl:4: no assistant turn\n"
        '    {"text": "row 4"}\n'
        "Fix the rows, name their columns in `pool.columns`, or raise `pool.most_dropped` (at most "
        "1) in params.yaml."
    )


SHOWN = {
    "a long row": ({"text": "x" * 500}, '\n    {"text": "' + "x" * 150 + " …"),
    "what JSON has not": ({"n": math.nan, "b": b"\xff", "t": "ü"}, None),
    "half a surrogate pair": ({"t": "\ud83c"}, '\n    {"t": "\\ud83c"}'),
    "no row": (BadRow("not JSON"), ""),
}


@pytest.mark.parametrize("name", SHOWN)
def test_rows_are_shown_whatever_they_hold(name):
    record, shown = SHOWN[name]
    rows = UnusableRows()
    rows.count(lambda: RawRow("a:1", "a", record), "bad row", "why")
    expected = '\n    {"n": NaN, "b": "b\'\\\\xff\'", "t": "ü"}' if shown is None else shown
    message = mistake(rows.check, 0.5)
    assert f"  a:1: bad row: why{expected}\nFix the rows" in message
    message.encode()
