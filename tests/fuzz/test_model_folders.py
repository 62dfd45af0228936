"""Folders of models of all kinds, through what plan checks, and what loads them."""

from pathlib import Path

import pytest

from dataselect.models.chat import load_chat
from dataselect.models.load import load_architecture, load_causal, load_encoder, parameter_count
from dataselect.models.settings import ModelSettings
from tests.fuzz.case import attempt, project, run_stages
from tests.fuzz.cases import run_cases
from tests.fuzz.model_folders import cases
from tests.fuzz.setting_files import METHODS, dump
from tests.fuzz.test_settings import write_rows

SHARDS, CASES = 3, 350

#: A model that would not fit into the tests' memory is not loaded.
MOST_PARAMETERS = 5_000_000


def write_project(files, chat):
    """A project whose model lies in its folder `model`."""
    write_rows()
    Path("model").mkdir()
    for name, data in files.items():
        (Path("model") / name).write_bytes(data)
    params = {"pool": {"path": "pool.jsonl"}, "queries": {"path": "queries.jsonl"}}
    params |= {"tests": {"path": "tests.jsonl"}, "method": "rds", "budget": 3}
    params |= {"model": {"name": "model", "chat": chat, "max_tokens": 32, "dtype": "float32"}}
    params |= {"train": {"method": "lora"}}
    for name, content in {"params.yaml": params, "methods.yaml": METHODS}.items():
        with Path(name).open("w") as file:
            dump(content, file)


def load(chat):
    """Loads what stages load, and measures a row."""
    model = ModelSettings(name="model", chat=chat, max_tokens=32, dtype="float32")
    rows = [[{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "two"}]]
    encoded = load_chat(model).encode(rows)
    load_architecture(model)
    if parameter_count(model) > MOST_PARAMETERS:
        return
    load_causal(model)
    assert len(encoded) == 1
    load_encoder(model)


def check(case):
    """Plans with one model's folder, and loads it."""
    with project():
        write_project(*case)
        end = run_stages("plan", "dedup")
        message = attempt(lambda: load(case[1]))
        assert not Path("escaped").exists()
    return end if end != "done" or message is None else "load"


@pytest.mark.slow
def test_any_folder_of_a_model_is_taken_or_refused_with_a_message():
    ends = run_cases(cases, check, 30)
    assert ends["plan"] >= 3, ends


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_more_folders_are_taken_or_refused_with_a_message(shard):
    assert run_cases(cases, check, CASES, fresh=True)["plan"] >= CASES // 20
