"""A sentence model in a process of its own: a stand-in in NV-Embed-v2's form, by this interpreter.

Each environment variable that the stand-in reads stands for what may happen to a real one.
"""

import gc
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.data.shard_records import read_record
from dataselect.data.shards import shard_paths, write
from dataselect.embed._sentence_process import WorkerError
from dataselect.embed.sentence_embeddings import sentence_embeddings
from tests import helpers
from tests.embed import latent_model, turns
from tests.helpers import MODEL, ROOT, mistake

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("sentence process"),  # which takes seconds to start: once
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for them in /proc"),
]

ROWS = [
    turns("Add 2 and 3.", "5"),
    turns("What is the capital of France?", "It is Paris."),
    turns("Count.", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20"),
    turns("Say hi.", "Hi"),
]
OPTIONS = {"query_prompt": "Find: ", "append_eos": True, "right_padding": True}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The settings of the stand-in, whose code may run."""
    folder = latent_model.save(tmp_path_factory.mktemp("latent") / "model")
    return replace(MODEL, name=str(folder), trust_remote_code=True)


def load(model, python=sys.executable, **options):
    return sentence_embeddings(python=python, **{**OPTIONS, **options}).load(model, [])


@pytest.fixture(scope="module")
def featurizer(model):
    return load(model)


def vectors(featurizer, side="pool", rows=ROWS):
    return featurizer(rows, side, no_progress)["vectors"]


def process_of(featurizer):
    """The `SentenceProcess` behind a featurizer."""
    cells = featurizer.featurizer.__closure__
    (process,) = [c.cell_contents for c in cells if hasattr(c.cell_contents, "versions")]
    return process


def has_ended(pid):
    """Whether a process has ended; one that nothing waits for stays as a zombie."""
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" in status.read_text()


def wait_until_ended(pid):
    for _ in range(1200):
        if has_ended(pid):
            return
        time.sleep(0.05)
    pytest.fail("the process lives on")


def test_its_vectors_are_those_of_the_model_in_this_process(model, featurizer):
    inside = load(model, python=None)
    for side in ("pool", "queries"):
        found, expected = vectors(featurizer, side), vectors(inside, side)
        assert found.dtype == expected.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    assert np.abs(vectors(featurizer, "queries") - vectors(featurizer)).max() > 1e-2


@pytest.mark.parametrize("changed", ["append_eos", "right_padding"])
@pytest.mark.torture
def test_eos_and_padding_count(model, featurizer, changed):
    found = vectors(load(model, python=None, **{changed: False}))
    assert np.abs(found - vectors(featurizer)).max() > 1e-3


def test_a_vector_does_not_depend_on_its_batch(featurizer):
    alone = [vectors(featurizer, rows=[row])[0] for row in ROWS]
    np.testing.assert_allclose(np.stack(alone), vectors(featurizer), atol=1e-6)
    assert vectors(featurizer, rows=[]).shape == (0, 16)


@pytest.mark.torture
def test_memory_that_runs_out_there_makes_batches_smaller(model, featurizer, monkeypatch, capsys):
    monkeypatch.setenv("LATENT_LIMIT", "80")
    limited, rows = load(model), [ROWS[0], ROWS[1], ROWS[3]]
    expected = vectors(featurizer, rows=rows)
    np.testing.assert_allclose(vectors(limited, rows=rows), expected, atol=1e-6)
    assert "out of memory: continuing with batches" in capsys.readouterr().out
    assert "out of memory on a single row" in mistake(vectors, limited, rows=ROWS[2:3])


@pytest.mark.torture
def test_a_process_that_ends_is_a_message_with_its_last_lines(model, monkeypatch):
    monkeypatch.setenv("LATENT_END", "1")
    message = mistake(vectors, load(model))
    assert sys.executable in message
    assert "ended with status 3" in message
    assert "a library may print" in message  # not read as a reply
    monkeypatch.delenv("LATENT_END")
    featurizer = load(model)
    os.kill(process_of(featurizer)._process.pid, signal.SIGKILL)
    message = mistake(vectors, featurizer)
    assert "was killed by signal 9; the machine may have run out of memory" in message
    assert "run `dvc repro` again" in message


def test_an_error_there_has_its_traceback(featurizer):
    with pytest.raises(WorkerError, match="unexpected keyword") as caught:
        process_of(featurizer)._call("encode", texts=["a"], prompt="", wrong=1)
    assert "Traceback" in caught.value.__notes__[0]
    assert len(vectors(featurizer)) == len(ROWS)  # it goes on


def test_no_interpreter(model, tmp_path):
    message = mistake(load, model, python=".venvs/none/bin/python")
    assert "`.venvs/none/bin/python`: no such interpreter" in message
    assert "Make it: make .venvs/none/ready" in message
    assert "Set it to the Python of an environment" in mistake(load, model, python="/none/python")
    other = tmp_path / "python"
    other.write_text("no program")
    other.chmod(0o755)
    assert "cannot be started" in mistake(load, model, python=str(other))
    assert "ended with status" in mistake(load, model, python="true")


def test_an_environment_without_what_the_model_needs(model, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    message = mistake(load, model, python=str(python))
    assert "No module named" in message
    assert f"Install what is missing in the environment of `{python}`" in message


def test_a_models_own_code_runs_only_where_it_may(model):
    message = mistake(load, replace(model, trust_remote_code=False))
    assert "Read it, and if you trust it, set `model.trust_remote_code: true`" in message


@pytest.mark.torture
def test_it_ends_with_what_started_it(model):
    featurizer = load(model)
    pid = process_of(featurizer)._process.pid
    assert not has_ended(pid)
    del featurizer
    gc.collect()
    assert has_ended(pid)


@pytest.mark.torture
def test_it_ends_when_what_started_it_is_killed(model):
    program = (
        "import sys, time\n"
        "from tests.embed.test_sentence_process import MODEL, load, process_of, replace\n"
        "model = replace(MODEL, name=sys.argv[1], trust_remote_code=True)\n"
        "featurizer = load(model)\n"
        "print(process_of(featurizer)._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    command = [sys.executable, "-c", program, model.name]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    ) as parent:
        pid = int(parent.stdout.readline())
        assert not has_ended(pid)
        parent.kill()
    wait_until_ended(pid)


def test_a_shard_records_the_versions_there(featurizer, tmp_path):
    table = tmp_path / "pool.parquet"
    rows = [(number, str(number), "s", row) for number, row in enumerate(ROWS)]
    tables.write("pool", helpers.table("pool", rows), table)
    write("pool", table, tmp_path / "out", lambda: featurizer, ["key"], home=tmp_path / "home")
    (shard,) = shard_paths(next((tmp_path / "home").iterdir()))
    names = {f"{name} of {sys.executable}" for name in ("torch", "transformers", "tokenizers")}
    versions = read_record(shard)["versions"]
    assert set(versions) == names | {f"sentence-transformers of {sys.executable}"}
    assert all(versions.values())
