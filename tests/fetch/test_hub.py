"""Commits of a hub, and its errors as messages: raised where the libraries raise them."""

import zlib

import datasets
import huggingface_hub
import pytest
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import errors

from dataselect.errors import InputError
from dataselect.fetch.blocks import DataSet
from dataselect.fetch.hub import hub_errors, local_file, newest_commit
from dataselect.fetch.run import fetch

TOKEN = "hf_" + "AbCdEf0123456789" * 2


def http_error(kind, text):
    """An error of the hub's library, with a response as its client gives one."""
    client = __import__(errors.HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
    request = client.Request("GET", f"https://huggingface.co/api?token={TOKEN}")
    return kind(text, response=client.Response(403, request=request))


def connect_error(text):
    client = __import__(errors.HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
    return client.ConnectError(text)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


ERRORS = [
    (http_error(errors.GatedRepoError, "Access is restricted"), "Accept its terms on https://"),
    (
        http_error(errors.RevisionNotFoundError, "404. Revision Not Found"),
        "Set `revision` in remote/pools/a.yaml to a commit, branch or tag",
    ),
    (http_error(errors.RepositoryNotFoundError, "404"), "Check the name in remote/pools/a.yaml"),
    (connect_error("Name or service not known"), "Check the network and run it again"),
    (errors.OfflineModeIsEnabled("Offline mode is enabled"), "Check the network"),
    (TimeoutError("timed out"), "Check the network"),
]


@pytest.mark.parametrize(("error", "advice"), ERRORS, ids=lambda value: str(value)[:20])
def test_an_error_at_the_commit_says_what_to_do(error, advice, project, monkeypatch):
    def raise_error(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", raise_error)
    with pytest.raises(InputError, match=r"some/set .*split train") as caught:
        fetch(DataSet(name="some/set"), project / "a.parquet", "remote/pools/a.yaml", print)
    assert advice in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert not list(project.rglob("*.parquet*"))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            DatasetNotFoundError("Dataset 'some/set' is a gated dataset on the Hub."),
            "hf auth login",
        ),
        (DatasetNotFoundError("Dataset 'some/set' doesn't exist on the Hub."), "Check the name"),
        (
            ConnectionError("Couldn't reach 'some/set' on the Hub"),
            "continues from what was fetched",
        ),
        (zlib.error("Error -3 while decompressing data"), "Fix remote/pools/a.yaml"),
        (RuntimeError("Dataset scripts are no longer supported, but found set.py"), "Fix"),
    ],
)
def test_an_error_at_the_rows_says_what_to_do(error, advice, project, monkeypatch):
    def raise_error(*_, **__):
        raise error

    info = huggingface_hub.hf_api.DatasetInfo(id="some/set", sha="abc", tags=[])
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: info)
    monkeypatch.setattr(datasets, "load_dataset_builder", raise_error)
    with pytest.raises(InputError, match="some/set") as caught:
        fetch(DataSet(name="some/set"), project / "a.parquet", "remote/pools/a.yaml", print)
    assert advice in str(caught.value)


def test_a_commit_is_that_of_the_revision(monkeypatch):
    def info(_, name, revision):
        sha = {None: "newest", "v1": "first"}[revision]
        return huggingface_hub.hf_api.DatasetInfo(id=name, sha=sha, tags=[])

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    assert newest_commit("some/set") == "newest"
    assert newest_commit("some/set", "v1") == "first"


def test_a_folder_and_a_format_have_no_commit(tmp_path):
    assert newest_commit(str(tmp_path)) is None
    assert newest_commit("json") is None
    assert local_file(str(tmp_path), "a.zip", None) == tmp_path / "a.zip"


def test_a_token_is_never_shown():
    with pytest.raises(InputError) as caught, hub_errors("a/b", "a/b", "settings.yaml"):
        raise OSError(f"401 for https://huggingface.co?token={TOKEN}, Authorization: {TOKEN}")
    assert TOKEN not in str(caught.value)
    assert "token=…" in str(caught.value)


def test_a_mistake_of_our_own_is_not_taken_for_a_data_sets():
    with pytest.raises(TypeError), hub_errors("a/b", "a/b", "settings.yaml"):
        raise TypeError("unsupported operand")
