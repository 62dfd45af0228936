"""`make setup` says what it does; with a stand-in for Python, which installs nothing."""

import re
import subprocess

import pytest

from tests.helpers import ROOT

#: Makes an environment that holds only itself; prints what else it is to do.
PYTHON = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; else echo "python: $*"; fi
"""


@pytest.fixture
def setup(tmp_path):
    """Runs `make setup`; returns what it prints."""
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)

    def run():
        command = ["make", "setup", f"VENV={tmp_path / 'venv'}", f"PYTHON={python}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout

    return run


def test_setup_says_what_it_does_how_long_and_how_large(setup, tmp_path):
    printed = setup()
    before, _, after = printed.partition("pip install")
    packages = len(re.findall("==", (ROOT / "requirements.lock").read_text()))
    assert f"{packages} packages" in before
    assert re.search(r"\d GB on disk", before)
    assert re.search(r"takes \d+ to \d+ minutes", before)
    (large,) = [line for line in after.splitlines() if line.startswith("python: ") and "-r" in line]
    assert "--quiet" not in large  # pip itself shows the downloads
    assert f"source {tmp_path / 'venv'}/bin/activate" in after


def test_a_second_time_there_is_nothing_to_say(setup):
    setup()
    assert "packages" not in setup()


def test_an_environment_of_its_own_has_the_pinned_packages_of_its_file():
    command = ["make", "--dry-run", "--always-make", ".venvs/nv_embed/ready", "PYTHON=python3.11"]
    command.insert(1, "--no-print-directory")  # these tests run under make themselves
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    create, install, _ = done.stdout.splitlines()
    assert create == "python3.11 -m venv .venvs/nv_embed"
    assert install.startswith(".venvs/nv_embed/bin/python -m pip install ")
    assert install.endswith(" --requirement environments/nv_embed.txt")
    file = (ROOT / "environments" / "nv_embed.txt").read_text()
    packages = [line for line in file.splitlines() if not line.startswith("#")]
    assert "transformers==4.42.4" in packages
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in packages)
    other = subprocess.run(
        ["make", ".venvs/none/ready"], cwd=ROOT, capture_output=True, check=False
    )
    assert other.returncode != 0
