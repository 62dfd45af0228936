"""The reference stage: fitted once for the same rows, model and code; else only a file."""

import json
from dataclasses import replace

import polars as pl
import pytest

from dataselect.data import checksums, tables
from dataselect.data.budget import TokenBudget
from dataselect.data.checkpoints import Checkpoint, Fitted, read_checkpoints
from dataselect.data.mix import MixSettings
from dataselect.reference import Reference
from dataselect.reference import run as stage
from dataselect.reference.run import ReferenceSection, fit_reference
from dataselect.settings import Part
from dataselect.train.fit import Recipe
from tests.helpers import MODEL, mistake
from tests.reference import write_pool

SECTION = ReferenceSection(
    reference=Part("proxy", {"epochs": 1}), model=MODEL, threads=None, budget=2, code="code"
)
WITHOUT = ReferenceSection(reference=None, model=None, threads=None, budget=2, code="")


@pytest.fixture
def fits(in_scratch, monkeypatch):
    """A pool, and a reference that notes how often it is fitted."""
    fits = []

    def fit(model, pool, home):
        fits.append(model)
        for name in ("00", "01"):
            folder = home / "checkpoints" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "weights").write_text(f"{name} {len(fits)}")
            checksums.seal(folder, folder)
        (home / "checkpoint-7").mkdir()  # the trainer's own
        checkpoints = [Checkpoint(home / "checkpoints" / name, 0.5) for name in ("00", "01")]
        return Fitted(checkpoints, rows=2, tokens=3, steps=4, flops=5.0)

    reference = Reference(fit, "models", 2, float, Recipe())
    monkeypatch.setattr(stage, "load_part", lambda folder, part: reference)
    write_pool("pool.parquet", 3)
    tables.write("dropped", tables.empty("dropped"), "dropped.parquet")
    return fits


def fit(home, section=SECTION):
    return fit_reference(section, home / "pool.parquet", home / "dropped.parquet", home / "out")


def test_it_is_fitted_once_and_linked_in_training_order(in_scratch, fits):
    done = fit(in_scratch)
    fitted = done.fitted
    assert (done.name, done.resumed_seconds) == ("proxy", 0)
    assert (fitted.rows, fitted.tokens, fitted.steps, fitted.flops) == (2, 3, 4, 5.0)
    found = read_checkpoints(in_scratch / "out")
    assert found == fitted.checkpoints
    assert [(path.name, rate) for path, rate in found] == [("00", 0.5), ("01", 0.5)]
    assert [(path / "weights").read_text() for path, _ in found] == ["00 1", "01 1"]
    assert not list(in_scratch.rglob("checkpoint-7"))
    (path,) = in_scratch.rglob(stage.FINISHED)
    checksums.write_checked(path, checksums.read_checked(path) | {"seconds": 12.5})
    again = fit(in_scratch)
    assert again.fitted == fitted
    assert again.resumed_seconds == 12.5
    assert len(fits) == 1


def test_whatever_decides_it_fits_it_again(in_scratch, fits):
    fit(in_scratch)
    for number, section in enumerate(
        [
            replace(SECTION, model=replace(MODEL, md5="other weights")),
            replace(SECTION, reference=Part("proxy", {"epochs": 2})),
            replace(SECTION, threads=1),
            replace(SECTION, code="other code"),
        ],
        start=2,
    ):
        fit(in_scratch, section)
        assert len(fits) == number
    write_pool("pool.parquet", 4)
    fit(in_scratch)
    assert len(fits) == 6


def test_another_budget_does_not_fit_it_again(in_scratch, fits):
    fit(in_scratch)
    fit(in_scratch, replace(SECTION, budget="50%"))
    assert len(fits) == 1


@pytest.mark.parametrize("section", [SECTION, WITHOUT], ids=["fitted", "none"])
def test_quotas_of_a_source_that_is_not_there_are_refused_before_anything_costs(
    section, in_scratch, fits
):
    mix = MixSettings(sources={"nowhere": 1})
    message = mistake(fit, in_scratch, replace(section, mix=mix))
    assert "mix.sources: `nowhere` is no source of the pool" in message
    tokens = TokenBudget(tokens=9)
    assert message == mistake(fit, in_scratch, replace(section, budget=tokens, mix=mix))
    assert not fits


def test_another_mix_does_not_fit_it_again(in_scratch, fits):
    fit(in_scratch)
    fit(in_scratch, replace(SECTION, mix=MixSettings(tasks={"t": 2.0})))
    assert len(fits) == 1


@pytest.mark.parametrize("section", [SECTION, WITHOUT], ids=["fitted", "none"])
def test_a_budget_above_the_pool_is_refused_before_anything_costs(section, in_scratch, fits):
    dropped = [("x", "s", "duplicate", "a", "f:1"), ("y", "s", "empty response", None, "f:2")]
    frame = pl.DataFrame(dropped, schema=tables.schema("dropped"), orient="row")
    tables.write("dropped", frame, "dropped.parquet")
    message = mistake(fit, in_scratch, replace(section, budget=4))
    assert "4 rows; the pool has 3 (after removing 1 exact duplicates and 1 other" in message
    assert not fits
    assert not (in_scratch / "out").exists()


def test_a_method_without_a_reference_lists_no_checkpoints(in_scratch, fits):
    done = fit(in_scratch, WITHOUT)
    assert (done.name, done.fitted, done.resumed_seconds) == (None, None, 0)
    assert json.loads((in_scratch / "out/reference.json").read_text()) == {"checkpoints": []}
    assert read_checkpoints(in_scratch / "out") == []
    assert not fits
