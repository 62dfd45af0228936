"""A user's mistake is one clear message: where, expected, found, what to do.

And it ends the stage, with nothing written.
"""

import json
import shutil
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from dataselect.aggregate.run import budget_rows
from dataselect.data.budget import parse_budget
from dataselect.errors import InputError
from dataselect.models.load import model_settings
from dataselect.plan.params import read
from dataselect.plan.run import plan
from dataselect.settings import check_settings
from tests.helpers import GOLDEN, ROOT, run

POOL = [{"id": f"r{i}", "prompt": f"{i % 8} + 1?", "completion": str(i % 8 + 1)} for i in range(10)]
QUERIES = [{"id": "q", "task": "sums", "prompt": "2 + 2?", "completion": "4"}]


@pytest.fixture
def home(in_scratch):
    """A user's folder: the project's own settings, and files of a few rows."""
    for name in ("params.yaml", "methods.yaml"):
        shutil.copy(ROOT / name, name)
    shutil.copytree(ROOT / "eval_kinds", "eval_kinds")
    for name, rows in {"pool": POOL, "queries": QUERIES, "tests": QUERIES}.items():
        (in_scratch / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    change(
        {name: {"path": f"{name}.jsonl"} for name in ("pool", "queries", "tests")}
        | {"tasks": "all", "method": "random", "budget": 3, "seed": 0, "groups": "auto"}
        | {"model": {"name": str(GOLDEN / "tiny-llama")}, "train": {}, "eval": {}}
    )
    return in_scratch


def change(settings, file="params.yaml"):
    """Sets what stands at the top of a file of settings; None takes it away."""
    content = yaml.safe_load(Path(file).read_text()) | settings
    content = {name: value for name, value in content.items() if value is not None}
    Path(file).write_text(yaml.safe_dump(content, sort_keys=False))


def planned():
    return plan(read("params.yaml"), read("methods.yaml"))


def mistake(call, *args, **kwargs):
    with pytest.raises(InputError) as error:
        call(*args, **kwargs)
    return str(error.value)


def stage(name, home):
    return run(sys.executable, str(ROOT / "stages" / f"{name}.py"), cwd=home, check=False)


def files(home):
    """Every file but those of the scratch folder, with its content."""
    paths = [p for p in home.rglob("*") if p.is_file() and ".scratch" not in p.parts]
    return {str(p.relative_to(home)): p.read_bytes() for p in paths}


# As a user: the stages' scripts, in a folder of one's own.


def refused(name, home):
    """Runs a stage that must fail: the message, with all around it checked."""
    before = files(home)
    done = stage(name, home)
    assert done.returncode == 1
    start, end = f"\ndataselect {name}: ", "\n\n"
    assert done.stderr.startswith(start)
    assert done.stderr.endswith(end)
    assert done.stdout == ""
    assert files(home) == before
    return done.stderr[len(start) : -len(end)]


def test_without_a_mistake_it_runs_and_aggregate_refuses_a_budget_above_the_pool(home):
    for name in ("plan", "dedup", "embed", "score", "aggregate"):
        done = stage(name, home)
        assert (done.returncode, done.stderr) == (0, "")
    chosen = [json.loads(line) for line in (home / "out/train.jsonl").read_text().splitlines()]
    assert len(chosen) == 3
    assert {row["id"] for row in chosen} <= {f"r{i}" for i in range(8)}
    assert {row["source"] for row in chosen} == {"pool"}
    change({"budget": 9})
    assert stage("plan", home).returncode == 0
    assert refused("aggregate", home) == (
        "budget: 9 rows asked of a pool of 8 (after removing 2 exact duplicates). Lower `budget` "
        "in params.yaml to at most 8."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"pool": {"path": "pol.jsonl"}},
            "pool.path: `pol.jsonl`: there is no such file (looked from {home}). Set `pool.path` "
            "in params.yaml to a file, a glob or a list of them.",
        ),
        (
            {"method": "randm"},
            "params.yaml: method: no method is called `randm`. Did you mean `random`? There are: "
            "{methods}.",
        ),
        (
            {"budget": -1},
            "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
            'above 0% and at most 100%, like "5%"; found -1. Mend it there.',
        ),
    ],
    ids=["a missing file", "an unknown method", "a negative budget"],
)
def test_plan_refuses(home, settings, message):
    change(settings)
    methods = ", ".join(read("methods.yaml"))
    assert refused("plan", home) == message.format(home=home, methods=methods)


def test_plan_refuses_what_is_not_yaml_and_leaves_the_last_plan(home):
    (home / "plan.json").write_text("the last plan")
    (home / "params.yaml").write_text("budget: 3\nmethod: [random\nseed: 0\n")
    message = refused("plan", home)
    assert message.startswith("params.yaml: not YAML: ")
    assert "line 3" in message


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        (
            "pool",
            [*POOL, "{not json"],
            "pool.jsonl:11: not JSON: Expecting property name enclosed in double quotes at column "
            "2. Mend the row, or set `pool.on_bad_row: drop` in params.yaml to leave such rows "
            "out.",
        ),
        (
            "pool",
            [{**POOL[0], "id": "r1"}, POOL[1], POOL[2]],
            "pool.path: 1 ids belong to several different rows: `r1` at pool.jsonl:1, "
            "pool.jsonl:2. Expected one id a row. Give each its own, or leave `id` out: it is then "
            "made from the content.",
        ),
        ("queries", [], "queries.path: no row in queries.jsonl. Expected at least one."),
    ],
    ids=["a line that is not JSON", "an id twice", "no query"],
)
def test_dedup_refuses(home, file, rows, message):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (home / f"{file}.jsonl").write_text("".join(line + "\n" for line in lines))
    assert stage("plan", home).returncode == 0
    assert refused("dedup", home) == message


def test_dedup_leaves_bad_rows_out_if_so_wanted(home):
    with (home / "pool.jsonl").open("a") as file:
        file.write("{not json\n")
    change({"pool": {"path": "pool.jsonl", "on_bad_row": "drop"}})
    for name in ("plan", "dedup"):
        done = stage(name, home)
        assert (done.returncode, done.stderr) == (0, "")
    assert pl.read_parquet(home / "out/pool.parquet").height == 8
    assert pl.read_parquet(home / "out/dropped.parquet").rows() == [
        ("r8", "pool", "duplicate of r0", "pool.jsonl:9"),
        ("r9", "pool", "duplicate of r1", "pool.jsonl:10"),
        (
            "pool.jsonl:11",
            "pool",
            "bad row: not JSON: Expecting property name enclosed in double quotes at column 2",
            "pool.jsonl:11",
        ),
    ]


def test_plan_starts_at_once(home):
    heavy = {"torch", "transformers", "pyarrow", "duckdb", "sklearn", "dvclive", "peft", "lm_eval"}
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__'); "
        "print(*sys.modules, sep='\\n')"
    )
    done = run(sys.executable, "-c", code, str(ROOT / "stages/plan.py"), cwd=home)
    assert "dataselect.plan.run" in done.stdout.splitlines()
    assert heavy & set(done.stdout.splitlines()) == set()


# What plan refuses, by calling it.

TRAIN = [
    "epochs", "learning_rate", "batch_size", "micro_batch_size", "schedule", "warmup",
    "weight_decay", "max_grad_norm", "loss_per", "method", "lora_rank", "lora_alpha",
    "lora_dropout", "lora_modules", "dtype", "gradient_checkpointing", "save_steps", "threads",
    "processes", "seed",
]  # fmt: skip
TOP = "pool, queries, tests, tasks, method, budget, seed, model, groups, selector_model, engine"
TOP += ", train, eval"
MODEL_KEYS = "name, revision, dtype, chat, max_tokens, trust_remote_code"

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
        "params.yaml: pool.path: expected a valid string or a valid list; found 5. Mend it there.",
    ),
    "a path of numbers": (
        {"pool": {"path": ["pool.jsonl", 5]}},
        "params.yaml: pool.path: expected a valid string as item 2; found "
        "['pool.jsonl', 5]. Mend it there.",
    ),
    "a block without its names": (
        {"pool": "pool.jsonl"},
        "params.yaml: pool: expected settings by name, like `name: value`; found 'pool.jsonl'. See "
        "the README for what there is.",
    ),
    "a block without its path": (
        {"queries": {}},
        "params.yaml: queries.path: missing. Add it; see the README.",
    ),
    "no block": ({"tests": None}, "params.yaml: `tests` is missing. Add it; see the README."),
    "an unknown way with bad rows": (
        {"pool": {"path": "pool.jsonl", "on_bad_row": "skip"}},
        "params.yaml: pool.on_bad_row: expected 'error' or 'drop'; found 'skip'. Mend it there.",
    ),
    "an unknown key": (
        {"metod": "rds"},
        f"params.yaml: unknown key `metod`. Did you mean `method`? There are: {TOP}.",
    ),
    "a key like no other": ({5: 5}, f"params.yaml: unknown key `5`. There are: {TOP}."),
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
        "params.yaml: tasks: expected 'all' or a valid list; found 'sums'. Mend it there.",
    ),
    "tasks that YAML takes for something else": (
        {"tasks": ["sums", False]},
        "params.yaml: tasks: expected a valid string as item 2; found ['sums', False]. "
        "Mend it there.",
    ),
    "a seed that is text": (
        {"seed": "x"},
        "params.yaml: seed: expected a valid integer; found 'x'. Mend it there.",
    ),
    "a negative seed": (
        {"seed": -1},
        "params.yaml: seed: expected greater than or equal to 0; found -1. Mend it there.",
    ),
    "a seed above what torch and numpy take": (
        {"seed": 2**32},
        "params.yaml: seed: expected less than 4294967296; found 4294967296. Mend it there.",
    ),
    "unknown groups": (
        {"groups": "task"},
        "params.yaml: groups: expected 'auto', 'queries' or 'tasks'; found 'task'. Mend it there.",
    ),
    "a negative learning rate": (
        {"train": {"learning_rate": -1}},
        "params.yaml: train.learning_rate: expected greater than 0; found -1. Mend it there.",
    ),
    "an endless learning rate": (
        {"train": {"learning_rate": float("inf")}},
        "params.yaml: train.learning_rate: expected a finite number; found inf. Mend it there.",
    ),
    "epochs that are text": (
        {"train": {"epochs": "2"}},
        "params.yaml: train.epochs: expected a valid number; found '2'. Mend it there.",
    ),
    "half a row a batch": (
        {"train": {"batch_size": 0.5}},
        "params.yaml: train.batch_size: expected a valid integer; found 0.5. Mend it there.",
    ),
    "two at a time": (
        {"train": {"epochs": 0, "batch_size": True}},
        "params.yaml: train.epochs: expected greater than 0; found 0. Mend it there.\n"
        "params.yaml: train.batch_size: expected a valid integer; found True. Mend it there.",
    ),
    "micro-batches that do not fit": (
        {"train": {"batch_size": 8, "micro_batch_size": 3}},
        "params.yaml: train.batch_size: expected a multiple of train.micro_batch_size (3); found "
        "8. Mend either there.",
    ),
    "an unknown kind of task": (
        {"eval": {"kinds": {"sums": "last_numbr"}}},
        "params.yaml: eval.kinds.sums: no kind is called `last_numbr`. Did you mean "
        "`last_number`? There are: exact_match, last_number, multiple_choice. Or add "
        "eval_kinds/last_numbr.yaml.",
    ),
    "a model that is not there": (
        {"model": {"name": "./nowhere"}},
        "model.name: `./nowhere`: no such folder (looked from {home}). Set it to the "
        "folder of a model, or to a hub name like `meta-llama/Llama-3.1-8B`.",
    ),
    "a folder that is no model": (
        {"model": {"name": "eval_kinds"}},
        "model.name: `eval_kinds`: a folder without config.json: not a model's.",
    ),
    "a model without a name": (
        {"model": {"chat": "tulu"}},
        "params.yaml: model.name: missing. Add it; see the README.",
    ),
    "no tokens": (
        {"model": {"name": "eval_kinds", "max_tokens": 0}},
        "params.yaml: model.max_tokens: expected greater than or equal to 2; found 0. Mend it "
        "there.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_params(home, name):
    wrong, message = MISTAKES[name]
    change(wrong)
    assert mistake(planned) == message.format(home=home, methods=", ".join(read("methods.yaml")))


SCORERS = ", ".join(sorted(p.stem for p in (ROOT / "src/dataselect/scorers").glob("[!_]*.py")))
ROOMS = {"features": "none", "scorer": "random", "aggregator": "top"}
METHODS = {
    "no scorer": (
        {"features": "none", "aggregator": "top"},
        "methods.yaml: mine.scorer: missing. Add it; see the README.",
    ),
    "a method that is nothing": (
        5,
        "methods.yaml: mine: expected settings by name, like `name: value`; found 5. See the "
        "README for what there is.",
    ),
    "a fourth word": (
        {**ROOMS, "scores": "x"},
        "methods.yaml: mine: unknown setting `scores`. Did you mean `scorer`? There are: features, "
        "scorer, aggregator, reference, model.",
    ),
    "an unknown scorer": (
        {**ROOMS, "scorer": "cosin"},
        "methods.yaml: mine: scorer: no scorer is called `cosin`. Did you mean `cosine`? There "
        f"are: {SCORERS}.",
    ),
    "a scorer that is none": (
        {**ROOMS, "scorer": "none"},
        "methods.yaml: mine: scorer: no scorer is called `none`. ",
    ),
    "no scorer at all": (
        {**ROOMS, "scorer": None},
        "methods.yaml: mine.scorer: expected a valid dictionary or a valid string; found None. "
        "Mend it there.",
    ),
    "an unknown feature": (
        {**ROOMS, "features": {"hidden_state": {}}},
        "methods.yaml: mine: features: no feature is called `hidden_state`. Did you mean "
        "`hidden_states`? There are: ",
    ),
    "an unknown setting": (
        {**ROOMS, "features": {"hidden_states": {"poling": "mean"}}},
        "methods.yaml: mine: features: hidden_states: unknown setting `poling`. Did you mean "
        "`pooling`? There are: pooling, over",
    ),
    "a wrong setting": (
        {**ROOMS, "scorer": {"random": {"per": "task"}}},
        "methods.yaml: mine: scorer: random.per: expected 'pool' or 'source'; found 'task'. Mend "
        "it there.",
    ),
    "a setting where there is none": (
        {**ROOMS, "aggregator": {"top": {"k": 5}}},
        "methods.yaml: mine: aggregator: top: unknown setting `k`. It has none.",
    ),
    "two scorers": (
        {**ROOMS, "scorer": {"random": {}, "cosine": {}}},
        "methods.yaml: mine: scorer: expected one name with its settings, found {'random': {}, "
        "'cosine': {}}. Name one.",
    ),
    "settings without names": (
        {**ROOMS, "scorer": {"random": 5}},
        "methods.yaml: mine: scorer: random: expected settings by name, like `name: value`; found "
        "5. See the README for what there is.",
    ),
    "nothing to compare": (
        {**ROOMS, "scorer": "cosine"},
        "methods.yaml: mine: the scorer `cosine` looks at `vectors`, which its features do not "
        "give. There are no features. Name others under `features`.",
    ),
    "no reference to look with": (
        {**ROOMS, "features": "trajectories", "scorer": {"change": {"of": "nll"}}},
        "methods.yaml: mine: the features `trajectories` look with the models that a reference "
        "fits; there is none. Name another under `reference`.",
    ),
    "another reference": (
        {**ROOMS, "reference": "proxy", "features": "gradients", "scorer": "influence"},
        "methods.yaml: mine: the features `gradients` look with the adapters that a reference "
        "fits; `proxy` fits models. Name another under `reference`.",
    ),
    "adapters where a model is looked with": (
        {**ROOMS, "reference": "warmup", "features": "losses", "scorer": "perplexity"},
        "methods.yaml: mine: the features `losses` look with the models that a reference fits; "
        "`warmup` fits adapters. Name another under `reference`.",
    ),
    "a reference without features": (
        {**ROOMS, "reference": "proxy"},
        "methods.yaml: mine: a reference, but no features to look with it. Leave it out.",
    ),
    "a model of its own that is not there": (
        {**ROOMS, "model": {"name": "./gone"}, "features": "lengths"},
        "methods.yaml: mine: model.name: `./gone`: no such folder (looked from ",
    ),
    "a model of its own with a slip": (
        {**ROOMS, "model": {"max_token": 5}, "features": "lengths"},
        "methods.yaml: mine: model: unknown setting `max_token`. Did you mean `max_tokens`?",
    ),
    "a feature that is not measured": (
        {**ROOMS, "features": "losses", "scorer": {"measure": {"name": "probabilty"}}},
        "methods.yaml: mine: the scorer `measure` looks at `probabilty`, which its features do not "
        "give. Did you mean `probability`? There are: whole_nll, response_nll, prompt_nll, "
        "probability, cut. Name others under `features`.",
    ),
}


def test_a_method_that_needs_queries_with_none_given(home):
    change({"queries": None, "method": "random"})
    assert planned()["dedup"]["queries"] == []  # it looks at none
    change({"method": "rds"})
    assert mistake(planned) == (
        "params.yaml: queries: the method `rds` scores rows against queries, and none are given. "
        "Add `queries: {path: …}`, or choose a method that looks at none."
    )


def test_the_model_that_looks(home):
    """model, else selector_model, else the method's own; each says only what it changes."""
    tiny, other = str(GOLDEN / "tiny-llama"), str(ROOT / "demo/base_model")
    change({"model": {"name": tiny, "max_tokens": 300, "dtype": "float32"}, "method": "rds"})

    def looker():
        sections = planned()
        assert sections["train"]["model"]["name"] == tiny
        assert sections["dedup"]["model"]["name"] == tiny
        return {k: sections["embed"]["model"][k] for k in ("name", "max_tokens", "dtype")}

    assert looker() == {"name": tiny, "max_tokens": 300, "dtype": "float32"}
    change({"selector_model": {"name": other}})
    assert looker() == {"name": other, "max_tokens": 300, "dtype": "float32"}
    change({"method": "s2l"})  # whose 512 tokens lift no lower limit
    assert looker() == {"name": other, "max_tokens": 300, "dtype": "float32"}
    change({"selector_model": {"name": other, "max_tokens": 1000}})
    assert looker() == {"name": other, "max_tokens": 512, "dtype": "float32"}
    change({"selector_model": {"max_tokens": 0}})
    assert mistake(planned).startswith("params.yaml: selector_model.max_tokens: expected greater")


def test_another_model_takes_no_revision_or_remote_code_over(home):
    first = {"name": "a/b", "revision": "123", "trust_remote_code": True, "chat": "model"}
    change({"model": first, "selector_model": {"name": "c/d"}, "method": "rds"})
    looker = planned()["embed"]["model"]
    assert looker["revision"] is None
    assert looker["trust_remote_code"] is False
    assert looker["chat"] == "tulu"


def test_a_method_without_features_names_no_model_to_look(home):
    change({"method": "random", "selector_model": {"name": str(ROOT / "demo/base_model")}})
    assert planned()["embed"] == {"features": None}
    change({"selector_model": {"nam": "x"}})
    assert mistake(planned).startswith("params.yaml: selector_model: unknown setting `nam`.")


@pytest.mark.parametrize("name", METHODS)
def test_mistakes_in_methods(home, name):
    method, message = METHODS[name]
    change({"mine": method}, "methods.yaml")
    change({"method": "mine"})
    assert mistake(planned).startswith(message)


@pytest.mark.parametrize(
    "given",
    [
        0,
        -300,
        "abc",
        "0%",
        "-5%",
        "200%",
        "100.1%",
        "%",
        "5%%",
        "nan%",
        "inf%",
        2.5,
        True,
        [5],
        "300",
    ],
    ids=str,
)
def test_a_budget_that_is_none(home, given):
    change({"budget": given})
    assert mistake(planned) == (
        "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
        f'above 0% and at most 100%, like "5%"; found {given!r}. Mend it there.'
    )


@pytest.mark.parametrize("given", [1, 300, "5%", "0.5%", "100%"])
def test_a_budget(home, given):
    change({"budget": given})
    assert planned()["aggregate"]["budget"] == given
    assert parse_budget(given) == given


DROPPED = pl.DataFrame({"reason": ["duplicate of a", "empty", "duplicate of b", "bad row: x"]})


@pytest.mark.parametrize(
    ("given", "height", "rows"),
    [
        (10, 10, 10),
        ("100%", 10, 10),
        ("5%", 100, 5),
        ("5%", 39, 1),
        ("1%", 10, 1),
        ("99.9%", 10, 9),
    ],
)
def test_a_budget_in_rows(given, height, rows):
    assert budget_rows(given, height, DROPPED) == rows


def test_a_budget_above_the_pool():
    assert mistake(budget_rows, 11, 10, DROPPED) == (
        "budget: 11 rows asked of a pool of 10 (after removing 2 exact duplicates and 2 other "
        "rows). Lower `budget` in params.yaml to at most 10."
    )


YAML = {
    "nothing": ("", "expected lines of `name: value`, found None. Add them."),
    "a list": ("- rds\n", "expected lines of `name: value`, found ['rds']. Add them."),
    "a bracket": ("tasks: [a\n", "not YAML: while parsing a flow sequence"),
    "a tab": ("pool:\n\tpath: x\n", "not YAML: while scanning for the next token found character"),
    "a colon": ("method: rds: x\n", "not YAML: mapping values are not allowed here"),
    "a tag": ("seed: !!python/name:os.system\n", "not YAML: could not determine a constructor"),
    "a date that is none": ("seed: 2024-13-45\n", "not YAML: month must be in 1..12"),
    "a list as a name": ("? [a, b]\n: 1\n", "not YAML: while constructing a mapping"),
    "a name twice": (
        "seed: 1\nbudget: 5\nseed: 2\n",
        "not YAML: `seed` stands twice, again in line 3. Mend the file there.",
    ),
    "a name twice in a block": (
        "train: {epochs: 1, epochs: 2}\n",
        "not YAML: `epochs` stands twice, again in line 1. Mend the file there.",
    ),
}


@pytest.mark.parametrize("name", YAML)
def test_a_file_of_settings_that_is_none(in_scratch, name):
    text, message = YAML[name]
    (in_scratch / "params.yaml").write_text(text)
    assert mistake(read, "params.yaml").startswith(f"params.yaml: {message}")


def test_one_block_may_be_built_on_another(in_scratch):
    blocks = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n"
    (in_scratch / "x.yaml").write_text(blocks)
    assert read("x.yaml") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 3, "y": 4}}


def test_a_file_of_settings_in_latin_1(in_scratch):
    (in_scratch / "params.yaml").write_bytes("tasks: [größe]\n".encode("latin-1"))
    assert mistake(read, "params.yaml").startswith("params.yaml: not YAML: 'utf-8' codec can't")


def test_a_file_of_settings_that_is_not_there(in_scratch):
    assert mistake(read, "params.yaml") == (
        f"params.yaml: cannot be read: No such file or directory (looked from {in_scratch}). "
        "Expected a YAML file."
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("1.0e-3", 0.001),
        (".5e1", 5.0),
        ("-2e5", -200_000.0),
        ("+1e+2", 100.0),
        ("0.001", 0.001),
        ("2", 2),
        ("e-3", "e-3"),
        ("1e", "1e"),
        ("1e-3x", "1e-3x"),
        ('"1e-3"', "1e-3"),
    ],
)
def test_numbers_are_yaml_1_2(in_scratch, text, value):
    (in_scratch / "x.yaml").write_text(f"\ufeffx: {text}\n", encoding="utf-8")
    found = read("x.yaml")["x"]
    assert found == value
    assert type(found) is type(value)


def test_numbers_as_people_write_them_are_taken(home):
    text = (home / "params.yaml").read_text()
    assert "train: {}\n" in text
    block = "train: {learning_rate: 1e-3, epochs: 2, warmup: 0, weight_decay: 1e-1}\n"
    (home / "params.yaml").write_text(text.replace("train: {}\n", block))
    train = planned()["train"]
    names = ("learning_rate", "epochs", "warmup", "weight_decay")
    assert [train[name] for name in names] == [0.001, 2.0, 0.0, 0.1]
    assert json.loads(json.dumps(train)) == train


def test_a_file_that_is_named_twice_is_read_once(home):
    change({"pool": {"path": ["pool.jsonl", "p*.jsonl", "tests.jsonl"]}})
    assert [file["path"] for file in planned()["dedup"]["pool"]] == ["pool.jsonl", "tests.jsonl"]


@pytest.mark.parametrize(("train", "expected"), [({}, 7), ({"seed": 3}, 3)])
def test_the_seed_reaches_training(home, train, expected):
    change({"seed": 7, "train": train})
    sections = planned()
    assert sections["train"]["seed"] == expected
    assert sections["score"]["scorer"]["settings"]["seed"] == 7


def test_a_schema_without_settings_takes_none():
    assert check_settings(lambda: None, None, "x") == {}
    assert check_settings(model_settings, {"name": "m"}, "model")["max_tokens"] == 2048
