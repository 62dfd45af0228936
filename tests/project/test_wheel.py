"""The package as an index would have it: its files, and a project made and run from it alone."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
import yaml

import dataselect
from dataselect.project import templates
from tests.helpers import GOLDEN, ROOT, copy_project
from tests.test_pipeline import ran

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

FOLDER = "dataselect/project/files"


def run(*command, cwd, path=None):
    """Runs a command without any of this session's paths; with those of an environment."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1"}
    if path:  # its programs come first; dvc is that of the session
        folders = [str(path), str(Path(sys.executable).parent), os.environ["PATH"]]
        environment["PATH"] = os.pathsep.join(folders)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source distribution, and the wheel that is built from it, without a network."""
    source, out = copy_project(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("dist")
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r})"
    run(sys.executable, "-c", build, cwd=source)
    (sdist,) = out.glob("*.tar.gz")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", out]
    run(sys.executable, "-m", "pip", "wheel", *map(str, options), str(sdist), cwd=out)
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def programs(built, tmp_path_factory):
    """The programs of a fresh environment with the wheel; the libraries are this session's."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Only what stands in this file: an editable install of the session is not followed.
    (packages / "session.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = ["--quiet", "--no-deps", "--no-index", "--force-reinstall", str(built[1])]
    python = str(folder / "bin/python")
    run(sys.executable, "-m", "pip", "--python", python, "install", *install, cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def project(programs, tmp_path_factory):
    """A committed project, made from the wheel, with a small pool, tests and model of its own."""
    home = tmp_path_factory.mktemp("user")
    for name, count in (("pool", 300), ("queries", 12), ("tests", 12)):
        frame = pl.read_parquet(ROOT / f"demo/world/{name}.parquet").head(count)
        frame.write_parquet(home / f"{name}.parquet")
    files = [f"--{name}={name}.parquet" for name in ("pool", "queries", "tests")]
    choice = ["--method=rds", "--budget=10", f"--model={GOLDEN / 'tiny-llama'}"]
    run("dataselect", "init", "project", *files, *choice, cwd=home, path=programs)
    folder = home / "project"
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["model"] |= {"dtype": "float32", "max_tokens": 256}
    params["train"] |= {"epochs": 1, "batch_size": 10, "micro_batch_size": 5}
    params["eval"] |= {"limit": 1, "max_new_tokens": 4, "before": False}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    # A package of the user's own in `src`, which must not come before the installed one.
    (folder / "src/dataselect").mkdir(parents=True)
    (folder / "src/dataselect/__init__.py").write_text("raise ImportError('the user's own')\n")
    run("git", "add", "--all", cwd=folder)
    author = ["-c", "user.name=test", "-c", "user.email=test@dataselect.invalid"]
    run("git", *author, "commit", "--quiet", "--message", "a project", cwd=folder)
    run("git", "config", "user.name", "test", cwd=folder)
    run("git", "config", "user.email", "test@dataselect.invalid", cwd=folder)
    return folder


def test_the_wheel_has_every_file_of_the_package_and_of_a_project(built):
    names = zipfile.ZipFile(built[1]).namelist()
    source = ROOT / "src"
    code = {
        path.relative_to(source).as_posix()
        for path in source.glob("dataselect/**/*.*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected = templates.names(ROOT) + templates.names(ROOT, templates.DEMO)
    ours = {name for name in names if name.startswith("dataselect/")}
    assert ours == code | {f"{FOLDER}/{name}" for name in expected}
    assert built[1].stat().st_size < 6_000_000


def test_the_distributions_carry_licence_and_changes_and_no_tests(built):
    with tarfile.open(built[0]) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "NOTICE", "CHANGELOG.md", "README.md", "docs/flow.svg"} <= inside
    assert not [name for name in inside if name.startswith(("tests", "benchmarks", ".git/"))]
    archive = zipfile.ZipFile(built[1])
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    text = archive.read(metadata).decode()
    assert f"\nVersion: {dataselect.__version__}\n" in text
    assert "\nLicense-Expression: Apache-2.0\n" in text
    assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())


def test_the_installed_command_says_its_version(programs, tmp_path):
    printed = run("dataselect", "--version", cwd=tmp_path, path=programs)
    assert printed == f"dataselect {dataselect.__version__}\n"


def test_a_project_plans_with_the_installed_package(project, programs):
    printed = run("dvc", "repro", "plan", cwd=project, path=programs)
    assert "method rds, budget 10" in printed
    assert "PYTHONPATH" not in (project / "dvc.yaml").read_text()


#: What a script of a user does: frames in, a training file out.
SCRIPT = """
import sys
import polars as pl
import dataselect

pool, queries = (pl.read_parquet(f"{sys.argv[1]}/{name}.parquet") for name in ("pool", "queries"))
model = {"name": sys.argv[2], "dtype": "float32", "max_tokens": 256}
chosen = dataselect.select(pool.head(40), queries, method="rds", model=model, budget=10)
chosen.train_jsonl("train.jsonl")
print(dataselect.__file__)
print(chosen.frame.height, chosen.scores.height, chosen.dropped.height)
"""


@pytest.mark.torture
def test_the_installed_package_chooses_rows_in_python(project, programs, tmp_path):
    (tmp_path / "choose.py").write_text(SCRIPT)
    words = ("choose.py", str(project.parent), str(GOLDEN / "tiny-llama"))
    printed = run(str(programs / "python"), *words, cwd=tmp_path)
    place, counts = printed.splitlines()[-2:]
    assert place.startswith(str(programs.parent))  # not the code beside the tests
    assert counts == "10 40 0"
    assert len((tmp_path / "train.jsonl").read_text().splitlines()) == 10


@pytest.mark.torture
def test_a_project_runs_and_so_does_an_experiment_elsewhere(project, programs):
    assert ran(run("dvc", "repro", cwd=project, path=programs))[-1] == "cost"
    assert pl.read_parquet(project / "out/selection.parquet").height == 10
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", "--message", "a run", cwd=project)
    experiment = ("dvc", "exp", "run", "--temp", "--name", "fewer", "-S", "budget=5")
    run(*experiment, cwd=project, path=programs)
    shown = run("dvc", "exp", "show", "--json", cwd=project, path=programs)
    assert '"fewer"' in shown
    run("dvc", "exp", "apply", "fewer", cwd=project, path=programs)
    assert pl.read_parquet(project / "out/selection.parquet").height == 5
