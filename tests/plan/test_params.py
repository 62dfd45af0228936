"""Mistakes in params.yaml, each refused by the plan with one clear message."""

import json
import re
from dataclasses import asdict

import pytest
import yaml

from dataselect.dedup.columns import check_columns
from dataselect.dedup.long_prompts import PromptLimits
from dataselect.dedup.settings import PoolSettings
from dataselect.dedup.sources import check_sources
from dataselect.models.settings import ModelSettings
from dataselect.plan.params import TOP_LEVEL_KEYS, read_yaml
from dataselect.settings import check_settings
from tests.helpers import ROOT, change, mistake, planned

TRAIN = [
    "epochs", "steps", "learning_rate", "batch_size", "micro_batch_size", "schedule", "warmup",
    "weight_decay", "max_grad_norm", "group_by_length", "packed", "loss_per", "method", "lora_rank",
    "lora_alpha", "lora_dropout", "lora_modules", "dtype", "weights", "optimizer",
    "gradient_checkpointing", "sharding", "memory", "save_steps",
    "skip_steps", "threads", "processes", "seed",
]  # fmt: skip
TOP = ", ".join(TOP_LEVEL_KEYS)
MODEL_KEYS = "name, revision, chat, max_tokens, trust_remote_code, dtype"

MISTAKES = {
    "a glob that matches nothing": (
        {"pool": {"path": ["pool.jsonl", "data/*.jsonl"]}},
        "pool.path: `data/*.jsonl`: no file matches this (looked from {home}). Set `pool.path` in "
        "params.yaml to a file, a glob or a list of them.",
    ),
    "a folder": (
        {"queries": {"path": "eval_kinds/"}},
        "queries.path: `eval_kinds/`: a folder; expected a file or a glob, like "
        "`eval_kinds/*.parquet` (looked from {home}). Set `queries.path` in params.yaml to a file, "
        "a glob or a list of them.",
    ),
    "no path": (
        {"tests": {"path": ""}},
        "tests.path: ``: there is no such file (looked from {home}). Set `tests.path` in "
        "params.yaml to a file, a glob or a list of them.",
    ),
    "no files": (
        {"pool": {"path": []}},
        "pool.path: an empty list. Name at least one file.",
    ),
    "a path that is a number": (
        {"pool": {"path": 5}},
        "params.yaml: pool.path: expected a valid string or a valid list; found 5. Fix it there.",
    ),
    "a path of numbers": (
        {"pool": {"path": ["pool.jsonl", 5]}},
        "params.yaml: pool.path: expected a valid string as item 2; found "
        "['pool.jsonl', 5]. Fix it there.",
    ),
    "a block without its names": (
        {"pool": "pool.jsonl"},
        "params.yaml: pool: expected settings by name, like `name: value`; found 'pool.jsonl'. See "
        "docs/settings.md for what there is.",
    ),
    "a block without its path": (
        {"queries": {}},
        "params.yaml: queries.path: missing. Add it; see docs/settings.md.",
    ),
    "no block": ({"pool": None}, "params.yaml: `pool` is missing. Add it; see docs/settings.md."),
    "outputs as long as the model can read": (
        {"eval": {"max_new_tokens": 2048}},
        "params.yaml: eval.max_new_tokens: expected fewer than the 2048 tokens that the model can "
        "read, which hold the prompt too; found 2048. Lower it.",
    ),
    "an unknown way with bad rows": (
        {"pool": {"path": "pool.jsonl", "on_bad_row": "skip"}},
        "params.yaml: pool.on_bad_row: expected 'error' or 'drop'; found 'skip'. Fix it there.",
    ),
    "an unknown key": (
        {"metod": "rds"},
        f"params.yaml: unknown key `metod`. Did you mean `method`? There are: {TOP}.",
    ),
    "a key like no other": (
        {5: 5},
        "params.yaml: expected names that are texts; found 5. Set quotes around it.",
    ),
    "an unknown key in a block": (
        {"train": {"epoch": 2}},
        "params.yaml: train: unknown setting `epoch`. Did you mean `epochs`? There are: "
        f"{', '.join(TRAIN)}.",
    ),
    "an unknown key of the model": (
        {"model": {"nam": "x"}},
        f"params.yaml: model: unknown setting `nam`. Did you mean `name`? There are: {MODEL_KEYS}.",
    ),
    "methods in a list": (
        {"method": ["random"]},
        "params.yaml: method: no method is called `['random']`. Did you mean `random`? There are: "
        "{methods}.",
    ),
    "no task": (
        {"tasks": []},
        "tasks: an empty list. Name at least one task, or set `tasks: all`.",
    ),
    "one task, not in a list": (
        {"tasks": "sums"},
        "params.yaml: tasks: expected 'all' or a valid list; found 'sums'. Fix it there.",
    ),
    "tasks that YAML takes for something else": (
        {"tasks": ["sums", False]},
        "params.yaml: tasks: expected a valid string as item 2; found ['sums', False]. "
        "Fix it there.",
    ),
    "a seed that is text": (
        {"seed": "x"},
        "params.yaml: seed: expected a valid integer; found 'x'. Fix it there.",
    ),
    "a negative seed": (
        {"seed": -1},
        "params.yaml: seed: expected greater than or equal to 0; found -1. Fix it there.",
    ),
    "a seed above what torch and numpy take": (
        {"seed": 2**32},
        "params.yaml: seed: expected less than 4294967296; found 4294967296. Fix it there.",
    ),
    "unknown groups": (
        {"groups": "task"},
        "params.yaml: groups: expected 'auto', 'queries' or 'tasks'; found 'task'. Fix it there.",
    ),
    "a negative learning rate": (
        {"train": {"learning_rate": -1}},
        "params.yaml: train.learning_rate: expected greater than 0; found -1. Fix it there.",
    ),
    "an endless learning rate": (
        {"train": {"learning_rate": float("inf")}},
        "params.yaml: train.learning_rate: expected a finite number; found inf. Fix it there.",
    ),
    "epochs that are text": (
        {"train": {"epochs": "2"}},
        "params.yaml: train.epochs: expected a valid number; found '2'. Fix it there.",
    ),
    "epochs and steps": (
        {"train": {"epochs": 2, "steps": 500}},
        "params.yaml: train.epochs: has an effect only with `steps: null`; found `steps: 500`. "
        "Remove it, or set `steps: null`.",
    ),
    "no steps": (
        {"train": {"steps": 0}},
        "params.yaml: train.steps: expected greater than or equal to 1; found 0. Fix it there.",
    ),
    "half a row a batch": (
        {"train": {"batch_size": 0.5}},
        "params.yaml: train.batch_size: expected a valid integer; found 0.5. Fix it there.",
    ),
    "two at a time": (
        {"train": {"epochs": 0, "batch_size": True}},
        "params.yaml: train.epochs: expected greater than 0; found 0. Fix it there.\n"
        "params.yaml: train.batch_size: expected a valid integer; found True. Fix it there.",
    ),
    "micro-batches that do not fit": (
        {"train": {"batch_size": 8, "micro_batch_size": 3}},
        "params.yaml: train.batch_size: expected a multiple of train.micro_batch_size (3); found "
        "8. Change one of them.",
    ),
    "LoRA's settings without LoRA": (
        {"train": {"lora_rank": 8, "lora_modules": "all-linear"}},
        "params.yaml: train.lora_rank: has an effect only with `method: lora`; found `method: "
        "full`. Remove it, or set `method: lora`.\n"
        "params.yaml: train.lora_modules: has an effect only with `method: lora`; found `method: "
        "full`. Remove it, or set `method: lora`.",
    ),
    "an unknown kind of task": (
        {"eval": {"kinds": {"sums": "last_numbr"}}},
        "params.yaml: eval.kinds.sums: no kind is called `last_numbr`. Did you mean "
        "`last_number`? There are: alpaca_eval, bbh, bert_score, bleu, exact_match, "
        "last_number, mammoth, mammoth_math, mammoth_math_pot, mammoth_pot, math, "
        "multiple_choice, pass_at_k, program_of_thought, rouge_l, squad_f1, summary, tydiqa_f1. "
        "Or add eval_kinds/last_numbr.yaml.",
    ),
    "a kind that runs code, which is not allowed": (
        {"eval": {"kinds": {"sums": "program_of_thought"}}},
        "params.yaml: eval.kinds.sums: the kind `program_of_thought` runs programs that a model "
        "has generated. Set `eval.run_code: true` to allow that, under bubblewrap; or use another "
        "kind.",
    ),
    "a model that is not there": (
        {"model": {"name": "./nowhere"}},
        "model.name: `./nowhere`: no such folder (looked from {home}). Set it to the "
        "folder of a model, or to a hub name like `meta-llama/Llama-3.1-8B`.",
    ),
    "a folder that is no model": (
        {"model": {"name": "eval_kinds"}},
        "model.name: `eval_kinds`: expected a model's folder; found one without config.json. "
        "Name another.",
    ),
    "a model without a name": (
        {"model": {"chat": "tulu"}},
        "params.yaml: model.name: missing. Add it; see docs/settings.md.",
    ),
    "memory without a unit": (
        {"train": {"memory": 24}},
        "params.yaml: train.memory: expected a size in MB, GB or TB, like `6GB`; found '24'. Fix "
        "it there.",
    ),
    "no tokens": (
        {"model": {"name": "eval_kinds", "max_tokens": 0}},
        "params.yaml: model.max_tokens: expected greater than or equal to 2; found 0. Fix it "
        "there.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_params(home, name):
    wrong, message = MISTAKES[name]
    change(wrong)
    assert mistake(planned) == message.format(
        home=home, methods=", ".join(read_yaml("methods.yaml"))
    )


def test_numbers_as_people_write_them_are_taken(home):
    text = (home / "params.yaml").read_text()
    assert "train: {}\n" in text
    block = "train: {learning_rate: 1e-3, epochs: 2, warmup: 0, weight_decay: 1e-1}\n"
    (home / "params.yaml").write_text(text.replace("train: {}\n", block))
    train = asdict(planned().train.recipe)
    names = ("learning_rate", "epochs", "warmup", "weight_decay")
    assert [train[name] for name in names] == [0.001, 2.0, 0.0, 0.1]
    assert json.loads(json.dumps(train)) == train


def test_loras_settings_with_lora_are_taken(home):
    change({"train": {"method": "lora", "lora_rank": 8, "lora_modules": ["q_proj"]}})
    recipe = planned().train.recipe
    assert (recipe.lora_rank, recipe.lora_alpha, recipe.lora_modules) == (8, 512, ["q_proj"])


def test_a_file_that_is_named_twice_is_read_once(home):
    change({"pool": {"path": ["pool.jsonl", "p*.jsonl", "tests.jsonl"]}})
    assert [file.path for file in planned().dedup.pool] == ["pool.jsonl", "tests.jsonl"]


@pytest.mark.parametrize(("train", "expected"), [({}, 7), ({"seed": 3}, 3)])
def test_the_seed_reaches_training(home, train, expected):
    change({"seed": 7, "train": train})
    sections = planned()
    assert sections.train.recipe.seed == expected
    assert sections.score.scorer.settings["seed"] == 7


def test_a_schema_without_settings_takes_none():
    assert check_settings(lambda: None, None, "x") == {}
    assert check_settings(ModelSettings, {"name": "m"}, "model")["max_tokens"] == 2048


def test_rows_that_are_cut_off_are_dropped_unless_params_say_keep(home):
    assert planned().dedup.rules.cut_off == "drop"
    change({"pool": {"path": "pool.jsonl", "cut_off": "keep"}})
    assert planned().dedup.rules.cut_off == "keep"
    change({"pool": {"path": "pool.jsonl", "cut_off": "kept"}})
    assert "pool.cut_off" in mistake(planned)


def test_tests_may_be_left_out(home):
    change({"tests": None})
    sections = planned()
    assert sections.dedup.tests == []
    assert sections.eval.model.name == sections.train.model.name


def test_dedup_knows_what_a_prompt_must_fit_into_where_eval_would_refuse_it(home):
    change({"eval": {"max_new_tokens": 8, "limit": 2}})
    assert planned().dedup.prompts == PromptLimits(max_new_tokens=8, limit=2)
    change({"eval": {"long_prompts": "truncate"}})
    assert planned().dedup.prompts is None
    change({"eval": {}, "tests": None})
    assert planned().dedup.prompts is None


POOL_MISTAKES = [
    (
        {"columns": {"promt": "question"}},
        "params.yaml: pool.columns: `promt` is no column that a row of the pool is read from. "
        "Expected `ours: theirs`. Did you mean `prompt`?",
    ),
    ({"columns": ["prompt"]}, "params.yaml: pool.columns: expected a valid dictionary; found"),
    ({"columns": {"prompt": 5}}, "params.yaml: pool.columns: expected a valid string; found"),
    ({"sources": {"web": 5}}, "params.yaml: pool.sources: expected a valid string; found"),
    ({"sources": {"": "web"}}, "params.yaml: pool.sources: expected names; found `'': 'web'`"),
    ({"id": "hash"}, "params.yaml: pool.id: expected 'keep', 'content' or 'prefix'; found 'hash'"),
    ({"most_dropped": 1.5}, "params.yaml: pool.most_dropped: expected less than or equal to 1;"),
    ({"most_dropped": "half"}, "params.yaml: pool.most_dropped: expected a valid number; found"),
]


@pytest.mark.parametrize(("pool", "message"), POOL_MISTAKES)
def test_how_the_pool_is_read_is_checked(home, pool, message):
    change({"pool": {"path": "pool.jsonl", **pool}})
    assert mistake(planned).startswith(message)


def test_another_order_of_sources_is_another_section(home):
    """DVC compares settings by name: of two orders it would see no change."""
    entries = [("science.a", None), ("science*", "science")]
    orders = []
    for sources in (dict(entries), dict(entries[::-1])):
        change({"pool": {"path": "pool.jsonl", "sources": sources}})
        section = planned().dedup
        assert list(section.rules.sources) == section.source_order
        orders.append(section.source_order)
    assert orders[0] == orders[1][::-1]


def test_the_pool_settings_of_the_docs_are_settings():
    page = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("pools", "formats"))
    blocks = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S))
    examples = [block["pool"] for block in blocks if "pool" in block]
    assert {"science*": "science", "hard_coded": None} in [e.get("sources") for e in examples]
    for example in examples:
        pool = PoolSettings(**check_settings(PoolSettings, {"path": "x", **example}, "docs"))
        check_columns(pool.columns)
        check_sources(pool.sources)
