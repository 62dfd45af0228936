"""The embed stage: what decides a shard, which model measures, which queries are refused."""

import pickle
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

from dataselect.data import files, shards, tables
from dataselect.data.checkpoints import REFERENCE_FILE, Checkpoint, write_checkpoints
from dataselect.data.fingerprint import folder_hash
from dataselect.data.shard_records import read_record
from dataselect.data.shards import shard_paths
from dataselect.embed import Feature
from dataselect.embed import run as embed_run
from dataselect.embed.run import EmbedSection, embed, load_feature, shard_key
from dataselect.models.chat import load_chat
from dataselect.settings import Part
from tests.embed import turns
from tests.helpers import MODEL, mistake, table

SECTION = EmbedSection(
    features=Part("hidden_states", {"pooling": "mean", "over": "response", "unit": True}),
    model=MODEL,
    queries=True,
    reference=False,
    code="code",
)
ROWS = [turns("One?", "1"), turns("Two?", "2"), turns("Three?", "3")]


@pytest.fixture
def out(in_scratch):
    """A pool of three rows, and a query."""
    rows = [(i, str(i), "source", row) for i, row in enumerate(ROWS)]
    frame = pl.DataFrame(rows, schema=tables.schema("pool"), orient="row")
    tables.write("pool", frame, in_scratch / "out/pool.parquet")
    write_query(in_scratch / "out", turns("Four?", "4"))
    return in_scratch / "out"


def write_query(out, row, *encoding):
    frame = table("queries", [("t", "q", row, None, *encoding)])
    tables.write("queries", frame, out / "queries.parquet")


@pytest.mark.parametrize("feature", ["hidden_states", "lengths", "losses"])
def test_nothing_is_stored_of_a_model_that_changes_between_plan_and_stage(out, feature):
    shutil.copytree(MODEL.name, "model")
    model = replace(MODEL, name="model", md5=folder_hash("model"))
    part = SECTION.features if feature == "hidden_states" else Part(feature, {})
    section = replace(SECTION, features=part, model=model)
    config = Path("model/config.json")
    content = config.read_text()
    config.write_text(f"{content}\n")
    assert "model `model` has changed since the run was planned" in mistake(embed, section, out)
    assert not list(files.scratch_folder().rglob("*.safetensors"))
    config.write_text(content)
    assert embed(section, out)["pool"].computed == 1


def test_a_querys_prefill_is_measured_and_names_its_shard(out):
    section = replace(SECTION, features=Part("lengths", {}))
    found = []
    for encoding in ((), ("The answer is:",), ("The answer is:", "raw")):
        write_query(out, turns("Four?", "4"), *encoding)
        assert embed(section, out)["queries"].computed == 1
        found.append(int(shards.read_all(out / "features/queries")["tokens"][0]))
    added = len(load_chat(MODEL).tokens("The answer is:", with_prefix=False))
    assert found[1] == found[0] + added
    assert found[2] < found[1]  # no headers
    write_query(out, turns("Four?", "4"))
    assert embed(section, out)["queries"].computed == 0


def test_both_sides_are_measured_and_found_again(out):
    done = embed(SECTION, out)
    assert list(done) == ["queries", "pool"]
    assert (done["pool"].rows, done["pool"].computed) == (3, 1)
    found = shards.read_all(out / "features/pool")["vectors"]
    computed = load_feature(SECTION, [])(ROWS, "pool", lambda *_: None)["vectors"]
    np.testing.assert_array_equal(found, computed)
    again = embed(SECTION, out)
    assert (again["pool"].computed, again["pool"].found) == (0, 1)
    assert list(embed(replace(SECTION, queries=False), out)) == ["pool"]


def test_a_method_without_features_leaves_nothing(out):
    assert embed(replace(SECTION, features=None, model=None, queries=False), out) == {}
    assert not (out / "features").exists()


def test_shards_have_the_features_own_size_or_the_given_one(out, monkeypatch):
    sizes = []

    def write(run, folder, side, table, target, rows):
        sizes.append(rows)
        return shards.ShardTotals()

    monkeypatch.setattr(shards, "_write", write)
    lengths = replace(SECTION, features=Part("lengths", {}), queries=False)
    gradients = replace(lengths, features=Part("gradients", {}))
    embed(lengths, out)
    embed(gradients, out)
    embed(gradients, out, rows=7)
    assert sizes == [2_048, 256, 7]


def test_whatever_decides_a_shard_gives_it_another_key(out, monkeypatch):
    reference = out / "reference"
    left = [Checkpoint(reference / name, 0.5) for name in ("00", "01", "02")]
    write_checkpoints(reference / REFERENCE_FILE, left)
    fitted = replace(SECTION, reference=True)
    keys = [
        shard_key(section, reference)
        for section in (
            SECTION,
            replace(SECTION, features=Part("losses", {"direct": False})),
            replace(SECTION, model=replace(MODEL, md5="other weights")),
            replace(SECTION, model=replace(MODEL, max_tokens=16)),
            replace(SECTION, code="other code"),
            fitted,
            replace(fitted, checkpoints=2),
            replace(fitted, checkpoints=[1, 3]),
        )
    ]
    # The same checkpoints are the same key, however they are chosen.
    for choice, other in (("all", [1, 2, 3]), ("all", 3), (2, [1, 2])):
        same = [replace(fitted, checkpoints=words) for words in (choice, other)]
        assert shard_key(same[0], reference) == shard_key(same[1], reference)
    assert "found 4" in mistake(shard_key, replace(fitted, checkpoints=4), reference)
    (reference / "00").mkdir()
    (reference / "00" / "model.safetensors").write_text("weights")
    keys.append(shard_key(fitted, reference))
    assert len({files.content_key(key) for key in keys}) == len(keys)
    # Neither another folder's reference nor which sides are measured decides anything.
    assert shard_key(SECTION, reference) == shard_key(SECTION, out / "none") == keys[0]
    assert shard_key(replace(SECTION, queries=False), reference) == keys[0]
    assert [key[-1] for key in keys].count("code") == len(keys) - 1  # the code's hash is last


TRAJECTORIES = EmbedSection(
    features=Part("trajectories", {}), model=MODEL, queries=True, reference=True, code="code"
)
SIDES = ("queries", "pool")


@pytest.fixture
def fitted(out):
    """A reference of four checkpoints: the golden model with other weights at each."""
    left = [Checkpoint(out / "reference" / f"{number:02d}", 0.5) for number in range(4)]
    for number, checkpoint in enumerate(left):
        shutil.copytree(MODEL.name, checkpoint.folder)
        weights = checkpoint.folder / "model.safetensors"
        arrays = load_file(weights)
        save_file(
            {k: v * (1 - 0.1 * (number + 1)) for k, v in arrays.items()}, weights, {"format": "pt"}
        )
    write_checkpoints(out / "reference" / REFERENCE_FILE, left)
    return out


def bytes_of(out):
    """The files of features of both sides."""
    return {side: [p.read_bytes() for p in shard_paths(out / "features" / side)] for side in SIDES}


def folder_of(section, out):
    return shards.shards_folder(shard_key(section, out / "reference"))


def refuse_to_load(monkeypatch):
    def load_nothing(*_):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(embed_run, "load_feature", load_nothing)


@pytest.mark.parametrize("choice", [2, [1, 3], [4]], ids=str)
def test_losses_at_fewer_checkpoints_are_taken_from_those_at_more(fitted, choice, monkeypatch):
    section = replace(TRAJECTORIES, checkpoints=choice)
    fresh = embed(section, fitted)
    expected = bytes_of(fitted)
    shutil.rmtree(files.scratch_folder())
    whole = embed(TRAJECTORIES, fitted)
    assert whole["pool"].computed == whole["queries"].computed == 1
    assert bytes_of(fitted) != expected
    versions = {side: record(TRAJECTORIES, fitted, side)["versions"] for side in SIDES}
    refuse_to_load(monkeypatch)
    for _ in range(2):  # taken, and found again
        done = embed(section, fitted)
        assert bytes_of(fitted) == expected
        for side in SIDES:
            assert (done[side].computed, done[side].found) == (0, 1)
            assert done[side].tokens == fresh[side].tokens > 0  # of the chosen checkpoints alone
            assert done[side].flops == pytest.approx(fresh[side].flops)
            assert record(section, fitted, side)["versions"] == versions[side]
    array = shards.read_all(fitted / "features/pool")["nll"]
    assert array.shape == (3, 2 if choice != [4] else 1)


def record(section, out, side):
    """What is noted beside the stored shard of a side, which has as many rows as its table."""
    rows = {"pool": 3, "queries": 1}[side]
    (path,) = [p for p in shard_paths(folder_of(section, out)) if shards.row_count(p) == rows]
    return read_record(path)


def test_fewer_checkpoints_are_taken_from_a_shard_that_was_itself_taken(fitted, monkeypatch):
    first = replace(TRAJECTORIES, checkpoints=[3])
    embed(first, fitted)
    expected = bytes_of(fitted)
    shutil.rmtree(files.scratch_folder())
    embed(TRAJECTORIES, fitted)
    refuse_to_load(monkeypatch)
    embed(replace(TRAJECTORIES, checkpoints=[1, 3]), fitted)
    shutil.rmtree(folder_of(TRAJECTORIES, fitted))
    embed(first, fitted)
    assert bytes_of(fitted) == expected


def test_more_checkpoints_than_are_stored_are_computed(fitted):
    chosen = []
    for choice in (2, [1, 3], [2, 4], "all"):
        done = embed(replace(TRAJECTORIES, checkpoints=choice), fitted)
        assert [done[side].computed for side in SIDES] == [1, 1]
        chosen.append(shards.read_all(fitted / "features/pool")["nll"])
    *parts, whole = chosen
    for array, columns in zip(parts, ([0, 1], [0, 2], [1, 3]), strict=True):
        np.testing.assert_array_equal(array, whole[:, columns])


def test_checkpoints_are_not_compared_with_the_plans_hash_of_the_model(fitted):
    planned = replace(TRAJECTORIES, model=replace(MODEL, md5=folder_hash(MODEL.name)))
    assert embed(planned, fitted)["pool"].computed == 1


def test_what_another_model_reference_or_code_left_is_never_taken(fitted):
    section = replace(TRAJECTORIES, checkpoints=2)
    embed(TRAJECTORIES, fitted)
    others = [replace(section, code="other"), replace(section, model=replace(MODEL, max_tokens=64))]
    for other in others:
        assert embed(other, fitted)["pool"].computed == 1
    write_checkpoints(  # the same files but for a rate: another reference
        fitted / "reference" / REFERENCE_FILE,
        [Checkpoint(fitted / "reference" / f"{number:02d}", 0.25) for number in range(4)],
    )
    assert embed(section, fitted)["pool"].computed == 1


def test_a_feature_that_names_no_columns_of_checkpoints_is_computed(fitted):
    section = replace(SECTION, reference=True)
    embed(section, fitted)
    done = embed(replace(section, checkpoints=2), fitted)
    assert done["pool"].computed == 1


def test_a_torn_shard_is_not_used(fitted):
    section = replace(TRAJECTORIES, checkpoints=[1, 3])
    embed(section, fitted)
    expected = bytes_of(fitted)
    shutil.rmtree(files.scratch_folder())
    embed(TRAJECTORIES, fitted)
    shutil.rmtree(fitted / "features")  # whose files are links
    for path in shard_paths(folder_of(TRAJECTORIES, fitted)):
        path.write_bytes(path.read_bytes()[:-8])
    done = embed(section, fitted)
    assert [done[side].computed for side in SIDES] == [1, 1]
    assert bytes_of(fitted) == expected


def test_auto_stands_for_the_precision_of_this_machine(out, monkeypatch):
    auto = replace(SECTION, model=replace(MODEL, dtype="auto"))
    for dtype in ("float32", "bfloat16"):
        monkeypatch.setattr(
            "dataselect.models.precision.torch_dtype", lambda name, d=dtype: f"torch.{d}"
        )
        settled = replace(SECTION, model=replace(MODEL, dtype=dtype))
        assert shard_key(auto, out) == shard_key(settled, out)
        assert shard_key(auto, out)[1]["dtype"] == dtype


def test_workers_load_the_section_with_its_precision_and_checkpoints(out, monkeypatch):
    """What travels to worker processes can be pickled, and does not depend on their machine."""
    loads = []

    class Stop(Exception):
        pass

    def open_writer(load, key, engine, wider):
        loads.append(load)
        raise Stop

    monkeypatch.setattr(shards, "open_writer", open_writer)
    write_checkpoints(out / "reference" / REFERENCE_FILE, [Checkpoint(out / "x/00", 0.5)])
    auto = replace(SECTION, model=replace(MODEL, dtype="auto"), reference=True)
    with pytest.raises(Stop):
        embed(auto, out)
    load = pickle.loads(pickle.dumps(loads[0]))
    assert isinstance(load, partial)
    section, checkpoints = load.args
    assert section.model.dtype in ("float32", "bfloat16")
    assert checkpoints == [Checkpoint(out / "reference/00", 0.5)]


@pytest.mark.parametrize(
    ("needs", "expected"), [(None, "second"), ("models", MODEL.name), ("adapters", MODEL.name)]
)
def test_a_feature_without_a_need_of_checkpoints_measures_with_the_last(
    needs, expected, tmp_path, monkeypatch
):
    loaded = []

    def load(model, checkpoints):
        loaded.append((model, checkpoints))

    feature = Feature(load, ("x",), lambda hidden_size, checkpoints: 0, needs)
    monkeypatch.setattr(embed_run, "load_part", lambda folder, part: feature)
    section = replace(SECTION, model=replace(MODEL, revision="main", md5="planned"))
    checkpoints = [Checkpoint(tmp_path / name, 1.0) for name in ("first", "second")]
    load_feature(section, checkpoints)
    load_feature(section, [])
    (model, given), (base, none) = loaded
    assert (model.name, given) == (
        str(tmp_path / "second") if needs is None else expected,
        checkpoints,
    )
    planned = (None, None) if needs is None else ("main", "planned")
    assert (model.revision, model.md5) == planned
    assert (base, none) == (section.model, [])
    load_feature(replace(section, checkpoints=1), checkpoints)
    model, given = loaded[-1]
    assert given == checkpoints[:1]
    assert model.name == (str(tmp_path / "first") if needs is None else MODEL.name)
    assert mistake(load_feature, replace(section, checkpoints=[1, 3]), checkpoints).startswith(
        "methods.yaml: checkpoints: expected numbers up to 2, the reference's checkpoints; found 3."
    )


def test_a_query_that_cannot_be_measured_is_refused_before_the_pool_is(out):
    write_query(out, turns("no answer"))
    message = mistake(embed, SECTION, out)
    assert "queries.path: 1 queries have none of the tokens that this method measures" in message
    assert ": q. Add their answers" in message
    assert not (out / "features/pool").exists()
