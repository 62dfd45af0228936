"""Single files of git repositories: of a commit, of the newest, and what is not there."""

import subprocess

import pytest

from dataselect.fetch.git import GitError, is_repository, newest_commit, read_file


@pytest.fixture
def repository(tmp_path):
    """A repository's address, and a function that commits a text as its file `data/rows.json`."""
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)

    def git(*arguments):
        names = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        command = ["git", "-C", str(folder), *names, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(text):
        (folder / "data/rows.json").write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", "rows")
        return git("rev-parse", "HEAD")

    git("init", "--quiet")
    git("config", "uploadpack.allowFilter", "true")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    return f"file://{folder}", commit


def test_a_file_is_that_of_its_commit(repository):
    address, commit = repository
    first, second = commit("[1]"), commit("[2]")
    assert is_repository(address)
    assert not is_repository("openai/gsm8k")
    assert newest_commit(address) == second
    for revision, text in ((first, b"[1]"), (second, b"[2]"), ("HEAD", b"[2]")):
        assert read_file(address, "data/rows.json", revision) == text


def test_what_is_not_there_is_an_error_with_gits_words(repository, tmp_path):
    address, commit = repository
    commit("[1]")
    with pytest.raises(GitError, match=r"^git: .*data/rows.csv"):
        read_file(address, "data/rows.csv", "HEAD")
    with pytest.raises(GitError, match=r"^git: .*0000"):
        read_file(address, "data/rows.json", "0" * 40)
    with pytest.raises(GitError, match=r"^git: .*absent"):
        newest_commit(f"file://{tmp_path}/absent")
