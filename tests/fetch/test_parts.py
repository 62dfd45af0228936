"""Part files: what is written together, and how parts of different types become one file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataselect.errors import InputError
from dataselect.fetch.parts import Parts


def test_parts_remember_rows_and_the_last_state(tmp_path):
    parts = Parts(tmp_path / "parts/1")
    assert parts.progress() == (0, None)
    parts.add(pa.table({"a": [1, 2]}), {"at": 2})
    parts.add(pa.table({"a": [3]}), {"at": 3})
    again = Parts(tmp_path / "parts/1")
    assert again.progress() == (3, {"at": 3})
    assert not again.complete
    again.finish()
    assert Parts(tmp_path / "parts/1").complete


@pytest.mark.parametrize("left", [0, 100])
def test_a_torn_part_and_those_after_it_are_not_there(tmp_path, left):
    parts = Parts(tmp_path / "parts/1")
    for number in range(3):
        parts.add(pa.table({"a": [number]}), {"at": number})
    parts.finish()
    torn = tmp_path / "parts/1/000001.parquet"
    torn.write_bytes(torn.read_bytes()[:left])
    again = Parts(tmp_path / "parts/1")
    assert again.progress() == (1, {"at": 0})
    assert not again.complete
    again.add(pa.table({"a": [1]}), {"at": 1})
    assert Parts(tmp_path / "parts/1").progress() == (2, {"at": 1})


def test_parts_of_another_key_are_removed(tmp_path):
    Parts(tmp_path / "parts/1").add(pa.table({"a": [1]}), {})
    assert Parts(tmp_path / "parts/2").progress() == (0, None)
    assert not (tmp_path / "parts/1").exists()


def test_types_that_a_wider_one_holds_become_that_and_missing_columns_null(tmp_path):
    parts = Parts(tmp_path / "parts/1")
    parts.add(pa.table({"a": [1], "m": [[{"role": "user"}]], "n": pa.nulls(1)}), {})
    parts.add(pa.table({"a": [2.5], "m": [[{"role": "user", "name": "x"}]], "n": ["y"]}), {})
    parts.add(pa.table({"a": [3], "b": [True]}), {})
    parts.join(tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [
        {"a": 1.0, "m": [{"role": "user", "name": None}], "n": None, "b": None},
        {"a": 2.5, "m": [{"role": "user", "name": "x"}], "n": "y", "b": None},
        {"a": 3.0, "m": None, "n": None, "b": True},
    ]


def test_types_that_do_not_go_together_end_with_a_message(tmp_path):
    parts = Parts(tmp_path / "parts/1")
    parts.add(pa.table({"a": [1]}), {})
    parts.add(pa.table({"a": ["x"]}), {})
    with pytest.raises(InputError, match="a has incompatible types: int64 vs string"):
        parts.join(tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
