"""What cannot be fetched: an error of the hub's libraries is one message that says what to do."""

import sys
from pathlib import Path

import pytest
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import errors

from dataselect.compute import no_progress
from dataselect.tasks import Source, load_task
from dataselect.tasks.run import check_revisions, make_task
from dataselect.tasks.sources import commit_of, read_source
from tests.helpers import mistake
from tests.tasks.made_rows import authors_zip, data_set

#: The HTTP library of the hub's client, whose errors have no base among Python's own.
HTTP = sys.modules[errors.HfHubHTTPError.__bases__[0].__module__.partition(".")[0]]

URL = "https://hub.invalid/datasets/openai/gsm8k/resolve/main/README.md"


def answer(kind, status, text):
    """An error of the hub's client, as it raises them: with the server's answer."""
    response = HTTP.Response(status, request=HTTP.Request("GET", URL))
    return kind(
        f"{status} Client Error. (Request ID: 1)\n\n{text} for url: {URL}.", response=response
    )


SETTINGS = "remote/tasks/params.yaml"
NO_NETWORK = "Check the network and run it again"
GATED = "Accept its terms on https://huggingface.co/datasets/"
NO_REVISION = f"Set `revision` in {SETTINGS} to a commit, branch or tag that the data set has."
NO_DATA_SET = f"Check the name in {SETTINGS}; for a private data set, set the environment variable "
NO_DATA_SET += "HF_TOKEN, or log in: `hf auth login`."
ERRORS = {
    "gated": (answer(errors.GatedRepoError, 403, "Cannot access gated repo"), GATED),
    "gated, of datasets": (
        DatasetNotFoundError("Dataset 'openai/gsm8k' is a gated dataset on the Hub. Visit it."),
        GATED,
    ),
    "no revision": (answer(errors.RevisionNotFoundError, 404, "Revision Not Found"), NO_REVISION),
    "no revision, of datasets": (
        DatasetNotFoundError("Revision 'abc' doesn't exist for dataset 'openai/gsm8k' on the Hub."),
        NO_REVISION,
    ),
    "none": (answer(errors.RepositoryNotFoundError, 404, "Repository Not Found"), NO_DATA_SET),
    "none, of datasets": (
        DatasetNotFoundError("Dataset 'openai/gsm8k' doesn't exist on the Hub."),
        NO_DATA_SET,
    ),
    "no network": (HTTP.ConnectError("[Errno 111] Connection refused"), NO_NETWORK),
    "no answer in time": (HTTP.ReadTimeout("timed out"), NO_NETWORK),
    "no network, and nothing stored": (
        errors.LocalEntryNotFoundError("We cannot find the requested files in the local cache."),
        NO_NETWORK,
    ),
    "no network, of datasets": (ConnectionError("Couldn't reach 'openai/gsm8k'"), NO_NETWORK),
    "offline": (errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set"), NO_NETWORK),
    "a server that fails": (
        answer(errors.HfHubHTTPError, 500, "Internal Server Error"),
        NO_NETWORK,
    ),
}  # fmt: skip


def raising(error):
    def call(*args, **kwargs):
        raise error

    return call


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_of_the_hub_is_one_message(monkeypatch, case):
    error, message = ERRORS[case]
    monkeypatch.setattr("datasets.load_dataset", raising(error))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", raising(error))
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", raising(error))
    rows = Source("openai/gsm8k", "main", "test")
    found = mistake(list, read_source(rows, "abc"))
    assert found.startswith("openai/gsm8k (config main, split test), revision abc: ")
    assert message in found
    file = Source("hamishivi/lsds_data", file="eval.zip/eval/rows.jsonl")
    found = mistake(list, read_source(file, "abc"))
    assert found.startswith(f"{file.name} ({file.file}), revision abc: ")
    assert message in found
    found = mistake(commit_of, "openai/gsm8k")
    assert found.startswith("openai/gsm8k: ")
    assert message in found
    assert "\n" not in found
    task = load_task("gsm8k", "test")
    assert message in mistake(make_task, "gsm8k", task, Path("made"), {}, no_progress)
    assert not list(Path("made").glob("*"))


def test_revisions_name_sources_of_tasks():
    assert check_revisions(None) == {}
    assert check_revisions({"openai/gsm8k": "abc"}) == {"openai/gsm8k": "abc"}
    message = mistake(check_revisions, {"openai/gms8k": "abc"})
    assert (
        "revisions: no task has rows from `openai/gms8k`. Did you mean `openai/gsm8k`?" in message
    )
    assert "expected a commit, branch or tag as text; found 7" in mistake(
        check_revisions, {"openai/gsm8k": 7}
    )
    assert "expected `NAME: COMMIT` for each" in mistake(check_revisions, ["openai/gsm8k"])


def test_a_task_without_rows_is_refused():
    data_set("openai/gsm8k", {("main", "test"): [{"question": "1?", "answer": "#### 1"}]})
    task = load_task("gsm8k", "test")
    make_task("gsm8k", task, Path("made"), {}, no_progress)
    authors_zip(**{"eval/wildchat_100_prompts.jsonl": []})
    message = mistake(
        make_task, "wildchat", load_task("wildchat", "test"), Path("other"), {}, no_progress
    )
    assert message == "wildchat: queries: its sources have no row. Check the revision."
    assert not list(Path("other").glob("*"))


def test_a_file_that_is_not_what_it_should_be_is_named():
    authors_zip(**{"eval/rows.jsonl": [{"a": 1}]})
    source = Source("hamishivi/lsds_data", file="eval.zip/eval/rows.jsonl")
    assert list(read_source(source, None)) == [{"a": 1}]
    Path("hamishivi/lsds_data/eval.zip").write_bytes(b"<html>")
    message = mistake(list, read_source(source, None))
    assert message.startswith("hamishivi/lsds_data (eval.zip/eval/rows.jsonl), revision None: File")
    Path("hamishivi/lsds_data/rows.json").write_text("[{")
    message = mistake(list, read_source(Source("hamishivi/lsds_data", file="rows.json"), None))
    assert "(rows.json), revision None: Expecting property name" in message
