"""The rooms: who may import what, and that DVC knows every module a stage rests on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dataselect.plan.run import WORDS
from tests.helpers import ROOT

SOURCE = ROOT / "src" / "dataselect"
FOLDERS = ("references", "features", "scorers", "aggregators")

#: Modules that no output depends on: they print, check, remember, and look things up.
NOT_DECIDING = {"report", "errors", "stage", "scratch", "settings", "fingerprint", "cost", ""}

#: Room → what it must never import, however deep inside a function.
NEVER = {
    "tables": {"torch", "transformers"},
    "plan": {"torch", "transformers"},
    "ranking": {"torch", "transformers", "polars"},
    "aggregators": {"torch", "transformers", "polars"},
    "scorers": {"polars", "duckdb", "pathlib", "dataselect.plan.run", "dataselect.data.tables"},
    "features": {"dataselect.plan.run", "duckdb", "polars"},
    "references": {"dataselect.plan.run", "duckdb"},
    "engines": {"dataselect.plan.run", "polars", "duckdb", "transformers"},
}


def imports(path):
    """Every module that a file imports, also inside functions, but not only for type checks."""
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    found = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def file_of(module):
    """The file of one of our modules, or None."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


def rests_on(path, seen=None):
    """Every file of ours that a file imports, and those import in turn."""
    seen = set() if seen is None else seen
    for module in imports(path):
        file = file_of(module) if module.split(".")[0] == "dataselect" else None
        if file and file not in seen:
            seen.add(file)
            rests_on(file, seen)
    return seen


def room(path):
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: p.stem)
def test_no_room_imports_what_it_must_not(path):
    name = room(path)
    mine = imports(path)
    forbidden = {m for m in mine for n in NEVER.get(name, ()) if m == n or m.startswith(n + ".")}
    assert not forbidden
    if name in FOLDERS:  # no feature knows another, no scorer another
        others = {p.stem for p in path.parent.glob("*.py")} - {path.stem, "__init__"}
        assert not {f"dataselect.{name}.{other}" for other in others} & mine
    if name != "plan":
        assert not any(module.startswith("stages") for module in mine)


@pytest.mark.parametrize("name", yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
def test_dvc_knows_every_module_a_stage_rests_on(name):
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][name]
    if stage.get("always_changed"):
        return
    script = ROOT / "stages" / f"{name}.py"
    needed = rests_on(script)
    # What a plan's section names is loaded by that name; its own code is in the section.
    for folder in FOLDERS:
        if f'"{folder}"' in script.read_text() + "".join(p.read_text() for p in needed):
            for dynamic in (SOURCE / folder).glob("[!_]*.py"):
                needed |= rests_on(dynamic)
    deciding = {p for p in needed if p.stem.removeprefix("__init__") not in NOT_DECIDING}
    wanted = {str(p.relative_to(ROOT)) for p in deciding} | {f"stages/{name}.py"}
    declared = {dep for dep in stage["deps"] if dep.startswith(("src/", "stages/"))}
    assert declared == wanted


@pytest.mark.parametrize("name", ["plan", "dedup", "aggregate"])
def test_light_stages_load_no_heavy_library(name):
    """What the stages that need no model import at their start."""
    script = ROOT / "stages" / f"{name}.py"
    modules = sorted(m for m in imports(script) if m.split(".")[0] == "dataselect")
    probe = ";".join(f"import {m}" for m in modules if file_of(m))
    heavy = "print([m for m in ('torch', 'transformers', 'peft', 'lm_eval') if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys;{probe};{heavy}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"


def test_stage_scripts_are_short():
    lengths = {p.name: len(p.read_text().splitlines()) for p in (ROOT / "stages").glob("*.py")}
    assert max(lengths.values()) <= 45, lengths


def test_every_method_names_rooms_that_are_there():
    methods = yaml.safe_load((ROOT / "methods.yaml").read_text())
    for name, method in methods.items():
        for part, folder in WORDS.items():
            given = method.get(part)
            if given in (None, "none"):
                continue
            stem = given if isinstance(given, str) else next(iter(given))
            path = SOURCE / folder / f"{stem}.py"
            assert path.is_file(), (name, part)
            assert f"def {stem}(" in path.read_text(), f"{path} does not define {stem}"


def test_nothing_names_a_pickle_or_runs_remote_code():
    for path in [*SOURCE.rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        text = path.read_text()
        assert "import pickle" not in text, path
        assert "trust_remote_code=True" not in text, path


def test_committed_files_name_no_place_of_ours():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    words = ["/" + "work/", "/" + "opt/pypi", "/" + "root/"]
    for name in listed.splitlines():
        path = ROOT / name
        if not path.is_file() or path.suffix in {".parquet", ".safetensors", ".npz"}:
            continue
        text = Path(path).read_text(errors="replace")
        assert not [word for word in words if word in text], name
