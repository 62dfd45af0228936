"""Profiles: every cell of the papers' tables is a params.yaml that the plan takes."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dataselect import cli
from dataselect.errors import InputError
from dataselect.models.architecture import from_config, gated_shapes
from dataselect.plan import memory as memory_module
from dataselect.plan import run as run_module
from dataselect.plan.memory import training_memory
from dataselect.plan.params import read_yaml
from dataselect.plan.profile_cost import CARDS, SHARE_OF_PEAK, profile_cost
from dataselect.plan.profile_names import patterns, profiles
from dataselect.plan.profile_page import as_yaml, show_profile
from dataselect.plan.profiles import compose
from dataselect.plan.run import plan
from tests.helpers import ROOT, mistake

#: The methods of table 1, in its order.
TABLE_1 = ["random", "random_balanced", "less", "embed_nv", "embed_gtr", "top_ppl", "mid_ppl"]
TABLE_1 += ["ifd_bfloat16", "longest", "rds"]
RDS_VARIANTS = ["rds_last_token", "rds_mean", "rds_prompt_only", "rds_response_only"]

#: What S2L's tables compare, but for what needs another method of methods.yaml.
S2L = ["random", "least_confidence", "middle_ppl", "high_learnability", "facility_location"]
S2L += ["confidence_curriculum", "s2l", "s2l_published"]


@pytest.fixture
def project(in_scratch, monkeypatch):
    """A folder with the project's settings; `fetched` adds empty files."""
    for name in ("profiles", "remote/pools", "eval_kinds", "demo/base_model"):
        shutil.copytree(ROOT / name, in_scratch / name)
    shutil.copy(ROOT / "methods.yaml", in_scratch)
    monkeypatch.setattr(run_module, "code_hash", lambda *_: "")  # most of a plan's time
    return in_scratch


def fetched(params):
    """Makes empty files of the pool and the tasks that a params.yaml names."""
    paths = [Path(params["pool"]["path"])]
    for side in ("queries", "tests"):
        names = params.get(side, {}).get("from", [])
        paths += [Path(f"remote/tasks/{name}/{side}.parquet") for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names():
    """The names of all profiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return list(profiles())


def planned(name, **changes):
    """The plan of the text that a profile is written as, and its parts."""
    composed = compose(name, changes)
    Path("params.yaml").write_text(as_yaml(composed))
    params = read_yaml("params.yaml")
    assert params == composed.params
    fetched(params)
    return plan(params, read_yaml("methods.yaml")), composed


@pytest.mark.parametrize("name", names())
def test_a_profile_is_a_plan(name, project):
    sections, composed = planned(name)
    assert sections.aggregate.budget == composed.params["budget"]
    assert len(sections.dedup.tests) == len(composed.profile.tasks)
    if composed.profile.model != "demo":  # from the hub: known by name and revision
        assert sections.train.model.md5 is None
        assert sections.train.model.name == composed.models[composed.profile.model]["name"]


@pytest.mark.parametrize("pool", ["tulu2_200k", "tulu2"])
@pytest.mark.parametrize("method", [*TABLE_1, *RDS_VARIANTS])
def test_every_cell_of_table_1_is_a_plan(pool, method, project):
    for task in ("mmlu", "gsm8k", "bbh", "tydiqa", "humaneval", "squad", "alpaca_eval"):
        sections, composed = planned(f"{pool}-{task}", method=method)
        assert sections.eval.run.method == method
        assert sections.train.recipe.epochs == 2
        assert sections.aggregate.budget == 10_000
        assert sections.eval.options.run_code == (task == "humaneval")
        # LESS's own choice would be the best subtask's mean; table 1 takes the queries in turn.
        if method == "less":
            assert sections.score.scorer.settings["groups"] == "queries"
        sources = {"science*": "science", "hard_coded": None}
        wanted = sources if (pool, method) == ("tulu2", "random_balanced") else None
        if pool == "tulu2":
            assert composed.params["pool"].get("sources") == wanted


#: Llama 2's 7 B.
LLAMA = {
    "model_type": "llama", "vocab_size": 32_000, "hidden_size": 4_096, "num_hidden_layers": 32,
    "intermediate_size": 11_008, "num_attention_heads": 32, "num_key_value_heads": 32,
}  # fmt: skip


@pytest.mark.parametrize("method", TABLE_1)
def test_training_and_reference_of_table_1_fit_into_an_h100(method, project, monkeypatch):
    monkeypatch.setattr(memory_module, "gpu_memories", lambda: [85.5e9])
    shape = from_config(LLAMA, gated_shapes(LLAMA))
    monkeypatch.setattr(memory_module, "read_architecture", lambda _: shape)
    sections, composed = planned("tulu2_200k-gsm8k", method=method)
    lines = training_memory(sections)  # refuses what cannot fit
    most = [float(re.search(r"at most ([\d.]+) GB .* of 85\.5 GB on each GPU", line)[1])
            for line in lines]  # fmt: skip
    assert max(most) <= 85.5
    reference = composed.parts.reference_contract
    assert len(lines) == (1 if reference is None else 2)
    if method == "ifd_bfloat16":
        sections, _ = planned("tulu2_200k-gsm8k", method="ifd")
        assert "`weights: bfloat16`" in mistake(training_memory, sections)


@pytest.mark.parametrize("method", [*TABLE_1])
def test_every_row_of_tables_2_and_3_is_a_plan(method, project):
    for name, budget in (("tulu2-all", 326_000), ("tulu3-all", 939_000)):
        sections, _ = planned(name, method=method)
        assert sections.aggregate.budget == budget
        assert len(sections.dedup.queries) == len(sections.dedup.tests) == 7


@pytest.mark.parametrize("method", S2L)
def test_s2l_trains_equally_many_steps_whatever_the_budget(method, project):
    for budget, epochs in ((30_000, 26.1), (50_000, 15.7), (100_000, 7.9)):
        sections, _ = planned(f"mathinstruct-{budget}", method=method)
        recipe = sections.train.recipe
        assert recipe.steps == 3 * -(-262_039 // 128)  # three epochs of everything
        assert round(recipe.passes(budget), 1) == epochs
        assert recipe.group_by_length
        assert recipe.schedule == "cosine"
        assert sections.train.model.chat == "alpaca"
        if sections.reference.model is not None:
            assert sections.reference.model.name == "EleutherAI/pythia-70m-deduped"
            assert sections.reference.model.chat == "alpaca"


def test_s2l_as_published_groups_by_length_and_clusters_without_a_least_size(project):
    sections, _ = planned("mathinstruct-50000")
    assert sections.reference.reference.settings["group_by_length"]
    assert sections.score.scorer.settings["rows_per_cluster"] == 1


def test_another_model_selects(project):
    sections, _ = planned("tulu2-by-llama-2-70b")
    assert sections.embed.model.name == "meta-llama/Llama-2-70b-hf"
    assert sections.train.model.name == "meta-llama/Llama-2-7b-hf"
    sections, _ = planned("tulu2_200k-gsm8k", selector="qwen2.5-1.5b", model="a/b", seed=4)
    assert sections.embed.model.name == "Qwen/Qwen2.5-1.5B"
    assert sections.train.model.name == "a/b"
    assert sections.train.recipe.seed == 4


def test_queries_from_outside_the_tasks(project):
    sections, _ = planned("tulu2-wildchat")
    assert [file.path for file in sections.dedup.queries] == [
        "remote/tasks/wildchat/queries.parquet"
    ]
    assert sections.dedup.query_tasks == "all"
    assert len(sections.dedup.tests) == 7


def test_parts_that_profiles_name_are_there(project):
    models, recipes = read_yaml("profiles/models.yaml"), read_yaml("profiles/recipes.yaml")
    tables = read_yaml("profiles/published.yaml")
    for name in profiles():
        composed = compose(name, {})
        profile = composed.profile
        assert profile.recipe in recipes, name
        assert {profile.model, profile.selector or profile.model} <= set(models), name
        if profile.published:
            assert (profile.row or profile.method) in tables[profile.published]["rows"] or (
                profile.row and profile.row.startswith("s2l-")
            ), name


def test_published_rows_have_a_number_for_each_column_and_their_mean():
    for name, table in read_yaml(ROOT / "profiles/published.yaml").items():
        for row, numbers in table["rows"].items():
            if not isinstance(numbers, list):
                assert "mean" in table["columns"], (name, row)
                continue
            assert len(numbers) == len(table["columns"]), (name, row)
            if table["columns"][-1] == "mean":
                *tasks, mean = numbers
                assert sum(tasks) / len(tasks) == pytest.approx(mean, abs=0.16), (name, row)


# ---- what is printed


def printed(capsys, name, **changes):
    show_profile(name, changes, None, False)
    return capsys.readouterr().out


def row(page, name):
    """The figures of a line of a printed table."""
    return next(line.split()[1:] for line in page.splitlines() if line.startswith(f" {name} "))


def test_the_cost_is_that_of_the_published_formulas(project, capsys):
    """Worked by hand: RDS+ takes 2·L·2NP, training 2·L·6ND, with L = 2,048."""
    parameters = 6_738_415_616
    selection = 2 * 2048 * 2 * parameters * 200_000
    training = 2 * 2048 * 6 * parameters * 10_000
    hours = (selection + training) / (0.4 * 989e12) / 3600
    page = printed(capsys, "tulu2_200k-gsm8k")
    assert row(page, "selection")[:2] == [f"{selection:.1e}", f"{selection / 2:.1e}"]
    assert row(page, "training")[:2] == [f"{training:.1e}"] * 2
    assert row(page, "total")[2] == f"{hours:.1f}"
    assert "training holds 53.9 GB, measuring rows 13.5 GB" in " ".join(page.split())
    page = " ".join(printed(capsys, "tulu2_200k-gsm8k", method="ifd").split())
    assert "training holds 53.9 GB, fitting the method's reference 107.8 GB, measuring" in page


def test_nv_embed_reads_as_much_as_published(project):
    sections, composed = planned("tulu2_200k-gsm8k", method="embed_nv")
    assert composed.params["selector_model"] == {"max_tokens": 8192}
    assert sections.embed.model.name == "nvidia/NV-Embed-v2"
    assert sections.embed.model.max_tokens == 8192
    assert sections.train.model.max_tokens == 2048
    _, composed = planned("tulu2_200k-gsm8k", method="embed_gtr")
    assert "selector_model" not in composed.params


def test_the_costs_of_the_page_are_those_of_the_formulas(project):
    page = (ROOT / "docs/reproducing.md").read_text()
    lines = re.findall(
        r"^\| `([\w.-]+)` \| (`.*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+|–) \|$",
        page,
        re.M,
    )
    assert len(lines) >= 10
    for name, methods, *figures in lines:
        for method in re.findall(r"`(\w+)`", methods):
            cost = profile_cost(compose(name, {"method": method}))
            flops = [cost.flops["paper"][step] for step in ("selection", "training")]
            hours = [f"{number / (CARDS['H100'] * SHARE_OF_PEAK) / 3600:.1f}" for number in flops]
            memory = [
                f"{held / 1e9:.1f}" if held else "–"
                for held in (cost.trained_bytes, cost.reference_bytes)
            ]
            assert figures == [*hours, *memory], (name, method)


def test_every_profile_and_method_of_the_page_is_there(project):
    page = (ROOT / "docs/reproducing.md").read_text()
    known = {*profiles(), *(pattern for pattern, *_ in patterns())}
    methods = set(read_yaml("methods.yaml")) | {"rds_task_mean", "embed_gtr_task_mean"}
    named = re.findall(
        r"`((?:tulu|math|small_gpu|smoke|clinical|open_i)[\w.-]*)(?: --\w+ \w+)*`", page
    )
    # A task of the same name is none.
    assert set(named) - known == set()
    assert set(re.findall(r"--method (\w+)", page)) <= methods


def test_a_method_that_measures_nothing_costs_training_alone(project, capsys):
    for method in ("random", "longest"):
        page = printed(capsys, "tulu2_200k-gsm8k", method=method)
        assert row(page, "selection")[:2] == ["0", "0"]
        assert "measuring" not in page


def test_a_small_gpu_takes_an_evening(project, capsys):
    page = printed(capsys, "small_gpu-gsm8k")
    assert float(row(page, "total")[-2]) < 7  # hours of an RTX 4090, by the most costly formula
    memory = " ".join(page.split()).partition("training holds ")[2]
    assert float(memory.split()[0]) < 8  # GB of 24


@pytest.mark.parametrize("changes", [{"model": "somebody/model"}, {"selector": "somebody/model"}])
def test_the_cost_of_a_model_of_unknown_size_is_not_printed(project, capsys, changes):
    page = printed(capsys, "tulu2_200k-gsm8k", **changes)
    assert "Cost: not known before the pool is there" in page
    assert "FLOPs" not in page


def test_published_results_are_those_of_the_row_and_marked(project, capsys):
    page = printed(capsys, "tulu2-gsm8k")
    assert "Published, in percent; not measured here" in page
    assert row(page, "gsm8k") == ["33.9", "17.4"]
    assert row(printed(capsys, "tulu2-gsm8k", method="embed_nv"), "gsm8k") == ["23.1", "17.4"]
    assert row(printed(capsys, "tulu2-arena_hard"), "mean") == ["50.4", "44.5"]
    assert row(printed(capsys, "mathinstruct-50000"), "math") == ["32.7"]


@pytest.mark.parametrize("changes", [{"budget": 20}, {"model": "a/b"}, {"method": "s2l"}])
def test_what_was_not_published_has_nothing_to_compare_with(project, capsys, changes):
    name = "tulu2_200k-gsm8k"
    assert "compare with: none." in printed(capsys, name, **changes)


def test_the_next_commands_lead_to_the_result(project, capsys):
    page = printed(capsys, "tulu2-gsm8k", method="random", seed=1)
    assert page.rstrip().splitlines()[-4:] == [
        "  dvc repro remote/pools/dvc.yaml:pool@tulu2_unfiltered",
        "  dvc repro remote/tasks/dvc.yaml:task@gsm8k",
        "  dataselect profile tulu2-gsm8k --method random --seed 1 --write params.yaml --force",
        "  dvc repro",
    ]
    Path("profiles/profiles.yaml").write_text(
        Path("profiles/profiles.yaml").read_text().replace("remote/tasks/open_i/", "mine/")
    )
    assert "# mine/pool.parquet: bring it yourself" in printed(capsys, "open_i")


def test_a_pool_that_comes_with_the_tests_needs_no_command_of_its_own(project, capsys):
    page = printed(capsys, "clinical")
    assert "path: remote/tasks/clinical/pool.parquet" in page
    assert page.partition("Next:\n")[2].split("\n")[0] == (
        "  dvc repro remote/tasks/dvc.yaml:task@clinical"
    )


def test_what_tasks_need_stands_above_them(project):
    text = as_yaml(compose("tulu2-all", {}))
    comment = text.partition("\ntests:")[0].rpartition("queries:\n")[2].replace("\n# ", " ")
    assert "Needed: eval.run_code: true (for humaneval); a judge, as eval.judge:" in comment
    text = as_yaml(compose("clinical", {}))
    assert "# Tasks by name: `dataselect tasks`. Needed: gated files in remote/rrs-mimiciii" in text
    assert not text.partition("\neval:")[0].splitlines()[-1].startswith("#")


def test_a_rounded_number_of_rows_limits_no_budget(project):
    assert compose("tulu2-gsm8k", {"budget": 5_840_000}).params["budget"] == 5_840_000


def test_profiles_are_read_from_within_a_folder(project, monkeypatch, capsys):
    (project / ".dvc").mkdir()
    page = printed(capsys, "tulu2-gsm8k")
    (project / "notes").mkdir()
    monkeypatch.chdir(project / "notes")
    assert printed(capsys, "tulu2-gsm8k") == page


# ---- the command


def profile_command(*options):
    return CliRunner().invoke(cli.app, ["profile", *options], catch_exceptions=True)


def test_all_profiles_are_listed_in_80_columns(project):
    done = profile_command()
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert "tulu2-TASK" in lines
    assert "  TASK: mmlu, gsm8k, bbh, tydiqa, humaneval, squad, alpaca_eval" in lines


def test_a_profile_is_written_and_replaces_a_file_only_by_force(project):
    assert profile_command("tulu2-gsm8k", "--write", "params.yaml").exit_code == 0
    written = read_yaml("params.yaml")
    assert written["tests"] == {"from": ["gsm8k"]}
    again = profile_command("tulu2-mmlu", "--write", "params.yaml", "--budget", "5%")
    assert isinstance(again.exception, InputError)
    assert "Add --force" in str(again.exception)
    assert "git checkout HEAD -- params.yaml" in str(again.exception)
    assert read_yaml("params.yaml") == written
    options = ("--write", "params.yaml", "--budget", "20", "--force")
    assert profile_command("tulu2-mmlu", *options).exit_code == 0
    assert read_yaml("params.yaml")["budget"] == 20
    assert not list(project.glob(".params*"))
    elsewhere = profile_command("tulu2-mmlu", "--write", "other.yaml").stdout
    assert elsewhere.rstrip().splitlines()[-2:] == ["  cp other.yaml params.yaml", "  dvc repro"]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("tulu2-gms8k", {}, "no profile is called `tulu2-gms8k`. Did you mean `tulu2-gsm8k`?"),
        ("tulu2-gsm8k", {"method": "rsd"}, "no method is called `rsd`. Did you mean `rds`?"),
        ("tulu2-gsm8k", {"model": "llama"}, "no model is called `llama`. Did you mean"),
        ("tulu2_200k-gsm8k", {"budget": 200_001}, "200,001 rows; the pool has 200,000. Lower it."),
        ("tulu2-gsm8k", {"budget": "many"}, "--budget: expected a whole number of rows above 0"),
        ("tulu2-gsm8k", {"budget": 0}, 'at most 100%, like "5%"; found 0. Give another.'),
        ("tulu2-gsm8k", {"seed": -1}, "--seed: expected greater than or equal to 0; found -1."),
        ("tulu2-gsm8k", {"method": "rsd"}, "--method: no method is called `rsd`."),
        ("tulu2-gsm8k", {"model": "minilm"}, "`minilm` embeds sentences: it has no loss"),
        ("tulu2-gsm8k", {"selector": "nvidia/NV-Embed-v2"}, "`nvidia/NV-Embed-v2` embeds"),
        ("mathinstruct-50000", {"method": "rds"}, "this profile has none. Choose a method that"),
    ],
)
def test_what_is_wrong_is_said(project, name, changes, message):
    assert message in mistake(compose, name, changes)


def change_profiles(text):
    Path("profiles/profiles.yaml").write_text(text)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("pool: x", "profiles.yaml: p-a.about: missing. Add it"),
        ("recipes: x", "profiles.yaml: p-a: unknown setting `recipes`. Did you mean `recipe`?"),
    ],
)
def test_a_wrong_entry_is_said(project, entry, message):
    change_profiles(f"p-TASK: {{TASK: [a], {entry}}}\n")
    assert message in mistake(compose, "p-a", {})


def test_a_word_in_capitals_needs_its_list(project):
    change_profiles("p-TASK: {about: x}\n")
    assert "p-TASK: expected a list `TASK` of values" in mistake(compose, "p-a", {})
