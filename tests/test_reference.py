"""The reference stage: fitted once for the same rows, model and code; else only a note."""

import json

import polars as pl
import pytest

from dataselect.data import fingerprint, tables
from dataselect.data.checkpoints import Checkpoint, Fitted, read_checkpoints
from dataselect.reference import run as reference
from dataselect.reference.run import fit_reference
from tests.helpers import GOLDEN, MODEL

PROXY = {"name": "proxy", "settings": {"epochs": 1}, "code": "c"}
SECTION = {"reference": PROXY, "model": MODEL, "threads": None}


@pytest.fixture
def fits(in_scratch, monkeypatch):
    """A pool, and a reference that counts how often it is fitted."""
    count = []

    def proxy(model, pool, home, *, epochs):
        count.append(epochs)
        for name in ("00", "01"):
            (home / "checkpoints" / name).mkdir(parents=True)
            (home / "checkpoints" / name / "weights").write_text(f"{name} {len(count)}")
        (home / "checkpoint-7").mkdir()  # the trainer's own
        found = [Checkpoint(home / "checkpoints" / name, 0.5) for name in ("00", "01")]
        return Fitted(found, rows=2, tokens=3, steps=4, flops=5.0)

    monkeypatch.setattr(reference, "function", lambda *_: proxy)
    write(pl.read_parquet(GOLDEN / "pool.parquet").head(3))
    return count


def write(rows):
    rows = rows.drop("row", strict=False).with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", rows, "pool.parquet")


def fit(home, section=SECTION):
    return fit_reference(section, home / "pool.parquet", home / "out")


def test_it_is_fitted_once_and_linked_in_training_order(in_scratch, fits):
    done = fit(in_scratch)
    assert (done.rows, done.tokens, done.steps, done.flops) == (2, 3, 4, 5.0)
    found = read_checkpoints(in_scratch / "out")
    assert [(one.folder.name, one.mean_learning_rate) for one in found] == [
        ("00", 0.5),
        ("01", 0.5),
    ]
    assert [(one.folder / "weights").read_text() for one in found] == ["00 1", "01 1"]
    assert fit(in_scratch) == done
    assert len(fits) == 1
    assert reference.earlier  # the seconds of when it was fitted
    assert not list(in_scratch.rglob("checkpoint-7"))


def test_whatever_decides_it_fits_it_anew(in_scratch, fits, monkeypatch):
    fit(in_scratch)
    for number, section in enumerate(
        [
            {**SECTION, "model": {**MODEL, "md5": "another"}},
            {**SECTION, "reference": {**SECTION["reference"], "settings": {"epochs": 2}}},
        ],
        start=2,
    ):
        fit(in_scratch, section)
        assert len(fits) == number
    write(pl.read_parquet(GOLDEN / "pool.parquet").head(4))
    fit(in_scratch)
    assert len(fits) == 4
    monkeypatch.setattr(fingerprint, "code", lambda file: "other code")
    fit(in_scratch)
    assert len(fits) == 5


def test_a_method_without_one_leaves_a_note(in_scratch, fits):
    assert fit(in_scratch, {}) is None
    assert json.loads((in_scratch / "out/reference.json").read_text()) == {"checkpoints": []}
    assert read_checkpoints(in_scratch / "out") == []
    assert not fits
