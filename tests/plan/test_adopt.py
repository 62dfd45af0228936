"""Features outlive a release: what a change of code leaves as it is need not be computed again."""

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

from dataselect.data import files, shards, tables
from dataselect.data.files import content_key
from dataselect.data.shard_records import read_record, write_record
from dataselect.embed.run import EmbedSection, embed
from dataselect.plan.adopt import adopt, adopt_features
from dataselect.plan.stored import mixed_versions
from dataselect.settings import Part
from tests.helpers import GOLDEN, MODEL, mistake

SECTION = EmbedSection(
    features=Part("lengths", {}), model=MODEL, queries=False, reference=False, code="earlier"
)
PRESENT = replace(SECTION, code="present")
ROWS = 16  # per shard


@pytest.fixture
def out(in_scratch):
    """A pool of several shards, whose features an earlier version of the code computed."""
    frame = pl.read_parquet(GOLDEN / "pool.parquet").drop("row", strict=False)
    numbered = frame.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered, in_scratch / "out/pool.parquet")
    done = embed(SECTION, in_scratch / "out", ROWS)
    assert done["pool"].computed > 3
    shutil.rmtree(in_scratch / "out/features")
    return in_scratch / "out"


def stored_shards():
    return sorted((files.scratch_folder() / "embed").glob("*/*.safetensors"))


def test_equal_shards_are_kept_and_not_computed_again(out):
    count = len(stored_shards())
    done = adopt_features(PRESENT, out, 0.0, seed=0, rows=ROWS)
    assert (done.kept, done.present, done.missing) == (count, 0, 0)
    again = embed(PRESENT, out, ROWS)
    assert (again["pool"].computed, again["pool"].found) == (0, count)
    assert again["pool"].tokens > 0  # what they took came along
    done = adopt_features(PRESENT, out, 0.0, seed=0, rows=ROWS)
    assert (done.kept, done.present, done.missing) == (0, count, 0)


def test_where_no_earlier_version_computed_anything(out):
    for path in stored_shards():
        path.unlink()
    assert "no features" in mistake(adopt_features, PRESENT, out, 0.0, 0, ROWS)


def change_every_shard(difference):
    for path in stored_shards():
        arrays = load_file(path)
        arrays["tokens"][0] += difference
        path.unlink()
        save_file(arrays, path)
        write_record(path, read_record(path), path)


def test_a_shard_that_differs_is_named_by_its_rows_and_nothing_is_kept(out):
    change_every_shard(2)
    message = mistake(adopt_features, PRESENT, out, 0.0, 0, ROWS)
    assert "`tokens` differs in 1 of" in message
    assert "by 2 at most" in message
    assert embed(PRESENT, out, ROWS)["pool"].found == 0


def test_a_difference_within_the_tolerance_is_kept(out):
    change_every_shard(2)
    assert adopt_features(PRESENT, out, 2.0, seed=0, rows=ROWS).kept == len(stored_shards()) // 2


def test_what_is_missing_is_counted_and_computed_later(out):
    stored_shards()[0].unlink()
    done = adopt_features(PRESENT, out, 0.0, seed=0, rows=ROWS)
    assert done.missing == 1
    assert embed(PRESENT, out, ROWS)["pool"].computed == 1


def test_other_settings_are_not_adopted(out):
    other = replace(PRESENT, model=replace(MODEL, max_tokens=7))
    assert "no features of this method, model and pool" in mistake(
        adopt_features, other, out, 0.0, 0, ROWS
    )
    nothing = replace(PRESENT, features=None)
    assert "it has no features" in mistake(adopt_features, nothing, out, 0.0, 0)
    assert "only the shards of `embed`" in mistake(adopt, "score", 0.0, 0)
    (out / "pool.parquet").unlink()
    assert "pool.parquet is not there" in mistake(adopt_features, PRESENT, out, 0.0, 0, ROWS)


def test_arrays_that_are_nan_in_both_are_equal(out):
    path = stored_shards()[0]
    from dataselect.plan.adopt import _difference

    array = np.asarray([[1.0, np.nan], [np.inf, 2.0]], dtype=np.float32)
    assert _difference(array, array).tolist() == [0.0, 0.0]
    assert _difference(array, np.nan_to_num(array)).tolist() == [np.inf, np.inf]
    assert shards.row_count(path) > 0


def test_versions_that_mix_are_a_warning(out):
    assert mixed_versions(SECTION) is None
    record = stored_shards()[0].with_suffix(".json")
    content = read_record(stored_shards()[0])
    content["versions"]["torch"] = "1.0"
    record.write_text(json.dumps(content))  # as earlier versions wrote it
    assert "torch 1.0, 2" in mixed_versions(SECTION)
    assert mixed_versions(replace(SECTION, features=Part("losses", {}))) is None
    # What other code computed is not the section's, and keys of another form are left alone.
    assert mixed_versions(replace(SECTION, code="other")) is None
    key = record.parent / shards.KEY_FILE
    longer = [*json.loads(key.read_text()), "more"]
    key.write_text(json.dumps(longer))
    record.parent.rename(record.parent.with_name(content_key(longer)))
    assert mixed_versions(SECTION) is None
