"""The room that features take, before it is spent."""

from types import SimpleNamespace

from dataselect.data.fingerprint import File
from dataselect.plan.disk import features_size
from dataselect.settings import Part
from tests.helpers import GOLDEN, MODEL

LESS = Part("warmup", {"seed": 0, "epochs": 4})
GRADIENTS = {"dims": 8192, "projection": "rademacher"}


def size(name, settings, reference=None, path="pool.jsonl", checkpoints="all"):
    """The line for a feature of the golden model."""
    part = None if name is None else Part(name, settings)
    return features_size(
        SimpleNamespace(
            embed=SimpleNamespace(features=part, model=MODEL, checkpoints=checkpoints),
            reference=SimpleNamespace(reference=reference),
            dedup=SimpleNamespace(pool=[File(path, "")]),
        )
    )


def test_the_size_of_features_is_known_before_they_are_computed():
    pool = str(GOLDEN / "pool.parquet")
    assert size("gradients", GRADIENTS, LESS, pool) == (
        "features: gradients, 65,536 bytes per row × 202 rows: at most 13.2 MB"
    )
    line = size("hidden_states", {"pooling": "mean", "over": "all"}, path=pool)
    assert line == "features: hidden_states, 256 bytes per row × 202 rows: at most 51.7 kB"
    proxy = Part("proxy", {"seed": 0, "checkpoints": 12})
    assert size("trajectories", {}, proxy) == "features: trajectories, 104 bytes per row"
    assert size("trajectories", {}, proxy, checkpoints=4).endswith(" 40 bytes per row")
    assert size("trajectories", {}, proxy, checkpoints=[1, 12]).endswith(" 24 bytes per row")
    assert size("losses", {"direct": True}) == "features: losses, 21 bytes per row"


def test_what_is_not_known_is_said():
    line = size("gradients", {**GRADIENTS, "projection": "none"}, LESS)
    assert line == "features: gradients; their size is not known before the model is read"
    assert size(None, {}) is None


def test_a_damaged_file_is_left_to_the_stage_that_reads_it(tmp_path):
    damaged = tmp_path / "pool.parquet"
    damaged.write_bytes(b"")
    assert size("gradients", GRADIENTS, LESS, str(damaged)) == (
        "features: gradients, 65,536 bytes per row"
    )
