"""Clinical summarisation on made reports in the forms of RadSum23's files and of the hub's set."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from dataselect.compute import no_progress
from dataselect.dedup.read import read_rows
from dataselect.dedup.tasks import read_tests
from dataselect.eval.corpus import corpus_metrics
from dataselect.eval.run import EvalOptions, evaluate
from dataselect.eval.summary import summary, with_corpus_metrics
from dataselect.tasks import load_task
from dataselect.tasks._reports import QUERIES
from dataselect.tasks.run import make_task
from tests.eval.test_bert_scorer import tiny_encoder
from tests.helpers import MODEL, ROOT, mistake
from tests.tasks.made_rows import data_set
from tests.tasks.test_tasks import made, turns

PROMPT = "summarize the radiology report findings into an impression with minimal text\n\n"
OPEN_I = "IndianaUniversityDatasetsModels/Medical_reports_Splits"


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def prompt(findings):
    return f"{PROMPT}finding: {findings}\nimpression:"


def radsum(**splits):
    """RadSum23's files: split → findings and impression of each report."""
    splits = {"train": [("old fracture .", "fracture .")], **splits}
    folder = Path("remote/rrs-mimiciii/all")
    folder.mkdir(parents=True, exist_ok=True)
    for split, reports in splits.items():
        for part, texts in zip(("findings", "impression"), zip(*reports, strict=True), strict=True):
            text = "".join(f"{text}\n" for text in texts)
            (folder / f"{split}.{part}.tok").write_text(text)


def report(findings, impression):
    """A row of the hub's data set."""
    return {
        "MeSH": "normal",
        "Problems": "normal",
        "findings": findings,
        "impression": impression,
    }


def test_reports_become_queries_and_tests():
    validate = [("mild edema .", "edema ."), ("lungs are clear .", "normal .")]
    radsum(validate=validate, test=[("lungs are clear .", " no acute disease . ")])
    queries, tests = made("clinical")
    (test,) = tests
    assert test["id"] == "test-0"
    assert test["kind"] == "summary"
    assert test["messages"] == turns(prompt("lungs are clear ."), "no acute disease .")
    # The second validation report has the prompt of a test.
    assert queries == [
        {"id": "validate-0", "messages": turns(prompt("mild edema ."), "edema .")},
    ]


def test_the_tests_are_read_as_they_were_made():
    radsum(validate=[("a b c .", "d .")], test=[("lungs are clear .", "no acute disease .")])
    made("clinical")
    (row,) = read_tests(["made/tests.parquet"], "all").to_dicts()
    assert (row["task"], row["kind"], row["answer"]) == (
        "clinical",
        "summary",
        "no acute disease .",
    )


def test_queries_are_drawn_and_limited():
    validate = [(f"finding number {i}", "it") for i in range(QUERIES + 20)]
    radsum(validate=validate, test=[("clear", "normal")])
    queries, _ = made("clinical")
    names = [row["id"] for row in queries]
    assert len(set(names)) == QUERIES
    assert names[:3] != ["validate-0", "validate-1", "validate-2"]


def test_reports_without_a_part_are_left_out_and_counted(capsys):
    test = [("clear", "normal"), ("", "normal"), ("clear", " "), ("edema", "edema")]
    radsum(validate=[("a", "b")], test=test)
    _, tests = made("clinical")
    assert [row["id"] for row in tests] == ["test-0", "test-3"]
    printed = " ".join(capsys.readouterr().out.split())
    message = "2 of 4 reports of test have no findings or no impression: left out"
    assert printed.count(message) == 1


def test_gated_files_that_are_not_there_are_named_with_the_way_to_them():
    message = mistake(lambda: made("clinical"))
    path = "remote/rrs-mimiciii/all/train.findings.tok"
    assert message.startswith(f"{path}: there is no such file. MIMIC-III is gated: get ")
    assert "https://physionet.org/content/mimiciii/" in message
    assert "`all` into remote/rrs-mimiciii" in message
    assert not Path("made/tests.parquet").exists()


def test_files_of_different_lengths_are_refused():
    radsum(validate=[("a", "b")], test=[("a", "b"), ("c", "d")])
    Path("remote/rrs-mimiciii/all/test.impression.tok").write_text("b\n")
    assert mistake(lambda: made("clinical")) == (
        "remote/rrs-mimiciii/all/test.impression.tok: expected as many lines as the other file of "
        "test has, found 1. Fetch both anew."
    )
    assert not list(Path("made").glob("*.parquet"))


def test_training_reports_are_a_pool():
    train = [("mild edema .", "edema ."), ("", "lost")]
    radsum(train=train, validate=[("a", "b")], test=[("c", "d")])
    made("clinical")
    (row,) = (raw.record for raw in read_rows(["made/pool.parquet"]))
    assert row.keys() == {"id", "source", "messages"}
    assert row["id"] == "train-0"
    assert row["source"] == "mimic-iii"
    assert row["messages"] == turns(prompt("mild edema ."), "edema .")


def test_open_i():
    splits = {
        ("default", "train"): [report("Heart is large.", "Cardiomegaly.")],
        ("default", "validation"): [report("Lungs are clear.", "Normal."), report(None, "Normal.")],
        ("default", "test"): [report("Bony structures are intact.", "No acute process.")],
    }
    data_set(OPEN_I, splits)
    (query,), (test,) = made("open_i")
    assert query["messages"] == turns(prompt("Lungs are clear."), "Normal.")
    assert test["messages"] == turns(prompt("Bony structures are intact."), "No acute process.")
    assert (test["id"], test["kind"]) == ("test-0", "summary")
    (row,) = pl.read_parquet("made/pool.parquet").to_dicts()
    assert (row["id"], row["source"]) == ("train-0", "open_i")
    assert row["messages"] == turns(prompt("Heart is large."), "Cardiomegaly.")


def test_open_i_without_a_column_is_refused():
    rows = [{"findings": "Clear.", "conclusion": "Normal."}]
    data_set(OPEN_I, {("default", split): rows for split in ("train", "validation", "test")})
    expected = (
        f"{OPEN_I}: expected rows with the columns `findings` and `impression`; found findings, "
        "conclusion: no 'impression'. In remote/tasks/params.yaml, set its revision to 9e2ce79, "
        "the one that the task was written for."
    )
    assert mistake(lambda: made("open_i")) == expected


@pytest.mark.slow
def test_a_model_is_scored_by_all_metrics_of_one_output():
    for name in ("bert_score", "rouge_score", "sacrebleu"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    shutil.copytree(ROOT / "eval_kinds", "eval_kinds")
    kind = Path("eval_kinds/summary.yaml")
    encoder = tiny_encoder(Path("encoder"))
    kind.write_text(kind.read_text().replace("roberta-large, layer: 17", f"{encoder}, layer: 1"))
    radsum(validate=[("a", "b")], test=[("lungs are clear .", "x"), ("mild edema .", "y")])
    make_task("clinical", load_task("clinical", "test"), Path("made"), {}, no_progress)
    tests = read_tests(["made/tests.parquet"], "all")
    options = EvalOptions(
        max_new_tokens=24, batch_size=2, long_prompts="error", limit=None, threads=None
    )
    outputs = [text.strip() for text in evaluate(MODEL, tests, options)["output"]]
    # Now the first output is the impression, word for word; the second shares nothing with it.
    golds = [outputs[0], "quite another thing, isn't it"]
    tests = tests.with_columns(answer=pl.Series(golds), messages=_answered(tests, golds))
    frame = evaluate(MODEL, tests, options)
    assert frame["metric"].to_list() == ["rouge_l"] * 2
    assert frame["value"][0] == 1.0
    first = {value["metric"]: value["value"] for value in frame["other_metrics"][0]}
    assert first == {"bert_score": pytest.approx(1, abs=1e-5), "sentence_bleu": pytest.approx(1)}
    scores = with_corpus_metrics(summary(frame), corpus_metrics(frame, tests))["tasks"]["clinical"]
    others = scores["other_metrics"]
    assert scores["score"] == pytest.approx((1 + frame["value"][1]) / 2, abs=1e-6)
    assert list(others) == ["bert_score", "sentence_bleu", "corpus_bleu"]
    assert 0 < others["corpus_bleu"] < 1
    assert evaluate(MODEL, tests[::-1], replace(options, batch_size=1)).equals(frame[::-1])


def _answered(tests, golds):
    messages = tests["messages"].to_list()
    for turns_of_test, gold in zip(messages, golds, strict=True):
        turns_of_test[-1]["content"] = gold
    return pl.Series(messages, dtype=tests["messages"].dtype)
