"""The whole pipeline under DVC, on a small part of the demo: what runs, and what does not."""

import json
import re
import shutil

import polars as pl
import pytest
import yaml

from tests.helpers import GOLDEN, copy_project, run, small_methods

# One worker, in order: the tests share a project and start from what the ones before left.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]

SETTINGS = {
    "pool": {"path": ["data/pool-*.parquet"], "on_bad_row": "error"},
    "queries": {"path": "data/queries.parquet"},
    "tests": {"path": "data/tests.parquet"},
    "tasks": "all",
    "method": "rds",
    "budget": 20,
    "seed": 0,
    "groups": "auto",
    "model": {"name": "model", "dtype": "float32", "max_tokens": 256},
    "train": {"epochs": 1, "learning_rate": 1e-3, "batch_size": 10, "threads": 1},
    "eval": {"max_new_tokens": 4, "batch_size": 8, "threads": 1},
}


def small_project(home, **changes):
    """A clone with a small pool in two files, five tests a task, and the golden model."""
    copy_project(home)
    data = home / "data"
    data.mkdir()
    pool = pl.read_parquet(home / "demo/world/pool.parquet").head(400)
    pool.head(250).write_parquet(data / "pool-1.parquet")
    pool.tail(150).write_parquet(data / "pool-2.parquet")
    for name, count in (("queries", 2), ("tests", 5)):
        frame = pl.read_parquet(home / f"demo/world/{name}.parquet")
        few = frame.group_by("task", maintain_order=True).head(count)
        few.write_parquet(data / f"{name}.parquet")
    shutil.copytree(GOLDEN / "tiny-llama", home / "model")
    (home / "params.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}, sort_keys=False))
    (home / "methods.yaml").write_text(yaml.safe_dump(small_methods(), sort_keys=False))
    (home / "dvc.lock").unlink(missing_ok=True)
    run("git", "add", "--all", cwd=home)
    run("git", "rm", "--quiet", "--cached", "--ignore-unmatch", "dvc.lock", cwd=home)
    run("git", "commit", "--quiet", "--message", "a small pool", cwd=home)
    return home


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return small_project(tmp_path_factory.mktemp("project"))


def repro(project, *target, **changes):
    """Changes params.yaml, reproduces, and says which stages ran and which came from the cache."""
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**params, **changes}, sort_keys=False))
    return ran(run("dvc", "repro", *target, cwd=project).stdout)


def ran(printed):
    """The stages that DVC says it ran, but for plan, which it always runs."""
    started = re.findall(r"Running stage '(\w+)'", printed)
    cached = re.findall(r"Stage '(\w+)' is cached", printed)
    return [name for name in started if name not in ("plan", *cached)]


def table(project, name):
    return pl.read_parquet(project / "out" / f"{name}.parquet")


#: In the order in which one needs another; `baseline` stands apart from the selection.
ALL = ["dedup", "reference", "embed", "score", "aggregate", "train", "eval", "cost"]


def test_the_whole_runs_and_leaves_what_it_promises(project):
    order = repro(project)
    assert order.index("dedup") < order.index("baseline") < order.index("eval")
    assert [name for name in order if name != "baseline"] == ALL
    pool, selection = table(project, "pool"), table(project, "selection")
    assert pool.height + table(project, "dropped").height == 400
    assert selection.height == 20
    lines = (project / "out/train.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == selection["id"].to_list()
    scores = json.loads((project / "metrics/eval.json").read_text())
    tasks = pl.read_parquet(project / "data/tests.parquet")["task"].unique()
    assert sorted(scores["tasks"]) == sorted(tasks)
    for task in scores["tasks"].values():
        assert task["tests"] == 5
        assert 0 <= task["score"] <= 1
        assert task["answer_nll_nats"] > 0
    mean = sum(task["answer_nll_nats"] for task in scores["tasks"].values()) / len(tasks)
    assert scores["mean"]["answer_nll_nats"] == pytest.approx(mean, abs=1e-5)
    cost = json.loads((project / "metrics/cost.json").read_text())
    assert cost["seconds"]["embed"] > 0
    assert cost["bytes"]["embed"] >= 2 * 64 * pool.height  # hidden size 64
    for way in ("paper", "plotting_code", "tokens"):
        assert cost["flops"][way]["total"] > cost["flops"][way]["training"] > 0
    assert cost["flops"]["tokens"]["total"] < cost["flops"]["paper"]["total"]
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", "--message", "rds", cwd=project)


def test_nothing_runs_when_nothing_changed(project):
    assert repro(project) == []


def test_switching_method_budget_groups_and_seed_never_embeds_again(project):
    rds = (project / "out/selection.parquet").read_bytes()
    score = (project / "metrics/eval.json").read_bytes()
    # A method without features has nothing to embed, and loads no model to find that out.
    assert repro(project, "aggregate", method="random") == ["embed", "score", "aggregate"]
    section = json.loads((project / "out/features/features.json").read_text())
    assert section["features"] is None
    assert not (project / "metrics/eval.json").exists()  # it was the score of rds
    random = table(project, "selection")["id"].to_list()
    assert repro(project, "aggregate", seed=1) == ["score", "aggregate"]
    assert table(project, "selection")["id"].to_list() != random
    assert repro(project, "aggregate", seed=0) == []
    assert repro(project, "aggregate", method="random_balanced") == ["score", "aggregate"]
    assert repro(project, "aggregate", method="rds") == []  # all from the run cache
    assert (project / "out/selection.parquet").read_bytes() == rds
    # The reference stage checks the budget before anything costs; what it leaves is the same.
    assert repro(project, "aggregate", budget="10%") == ["reference", "aggregate"]
    assert table(project, "selection").height == table(project, "pool").height // 10
    assert repro(project, "aggregate", budget=20, groups="queries") == ["score", "aggregate"]
    assert repro(project, "aggregate", groups="auto") == []
    assert repro(project, "aggregate", seed=5) == []  # rds draws nothing
    assert repro(project, seed=0) == []
    assert (project / "metrics/eval.json").read_bytes() == score  # from the run cache


def test_quotas_weights_epochs_and_a_budget_in_tokens_choose_again_and_no_more(project):
    before = (project / "out/selection.parquet").read_bytes()
    mix = {"sources": {"open*": "100%"}, "epochs": {"open_chat": 2}, "tasks": {"addition": 3}}
    assert repro(project, "aggregate", mix=mix) == ["reference", "aggregate"]
    selection = table(project, "selection")
    assert selection["task"].head(2).to_list() == ["addition"] * 2
    lines = (project / "out/train.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == selection["id"].to_list() * 2
    assert json.loads((project / "metrics/aggregate.json").read_text())["lines"] == 40
    budget = {"tokens": 2_000}
    assert repro(project, "aggregate", mix=None, budget=budget) == ["reference", "aggregate"]
    figures = json.loads((project / "metrics/aggregate.json").read_text())
    assert 1_500 < figures["tokens"] <= 2_000
    assert 0 < table(project, "selection").height == figures["rows"]
    assert repro(project, "aggregate", budget=20) == []
    assert (project / "out/selection.parquet").read_bytes() == before


#: With a model, and with a reference. Others share these ways through the stages; what they choose
#: is in the tests of laws.
OF_EACH_KIND = ("rds", "less")


def distinct():
    """A method for every combination of parts; the laws go through all, from features on."""
    combinations = {}
    for name, method in reversed(small_methods().items()):
        words = {word: part for word, part in method.items() if word != "model"}
        names = [next(iter(part)) if isinstance(part, dict) else part for part in words.values()]
        combinations[str(names)] = name
    return [
        pytest.param(name, marks=() if name in OF_EACH_KIND else pytest.mark.torture)
        for name in sorted(combinations.values())
    ]


@pytest.mark.parametrize("method", distinct())
def test_every_method_leads_from_the_pool_to_a_selection(project, method):
    stages = repro(project, "aggregate", method=method)
    chosen = table(project, "selection")
    assert chosen["row"].n_unique() == 20
    sections = json.loads((project / "plan.json").read_text())
    cost = json.loads((project / "metrics/embed.json").read_text())
    measured = sections["embed"]["features"] is not None and method != "longest"
    assert (cost["flops"] > 0) == measured
    fitted = json.loads((project / "out/reference/reference.json").read_text())["checkpoints"]
    assert bool(fitted) == (sections["reference"]["reference"] is not None)
    if method == "rds":
        assert stages == []  # what the tests above left


def test_without_tests_the_pipeline_ends_well(project):
    path = project / "params.yaml"
    right = path.read_text()
    params = {key: value for key, value in yaml.safe_load(right).items() if key != "tests"}
    path.write_text(yaml.safe_dump(params | {"method": "random"}, sort_keys=False))
    done = run("dvc", "repro", cwd=project)
    run("dvc", "plots", "show", "--json", cwd=project)
    path.write_text(right)
    assert "train" in ran(done.stdout)
    assert "no tests: nothing is scored" in done.stdout
    assert table(project, "selection").height == 20
    assert [table(project, name).height for name in ("tests", "baseline", "evaluation")] == [0] * 3
    scores = json.loads((project / "metrics/eval.json").read_text())
    assert (scores["tasks"], scores["mean"]["score"]) == ({}, None)


def test_queries_among_the_tests_are_counted_and_named(project):
    path = project / "data/queries.parquet"
    right = path.read_bytes()
    tests = pl.read_parquet(project / "data/tests.parquet").head(1)
    columns = ["task", "id", "messages"]
    frame = pl.concat([pl.read_parquet(path).select(columns), tests.select(columns)])
    frame.write_parquet(path)
    done = run("dvc", "repro", "dedup", cwd=project)
    path.write_bytes(right)
    printed = " ".join(done.stdout.split())
    named = f"`{tests['id'][0]}` of {tests['task'][0]}"
    assert f"1 queries stand among the tests, or overlap one: {named}. A method" in printed
    counted = json.loads((project / "metrics/dedup.json").read_text())
    assert counted["queries_in_tests"] == 1


@pytest.mark.torture
def test_another_model_may_measure_the_pool(project):
    other = {"name": "demo/base_model"}
    repro(project, "aggregate", method="rds")
    assert "embed" in repro(project, "aggregate", method="rds", selector_model=other)
    sections = json.loads((project / "plan.json").read_text())
    assert sections["embed"]["model"]["name"] == "demo/base_model"
    assert sections["train"]["model"]["name"] == "model"
    assert repro(project, "aggregate", selector_model=None) == []


def test_a_pool_that_grows_is_noticed(project):
    grown = project / "data/pool-3.parquet"
    pl.read_parquet(project / "demo/world/pool.parquet").slice(400, 60).write_parquet(grown)
    assert repro(project, "dedup") == ["dedup"]
    assert table(project, "pool").height + table(project, "dropped").height == 460
    grown.unlink()
    assert repro(project) == []


def test_a_users_mistake_ends_dvc_with_one_message(project):
    path = project / "params.yaml"
    right = path.read_text()
    path.write_text(right.replace("method: rds", "method: rsd"))
    done = run("dvc", "repro", cwd=project, check=False)
    path.write_text(right)
    assert done.returncode != 0
    assert "Did you mean `rds`?" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.fixture
def edit(project):
    """Replaces text in a file of the project's own code; the file is as before at the end."""
    before = {}

    def replace(name, old, new):
        path = project / "src/dataselect" / name
        before.setdefault(path, path.read_text())
        assert old in path.read_text(), name
        path.write_text(path.read_text().replace(old, new, 1))

    yield replace
    for path, text in before.items():
        path.write_text(text)


#: Edits that decide nothing about features: (file, text, its replacement).
IDLE_EDITS = {
    "a wider table": ("report.py", "80", "100"),
    "a docstring": ("embed/hidden_states.py", '"""', '"""Another sentence. '),
    "a comment": ("data/shards.py", "from __future__", "# A comment.\nfrom __future__"),
    "the trainer": ("train/trainer.py", "logging_steps=1", "logging_steps=2"),
}


#: Those that stand for an edit in the feature's own file, and for one in none of its files.
FEW_EDITS = ("a docstring", "the trainer")


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=() if what in FEW_EDITS else pytest.mark.torture)
        for what in IDLE_EDITS
    ],
)
def test_an_edit_that_decides_nothing_embeds_nothing(project, edit, what):
    repro(project, "embed")
    edit(*IDLE_EDITS[what])
    assert repro(project, "embed") == []


def test_an_edit_of_a_scorer_runs_score_and_what_follows(project, edit):
    edit("score/cosine.py", "@ queries.T", "@ -queries.T")
    assert repro(project, "aggregate") == ["score", "aggregate"]


def test_an_edit_of_a_feature_embeds_again(project, edit):
    edit("embed/hidden_states.py", "last_hidden_state", "last_hidden_state * 2")
    assert repro(project, "embed") == ["embed"]


@pytest.mark.torture
def test_an_experiment_of_its_own_runs_the_edited_code(project, edit):
    edit("report.py", "80", "100")
    done = run("dvc", "exp", "run", "--temp", "embed", cwd=project)
    assert ran(done.stdout) == []
    edit("score/cosine.py", "@ queries.T", "@ queries.T / 2")
    done = run("dvc", "exp", "run", "--temp", "aggregate", cwd=project)
    assert ran(done.stdout) == ["score", "aggregate"]


def experiments(project):
    """How many experiments DVC shows, and whether all went well."""
    shown = run("dvc", "exp", "show", "--csv", cwd=project).stdout
    assert "mean.score" in shown.splitlines()[0]
    assert "Failed" not in shown
    kinds = [line.split(",")[2] for line in shown.splitlines()]
    return sum(kind in ("branch_base", "branch_commit") for kind in kinds)


def experiment_rows(shown):
    """Every experiment that `dvc exp show` lists, without the workspace and the commits."""
    for row in shown:
        for experiment in row.get("experiments") or []:
            yield from (rev["data"] for rev in experiment["revs"])


def assert_labels(project):
    """Asserts that no experiment shows another's scores."""
    shown = run("dvc", "exp", "show", "--json", cwd=project).stdout
    for row in experiment_rows(json.loads(shown)):
        params, metrics = row["params"]["params.yaml"]["data"], row.get("metrics", {})
        if label := metrics.get("metrics/eval.json", {}).get("data", {}).get("run"):
            assert label == {name: params[name] for name in ("method", "budget", "seed")}


@pytest.mark.torture
def test_experiments_run_in_a_queue(project):
    before = experiments(project)
    queue = ["dvc", "exp", "run", "--queue", "-S", "method=rds,random", "-S", "budget=10,20"]
    run(*queue, "aggregate", cwd=project)
    run("dvc", "exp", "run", "--run-all", cwd=project)
    assert experiments(project) == before + 4
    assert_labels(project)


@pytest.mark.torture
def test_an_experiment_runs_in_the_workspace(project):
    before = experiments(project)
    run("dvc", "exp", "run", "--name", "by-chance", "-S", "method=random", cwd=project)
    run("git", "checkout", "--quiet", ".", cwd=project)
    run("dvc", "checkout", "--quiet", "dvc.yaml", cwd=project)
    assert experiments(project) == before + 1
    assert_labels(project)
    difference = run("dvc", "metrics", "diff", "HEAD", "by-chance", "--json", cwd=project).stdout
    assert "answer_nll_nats" in difference
    difference = run("dvc", "params", "diff", "HEAD", "by-chance", "--json", cwd=project).stdout
    assert json.loads(difference)["params.yaml"]["method"] == {"old": "rds", "new": "random"}
    graph = run("dvc", "dag", "--mermaid", cwd=project).stdout
    assert "plan" in graph
    assert "eval" in graph
    run("dvc", "plots", "show", "--json", cwd=project)


@pytest.mark.torture
def test_chosen_rows_that_overlap_tests_are_shown_and_may_be_dropped(tmp_path):
    """The pool is three tests and two other rows; all that are left are chosen."""
    pool = {"path": "data/copies.parquet"}
    project = small_project(tmp_path, pool=pool, method="random", budget=5)
    tests = pl.read_parquet(project / "data/tests.parquet").head(3)
    task = tests["task"][0]
    copies = tests.select("id", "messages", source=pl.lit("copies"))
    others = pl.read_parquet(project / "data/pool-1.parquet").tail(2).select(copies.columns)
    pl.concat([copies, others]).write_parquet(project / "data/copies.parquet")
    printed = " ".join(run("dvc", "repro", cwd=project).stdout.split())
    assert "Tests that rows of the pool overlap task tests overlapping rows verdict" in printed
    assert f"selected rows overlap task tests overlapping rows verdict {task} 5 3 3" in printed
    assert "* contaminated: rows that the model was trained on overlap its tests" in printed
    assert f"its tests: {task} (3 of 5 tests)" in printed
    scores = json.loads((project / "metrics/eval.json").read_text())
    counted = scores["tasks"][task]["contamination"]
    assert (counted["overlapping_tests"], counted["contaminated"]) == (3, True)
    repro(project, budget=2, decontaminate={"action": "drop"})
    assert sorted(table(project, "selection")["id"]) == sorted(others["id"])
    assert table(project, "dropped")["reason"].unique().to_list() == ["overlaps a test"]
    assert "contamination" not in (project / "metrics/eval.json").read_text()
