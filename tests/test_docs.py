"""README.md and docs/: their length, what they name, their tables, and every command in them."""

import re
import subprocess
import sys

import pytest
import yaml

from dataselect.data import tables
from dataselect.eval.run import EvalSettings
from dataselect.models.settings import ModelSettings
from dataselect.plan.method import PARTS
from dataselect.plan.params import TOP_LEVEL_KEYS
from dataselect.settings import part_function, part_names, settings_of
from dataselect.tasks import load_task, task_names
from dataselect.train.fit import Recipe
from tests.helpers import ROOT, run
from tests.test_architecture import EVERYTHING, MAY_IMPORT, MODULES, PART_MAY_IMPORT, SOURCE
from tests.test_pipeline import SETTINGS, ran, small_project

DOCS = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.glob("docs/*.md"))}
PAGES = {
    name: (ROOT / name).read_text()
    for name in ("README.md", "demo/README.md", "benchmarks/README.md")
} | DOCS
#: A block: its language, and its text.
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)

# ---- length, names and tables


def test_pages_are_short():
    assert len(PAGES["README.md"].splitlines()) <= 150
    for name, text in DOCS.items():
        if name == "docs/modules.md":  # its tree has a line for each module
            text = without_blocks(text)
        if name != "docs/params.md":  # a line for each setting, made by `dataselect params`
            assert len(text.splitlines()) < 200, name


def without_blocks(text):
    return BLOCK.sub("", text)


def anchors(text):
    """The names of a page's headings, as links have them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", without_blocks(PAGES[page]))
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


#: Files that the reader makes, or brings.
READERS_FILES = {
    "report.parquet",
    *("queries.jsonl", "tests.jsonl", "queries/sums.jsonl", "tests/sums.jsonl", "data.dvc"),
    *("trl_sft.yaml", "axolotl.yaml", "llamafactory.yaml", "dataset_info.json"),
    *("remote/pool.parquet", "eval_kinds/my_kind.yaml", "src/dataselect/score/contrast.py"),
}
SUFFIXES = (".py", ".md", ".yaml", ".sql", ".json", ".jsonl", ".parquet", ".svg", ".lock", "/")


def outputs():
    """What the stages write, as dvc.yaml lists it, and what the docs say is in those folders."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    kinds = ("outs", "metrics", "plots")
    listed = [out for stage in stages for kind in kinds for out in stage.get(kind, [])]
    names = {out if isinstance(out, str) else next(iter(out)) for out in listed}
    return names | {
        "out",
        "out/features/features.json",
        "out/features/pool",
        "out/features/queries",
        "out/reference/reference.json",
        "out/judged/summary.json",
        *(f"out/judged/task/{name}.json" for name in ("outputs", "references", "judgements")),
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page):
    spans = re.findall(r"`([^`\s]+)`", without_blocks(PAGES[page]))
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    known = {*listed.split(), *outputs()}
    known |= {f"{path.parent}/" for path in map(ROOT.joinpath, listed.split())}
    for span in spans:
        if span in READERS_FILES or not span.endswith(SUFFIXES) or span.startswith((".", "/", "*")):
            continue
        there = [name for name in known if f"/{name}/".endswith(f"/{span.rstrip('/')}/")]
        folders = (ROOT, SOURCE, (ROOT / page).parent)
        assert there or any((folder / span).exists() for folder in folders), span


def tree():
    """The modules that their page lists, as paths below src/dataselect."""
    text = next(text for _, text in BLOCK.findall(DOCS["docs/modules.md"]) if "cli.py" in text)
    listed, folder = [], ""
    for line in text.splitlines()[1:]:
        name, phrase = line.split(maxsplit=1)
        assert phrase, line
        depth = (len(line) - len(line.lstrip())) // 2
        folder = folder if depth == 2 else ""
        if name.endswith("/"):
            folder = name
        listed.append(f"{folder}__init__.py" if name.endswith("/") else f"{folder}{name}")
    return listed


def test_a_page_lists_every_module():
    listed = tree()
    assert len(listed) == len(set(listed))
    assert set(listed) == {str(path.relative_to(SOURCE)) for path in MODULES}


def test_the_import_table_is_what_is_asserted():
    page = DOCS["docs/architecture.md"].partition("## Who may import whom")[2]
    stated = {}
    for left, right in re.findall(r"^\| (`.*?) \| (.*?) \|$", page.partition("\n## ")[0], re.M):
        permitted, _, parts = right.partition(";")
        for folder in re.findall(r"`(\w+)`", left):
            stated[folder] = set(re.findall(r"`([\w.]+)`", permitted))
        if parts:
            assert set(re.findall(r"`([\w.]+)`", parts)) == PART_MAY_IMPORT
    assert stated == MAY_IMPORT
    assert all(f"`{name}`" in page for name in EVERYTHING - {"__init__"})


def test_every_method_and_setting_is_described():
    page = DOCS["docs/methods.md"]
    for method in yaml.safe_load((ROOT / "methods.yaml").read_text()):
        assert f"`{method}`" in page, method
        assert f"`{method}`" in PAGES["README.md"], method
    for folder in PARTS.values():
        for name in part_names(folder):
            assert f"| `{name}` |" in page, name
            for setting in settings_of(part_function(folder, name, "docs")):
                assert f"`{setting}`" in page, (name, setting)


def test_every_key_of_params_is_described():
    page = DOCS["docs/settings.md"]
    for key in TOP_LEVEL_KEYS:
        assert f"`{key}" in page, key
    for schema in (ModelSettings, Recipe, EvalSettings):
        for setting in settings_of(schema):
            assert f"`{setting}`" in page, (schema, setting)
    for engine in ("local", "ray"):
        for setting in settings_of(part_function("compute", engine, "docs")):
            assert re.search(rf"\b{setting}\b", DOCS["docs/large-pools.md"]), (engine, setting)


def test_every_column_is_described():
    for name in tables.TABLES:
        for column in tables.schema(name):
            assert f"`{column}`" in DOCS["docs/outputs.md"], (name, column)


def test_every_recipe_and_kind_is_described():
    for recipe in ROOT.glob("sql/*.sql"):
        assert f"sql/{recipe.name}" in DOCS["docs/asking.md"]
    for kind in ROOT.glob("eval_kinds/*.yaml"):
        assert f"`{kind.stem}`" in DOCS["docs/settings.md"]


def test_tables_are_made_from_the_committed_results():
    check = [sys.executable, "benchmarks/readme.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_readme_has_no_figure_of_its_own():
    """Figures stand in tables that benchmarks/readme.py makes; settings are no figures."""
    text = re.sub(r"<!-- \w+: .*?<!-- end -->", "", PAGES["README.md"], flags=re.S)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", without_blocks(text))
    numbers = set(re.findall(r"(?<![\w.])\d[\d,.]*\d|(?<![\w.])\d", text))
    assert numbers <= {"3.11", "300", "100"}  # Python's version, the budget, a title


# ---- commands


def commands(page):
    """The commands of a page's blocks, without comments."""
    for language, text in BLOCK.findall(PAGES[page]):
        assert language in ("bash", "yaml", "python", "text"), (page, language)
        if language == "bash":
            for line in text.splitlines():
                yield re.sub(r"\s+#.*", "", line).strip()


#: Commands that no test runs, and why.
NOT_RUN = {
    "make repro": "minutes: the demo; test_pipeline.py runs the same stages on a small pool",
    "make test": "runs this test",
    "make .venvs/nv_embed/ready": "installs packages; test_makefile.py has its steps",
    "source .venv/bin/activate": "the tests run in the environment",
    "pip install '.[eval,metrics]'": "installs packages; project/test_wheel.py installs the wheel",
    "pip install 'dataselect[ray]'": "installs packages",
    "pip install 'dataselect[s3]'": "installs packages",
    "ray start --head": "needs a cluster; compute/test_ray.py starts one in its process",
    "ray start --address=HEAD:6379": "needs a cluster",
    "dvc repro remote/dvc.yaml": "needs a network; test_remote.py fetches from folders",
    "dvc repro remote/tasks/dvc.yaml:task@gsm8k": "needs a network; test_remote.py fetches from a "
    "folder",
    "dvc repro remote/pools/dvc.yaml:pool@tulu2_unfiltered_200k": "needs a network; test_remote.py "
    "fetches from folders",
    "dvc repro remote/pools/dvc.yaml:pool@mathinstruct": "needs a network; test_remote.py fetches "
    "from a folder",
    "IS_ALPACA_EVAL_2=False alpaca_eval --model_outputs out/judged/alpaca_eval/outputs.json "
    "--reference_outputs out/judged/alpaca_eval/references.json --annotators_config "
    "alpaca_eval_gpt4": "another package, which asks OpenAI",
    "dvc repro demo/dvc.yaml": "minutes: trains the demo's base model",
    'duckdb -cmd ".read sql/views.sql"': "another program; ask/test_views.py reads the file in "
    "DuckDB",
    "pip install 'dataselect[report]'": "installs packages",
    "embedding-atlas report.parquet --x x --y y --text text": "another program",
    "python demo/pretrain.py": "minutes: trains the demo's base model",
}

#: Tests that run a page's commands: their file and name.
PIPELINE = "test_pipeline.py::test_an_experiment_runs_in_the_workspace"
QUEUE = "test_pipeline.py::test_experiments_run_in_a_queue"
S3 = "test_s3.py::project"
GIVEN_UP = "test_kills.py::test_a_killed_experiment_can_be_given_up_and_blocks_no_other"
PROFILES = "plan/test_profiles.py::test_a_profile_is_written_and_replaces_a_file_only_by_force"

SWEEP = "sweep/test_command.py::test_a_killed_sweep_goes_on_and_ends_with_named_experiments"
HUNDRED = "sweep/test_command.py::test_a_hundred_short_runs_with_four_workers_lose_none"
REPORT = "html_report/test_command.py::test_the_commands_of_the_page"
PATTERN = "compare/test_command.py::test_experiments_are_named_by_a_pattern"
INIT = "project/test_command.py::test_the_commands_of_the_page"

#: Commands that another test runs.
ELSEWHERE = {
    "dataselect init": INIT,
    "git init": INIT,
    "dataselect init --pool 'data/*.jsonl' --queries queries.jsonl --tests tests.jsonl --model "
    "meta-llama/Llama-3.2-1B --budget 5%": INIT,
    "dataselect sweep docs/example/sweep.yaml --dry-run": SWEEP,
    "dataselect sweep docs/example/sweep.yaml": SWEEP,
    "dataselect sweep docs/example/sweep.yaml --workers 2": HUNDRED,
    "dataselect compare 'demo-*'": PATTERN,
    "dataselect init --update": INIT,
    "dataselect init --update --yes": INIT,
    "dataselect profile tulu2_200k-gsm8k --write params.yaml --force": PROFILES,
    "dataselect sql": "ask/test_shell.py::test_it_opens_with_the_views",
    "dvc exp run -S method=random": PIPELINE,
    "dvc exp run --queue -S 'method=rds,random' -S budget=100,300": QUEUE,
    "dvc exp run --run-all": QUEUE,
    "dvc queue kill NAME": GIVEN_UP,
    "dvc queue remove NAME": GIVEN_UP,
    "dvc remote add -d shared s3://bucket/folder": S3,
    "dvc remote modify shared endpointurl https://minio.example.org": S3,
    "dataselect report main rds-1 --rows-of rds-1 --baseline random": REPORT,
    "dataselect report out --out my_run.html --text-characters 1000": REPORT,
    "python demo/world.py": "test_demo.py::test_the_generator_makes_the_committed_files",
}

#: Commands that are run here, by test, in this order.
HERE = {
    "run": [
        "dataselect estimate",
        "dataselect tasks",
        "dataselect profile",
        "dataselect profile tulu2-gsm8k",
        "dataselect profile tulu2_200k-gsm8k",
        "dataselect profile tulu2_200k-gsm8k --method less --seed 1",
        "dataselect pools",
        "dvc repro",
        "dataselect sql sql/share_per_source.sql",
        "dataselect sql sql/chosen_by.sql most=3",
        "dataselect sql sql/best_not_selected.sql most=1",
        "dataselect sql sql/hardest_tests.sql most=3",
        "dataselect sql sql/contaminated.sql most=3",
        "dataselect sql sql/contaminated.sql chosen=true most=3",
        "dataselect sql sql/dropped_by_reason.sql",
        'dataselect sql -c "SELECT group_name, count(*) FROM selection GROUP BY ALL"',
        "dataselect why 5",
        "dataselect why '#5' --top 3 --out out",
        "dvc plots show",
        "git add --all",
        "git commit -m 'a run'",
        "dataselect sql sql/overlap.sql --run now=out --run before=HEAD",
        "dataselect compare",
        "dataselect compare HEAD workspace --per-task",
        "dataselect compare --csv > compare.csv",
        "dataselect runs",
        "dataselect figures",
        "dataselect figures HEAD workspace --out pictures --only sources --only scores",
        "dvc exp show --drop '.*' --keep 'Experiment|State|method|budget|mean.score$|contaminated'",
        "dvc metrics diff --targets metrics/eval.json",
        "dvc params diff --targets params.yaml",
        "dvc plots diff HEAD",
        "dvc dag",
        "dataselect report",
        "dataselect export my_rows",
        "git checkout HEAD -- .",
        "dvc checkout dvc.yaml",
    ],
    "share": ["git push", "dvc push", "dvc push --run-cache"],
    "add a pool": ["dvc add data"],
    "in a clone": [
        "dvc pull dvc.yaml",
        "dvc pull --with-deps aggregate",
        "dvc pull data.dvc",
        "dvc pull --run-cache dvc.yaml",
        "dvc repro --pull",
    ],
    "after an edit": ["dvc repro plan", "dataselect adopt embed"],
}


def test_every_command_is_run_or_says_why_not():
    # test_adding_a_method.py does what its page says, word for word.
    given = {line for page in PAGES if page != "docs/adding-a-method.md" for line in commands(page)}
    run_here = [line for lines in HERE.values() for line in lines]
    lists = [*NOT_RUN, *ELSEWHERE, *run_here]
    assert len(lists) == len(set(lists))
    assert given == set(lists)
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), place
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    text = "".join(PAGES.values())
    assert set(re.findall(r"`?\bmake (\w+)(?:`|    #)", text)) <= set(targets)


def test_every_example_of_settings_is_yaml():
    for page, text in PAGES.items():
        for language, block in BLOCK.findall(text):
            if language == "yaml":
                assert isinstance(yaml.safe_load(block), dict), page


def follow(group, home):
    """Runs a group of commands, with the code in the project; returns what each printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(home / "src"))
        return {line: run("bash", "-c", line, cwd=home).stdout for line in HERE[group]}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A small project with a remote for git and one for DVC, both folders."""
    few = {**SETTINGS["eval"], "limit": 1, "before": False}
    pool = {"path": "data/pool-2.parquet"}
    home = small_project(tmp_path_factory.mktemp("project"), eval=few, pool=pool, budget=10)
    store = tmp_path_factory.mktemp("store")
    run("git", "init", "--quiet", "--bare", "git", cwd=store)
    run("git", "remote", "add", "origin", str(store / "git"), cwd=home)
    run("git", "push", "--quiet", "--set-upstream", "origin", "HEAD", cwd=home)
    run("dvc", "remote", "add", "-d", "shared", str(store / "dvc"), cwd=home)
    return home


@pytest.fixture(scope="module")
def printed(project):
    """What the commands of a run print, by command."""
    return follow("run", project)


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
def test_the_commands_of_a_run(project, printed):
    assert "embed" in printed["dataselect estimate"]
    assert (
        "all sources" in printed["dataselect sql sql/overlap.sql --run now=out --run before=HEAD"]
    )
    assert "A budget of " in printed["dataselect why 5"]
    assert "plan" in printed["dvc dag"]
    assert "all runs are of rds" in printed["dataselect compare"]
    assert "rds" in printed["dataselect runs"]
    (example,) = [t for lang, t in BLOCK.findall(DOCS["docs/asking.md"]) if lang == "python"]
    assert "messages" in run("python", "-c", example, cwd=project).stdout


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
@pytest.mark.usefixtures("printed")
def test_a_clone_gets_everything(project, tmp_path):
    follow("share", project)
    # A pool that git does not know; the small project's is in git.
    run("git", "rm", "-r", "--quiet", "--cached", "data", cwd=project)
    run("git", "commit", "--quiet", "--message", "data leaves git", cwd=project)
    follow("add a pool", project)
    run("git", "commit", "--quiet", "--all", "--message", "data in DVC", cwd=project)
    follow("share", project)
    run("git", "clone", "--quiet", str(project), "clone", cwd=tmp_path)
    clone = tmp_path / "clone"
    assert not (clone / "data/pool-1.parquet").exists()
    assert ran(follow("in a clone", clone)["dvc repro --pull"]) == []
    for name in ("out/train.jsonl", "out/model/model.safetensors", "data/pool-1.parquet"):
        assert (clone / name).read_bytes() == (project / name).read_bytes()


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
@pytest.mark.usefixtures("printed")
def test_dvc_sees_an_edit_of_code_only_after_plan(project):
    def would_run():
        # On a dry run, DVC looks in the run cache with the hashes of before: not `ran`.
        return "Running stage 'embed'" in run("dvc", "repro", "--dry", "embed", cwd=project).stdout

    edited = project / "src/dataselect/embed/hidden_states.py"
    edited.write_text(edited.read_text() + "\n\nUNUSED = 1\n")
    assert not would_run()
    adopted = follow("after an edit", project)["dataselect adopt embed"]
    assert "shards kept" in adopted
    assert would_run()
    again = run("dvc", "repro", "embed", cwd=project).stdout
    assert ran(again) == ["embed"]
    assert re.search(r"pool: shards computed +0\b", again)


def test_the_page_of_tasks_has_every_task_as_it_is():
    rows = re.findall(r"^\| (`.*) \|$", DOCS["docs/tasks.md"], re.M)
    stated = {}
    for row in rows:
        names, _, queries, tests, shots, kinds = row.split(" | ")
        for name, kind in zip(names.split(", "), kinds.split(", "), strict=True):
            stated[name.strip("`")] = (queries, tests, shots, kind.strip("`"))
    expected = {}
    for name in task_names():
        task = load_task(name, "docs")
        counts = [f"{count:,}" if count else "–" for count in (*task.published, task.shots)]
        expected[name] = (*counts, task.kind or "–")
    assert stated == expected
