"""S2L's six sets on made rows of the data sets' own schemas: prompts and answers by hand."""

import json
import subprocess
from pathlib import Path

import pytest

from dataselect.compute import no_progress
from dataselect.fetch.git import newest_commit
from dataselect.tasks import load_task, task_names
from dataselect.tasks._mammoth import FOLDER, REPOSITORY
from dataselect.tasks.math import SUBJECTS, boxed
from dataselect.tasks.run import make_task
from tests.helpers import mistake
from tests.tasks.test_tasks import data_set, made, turns

NAMES = ("gsm8k_zero_shot", "math", "mathematics", "numglue", "simuleq", "svamp")


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def git(*arguments):
    command = ["git", "-C", "clone", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(in_scratch, monkeypatch):
    """Writes a file into a commit of a repository that git reads in place of the published one."""
    address = (in_scratch / "clone").as_uri()
    settings = f'[url "{address}"]\n insteadOf = {REPOSITORY}\n[uploadpack]\n allowFilter = true\n'
    Path("gitconfig").write_text(settings + " allowAnySHA1InWant = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(in_scratch / "gitconfig"))
    Path("clone").mkdir()
    git("init", "--quiet")

    def commit(file, rows):
        path = Path("clone", FOLDER, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows))
        git("add", ".")
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        git(*author, "commit", "--quiet", "--message", file)
        return git("rev-parse", "HEAD")

    return commit


def test_all_are_tests_alone_and_have_a_form_with_programs():
    for name in NAMES:
        task, by_program = load_task(name, "test"), load_task(f"{name}_pot", "test")
        assert task.queries is by_program.queries is None
        assert task.published == by_program.published
        assert by_program.kind == f"{task.kind}_pot"
        assert (task.settings, by_program.settings) == ({}, {"eval": {"run_code": True}})
    assert sum(name.endswith("_pot") for name in task_names()) == len(NAMES)
    assert "no task is called `gsm8k_pot`" in mistake(load_task, "gsm8k_pot", "x")


def test_numglue(repository):
    choice = "Which is less? \nAnswer Choices: (A) web (B) tree"
    rows = [
        {"question": "How many moles?", "answer": 1536, "type": "Type_2"},
        {"question": choice, "answer": "B", "type": "Type_3"},
        {"question": "He has _____ . ", "answer": "4.17", "type": "Type_4"},
    ]
    repository("numglue/numglue.json", rows)
    queries, tests = made("numglue")
    assert queries == []
    assert tests == [
        {"id": f"test-{number}", "messages": turns(rows[number]["question"]), "answer": answer,
         "kind": "mammoth"}
        for number, answer in enumerate(("1536", "B", "4.17"))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file"),
    [("mathematics", "deepmind/deepmind.json"), ("simuleq", "simuleq/simuleq.json")],
)
def test_plain_fields(repository, name, file):
    repository(file, [{"question": "What is 2.0 + 1? ", "answer": "3.0"}])
    assert made(name)[1] == [
        {
            "id": "test-0",
            "messages": turns("What is 2.0 + 1? "),  # as it stands
            "answer": "3.0",
            "kind": "mammoth",
        }
    ]
    (test,) = made(f"{name}_pot")[1]
    assert test["messages"] == turns("What is 2.0 + 1?  Let's write a program.")
    assert (test["answer"], test["kind"]) == ("3.0", "mammoth_pot")


def test_svamp(repository):
    row = {
        "ID": "chal-1",
        "Body": "A pack costs 76 dollars. There are 25 dollars off ",
        "Question": "What do you pay?",
        "Equation": "( 76.0 - 25.0 )",
        "Answer": 51.0,
        "Type": "Subtraction",
    }
    repository("SVAMP/SVAMP.json", [row, {**row, "Answer": 51.5}])
    tests = made("svamp")[1]
    question = "A pack costs 76 dollars. There are 25 dollars off What do you pay?"
    assert [test["answer"] for test in tests] == ["51", "51.5"]
    assert tests[0]["messages"] == turns(question)
    assert made("svamp_pot")[1][0]["messages"] == turns(f"{question} Let's write a program.")


def test_gsm8k():
    rows = [{"question": " How many? ", "answer": "6 * 200 = <<6*200=1200>>1200.\n#### 1,200"}]
    data_set("openai/gsm8k", {("main", "test"): rows})
    for name, prompt in (
        ("gsm8k_zero_shot", "How many?"),
        ("gsm8k_zero_shot_pot", "How many? Let's write a program."),
    ):
        queries, (test,) = made(name)
        assert queries == []
        assert (test["messages"], test["answer"]) == (turns(prompt), "1200")


def test_math():
    def row(subject):
        solution = rf"First \boxed{{1}}, then $\boxed{{\frac{{{subject}}}{{2}}}}$."
        return {"problem": f"{subject}?", "level": "Level 3", "type": subject, "solution": solution}

    splits = {(name, "test"): [row(number)] for number, name in enumerate(SUBJECTS)}
    data_set("EleutherAI/hendrycks_math", splits)
    _, tests = made("math")
    assert [test["id"] for test in tests] == [f"{name}-0" for name in SUBJECTS]
    assert tests[3]["answer"] == r"\frac{3}{2}"
    assert tests[3]["messages"] == turns("3?")
    assert "subtask" not in tests[3]  # the mean is over tests, as published
    assert made("math_pot")[1][3]["messages"] == turns("3? Let's write a program.")


def test_the_last_box_of_a_solution():
    assert boxed(r"$\boxed{x}$ and $\boxed{\{1, \text{a}\}}$") == r"\{1, \text{a}\}"
    for solution in ("no box", r"\boxed{\frac{1}{2}"):
        with pytest.raises(KeyError):
            boxed(solution)


def test_a_solution_without_a_box_is_refused():
    rows = [{"problem": "1?", "solution": "It is 1."}]
    data_set("EleutherAI/hendrycks_math", {(name, "test"): rows for name in SUBJECTS})
    assert "math: tests: a row of its sources has another form" in mistake(made, "math")
    assert not Path("made").exists() or not list(Path("made").iterdir())


def test_a_commit_of_a_repository_is_kept_to(repository):
    first = repository("simuleq/simuleq.json", [{"question": "1?", "answer": "1"}])
    second = repository("simuleq/simuleq.json", [{"question": "2?", "answer": "2"}] * 2)
    assert newest_commit(REPOSITORY) == second
    task = load_task("simuleq", "test")
    for revisions, count, commit in (({}, 2, second), ({REPOSITORY: first}, 1, first)):
        done = make_task("simuleq", task, Path("made"), revisions, no_progress)
        assert (done.tests, done.commits) == (count, {REPOSITORY: commit})


def test_a_repository_without_the_file_or_the_commit_is_named(repository):
    repository("simuleq/simuleq.json", [{"question": "1?", "answer": "1"}])
    assert mistake(made, "svamp").startswith(f"{REPOSITORY} ({FOLDER}/SVAMP/SVAMP.json)")
    task = load_task("simuleq", "test")
    message = mistake(make_task, "simuleq", task, Path("made"), {REPOSITORY: "a" * 40}, no_progress)
    assert f"revision {'a' * 40}: git: " in message
    assert "the revision in remote/tasks/params.yaml" in message


def test_a_repository_that_cannot_be_reached_is_named(in_scratch, monkeypatch):
    Path("gitconfig").write_text(f'[url "{in_scratch.as_uri()}/none"]\n insteadOf = {REPOSITORY}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(in_scratch / "gitconfig"))
    message = mistake(made, "numglue")
    assert message.startswith(f"{REPOSITORY}: git: ")
    assert message.endswith("Check the network, and the revision in remote/tasks/params.yaml.")
