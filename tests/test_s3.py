"""Sharing over S3, against a server of that protocol on this machine."""

import os
import urllib.request

import pytest

from tests.helpers import run
from tests.test_pipeline import repro, small_project

moto = pytest.importorskip("moto.server", reason="needs moto's server: the extra `dev`")
pytest.importorskip("dvc_s3", reason="needs DVC's S3 remotes: the extra `s3`")

pytestmark = [pytest.mark.slow, pytest.mark.torture, pytest.mark.xdist_group("s3")]

#: Keys of nobody, and files that are not there: a user's own must play no part.
MADE_UP = {
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "no-such-file",
    "AWS_SHARED_CREDENTIALS_FILE": "no-such-file",
    "AWS_MAX_ATTEMPTS": "1",  # a wrong address is not tried again and again
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """The address of a server with one bucket, `bucket`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in MADE_UP.items():
            patch.setenv(name, value)
        # DVC notes here what a remote has; the notes of an earlier run would be about another.
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        make = urllib.request.Request(f"{address}/bucket", method="PUT")
        urllib.request.urlopen(make).close()
        yield address
        server.stop()


@pytest.fixture(scope="module")
def project(endpoint, tmp_path_factory):
    """A project whose selection by `random` is in git and in the bucket."""
    home = small_project(tmp_path_factory.mktemp("project"), method="random")
    run("dvc", "remote", "add", "-d", "shared", "s3://bucket/folder", cwd=home)
    run("dvc", "remote", "modify", "shared", "endpointurl", endpoint, cwd=home)
    assert repro(home, "aggregate") == ["dedup", "reference", "embed", "score", "aggregate"]
    run("git", "add", "--all", cwd=home)
    run("git", "commit", "--quiet", "--message", "random", cwd=home)
    run("dvc", "push", cwd=home)
    return home


@pytest.fixture
def colleague(project, tmp_path):
    """A fresh clone: what git has, without a cache."""
    run("git", "clone", "--quiet", str(project), str(tmp_path / "clone"), cwd=tmp_path)
    return tmp_path / "clone"


def files(folder):
    """Every file of a folder, by its path in it, and its bytes."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_colleague_pulls_the_same_bytes_and_computes_nothing(project, colleague):
    assert not (colleague / "out").exists()
    run("dvc", "pull", "--with-deps", "aggregate", cwd=colleague)
    assert files(colleague / "out") == files(project / "out")
    assert repro(colleague, "aggregate") == []
    assert not run("git", "status", "--short", cwd=colleague).stdout


@pytest.mark.torture
def test_what_never_was_committed_comes_from_the_run_cache(project, colleague):
    assert repro(project, "aggregate", method="random_balanced") == ["score", "aggregate"]
    run("dvc", "push", "--run-cache", cwd=project)
    run("dvc", "pull", "--run-cache", "--with-deps", "aggregate", cwd=colleague)
    # DVC pushes no file that it leaves to git (`cache: false`): a stage with one runs again.
    again = repro(colleague, "--pull", "aggregate", method="random_balanced")
    assert again == ["aggregate"]
    assert files(colleague / "out") == files(project / "out")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("url", "s3://no-such-bucket/folder"),
        pytest.param("endpointurl", "http://127.0.0.1:1", marks=pytest.mark.torture),
    ],
)
def test_a_wrong_address_ends_dvc_with_its_message_and_loses_nothing(
    project, colleague, option, value
):
    before = {name: files(project / name) for name in ("out", ".dvc/cache")}
    for home, verb in ((project, "push"), (colleague, "pull")):
        wrong = home / ".dvc/config.local"
        wrong.write_text(f"['remote \"shared\"']\n    {option} = {value}\n")
        done = run("dvc", verb, cwd=home, check=False)
        wrong.unlink()
        assert done.returncode != 0
        assert "ERROR" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    assert {name: files(project / name) for name in before} == before
