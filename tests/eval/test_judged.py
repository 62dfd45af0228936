"""Judged tasks from outputs to scores, with a judge on loopback; and without one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from dataselect.data import files, tables
from dataselect.errors import InputError
from dataselect.eval import judge_client, judged
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.judge_prompt import model_first
from dataselect.eval.judged import evaluate_and_judge, with_judgements
from dataselect.eval.judged_files import Target
from dataselect.eval.run import EvalOptions
from dataselect.eval.summary import summary
from tests.eval.judge_server import FIRST, SECOND, judge_server
from tests.helpers import MODEL, ROOT, change, mistake, run, table

pytestmark = pytest.mark.slow

KEY = "sk-test-abcdefghijklmnop"
TARGET = Target(Path("out/judged"), "mine")


@pytest.fixture(autouse=True)
def here(request, in_scratch, monkeypatch):
    if "home" not in request.fixturenames:  # which has them
        shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")
        short_outputs()
    monkeypatch.setattr(judge_client, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return in_scratch


def short_outputs():
    kind = Path("eval_kinds/alpaca_eval.yaml")
    kind.write_text(kind.read_text().replace("max_gen_toks: 2048", "max_gen_toks: 4"))


def table_of_tests(count=4):
    """Four judged tests of two subtasks, the first three in one; and one of another task."""
    rows = [
        ("open", f"t{i}", turns(f"Name {i}."), "a reference", None, "alpaca_eval", None)
        for i in range(count)
    ]
    rows.append(("sums", "s", turns("1 + 1?"), "2", None, "exact_match", None))
    subtasks = ["koala" if i < 3 else "vicuna" for i in range(count)] + [None]
    return table("tests", rows).with_columns(subtask=pl.Series(subtasks, dtype=pl.String))


def turns(question):
    answer = {"role": "assistant", "content": "a reference"}
    return [{"role": "user", "content": question}, answer]


def options(judge=None):
    return EvalOptions(max_new_tokens=4, batch_size=4, long_prompts="error", limit=None, threads=1,
                       judge=judge)  # fmt: skip


def judge_of(server, **changes):
    return JudgeSettings(url=server.url, model="m", retries=0, **changes)


def prefer_the_model(body):
    """Prefers the output that is not the reference."""
    text = body["messages"][-1]["content"]
    return SECOND if '"model_1",\n        "answer": """a reference"""' in text else FIRST


def scored(server=None, target=TARGET, **changes):
    judge = judge_of(server, **changes) if server else None
    return evaluate_and_judge(MODEL, table_of_tests(), options(judge), target, "code")


def written(name):
    return json.loads((TARGET.folder / name).read_text())


def test_without_a_judge_a_task_has_no_score_and_its_outputs_are_written():
    frame, counts = scored()
    tables.check("evaluation", frame, "test")
    assert frame["value"].to_list() == [None] * 4 + [0.0]
    assert counts == {"open": {"judged": 0}}
    result = with_judgements(summary(frame), counts)
    assert result["tasks"]["open"]["score"] is None
    assert result["tasks"]["open"]["answer_nll_nats"] > 0
    assert result["mean"]["score"] == 0.0
    assert result["mean"]["tasks_not_judged"] == 1
    outputs, references = written("open/outputs.json"), written("open/references.json")
    assert [row["instruction"] for row in outputs] == [f"Name {i}." for i in range(4)]
    assert [row["output"] for row in outputs] == [text.strip() for text in frame["output"][:4]]
    assert outputs[3]["dataset"] == "vicuna"
    assert {row["generator"] for row in outputs} == {"mine"}
    assert [row["output"] for row in references] == ["a reference"] * 4
    assert written("summary.json") == {"judge": None, "tasks": counts}
    assert not (TARGET.folder / "open/judgements.json").exists()


def test_the_outputs_are_what_alpaca_eval_reads():
    """The two files joined by instruction, as alpaca_eval does before it annotates pairs."""
    scored()
    outputs = pl.read_json(TARGET.folder / "open/outputs.json")
    references = pl.read_json(TARGET.folder / "open/references.json")
    joined = references.join(outputs, on="instruction")
    columns = {"instruction", "output", "generator", "dataset"}
    assert set(outputs.columns) == set(references.columns) == columns
    assert joined.height == 4
    assert set(outputs.dtypes) == {pl.String}


def test_a_win_rate_is_over_all_tests():
    def respond(body):
        text = body["messages"][-1]["content"]
        better = prefer_the_model(body)
        return better if "Name 0" in text else {FIRST: SECOND, SECOND: FIRST}[better]

    with judge_server(respond) as server:
        frame, counts = scored(server, price=30.0)
    assert frame["value"].to_list() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert frame["subtask"].to_list() == [None] * 5
    assert counts["open"] == {
        "judged": 4,
        "wins": 1,
        "draws": 0,
        "losses": 3,
        "not_understood": 0,
        "refused": 0,
        "tokens": 40,
        "price": 0.0012,
    }
    result = with_judgements(summary(frame), counts)
    assert result["tasks"]["open"]["score"] == 0.25  # a mean over subtasks would be 1/6
    assert "tasks_not_judged" not in result["mean"]
    rows = written("open/judgements.json")
    assert [row["preference"] for row in rows] == [1.0, 0.0, 0.0, 0.0]
    assert rows[0]["answer"] in (FIRST, SECOND)
    assert rows[0]["judge"] == "judge-0314"
    firsts = ["output" if model_first(f"Name {i}.") else "reference" for i in range(4)]
    assert [row["first"] for row in rows] == firsts
    assert written("summary.json")["judge"] == {"url": server.url, "model": "m"}
    assert server.keys == [f"Bearer {KEY}"] * 4


def test_a_test_that_was_not_understood_is_left_out_of_the_mean():
    def respond(body):
        text = body["messages"][-1]["content"]
        return "?" if "Name 1" in text else prefer_the_model(body)

    with judge_server(respond) as server:
        frame, counts = scored(server)
    assert frame["value"].to_list() == [1.0, None, 1.0, 1.0, 0.0]
    assert (counts["open"]["judged"], counts["open"]["not_understood"]) == (3, 1)
    assert summary(frame)["tasks"]["open"]["score"] == 1.0


def test_a_failed_run_leaves_nothing_and_generates_nothing_again(monkeypatch):
    with judge_server(lambda _body: (503, {}, {})) as server:
        assert "0 of 4 questions are answered" in mistake(scored, server)
        assert not Path("out").exists()
        server.respond = prefer_the_model
        monkeypatch.setattr(judged, "evaluate", generates_again)
        frame, _ = scored(server)
    assert frame["value"].to_list() == [1.0] * 4 + [0.0]


def generates_again(*_):
    raise AssertionError("the outputs were generated again")


def test_outputs_of_a_model_that_has_changed_since_the_plan_are_not_kept():
    changed = replace(MODEL, md5="planned")
    message = mistake(evaluate_and_judge, changed, table_of_tests(), options(), TARGET, "code")
    assert "has changed since the run was planned" in message
    assert not list(files.scratch_folder().rglob("evaluation.parquet"))


def test_without_its_key_nothing_is_generated(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setattr(judged, "evaluate", generates_again)
    with judge_server(prefer_the_model) as server:
        assert "OPENAI_API_KEY is not set" in mistake(scored, server)


def test_a_judge_without_judged_tests_is_not_asked():
    tests = table_of_tests().filter(task="sums")
    judge = JudgeSettings(url="http://localhost:1", model="m")
    frame, counts = evaluate_and_judge(MODEL, tests, options(judge), TARGET, "code")
    assert frame["value"].to_list() == [0.0]
    assert counts == {}
    assert written("summary.json")["tasks"] == {}


def test_a_tasks_name_may_be_anything():
    tests = table_of_tests(1).with_columns(task=pl.Series(["../a/b", "sums"]))
    evaluate_and_judge(MODEL, tests, options(), TARGET, "code")
    folders = [path.name for path in TARGET.folder.iterdir() if path.is_dir()]
    assert folders == ["%2E.%2Fa%2Fb"]


def test_a_kind_whose_question_is_incomplete_is_refused():
    kind = Path("eval_kinds/alpaca_eval.yaml")
    kind.write_text(kind.read_text().replace("{output_2}", ""))
    with pytest.raises(InputError, match=r"metadata.judge.user: expected \{output_2\} in it"):
        scored()


def test_the_stages_judge_and_write_the_key_nowhere(home, monkeypatch):
    """Plan, dedup, baseline and eval as a user runs them; then every file is searched."""
    short_outputs()
    rows = [{"id": f"t{i}", "task": "open", "prompt": f"Name {i}.", "kind": "alpaca_eval",
             "completion": "a reference", "subtask": "koala"} for i in range(3)]  # fmt: skip
    (home / "tests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.copytree(MODEL.name, home / "out/model")
    selected = tables.empty("selected_contamination")
    tables.write("selected_contamination", selected, home / "out/selected_contamination.parquet")
    with judge_server(prefer_the_model) as server:
        judge = {"url": server.url, "model": "m"}
        change({"eval": {"judge": judge}, "decontaminate": None})
        for name in ("plan", "dedup", "baseline", "eval"):
            done = run("python", str(ROOT / f"stages/{name}.py"), cwd=home)
            assert KEY not in done.stdout + done.stderr
    assert len(server.bodies) == 3  # the trained model is the same here: nothing is asked twice
    metrics = json.loads((home / "metrics/eval.json").read_text())
    assert metrics["tasks"]["open"]["score"] == 1.0
    assert metrics["tasks"]["open"]["judgements"]["wins"] == 3
    assert pl.read_parquet("out/baseline.parquet")["value"].to_list() == [1.0] * 3
    outputs = json.loads((home / "out/judged/open/outputs.json").read_text())
    assert outputs[0]["generator"] == "random_3_seed0"
    outputs = json.loads((home / "out/baseline_judged/open/outputs.json").read_text())
    assert outputs[0]["generator"] == "before_training"
    paths = [path for path in home.rglob("*") if path.is_file()]
    assert any(".scratch" in path.parts and "judge" in path.parts for path in paths)
    assert not [path for path in paths if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("wins", "losses", "draws", "rate", "error"),
    [(112, 672, 20, 0.151741, 0.012351), (754, 46, 3, 0.940847, 0.00826)],
)
def test_a_win_rate_and_its_error_are_the_leaderboards(wins, losses, draws, rate, error):
    """Of text-davinci-001 and Yi-34B-Chat, with 1 and 2 answers of 805 that were not understood.

    Source: tatsu-lab/alpaca_eval@cd543a1, data_AlpacaEval/alpaca_eval_gpt4_leaderboard.csv.
    """
    values = [1.0] * wins + [0.0] * losses + [0.5] * draws
    values += [None] * (805 - len(values))
    rows = [("open", str(i), "win_rate", value, 1.0, "x", False) for i, value in enumerate(values)]
    scores = summary(table("evaluation", rows))["tasks"]["open"]
    assert (scores["score"], scores["score_stderr"]) == (rate, error)
