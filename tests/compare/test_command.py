"""`dataselect compare` and `dataselect runs` on made-up projects."""

import csv
import io
import json
import shutil
from dataclasses import replace

import polars as pl
import pytest
from benchmarks import made_up_runs
from benchmarks.made_up_runs import MadeUp, add_experiments, git, keep, make_project
from typer.testing import CliRunner

from dataselect import report
from dataselect.cli import app
from dataselect.compare.scores import BASE_MODEL, MEAN
from dataselect.errors import InputError
from tests.helpers import ROOT

GAINS = {"random": 0.0, "rds": 0.25, "longest": 0.02}
#: Three methods, three seeds each; the first is committed, the others are experiments.
RUNS = [
    MadeUp(
        f"{method}-{seed}", method, seed=seed, gain=gain, seed_gain=0.01 * (seed - 1), before=-0.3
    )
    for method, gain in GAINS.items()
    for seed in range(3)
]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The made-up project, to be copied."""
    home = tmp_path_factory.mktemp("made_up") / "project"
    make_project(home, RUNS[0], RUNS[1:])
    return home


@pytest.fixture
def project(template, tmp_path, monkeypatch):
    """A copy of the made-up project, as the working directory."""
    home = tmp_path / "project"
    shutil.copytree(template, home)
    monkeypatch.chdir(home)
    monkeypatch.setattr(report.console, "_width", 80)
    return home


def printed(*arguments):
    """What the command prints, in 80 columns; an error is raised as it is."""
    with report.console.capture() as tables:
        done = CliRunner().invoke(app, list(arguments), standalone_mode=False)
    if done.exception:
        raise done.exception
    return tables.get() + done.stdout


def refused(*arguments):
    """The message with which the command refuses."""
    with pytest.raises(InputError) as error:
        printed("compare", *arguments)
    return " ".join(str(error.value).split())


def words(text):
    """A text without line breaks."""
    return " ".join(text.split())


def test_all_runs_of_head_are_compared_with_random(project):
    text = printed("compare")
    assert max(map(len, text.splitlines())) <= 80
    shown, _, tied = words(text).partition("What is not shown")
    assert "mean over tasks: rds at 300 is better than random at 300: +" in shown
    assert "mean over tasks: longest at 300 and random at 300 are tied" in tied
    assert "after Holm's correction for 2 comparisons" in shown
    assert "addition" not in text  # a task by itself only with --per-task
    assert "Notes" not in text  # three seeds, one set of settings: nothing to add


def test_the_docs_show_what_is_printed(project):
    page = (ROOT / "docs/compare.md").read_text()
    example = page.partition("checks it -->\n```text\n")[2].partition("```")[0]
    printed_lines = [line.rstrip() for line in printed("compare").strip().splitlines()]
    assert example.splitlines() == printed_lines


def test_nothing_is_checked_out_or_copied(project):
    def state():
        return sorted(
            (str(path.relative_to(project)), path.stat().st_mtime_ns)
            for path in project.rglob("*")
            if path.is_file() and path.name != "index"
        )

    before = state()
    printed("compare")
    assert state() == before


def test_numbers_are_those_of_the_runs(project):
    found = json.loads(printed("compare", "--json", "--per-task"))
    rows = {(row["method"], row["task"]): row for row in found["scores"]}
    methods = (BASE_MODEL, *GAINS)
    assert set(rows) == {(m, t) for m in methods for t in (*made_up_runs.TASKS, MEAN)}
    for method in GAINS:
        runs = [run for run in RUNS if run.method == method]
        means = [run.scores()["mean"] for run in runs]
        row = rows[method, MEAN]
        assert row["score"] == pytest.approx(sum(m["score"] for m in means) / 3, abs=1e-5)
        losses = [mean["answer_nll_nats"] for mean in means]
        assert row["answer_nll_nats"] == pytest.approx(sum(losses) / 3, abs=1e-5)
        assert (row["seeds"], row["tests"], row["budget"]) == ([0, 1, 2], 200, 300)
        assert (row["flops"], row["seconds"]) == (8e12, 60)  # without baseline and eval
    (rds,) = [d for d in found["differences"] if (d["method"], d["task"]) == ("rds", MEAN)]
    gap = rows["rds", MEAN]["score"] - rows["random", MEAN]["score"]
    assert rds["difference"] == pytest.approx(gap)
    assert rds["shown"]
    assert rds["difference_low"] < gap < rds["difference_high"]
    (loss,) = [d for d in found["loss_differences"] if (d["method"], d["task"]) == ("rds", MEAN)]
    gap = rows["rds", MEAN]["answer_nll_nats"] - rows["random", MEAN]["answer_nll_nats"]
    assert loss["difference"] == pytest.approx(gap)
    assert loss["shown"]
    shown = [text.partition(": ")[2] for text in found["shown"] if text.startswith(MEAN)]
    assert shown[0].startswith("rds at 300 is better than random at 300: +24.8 points")
    assert shown[1].startswith("rds at 300 has a lower loss than random at 300: −0.258 nats")


def test_the_model_before_training_is_a_row_and_may_be_the_baseline(project):
    (base, *_) = json.loads(printed("compare", "--json"))["scores"]
    before = RUNS[0].base.scores()["mean"]
    assert (base["method"], base["budget"], base["seeds"]) == (BASE_MODEL, None, [])
    assert base["score"] == pytest.approx(before["score"], abs=1e-5)
    assert base["answer_nll_nats"] == pytest.approx(before["answer_nll_nats"], abs=1e-5)
    assert (base["flops"], base["seconds"], base["contaminated"]) == (None, None, False)
    found = json.loads(printed("compare", "--json", "--baseline", BASE_MODEL))
    assert [d["method"] for d in found["differences"]] == list(GAINS)
    assert all(d["about_methods"] for d in found["differences"])  # it needs no seeds
    assert found["shown"][0].startswith(f"{MEAN}: random at 300 is better than the base model: +")
    assert found["notes"] == []
    alone = printed("compare", "rds-1", "--baseline", BASE_MODEL)
    assert "rds at 300 is better than the base model" in words(alone)


def test_a_model_before_training_that_was_not_scored_or_on_other_tests(project):
    silent = [replace(RUNS[n], name=f"silent-{n}", seed=9, before=None) for n in (0, 3)]
    fewer = replace(RUNS[0], name="fewer", seed=8, tasks={"addition": 50})
    add_experiments(project, [*silent, fewer])
    names = [run.name for run in silent]
    assert BASE_MODEL not in printed("compare", *names)
    text = refused(*names, "--baseline", BASE_MODEL)
    assert "--baseline 'base model': no run has its scores" in text
    (project / "elsewhere").mkdir()
    (project / "elsewhere/evaluation.parquet").write_bytes(RUNS[3].parquet())
    (project / "elsewhere/baseline.parquet").write_bytes(fewer.base.parquet())
    text = words(printed("compare", "elsewhere"))
    assert "the base model is left out: of elsewhere it was scored on other tests" in text
    other = replace(RUNS[1], name="other-base", seed=7, before=-0.1)
    add_experiments(project, [other])
    assert "other results: shown are those of main" in words(
        printed("compare", "main", "other-base")
    )


def test_losses_that_are_missing_are_left_out(project):
    """Tests whose loss is not a number; a run without any; runs without any at all."""
    folders = {"a": RUNS[0], "b": RUNS[3], "c": RUNS[6]}
    for name, run in folders.items():
        (project / name).mkdir()
        frame = run.evaluation()
        if name != "a":
            kept = pl.int_range(pl.len()) >= (5 if name == "b" else 1_000)
            loss = pl.when(kept).then("answer_nll_nats").otherwise(float("nan"))
            frame = frame.with_columns(answer_nll_nats=loss)
        frame.write_parquet(project / name / "evaluation.parquet")
    found = json.loads(printed("compare", "a", "b", "c", "--json", "--baseline", "a"))
    assert [d["method"] for d in found["differences"]] == ["b", "c"]
    assert [d["method"] for d in found["loss_differences"]] == ["b"]
    notes = " ".join(found["notes"])
    assert "no loss of c: the differences of losses leave it out" in notes
    assert "losses: b and a are compared on the tests that all their runs share: 5 others" in notes
    found = json.loads(printed("compare", "a", "c", "--json", "--baseline", "a"))
    assert found["loss_differences"] == []
    assert "Loss minus" not in printed("compare", "a", "c", "--baseline", "a")


def test_a_table_of_losses_is_there_also_where_one_of_several_tasks_has_any(project):
    for name, run in (("a", RUNS[0]), ("b", RUNS[3])):
        (project / name).mkdir()
        loss = pl.when(task="addition").then("answer_nll_nats").alias("answer_nll_nats")
        frame = run.evaluation().with_columns(loss)
        frame.write_parquet(project / name / "evaluation.parquet")
    text = words(printed("compare", "a", "b", "--md", "--baseline", "a"))
    assert "### Minus a, mean over tasks" in text
    assert "### Loss minus that of a, addition" in text
    assert text.count("Points are hundredths") == text.count("lower is better") == 1


def test_csv_has_a_line_for_each_method_and_task(project):
    rows = list(csv.DictReader(io.StringIO(printed("compare", "--csv", "--per-task"))))
    assert len(rows) == 4 * 3
    means = [row for row in rows if row["task"] == MEAN]
    assert [row["difference"] == "" for row in means] == [True, True, False, False]
    assert [row["loss_difference"] == "" for row in means] == [True, True, False, False]
    assert means[1]["runs"] == "main random-1 random-2"


def test_markdown_has_tables_and_sentences(project):
    text = printed("compare", "--md", "rds-0", "random-1")
    assert "| rds | 300 | 1 |" in text
    assert "### What is shown\n\n- mean over tasks: rds at 300 is better" in text
    assert "not about the methods" in text


def test_another_baseline_and_only_one_form(project):
    text = words(printed("compare", "--baseline", "rds"))
    assert "random at 300 is worse than rds at 300" in text
    assert "Did you mean `random`?" in refused("--baseline", "randon")
    assert "expected one form" in refused("--json", "--csv")


def test_single_runs_are_about_these_models(project):
    text = words(printed("compare", "rds-1", "random-1"))
    assert "rds at 300 and random at 300: one of them has a single seed" in text


def test_experiments_revisions_workspace_and_folders(project):
    git(project, "tag", "first")
    folder = project / "elsewhere"
    (folder / "metrics").mkdir(parents=True)
    run = RUNS[4]
    (folder / "evaluation.parquet").write_bytes(run.parquet())
    for name in ("eval.json", "cost.json"):
        (folder / "metrics" / name).write_bytes(run.files()[f"metrics/{name}"])
    hash_of_experiment = git(
        project, "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/rds-0"
    )
    names = ["first", "elsewhere", hash_of_experiment[:12]]
    found = json.loads(printed("compare", "--json", *names))
    assert {row["method"]: row["runs"] for row in found["scores"]} == {
        BASE_MODEL: ["first"],
        "random": ["first"],
        "rds": [hash_of_experiment[:12], "elsewhere"],  # by seed
    }
    assert any("settings of elsewhere are not known" in note for note in found["notes"])
    one = json.loads(printed("compare", "--json", "workspace"))
    assert one["scores"][-1]["runs"] == ["workspace"]
    assert one["notes"] == [
        "nothing is compared: all runs are of random.",
        "--baseline 'base model' compares with the model before training.",
    ]


def test_folders_need_no_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in (RUNS[0], RUNS[3]):
        folder = tmp_path / run.method / "out"
        folder.mkdir(parents=True)
        (folder / "evaluation.parquet").write_bytes(run.parquet())
    found = json.loads(printed("compare", "--json", "random", "rds/out", "--baseline", "random"))
    # Without metrics a folder's name is the method.
    assert [row["method"] for row in found["scores"]] == ["random", "out"]
    assert any("whether tests are contaminated is not known" in note for note in found["notes"])
    assert "not a DVC project" in refused("rds-0")
    metrics = tmp_path / "random" / "metrics"
    metrics.mkdir()
    (metrics / "eval.json").write_bytes(RUNS[3].files()["metrics/eval.json"])
    assert "they are of two runs" in refused("random")
    (tmp_path / "random/out/evaluation.parquet").write_bytes(b"not parquet")
    (metrics / "eval.json").unlink()
    assert "cannot be read" in refused("random")


def test_what_is_no_run(project, tmp_path, monkeypatch):
    assert "no run is called `longest0`. Did you mean `longest-0`?" in refused("longest0")
    assert "holds no evaluation.parquet" in refused("metrics")
    git(project, "rm", "--quiet", "dvc.lock")
    git(project, "-c", "user.name=a", "-c", "user.email=a@invalid", "commit", "-qm", "no lock")
    assert "no run is recorded there: no dvc.lock" in refused("main")
    monkeypatch.chdir(tmp_path)
    assert "not a DVC project" in refused()
    (tmp_path / ".dvc").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "git repository" in refused()


def test_a_project_without_runs(tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "no run to compare" in refused()
    assert "no run is recorded there: no plan.json" in refused("workspace")
    (tmp_path / "plan.json").write_text('{"eval": {"old": 1}}')
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    assert "its plan.json is not one of this version" in refused("workspace")
    (tmp_path / "plan.json").write_text("{")
    assert "workspace: plan.json is not JSON" in refused("workspace")
    (tmp_path / ".dvc/config").write_text("[core]\n    no_such_key = 1\n")
    assert ".dvc/config or .dvc/config.local: config file error: extra keys" in refused()


def test_outputs_that_are_gone_from_the_cache(project):
    keep(project, RUNS[3]).unlink()
    assert "gone from DVC's cache" in refused("rds-0")
    assert "dvc exp pull" in refused("rds-0")
    assert "- rds-0 is left out: its evaluation is gone" in words(printed("compare"))


def test_a_cache_elsewhere(project, tmp_path):
    (project / ".dvc/cache").rename(tmp_path / "cache")
    (project / ".dvc/config").write_text(f"[cache]\n    dir = {tmp_path / 'cache'}\n")
    assert "is left out" not in printed("compare")


def test_the_workspace_counts_as_it_is(project):
    changed = replace(RUNS[0], name="changed", method="less", gain=0.1)
    for path, content in changed.files().items():
        (project / path).write_bytes(content)
    (project / "out").mkdir()
    (project / "out/evaluation.parquet").write_bytes(changed.parquet())  # not in the cache
    assert json.loads(printed("compare", "--json", "workspace"))["scores"][-1]["method"] == "less"
    # Another training is planned, and has not run: the scores are not those of the plan.
    plan = changed.plan()
    plan["train"]["recipe"]["learning_rate"] = 7.0
    (project / "plan.json").write_text(json.dumps(plan))
    assert "its stage train has not run with its settings" in refused("workspace")
    assert "incomplete" in printed("runs")
    # The training file is another one than the model was trained on.
    (project / "plan.json").write_text(json.dumps(changed.plan()))
    lock = (project / "dvc.lock").read_text()
    sum_of_rows = made_up_runs.md5(b"changed")
    (project / "dvc.lock").write_text(lock.replace(sum_of_rows, "0" * 32, 1))
    assert "its stage train has not run" in refused("workspace")


def test_scores_of_another_run_are_not_shown(project):
    """A revision may hold the metrics of the run before: DVC shows them, this does not."""
    (project / "metrics/eval.json").write_bytes(RUNS[8].files()["metrics/eval.json"])
    last = printed("runs").splitlines()
    (row,) = [line for line in last if line.strip().startswith("workspace")]
    assert row.split()[:5] == ["workspace", "random", "300", "0", "–"]


def test_runs_that_are_not_repeats_are_refused(project):
    add_experiments(project, [replace(RUNS[1], name="with-lr", recipe={"learning_rate": 9.0})])
    text = refused()
    assert "random-1 and with-lr are two runs of random at 300, seed 1" in text
    assert "train.recipe.learning_rate (0.001, 9.0)" in text
    text = refused("main", "with-lr", "rds-0")
    assert "differ in more than their seed: in train.recipe.learning_rate" in text
    text = words(printed("compare", "with-lr", "rds-0"))
    assert "differ in more than what chooses the rows: in train.recipe.learning_rate" in text
    add_experiments(project, [replace(RUNS[2], name="newer", seed=5, code="new")])
    text = words(printed("compare", "random-1", "newer", "rds-0"))
    assert "different versions of the code of: dedup, reference" in text


def test_runs_of_different_models_are_refused(project):
    add_experiments(project, [replace(RUNS[3], name="large", model="large", seed=7)])
    text = refused()
    assert "different models: base: main, random-1" in text
    assert "large: large" in text
    assert "large" not in printed("compare", "--model", "base")
    assert "Did you mean `large`?" in refused("--model", "larg")


def test_other_tests_are_refused_or_left_out(project):
    fewer = replace(RUNS[3], name="fewer", tasks={"addition": 90, "sorting": 100})
    other = replace(RUNS[3], name="other", tasks={"reading": 10})
    add_experiments(project, [fewer, other])
    text = refused("random-1", "fewer")
    assert "10 of 200 tests are not scored in all runs (of addition)" in text
    assert "--shared" in text
    found = json.loads(printed("compare", "random-1", "fewer", "--shared", "--json"))
    assert {row["tests"] for row in found["scores"]} == {190}
    assert any("left out, which changes what the scores mean" in note for note in found["notes"])
    assert "name runs that share tests" in refused("random-1", "other", "--shared")


def test_tasks_that_were_not_judged_or_are_contaminated_are_named(project):
    changes = {"not_judged": "sorting"}
    runs = [replace(RUNS[n], name=f"unjudged-{n}", seed=9, **changes) for n in (0, 3)]
    spoilt = replace(RUNS[4], name="spoilt", seed=8, contaminated="addition")
    silent = replace(RUNS[0], name="silent", seed=4, tasks={"x": 5}, not_judged="x")
    add_experiments(project, [*runs, spoilt, silent])
    text = words(printed("compare", "unjudged-0", "unjudged-3"))
    assert "task sorting was not judged, and is left out" in text
    assert "task addition: rds" in text  # the only one
    assert "task sorting was not judged in unjudged-3" in refused("random-1", "unjudged-3")
    text = printed("compare", "random-1", "spoilt")
    assert "task addition is contaminated (*) in spoilt (12 of 100 tests)" in words(text)
    assert "silent: no test has a score" in refused("silent", "random-1")
    assert any(" *" in line and "spoilt" in line for line in printed("runs").splitlines())


def test_budgets_that_the_baseline_lacks_are_left_out_of_the_differences(project):
    more = [replace(RUNS[0], name="r100", budget=100), replace(RUNS[3], name="rds5", budget="5%")]
    add_experiments(project, more)
    text = words(printed("compare"))
    assert "rds at 5% is not compared: random has no run at that budget" in text


def test_a_project_below_the_top_of_its_repository(project, tmp_path, monkeypatch):
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet", "--initial-branch", "main")
    shutil.copytree(project, outer / "inner", ignore=shutil.ignore_patterns(".git"))
    git(outer, "add", "--all")
    git(outer, "-c", "user.name=a", "-c", "user.email=a@invalid", "commit", "-qm", "below")
    monkeypatch.chdir(outer / "inner")
    found = json.loads(printed("compare", "main", "--json"))
    assert found["scores"][-1]["method"] == "random"


def test_a_table_of_runs_in_80_columns(project):
    long = replace(RUNS[3], name="a-name-of-more-than-thirty-letters-in-all", seed=33)
    add_experiments(project, [long])
    text = printed("runs")
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [line.split() for line in text.splitlines() if line.strip().startswith("rds-1")]
    score, loss = (RUNS[4].scores()["mean"][name] for name in ("score", "answer_nll_nats"))
    assert row == ["rds-1", "rds", "300", "1", f"{score:.3f}", f"{loss:.3f}", "8.0e+12"]


def test_waiting_failed_and_running_experiments_have_a_state_and_no_scores(project):
    """As DVC notes them: in the logs of two stashes, and in a file for each that runs."""
    base = git(project, "rev-parse", "HEAD")
    stashes = {"waiting": "refs/exps/celery/stash", "broken": "refs/exps/celery/failed"}
    for name, stash in stashes.items():
        message = f"commit: dvc-exp:{base}:{base}:{name}"
        identity = ("-c", "user.name=a", "-c", "user.email=a@invalid")
        git(project, *identity, "update-ref", "--create-reflog", "-m", message, stash, base)
    noted = {"status": 2, "baseline_rev": base, "result_hash": None}
    for name, location in {"busy": "dvc-task", "long-over": "workspace"}.items():
        path = project / f".dvc/tmp/exps/run/{name}/{base}.run"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**noted, "name": name, "location": location}))
    rows = {line.split()[0]: line.split() for line in printed("runs").splitlines() if line.split()}
    for name, state in {"waiting": "queued", "broken": "failed", "busy": "running"}.items():
        assert rows[name] == [name, "random", "300", "0", state, "–", "–"]
    assert "long-over" not in rows  # DVC leaves such notes of what ran in the workspace
    assert "broken: it failed" in refused("broken", "rds-0")
    assert "busy: it is running" in refused("busy")
    assert "waiting: it has not started" in refused("waiting")
    assert "- waiting is left out: it has not started" in words(printed("compare"))
